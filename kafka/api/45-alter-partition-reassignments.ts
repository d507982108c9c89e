// AlterPartitionReassignments, v0-1 (KIP-455)
// v1 may refuse a change of the replication factor (KIP-860)
import {
  array,
  bool,
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
  allowReplicationFactorChange: bool({ since: 1, default: true }),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      // Null cancels a reassignment under way.
      replicas: array(int32(), { nullable: true, default: null }),
    }),
  }),
})

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  allowReplicationFactorChange: bool({ since: 1, default: true, ignorable: true }),
  errorCode: int16(),
  errorMessage: nullableString(),
  responses: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
      errorMessage: nullableString(),
    }),
  }),
})

export type AlterPartitionReassignmentsRequest = Infer<typeof request>
export type AlterPartitionReassignmentsResponse = Written<typeof response>

export const alterPartitionReassignments = defineApi({
  key: 45,
  name: 'AlterPartitionReassignments',
  versions: [0, 1],
  flexibleSince: 0,
  request,
  response,
  async handle(context, request) {
    const { allowReplicationFactorChange } = request
    const answer = await context.broker.admin.alterPartitionReassignments(context, request)
    return { ...answer, allowReplicationFactorChange }
  },
  refuse: (_context, { topics }, { errorCode, message: errorMessage }) => ({
    errorCode,
    errorMessage,
    responses: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({
        partitionIndex,
        errorCode,
        errorMessage,
      })),
    })),
  }),
})
