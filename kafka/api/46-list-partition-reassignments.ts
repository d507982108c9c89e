// ListPartitionReassignments, v0 (KIP-455)
import {
  array,
  type Infer,
  int16,
  int32,
  nullableString,
  string,
  struct,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  timeoutMs: int32({ default: 60_000 }),
  // Null means all.
  topics: array(
    { name: string(), partitionIndexes: array(int32()) },
    { nullable: true, default: null },
  ),
})

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  errorCode: int16(),
  errorMessage: nullableString(),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      replicas: array(int32()),
      addingReplicas: array(int32()),
      removingReplicas: array(int32()),
    }),
  }),
})

export type ListPartitionReassignmentsRequest = Infer<typeof request>
export type ListPartitionReassignmentsResponse = Written<typeof response>

export const listPartitionReassignments = defineApi({
  key: 46,
  name: 'ListPartitionReassignments',
  versions: [0, 0],
  flexibleSince: 0,
  request,
  response,
  handle: (context, request) => context.broker.admin.listPartitionReassignments(context, request),
  refuse: (_context, _request, { errorCode, message: errorMessage }) => ({
    errorCode,
    errorMessage,
    topics: [],
  }),
})
