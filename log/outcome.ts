/**
 * What an append is told and what it answers. Both are reused by the caller: no object an append.
 */
import type { RecordError } from './batch.ts'

/** `append` fills every field. */
export class AppendOutcome {
  /** Kafka error code, 0 when appended (or a duplicate). */
  error = 0
  message: string | undefined = undefined
  recordErrors: readonly RecordError[] = []
  firstOffset = -1
  lastOffset = -1
  /** -1 unless the topic uses LogAppendTime. */
  logAppendTimeMs = -1
  logStartOffset = -1
  isDuplicate = false
  /** The log has other bytes than were handed in: recompressed, or renumbered. */
  isRewritten = false
  recordCount = 0
  sizeBytes = 0
}

export interface AppendContext {
  leaderEpoch: number
  nowMs: number
  origin: 'client' | 'coordinator' | 'raft'
  allowsZstd: boolean
}

/** Nothing was appended. */
export function refuse(outcome: AppendOutcome, error: number, logStartOffset: number): void {
  outcome.error = error
  outcome.message = undefined
  outcome.recordErrors = []
  outcome.firstOffset = -1
  outcome.lastOffset = -1
  outcome.logAppendTimeMs = -1
  outcome.logStartOffset = logStartOffset
  outcome.isDuplicate = false
}
