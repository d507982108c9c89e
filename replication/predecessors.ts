/**
 * Who led a partition before, is not fenced, and may not know yet that another leads: until it does,
 * or its lease is over, it answers readers with the end that it knows. A successor that showed more
 * meanwhile would make that an old end: so its watermark waits (acks=all and reads with it).
 *
 * The time is counted from when the successor heard of the change, which is later than when it was
 * decided; a leader's lease counts from heartbeats that the controller answered before that.
 */
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'

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

/** What a replica is told of time and others. */
export interface HoldParts {
  readonly clock: Clock
  /** How long another node may lead on in ignorance, once this one knows better. */
  leaseMs?(): number
  /** The node is a broker that is not fenced. */
  isServing?(nodeId: number): boolean
}

/**
 * Whether one replica, if it leads, holds back what it has more than those before it. Costs nothing
 * where nobody led before.
 */
export class Hold {
  readonly #nodeId: number
  readonly #parts: HoldParts
  #predecessors: Predecessors | undefined

  constructor(nodeId: number, parts: HoldParts) {
    this.#nodeId = nodeId
    this.#parts = parts
  }

  /** As it was found when it was last looked at. */
  get isOn(): boolean {
    return this.#predecessors !== undefined
  }

  /** `newEpoch` follows the one that was known, perhaps not at once. */
  note(leaderId: number, leaderEpoch: number, newEpoch: number): void {
    assert(newEpoch > leaderEpoch, 'epochs rise')
    const { leaseMs, clock } = this.#parts
    if (leaseMs === undefined) return
    const untilMs = clock.monotonicMs() + leaseMs()
    const wasOther = leaderId >= 0 && leaderId !== this.#nodeId
    const isSkipped = newEpoch > leaderEpoch + 1
    if (!wasOther && !isSkipped) return
    this.#predecessors ??= new Predecessors()
    if (wasOther) this.#predecessors.add(leaderId, untilMs)
    if (isSkipped) this.#predecessors.add(UNKNOWN_LEADER, untilMs)
  }

  /** It follows in the epoch of now. */
  forget(nodeId: number): void {
    this.#predecessors?.remove(nodeId)
  }

  /** Looks at who is left. */
  check(): boolean {
    const predecessors = this.#predecessors
    if (predecessors === undefined) return false
    const isServing = (id: number) => id !== this.#nodeId && this.#parts.isServing?.(id) === true
    if (predecessors.mayAnswer(this.#parts.clock.monotonicMs(), isServing)) return true
    this.#predecessors = undefined
    return false
  }
}
