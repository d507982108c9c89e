/**
 * A lock file that names the process which holds it.
 *
 * Promised on one machine (and one set of process ids): two living processes never hold the same
 * path, however many start at once, and a lock whose process is gone can be taken. Not promised:
 * anything between machines that share a directory.
 *
 * The file is made whole under a name of its own and then linked to the path, so nobody sees half a
 * lock. Whoever wants to remove a dead process's lock first takes a second lock, named after that
 * very one (its nonce), looks again, and removes it only if it is still the same: so nobody can
 * remove the lock of a starter who was quicker.
 */
import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import type { DiskLock } from '../disk.ts'

const DAMAGED = 'damaged'

interface Holder {
  readonly pid: number
  /** Tells a process from a later one with the same id; empty where the system doesn't say. */
  readonly started: string
  readonly nonce: string
}

/** Undefined when another living process, or this one, holds it. Throws what node:fs throws. */
export function lockFile(path: string): DiskLock | undefined {
  const nonce = randomBytes(8).toString('hex')
  const own = `${path}.${nonce}.new`
  const holder: Holder = { pid: process.pid, started: startOf(process.pid), nonce }
  writeFileSync(own, JSON.stringify(holder), { flag: 'wx' })
  try {
    if (!link(own, path) && !(removeDead(path) && link(own, path))) return undefined
  } finally {
    unlinkSync(own)
  }
  return { release: () => removeIfHeldBy(path, nonce) }
}

/** True when the path is free now; somebody else may be quicker to take it. */
function removeDead(path: string): boolean {
  const holder = read(path)
  if (holder === undefined) return true
  if (holder !== DAMAGED && isAlive(holder)) return false
  const nonce = holder === DAMAGED ? DAMAGED : holder.nonce
  const guard = lockFile(`${path}.${nonce}`)
  if (guard === undefined) return false
  try {
    removeIfHeldBy(path, nonce)
    return true
  } finally {
    guard.release()
  }
}

function removeIfHeldBy(path: string, nonce: string): void {
  const holder = read(path)
  if (holder === undefined) return
  if ((holder === DAMAGED ? DAMAGED : holder.nonce) === nonce) unlinkSync(path)
}

/** The living process that holds the path; undefined when none does. */
export function holderOf(path: string): number | undefined {
  const holder = read(path)
  if (holder === undefined || holder === DAMAGED || !isAlive(holder)) return undefined
  return holder.pid
}

function link(own: string, path: string): boolean {
  try {
    linkSync(own, path)
    return true
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    throw error
  }
}

/** Undefined: no such file. A file that a power loss cut is damaged, and so nobody's. */
function read(path: string): Holder | typeof DAMAGED | undefined {
  try {
    const { pid, started, nonce } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Holder>
    const isWhole =
      Number.isInteger(pid) && typeof started === 'string' && /^\w+$/.test(nonce ?? '')
    return isWhole ? ({ pid, started, nonce } as Holder) : DAMAGED
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    if (error instanceof SyntaxError) return DAMAGED
    throw error
  }
}

function isAlive(holder: Holder): boolean {
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return false // EPERM: it lives and is not ours
  }
  return holder.started === startOf(holder.pid)
}

/** The machine's start and the process's start within it, where /proc tells them. */
function startOf(pid: number): string {
  if (process.platform !== 'linux') return ''
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field, the program's name, may hold anything but its last ')'.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // Dead, and its parent (often one that never looks, in a container) has not taken note.
    if (fields[0] === 'Z' || fields[0] === 'X') return ''
    return `${boot}/${fields[19]}`
  } catch {
    return ''
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
