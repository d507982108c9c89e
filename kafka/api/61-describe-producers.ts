// DescribeProducers, v0
// KIP-664

import { INVALID_TOPIC_EXCEPTION } from '../wire/errors.ts'
import {
  array,
  type Infer,
  int16,
  int32,
  int64,
  nullableString,
  string,
  struct,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'
import { topicNameFault } from './topic-names.ts'

const request = struct({
  topics: array({
    name: string(),
    partitionIndexes: array(int32()),
  }),
})

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
      errorMessage: nullableString({ default: null }),
      activeProducers: array({
        producerId: int64(),
        producerEpoch: int32(),
        lastSequence: int32({ default: -1 }),
        lastTimestamp: int64({ default: -1 }),
        coordinatorEpoch: int32(),
        currentTxnStartOffset: int64({ default: -1 }),
      }),
    }),
  }),
})

export type DescribeProducersRequest = Infer<typeof request>
export type DescribeProducersResponse = Written<typeof response>

export const describeProducers = defineApi({
  key: 61,
  name: 'DescribeProducers',
  versions: [0, 0],
  flexibleSince: 0,
  request,
  response,
  async handle(context, request) {
    const response = await context.broker.producers.describeProducers(context, request)
    return {
      ...response,
      topics: response.topics.map(({ name, partitions }) => {
        const fault = topicNameFault(name)
        return {
          name,
          partitions:
            fault === undefined ? partitions : partitions.map((one) => misnamed(one, fault)),
        }
      }),
    }
  },
})

type PartitionAnswer = DescribeProducersResponse['topics'][number]['partitions'][number]

function misnamed({ partitionIndex }: PartitionAnswer, errorMessage: string): PartitionAnswer {
  return { partitionIndex, errorCode: INVALID_TOPIC_EXCEPTION, errorMessage, activeProducers: [] }
}
