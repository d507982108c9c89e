// FindCoordinator, v0-6
// v1 key types, error message; v3 flexible; v4 many keys (KIP-699); v5 transactions of version 2;
// v6 share groups

import {
  COORDINATOR_NOT_AVAILABLE,
  INVALID_REQUEST,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
} from '../wire/errors.ts'
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
import { NO_TRANSACTIONS } from './no-transactions.ts'

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

/** Key types. */
const GROUP = 0
const TRANSACTION = 1

export const findCoordinator = defineApi({
  key: 10,
  name: 'FindCoordinator',
  versions: [0, 6],
  flexibleSince: 3,
  request,
  response,
  async handle(context, request) {
    const isSingle = context.apiVersion < 4
    const coordinatorKeys = isSingle ? [request.key] : request.coordinatorKeys
    const response =
      request.keyType === GROUP
        ? await context.broker.groups.findCoordinator(context, { ...request, coordinatorKeys })
        : { coordinators: coordinatorKeys.map((key) => refusal(key, request.keyType)) }
    if (!isSingle) return response
    const { key: _, ...single } = response.coordinators![0]!
    return { throttleTimeMs: response.throttleTimeMs, ...single }
  },
  // The topic of the offsets could not be made.
  refuse({ apiVersion }, { coordinatorKeys }, { message }) {
    if (apiVersion < 4) return nowhere(COORDINATOR_NOT_AVAILABLE, message)
    return {
      coordinators: coordinatorKeys.map((each) => ({
        key: each,
        ...nowhere(COORDINATOR_NOT_AVAILABLE, message),
      })),
    }
  },
})

function refusal(key: string, keyType: number) {
  const isTransaction = keyType === TRANSACTION
  const errorCode = isTransaction ? TRANSACTIONAL_ID_AUTHORIZATION_FAILED : INVALID_REQUEST
  const unknown = `Coordinators of type ${keyType} are unknown.`
  return { key, ...nowhere(errorCode, isTransaction ? NO_TRANSACTIONS : unknown) }
}

function nowhere(errorCode: number, errorMessage: string) {
  return { nodeId: -1, host: '', port: -1, errorCode, errorMessage }
}
