// DescribeQuorum, v0-2 (KIP-595)
// v1 times of the last fetch (KIP-836); v2 directory ids, error messages, addresses (KIP-853)
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

export const describeQuorum = defineApi({
  key: 55,
  name: 'DescribeQuorum',
  versions: [0, 2],
  flexibleSince: 0,
  request,
  response,
})
