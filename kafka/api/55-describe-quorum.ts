// DescribeQuorum, v0-2 (KIP-595)
// v1 times of the last fetch (KIP-836); v2 directory ids, error messages, addresses (KIP-853)
import { NONE, UNKNOWN_TOPIC_OR_PARTITION } from '../wire/errors.ts'
import {
  array,
  type Infer,
  int16,
  int32,
  int64,
  nullableString,
  string,
  struct,
  uint16,
  uuid,
  type Written,
  ZERO_UUID,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  topics: array({ topicName: string(), partitions: array({ partitionIndex: int32() }) }),
})

const replicaState = {
  replicaId: int32(),
  replicaDirectoryId: uuid({ since: 2 }),
  logEndOffset: int64(),
  lastFetchTimestamp: int64({ since: 1, default: -1, ignorable: true }),
  lastCaughtUpTimestamp: int64({ since: 1, default: -1, ignorable: true }),
}

const response = struct({
  errorCode: int16(),
  errorMessage: nullableString({ since: 2, ignorable: true }),
  topics: array({
    topicName: string(),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
      errorMessage: nullableString({ since: 2, ignorable: true }),
      leaderId: int32(),
      leaderEpoch: int32(),
      highWatermark: int64(),
      currentVoters: array(replicaState),
      observers: array(replicaState),
    }),
  }),
  nodes: array(
    {
      nodeId: int32(),
      listeners: array({ name: string(), host: string(), port: uint16() }),
    },
    { since: 2 },
  ),
})

export type DescribeQuorumRequest = Infer<typeof request>
export type DescribeQuorumResponse = Written<typeof response>

/** The one log that a quorum keeps. */
const TOPIC = '__cluster_metadata'
const PARTITION = 0
/** The first version with directory ids and addresses, which may not be dropped silently. */
const DIRECTORIES_SINCE = 2

export const describeQuorum = defineApi({
  key: 55,
  name: 'DescribeQuorum',
  versions: [0, 2],
  flexibleSince: 0,
  request,
  response,
  async handle(context, request) {
    if (!asksQuorum(request)) return unknown(request)
    const answer = await context.broker.admin.describeQuorum(context, request)
    return context.apiVersion >= DIRECTORIES_SINCE ? answer : withoutDirectories(answer)
  },
  refuse: (_context, _request, { errorCode, message: errorMessage }) => ({
    errorCode,
    errorMessage,
    topics: [],
  }),
})

function asksQuorum({ topics }: DescribeQuorumRequest): boolean {
  const partitions = topics.flatMap((topic) => topic.partitions)
  return (
    topics.length === 1 &&
    topics[0]!.topicName === TOPIC &&
    partitions.length === 1 &&
    partitions[0]!.partitionIndex === PARTITION
  )
}

function unknown({ topics }: DescribeQuorumRequest): DescribeQuorumResponse {
  return {
    errorCode: NONE,
    topics: topics.map(({ topicName, partitions }) => ({
      topicName,
      partitions: partitions.map(({ partitionIndex }) => ({
        partitionIndex,
        errorCode: UNKNOWN_TOPIC_OR_PARTITION,
        errorMessage: `Only ${TOPIC}-${PARTITION} has a quorum, and it is asked for alone.`,
        leaderId: 0,
        leaderEpoch: 0,
        highWatermark: 0,
        currentVoters: [],
        observers: [],
      })),
    })),
  }
}

function withoutDirectories({ nodes: _, ...answer }: DescribeQuorumResponse) {
  const plain = <T extends object>(replica: T) => ({ ...replica, replicaDirectoryId: ZERO_UUID })
  return {
    ...answer,
    topics: answer.topics.map((topic) => ({
      ...topic,
      partitions: topic.partitions.map((partition) => ({
        ...partition,
        currentVoters: partition.currentVoters.map(plain),
        observers: partition.observers.map(plain),
      })),
    })),
  }
}
