// DescribeCluster, v0-2
// v1 endpoint type (KIP-919); v2 fenced brokers (KIP-1073)
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
  includeClusterAuthorizedOperations: bool(),
  endpointType: int8({ since: 1, default: 1 }),
  includeFencedBrokers: bool({ since: 2 }),
})

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  errorCode: int16(),
  errorMessage: nullableString({ default: null }),
  endpointType: int8({ since: 1, default: 1 }),
  clusterId: string(),
  controllerId: int32({ default: -1 }),
  brokers: array({
    brokerId: int32(),
    host: string(),
    port: int32(),
    rack: nullableString({ default: null }),
    isFenced: bool({ since: 2 }),
  }),
  clusterAuthorizedOperations: int32({ default: -2147483648 }),
})

export type DescribeClusterRequest = Infer<typeof request>
export type DescribeClusterResponse = Written<typeof response>

export const describeCluster = defineApi({
  key: 60,
  name: 'DescribeCluster',
  versions: [0, 2],
  flexibleSince: 0,
  request,
  response,
})
