/** Checks what can be read without a cluster: the unit, the scripts, the files of Prometheus. */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readCertificates } from '../../proto/certificates.ts'
import type { Report } from './report.ts'
import { must, need, ROOT } from './tools.ts'

const UNIT = 'deploy/systemd/odradek.service'
/** In tenths: what `systemd-analyze security` may say at most. */
const EXPOSURE_MAX = 20

export async function checkFiles(report: Report): Promise<void> {
  await report.check('systemd: the unit', async () => {
    const analyze = need('systemd-analyze')
    await must(analyze, ['verify', UNIT])
    const threshold = `--threshold=${EXPOSURE_MAX}`
    const text = await must(analyze, ['security', '--offline=true', threshold, UNIT])
    return /Overall exposure level .*: (\S+ \S+)/.exec(text)?.[1]
  })
  await report.check('local: certs.sh', () => inTemporary(certificates))
  await report.check('prometheus: rules and their tests', async () => {
    const promtool = need('promtool')
    const cwd = join(ROOT, 'deploy/prometheus')
    await must(promtool, ['check', 'config', 'prometheus.yml'], { cwd })
    await must(promtool, ['test', 'rules', 'alerts.test.yml'], { cwd })
    return undefined
  })
  await report.check('compose: the configuration of Prometheus', () => inTemporary(composeRules))
}

export async function inTemporary<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'odradek-check-'))
  try {
    return await work(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** For two nodes, read by the code that reads them when a node starts. */
async function certificates(directory: string): Promise<undefined> {
  need('openssl')
  const cluster = 'Zm9vYmFyYmF6cXV4cXV1eA'
  await must('sh', [join(ROOT, 'deploy/local/certs.sh'), directory, cluster, '1', '2'])
  const read = async (name: string) => must('cat', [join(directory, name)])
  const text = await read('node-2.pem')
  const texts = { chain: text, key: text, passphrase: undefined, authorities: await read('ca.pem') }
  const { identity } = readCertificates(texts, 2, Date.now())
  if (identity.clusterId !== cluster) throw new Error(`it names cluster ${identity.clusterId}`)
}

/** As the two directories are mounted in the container. */
async function composeRules(directory: string): Promise<undefined> {
  const promtool = need('promtool')
  mkdirSync(join(directory, 'rules'))
  cpSync(join(ROOT, 'deploy/prometheus'), join(directory, 'rules'), { recursive: true })
  const file = join(directory, 'prometheus.yml')
  cpSync(join(ROOT, 'deploy/compose/prometheus.yml'), file)
  await must(promtool, ['check', 'config', file])
}
