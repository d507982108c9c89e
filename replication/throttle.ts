/**
 * Holds back what is sent to followers that have to catch up, on the replicas that a person has named
 * (KIP-73): so that a reassignment leaves the network to the clients. Followers in the ISR are never
 * held back.
 *
 * Invariant: over any time more than a moment the bytes sent are at most the rate times that time.
 */
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'

/** What may be sent at once after a pause. */
const BURST_MS = 100

export class Throttle {
  readonly #clock: Clock
  readonly #bytesPerSecond: () => number
  /** Bytes that may be sent now; below 0 after a message that was larger. */
  #balance = 0
  #filledMs: number

  /** The rate is asked for each time, since people change it. */
  constructor(clock: Clock, bytesPerSecond: () => number) {
    this.#clock = clock
    this.#bytesPerSecond = bytesPerSecond
    this.#filledMs = clock.monotonicMs()
  }

  /** A message may be sent, whatever its size. */
  isOpen(): boolean {
    this.#fill()
    return this.#balance >= 0
  }

  spend(bytes: number): void {
    assert(bytes >= 0, 'what is sent has a size')
    this.#fill()
    this.#balance -= bytes
  }

  /** Until `isOpen` says yes; at most a second, since the rate may change. */
  waitMs(): number {
    this.#fill()
    const rate = this.#bytesPerSecond()
    if (this.#balance >= 0) return 0
    return rate <= 0 ? 1000 : Math.min(1000, Math.ceil((-this.#balance / rate) * 1000))
  }

  #fill(): void {
    const nowMs = this.#clock.monotonicMs()
    assert(nowMs >= this.#filledMs, 'monotonic time goes on')
    const rate = this.#bytesPerSecond()
    const most = (rate * BURST_MS) / 1000
    const more = (rate * (nowMs - this.#filledMs)) / 1000
    // A rate of 0 sends nothing more at all.
    this.#balance = rate <= 0 ? Math.min(this.#balance, -1) : Math.min(most, this.#balance + more)
    this.#filledMs = nowMs
  }
}
