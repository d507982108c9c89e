// InitProducerId, v0-5
// v2 flexible; v3 bump of an epoch (KIP-360); v4 PRODUCER_FENCED; v5 transactions of version 2

import {
  COORDINATOR_LOAD_IN_PROGRESS,
  COORDINATOR_NOT_AVAILABLE,
  INVALID_REQUEST,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
} from '../wire/errors.ts'
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
  async handle(context, request) {
    if (request.transactionalId === '') return refusal(INVALID_REQUEST)
    if (request.transactionalId !== null) return refusal(TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    // Both are given, or neither (KIP-360).
    if ((request.producerId === -1) !== (request.producerEpoch === -1)) {
      return refusal(INVALID_REQUEST)
    }
    const answer = await context.broker.producers.initProducerId(context, request)
    // A producer without a transactional id has no coordinator to look for; so it is told to wait.
    return answer.errorCode === COORDINATOR_NOT_AVAILABLE
      ? refusal(COORDINATOR_LOAD_IN_PROGRESS)
      : answer
  },
  // Producers that know no other code here try this one again.
  refuse: () => refusal(COORDINATOR_LOAD_IN_PROGRESS),
})

/** There is no place for a message here; clients were told by FindCoordinator (no-transactions.ts). */
function refusal(errorCode: number): InitProducerIdResponse {
  return { errorCode, producerId: -1, producerEpoch: -1 }
}
