// DeleteGroups, v0-2
// v2 flexible
import { array, type Infer, int16, int32, string, struct, type Written } from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  groupsNames: array(string()),
})

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  results: array({
    groupId: string(),
    errorCode: int16(),
  }),
})

export type DeleteGroupsRequest = Infer<typeof request>
export type DeleteGroupsResponse = Written<typeof response>

export const deleteGroups = defineApi({
  key: 42,
  name: 'DeleteGroups',
  versions: [0, 2],
  flexibleSince: 2,
  request,
  response,
  handle: (context, request) => context.broker.groups.deleteGroups(context, request),
})
