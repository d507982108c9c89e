// OffsetDelete, v0
// KIP-496

import { NONE, UNKNOWN_TOPIC_OR_PARTITION } from '../wire/errors.ts'
import { array, type Infer, int16, int32, string, struct, type Written } from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  groupId: string(),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
    }),
  }),
})

const response = struct({
  errorCode: int16(),
  throttleTimeMs: int32({ default: 0, ignorable: true }),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
    }),
  }),
})

export type OffsetDeleteRequest = Infer<typeof request>
export type OffsetDeleteResponse = Written<typeof response>

export const offsetDelete = defineApi({
  key: 47,
  name: 'OffsetDelete',
  versions: [0, 0],
  request,
  response,
  async handle(context, request) {
    const { data, groups } = context.broker
    const exists = (name: string, index: number): boolean => {
      const topic = data.topic(name)
      return topic !== undefined && index >= 0 && index < topic.partitionCount
    }
    const topics = request.topics
      .map(({ name, partitions }) => ({
        name,
        partitions: partitions.filter(({ partitionIndex }) => exists(name, partitionIndex)),
      }))
      .filter(({ partitions }) => partitions.length > 0)
    // The group is asked even about nothing: it may not exist, which is an error of its own.
    const response = await groups.offsetDelete(context, { ...request, topics })
    if (response.errorCode !== NONE) return response
    const answers = new Map(response.topics.map((topic) => [topic.name, topic.partitions]))
    return {
      ...response,
      topics: request.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) =>
          exists(name, partitionIndex)
            ? answers.get(name)!.find((answer) => answer.partitionIndex === partitionIndex)!
            : { partitionIndex, errorCode: UNKNOWN_TOPIC_OR_PARTITION },
        ),
      })),
    }
  },
})
