// DeleteRecords, v0-2
// v2 flexible
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

const request = struct({
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      offset: int64({ saturates: true }),
    }),
  }),
  timeoutMs: int32(),
})

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      lowWatermark: int64(),
      errorCode: int16(),
    }),
  }),
})

export type DeleteRecordsRequest = Infer<typeof request>
export type DeleteRecordsResponse = Written<typeof response>

export const deleteRecords = defineApi({
  key: 21,
  name: 'DeleteRecords',
  versions: [0, 2],
  flexibleSince: 2,
  request,
  response,
  handle: (context, request) => context.broker.topics.deleteRecords(context, request),
})
