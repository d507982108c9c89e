/** The settings of one topic's logs, as values. Replaced as a whole, never changed in place. */

export interface LogConfig {
  readonly segmentBytes: number
  readonly segmentMs: number
  /**
   * At most this much is taken off `segmentMs`, so that logs made together do not roll together.
   */
  readonly segmentJitterMs: number
  /**
   * An offset index of this size makes the segment roll; a time index may have half as much again.
   */
  readonly segmentIndexBytes: number
  readonly indexIntervalBytes: number
  /** -1 = no limit. */
  readonly retentionMs: number
  /** -1 = no limit. */
  readonly retentionBytes: number
  readonly isCompacted: boolean
  readonly isDeleted: boolean
  readonly minCompactionLagMs: number
  readonly maxCompactionLagMs: number
  readonly deleteRetentionMs: number
  readonly minCleanableDirtyRatio: number
  readonly maxMessageBytes: number
  readonly timestampType: 'CreateTime' | 'LogAppendTime'
  readonly timestampBeforeMaxMs: number
  readonly timestampAfterMaxMs: number
  readonly compressionType: 'producer' | 'uncompressed' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  readonly fileDeleteDelayMs: number
  /** Accepted and ignored: the end of a segment is where its file ends. */
  readonly preallocate: boolean
  /**
   * 'group': the owner syncs before it acknowledges. 'interval': every `flushMs`. 'none': write-
   * back only.
   */
  readonly flush: 'group' | 'interval' | 'none'
  readonly flushMs: number
  /** A sync starts when this many records are not synced, in every mode. */
  readonly flushMessages: number
}

const DAY_MS = 86_400_000

/** Kafka's defaults, apart from `flush`. */
export const DEFAULT_LOG_CONFIG: LogConfig = {
  segmentBytes: 1_073_741_824,
  segmentMs: 7 * DAY_MS,
  segmentJitterMs: 0,
  segmentIndexBytes: 10_485_760,
  indexIntervalBytes: 4096,
  retentionMs: 7 * DAY_MS,
  retentionBytes: -1,
  isCompacted: false,
  isDeleted: true,
  minCompactionLagMs: 0,
  maxCompactionLagMs: Number.MAX_SAFE_INTEGER,
  deleteRetentionMs: DAY_MS,
  minCleanableDirtyRatio: 0.5,
  maxMessageBytes: 1_048_588,
  timestampType: 'CreateTime',
  timestampBeforeMaxMs: Number.MAX_SAFE_INTEGER,
  timestampAfterMaxMs: 3_600_000,
  compressionType: 'producer',
  fileDeleteDelayMs: 60_000,
  preallocate: false,
  flush: 'group',
  flushMs: Number.MAX_SAFE_INTEGER,
  flushMessages: Number.MAX_SAFE_INTEGER,
}
