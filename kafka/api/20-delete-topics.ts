// DeleteTopics, v1-6
// v4 flexible; v5 error message, quota errors (KIP-599); v6 topic ids (KIP-516)
import {
  array,
  type Infer,
  int16,
  int32,
  nullableString,
  string,
  struct,
  uuid,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  topics: array(
    {
      name: nullableString({ default: null }),
      topicId: uuid(),
    },
    { since: 6 },
  ),
  topicNames: array(string(), { until: 5, ignorable: true }),
  timeoutMs: int32(),
})

const response = struct({
  throttleTimeMs: int32({ default: 0, ignorable: true }),
  responses: array({
    name: string({ nullableSince: 6 }),
    topicId: uuid({ since: 6, ignorable: true }),
    errorCode: int16(),
    errorMessage: nullableString({ since: 5, default: null, ignorable: true }),
  }),
})

export type DeleteTopicsRequest = Infer<typeof request>
export type DeleteTopicsResponse = Written<typeof response>

export const deleteTopics = defineApi({
  key: 20,
  name: 'DeleteTopics',
  versions: [1, 6],
  flexibleSince: 4,
  request,
  response,
})
