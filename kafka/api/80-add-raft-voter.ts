// AddRaftVoter, v0-1 (KIP-853)
// v1 may answer before the change is committed
import {
  array,
  bool,
  type Infer,
  int16,
  int32,
  nullableString,
  string,
  struct,
  uint16,
  uuid,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  clusterId: nullableString(),
  timeoutMs: int32(),
  voterId: int32(),
  voterDirectoryId: uuid(),
  listeners: array({ name: string(), host: string(), port: uint16() }),
  ackWhenCommitted: bool({ since: 1, default: true }),
})

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  errorCode: int16(),
  errorMessage: nullableString({ ignorable: true }),
})

export type AddRaftVoterRequest = Infer<typeof request>
export type AddRaftVoterResponse = Written<typeof response>

export const addRaftVoter = defineApi({
  key: 80,
  name: 'AddRaftVoter',
  versions: [0, 1],
  flexibleSince: 0,
  request,
  response,
  handle: (context, request) => context.broker.admin.addRaftVoter(context, request),
  refuse: (_context, _request, { errorCode, message: errorMessage }) => ({
    errorCode,
    errorMessage,
  }),
})
