// ListOffsets, v1-11
// v1 one offset per partition; v2 isolation level; v4 leader epoch; v6 flexible; v7 max timestamp
// (KIP-734); v8 earliest local; v9 latest tiered; v10 timeout; v11 earliest pending upload
import {
  array,
  type Infer,
  int8,
  int16,
  int32,
  int64,
  string,
  struct,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  replicaId: int32(),
  isolationLevel: int8({ since: 2 }),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      currentLeaderEpoch: int32({ since: 4, default: -1, ignorable: true }),
      timestamp: int64({ saturates: true }),
    }),
  }),
  timeoutMs: int32({ since: 10, ignorable: true }),
})

const response = struct({
  throttleTimeMs: int32({ since: 2, default: 0, ignorable: true }),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
      timestamp: int64({ default: -1 }),
      offset: int64({ default: -1 }),
      leaderEpoch: int32({ since: 4, default: -1 }),
    }),
  }),
})

export type ListOffsetsRequest = Infer<typeof request>
export type ListOffsetsResponse = Written<typeof response>

export const listOffsets = defineApi({
  key: 2,
  name: 'ListOffsets',
  versions: [1, 11],
  flexibleSince: 6,
  request,
  response,
})
