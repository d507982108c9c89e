/** The system's clocks and timers. */
import type { Clock, Timer } from '../clock.ts'

/** A longer delay would wrap around in the timer of Node and fire at once. */
const TIMER_MS_MAX = 2 ** 31 - 1

class RealTimer implements Timer {
  readonly #dueMs: number
  readonly #run: () => void
  #timeout: NodeJS.Timeout | undefined

  constructor(delayMs: number, run: () => void) {
    this.#dueMs = performance.now() + delayMs
    this.#run = run
    this.#arm(delayMs)
  }

  cancel(): void {
    clearTimeout(this.#timeout)
    this.#timeout = undefined
  }

  #arm(delayMs: number): void {
    this.#timeout = setTimeout(() => this.#fired(), Math.min(Math.ceil(delayMs), TIMER_MS_MAX))
  }

  /** The timers of Node count whole milliseconds, and may be up to one early. */
  #fired(): void {
    const restMs = this.#dueMs - performance.now()
    if (restMs > 0) {
      this.#arm(restMs)
      return
    }
    this.#timeout = undefined
    this.#run()
  }
}

export const realClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, run) => new RealTimer(Math.max(0, delayMs), run),
  soon(run) {
    setImmediate(run)
  },
}
