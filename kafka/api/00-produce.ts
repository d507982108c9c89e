// Produce, v3-13
// v3 record batches v2; v5 log start offset; v7 zstd; v8 record errors (KIP-467); v9 flexible;
// v10 leader hints (KIP-951); v11 and v12 transactions of version 2 (KIP-890); v13 topic ids (KIP-516)
import {
  array,
  type Infer,
  int16,
  int32,
  int64,
  nullableString,
  records,
  string,
  struct,
  uuid,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  transactionalId: nullableString({ default: null }),
  acks: int16(),
  timeoutMs: int32(),
  topicData: array({
    name: string({ until: 12, ignorable: true }),
    topicId: uuid({ since: 13, ignorable: true }),
    partitionData: array({
      index: int32(),
      records: records({ nullable: true }),
    }),
  }),
})

const response = struct({
  responses: array({
    name: string({ until: 12, ignorable: true }),
    topicId: uuid({ since: 13, ignorable: true }),
    partitionResponses: array({
      index: int32(),
      errorCode: int16(),
      baseOffset: int64(),
      logAppendTimeMs: int64({ default: -1, ignorable: true }),
      logStartOffset: int64({ since: 5, default: -1, ignorable: true }),
      recordErrors: array(
        {
          batchIndex: int32(),
          batchIndexErrorMessage: nullableString({ default: null }),
        },
        { since: 8, ignorable: true },
      ),
      errorMessage: nullableString({ since: 8, default: null, ignorable: true }),
      currentLeader: struct(
        {
          leaderId: int32({ default: -1 }),
          leaderEpoch: int32({ default: -1 }),
        },
        { since: 10, tag: 0 },
      ),
    }),
  }),
  throttleTimeMs: int32({ default: 0, ignorable: true }),
  nodeEndpoints: array(
    {
      nodeId: int32(),
      host: string(),
      port: int32(),
      rack: nullableString({ default: null }),
    },
    { since: 10, tag: 0 },
  ),
})

export type ProduceRequest = Infer<typeof request>
export type ProduceResponse = Written<typeof response>

export const produce = defineApi({
  key: 0,
  name: 'Produce',
  versions: [3, 13],
  // Older librdkafka looks for v0 to v2, which are refused all the same (KAFKA-18659).
  advertised: [0, 13],
  flexibleSince: 9,
  request,
  response,
})
