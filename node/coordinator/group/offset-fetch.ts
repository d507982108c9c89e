/**
 * OffsetFetch, one group at a time: what it has committed, in the forms of names and of topic ids.
 * No transactions yet, so every offset is stable.
 */
import type { OffsetFetchRequest, OffsetFetchResponse } from '../../../kafka/api/09-offset-fetch.ts'
import { NONE, UNKNOWN_TOPIC_ID } from '../../../kafka/wire/errors.ts'
import { ZERO_UUID } from '../../../kafka/wire/schema.ts'
import { type CommittedOffset, type GroupOffsets, isOfOtherTopic } from './offsets.ts'

export type FetchedGroup = NonNullable<OffsetFetchResponse['groups']>[number]
type FetchedTopic = FetchedGroup['topics'][number]
type FetchedPartition = FetchedTopic['partitions'][number]
type WantedGroup = OffsetFetchRequest['groups'][number]
type WantedTopic = NonNullable<WantedGroup['topics']>[number]

/** What OffsetFetch and OffsetCommit need of the metadata image. */
export interface TopicView {
  readonly name: string
  readonly id: string
  readonly partitionCount: number
}

export interface TopicLookup {
  topic(name: string): TopicView | undefined
  topicById(id: string): TopicView | undefined
}

const USES_IDS_SINCE = 10

export function usesTopicIds(apiVersion: number): boolean {
  return apiVersion >= USES_IDS_SINCE
}

export class OffsetFetch {
  readonly #topics: TopicLookup

  constructor(topics: TopicLookup) {
    this.#topics = topics
  }

  /** `topics` null: all that the group has committed. */
  fetch(
    groupId: string,
    topics: WantedGroup['topics'],
    offsets: GroupOffsets,
    apiVersion: number,
  ): FetchedGroup {
    const usesIds = usesTopicIds(apiVersion)
    return {
      groupId,
      topics:
        topics === null
          ? this.#all(offsets, usesIds)
          : topics.map((topic) => this.#some(topic, offsets, usesIds)),
      errorCode: NONE,
    }
  }

  #all(offsets: GroupOffsets, usesIds: boolean): FetchedTopic[] {
    const found: FetchedTopic[] = []
    for (const [name, partitions] of offsets) {
      const topicId = this.#topics.topic(name)?.id ?? ZERO_UUID
      // A client that speaks of ids can't be told of a topic that has none any more.
      if (usesIds && topicId === ZERO_UUID) continue
      const answers: FetchedPartition[] = []
      for (const [index, committed] of partitions) {
        if (isOfOtherTopic(committed, topicId)) continue
        answers.push(present(index, committed))
      }
      if (answers.length > 0) found.push({ name, topicId, partitions: answers })
    }
    return found
  }

  #some(wanted: WantedTopic, offsets: GroupOffsets, usesIds: boolean): FetchedTopic {
    const topic = usesIds ? this.#topics.topicById(wanted.topicId) : this.#topics.topic(wanted.name)
    if (usesIds && topic === undefined) {
      const partitions = wanted.partitionIndexes.map((index) => absent(index, UNKNOWN_TOPIC_ID))
      return { name: '', topicId: wanted.topicId, partitions }
    }
    const name = topic?.name ?? wanted.name
    const topicId = topic?.id ?? ZERO_UUID
    const committed = offsets.get(name)
    return {
      name,
      topicId,
      partitions: wanted.partitionIndexes.map((index) => {
        const found = committed?.get(index)
        if (found === undefined || isOfOtherTopic(found, topicId)) return absent(index, NONE)
        return present(index, found)
      }),
    }
  }
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

export function absent(partitionIndex: number, errorCode: number): FetchedPartition {
  return {
    partitionIndex,
    committedOffset: -1,
    committedLeaderEpoch: -1,
    metadata: '',
    errorCode,
  }
}
