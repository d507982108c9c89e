// AlterConfigs, v0-2
// v2 flexible
import {
  array,
  bool,
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
  resources: array({
    resourceType: int8(),
    resourceName: string(),
    configs: array({
      name: string(),
      value: nullableString(),
    }),
  }),
  validateOnly: bool(),
})

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  responses: array({
    errorCode: int16(),
    errorMessage: nullableString(),
    resourceType: int8(),
    resourceName: string(),
  }),
})

export type AlterConfigsRequest = Infer<typeof request>
export type AlterConfigsResponse = Written<typeof response>

export const alterConfigs = defineApi({
  key: 33,
  name: 'AlterConfigs',
  versions: [0, 2],
  flexibleSince: 2,
  request,
  response,
  handle: (context, request) => context.broker.configs.alterConfigs(context, request),
  refuse: (_context, { resources }, { errorCode, message: errorMessage }) => ({
    responses: resources.map(({ resourceType, resourceName }) => ({
      errorCode,
      errorMessage,
      resourceType,
      resourceName,
    })),
  }),
})
