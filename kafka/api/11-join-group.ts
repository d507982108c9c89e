// JoinGroup, v0-9
// v1 rebalance timeout; v4 member id required (KIP-394); v5 static members (KIP-345); v6 flexible;
// v7 protocol type; v8 reason (KIP-800); v9 skip assignment
import {
  array,
  bool,
  bytes,
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
  sessionTimeoutMs: int32(),
  rebalanceTimeoutMs: int32({ since: 1, default: -1, ignorable: true }),
  memberId: string(),
  groupInstanceId: nullableString({ since: 5, default: null }),
  protocolType: string(),
  protocols: array({
    name: string(),
    metadata: bytes(),
  }),
  reason: nullableString({ since: 8, default: null, ignorable: true }),
})

const response = struct({
  throttleTimeMs: int32({ since: 2, default: 0, ignorable: true }),
  errorCode: int16(),
  generationId: int32({ default: -1 }),
  protocolType: nullableString({ since: 7, default: null, ignorable: true }),
  protocolName: string({ nullableSince: 7 }),
  leader: string(),
  skipAssignment: bool({ since: 9 }),
  memberId: string(),
  members: array({
    memberId: string(),
    groupInstanceId: nullableString({ since: 5, default: null, ignorable: true }),
    metadata: bytes(),
  }),
})

export type JoinGroupRequest = Infer<typeof request>
export type JoinGroupResponse = Written<typeof response>

export const joinGroup = defineApi({
  key: 11,
  name: 'JoinGroup',
  versions: [0, 9],
  flexibleSince: 6,
  request,
  response,
  async handle(context, request) {
    const { apiVersion } = context
    // v0 has no rebalance timeout: the session's stands for both.
    const rebalanceTimeoutMs =
      apiVersion === 0 ? request.sessionTimeoutMs : request.rebalanceTimeoutMs
    const response = await context.broker.groups.joinGroup(context, {
      ...request,
      rebalanceTimeoutMs,
    })
    return apiVersion >= 7 ? response : { ...response, protocolName: response.protocolName ?? '' }
  },
})
