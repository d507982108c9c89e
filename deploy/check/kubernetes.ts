/**
 * The chart and the plain manifests against a real API server, in a namespace that admits restricted
 * pods alone: installed, upgraded and removed by Helm; applied as a dry run, where no field may be unknown.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ApiServer } from './api-server.ts'
import { CHART, PLAIN } from './chart.ts'
import { type Report, Skip } from './report.ts'
import { eventually, find, run } from './tools.ts'

const NAMESPACE = 'odradek'
const CRD_MS = 30_000
const OPERATOR = 'github.com/prometheus-operator/prometheus-operator'
const OPERATOR_VERSION = 'v0.84.0'
const MONITORING = ['podmonitors', 'prometheusrules']
/** Nothing of the operator, when its kinds are not known here. */
const UNWATCHED = ['--set', 'monitoring.podMonitor=false,monitoring.prometheusRule=false']
/** What an operator may change in a chart that lives. */
const CHANGES = ['--set', 'resources.limits.memory=2Gi', '--set', 'config.num\\.partitions=12']
/** As the server itself finds its kinds: by group, what a kind is called in a path. */
const PATHS: Readonly<Record<string, string>> = {
  ServiceAccount: `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`,
  ConfigMap: `/api/v1/namespaces/${NAMESPACE}/configmaps`,
  Service: `/api/v1/namespaces/${NAMESPACE}/services`,
  StatefulSet: `/apis/apps/v1/namespaces/${NAMESPACE}/statefulsets`,
  PodDisruptionBudget: `/apis/policy/v1/namespaces/${NAMESPACE}/poddisruptionbudgets`,
}

export async function checkKubernetes(report: Report): Promise<void> {
  let server: ApiServer | undefined
  try {
    const isUp = await report.check('kubernetes: a real API server', async () => {
      server = await ApiServer.start()
      const { text } = await server.ask('GET', '/version')
      return (JSON.parse(text) as { gitVersion: string }).gitVersion
    })
    if (!isUp || server === undefined) return
    await withServer(report, server)
  } finally {
    await server?.close()
  }
}

async function withServer(report: Report, server: ApiServer): Promise<void> {
  const restricted = Object.fromEntries(
    ['enforce', 'warn'].map((mode) => [`pod-security.kubernetes.io/${mode}`, 'restricted']),
  )
  const metadata = { name: NAMESPACE, labels: restricted }
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata }
  await server.mustTake('POST', '/api/v1/namespaces', JSON.stringify(namespace))
  const hasOperator = await report.check('kubernetes: kinds of the Prometheus operator', () =>
    addOperator(server),
  )
  const helm = process.env['HELM'] ?? find('helm')
  if (helm === undefined) report.skip('kubernetes: the chart', 'helm is not installed')
  else {
    for (const values of readdirSync(join(CHART, 'ci')).sort()) {
      const flags = ['-n', NAMESPACE, '-f', join(CHART, 'ci', values)]
      await report.check(`kubernetes: ${values} installed, upgraded, removed`, async () => {
        const more = hasOperator ? flags : [...flags, ...UNWATCHED]
        try {
          await mustBeQuiet(helm, ['install', 'odradek', CHART, ...more], server)
          await mustBeQuiet(helm, ['upgrade', 'odradek', CHART, ...more, ...CHANGES], server)
        } finally {
          await mustBeQuiet(helm, ['uninstall', 'odradek', '-n', NAMESPACE], server)
        }
        return undefined
      })
    }
  }
  await report.check('kubernetes: the plain manifests as a dry run', () => dryRun(server))
}

/** Warnings of the server, of a field that it does not know or of a forbidden pod, are no success. */
async function mustBeQuiet(helm: string, args: string[], server: ApiServer): Promise<void> {
  const { code, stderr } = await run(helm, args, { env: { KUBECONFIG: server.kubeconfig } })
  if (code !== 0 || stderr.trim() !== '') throw new Error(`helm ${args[0]}: ${stderr.trim()}`)
}

/** Kinds that are none of Kubernetes: where the operator defines them. */
async function addOperator(server: ApiServer): Promise<undefined> {
  const go = find('go')
  if (go === undefined) throw new Skip('go is not installed')
  const wanted = `${OPERATOR}@${OPERATOR_VERSION}`
  const { code, stdout } = await run(go, ['mod', 'download', '-json', wanted], { cwd: '/' })
  if (code !== 0) throw new Skip(`${wanted} can't be had`)
  const { Dir: directory } = JSON.parse(stdout) as { Dir: string }
  for (const kind of MONITORING) {
    const file = `example/prometheus-operator-crd/monitoring.coreos.com_${kind}.yaml`
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
    const query = '?fieldManager=check'
    const text = readFileSync(join(directory, file), 'utf8')
    await server.mustTake('PATCH', `${path}/${kind}.monitoring.coreos.com${query}`, text)
    await eventually(`the server knows ${kind}`, CRD_MS, async () => {
      const { status } = await server.ask('GET', `/apis/monitoring.coreos.com/v1/${kind}`)
      return status === 200 ? true : undefined
    })
  }
}

async function dryRun(server: ApiServer): Promise<string> {
  const query = '?dryRun=All&fieldManager=check&fieldValidation=Strict'
  const objects = readFileSync(PLAIN, 'utf8')
    .split(/^---\n/m)
    .slice(1)
  for (const text of objects) {
    const kind = /^kind: (\w+)$/m.exec(text)?.[1] ?? ''
    const name = /^metadata:\n {2}name: (\S+)$/m.exec(text)?.[1] ?? ''
    const folder = PATHS[kind]
    if (folder === undefined || name === '') throw new Error(`of an unknown kind:\n${text}`)
    const path = `${folder}/${name}${query}`
    const { warnings } = await server.mustTake('PATCH', path, text)
    if (warnings !== '') throw new Error(`${kind} ${name}: ${warnings}`)
    if (kind !== 'StatefulSet') continue
    // The check is worth something only if it can fail.
    const { status } = await server.ask('PATCH', path, text.replace('replicas:', 'replica:'))
    if (status < 400) throw new Error('a misspelt field is taken')
    const risky = text.replace('runAsNonRoot: true', 'runAsNonRoot: false')
    const warned = await server.ask('PATCH', path, risky)
    if (!warned.warnings.includes('PodSecurity')) throw new Error('a root pod gets no warning')
  }
  return `${objects.length} objects`
}
