/**
 * Root hooks of the tests: a run in which something that was started was not stopped fails. What
 * counts: timers, sockets, servers and requests that keep the loop alive, and files still open.
 */
import { readdirSync, readlinkSync } from 'node:fs'

const PATIENCE_MS = 2000
const LOOK_AGAIN_MS = 20

let before = new Map<string, number>()

export const mochaHooks = {
  async beforeAll(): Promise<void> {
    await turn()
    before = resources()
  },
  async afterAll(this: Mocha.Context): Promise<void> {
    this.timeout(2 * PATIENCE_MS)
    await turn()
    let leaks = leaked()
    for (let waitedMs = 0; leaks.length > 0 && waitedMs < PATIENCE_MS; waitedMs += LOOK_AGAIN_MS) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))
      await turn()
      leaks = leaked()
    }
    if (leaks.length > 0) throw new Error(`left behind by the tests: ${leaks.join(', ')}`)
  },
}

/** Mocha's own timer is there after it, both times, and the timer that woke us is gone. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function leaked(): string[] {
  const leaks: string[] = []
  for (const [kind, count] of resources()) {
    const more = count - (before.get(kind) ?? 0)
    if (more > 0) leaks.push(`${more} x ${kind}`)
  }
  return leaks
}

function resources(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const kind of [...process.getActiveResourcesInfo(), ...openFiles()]) {
    // Immediates end by themselves; the loop that looks is one.
    if (kind !== 'Immediate') counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return counts
}

/** Paths of the regular files that this process has open, where the system tells. */
function openFiles(): string[] {
  if (process.platform !== 'linux') return []
  const paths: string[] = []
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      const path = readlinkSync(`/proc/self/fd/${name}`)
      if (isRegular(path)) paths.push(`open file ${path}`)
    } catch {
      // The descriptor of the listing itself.
    }
  }
  return paths
}

function isRegular(path: string): boolean {
  return path.startsWith('/') && !path.startsWith('/dev/') && !path.startsWith('/proc/')
}
