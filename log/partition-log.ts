/** One partition's records on disk. */
import type { Clock } from '../base/clock.ts'
import type { Disk } from '../base/disk.ts'
import type { Logger } from '../base/logger.ts'
import type { RecordError } from './batch.ts'
import type { LogConfig } from './config.ts'
import type { LogProbe } from './probe.ts'

export { DEFAULT_LOG_CONFIG, type LogConfig } from './config.ts'

/** The parts of a World that a log needs, and the counters that it shares with others. */
export interface LogParts {
  readonly disk: Disk
  readonly clock: Clock
  readonly logger: Logger
  readonly probe: LogProbe
  maybe(name: string): boolean
}

export interface LogOptions {
  readonly directory: string
  readonly topic: string
  readonly partition: number
  readonly config: LogConfig
  /** Offset below which all was durable; -1 when not known. */
  readonly recoveryPoint: number
  readonly logStartOffset: number
  readonly isCleanShutdown: boolean
  readonly parts: LogParts
}

/** Reused by the caller: `append` fills every field. */
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
  recordCount = 0
  sizeBytes = 0
}

/** Mutable, so that a caller can use one object for all its appends. */
export interface AppendContext {
  leaderEpoch: number
  nowMs: number
  origin: 'client' | 'coordinator' | 'raft'
  allowsZstd: boolean
}

/** Where a read begins. Reused by the caller; good until the log is truncated or closed. */
export class ReadPlan {
  /** 0; 1 outside of the log; 2 when the offset lies in damaged bytes; 56 when the log can't be read. */
  error = 0
  segment: unknown = undefined
  position = 0
  firstBatchBytes = 0
  /** Estimate of the bytes below the limit, >= 1 when there is something to read. */
  availableBytes = 0
  /** Likely not in the page cache: read it with `copyAsync`. */
  isCold = false
  /** After a copy: the offset after the last batch copied. */
  nextOffset = -1
}

export interface EpochEnd {
  readonly epoch: number
  readonly endOffset: number
}

export interface FoundOffset {
  readonly offset: number
  readonly timestampMs: number
  readonly leaderEpoch: number
}

export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

export interface ActiveProducer {
  readonly producerId: number
  readonly producerEpoch: number
  readonly lastSequence: number
  readonly lastTimestampMs: number
  readonly coordinatorEpoch: number
  /** -1 when no transaction is open. */
  readonly currentTransactionStartOffset: number
}

export class PartitionLog {
  readonly topic: string
  readonly partition: number
  readonly directory: string
  config: LogConfig
  logStartOffset = 0
  logEndOffset = 0
  writtenOffset = 0
  syncedOffset = 0
  firstUnstableOffset: number | undefined = undefined
  latestEpoch = -1
  isFailed = false

  private constructor(options: LogOptions) {
    this.topic = options.topic
    this.partition = options.partition
    this.directory = options.directory
    this.config = options.config
  }

  static open(options: LogOptions): Promise<PartitionLog> {
    return Promise.resolve(new PartitionLog(options))
  }

  append(
    _source: Buffer,
    _start: number,
    _end: number,
    _context: AppendContext,
    outcome: AppendOutcome,
  ): void {
    outcome.error = 56
  }

  appendAsFollower(_source: Buffer, _start: number, _end: number): void {}

  write(): void {}

  sync(): Promise<number> {
    return Promise.resolve(this.syncedOffset)
  }

  locate(_fromOffset: number, _upTo: number, plan: ReadPlan): void {
    plan.error = 1
  }

  copy(
    _plan: ReadPlan,
    _upTo: number,
    _target: Buffer,
    _at: number,
    _limitBytes: number,
    _takesFirst?: boolean,
  ): number {
    return 0
  }

  copyAsync(
    _plan: ReadPlan,
    _upTo: number,
    _target: Buffer,
    _at: number,
    _limitBytes: number,
    _takesFirst?: boolean,
  ): Promise<number> {
    return Promise.resolve(0)
  }

  offsetForTimestamp(_timestampMs: number, _upTo: number): Promise<FoundOffset | undefined> {
    return Promise.resolve(undefined)
  }

  maxTimestamp(_upTo: number): Promise<FoundOffset | undefined> {
    return Promise.resolve(undefined)
  }

  endOffsetForEpoch(_requestedEpoch: number): EpochEnd {
    return { epoch: -1, endOffset: -1 }
  }

  epochForOffset(_offset: number): number {
    return -1
  }

  abortedTransactions(_fromOffset: number, _toOffset: number): AbortedTransaction[] {
    return []
  }

  activeProducers(): ActiveProducer[] {
    return []
  }

  advanceLogStart(_offset: number): void {}

  truncateTo(_offset: number): Promise<void> {
    return Promise.resolve()
  }

  truncateFullyAndStartAt(_offset: number): Promise<void> {
    return Promise.resolve()
  }

  maintain(_nowMs: number, _highWatermark: number): Promise<void> {
    return Promise.resolve()
  }

  sizeBytes(): number {
    return 0
  }

  segmentCount(): number {
    return 0
  }

  updateConfig(config: LogConfig): void {
    this.config = config
  }

  checkpoint(): void {}

  close(): Promise<void> {
    return Promise.resolve()
  }

  delete(): Promise<void> {
    return Promise.resolve()
  }
}
