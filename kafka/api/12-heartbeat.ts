// Heartbeat, v0-4
// v3 static members (KIP-345); v4 flexible
import {
  type Infer,
  int16,
  int32,
  nullableString,
  string,
  struct,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  groupId: string(),
  generationId: int32(),
  memberId: string(),
  groupInstanceId: nullableString({ since: 3, default: null }),
})

const response = struct({
  throttleTimeMs: int32({ since: 1, default: 0, ignorable: true }),
  errorCode: int16(),
})

export type HeartbeatRequest = Infer<typeof request>
export type HeartbeatResponse = Written<typeof response>

export const heartbeat = defineApi({
  key: 12,
  name: 'Heartbeat',
  versions: [0, 4],
  flexibleSince: 4,
  request,
  response,
  handle: (context, request) => context.broker.groups.heartbeat(context, request),
})
