/**
 * Decisions about committed offsets: commit, delete, expire. All records of one decision are
 * independent of each other, so they may lie in several batches.
 */
import { assert } from '../../../base/assert.ts'
import type { OffsetCommitRequest } from '../../../kafka/api/08-offset-commit.ts'
import {
  GROUP_SUBSCRIBED_TO_TOPIC,
  NONE,
  OFFSET_METADATA_TOO_LARGE,
} from '../../../kafka/wire/errors.ts'
import { ZERO_UUID } from '../../../kafka/wire/schema.ts'
import type { Decision } from '../decision.ts'
import type { ClassicGroup } from './classic-group.ts'
import { expiryBasis, type Offsets, offsetTombstone } from './offsets.ts'
import type { GroupParts } from './options.ts'
import type { GroupRecord } from './records.ts'

export type CommitTopic = OffsetCommitRequest['topics'][number]

export interface PartitionError {
  readonly partitionIndex: number
  readonly errorCode: number
}

export class OffsetRules {
  readonly #parts: GroupParts
  readonly #offsets: Offsets

  constructor(parts: GroupParts, offsets: Offsets) {
    this.#parts = parts
    this.#offsets = offsets
  }

  /** Answers with the errors of each topic's partitions, in order. Membership was checked. */
  commit(
    group: string,
    topics: readonly CommitTopic[],
    retentionTimeMs: number,
  ): Decision<PartitionError[][], GroupRecord> {
    const nowMs = this.#parts.clock.nowMs()
    const { offsetMetadataMax } = this.#parts.options
    const expireTimestamp = retentionTimeMs < 0 ? -1 : nowMs + retentionTimeMs
    const records: GroupRecord[] = []
    const response = topics.map(({ name, topicId, partitions }) =>
      partitions.map((partition) => {
        const { partitionIndex } = partition
        const metadata = partition.committedMetadata ?? ''
        if (metadata.length > offsetMetadataMax) {
          return { partitionIndex, errorCode: OFFSET_METADATA_TOO_LARGE }
        }
        assert(partitionIndex >= 0 && name !== '', 'handlers let existing partitions pass only')
        records.push({
          type: 'offset-commit',
          group,
          topic: name,
          partition: partitionIndex,
          value: {
            offset: partition.committedOffset,
            leaderEpoch: partition.committedLeaderEpoch,
            metadata,
            commitTimestamp: nowMs,
            expireTimestamp,
            topicId,
          },
        })
        return { partitionIndex, errorCode: NONE }
      }),
    )
    return { records, response }
  }

  /** KIP-496: offsets of topics that the group does not read. */
  delete(
    group: ClassicGroup,
    topics: readonly { name: string; partitions: readonly number[] }[],
  ): Decision<PartitionError[][], GroupRecord> {
    const records: GroupRecord[] = []
    const response = topics.map(({ name, partitions }) => {
      const errorCode = group.isSubscribedTo(name) ? GROUP_SUBSCRIBED_TO_TOPIC : NONE
      return partitions.map((partitionIndex) => {
        const exists = this.#offsets.get(group.groupId, name, partitionIndex) !== undefined
        if (errorCode === NONE && exists) {
          records.push(offsetTombstone(group.groupId, name, partitionIndex))
        }
        return { partitionIndex, errorCode }
      })
    })
    this.#parts.probe.offsetsDeleted += records.length
    return { records, response }
  }

  /** Everything that the group has committed. */
  deleteAll(group: string): GroupRecord[] {
    const records: GroupRecord[] = []
    for (const [topic, partitions] of this.#offsets.of(group)) {
      for (const partition of partitions.keys()) {
        records.push(offsetTombstone(group, topic, partition))
      }
    }
    this.#parts.probe.offsetsDeleted += records.length
    return records
  }

  /** The topics are gone, and with them what was committed for them; not for successors. */
  deleteTopics(topics: readonly { name: string; topicId: string }[]): GroupRecord[] {
    const records: GroupRecord[] = []
    for (const group of this.#offsets.groupIds()) {
      for (const { name, topicId } of topics) {
        for (const [partition, committed] of this.#offsets.of(group).get(name) ?? []) {
          if (committed.topicId !== ZERO_UUID && committed.topicId !== topicId) continue
          records.push(offsetTombstone(group, name, partition))
        }
      }
    }
    this.#parts.probe.offsetsDeleted += records.length
    return records
  }

  /** What has expired of the group's offsets, and whether nothing is left. */
  expire(group: ClassicGroup): { records: GroupRecord[]; isAll: boolean } {
    const { clock, options, probe } = this.#parts
    const offsets = this.#offsets.of(group.groupId)
    const basis = expiryBasis(group)
    if (offsets.size === 0) return { records: [], isAll: true }
    if (basis === undefined) return { records: [], isAll: false }
    const nowMs = clock.nowMs()
    assert(options.offsetsRetentionMs > 0, 'offsets are kept for a while')
    const records: GroupRecord[] = []
    let isAll = true
    for (const [topic, partitions] of offsets) {
      const isRead = group.isSubscribedTo(topic)
      for (const [partition, committed] of partitions) {
        const { expireTimestampMs } = committed
        const isExpired =
          expireTimestampMs !== -1
            ? nowMs >= expireTimestampMs
            : nowMs - basis(committed) >= options.offsetsRetentionMs
        if (isRead || !isExpired) isAll = false
        else records.push(offsetTombstone(group.groupId, topic, partition))
      }
    }
    probe.offsetsExpired += records.length
    return { records, isAll }
  }
}
