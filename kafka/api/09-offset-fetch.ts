// OffsetFetch, v1-10
// v2 null for all partitions, top-level error; v5 leader epoch; v6 flexible; v7 require stable (KIP-447);
// v8 many groups; v9 member epochs (KIP-848); v10 topic ids
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
})
