/**
 * Checks the chart: lint and render with each values file of ci/, the fields of each object against
 * the types of Kubernetes, and what a pod would start with against the settings that a node takes.
 */
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { loadSettings } from '../../node/config/load.ts'
import { nodeCertificates } from '../../node/peers/ssl.ts'
import { chartSum } from '../helm/chart-sum.ts'
import { inTemporary } from './files.ts'
import { type KubernetesObject, typedSource } from './kubernetes-types.ts'
import { compiles, doesNotCompile, installPackages } from './packages.ts'
import type { Report } from './report.ts'
import { find, must, ROOT, run } from './tools.ts'

export const CHART = join(ROOT, 'deploy/helm/odradek')
export const PLAIN = join(ROOT, 'deploy/kubernetes/odradek.yaml')
const PACKAGES = ['kubernetes-types@1.30.0', 'yaml@2.9.1']
/** Of Kubernetes: a Helm that was built by `go install` means a very old one. */
const VERSION = ['--kube-version', '1.30.0']
const CLUSTER_ID = 'Zm9vYmFyYmF6cXV4cXV1eA'
/** Values that the schema or the templates have to refuse. */
const BAD_VALUES = [
  'nodes=0',
  'voters=2',
  'image.pullPolicy=Sometimes',
  'nodez=3',
  'tls.enabled=true',
  'external.enabled=true',
]

type ParseYaml = (text: string) => KubernetesObject[]

export async function checkChart(report: Report): Promise<void> {
  const helm = process.env['HELM'] ?? find('helm')
  if (helm === undefined) {
    report.skip('chart', 'helm is not installed (go install helm.sh/helm/v3/cmd/helm@v3.22.0)')
    return
  }
  const cases = readdirSync(join(CHART, 'ci')).sort()
  const rendered = new Map<string, string>()
  for (const values of cases) {
    await report.check(`chart: ${values}`, async () => {
      const file = ['-f', join(CHART, 'ci', values)]
      await must(helm, ['lint', '--strict', ...VERSION, CHART, ...file])
      rendered.set(values, await render(helm, file))
      return undefined
    })
  }
  await report.check('chart: bad values are refused', async () => {
    for (const value of BAD_VALUES) {
      const { code } = await run(helm, ['template', 'odradek', ...VERSION, CHART, '--set', value])
      if (code === 0) throw new Error(`${value} is taken`)
    }
    return `${BAD_VALUES.length} of them`
  })
  await report.check('kubernetes: the plain manifests are those of the chart', async () => {
    if (readFileSync(PLAIN, 'utf8') !== plainManifests(await render(helm, []))) {
      throw new Error('they are not: run HELM=... node dist/deploy/kubernetes/write.js')
    }
    return undefined
  })
  await inTemporary(async (directory) => {
    let parse: ParseYaml | undefined
    await report.check('chart: fields have the types of Kubernetes', async () => {
      parse = await yamlParser(directory)
      return checkTypes(directory, parse, rendered)
    })
    if (parse === undefined) {
      report.skip('chart: nodes take their settings', 'there is no parser of YAML')
      return
    }
    const parseYaml: ParseYaml = parse
    for (const [values, text] of rendered) {
      await report.check(`chart: nodes take their settings (${values})`, () =>
        checkStart(join(directory, values), parseYaml(text)),
      )
    }
  })
  await report.check('chart: the rack of a host', () => inTemporary(checkRack))
}

/** The objects as text; the release is called odradek. */
export function render(helm: string, more: readonly string[]): Promise<string> {
  const where = [...VERSION, '--namespace', 'odradek']
  return must(helm, ['template', 'odradek', CHART, ...where, ...more])
}

/** Without what only Helm understands. */
export function plainManifests(rendered: string): string {
  const objects = rendered
    .split(/^---\n/m)
    .filter((text) => text.trim() !== '' && !text.includes('helm.sh/hook'))
    .map((text) =>
      text.replaceAll(/^ *(helm\.sh\/chart|app\.kubernetes\.io\/managed-by): .*\n/gm, ''),
    )
  const made = '# Made from the chart by deploy/kubernetes/write.ts: change it there.'
  const head = `${made}\n# Chart ${chartSum(CHART)}\n`
  return `${head}---\n${objects.map((text) => text.trimEnd()).join('\n---\n')}\n`
}

async function yamlParser(directory: string): Promise<ParseYaml> {
  await installPackages(directory, PACKAGES)
  const { parseAllDocuments } = createRequire(join(directory, 'package.json'))('yaml')
  return (text) =>
    parseAllDocuments(text)
      .map((document: { toJS(): KubernetesObject | null }) => document.toJS())
      .filter((object: KubernetesObject | null) => object !== null)
}

async function checkTypes(
  directory: string,
  parse: ParseYaml,
  rendered: ReadonlyMap<string, string>,
): Promise<string> {
  const objects = [...rendered.values()].flatMap((text) => parse(text))
  const { source, count, untyped } = typedSource(objects)
  writeFileSync(join(directory, 'objects.ts'), source)
  await compiles(directory, 'objects.ts')
  // The check is worth something only if it can fail.
  writeFileSync(join(directory, 'bad.ts'), source.replace('"replicas":', '"replica":'))
  await doesNotCompile(directory, 'bad.ts')
  return `${count} objects; without types: ${untyped.join(', ')}`
}

/**
 * Runs the pod's start script with an `odradek` that writes down its arguments, and reads what it
 * was given as a node would.
 */
async function checkStart(
  directory: string,
  objects: readonly KubernetesObject[],
): Promise<string> {
  const pods = objects.find(({ kind }) => kind === 'StatefulSet')?.spec?.['replicas'] as number
  const { data } = objects.find(
    (one) => one.kind === 'ConfigMap' && 'start.sh' in (one.data ?? {}),
  )!
  mkdirSync(directory)
  const properties = data!['server.properties']!
  const hasTls = properties.includes('CONTROLLER:SSL')
  const script = data!['start.sh']!.replace('/etc/odradek/rack/name', join(directory, 'rack'))
  writeFileSync(join(directory, 'start.sh'), script)
  writeFileSync(join(directory, 'rack'), 'zone-a')
  writeFileSync(join(directory, 'odradek'), '#!/bin/sh\nprintf "%s\\n" "$@"\n')
  chmodSync(join(directory, 'odradek'), 0o755)
  if (hasTls) {
    const ids = Array.from({ length: pods }, (_, k) => String(k + 1))
    await must('sh', [join(ROOT, 'deploy/local/certs.sh'), directory, CLUSTER_ID, ...ids])
  }
  let voters = 0
  for (let k = 0; k < pods; k++) {
    const env = { HOSTNAME: `odradek-${k}`, PATH: `${directory}:${process.env['PATH']}` }
    const text = await must('sh', [join(directory, 'start.sh')], { env })
    const flags = Object.fromEntries(
      [...text.matchAll(/^--set\n([^=\n]+)=(.*)$/gm)].map((match) => [match[1]!, match[2]!]),
    )
    const file = { path: 'server.properties', text: properties }
    const settings = loadSettings({ file, environment: {}, flags, profile: 'prod' })
    if (settings.nodeId !== k + 1) throw new Error(`pod ${k} is node ${settings.nodeId}`)
    if (settings.isController) voters++
    const read = (path: string) => readFileSync(path.replace('/etc/odradek/tls', directory), 'utf8')
    const certificates = nodeCertificates({ settings, read, nowMs: Date.now() })
    if (hasTls !== (certificates !== undefined)) throw new Error('TLS is not as asked for')
  }
  return `${pods} nodes, ${voters} vote${hasTls ? ', with certificates' : ''}`
}

/** The script of the init container, against a server that answers as the API does. */
async function checkRack(directory: string): Promise<undefined> {
  const label = 'topology.kubernetes.io/zone'
  const server = createServer((request, response) => {
    const isAllowed = request.headers.authorization === 'Bearer secret'
    const isHost = request.url === '/api/v1/nodes/host-7'
    response.statusCode = isAllowed && isHost ? 200 : 403
    response.end(JSON.stringify({ metadata: { labels: { [label]: 'zone-b' } } }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  writeFileSync(join(directory, 'token'), 'secret\n')
  const out = join(directory, 'rack')
  const script = [join(CHART, 'files/rack.mjs'), out]
  const env = { TOKEN_FILE: join(directory, 'token'), KUBERNETES_API: `http://127.0.0.1:${port}` }
  try {
    await must(process.execPath, script, { env: { ...env, HOST: 'host-7', LABEL: label } })
    if (readFileSync(out, 'utf8') !== 'zone-b') throw new Error(readFileSync(out, 'utf8'))
    for (const bad of [
      { HOST: 'host-8', LABEL: label },
      { HOST: 'host-7', LABEL: 'x' },
    ]) {
      const { code } = await run(process.execPath, script, { env: { ...env, ...bad } })
      if (code === 0) throw new Error(`${JSON.stringify(bad)} is taken`)
    }
  } finally {
    server.close()
  }
}
