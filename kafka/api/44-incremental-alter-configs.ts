// IncrementalAlterConfigs, v0-1
// v1 flexible
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
      configOperation: int8(),
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

export type IncrementalAlterConfigsRequest = Infer<typeof request>
export type IncrementalAlterConfigsResponse = Written<typeof response>

export const incrementalAlterConfigs = defineApi({
  key: 44,
  name: 'IncrementalAlterConfigs',
  versions: [0, 1],
  flexibleSince: 1,
  request,
  response,
  handle: (context, request) => context.broker.configs.incrementalAlterConfigs(context, request),
  refuse: (_context, { resources }, { errorCode, message: errorMessage }) => ({
    responses: resources.map(({ resourceType, resourceName }) => ({
      errorCode,
      errorMessage,
      resourceType,
      resourceName,
    })),
  }),
})
