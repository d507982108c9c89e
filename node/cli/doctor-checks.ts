/**
 * What `odradek doctor` looks at, one function a subject. Each finding is one sentence; what is
 * wrong says what to change. Nothing here changes anything: a port that is tried is let go at once.
 */
import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs'
import { connect, createServer, isIP } from 'node:net'
import { dirname, resolve } from 'node:path'

export type Verdict = 'ok' | 'warn' | 'fail'

export interface Finding {
  readonly check: string
  readonly verdict: Verdict
  /** One sentence. */
  readonly says: string
}

export interface Address {
  readonly host: string
  readonly port: number
}

const FILES_NEEDED = 10_000
const FILES_GOOD = 100_000
const FREE_FAIL = 0.05
const FREE_WARN = 0.15
const CLOCK_OFF_MS = 2000
/** Before this release was made: whoever shows such a time has no clock. */
const EARLIEST_MS = 1_767_225_600_000 // 2026-01-01
const CONNECT_TIMEOUT_MS = 3000
const NODE_NEEDED = [20, 19] as const

export const finding = (check: string, verdict: Verdict, says: string): Finding => ({
  check,
  verdict,
  says,
})

/** `running` as process.versions.node has it. */
export function versionFinding(running: string): Finding {
  const [major = 0, minor = 0] = running.split('.').map(Number)
  const [needMajor, needMinor] = NODE_NEEDED
  const isEnough = major > needMajor || (major === needMajor && minor >= needMinor)
  if (isEnough) return finding('node', 'ok', `Node ${running}`)
  const need = NODE_NEEDED.join('.')
  return finding('node', 'fail', `this is Node ${running}: install ${need} or newer`)
}

/** `limits` is the text of /proc/self/limits; undefined where there is none. */
export function openFilesFinding(limits: string | undefined): Finding {
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits ?? '')?.[1]
  if (soft === undefined) {
    return finding('open files', 'ok', 'not shown by this system: `ulimit -n` tells it')
  }
  const limit = soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
  if (limit >= FILES_GOOD) return finding('open files', 'ok', `${soft} may be open`)
  const says = `${soft} may be open: raise it (ulimit -n ${FILES_GOOD}, or LimitNOFILE of the unit)`
  return finding('open files', limit < FILES_NEEDED ? 'fail' : 'warn', says)
}

/** Is there room in `directory`, or where it will be made? */
export function diskFinding(directory: string): Finding {
  const check = 'disk'
  let place = resolve(directory)
  while (!existsSync(place) && place !== dirname(place)) place = dirname(place)
  try {
    accessSync(place, constants.W_OK)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why = code === 'EROFS' ? 'is on a read-only file system' : `can't be written (${code})`
    return finding(check, 'fail', `${place} ${why}: mend that, or change log.dirs`)
  }
  const { bavail, blocks, bsize } = statfsSync(place)
  return spaceFinding(place, { freeBytes: bavail * bsize, sizeBytes: blocks * bsize })
}

export function spaceFinding(
  place: string,
  { freeBytes, sizeBytes }: { freeBytes: number; sizeBytes: number },
): Finding {
  const share = sizeBytes === 0 ? 0 : freeBytes / sizeBytes
  const free = `${(freeBytes / 2 ** 30).toFixed(1)} GiB (${Math.floor(share * 100)} %) free`
  if (share >= FREE_WARN) return finding('disk', 'ok', `${place}: ${free}`)
  const says = `${place}: ${free}: make room, shorten the retention, or change log.dirs`
  return finding('disk', share < FREE_FAIL ? 'fail' : 'warn', says)
}

/** `nodeMs`: what the clock of a node shows, to the second; undefined when none was asked. */
export function clockFinding(nowMs: number, nodeMs?: number): Finding {
  const shown = new Date(nowMs).toISOString()
  if (nowMs < EARLIEST_MS) {
    return finding(
      'clock',
      'fail',
      `it is not ${shown}: set the clock (chrony or systemd-timesyncd)`,
    )
  }
  if (nodeMs === undefined) return finding('clock', 'ok', `${shown}, compared with nobody`)
  // The node's answer has whole seconds.
  const offMs = Math.abs(nowMs - nodeMs - 500)
  if (offMs <= CLOCK_OFF_MS) return finding('clock', 'ok', `${shown}, as on the node`)
  const seconds = Math.round(offMs / 1000)
  const says = `this machine and the node differ by ${seconds} s: set both by NTP (chronyc tracking)`
  return finding('clock', 'fail', says)
}

/** Can a node listen there? `isOurs` when one does already. */
export async function portFinding(
  what: string,
  { host, port }: Address,
  isOurs: () => Promise<boolean>,
): Promise<Finding> {
  const check = 'port'
  const code = await bindError({ host: host === '' ? '::' : host, port })
  const name = `${what} ${host === '' ? '*' : host}:${port}`
  switch (code) {
    case undefined:
      return finding(check, 'ok', `${name} is free`)
    case 'EADDRINUSE':
      if (await isOurs()) return finding(check, 'ok', `${name} is in use by the node that runs`)
      return finding(check, 'fail', `${name} is taken: stop what listens there, or change ${what}`)
    case 'EADDRNOTAVAIL':
      return finding(check, 'fail', `${name} is no address of this machine: change ${what}`)
    case 'EACCES':
      return finding(check, 'fail', `${name} needs more rights: take a port above 1023 for ${what}`)
    default:
      return finding(check, 'fail', `${name} can't be listened on (${code}): change ${what}`)
  }
}

function bindError({ host, port }: Address): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}

export interface Advertised extends Address {
  readonly nodeId: number
}

/** The commonest trouble of all: clients are sent to addresses that they can't reach. */
export async function advertisedFindings(
  brokers: readonly Advertised[],
  bootstrapHost: string,
  timeoutMs = CONNECT_TIMEOUT_MS,
): Promise<Finding[]> {
  const owners = new Map<string, number>()
  return Promise.all(
    brokers.map(async (broker) => {
      const { nodeId, host, port } = broker
      const address = `${host}:${port}`
      const other = owners.get(address)
      owners.set(address, nodeId)
      const change = `change advertised.listeners of node ${nodeId}`
      const fail = (says: string) => finding('advertised', 'fail', `${says}: ${change}`)
      if (other !== undefined) return fail(`nodes ${other} and ${nodeId} both advertise ${address}`)
      if (isLoopback(host) && !isLoopback(bootstrapHost)) {
        return fail(`node ${nodeId} advertises ${address}, where other machines find themselves`)
      }
      const code = await connectError(broker, timeoutMs)
      if (code === undefined) return finding('advertised', 'ok', `node ${nodeId}: ${address}`)
      return fail(`node ${nodeId} advertises ${address}, ${REASONS[code] ?? `(${code})`}`)
    }),
  )
}

const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'a name that this machine does not know',
  EAI_AGAIN: 'a name that this machine does not know',
  ECONNREFUSED: 'where nothing listens',
  EHOSTUNREACH: 'which this machine has no way to',
  ENETUNREACH: 'which this machine has no way to',
  ETIMEDOUT: 'which does not answer from here',
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** The code of the error, or undefined when a connection came about. */
function connectError({ host, port }: Address, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const end = (code: string | undefined) => {
      socket.destroy()
      resolve(code)
    }
    socket.setTimeout(timeoutMs, () => end('ETIMEDOUT'))
    socket.once('connect', () => end(undefined))
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
  })
}

/** The text of a file of the system; undefined where there is none. */
export function systemText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
