// OffsetCommit, v2-10
// v2 retention time, until v4; v6 leader epoch; v7 static members (KIP-345); v8 flexible;
// v9 member epochs (KIP-848); v10 topic ids

import type { DataPort } from '../broker.ts'
import {
  INVALID_REQUEST,
  NONE,
  UNKNOWN_SERVER_ERROR,
  UNKNOWN_TOPIC_ID,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../wire/errors.ts'
import {
  array,
  type Infer,
  int16,
  int32,
  int64,
  nullableString,
  string,
  struct,
  uuid,
  type Written,
  ZERO_UUID,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  groupId: string(),
  generationIdOrMemberEpoch: int32({ default: -1, ignorable: true }),
  memberId: string({ ignorable: true }),
  groupInstanceId: nullableString({ since: 7, default: null }),
  retentionTimeMs: int64({ until: 4, default: -1, ignorable: true, saturates: true }),
  topics: array({
    name: string({ until: 9, ignorable: true }),
    topicId: uuid({ since: 10, ignorable: true }),
    partitions: array({
      partitionIndex: int32(),
      committedOffset: int64({ saturates: true }),
      committedLeaderEpoch: int32({ since: 6, default: -1, ignorable: true }),
      committedMetadata: nullableString(),
    }),
  }),
})

const response = struct({
  throttleTimeMs: int32({ since: 3, default: 0, ignorable: true }),
  topics: array({
    name: string({ until: 9, ignorable: true }),
    topicId: uuid({ since: 10, ignorable: true }),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
    }),
  }),
})

export type OffsetCommitRequest = Infer<typeof request>
export type OffsetCommitResponse = Written<typeof response>

export const offsetCommit = defineApi({
  key: 8,
  name: 'OffsetCommit',
  versions: [2, 10],
  flexibleSince: 8,
  request,
  response,
  async handle(context, request) {
    const { data, groups } = context.broker
    const screened = request.topics.map((asked) => screen(data, asked))
    const topics = screened.flatMap(({ accepted }) => (accepted === undefined ? [] : [accepted]))
    if (topics.length === 0) {
      return { topics: screened.map((topic) => answer(topic, undefined)) }
    }
    const response = await groups.offsetCommit(context, { ...request, topics })
    const committed = new Map(response.topics.map((topic) => [topic.name, topic.partitions]))
    return {
      ...response,
      topics: screened.map((topic) => answer(topic, committed.get(topic.accepted?.name))),
    }
  },
})

type AskedTopic = OffsetCommitRequest['topics'][number]
type AnswerTopic = OffsetCommitResponse['topics'][number]

interface ScreenedTopic {
  readonly asked: AskedTopic
  /** One per partition asked for: why it is refused, or NONE where the group decides. */
  readonly errors: readonly number[]
  /** What the group is asked, with the topic's name. */
  readonly accepted: AskedTopic | undefined
}

/** Sorts out what a group is not asked: partitions that do not exist, offsets beyond 2^53. */
function screen(data: DataPort, asked: AskedTopic): ScreenedTopic {
  const isById = asked.topicId !== ZERO_UUID
  const topic = isById ? data.topicById(asked.topicId) : data.topic(asked.name)
  const errors = asked.partitions.map(({ partitionIndex, committedOffset }) => {
    if (topic === undefined) return isById ? UNKNOWN_TOPIC_ID : UNKNOWN_TOPIC_OR_PARTITION
    if (partitionIndex < 0 || partitionIndex >= topic.partitionCount) {
      return UNKNOWN_TOPIC_OR_PARTITION
    }
    // Larger ones were saturated when they were read.
    return committedOffset < Number.MAX_SAFE_INTEGER ? NONE : INVALID_REQUEST
  })
  const partitions = asked.partitions.filter((_, index) => errors[index] === NONE)
  const accepted =
    topic === undefined || partitions.length === 0
      ? undefined
      : { name: topic.name, topicId: topic.id, partitions }
  return { asked, errors, accepted }
}

/** In the order of the request. */
function answer(
  { asked, errors }: ScreenedTopic,
  committed: AnswerTopic['partitions'] = [],
): AnswerTopic {
  const byIndex = new Map(committed.map((entry) => [entry.partitionIndex, entry.errorCode]))
  return {
    name: asked.name,
    topicId: asked.topicId,
    partitions: asked.partitions.map(({ partitionIndex }, place) => ({
      partitionIndex,
      errorCode:
        errors[place] === NONE
          ? (byIndex.get(partitionIndex) ?? UNKNOWN_SERVER_ERROR)
          : errors[place]!,
    })),
  }
}
