/** ListOffsets for one partition: special timestamps and the search by time (KIP-79, 405, 734). */

import type { PartitionLog } from '../log/partition-log.ts'
import { OFFSET_NOT_AVAILABLE } from './errors.ts'

export const LATEST = -1
export const EARLIEST = -2
export const MAX_TIMESTAMP = -3
export const EARLIEST_LOCAL = -4
export const LATEST_TIERED = -5
export const EARLIEST_PENDING_UPLOAD = -6

export interface ListedOffset {
  error: number
  /** -1 when nothing answers the question. */
  offset: number
  timestampMs: number
  leaderEpoch: number
}

interface Replica {
  readonly log: PartitionLog
  readonly leaderEpoch: number
  /** False on a new leader that may be behind what its predecessor had committed. */
  readonly isWatermarkKnown: boolean
  /** False on a leader that may have a successor without knowing it. */
  readonly holdsLease: boolean
  /** The end of what is sure to be committed once this disk has it; else the watermark. */
  readonly certainEnd: number
  readonly highWatermark: number
  committed(offset: number, timeoutMs: number): Promise<void>
  readLimit(isolation: 'uncommitted' | 'committed'): number
}

/** A disk that takes longer than this keeps nobody waiting. */
const CERTAIN_LIMIT_MS = 1_000

const NOTHING: ListedOffset = { error: 0, offset: -1, timestampMs: -1, leaderEpoch: -1 }

/**
 * Offsets below the reader's limit (watermark or last stable offset) only. A replica with no other
 * in sync answers acks=1 before its disk has the records, and nobody but its disk can undo that: who
 * then asks for the latest offset waits for the disk, and finds its own records, as in Kafka.
 */
export async function offsetForListing(
  replica: Replica,
  timestampMs: number,
  isolation: 'uncommitted' | 'committed',
): Promise<ListedOffset> {
  const { log } = replica
  const needsWatermark = timestampMs >= 0 || timestampMs === LATEST || timestampMs === MAX_TIMESTAMP
  if (needsWatermark && replica.certainEnd > replica.highWatermark) {
    await replica.committed(replica.certainEnd, CERTAIN_LIMIT_MS)
  }
  if (needsWatermark && !(replica.isWatermarkKnown && replica.holdsLease)) {
    return { ...NOTHING, error: OFFSET_NOT_AVAILABLE }
  }
  const limit = replica.readLimit(isolation)
  switch (timestampMs) {
    case LATEST:
      return { error: 0, offset: limit, timestampMs: -1, leaderEpoch: replica.leaderEpoch }
    case EARLIEST:
    case EARLIEST_LOCAL: {
      const offset = log.logStartOffset
      return { error: 0, offset, timestampMs: -1, leaderEpoch: log.epochForOffset(offset) }
    }
    case LATEST_TIERED:
    case EARLIEST_PENDING_UPLOAD: // nothing is tiered
      return { ...NOTHING }
    case MAX_TIMESTAMP: {
      const found = await log.maxTimestamp(limit)
      return found === undefined ? { ...NOTHING } : { error: 0, ...found }
    }
    default: {
      const found = await log.offsetForTimestamp(timestampMs, limit)
      return found === undefined ? { ...NOTHING } : { error: 0, ...found }
    }
  }
}
