/**
 * Committed offsets of all groups of a shard. They change by replay only.
 *
 * Invariant: a topic without offsets, and a group without topics, is not kept.
 */
import { assert } from '../../../base/assert.ts'
import { ZERO_UUID } from '../../../kafka/wire/schema.ts'
import type { ClassicGroup } from './classic-group.ts'
import type { OffsetCommitRecord } from './records.ts'

export interface CommittedOffset {
  readonly offset: number
  /** -1: not told. */
  readonly leaderEpoch: number
  readonly metadata: string
  readonly commitTimestampMs: number
  /** -1: by the group's retention. */
  readonly expireTimestampMs: number
  /** Zero: not known when it was committed. */
  readonly topicId: string
}

export type TopicOffsets = ReadonlyMap<number, CommittedOffset>
export type GroupOffsets = ReadonlyMap<string, TopicOffsets>

const NO_OFFSETS: GroupOffsets = new Map()

export class Offsets {
  readonly #groups = new Map<string, Map<string, Map<number, CommittedOffset>>>()
  #size = 0

  /** Offsets in all groups. */
  get size(): number {
    return this.#size
  }

  groupIds(): IterableIterator<string> {
    return this.#groups.keys()
  }

  of(group: string): GroupOffsets {
    return this.#groups.get(group) ?? NO_OFFSETS
  }

  get(group: string, topic: string, partition: number): CommittedOffset | undefined {
    return this.#groups.get(group)?.get(topic)?.get(partition)
  }

  replay({ group, topic, partition, value }: OffsetCommitRecord): void {
    if (value === null) {
      this.#remove(group, topic, partition)
      return
    }
    assert(Number.isSafeInteger(value.offset), 'offsets are safe numbers')
    const topics = this.#groups.get(group) ?? new Map<string, Map<number, CommittedOffset>>()
    const partitions = topics.get(topic) ?? new Map<number, CommittedOffset>()
    if (topics.size === 0) this.#groups.set(group, topics)
    if (partitions.size === 0) topics.set(topic, partitions)
    if (!partitions.has(partition)) this.#size++
    partitions.set(partition, {
      offset: value.offset,
      leaderEpoch: value.leaderEpoch,
      metadata: value.metadata,
      commitTimestampMs: value.commitTimestamp,
      expireTimestampMs: value.expireTimestamp,
      topicId: value.topicId,
    })
  }

  #remove(group: string, topic: string, partition: number): void {
    const topics = this.#groups.get(group)
    const partitions = topics?.get(topic)
    if (topics === undefined || partitions?.delete(partition) !== true) return
    this.#size--
    assert(this.#size >= 0, 'what is removed was counted')
    if (partitions.size === 0) topics.delete(topic)
    if (topics.size === 0) this.#groups.delete(group)
  }
}

/** Was the offset committed for another topic of the same name, which is gone? */
export function isOfOtherTopic(committed: CommittedOffset, topicId: string): boolean {
  return committed.topicId !== ZERO_UUID && topicId !== ZERO_UUID && committed.topicId !== topicId
}

/** The record that takes an offset away. */
export function offsetTombstone(
  group: string,
  topic: string,
  partition: number,
): OffsetCommitRecord {
  return { type: 'offset-commit', group, topic, partition, value: null }
}

/**
 * From when on the retention of an offset counts. Undefined: it does not expire now. Kafka's
 * rules: the offsets of a group without members from when the group became empty, those of
 * consumers without a group from the commit, and in a group at work those that it does not read.
 */
export function expiryBasis(
  group: Pick<
    ClassicGroup,
    'state' | 'protocolType' | 'stateTimestampMs' | 'usesConsumerProtocol' | 'subscribedTopics'
  >,
): ((committed: CommittedOffset) => number) | undefined {
  const sinceCommit = (committed: CommittedOffset) => committed.commitTimestampMs
  if (group.protocolType === undefined) return sinceCommit
  if (group.state === 'Empty') {
    const { stateTimestampMs } = group
    return stateTimestampMs === -1 ? sinceCommit : () => stateTimestampMs
  }
  const knowsTopics = group.usesConsumerProtocol && group.subscribedTopics !== undefined
  return knowsTopics && group.state === 'Stable' ? sinceCommit : undefined
}
