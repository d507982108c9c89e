// ListOffsets, v1-11
// v1 one offset per partition; v2 isolation level; v4 leader epoch; v5 OFFSET_NOT_AVAILABLE
// (KIP-207); v6 flexible; v7 max timestamp (KIP-734); v8 earliest local; v9 latest tiered;
// v10 timeout; v11 earliest pending upload

import {
  INVALID_REQUEST,
  LEADER_NOT_AVAILABLE,
  NONE,
  OFFSET_NOT_AVAILABLE,
  UNSUPPORTED_VERSION,
} from '../wire/errors.ts'
import {
  array,
  type Infer,
  int8,
  int16,
  int32,
  int64,
  string,
  struct,
  type Written,
} from '../wire/schema.ts'
import { defineApi, type HandlerContext } from './define.ts'
import { findPartition } from './partitions.ts'

const request = struct({
  replicaId: int32(),
  isolationLevel: int8({ since: 2 }),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      currentLeaderEpoch: int32({ since: 4, default: -1, ignorable: true }),
      timestamp: int64({ saturates: true }),
    }),
  }),
  timeoutMs: int32({ since: 10, ignorable: true }),
})

const response = struct({
  throttleTimeMs: int32({ since: 2, default: 0, ignorable: true }),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
      timestamp: int64({ default: -1 }),
      offset: int64({ default: -1 }),
      leaderEpoch: int32({ since: 4, default: -1 }),
    }),
  }),
})

export type ListOffsetsRequest = Infer<typeof request>
export type ListOffsetsResponse = Written<typeof response>

export const listOffsets = defineApi({
  key: 2,
  name: 'ListOffsets',
  versions: [1, 11],
  flexibleSince: 6,
  request,
  response,
  async handle(context, request) {
    const duplicates = duplicatesOf(request)
    const topics = request.topics.map(async ({ name, partitions }) => ({
      name,
      partitions: await Promise.all(
        partitions.map((asked) =>
          duplicates.has(`${name}/${asked.partitionIndex}`)
            ? refusal(asked.partitionIndex, INVALID_REQUEST)
            : offsetOf(context, request.isolationLevel, name, asked),
        ),
      ),
    }))
    return { topics: await Promise.all(topics) }
  },
})

/** The special timestamps, and the version that brought each. */
const SPECIAL_SINCE: { readonly [timestamp: number]: number } = {
  [-1]: 1, // latest
  [-2]: 1, // earliest
  [-3]: 7, // max timestamp
  [-4]: 8, // earliest local
  [-5]: 9, // latest tiered
  [-6]: 11, // earliest pending upload
}

type Asked = ListOffsetsRequest['topics'][number]['partitions'][number]
type Answer = ListOffsetsResponse['topics'][number]['partitions'][number]

async function offsetOf(
  context: HandlerContext,
  isolationLevel: number,
  topic: string,
  { partitionIndex, currentLeaderEpoch, timestamp }: Asked,
): Promise<Answer> {
  if (timestamp < 0 && !(context.apiVersion >= (SPECIAL_SINCE[timestamp] ?? 1_000))) {
    return refusal(partitionIndex, UNSUPPORTED_VERSION)
  }
  const found = findPartition(context.broker.data, topic, partitionIndex, currentLeaderEpoch)
  if (found.partition === undefined) return refusal(partitionIndex, found.error)
  const isolation = isolationLevel === 0 ? 'uncommitted' : 'committed'
  const { error, offset, timestampMs, leaderEpoch } = await found.partition.listOffset(
    timestamp,
    isolation,
  )
  if (error !== NONE) return refusal(partitionIndex, knownError(error, context.apiVersion))
  return {
    partitionIndex,
    errorCode: NONE,
    timestamp: timestampMs,
    offset,
    ...(context.apiVersion >= 4 && { leaderEpoch }),
  }
}

/** Clients before v5 do not know that a new leader may have to find out its watermark first. */
function knownError(error: number, version: number): number {
  return error === OFFSET_NOT_AVAILABLE && version < 5 ? LEADER_NOT_AVAILABLE : error
}

function refusal(partitionIndex: number, errorCode: number): Answer {
  return { partitionIndex, errorCode, timestamp: -1, offset: -1 }
}

/** Partitions that are asked for twice get no offset (as in Kafka), since clients read by partition. */
function duplicatesOf(request: ListOffsetsRequest): ReadonlySet<string> {
  const seen = new Set<string>()
  const duplicates = new Set<string>()
  for (const { name, partitions } of request.topics) {
    for (const { partitionIndex } of partitions) {
      const key = `${name}/${partitionIndex}`
      if (seen.has(key)) duplicates.add(key)
      seen.add(key)
    }
  }
  return duplicates
}
