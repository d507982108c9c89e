// DescribeTopicPartitions, v0
// KIP-966

import type { PartitionDescription, TopicDescription } from '../control.ts'
import {
  INVALID_REQUEST,
  INVALID_TOPIC_EXCEPTION,
  NONE,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../wire/errors.ts'
import {
  array,
  bool,
  type Infer,
  int16,
  int32,
  nullableString,
  string,
  struct,
  uuid,
  type Written,
  ZERO_UUID,
} from '../wire/schema.ts'
import { NOT_REQUESTED, TOPIC_OPERATIONS } from './authorized-operations.ts'
import { defineApi, type HandlerContext } from './define.ts'
import { type Liveness, leaderAnswer, livenessOf, offlineAnswer } from './leaders.ts'
import { isInternalTopic, topicNameFault } from './topic-names.ts'

const request = struct({
  topics: array({
    name: string(),
  }),
  responsePartitionLimit: int32({ default: 2000 }),
  cursor: struct(
    {
      topicName: string(),
      partitionIndex: int32(),
    },
    { nullable: true, default: null },
  ),
})

const response = struct({
  throttleTimeMs: int32({ default: 0, ignorable: true }),
  topics: array({
    errorCode: int16(),
    name: nullableString(),
    topicId: uuid({ ignorable: true }),
    isInternal: bool({ ignorable: true }),
    partitions: array({
      errorCode: int16(),
      partitionIndex: int32(),
      leaderId: int32(),
      leaderEpoch: int32({ default: -1, ignorable: true }),
      replicaNodes: array(int32()),
      isrNodes: array(int32()),
      eligibleLeaderReplicas: array(int32(), { nullable: true, default: null }),
      lastKnownElr: array(int32(), { nullable: true, default: null }),
      offlineReplicas: array(int32(), { ignorable: true }),
    }),
    topicAuthorizedOperations: int32({ default: -2147483648 }),
  }),
  nextCursor: struct(
    {
      topicName: string(),
      partitionIndex: int32(),
    },
    { nullable: true, default: null },
  ),
})

export type DescribeTopicPartitionsRequest = Infer<typeof request>
export type DescribeTopicPartitionsResponse = Written<typeof response>

/** Kafka's max.request.partition.size.limit. */
const PARTITIONS_MAX = 2000

export const describeTopicPartitions = defineApi({
  key: 75,
  name: 'DescribeTopicPartitions',
  versions: [0, 0],
  flexibleSince: 0,
  request,
  response,
  handle(context, request) {
    const { cursor } = request
    const names = namesFrom(context, request)
    if (names === undefined) {
      return { topics: request.topics.map(({ name }) => refused(name, INVALID_REQUEST)) }
    }
    const liveness = livenessOf(context.broker.cluster, context.listener)
    const topics: TopicAnswer[] = []
    let left = Math.min(Math.max(request.responsePartitionLimit, 1), PARTITIONS_MAX)
    for (const name of names) {
      if (left === 0) return { topics, nextCursor: { topicName: name, partitionIndex: 0 } }
      const topic = context.broker.topics.describe(name)
      if (topic === undefined) {
        // Gone since the listing began: of no interest unless it was named.
        if (request.topics.length > 0) topics.push(refused(name, missingError(name)))
        continue
      }
      const from = cursor?.topicName === name ? cursor.partitionIndex : 0
      const partitions = topic.partitions.slice(from, from + left)
      topics.push(described(topic, partitions, liveness))
      left -= partitions.length
      const next = from + partitions.length
      if (next < topic.partitions.length) {
        return { topics, nextCursor: { topicName: name, partitionIndex: next } }
      }
    }
    return { topics }
  },
})

type TopicAnswer = DescribeTopicPartitionsResponse['topics'][number]

/** The topics to describe from the cursor on, sorted; undefined when the cursor makes no sense. */
function namesFrom(
  context: HandlerContext,
  { topics, cursor }: DescribeTopicPartitionsRequest,
): readonly string[] | undefined {
  const names = topics.length === 0 ? context.broker.topics.names() : topics.map(({ name }) => name)
  if (cursor === null) return sorted(names)
  const isNamed = topics.length === 0 || names.includes(cursor.topicName)
  if (!isNamed || cursor.partitionIndex < 0) return undefined
  return sorted(names.filter((name) => name >= cursor.topicName))
}

function sorted(names: readonly string[]): string[] {
  return [...new Set(names)].sort()
}

function missingError(name: string): number {
  return topicNameFault(name) === undefined ? UNKNOWN_TOPIC_OR_PARTITION : INVALID_TOPIC_EXCEPTION
}

function refused(name: string, errorCode: number): TopicAnswer {
  return {
    errorCode,
    name,
    topicId: ZERO_UUID,
    isInternal: isInternalTopic(name),
    partitions: [],
    topicAuthorizedOperations: NOT_REQUESTED,
  }
}

function described(
  topic: TopicDescription,
  partitions: readonly PartitionDescription[],
  liveness: Liveness,
): TopicAnswer {
  return {
    errorCode: NONE,
    name: topic.name,
    topicId: topic.id,
    isInternal: topic.isInternal,
    partitions: partitions.map((partition) => ({
      ...leaderAnswer(partition, liveness),
      partitionIndex: partition.index,
      leaderEpoch: partition.leaderEpoch,
      replicaNodes: partition.replicas,
      isrNodes: partition.isr,
      eligibleLeaderReplicas: partition.eligibleLeaderReplicas,
      lastKnownElr: partition.lastKnownEligibleLeaderReplicas,
      offlineReplicas: offlineAnswer(partition, liveness),
    })),
    topicAuthorizedOperations: TOPIC_OPERATIONS,
  }
}
