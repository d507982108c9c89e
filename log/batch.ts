/** The checks that a leader makes before it appends a batch. */

export const BATCH_HEADER_BYTES = 61

export interface AppendRules {
  readonly maxMessageBytes: number
  readonly timestampType: 'CreateTime' | 'LogAppendTime'
  readonly timestampBeforeMaxMs: number
  readonly timestampAfterMaxMs: number
  /** The topic is compacted. */
  readonly requiresKey: boolean
  readonly compressionType: 'producer' | 'uncompressed' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  readonly allowsZstd: boolean
  /** Refuses what only the node itself may write: control batches, given offsets. */
  readonly isClient: boolean
}

export interface RecordError {
  readonly batchIndex: number
  readonly message: string
}

/** Reused: `checkBatch` sets every field. */
export class BatchVerdict {
  /** Kafka error code, 0 when the batch may be appended. */
  error = 0
  message: string | undefined = undefined
  recordErrors: RecordError[] = []
  /** Bytes of the batch to append: `rewritten` when it is there, else source from `start` on. */
  sizeBytes = 0
  recordCount = 0
  lastOffsetDelta = 0
  maxTimestampMs = -1
  offsetOfMaxTimestampDelta = 0
  producerId = -1
  producerEpoch = -1
  baseSequence = -1
  isTransactional = false
  isControl = false
  rewritten: Buffer | undefined = undefined
}

/**
 * Checks the one batch of source[start, end) as a leader does before an append. May put right in
 * place what a header says of timestamps (attributes, max timestamp, CRC).
 */
export function checkBatch(
  _source: Buffer,
  _start: number,
  _end: number,
  _rules: AppendRules,
  _nowMs: number,
  verdict: BatchVerdict,
): void {
  verdict.error = -1
}
