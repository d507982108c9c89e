// DeleteTopics, v1-6
// v4 flexible; v5 error message, quota errors (KIP-599); v6 topic ids (KIP-516)

import { INVALID_REQUEST, TOPIC_DELETION_DISABLED } from '../wire/errors.ts'
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
  ZERO_UUID,
} from '../wire/schema.ts'
import { defineApi, type RequestContext } from './define.ts'

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
  async handle(context, request) {
    const topics = topicsOf(context, request)
    const response = await context.broker.topics.deleteTopics(context, { ...request, topics })
    if (context.apiVersion >= 3) return response
    return {
      ...response,
      // Older clients do not know that deletion can be switched off.
      responses: response.responses.map((topic) =>
        topic.errorCode === TOPIC_DELETION_DISABLED
          ? { ...topic, errorCode: INVALID_REQUEST }
          : topic,
      ),
    }
  },
  refuse: (context, request, { errorCode, message: errorMessage }) => ({
    responses: topicsOf(context, request).map(({ name, topicId }) => ({
      name,
      topicId,
      errorCode,
      errorMessage,
    })),
  }),
})

function topicsOf({ apiVersion }: RequestContext, request: DeleteTopicsRequest) {
  if (apiVersion >= 6) return request.topics
  return request.topicNames.map((name) => ({ name, topicId: ZERO_UUID }))
}
