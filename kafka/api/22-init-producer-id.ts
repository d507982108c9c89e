// InitProducerId, v0-5
// v2 flexible; v3 bump of an epoch (KIP-360); v4 PRODUCER_FENCED; v5 transactions of version 2
import {
  type Infer,
  int16,
  int32,
  int64,
  nullableString,
  struct,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  transactionalId: nullableString(),
  transactionTimeoutMs: int32(),
  producerId: int64({ since: 3, default: -1 }),
  producerEpoch: int16({ since: 3, default: -1 }),
})

const response = struct({
  throttleTimeMs: int32({ default: 0, ignorable: true }),
  errorCode: int16(),
  producerId: int64({ default: -1 }),
  producerEpoch: int16(),
})

export type InitProducerIdRequest = Infer<typeof request>
export type InitProducerIdResponse = Written<typeof response>

export const initProducerId = defineApi({
  key: 22,
  name: 'InitProducerId',
  versions: [0, 5],
  flexibleSince: 2,
  request,
  response,
})
