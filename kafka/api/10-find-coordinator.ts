// FindCoordinator, v0-6
// v1 key types, error message; v3 flexible; v4 many keys (KIP-699); v5 transactions of version 2;
// v6 share groups
import {
  array,
  type Infer,
  int8,
  int16,
  int32,
  nullableString,
  string,
  struct,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  key: string({ until: 3 }),
  keyType: int8({ since: 1 }),
  coordinatorKeys: array(string(), { since: 4 }),
})

const response = struct({
  throttleTimeMs: int32({ since: 1, default: 0, ignorable: true }),
  errorCode: int16({ until: 3 }),
  errorMessage: nullableString({ since: 1, until: 3, ignorable: true }),
  nodeId: int32({ until: 3 }),
  host: string({ until: 3 }),
  port: int32({ until: 3 }),
  coordinators: array(
    {
      key: string(),
      nodeId: int32(),
      host: string(),
      port: int32(),
      errorCode: int16(),
      errorMessage: nullableString({ ignorable: true }),
    },
    { since: 4 },
  ),
})

export type FindCoordinatorRequest = Infer<typeof request>
export type FindCoordinatorResponse = Written<typeof response>

export const findCoordinator = defineApi({
  key: 10,
  name: 'FindCoordinator',
  versions: [0, 6],
  flexibleSince: 3,
  request,
  response,
})
