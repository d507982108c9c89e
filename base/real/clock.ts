/** The system's clocks and timers. */
import type { Clock, Timer } from '../clock.ts'

/** Node fires longer timers at once. */
const TIMEOUT_MS_MAX = 0x7fff_ffff

export const realClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, run) => start(delayMs, run),
  soon: (run) => {
    setImmediate(run)
  },
}

function start(delayMs: number, run: () => void): Timer {
  if (delayMs > TIMEOUT_MS_MAX) {
    let timer = realClock.after(TIMEOUT_MS_MAX, () => {
      timer = realClock.after(delayMs - TIMEOUT_MS_MAX, run)
    })
    return { cancel: () => timer.cancel() }
  }
  const handle = setTimeout(run, Math.max(0, Math.ceil(delayMs)))
  return { cancel: () => clearTimeout(handle) }
}
