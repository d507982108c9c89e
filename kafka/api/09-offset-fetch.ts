// OffsetFetch, v1-10
// v2 null for all partitions, top-level error; v5 leader epoch; v6 flexible; v7 require stable (KIP-447);
// v8 many groups; v9 member epochs (KIP-848); v10 topic ids

import type { DataPort } from '../broker.ts'
import { NONE, UNKNOWN_TOPIC_ID } from '../wire/errors.ts'
import {
  array,
  bool,
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
  groupId: string({ until: 7 }),
  topics: array(
    {
      name: string(),
      partitionIndexes: array(int32()),
    },
    { until: 7, nullableSince: 2 },
  ),
  groups: array(
    {
      groupId: string(),
      memberId: nullableString({ since: 9, default: null, ignorable: true }),
      memberEpoch: int32({ since: 9, default: -1, ignorable: true }),
      topics: array(
        {
          name: string({ until: 9, ignorable: true }),
          topicId: uuid({ since: 10, ignorable: true }),
          partitionIndexes: array(int32()),
        },
        { nullable: true },
      ),
    },
    { since: 8 },
  ),
  requireStable: bool({ since: 7 }),
})

const response = struct({
  throttleTimeMs: int32({ since: 3, default: 0, ignorable: true }),
  topics: array(
    {
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        committedOffset: int64(),
        committedLeaderEpoch: int32({ since: 5, default: -1, ignorable: true }),
        metadata: nullableString(),
        errorCode: int16(),
      }),
    },
    { until: 7 },
  ),
  errorCode: int16({ since: 2, until: 7, ignorable: true }),
  groups: array(
    {
      groupId: string(),
      topics: array({
        name: string({ until: 9, ignorable: true }),
        topicId: uuid({ since: 10, ignorable: true }),
        partitions: array({
          partitionIndex: int32(),
          committedOffset: int64(),
          committedLeaderEpoch: int32({ default: -1, ignorable: true }),
          metadata: nullableString(),
          errorCode: int16(),
        }),
      }),
      errorCode: int16(),
    },
    { since: 8 },
  ),
})

export type OffsetFetchRequest = Infer<typeof request>
export type OffsetFetchResponse = Written<typeof response>

export const offsetFetch = defineApi({
  key: 9,
  name: 'OffsetFetch',
  versions: [1, 10],
  flexibleSince: 6,
  request,
  response,
  async handle(context, request) {
    const { data, groups } = context.broker
    if (context.apiVersion < 8) {
      const { groupId, topics, requireStable } = request
      const group = { groupId, memberId: null, memberEpoch: -1, topics: topics && byName(topics) }
      const response = await groups.offsetFetch(context, {
        ...request,
        groups: [group],
        requireStable,
      })
      return singleAnswer(context.apiVersion, request, response)
    }
    if (context.apiVersion < 10) return groups.offsetFetch(context, request)
    const asked = request.groups.map((group) => ({
      ...group,
      topics: group.topics?.flatMap((topic) => named(data, topic)) ?? null,
    }))
    const response = await groups.offsetFetch(context, { ...request, groups: asked })
    return {
      ...response,
      groups: (response.groups ?? []).map((group, index) =>
        withTopicIds(data, group, request.groups[index]?.topics ?? []),
      ),
    }
  },
})

type AskedTopic = NonNullable<OffsetFetchRequest['groups'][number]['topics']>[number]
type GroupAnswer = NonNullable<OffsetFetchResponse['groups']>[number]
type OldTopics = NonNullable<OffsetFetchRequest['topics']>

function byName(topics: OldTopics): AskedTopic[] {
  return topics.map((topic) => ({ ...topic, topicId: ZERO_UUID }))
}

/** Until v7 there is one group; v1 has no place for its error but the partitions. */
function singleAnswer(
  version: number,
  request: OffsetFetchRequest,
  response: OffsetFetchResponse,
): OffsetFetchResponse {
  const { throttleTimeMs, groups = [] } = response
  const { topics = [], errorCode = NONE } = groups[0] ?? {}
  if (version > 1 || errorCode === NONE) {
    const named = topics.map(({ name = '', partitions }) => ({ name, partitions }))
    return { throttleTimeMs, errorCode, topics: named }
  }
  return {
    topics: (request.topics ?? []).map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((index) => refusal(index, errorCode)),
    })),
  }
}

function refusal(partitionIndex: number, errorCode: number) {
  return { partitionIndex, committedOffset: -1, metadata: '', errorCode }
}

/** Groups know topics by name. Nothing is asked about ids that are not known. */
function named(data: DataPort, asked: AskedTopic): AskedTopic[] {
  const topic = data.topicById(asked.topicId)
  return topic === undefined ? [] : [{ ...asked, name: topic.name }]
}

function withTopicIds(
  data: DataPort,
  group: GroupAnswer,
  asked: readonly AskedTopic[],
): GroupAnswer {
  // Offsets of topics that were deleted have no id to be told under.
  const known = group.topics.flatMap((topic) => {
    const topicId = data.topic(topic.name ?? '')?.id
    return topicId === undefined ? [] : [{ ...topic, topicId }]
  })
  if (group.errorCode !== NONE) return group
  const unknown = asked
    .filter(({ topicId }) => data.topicById(topicId) === undefined)
    .map(({ topicId, partitionIndexes }) => ({
      topicId,
      partitions: partitionIndexes.map((index) => refusal(index, UNKNOWN_TOPIC_ID)),
    }))
  return { ...group, topics: [...known, ...unknown] }
}
