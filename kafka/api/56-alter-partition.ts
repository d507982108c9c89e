// AlterPartition, v2-3 (KIP-497): from a partition's leader to the controller
// v3 broker epochs of the replicas in sync (KIP-903)

import type { Written } from '../wire/schema.ts'
import { array, type Infer, int8, int16, int32, int64, struct, uuid } from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  brokerId: int32(),
  brokerEpoch: int64({ default: -1 }),
  topics: array({
    topicId: uuid({ ignorable: true }),
    partitions: array({
      partitionIndex: int32(),
      leaderEpoch: int32(),
      newIsr: array(int32(), { until: 2 }),
      newIsrWithEpochs: array(
        { brokerId: int32(), brokerEpoch: int64({ default: -1 }) },
        { since: 3 },
      ),
      leaderRecoveryState: int8(),
      partitionEpoch: int32(),
    }),
  }),
})

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  errorCode: int16(),
  topics: array({
    topicId: uuid({ ignorable: true }),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
      leaderId: int32(),
      leaderEpoch: int32(),
      isr: array(int32()),
      leaderRecoveryState: int8({ ignorable: true }),
      partitionEpoch: int32(),
    }),
  }),
})

export type AlterPartitionRequest = Infer<typeof request>
export type AlterPartitionResponse = Written<typeof response>

export const alterPartition = defineApi({
  key: 56,
  name: 'AlterPartition',
  versions: [2, 3],
  flexibleSince: 0,
  request,
  response,
})
