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
 *
 * Leadership also moves away from a broker that is not fenced. So an answered heartbeat counts only
 * once this node has applied what the controller's log had by then: a leader that can't follow the
 * metadata has no lease a session's length after the change that it misses, and its successor waits
 * for that (replication/predecessors.ts).
 */
import { assert } from '../../base/assert.ts'

/** A twentieth less: clocks of two machines run at different rates. */
const CLOCK_RATE = 0.95
/** Answers that wait for the image. More than these are behind by so much that the lease may end. */
const PENDING_MAX = 64

interface Pending {
  readonly metadataOffset: number
  readonly untilMs: number
}

export class Lease {
  /** There is no other controller, and can be none. */
  isEndless = false
  #untilMs = Number.NEGATIVE_INFINITY
  readonly #lengthMs: number
  /** When heartbeats were sent that have no answer yet, by their number. */
  readonly #sentMs = new Map<number, number>()
  readonly #appliedOffset: () => number
  #pending: Pending[] = []

  /** `appliedOffset`: the last one of the metadata in this node's image. */
  constructor(sessionTimeoutMs: number, appliedOffset: () => number) {
    assert(sessionTimeoutMs > 0, 'a session has a length')
    this.#lengthMs = sessionTimeoutMs * CLOCK_RATE
    this.#appliedOffset = appliedOffset
  }

  /** Monotonic. */
  get untilMs(): number {
    if (this.isEndless) return Number.POSITIVE_INFINITY
    if (this.#pending.length > 0) this.#settle()
    return this.#untilMs
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
   * It counts when this node's image has `metadataOffset`. `atMostMs`: the lease is no longer than
   * that, from when the heartbeat was sent.
   */
  answered(
    sequence: number,
    {
      metadataOffset,
      atMostMs = Number.POSITIVE_INFINITY,
    }: { readonly metadataOffset: number; readonly atMostMs?: number },
  ): void {
    const sentMs = this.#sentMs.get(sequence)
    if (sentMs === undefined) return
    this.#sentMs.delete(sequence)
    const lengthMs = Math.min(this.#lengthMs, atMostMs * CLOCK_RATE)
    this.#pending.push({ metadataOffset, untilMs: sentMs + lengthMs })
    this.#settle()
  }

  #settle(): void {
    const appliedOffset = this.#appliedOffset()
    const waiting: Pending[] = []
    for (const one of this.#pending) {
      if (one.metadataOffset > appliedOffset) waiting.push(one)
      else this.#untilMs = Math.max(this.#untilMs, one.untilMs)
    }
    this.#pending = waiting.slice(-PENDING_MAX)
  }

  /** The broker is fenced, or registers anew. */
  end(): void {
    this.#sentMs.clear()
    this.#pending = []
    this.isEndless = false
    this.#untilMs = Number.NEGATIVE_INFINITY
  }
}
