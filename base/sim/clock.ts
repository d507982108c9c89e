/**
 * One node's clock in a simulation. The wall clock may be off, run fast or slow, and jump;
 * monotonic time and timers follow the scheduler. Timers of a process that died never fire.
 */
import type { Clock, Timer } from '../clock.ts'
import type { Scheduler, SimEvent } from './scheduler.ts'

/** Wall clock at the start of each simulation: 2026-01-01T00:00:00Z. */
export const SIM_EPOCH_MS = 1_767_225_600_000

/** Whether the process that owns something still lives. */
export interface Life {
  /** Now, later when it is frozen, never when it has ended. */
  run(act: () => void): void
}

export const ALWAYS_ALIVE: Life = { run: (act) => act() }

export class SimClock implements Clock {
  /** Added to the wall clock; may be changed at any time, as an operator or NTP would. */
  offsetMs = 0
  /** Extra milliseconds of the wall clock per second of virtual time. */
  skewMsPerSecond = 0
  /** Timers that neither ran nor were cancelled. */
  pendingTimers = 0
  readonly #scheduler: Scheduler
  readonly #life: Life
  readonly #timerLabel: string
  readonly #soonLabel: string

  constructor(scheduler: Scheduler, life: Life = ALWAYS_ALIVE, label = 'clock') {
    this.#scheduler = scheduler
    this.#life = life
    this.#timerLabel = `${label} timer`
    this.#soonLabel = `${label} soon`
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
    this.pendingTimers++
    const timer = new SimTimer(run, () => {
      this.pendingTimers--
    })
    timer.event = this.#scheduler.after(delayMs * 1000, this.#timerLabel, () => {
      this.#life.run(() => timer.fire())
    })
    return timer
  }

  soon(run: () => void): void {
    this.#scheduler.after(0, this.#soonLabel, () => this.#life.run(run))
  }
}

/** One that is due while its process is frozen can still be cancelled. */
class SimTimer implements Timer {
  event: SimEvent | undefined
  #run: (() => void) | undefined
  readonly #settled: () => void

  constructor(run: () => void, settled: () => void) {
    this.#run = run
    this.#settled = settled
  }

  fire(): void {
    const run = this.#run
    if (run === undefined) return
    this.#run = undefined
    this.#settled()
    run()
  }

  cancel(): void {
    if (this.#run === undefined) return
    this.#run = undefined
    this.#settled()
    this.event?.cancel()
  }
}
