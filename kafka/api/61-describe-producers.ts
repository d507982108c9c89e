// DescribeProducers, v0
// KIP-664

import { INVALID_TOPIC_EXCEPTION, NONE } from '../wire/errors.ts'
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
import { defineApi, type HandlerContext } from './define.ts'
import { findPartition } from './partitions.ts'
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
  handle(context, request) {
    return {
      topics: request.topics.map(({ name, partitionIndexes }) => {
        const fault = topicNameFault(name)
        return {
          name,
          partitions: partitionIndexes.map((index) =>
            fault === undefined
              ? describe(context, name, index)
              : refusal(index, INVALID_TOPIC_EXCEPTION, fault),
          ),
        }
      }),
    }
  },
})

type PartitionAnswer = DescribeProducersResponse['topics'][number]['partitions'][number]

function describe(context: HandlerContext, topic: string, index: number): PartitionAnswer {
  const { partition, error } = findPartition(context.broker.data, topic, index, -1)
  if (partition === undefined) return refusal(index, error, null)
  const producers = context.broker.producers.activeProducers(partition)
  return {
    partitionIndex: index,
    errorCode: NONE,
    activeProducers: producers.map((producer) => ({
      producerId: producer.producerId,
      producerEpoch: producer.producerEpoch,
      lastSequence: producer.lastSequence,
      lastTimestamp: producer.lastTimestampMs,
      coordinatorEpoch: producer.coordinatorEpoch,
      currentTxnStartOffset: producer.currentTransactionStartOffset,
    })),
  }
}

function refusal(
  partitionIndex: number,
  errorCode: number,
  errorMessage: string | null,
): PartitionAnswer {
  return { partitionIndex, errorCode, errorMessage, activeProducers: [] }
}
