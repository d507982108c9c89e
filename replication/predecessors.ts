/**
 * Who led a partition before, is not fenced, and may not know yet that another leads: until it does,
 * or its lease is over, it answers readers with the end that it knows. A successor that showed more
 * meanwhile would make that an old end: so its watermark waits (acks=all and reads with it).
 *
 * The time is counted from when the successor heard of the change, which is later than when it was
 * decided; a leader's lease counts from heartbeats that the controller answered before that.
 */
import { assert } from '../base/assert.ts'

/** Led in an epoch of which this node never heard. */
export const UNKNOWN_LEADER = -1

export class Predecessors {
  /** Node -> when its lease is over; monotonic. */
  readonly #untilMs = new Map<number, number>()

  /** `nodeId` leads no more. */
  add(nodeId: number, untilMs: number): void {
    assert(nodeId >= UNKNOWN_LEADER, 'a node, or one that is not known')
    this.#untilMs.set(nodeId, Math.max(untilMs, this.#untilMs.get(nodeId) ?? untilMs))
  }

  /** It knows of the epoch of now. */
  remove(nodeId: number): void {
    this.#untilMs.delete(nodeId)
  }

  /** May one of them still answer? Who is fenced once counts no more: its lease was over. */
  mayAnswer(nowMs: number, isServing: (nodeId: number) => boolean): boolean {
    for (const [nodeId, untilMs] of this.#untilMs) {
      const isGone = nodeId !== UNKNOWN_LEADER && !isServing(nodeId)
      if (isGone || untilMs <= nowMs) this.#untilMs.delete(nodeId)
    }
    return this.#untilMs.size > 0
  }
}
