// BrokerRegistration, v0-4 (KIP-631): from a broker that starts to the controller
// v1 ZooKeeper migration (never set here); v2 log directories (KIP-858);
// v3 epoch of the registration before (KIP-966); v4 features whose least version is 0
import {
  array,
  bool,
  type Infer,
  int16,
  int32,
  int64,
  nullableString,
  string,
  struct,
  uint16,
  uuid,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  brokerId: int32(),
  clusterId: string(),
  incarnationId: uuid(),
  listeners: array({ name: string(), host: string(), port: uint16(), securityProtocol: int16() }),
  features: array({
    name: string(),
    minSupportedVersion: int16(),
    maxSupportedVersion: int16(),
  }),
  rack: nullableString(),
  isMigratingZkBroker: bool({ since: 1 }),
  logDirs: array(uuid(), { since: 2, ignorable: true }),
  previousBrokerEpoch: int64({ since: 3, default: -1, ignorable: true }),
})

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  errorCode: int16(),
  brokerEpoch: int64({ default: -1 }),
})

export type BrokerRegistrationRequest = Infer<typeof request>
export type BrokerRegistrationResponse = Written<typeof response>

export const brokerRegistration = defineApi({
  key: 62,
  name: 'BrokerRegistration',
  versions: [0, 4],
  flexibleSince: 0,
  request,
  response,
})
