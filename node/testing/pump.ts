/**
 * Lets a simulation live in real time: its clock follows the real one, and it sleeps until something
 * is due or somebody wakes it.
 *
 * Invariant: virtual time never runs ahead of real time while the pump works.
 */
import { assert } from '../../base/assert.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import type { Scheduler } from '../../base/sim/scheduler.ts'

/** A process that stood still for longer (a laptop that slept) does not catch up. */
const LATE_MAX_MS = 500

export class Pump {
  readonly #scheduler: Scheduler
  readonly #clock: Clock
  /** Virtual minus real time. */
  #offsetMs = 0
  #isClosed = false
  #isAwake = false
  #wake: (() => void) | undefined
  #ended: Promise<void> | undefined

  constructor(scheduler: Scheduler, clock: Clock) {
    this.#scheduler = scheduler
    this.#clock = clock
  }

  start(): void {
    assert(this.#ended === undefined, 'started once')
    this.#offsetMs = this.#scheduler.nowMs - this.#clock.monotonicMs()
    this.#ended = this.#loop()
  }

  /** Something came in from outside. */
  wake(): void {
    this.#isAwake = true
    this.#wake?.()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.wake()
    await this.#ended
  }

  async #loop(): Promise<void> {
    while (!this.#isClosed) {
      this.#isAwake = false
      const late = this.#targetMs() - this.#scheduler.nowMs
      if (late > LATE_MAX_MS) this.#offsetMs -= late - LATE_MAX_MS
      await this.#scheduler.run(this.#targetMs())
      const waitMs = this.#scheduler.nextAtMs - this.#targetMs()
      if (!this.#isAwake && waitMs > 0) await this.#sleep(waitMs)
    }
  }

  #targetMs(): number {
    return this.#clock.monotonicMs() + this.#offsetMs
  }

  /** Until the time is over, or `wake`. */
  #sleep(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      let timer: Timer | undefined
      this.#wake = () => {
        this.#wake = undefined
        timer?.cancel()
        resolve()
      }
      if (Number.isFinite(waitMs)) timer = this.#clock.after(waitMs, this.#wake)
    })
  }
}
