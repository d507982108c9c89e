// Metadata, v0-13
// v1 rack, controller, internal topics, null for all topics; v2 cluster id; v4 auto-creation flag;
// v5 offline replicas; v7 leader epoch; v8 authorized operations (KIP-430); v9 flexible;
// v10 topic ids; v11 cluster operations moved to DescribeCluster; v12 ask by id; v13 top-level error
import {
  array,
  bool,
  type Infer,
  int16,
  int32,
  nullableString,
  string,
  struct,
  uuid,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  topics: array(
    {
      topicId: uuid({ since: 10, ignorable: true }),
      name: string({ nullableSince: 10 }),
    },
    { nullableSince: 1 },
  ),
  allowAutoTopicCreation: bool({ since: 4, default: true }),
  includeClusterAuthorizedOperations: bool({ since: 8, until: 10 }),
  includeTopicAuthorizedOperations: bool({ since: 8 }),
})

const response = struct({
  throttleTimeMs: int32({ since: 3, default: 0, ignorable: true }),
  brokers: array({
    nodeId: int32(),
    host: string(),
    port: int32(),
    rack: nullableString({ since: 1, default: null, ignorable: true }),
  }),
  clusterId: nullableString({ since: 2, default: null, ignorable: true }),
  controllerId: int32({ since: 1, default: -1, ignorable: true }),
  topics: array({
    errorCode: int16(),
    name: string({ nullableSince: 12 }),
    topicId: uuid({ since: 10, ignorable: true }),
    isInternal: bool({ since: 1, ignorable: true }),
    partitions: array({
      errorCode: int16(),
      partitionIndex: int32(),
      leaderId: int32(),
      leaderEpoch: int32({ since: 7, default: -1, ignorable: true }),
      replicaNodes: array(int32()),
      isrNodes: array(int32()),
      offlineReplicas: array(int32(), { since: 5, ignorable: true }),
    }),
    topicAuthorizedOperations: int32({ since: 8, default: -2147483648 }),
  }),
  clusterAuthorizedOperations: int32({ since: 8, until: 10, default: -2147483648 }),
  errorCode: int16({ since: 13, ignorable: true }),
})

export type MetadataRequest = Infer<typeof request>
export type MetadataResponse = Written<typeof response>

export const metadata = defineApi({
  key: 3,
  name: 'Metadata',
  versions: [0, 13],
  flexibleSince: 9,
  request,
  response,
})
