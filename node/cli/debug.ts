/**
 * odradek debug bundle: one archive that somebody else can look at. It holds what nodes show over
 * HTTP, settings files and the ends of logs; secrets are taken out of all of them, and records are
 * never in it.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import { arch, cpus, freemem, loadavg, release, totalmem, uptime } from 'node:os'
import { basename } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Command } from 'commander'
import { UserError } from '../../base/errors.ts'
import { brokerSetting } from '../config.ts'
import { VERSION } from '../version.ts'
import { systemText } from './doctor-checks.ts'
import { print, say } from './output.ts'
import { EXIT } from './session.ts'
import { type TarEntry, tarOf } from './tar.ts'

interface BundleOptions {
  readonly http: string
  readonly settings?: string[]
  readonly log?: string[]
  readonly file?: string
}

/** What each node is asked for, and the name that the answer has in the archive. */
const PAGES: readonly (readonly [path: string, name: string])[] = [
  ['/readyz', 'ready.json'],
  ['/metrics', 'metrics.txt'],
  ['/api/v1/cluster', 'cluster.json'],
  ['/api/v1/quorum', 'quorum.json'],
  ['/api/v1/topics', 'topics.json'],
  ['/api/v1/groups', 'groups.json'],
  ['/api/v1/throughput', 'throughput.json'],
  ['/api/v1/config', 'config.json'],
]
const PAGE_TIMEOUT_MS = 5000
const LOG_BYTES_MAX = 2 * 1024 * 1024
const SECRET_NAME = /password|passwd|secret|token|jaas|credential|\.key$/i
/** NAME=VALUE, NAME: VALUE and "NAME":"VALUE", to the end of the value. */
const SECRET_IN_TEXT =
  /([\w.-]*(?:password|passwd|secret|token|jaas\.config|credential)[\w.-]*"?\s*[=:]\s*)("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;}]+)/gi
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g

export function addDebugCommands(program: Command): void {
  program
    .command('debug')
    .description('collect what somebody else needs to help')
    .command('bundle')
    .description('settings, logs, metrics and state in one archive, without secrets and records')
    .option('--http <addresses>', 'http.address of nodes, by comma', '127.0.0.1:9644')
    .option('--settings <files...>', 'settings files to put in, secrets removed')
    .option('--log <files...>', 'log files of which to put in the last 2 MiB, secrets removed')
    .option('--file <path>', 'the archive (default: odradek-bundle-TIME.tar.gz)')
    .action(bundle)
}

async function bundle(options: BundleOptions): Promise<void> {
  const nowMs = Date.now()
  const addresses = options.http.split(',').map((address) => address.trim())
  const nodes = await Promise.all(addresses.map(pagesOf))
  const entries = [
    textEntry('machine.json', JSON.stringify(machine(nowMs), null, 2)),
    ...(options.settings ?? []).map((path, at) => settingsEntry(path, at)),
    ...(options.log ?? []).map((path, at) => logEntry(path, at)),
    ...nodes.flat(),
  ]
  const stamp = new Date(nowMs)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '')
  const file = options.file ?? `odradek-bundle-${stamp}.tar.gz`
  try {
    writeFileSync(file, gzipSync(tarOf(entries, nowMs)), { mode: 0o600, flag: 'wx' })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why = code === 'EEXIST' ? 'is there already' : `can't be written (${code})`
    throw new UserError(`${file} ${why}: pass another --file`, EXIT.failure, { cause: error })
  }
  print(file)
  const silent = addresses.filter((_, at) => nodes[at]!.length === 1)
  if (silent.length > 0) say(`odradek: these did not answer: ${silent.join(', ')}`)
  say(`${entries.length} files; look through them before you give them away`)
}

function machine(nowMs: number) {
  return {
    odradek: VERSION,
    node: process.versions.node,
    system: `${process.platform} ${release()} ${arch()}`,
    time: new Date(nowMs).toISOString(),
    uptimeSeconds: Math.round(uptime()),
    processors: cpus().length,
    loadAverage: loadavg(),
    memoryBytes: { total: totalmem(), free: freemem() },
    limits: systemText('/proc/self/limits')?.split('\n') ?? null,
  }
}

/** One entry, which says why, when the node does not answer. */
async function pagesOf(address: string): Promise<TarEntry[]> {
  const folder = `node-${address.replace(/[^\w.-]/g, '_').slice(0, 60)}`
  const entries: TarEntry[] = []
  for (const [path, name] of PAGES) {
    try {
      const signal = AbortSignal.timeout(PAGE_TIMEOUT_MS)
      const response = await fetch(`http://${address}${path}`, { signal })
      entries.push(textEntry(`${folder}/${name}`, withoutSecrets(await response.text())))
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
      entries.push(textEntry(`${folder}/no-answer.txt`, `${path}: ${String(cause)}\n`))
      break
    }
  }
  return entries
}

function settingsEntry(path: string, at: number): TarEntry {
  return textEntry(
    nameOf('settings', at, path),
    withoutSecretSettings(readable(path, readFileSync)),
  )
}

function logEntry(path: string, at: number): TarEntry {
  return textEntry(nameOf('log', at, path), withoutSecrets(readable(path, endOf)))
}

function nameOf(kind: string, at: number, path: string): string {
  return `${kind}-${at + 1}-${basename(path)
    .replace(/[^\w.-]/g, '_')
    .slice(-60)}`
}

function readable(path: string, read: (path: string) => Buffer): string {
  try {
    return read(path).toString('utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new UserError(`${path} can't be read (${code}): leave it out, or mend that`, 2, {
      cause: error,
    })
  }
}

/** The last lines of a file, from the beginning of one. */
function endOf(path: string): Buffer {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    const sizeBytes = Math.min(size, LOG_BYTES_MAX)
    const bytes = Buffer.alloc(sizeBytes)
    const length = readSync(file, bytes, 0, sizeBytes, size - sizeBytes)
    const start = size > sizeBytes ? bytes.indexOf('\n') + 1 : 0
    return bytes.subarray(start, length)
  } finally {
    closeSync(file)
  }
}

const textEntry = (name: string, text: string): TarEntry => ({ name, content: Buffer.from(text) })

/** A properties file in which no secret has its value; lines that go on are one value. */
export function withoutSecretSettings(text: string): string {
  let isHiding = false
  const lines: string[] = []
  for (const line of text.split('\n')) {
    const goesOn = /(?:^|[^\\])(?:\\\\)*\\$/.test(line)
    if (isHiding) {
      isHiding = goesOn
      continue
    }
    const match = /^\s*([^\s=:#!]+)\s*[=:\s]/.exec(line)
    const isSecret = match !== null && isSecretName(match[1]!)
    lines.push(isSecret ? `${match[1]}=(hidden)` : withoutSecrets(line))
    isHiding = isSecret && goesOn
  }
  return withoutSecrets(lines.join('\n'))
}

function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) || brokerSetting(name)?.type === 'PASSWORD'
}

/** Any text in which nothing that is called a secret has its value. */
export function withoutSecrets(text: string): string {
  return text.replace(PRIVATE_KEY, '(hidden key)').replace(SECRET_IN_TEXT, '$1(hidden)')
}
