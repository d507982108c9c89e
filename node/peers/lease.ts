/**
 * Until when this broker can't have been fenced: the controller fences whom it has not heard for a
 * session's length, so a heartbeat that it has answered keeps the broker for as long, from when it
 * was sent. Who leads partitions and coordinates groups may speak for them no longer than that: by
 * then others may have taken over, and have answered more.
 *
 * Another controller changes nothing: a controller answers only after a majority of the quorum has
 * confirmed it, so the next one is elected an election timeout later at the earliest, and gives
 * every broker a session of its own. The exception is the broker of the controller before, which
 * the next one may fence at once: its own answers keep it for an election timeout only.
 *
 * Without waiting is fenced whose process is known to be gone.
 */
import { assert } from '../../base/assert.ts'

/** A twentieth less: clocks of two machines run at different rates. */
const CLOCK_RATE = 0.95

export class Lease {
  /** There is no other controller, and can be none. */
  isEndless = false
  #untilMs = Number.NEGATIVE_INFINITY
  readonly #lengthMs: number
  /** When heartbeats were sent that have no answer yet, by their number. */
  readonly #sentMs = new Map<number, number>()

  constructor(sessionTimeoutMs: number) {
    assert(sessionTimeoutMs > 0, 'a session has a length')
    this.#lengthMs = sessionTimeoutMs * CLOCK_RATE
  }

  /** Monotonic. */
  get untilMs(): number {
    return this.isEndless ? Number.POSITIVE_INFINITY : this.#untilMs
  }

  sent(sequence: number, nowMs: number): void {
    this.#sentMs.set(sequence, nowMs)
    // Without an answer they soon prove nothing.
    for (const [earlier, sentMs] of this.#sentMs) {
      if (nowMs - sentMs < this.#lengthMs) break
      this.#sentMs.delete(earlier)
    }
  }

  /**
   * The controller knows the broker as one that serves; so it did when the heartbeat was sent.
   * `atMostMs`: the lease is no longer than that, from then.
   */
  answered(sequence: number, atMostMs = Number.POSITIVE_INFINITY): void {
    const sentMs = this.#sentMs.get(sequence)
    if (sentMs === undefined) return
    this.#sentMs.delete(sequence)
    const lengthMs = Math.min(this.#lengthMs, atMostMs * CLOCK_RATE)
    this.#untilMs = Math.max(this.#untilMs, sentMs + lengthMs)
  }

  /** The broker is fenced, or registers anew. */
  end(): void {
    this.#sentMs.clear()
    this.isEndless = false
    this.#untilMs = Number.NEGATIVE_INFINITY
  }
}
