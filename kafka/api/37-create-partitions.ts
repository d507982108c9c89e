// CreatePartitions, v0-3
// v2 flexible; v3 quota errors (KIP-599)
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
  topics: array({
    name: string(),
    count: int32(),
    assignments: array(
      {
        brokerIds: array(int32()),
      },
      { nullable: true },
    ),
  }),
  timeoutMs: int32(),
  validateOnly: bool(),
})

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  results: array({
    name: string(),
    errorCode: int16(),
    errorMessage: nullableString({ default: null }),
  }),
})

export type CreatePartitionsRequest = Infer<typeof request>
export type CreatePartitionsResponse = Written<typeof response>

export const createPartitions = defineApi({
  key: 37,
  name: 'CreatePartitions',
  versions: [0, 3],
  flexibleSince: 2,
  request,
  response,
  handle: (context, request) => context.broker.topics.createPartitions(context, request),
  refuse: (_context, { topics }, { errorCode, message: errorMessage }) => ({
    results: topics.map(({ name }) => ({ name, errorCode, errorMessage })),
  }),
})
