// OffsetForLeaderEpoch, v2-4
// v2 current leader epoch (KIP-320); v3 replica id; v4 flexible

import { NONE } from '../wire/errors.ts'
import {
  array,
  type Infer,
  int16,
  int32,
  int64,
  string,
  struct,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'
import { findPartition } from './partitions.ts'

const request = struct({
  replicaId: int32({ since: 3, default: -2, ignorable: true }),
  topics: array({
    topic: string(),
    partitions: array({
      partition: int32(),
      currentLeaderEpoch: int32({ default: -1, ignorable: true }),
      leaderEpoch: int32(),
    }),
  }),
})

const response = struct({
  throttleTimeMs: int32({ default: 0, ignorable: true }),
  topics: array({
    topic: string(),
    partitions: array({
      errorCode: int16(),
      partition: int32(),
      leaderEpoch: int32({ default: -1, ignorable: true }),
      endOffset: int64({ default: -1 }),
    }),
  }),
})

export type OffsetForLeaderEpochRequest = Infer<typeof request>
export type OffsetForLeaderEpochResponse = Written<typeof response>

export const offsetForLeaderEpoch = defineApi({
  key: 23,
  name: 'OffsetForLeaderEpoch',
  versions: [2, 4],
  flexibleSince: 4,
  request,
  response,
  handle(context, request) {
    const { data } = context.broker
    return {
      topics: request.topics.map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.map((asked) => {
          const found = findPartition(data, topic, asked.partition, asked.currentLeaderEpoch)
          if (found.partition === undefined) {
            return { errorCode: found.error, partition: asked.partition }
          }
          const { epoch, endOffset } = found.partition.endOffsetForEpoch(asked.leaderEpoch)
          return { errorCode: NONE, partition: asked.partition, leaderEpoch: epoch, endOffset }
        }),
      })),
    }
  },
})
