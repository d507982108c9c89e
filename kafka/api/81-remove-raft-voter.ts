// RemoveRaftVoter, v0 (KIP-853)
import {
  type Infer,
  int16,
  int32,
  nullableString,
  struct,
  uuid,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  clusterId: nullableString(),
  voterId: int32(),
  voterDirectoryId: uuid(),
})

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  errorCode: int16(),
  errorMessage: nullableString({ ignorable: true }),
})

export type RemoveRaftVoterRequest = Infer<typeof request>
export type RemoveRaftVoterResponse = Written<typeof response>

export const removeRaftVoter = defineApi({
  key: 81,
  name: 'RemoveRaftVoter',
  versions: [0, 0],
  flexibleSince: 0,
  request,
  response,
  handle: (context, request) => context.broker.admin.removeRaftVoter(context, request),
  refuse: (_context, _request, { errorCode, message: errorMessage }) => ({
    errorCode,
    errorMessage,
  }),
})
