// UnregisterBroker, v0
import { type Infer, int16, int32, nullableString, struct, type Written } from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({ brokerId: int32() })

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  errorCode: int16(),
  errorMessage: nullableString(),
})

export type UnregisterBrokerRequest = Infer<typeof request>
export type UnregisterBrokerResponse = Written<typeof response>

export const unregisterBroker = defineApi({
  key: 64,
  name: 'UnregisterBroker',
  versions: [0, 0],
  flexibleSince: 0,
  request,
  response,
  handle: (context, request) => context.broker.admin.unregisterBroker(context, request),
  refuse: (_context, _request, { errorCode, message: errorMessage }) => ({
    errorCode,
    errorMessage,
  }),
})
