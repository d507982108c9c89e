// BrokerHeartbeat, v0-2 (KIP-631): from a broker to the controller
// v1 failed log directories (KIP-858); v2 cordoned ones (KIP-1066)
import {
  array,
  bool,
  type Infer,
  int16,
  int32,
  int64,
  struct,
  uuid,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  brokerId: int32(),
  brokerEpoch: int64({ default: -1 }),
  currentMetadataOffset: int64(),
  wantFence: bool(),
  wantShutDown: bool(),
  offlineLogDirs: array(uuid(), { since: 1, tag: 0 }),
  cordonedLogDirs: array(uuid(), { since: 2, nullable: true, tag: 1, default: null }),
})

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  errorCode: int16(),
  isCaughtUp: bool(),
  isFenced: bool({ default: true }),
  shouldShutDown: bool(),
})

export type BrokerHeartbeatRequest = Infer<typeof request>
export type BrokerHeartbeatResponse = Written<typeof response>

export const brokerHeartbeat = defineApi({
  key: 63,
  name: 'BrokerHeartbeat',
  versions: [0, 2],
  flexibleSince: 0,
  request,
  response,
})
