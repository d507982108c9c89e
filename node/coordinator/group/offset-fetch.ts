/**
 * OffsetFetch, one group at a time. Offsets that were committed for a topic that has since been
 * deleted, and made anew under its name, are not its successor's. Without transactions every offset
 * is stable.
 */
import type { OffsetFetchRequest, OffsetFetchResponse } from '../../../kafka/api/09-offset-fetch.ts'
import { NONE } from '../../../kafka/wire/errors.ts'
import { ZERO_UUID } from '../../../kafka/wire/schema.ts'
import { type CommittedOffset, type GroupOffsets, isOfOtherTopic } from './offsets.ts'

export type FetchedGroup = NonNullable<OffsetFetchResponse['groups']>[number]
type FetchedTopic = FetchedGroup['topics'][number]
type FetchedPartition = FetchedTopic['partitions'][number]
type WantedGroup = OffsetFetchRequest['groups'][number]

/** What is needed of the metadata image. */
export interface TopicLookup {
  topic(name: string): { readonly id: string } | undefined
}

/** The offsets of one group. `topics` null: all that it has committed. */
export function fetchOffsets(
  wanted: Pick<WantedGroup, 'groupId' | 'topics'>,
  offsets: GroupOffsets,
  lookup: TopicLookup,
): FetchedGroup {
  const { groupId, topics } = wanted
  if (topics === null) return { groupId, topics: all(offsets, lookup), errorCode: NONE }
  return {
    groupId,
    topics: topics.map(({ name, topicId, partitionIndexes }) => {
      const currentId = lookup.topic(name)?.id ?? ZERO_UUID
      const committed = offsets.get(name)
      const partitions = partitionIndexes.map((index) => {
        const found = committed?.get(index)
        if (found === undefined || isOfOtherTopic(found, currentId)) return absent(index)
        return present(index, found)
      })
      return { name, topicId, partitions }
    }),
    errorCode: NONE,
  }
}

function all(offsets: GroupOffsets, lookup: TopicLookup): FetchedTopic[] {
  const found: FetchedTopic[] = []
  for (const [name, committed] of offsets) {
    const topicId = lookup.topic(name)?.id ?? ZERO_UUID
    const partitions: FetchedPartition[] = []
    for (const [index, offset] of committed) {
      if (!isOfOtherTopic(offset, topicId)) partitions.push(present(index, offset))
    }
    if (partitions.length > 0) found.push({ name, topicId, partitions })
  }
  return found
}

function present(partitionIndex: number, committed: CommittedOffset): FetchedPartition {
  return {
    partitionIndex,
    committedOffset: committed.offset,
    committedLeaderEpoch: committed.leaderEpoch,
    metadata: committed.metadata,
    errorCode: NONE,
  }
}

function absent(partitionIndex: number): FetchedPartition {
  return {
    partitionIndex,
    committedOffset: -1,
    committedLeaderEpoch: -1,
    metadata: '',
    errorCode: NONE,
  }
}
