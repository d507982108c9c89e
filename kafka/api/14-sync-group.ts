// SyncGroup, v0-5
// v3 static members (KIP-345); v4 flexible; v5 protocol type and name

import { INCONSISTENT_GROUP_PROTOCOL } from '../wire/errors.ts'
import { EMPTY_BYTES } from '../wire/reader.ts'
import {
  array,
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
  generationId: int32(),
  memberId: string(),
  groupInstanceId: nullableString({ since: 3, default: null }),
  protocolType: nullableString({ since: 5, default: null, ignorable: true }),
  protocolName: nullableString({ since: 5, default: null, ignorable: true }),
  assignments: array({
    memberId: string(),
    assignment: bytes(),
  }),
})

const response = struct({
  throttleTimeMs: int32({ since: 1, default: 0, ignorable: true }),
  errorCode: int16(),
  protocolType: nullableString({ since: 5, default: null, ignorable: true }),
  protocolName: nullableString({ since: 5, default: null, ignorable: true }),
  assignment: bytes(),
})

export type SyncGroupRequest = Infer<typeof request>
export type SyncGroupResponse = Written<typeof response>

export const syncGroup = defineApi({
  key: 14,
  name: 'SyncGroup',
  versions: [0, 5],
  flexibleSince: 4,
  request,
  response,
  handle(context, request) {
    // KIP-559: from v5 on members say what they believe to have agreed on.
    const isSilent = request.protocolType === null || request.protocolName === null
    if (context.apiVersion >= 5 && isSilent) {
      return { errorCode: INCONSISTENT_GROUP_PROTOCOL, assignment: EMPTY_BYTES }
    }
    return context.broker.groups.syncGroup(context, request)
  },
})
