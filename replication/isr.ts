/**
 * The in-sync replicas of a partition as its leader knows them: what the controller has decided,
 * and what the leader has asked for and not heard of yet (KIP-497).
 *
 * Invariant: until the controller's answer is known the watermark counts the members of both sets
 * (the maximal ISR), so that it is right whichever of them is in force.
 */
import { assert } from '../base/assert.ts'

export interface IsrMember {
  readonly nodeId: number
  /** Of the registration in which the member was seen to be in sync; -1 not known. */
  readonly brokerEpoch: number
}

/** What a leader proposes to the controller: AlterPartition (56). */
export interface IsrChange {
  readonly topicId: string
  readonly index: number
  readonly leaderEpoch: number
  readonly partitionEpoch: number
  readonly isr: readonly IsrMember[]
}

export interface IsrVerdict {
  /** A Kafka error code; with 0 the rest is what holds now. */
  readonly error: number
  readonly leaderEpoch: number
  readonly partitionEpoch: number
  readonly isr: readonly number[]
}

export interface IsrPort {
  /**
   * Never rejects: a controller that can't be reached is an error code that may pass (7, 41). The
   * change may have been made whatever a passing error says.
   */
  alterPartition(change: IsrChange): Promise<IsrVerdict>
}

const UNKNOWN_TOPIC_OR_PARTITION = 3
const NOT_CONTROLLER = 41
const REQUEST_TIMED_OUT = 7
const FENCED_LEADER_EPOCH = 74
const INVALID_UPDATE_VERSION = 95
const UNKNOWN_TOPIC_ID = 100
const NEW_LEADER_ELECTED = 108

export class Isr {
  #committed: readonly number[]
  #partitionEpoch: number
  #proposed: readonly number[] | undefined

  constructor(committed: readonly number[], partitionEpoch: number) {
    assert(committed.length > 0, 'an ISR is never empty')
    this.#committed = committed
    this.#partitionEpoch = partitionEpoch
  }

  get committed(): readonly number[] {
    return this.#committed
  }

  get partitionEpoch(): number {
    return this.#partitionEpoch
  }

  get proposed(): readonly number[] | undefined {
    return this.#proposed
  }

  /** One proposal at a time. */
  get canPropose(): boolean {
    return this.#proposed === undefined
  }

  /** A member of what is decided, or of what is proposed. */
  counts(nodeId: number): boolean {
    return this.#committed.includes(nodeId) || this.#proposed?.includes(nodeId) === true
  }

  /** What the image or an answer says. Older news than what is known is ignored. */
  decided(isr: readonly number[], partitionEpoch: number): boolean {
    if (partitionEpoch <= this.#partitionEpoch) return false
    assert(isr.length > 0, 'an ISR is never empty')
    this.#committed = isr
    this.#partitionEpoch = partitionEpoch
    this.#proposed = undefined
    return true
  }

  propose(isr: readonly number[]): void {
    assert(this.canPropose, 'one proposal at a time')
    assert(isr.length > 0, 'the leader stays in its ISR')
    this.#proposed = isr
  }

  /** What to do after the controller has refused. */
  refused(error: number): 'again' | 'image' | 'dropped' {
    assert(error !== 0, 'a refusal has a code')
    if (this.#proposed === undefined) return 'dropped'
    switch (error) {
      case NOT_CONTROLLER:
      case REQUEST_TIMED_OUT:
        // It may have been made; asked again, the partition epoch tells.
        return 'again'
      case INVALID_UPDATE_VERSION:
      case FENCED_LEADER_EPOCH:
      case NEW_LEADER_ELECTED:
      case UNKNOWN_TOPIC_OR_PARTITION:
      case UNKNOWN_TOPIC_ID:
        return 'image'
      default:
        // Refused for what it says (a fenced or unknown broker): nothing was changed.
        this.#proposed = undefined
        return 'dropped'
    }
  }
}
