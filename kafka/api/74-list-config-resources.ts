// ListConfigResources, v0-1
// v1 resource types (KIP-1142); v0 lists client metrics only (KIP-714)

import { UNSUPPORTED_VERSION } from '../wire/errors.ts'
import {
  array,
  type Infer,
  int8,
  int16,
  int32,
  string,
  struct,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  resourceTypes: array(int8(), { since: 1 }),
})

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  errorCode: int16(),
  configResources: array({
    resourceName: string(),
    resourceType: int8({ since: 1, default: 16, ignorable: true }),
  }),
})

export type ListConfigResourcesRequest = Infer<typeof request>
export type ListConfigResourcesResponse = Written<typeof response>

const CLIENT_METRICS = 16
/** Topics, brokers, broker loggers, client metrics, groups. */
const KNOWN_TYPES = new Set([2, 4, 8, CLIENT_METRICS, 32])

export const listConfigResources = defineApi({
  key: 74,
  name: 'ListConfigResources',
  versions: [0, 1],
  flexibleSince: 0,
  request,
  response,
  handle(context, request) {
    const resourceTypes = context.apiVersion === 0 ? [CLIENT_METRICS] : request.resourceTypes
    if (!resourceTypes.every((type) => KNOWN_TYPES.has(type))) {
      return { errorCode: UNSUPPORTED_VERSION, configResources: [] }
    }
    return context.broker.configs.listConfigResources(context, { resourceTypes })
  },
})
