// LeaveGroup, v0-5
// v3 many members (KIP-345); v4 flexible; v5 reason (KIP-800)

import { NONE } from '../wire/errors.ts'
import {
  array,
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
  memberId: string({ until: 2 }),
  members: array(
    {
      memberId: string(),
      groupInstanceId: nullableString({ default: null }),
      reason: nullableString({ since: 5, default: null, ignorable: true }),
    },
    { since: 3 },
  ),
})

const response = struct({
  throttleTimeMs: int32({ since: 1, default: 0, ignorable: true }),
  errorCode: int16(),
  members: array(
    {
      memberId: string(),
      groupInstanceId: nullableString(),
      errorCode: int16(),
    },
    { since: 3 },
  ),
})

export type LeaveGroupRequest = Infer<typeof request>
export type LeaveGroupResponse = Written<typeof response>

export const leaveGroup = defineApi({
  key: 13,
  name: 'LeaveGroup',
  versions: [0, 5],
  flexibleSince: 4,
  request,
  response,
  async handle(context, request) {
    if (context.apiVersion >= 3) return context.broker.groups.leaveGroup(context, request)
    const { throttleTimeMs, errorCode, members } = await context.broker.groups.leaveGroup(context, {
      ...request,
      members: [{ memberId: request.memberId, groupInstanceId: null, reason: null }],
    })
    return {
      throttleTimeMs,
      errorCode: errorCode === NONE ? (members?.[0]?.errorCode ?? NONE) : errorCode,
    }
  },
})
