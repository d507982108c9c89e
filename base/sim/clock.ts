/**
 * One node's clock in a simulation. The wall clock may be off, run fast or slow, and jump;
 * monotonic time and timers follow the scheduler. Timers of a process that died never fire.
 */
import type { Clock, Timer } from '../clock.ts'
import type { Scheduler } from './scheduler.ts'

/** Wall clock at the start of each simulation: 2026-01-01T00:00:00Z. */
export const SIM_EPOCH_MS = 1_767_225_600_000

/** Whether the process that owns something still lives. */
export interface Life {
  readonly isAlive: boolean
}

export const ALWAYS_ALIVE: Life = { isAlive: true }

export class SimClock implements Clock {
  /** Added to the wall clock; may be changed at any time, as an operator or NTP would. */
  offsetMs = 0
  /** Extra milliseconds of the wall clock per second of virtual time. */
  skewMsPerSecond = 0
  readonly #scheduler: Scheduler
  readonly #life: Life
  readonly #label: string

  constructor(scheduler: Scheduler, life: Life = ALWAYS_ALIVE, label = 'clock') {
    this.#scheduler = scheduler
    this.#life = life
    this.#label = label
  }

  nowMs(): number {
    const elapsedMs = this.#scheduler.nowUs / 1000
    const skewMs = (elapsedMs / 1000) * this.skewMsPerSecond
    return Math.floor(SIM_EPOCH_MS + this.offsetMs + elapsedMs + skewMs)
  }

  monotonicMs(): number {
    return this.#scheduler.nowUs / 1000
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#scheduler.after(delayMs * 1000, `${this.#label} timer`, () => {
      if (this.#life.isAlive) run()
    })
  }

  soon(run: () => void): void {
    this.#scheduler.after(0, `${this.#label} soon`, () => {
      if (this.#life.isAlive) run()
    })
  }
}
