// ElectLeaders, v0-2
// v1 kind of election, top-level error (KIP-460); v2 flexible
import { INVALID_REQUEST, NONE } from '../wire/errors.ts'
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
  electionType: int8({ since: 1 }),
  topicPartitions: array({ topic: string(), partitions: array(int32()) }, { nullable: true }),
  timeoutMs: int32({ default: 60_000 }),
})

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  errorCode: int16({ since: 1 }),
  replicaElectionResults: array({
    topic: string(),
    partitionResult: array({
      partitionId: int32(),
      errorCode: int16(),
      errorMessage: nullableString(),
    }),
  }),
})

export type ElectLeadersRequest = Infer<typeof request>
export type ElectLeadersResponse = Written<typeof response>

/** Kinds of election. */
export const PREFERRED_ELECTION = 0
export const UNCLEAN_ELECTION = 1

export const electLeaders = defineApi({
  key: 43,
  name: 'ElectLeaders',
  versions: [0, 2],
  flexibleSince: 2,
  request,
  response,
  async handle(context, request) {
    const { electionType } = request
    if (electionType !== PREFERRED_ELECTION && electionType !== UNCLEAN_ELECTION) {
      return refused(context.apiVersion, request, INVALID_REQUEST)
    }
    const answer = await context.broker.admin.electLeaders(context, request)
    const { errorCode = NONE } = answer
    return errorCode === NONE ? answer : refused(context.apiVersion, request, errorCode)
  },
  refuse: ({ apiVersion }, request, { errorCode }) => refused(apiVersion, request, errorCode),
})

/** An error of the whole is told of each partition too: v0 has no other place for it. */
function refused(
  version: number,
  { topicPartitions }: ElectLeadersRequest,
  errorCode: number,
): ElectLeadersResponse {
  return {
    ...(version >= 1 && { errorCode }),
    replicaElectionResults: (topicPartitions ?? []).map(({ topic, partitions }) => ({
      topic,
      partitionResult: partitions.map((partitionId) => ({
        partitionId,
        errorCode,
        errorMessage: null,
      })),
    })),
  }
}
