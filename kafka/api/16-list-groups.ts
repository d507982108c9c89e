// ListGroups, v0-5
// v3 flexible; v4 filter by state (KIP-518); v5 filter by type (KIP-848)
import { array, type Infer, int16, int32, string, struct, type Written } from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  statesFilter: array(string(), { since: 4 }),
  typesFilter: array(string(), { since: 5 }),
})

const response = struct({
  throttleTimeMs: int32({ since: 1, default: 0, ignorable: true }),
  errorCode: int16(),
  groups: array({
    groupId: string(),
    protocolType: string(),
    groupState: string({ since: 4, ignorable: true }),
    groupType: string({ since: 5, ignorable: true }),
  }),
})

export type ListGroupsRequest = Infer<typeof request>
export type ListGroupsResponse = Written<typeof response>

export const listGroups = defineApi({
  key: 16,
  name: 'ListGroups',
  versions: [0, 5],
  flexibleSince: 3,
  request,
  response,
  handle: (context, request) => context.broker.groups.listGroups(context, request),
})
