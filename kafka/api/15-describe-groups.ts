// DescribeGroups, v0-6
// v3 authorized operations (KIP-430); v4 static members; v5 flexible; v6 error message, and 69 for a
// group that does not exist (KIP-1043)

import { GROUP_ID_NOT_FOUND, NONE } from '../wire/errors.ts'
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
import { GROUP_OPERATIONS, NOT_REQUESTED } from './authorized-operations.ts'
import { defineApi } from './define.ts'

const request = struct({
  groups: array(string()),
  includeAuthorizedOperations: bool({ since: 3 }),
})

const response = struct({
  throttleTimeMs: int32({ since: 1, default: 0, ignorable: true }),
  groups: array({
    errorCode: int16(),
    errorMessage: nullableString({ since: 6, default: null }),
    groupId: string(),
    groupState: string(),
    protocolType: string(),
    protocolData: string(),
    members: array({
      memberId: string(),
      groupInstanceId: nullableString({ since: 4, default: null, ignorable: true }),
      clientId: string(),
      clientHost: string(),
      memberMetadata: bytes(),
      memberAssignment: bytes(),
    }),
    authorizedOperations: int32({ since: 3, default: -2147483648 }),
  }),
})

export type DescribeGroupsRequest = Infer<typeof request>
export type DescribeGroupsResponse = Written<typeof response>

export const describeGroups = defineApi({
  key: 15,
  name: 'DescribeGroups',
  versions: [0, 6],
  flexibleSince: 5,
  request,
  response,
  async handle(context, request) {
    const response = await context.broker.groups.describeGroups(context, request)
    const hasMissingError = context.apiVersion >= 6
    return {
      ...response,
      groups: response.groups.map((group) => {
        const isMissing = group.errorCode === GROUP_ID_NOT_FOUND
        const errorCode = isMissing && !hasMissingError ? NONE : group.errorCode
        const isAllowed = request.includeAuthorizedOperations && errorCode === NONE
        return {
          ...group,
          errorCode,
          errorMessage: hasMissingError ? group.errorMessage : null,
          authorizedOperations: isAllowed ? GROUP_OPERATIONS : NOT_REQUESTED,
        }
      }),
    }
  },
})
