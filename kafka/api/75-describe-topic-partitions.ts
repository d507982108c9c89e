// DescribeTopicPartitions, v0
// KIP-966
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
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

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

export const describeTopicPartitions = defineApi({
  key: 75,
  name: 'DescribeTopicPartitions',
  versions: [0, 0],
  flexibleSince: 0,
  request,
  response,
})
