/** odradek doctor: looks for what keeps a node from starting, and clients from reaching it. */
import type { Command } from 'commander'
import { UserError } from '../../base/errors.ts'
import { ClientError } from '../../kafka/client/connection.ts'
import { loadSettings } from '../config/load.ts'
import type { Settings } from '../config.ts'
import { brokersOf } from './cluster.ts'
import {
  advertisedFindings,
  clockFinding,
  diskFinding,
  type Finding,
  finding,
  openFilesFinding,
  portFinding,
  systemText,
  versionFinding,
} from './doctor-checks.ts'
import { formatOf, printRows } from './output.ts'
import { EXIT, withCluster } from './session.ts'
import { readSettingsFile } from './start.ts'

interface DoctorOptions {
  readonly bootstrap?: string
  readonly output: string
  readonly timeout: string
}

const HTTP_TIMEOUT_MS = 2000
const DEFAULT_BOOTSTRAP = '127.0.0.1:9092'
const DEFAULT_HTTP = '127.0.0.1:9644'

export function addDoctorCommand(program: Command): void {
  program
    .command('doctor [file]')
    .description('look for what keeps a node from starting, or clients from reaching it')
    .option('-b, --bootstrap <addresses>', 'HOST:PORT of brokers, as clients of yours have it')
    .option('-o, --output <format>', 'text, wide, json, yaml or ndjson', 'text')
    .option('--timeout <ms>', 'how long to wait for an answer', '5000')
    .action(doctor)
}

async function doctor(file: string | undefined, options: DoctorOptions): Promise<void> {
  const findings = [
    versionFinding(process.versions.node),
    openFilesFinding(systemText('/proc/self/limits')),
  ]
  const { settings, complaint } = file === undefined ? {} : settingsOf(file)
  if (complaint !== undefined) findings.push(complaint)
  if (settings !== undefined) findings.push(...(await nodeFindings(settings)))
  findings.push(clockFinding(Date.now(), await clockOf(httpOf(settings))))
  if (complaint === undefined) findings.push(...(await clusterFindings(settings, options)))
  printRows(
    findings,
    [
      { title: 'CHECK', value: (row) => row.check },
      { title: 'STATE', value: (row) => row.verdict },
      { title: 'WHAT', value: (row) => row.says },
    ],
    formatOf(options.output),
  )
  const bad = findings.filter((one) => one.verdict === 'fail').length
  if (bad > 0) {
    throw new UserError(`${bad} of ${findings.length} checks failed`, EXIT.unhealthy)
  }
}

/** What the file says, or the sentence that says what is wrong with it. */
export function settingsOf(path: string): { settings?: Settings; complaint?: Finding } {
  try {
    const text = readSettingsFile(path)
    const given = { file: { path, text }, environment: process.env, flags: {} }
    return { settings: loadSettings({ ...given, profile: 'prod' }) }
  } catch (error) {
    const says = error instanceof Error ? error.message : String(error)
    return { complaint: finding('settings', 'fail', says) }
  }
}

/** What a node with these settings needs of this machine. */
async function nodeFindings(settings: Settings): Promise<Finding[]> {
  const findings = [finding('settings', 'ok', `node ${settings.nodeId} may start with them`)]
  const directories = new Set([...settings.logDirectories, settings.metadataDirectory])
  for (const directory of directories) findings.push(diskFinding(directory))
  const http = httpOf(settings)
  const isRunning = async () => (await clockOf(http)) !== undefined
  const internal = settings.controllerListener
  const listeners = [...settings.clientListeners, ...(internal === undefined ? [] : [internal])]
  for (const listener of listeners) {
    if (listener.port > 0) findings.push(await portFinding('listeners', listener, isRunning))
  }
  const { httpAddress } = settings
  if (httpAddress !== undefined && httpAddress.port > 0) {
    findings.push(await portFinding('http.address', httpAddress, isRunning))
  }
  return findings
}

function httpOf(settings: Settings | undefined): string | undefined {
  if (settings === undefined) return DEFAULT_HTTP
  const address = settings.httpAddress
  if (address === undefined) return undefined
  const isAny = address.host === '' || address.host === '0.0.0.0' || address.host === '::'
  const host = isAny ? '127.0.0.1' : address.host
  return `${host.includes(':') ? `[${host}]` : host}:${address.port}`
}

/** What the clock of the node at this HTTP address shows; undefined when none answers. */
async function clockOf(http: string | undefined): Promise<number | undefined> {
  if (http === undefined) return undefined
  try {
    const signal = AbortSignal.timeout(HTTP_TIMEOUT_MS)
    const response = await fetch(`http://${http}/livez`, { signal })
    const date = Date.parse(response.headers.get('date') ?? '')
    return response.status === 200 && Number.isFinite(date) ? date : undefined
  } catch {
    return undefined
  }
}

async function clusterFindings(
  settings: Settings | undefined,
  options: DoctorOptions,
): Promise<Finding[]> {
  const own = settings?.advertisedListeners[0]
  const known = own === undefined ? DEFAULT_BOOTSTRAP : `${own.host || '127.0.0.1'}:${own.port}`
  const bootstrap = options.bootstrap ?? known
  const findings: Finding[] = []
  try {
    await withCluster({ ...options, bootstrap }, async (cluster) => {
      const { brokers, clusterId } = await brokersOf(cluster)
      findings.push(finding('cluster', 'ok', `${clusterId} with ${brokers.length} nodes`))
      const fenced = brokers.filter((one) => one.isFenced).map((one) => one.brokerId)
      if (fenced.length > 0) {
        const says = `these nodes do not answer the controller: ${fenced.join(', ')}; start them`
        findings.push(finding('cluster', 'fail', says))
      }
      const advertised = brokers
        .filter((one) => !one.isFenced)
        .map(({ brokerId, host, port }) => ({ nodeId: brokerId, host, port }))
      const host = bootstrap
        .split(',')[0]!
        .replace(/:\d+$/, '')
        .replace(/^\[|\]$/g, '')
      findings.push(...(await advertisedFindings(advertised, host)))
    })
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    // Before the first start there is nobody yet; whoever names brokers expects them.
    const verdict = options.bootstrap === undefined ? 'warn' : 'fail'
    const says = `no broker answers at ${bootstrap}: start one, or pass --bootstrap HOST:PORT`
    findings.push(finding('cluster', verdict, says))
  }
  return findings
}
