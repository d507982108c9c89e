/**
 * A directory's lock: a file that names the process that holds it. It is made under a name of its
 * own and linked into place, which the file system does for one process only. A lock whose process
 * is gone is taken over; the process's start time tells it from a later one with the same number.
 */
import fs from 'node:fs'
import type { DiskLock } from '../disk.ts'

const ATTEMPTS_MAX = 8

interface Holder {
  readonly pid: number
  readonly startedAt: string
}

/** Locks of this very process: a second taker in it is refused too. */
const held = new Set<string>()

/** Undefined when a living process holds it. */
export function takeLock(path: string): DiskLock | undefined {
  const key = fs.existsSync(path) ? fs.realpathSync(path) : path
  if (held.has(key)) return undefined
  const self: Holder = { pid: process.pid, startedAt: startOf(process.pid) ?? 'unknown' }
  const own = `${path}.${process.pid}`
  fs.writeFileSync(own, `${JSON.stringify(self)}\n`)
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      if (link(own, path)) return hold(path)
      const holder = read(path)
      if (holder !== undefined && isAlive(holder)) return undefined
      fs.rmSync(path, { force: true })
    }
    return undefined
  } finally {
    fs.rmSync(own, { force: true })
  }
}

function hold(path: string): DiskLock {
  const key = fs.realpathSync(path)
  held.add(key)
  let isReleased = false
  return {
    release: () => {
      if (isReleased) return
      isReleased = true
      held.delete(key)
      fs.rmSync(path, { force: true })
    },
  }
}

function link(from: string, to: string): boolean {
  try {
    fs.linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function read(path: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(fs.readFileSync(path, 'utf8'))
    if (typeof value !== 'object' || value === null) return undefined
    const { pid, startedAt } = value as Partial<Holder>
    return typeof pid === 'number' && typeof startedAt === 'string' ? { pid, startedAt } : undefined
  } catch {
    // Empty (Kafka's lock files are) or gone meanwhile: nobody's.
    return undefined
  }
}

function isAlive(holder: Holder): boolean {
  if (holder.pid === process.pid) return held.size > 0 && holder.startedAt === startOf(process.pid)
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  const startedAt = startOf(holder.pid)
  return startedAt === undefined || holder.startedAt === 'unknown' || startedAt === holder.startedAt
}

/** Linux tells when a process started, in clock ticks since boot; elsewhere unknown. */
function startOf(pid: number): string | undefined {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold spaces: count from its end.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}
