/** Kafka's error codes that replicas answer with. */
import type { AppendOutcome } from '../log/partition-log.ts'

export const OFFSET_OUT_OF_RANGE = 1
export const NOT_LEADER_OR_FOLLOWER = 6
export const REQUEST_TIMED_OUT = 7
export const NOT_ENOUGH_REPLICAS = 19
export const NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20
export const DUPLICATE_SEQUENCE_NUMBER = 46
export const KAFKA_STORAGE_ERROR = 56
export const FENCED_LEADER_EPOCH = 74
export const UNKNOWN_LEADER_EPOCH = 75
export const OFFSET_NOT_AVAILABLE = 78

/** The outcome of an append that was not tried. */
export function refuseAppend(outcome: AppendOutcome, error: number): void {
  outcome.error = error
  outcome.message = undefined
  outcome.recordErrors = []
  outcome.firstOffset = -1
  outcome.lastOffset = -1
  outcome.logAppendTimeMs = -1
  outcome.logStartOffset = -1
  outcome.isDuplicate = false
  outcome.recordCount = 0
  outcome.sizeBytes = 0
}
