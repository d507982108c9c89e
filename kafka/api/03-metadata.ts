// Metadata, v0-13
// v1 rack, controller, internal topics, null for all topics; v2 cluster id; v4 auto-creation flag;
// v5 offline replicas; v7 leader epoch; v8 authorized operations (KIP-430); v9 flexible;
// v10 topic ids; v11 cluster operations moved to DescribeCluster; v12 ask by id; v13 top-level error

import type { PartitionDescription, TopicDescription } from '../control.ts'
import { Unavailable } from '../unavailable.ts'
import {
  INVALID_REQUEST,
  INVALID_TOPIC_EXCEPTION,
  LEADER_NOT_AVAILABLE,
  LISTENER_NOT_FOUND,
  NONE,
  REPLICA_NOT_AVAILABLE,
  UNKNOWN_TOPIC_ID,
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
import { CLUSTER_OPERATIONS, NOT_REQUESTED, TOPIC_OPERATIONS } from './authorized-operations.ts'
import { defineApi, type HandlerContext } from './define.ts'
import {
  controllerAnswer,
  type Liveness,
  leaderAnswer,
  livenessOf,
  offlineAnswer,
} from './leaders.ts'
import { isInternalTopic, topicNameFault } from './topic-names.ts'

const request = struct({
  topics: array(
    {
      topicId: uuid({ since: 10, ignorable: true }),
      name: string({ nullableSince: 10 }),
    },
    { nullableSince: 1 },
  ),
  allowAutoTopicCreation: bool({ since: 4, default: true }),
  includeClusterAuthorizedOperations: bool({ since: 8, until: 10 }),
  includeTopicAuthorizedOperations: bool({ since: 8 }),
})

const response = struct({
  throttleTimeMs: int32({ since: 3, default: 0, ignorable: true }),
  brokers: array({
    nodeId: int32(),
    host: string(),
    port: int32(),
    rack: nullableString({ since: 1, default: null, ignorable: true }),
  }),
  clusterId: nullableString({ since: 2, default: null, ignorable: true }),
  controllerId: int32({ since: 1, default: -1, ignorable: true }),
  topics: array({
    errorCode: int16(),
    name: string({ nullableSince: 12 }),
    topicId: uuid({ since: 10, ignorable: true }),
    isInternal: bool({ since: 1, ignorable: true }),
    partitions: array({
      errorCode: int16(),
      partitionIndex: int32(),
      leaderId: int32(),
      leaderEpoch: int32({ since: 7, default: -1, ignorable: true }),
      replicaNodes: array(int32()),
      isrNodes: array(int32()),
      offlineReplicas: array(int32(), { since: 5, ignorable: true }),
    }),
    topicAuthorizedOperations: int32({ since: 8, default: -2147483648 }),
  }),
  clusterAuthorizedOperations: int32({ since: 8, until: 10, default: -2147483648 }),
  errorCode: int16({ since: 13, ignorable: true }),
})

export type MetadataRequest = Infer<typeof request>
export type MetadataResponse = Written<typeof response>

export const metadata = defineApi({
  key: 3,
  name: 'Metadata',
  versions: [0, 13],
  flexibleSince: 9,
  request,
  response,
  async handle(context, request) {
    const { topics: asked } = request
    // Creating takes time: what is told of nodes and of leaders has to be of one moment after it.
    const created = await createMissing(context, request)
    const liveness = livenessOf(context.broker.cluster, context.listener)
    const topics = answerTopics(context, request, created, liveness)
    const hasNoAnswer = asked?.some((topic) => isRefused(context, topic))
    const asksCluster = request.includeClusterAuthorizedOperations
    return {
      brokers: context.broker.cluster
        .brokers(context.listener)
        .filter(({ isFenced }) => !isFenced)
        .map(({ nodeId, host, port, rack }) => ({ nodeId, host, port, rack })),
      clusterId: context.broker.cluster.clusterId,
      controllerId: controllerAnswer(context.broker.cluster, liveness),
      topics,
      clusterAuthorizedOperations: asksCluster ? CLUSTER_OPERATIONS : NOT_REQUESTED,
      errorCode: hasNoAnswer === true ? INVALID_REQUEST : NONE,
    }
  },
})

type AskedTopic = NonNullable<MetadataRequest['topics']>[number]
type TopicAnswer = MetadataResponse['topics'][number]
type PartitionAnswer = TopicAnswer['partitions'][number]

function answerTopics(
  context: HandlerContext,
  request: MetadataRequest,
  created: ReadonlyMap<string, number>,
  liveness: Liveness,
): TopicAnswer[] {
  const { topics: asked } = request
  const port = context.broker.topics
  // v0 has no null: it is an empty list that means all topics.
  if (asked === null || (context.apiVersion === 0 && asked.length === 0)) {
    return port.names().flatMap((name) => {
      const topic = port.describe(name)
      return topic === undefined ? [] : [described(context, request, topic, liveness)]
    })
  }
  const byKey = new Map(asked.map((topic) => [topic.name ?? topic.topicId, topic]))
  return [...byKey.values()].map((topic) => {
    const found =
      topic.topicId === ZERO_UUID
        ? port.describe(topic.name ?? '')
        : port.describeById(topic.topicId)
    if (isRefused(context, topic)) return refused(request, topic, INVALID_REQUEST)
    if (found !== undefined) return described(context, request, found, liveness)
    if (topic.name === null || topic.topicId !== ZERO_UUID) {
      return refused(request, { ...topic, name: null }, UNKNOWN_TOPIC_ID)
    }
    return refused(request, topic, created.get(topic.name) ?? missingError(topic.name))
  })
}

/** Before v12 topics have names and nothing else. */
function isRefused(context: HandlerContext, { name, topicId }: AskedTopic): boolean {
  return context.apiVersion < 12 && (name === null || topicId !== ZERO_UUID)
}

function missingError(name: string): number {
  return topicNameFault(name) === undefined ? UNKNOWN_TOPIC_OR_PARTITION : INVALID_TOPIC_EXCEPTION
}

/** Creates the topics that a client names and that do not exist, if it may; returns their errors. */
async function createMissing(
  context: HandlerContext,
  request: MetadataRequest,
): Promise<ReadonlyMap<string, number>> {
  const { topics } = context.broker
  if (!request.allowAutoTopicCreation) return new Map()
  const names = (request.topics ?? []).flatMap(({ name, topicId }) => {
    const isMissing =
      name !== null &&
      topicId === ZERO_UUID &&
      topics.describe(name) === undefined &&
      topicNameFault(name) === undefined
    return isMissing ? [name] : []
  })
  if (names.length === 0) return new Map()
  const errors = await created(topics.autoCreate(context, [...new Set(names)]))
  // Kafka answers LEADER_NOT_AVAILABLE when it has just created a topic. Here this node has it by
  // now, most often, and then clients are told at once: all of them take that, and none waits. If
  // it does not yet, the client asks again.
  return new Map(
    names.map((name) => {
      const error = errors.get(name) ?? UNKNOWN_TOPIC_OR_PARTITION
      return [name, error === NONE ? LEADER_NOT_AVAILABLE : error]
    }),
  )
}

/** While nobody can make topics, the client is still told of those that exist. */
async function created(
  creation: Promise<ReadonlyMap<string, number>>,
): Promise<ReadonlyMap<string, number>> {
  try {
    return await creation
  } catch (error) {
    if (error instanceof Unavailable) return new Map()
    throw error
  }
}

function refused(
  request: MetadataRequest,
  { name, topicId }: AskedTopic,
  errorCode: number,
): TopicAnswer {
  return {
    errorCode,
    // Versions that have no null answer with an empty name.
    name: name ?? (errorCode === INVALID_REQUEST ? '' : null),
    topicId,
    isInternal: name !== null && isInternalTopic(name),
    partitions: [],
    topicAuthorizedOperations:
      request.includeTopicAuthorizedOperations && name !== null ? TOPIC_OPERATIONS : NOT_REQUESTED,
  }
}

function described(
  context: HandlerContext,
  request: MetadataRequest,
  topic: TopicDescription,
  liveness: Liveness,
): TopicAnswer {
  return {
    errorCode: NONE,
    name: topic.name,
    topicId: topic.id,
    isInternal: topic.isInternal,
    partitions: topic.partitions.map((partition) =>
      partitionAnswer(context.apiVersion, partition, liveness),
    ),
    topicAuthorizedOperations: request.includeTopicAuthorizedOperations
      ? TOPIC_OPERATIONS
      : NOT_REQUESTED,
  }
}

function partitionAnswer(
  version: number,
  partition: PartitionDescription,
  liveness: Liveness,
): PartitionAnswer {
  const leader = leaderAnswer(partition, liveness)
  const answer = {
    errorCode: leader.errorCode,
    partitionIndex: partition.index,
    leaderId: leader.leaderId,
    leaderEpoch: partition.leaderEpoch,
    replicaNodes: partition.replicas,
    isrNodes: partition.isr,
    offlineReplicas: offlineAnswer(partition, liveness),
  }
  // Clients before v6 do not know that a leader may lack their listener.
  if (version < 6 && answer.errorCode === LISTENER_NOT_FOUND) {
    answer.errorCode = LEADER_NOT_AVAILABLE
  }
  if (version > 0) return answer
  // v0 clients fail on nodes that are not among the brokers.
  const isAlive = (nodeId: number) => liveness.get(nodeId) === true
  const isWhole = [...partition.replicas, ...partition.isr].every(isAlive)
  if (answer.errorCode === NONE && !isWhole) answer.errorCode = REPLICA_NOT_AVAILABLE
  answer.replicaNodes = partition.replicas.filter(isAlive)
  answer.isrNodes = partition.isr.filter(isAlive)
  return answer
}
