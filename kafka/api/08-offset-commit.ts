// OffsetCommit, v2-10
// v2 retention time, until v4; v6 leader epoch; v7 static members (KIP-345); v8 flexible;
// v9 member epochs (KIP-848); v10 topic ids
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
})
