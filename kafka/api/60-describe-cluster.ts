// DescribeCluster, v0-2
// v1 endpoint type (KIP-919); v2 fenced brokers (KIP-1073)

import { MISMATCHED_ENDPOINT_TYPE, NONE, UNSUPPORTED_ENDPOINT_TYPE } from '../wire/errors.ts'
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
import { CLUSTER_OPERATIONS, NOT_REQUESTED } from './authorized-operations.ts'
import { defineApi } from './define.ts'
import { controllerAnswer, livenessOf } from './leaders.ts'

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

/** Endpoint types (KIP-919). */
const BROKERS = 1
const CONTROLLERS = 2

export const describeCluster = defineApi({
  key: 60,
  name: 'DescribeCluster',
  versions: [0, 2],
  flexibleSince: 0,
  request,
  response,
  handle(context, request) {
    const { cluster } = context.broker
    const { endpointType } = request
    if (endpointType !== BROKERS) {
      const isKnown = endpointType === CONTROLLERS
      return {
        errorCode: isKnown ? MISMATCHED_ENDPOINT_TYPE : UNSUPPORTED_ENDPOINT_TYPE,
        errorMessage: isKnown
          ? 'This listener is for brokers; controllers have no listener for clients.'
          : `There are no endpoints of type ${endpointType}`,
        clusterId: '',
        brokers: [],
      }
    }
    return {
      errorCode: NONE,
      clusterId: cluster.clusterId,
      controllerId: controllerAnswer(cluster, livenessOf(cluster, context.listener)),
      brokers: cluster
        .brokers(context.listener)
        .filter(({ isFenced }) => request.includeFencedBrokers || !isFenced)
        .map(({ nodeId, host, port, rack, isFenced }) => ({
          brokerId: nodeId,
          host,
          port,
          rack,
          isFenced,
        })),
      clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
        ? CLUSTER_OPERATIONS
        : NOT_REQUESTED,
    }
  },
})
