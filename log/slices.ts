/** Long work in the background, cut into slices, so that the event loop keeps turning. */
import { type Clock, delay } from '../base/clock.ts'

const SLICE_MS = 2

/** Ends the work for a moment whenever it has taken a slice of time. */
export class Slices {
  readonly #clock: Clock
  #since: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#since = clock.monotonicMs()
  }

  isOver(): boolean {
    return this.#clock.monotonicMs() - this.#since >= SLICE_MS
  }

  async rest(): Promise<void> {
    await delay(this.#clock, 0)
    this.#since = this.#clock.monotonicMs()
  }
}
