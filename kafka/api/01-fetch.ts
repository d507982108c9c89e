// Fetch, v4-18
// v4 record batches v2, isolation level; v5 log start offset; v7 sessions (KIP-227); v9 leader epoch;
// v10 zstd; v11 closest replica (KIP-392); v12 flexible, diverging epochs; v13 topic ids (KIP-516);
// v15 replica state; v16 leader hints (KIP-951); v17 directory id; v18 high watermark (KIP-1166)
import {
  array,
  INT64_MAX,
  type Infer,
  int8,
  int16,
  int32,
  int64,
  nullableString,
  records,
  string,
  struct,
  uuid,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  clusterId: nullableString({ since: 12, tag: 0, default: null, ignorable: true }),
  replicaId: int32({ until: 14, default: -1 }),
  replicaState: struct(
    {
      replicaId: int32({ default: -1 }),
      replicaEpoch: int64({ default: -1 }),
    },
    { since: 15, tag: 1 },
  ),
  maxWaitMs: int32(),
  minBytes: int32(),
  maxBytes: int32({ default: 2147483647, ignorable: true }),
  isolationLevel: int8({ ignorable: true }),
  sessionId: int32({ since: 7, ignorable: true }),
  sessionEpoch: int32({ since: 7, default: -1, ignorable: true }),
  topics: array({
    topic: string({ until: 12, ignorable: true }),
    topicId: uuid({ since: 13, ignorable: true }),
    partitions: array({
      partition: int32(),
      currentLeaderEpoch: int32({ since: 9, default: -1, ignorable: true }),
      fetchOffset: int64({ saturates: true }),
      lastFetchedEpoch: int32({ since: 12, default: -1 }),
      logStartOffset: int64({ since: 5, default: -1, ignorable: true, saturates: true }),
      partitionMaxBytes: int32(),
      replicaDirectoryId: uuid({ since: 17, tag: 0, ignorable: true }),
      highWatermark: int64({
        since: 18,
        tag: 1,
        default: INT64_MAX,
        ignorable: true,
        saturates: true,
      }),
    }),
  }),
  forgottenTopicsData: array(
    {
      topic: string({ until: 12, ignorable: true }),
      topicId: uuid({ since: 13, ignorable: true }),
      partitions: array(int32()),
    },
    { since: 7 },
  ),
  rackId: string({ since: 11, ignorable: true }),
})

const response = struct({
  throttleTimeMs: int32({ default: 0, ignorable: true }),
  errorCode: int16({ since: 7, ignorable: true }),
  sessionId: int32({ since: 7 }),
  responses: array({
    topic: string({ until: 12, ignorable: true }),
    topicId: uuid({ since: 13, ignorable: true }),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
      highWatermark: int64(),
      lastStableOffset: int64({ default: -1, ignorable: true }),
      logStartOffset: int64({ since: 5, default: -1, ignorable: true }),
      divergingEpoch: struct(
        {
          epoch: int32({ default: -1 }),
          endOffset: int64({ default: -1 }),
        },
        { since: 12, tag: 0 },
      ),
      currentLeader: struct(
        {
          leaderId: int32({ default: -1 }),
          leaderEpoch: int32({ default: -1 }),
        },
        { since: 12, tag: 1 },
      ),
      snapshotId: struct(
        {
          endOffset: int64({ default: -1 }),
          epoch: int32({ default: -1 }),
        },
        { since: 12, tag: 2 },
      ),
      abortedTransactions: array(
        {
          producerId: int64(),
          firstOffset: int64(),
        },
        { nullable: true, ignorable: true },
      ),
      preferredReadReplica: int32({ since: 11, default: -1 }),
      records: records({ nullable: true }),
    }),
  }),
  nodeEndpoints: array(
    {
      nodeId: int32(),
      host: string(),
      port: int32(),
      rack: nullableString({ default: null }),
    },
    { since: 16, tag: 0 },
  ),
})

export type FetchRequest = Infer<typeof request>
export type FetchResponse = Written<typeof response>

export const fetch = defineApi({
  key: 1,
  name: 'Fetch',
  versions: [4, 18],
  flexibleSince: 12,
  request,
  response,
})
