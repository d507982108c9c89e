// AllocateProducerIds, v0 (KIP-730): a broker takes a block of producer ids from the controller
import { type Infer, int16, int32, int64, struct, type Written } from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  brokerId: int32(),
  brokerEpoch: int64({ default: -1 }),
})

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  errorCode: int16(),
  producerIdStart: int64(),
  producerIdLen: int32(),
})

export type AllocateProducerIdsRequest = Infer<typeof request>
export type AllocateProducerIdsResponse = Written<typeof response>

export const allocateProducerIds = defineApi({
  key: 67,
  name: 'AllocateProducerIds',
  versions: [0, 0],
  flexibleSince: 0,
  request,
  response,
})
