/** odradek start FILE: one node in the foreground. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { UserError } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import { realClock } from '../../base/real/clock.ts'
import { CutList, CutRpc } from '../../base/real/cut-rpc.ts'
import { realLogger } from '../../base/real/logger.ts'
import { realWorld } from '../../base/real/world.ts'
import { GrpcRpc } from '../../proto/rpc.ts'
import { AdminServer, isReachable } from '../admin.ts'
import { NodeAdmin } from '../admin-source.ts'
import { loadSettings, type Profile } from '../config/load.ts'
import type { Settings } from '../config.ts'
import { PrometheusMetrics } from '../metrics.ts'
import { Node } from '../node.ts'
import { nodeCertificates } from '../peers/ssl.ts'
import { openFilesFinding, systemText } from './doctor-checks.ts'
import { say } from './output.ts'
import { asSentence } from './storage-sentence.ts'

export interface StartOptions {
  readonly set?: string[]
  readonly profile?: string
  readonly logLevel: string
}

const LOOPBACK: readonly string[] = ['127.0.0.1', 'localhost', '::1']
const DAY_MS = 86_400_000
const EXPIRY_WARNING_DAYS = 30
const LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
const PROFILES: readonly Profile[] = ['dev', 'test', 'prod']

export function addStartCommand(program: Command): void {
  program
    .command('start <file>')
    .description('run one node with the settings of a properties file')
    .option('--set <key=value...>', 'settings that override the file')
    .option('--profile <name>', 'defaults for dev, test or prod')
    .option('--log-level <level>', LEVELS.join(', '), 'info')
    .action(start)
}

async function start(file: string, options: StartOptions): Promise<void> {
  const profile = oneOf(PROFILES, options.profile ?? 'prod', '--profile')
  const settings = loadSettings({
    file: { path: file, text: readSettingsFile(file) },
    environment: process.env,
    flags: splitFlags(options.set ?? []),
    profile,
  })
  const metrics = new PrometheusMetrics(realClock, { hasProcess: true })
  const logger = realLogger({ level: oneOf(LEVELS, options.logLevel, '--log-level') })
  sayOpenFiles(logger)
  const rpc = rpcOf(settings, logger)
  // Under `odradek dev` links can be cut by `odradek chaos cut`.
  const cuts = new CutList(cutsFileOf(file))
  const links = profile === 'dev' ? new CutRpc(rpc, (address) => cuts.has(address)) : rpc
  const world = realWorld({ logger, metrics, rpc: links })
  // What can't be read later can't be trusted later: a node that can't write its metadata ends.
  const onFatal = (error: unknown) => {
    say(`odradek: the node ends: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(1)
  }
  // Before the node: who asks whether it lives or is ready has an answer while logs are opened.
  const admin = await listenForHttp(settings, logger)
  let node: Node
  try {
    node = await Node.start(world, settings, onFatal)
  } catch (error) {
    await admin?.close()
    throw asSentence(error)
  }
  admin?.show(new NodeAdmin(node, world, metrics))
  const where = node.endpoints.map((one) => `${one.name}://${one.host}:${one.port}`).join(', ')
  world.logger.info('The node is ready.', { node: settings.nodeId, listeners: where })
  tellSystemd('READY=1')
  stopOnSignals(node, admin, metrics)
}

/** Each segment, connection and stream is an open file: better said now than at the peak. */
function sayOpenFiles(logger: Logger): void {
  const { verdict, says } = openFilesFinding(systemText('/proc/self/limits'))
  if (verdict === 'fail') logger.warn('Few files may be open.', { limit: says })
  if (verdict === 'warn') logger.info('Not many files may be open.', { limit: says })
}

/** Beside the settings of a node: the addresses of nodes that it does not reach. */
export const cutsFileOf = (settingsFile: string): string =>
  settingsFile.replace(/\.properties$/, '').concat('.cuts')

/** To other nodes: by certificates where the settings say so. */
function rpcOf(settings: Settings, logger: Logger): GrpcRpc {
  const nowMs = realClock.nowMs()
  const read = (path: string) => readFileSync(path, 'utf8')
  const certificates = nodeCertificates({ settings, read, nowMs })
  if (certificates === undefined) {
    const host = settings.controllerListener?.host ?? 'localhost'
    if (!LOOPBACK.includes(host)) {
      logger.warn('Nodes talk in the clear: whoever reaches the listener may pass for one.', {
        host,
      })
    }
    return new GrpcRpc({ clock: realClock })
  }
  const days = Math.floor((certificates.expiresAtMs - nowMs) / DAY_MS)
  if (days < EXPIRY_WARNING_DAYS) {
    logger.warn('The certificate of this node expires soon: make a new one.', { days })
  }
  return new GrpcRpc({ clock: realClock, certificates })
}

async function listenForHttp(settings: Settings, logger: Logger): Promise<AdminServer | undefined> {
  if (settings.httpAddress === undefined) return undefined
  const { host, port } = settings.httpAddress
  if (isReachable(host, port, settings.boolean('http.insecure'))) {
    logger.warn('Anybody who reaches http.address may read these pages.', { host, port })
  }
  const admin = new AdminServer(logger, namesIn(settings.text('http.hosts')))
  await admin.listen(host === '' ? '::' : host, port)
  return admin
}

/** From a text with commas. */
function namesIn(text: string): string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}

/** A unit of Type=notify waits for it; Node itself has no datagrams over sockets of the file system. */
function tellSystemd(state: 'READY=1' | 'STOPPING=1'): void {
  if (process.env['NOTIFY_SOCKET'] === undefined) return
  const child = spawn('systemd-notify', [state], { stdio: 'ignore' })
  child.on('error', (error) => say(`odradek: systemd-notify: ${error.message}`))
}

function stopOnSignals(
  node: Node,
  admin: AdminServer | undefined,
  metrics: PrometheusMetrics,
): void {
  let isStopping = false
  const stop = () => {
    if (isStopping) return
    isStopping = true
    tellSystemd('STOPPING=1')
    node.stop().then(
      async () => {
        await admin?.close()
        metrics.close()
        process.exit(0)
      },
      (error: unknown) => {
        say(`odradek: the node did not stop cleanly: ${String(error)}`)
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}

/** Throws UserError with the reason. */
export function readSettingsFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new UserError(`${path} can't be read: ${whyNot(error)}`, 2, { cause: error })
  }
}

function whyNot(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'EISDIR') return 'it is a directory'
  return code === 'EACCES' ? 'this user may not' : message
}

/** `key=value` texts. Throws UserError. */
export function splitFlags(texts: readonly string[]): Record<string, string> {
  const flags: Record<string, string> = {}
  for (const text of texts) {
    const at = text.indexOf('=')
    if (at < 1) throw new UserError(`--set takes key=value, not '${text}'`, 2)
    flags[text.slice(0, at)] = text.slice(at + 1)
  }
  return flags
}

function oneOf<T extends string>(known: readonly T[], text: string, flag: string): T {
  const found = known.find((one) => one === text)
  if (found === undefined) throw new UserError(`${flag} takes one of ${known.join(', ')}`, 2)
  return found
}
