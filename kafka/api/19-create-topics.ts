// CreateTopics, v2-7
// v2 is the first since 4.0; v5 flexible, settings in the answer (KIP-525); v6 quota errors (KIP-599);
// v7 topic ids
import {
  array,
  bool,
  type Infer,
  int8,
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
  topics: array({
    name: string(),
    numPartitions: int32(),
    replicationFactor: int16(),
    assignments: array({
      partitionIndex: int32(),
      brokerIds: array(int32()),
    }),
    configs: array({
      name: string(),
      value: nullableString(),
    }),
  }),
  timeoutMs: int32({ default: 60000 }),
  validateOnly: bool(),
})

const response = struct({
  throttleTimeMs: int32({ default: 0, ignorable: true }),
  topics: array({
    name: string(),
    topicId: uuid({ since: 7, ignorable: true }),
    errorCode: int16(),
    errorMessage: nullableString({ ignorable: true }),
    topicConfigErrorCode: int16({ since: 5, tag: 0, ignorable: true }),
    numPartitions: int32({ since: 5, default: -1, ignorable: true }),
    replicationFactor: int16({ since: 5, default: -1, ignorable: true }),
    configs: array(
      {
        name: string(),
        value: nullableString(),
        readOnly: bool(),
        configSource: int8({ default: -1, ignorable: true }),
        isSensitive: bool(),
      },
      { since: 5, nullable: true, ignorable: true },
    ),
  }),
})

export type CreateTopicsRequest = Infer<typeof request>
export type CreateTopicsResponse = Written<typeof response>

export const createTopics = defineApi({
  key: 19,
  name: 'CreateTopics',
  versions: [2, 7],
  flexibleSince: 5,
  request,
  response,
  handle: (context, request) => context.broker.topics.createTopics(context, request),
  refuse: (_context, { topics }, { errorCode, message: errorMessage }) => ({
    topics: topics.map(({ name }) => ({
      name,
      errorCode,
      errorMessage,
      configs: [],
    })),
  }),
})
