/**
 * One partition's records on disk: the calls that replicas, handlers and maintenance make. What
 * waits for the disk is in `log-work.ts`.
 *
 * Invariants: offsets below `syncedOffset` survive a power loss; what is served passed its checks
 * in the very bytes that leave.
 */
import { assert } from '../base/assert.ts'
import { StorageError } from '../base/errors.ts'
import { isPassing, storageErrorCode } from './appender.ts'
import type {
  AbortedRange,
  CleanableLog,
  CleanableSegment,
  CleanedSegment,
  LastOfProducer,
} from './cleanable.ts'
import { discard, Replacement } from './compaction.ts'
import type { LogConfig } from './config.ts'
import type { EpochEnd } from './epochs.ts'
import { KAFKA_STORAGE_ERROR } from './errors.ts'
import {
  type AbortedTransaction,
  type ActiveProducer,
  abortedRangesOf,
  activeProducersOf,
  lastOfProducersOf,
  recoveryPointOf,
} from './inspection.ts'
import type { DamagedRange, LogOptions, LogState, NewLogOptions } from './log-state.ts'
import { LogWork } from './log-work.ts'
import { type AppendContext, type AppendOutcome, refuse } from './outcome.ts'
import type { ReadPlan } from './read-plan.ts'
import { LogReader } from './reader.ts'
import { newState, openState } from './recovery.ts'
import { type ScrubPace, scrubSegments } from './scrub.ts'
import { type FoundOffset, searchMaxTimestamp, searchTime } from './time-search.ts'
import { truncateFully, truncateLog } from './truncation.ts'

export { DEFAULT_LOG_CONFIG, type LogConfig } from './config.ts'
export type { EpochEnd } from './epochs.ts'
export type { AbortedTransaction, ActiveProducer } from './inspection.ts'
export type { DamagedRange, LogOptions, LogParts } from './log-state.ts'
export { type AppendContext, AppendOutcome } from './outcome.ts'
export { ReadPlan } from './read-plan.ts'
export type { FoundOffset } from './time-search.ts'

export class PartitionLog implements CleanableLog {
  readonly #state: LogState
  readonly #reader: LogReader
  readonly #work: LogWork

  private constructor(state: LogState) {
    this.#state = state
    this.#reader = new LogReader(state)
    this.#work = new LogWork(state, this)
  }

  /**
   * Opens the log in its directory, which is made when missing. After an unclean stop what lies
   * behind the recovery point is checked, and cut at the first unfinished batch.
   */
  static async open(options: LogOptions): Promise<PartitionLog> {
    return new PartitionLog(await openState(options))
  }

  /** A log without records in a directory that was made just now. Costs no look at the disk. */
  static create(options: NewLogOptions): PartitionLog {
    return new PartitionLog(newState(options))
  }

  get topic(): string {
    return this.#state.topic
  }

  get partition(): number {
    return this.#state.partition
  }

  get directory(): string {
    return this.#state.directory
  }

  get config(): LogConfig {
    return this.#state.config
  }

  get logStartOffset(): number {
    return this.#state.logStartOffset
  }

  /** Next offset to be given; may be ahead of the page cache. */
  get logEndOffset(): number {
    return this.#state.logEndOffset
  }

  /** Everything below is in the page cache. */
  get writtenOffset(): number {
    return this.#state.writtenOffset
  }

  /** Everything below survives a power loss. */
  get syncedOffset(): number {
    return this.#state.syncedOffset
  }

  /** For the checkpoint: below it, what stands beside the records is durable too. */
  get recoveryPoint(): number {
    return recoveryPointOf(this.#state)
  }

  /** The end is being cut or mended: what a checkpoint says of the log is not to be raised. */
  get isEndChanging(): boolean {
    return this.#work.isEndChanging
  }

  /** The checkpoint with this recovery point is durable. */
  recoveryPointSaved(offset: number): void {
    assert(offset <= this.#state.syncedOffset, 'a recovery point is durable')
    this.#state.savedRecoveryPoint = offset
  }

  /** No start after a crash finds records before it; `logStartOffset` may be ahead of it. */
  get savedLogStart(): number {
    return this.#state.savedLogStart
  }

  /** The checkpoint with this start is durable. */
  logStartSaved(offset: number): void {
    const state = this.#state
    state.savedLogStart = Math.max(state.savedLogStart, Math.min(offset, state.logStartOffset))
  }

  /**
   * Makes `logStartOffset` durable, unless the end of the log is being changed. Rejects with
   * StorageError.
   */
  async saveLogStart(): Promise<void> {
    const { shared, directory, logStartOffset, savedLogStart } = this.#state
    if (logStartOffset <= savedLogStart || this.isEndChanging || this.isClosed) return
    try {
      const isSaved = (await shared.checkpoints?.saveStart(directory, logStartOffset)) ?? true
      if (isSaved && !this.isEndChanging) this.logStartSaved(logStartOffset)
    } catch (error) {
      // Segments before the start may go soon: that makes room.
      if (isPassing(error)) this.#state.parts.probe.fullDiskRefusals++
      throw error
    }
  }

  /** First offset of the oldest open transaction. */
  get firstUnstableOffset(): number | undefined {
    return this.#state.producers.firstOpenOffset
  }

  /**
   * End of what read_committed may see: below the watermark, and below each transaction that is
   * open or whose marker is not below the watermark.
   */
  lastStableOffset(highWatermark: number): number {
    const undecided = this.#state.producers.firstUndecidedOffset(highWatermark)
    return undecided === undefined ? highWatermark : Math.min(undecided, highWatermark)
  }

  get latestEpoch(): number {
    return this.#state.epochs.latest
  }

  /** A write or sync failed for good. */
  get isFailed(): boolean {
    return this.#work.failure !== undefined
  }

  get isClosed(): boolean {
    return this.#work.isClosed
  }

  get failure(): unknown {
    return this.#work.failure
  }

  /** Durable records that a start found lost or damaged: not served. For the owner to decide. */
  get damage(): readonly DamagedRange[] {
    return this.#state.damage
  }

  /**
   * Bytes that the start cut off the end as an unfinished write. Damage in the last records, above
   * the recovery point, looks the same.
   */
  get cutBytes(): number {
    return this.#state.cutBytes
  }

  /**
   * Leader append of the one batch in source[start, end): checked, deduplicated, given offsets and
   * the epoch. Nothing of `source` is kept; large batches may get their header fields in place.
   * Never throws for bad input; the outcome has Kafka's error code.
   */
  append(
    source: Buffer,
    start: number,
    end: number,
    context: AppendContext,
    outcome: AppendOutcome,
  ): void {
    const appender = this.#work.writable()
    if (appender === undefined) {
      refuse(outcome, KAFKA_STORAGE_ERROR, this.#state.logStartOffset)
      return
    }
    const endOffset = this.#state.logEndOffset
    try {
      appender.append(source, start, end, context, outcome)
    } catch (error) {
      refuse(outcome, storageErrorCode(error), this.#state.logStartOffset)
      if (this.#state.logEndOffset < endOffset) this.#work.onAppendError(error)
      this.#work.onWriteError(error)
    }
  }

  /**
   * Follower append of whole batches with offsets and epochs, the first at or behind the end of the
   * log. Throws CorruptionError for bytes that can't follow, StorageError.
   */
  appendAsFollower(source: Buffer, start: number, end: number): void {
    const appender = this.#work.writable()
    if (appender === undefined) {
      throw new StorageError('UNKNOWN', this.directory, 'append to', { cause: this.failure })
    }
    try {
      appender.appendAsFollower(source, start, end)
    } catch (error) {
      if (error instanceof StorageError) this.#work.onWriteError(error)
      throw error
    }
  }

  /** Gathered bytes to the page cache, in one write. Throws StorageError: they are then gone. */
  write(): void {
    this.#work.write()
  }

  /**
   * Makes durable what is written; resolves with the offset below which all is. Rejects with
   * StorageError: the log is then out of service, since a sync is never tried again.
   */
  async sync(): Promise<number> {
    await this.#work.sync()
    return this.#state.syncedOffset
  }

  /**
   * Where to read from: the batch that holds `fromOffset`, or the next one. plan.error 1 outside
   * of [logStartOffset, logEndOffset], 2 in damaged bytes, 56 when the file can't be read.
   */
  locate(fromOffset: number, upTo: number, plan: ReadPlan): void {
    assert(!this.isClosed, 'a closed log is not read')
    this.#reader.locate(fromOffset, upTo, plan)
  }

  /** Where the batch begins that holds `logStartOffset`: at it, or before it after DeleteRecords. */
  firstBatchOffset(): number {
    assert(!this.isClosed, 'a closed log is not read')
    return this.#reader.firstBatchOffset()
  }

  /**
   * Whole batches below `upTo` into target[at, at + limitBytes), checked; returns their bytes and
   * moves the plan on. To have the first batch whatever its size, give at least
   * `plan.firstBatchBytes`. A damaged batch ends the copy before it; when it is the first, throws
   * CorruptionError. Throws StorageError.
   */
  copy(plan: ReadPlan, upTo: number, target: Buffer, at: number, limitBytes: number): number {
    assert(at + limitBytes <= target.length, 'the target has the room')
    if (this.isClosed) return 0
    return this.#reader.copy(plan, upTo, target, at, limitBytes)
  }

  /** The same through the thread pool, from one segment. */
  copyAsync(
    plan: ReadPlan,
    upTo: number,
    target: Buffer,
    at: number,
    limitBytes: number,
  ): Promise<number> {
    assert(at + limitBytes <= target.length, 'the target has the room')
    if (this.isClosed) return Promise.resolve(0)
    return this.#reader.copyAsync(plan, upTo, target, at, limitBytes)
  }

  /** The first record below `upTo` that is not older. */
  offsetForTimestamp(timestampMs: number, upTo: number): Promise<FoundOffset | undefined> {
    return searchTime(this.#state, timestampMs, upTo)
  }

  /** The first of the youngest records below `upTo`. */
  maxTimestamp(upTo: number): Promise<FoundOffset | undefined> {
    return searchMaxTimestamp(this.#state, upTo)
  }

  /** KIP-101, KIP-279: end offset of the largest epoch at or below; -1, -1 when not known. */
  endOffsetForEpoch(requestedEpoch: number): EpochEnd {
    return this.#state.epochs.endOf(requestedEpoch, this.#state.logEndOffset)
  }

  /** -1 when not known. */
  epochForOffset(offset: number): number {
    return this.#state.epochs.at(offset)
  }

  /** For a fetch of [fromOffset, toOffset) with read_committed. Throws CorruptionError. */
  abortedTransactions(fromOffset: number, toOffset: number): AbortedTransaction[] {
    return this.abortedRanges(fromOffset, toOffset).map(({ producerId, firstOffset }) => ({
      producerId,
      firstOffset,
    }))
  }

  get producerCount(): number {
    return this.#state.producers.size
  }

  activeProducers(): ActiveProducer[] {
    return activeProducersOf(this.#state)
  }

  /**
   * DeleteRecords: earlier records are out of the log now, their segments go with `maintain`. That
   * a crash does not bring them back takes `saveLogStart`.
   */
  advanceLogStart(offset: number): void {
    const state = this.#state
    assert(offset <= state.logEndOffset, 'the start stays within the log')
    if (offset <= state.logStartOffset) return
    state.logStartOffset = offset
    state.epochs.truncateFromStart(offset)
  }

  /**
   * Drops the batch that holds `offset` and all behind it: the log ends behind the batch before it,
   * perhaps below a gap. Appends are refused meanwhile. An epoch of which there is no record goes
   * in any case: a leader may not know it.
   */
  async truncateTo(offset: number): Promise<void> {
    const { logStartOffset, logEndOffset, epochs } = this.#state
    assert(offset >= logStartOffset, 'a log is not cut before its start')
    if (offset >= logEndOffset) {
      epochs.truncateFromEnd(logEndOffset)
      return
    }
    await this.#changeEnd(() => truncateLog(this.#state, offset))
  }

  /** Empties the log; it goes on at `offset`. */
  async truncateFullyAndStartAt(offset: number): Promise<void> {
    await this.#changeEnd(() => truncateFully(this.#state, offset))
  }

  async #changeEnd(change: () => Promise<void>): Promise<void> {
    try {
      await this.#work.changeEnd(change)
    } finally {
      this.#reader.forgetHints()
    }
    this.#state.checkOrder()
  }

  /**
   * Retention, roll by time, expiry of producers, indexes to make again. Rejects with StorageError;
   * when that is no passing matter, the log is then out of service.
   */
  async maintain(nowMs: number, highWatermark: number): Promise<void> {
    if (this.isClosed || this.isFailed) return
    const { producers, shared, parts } = this.#state
    this.noteHighWatermark(highWatermark)
    parts.probe.expiredProducers += producers.expire(nowMs, shared.producerExpirationMs)
    await this.#work.maintain(nowMs)
  }

  /** What retention and compaction may touch ends there. */
  noteHighWatermark(highWatermark: number): void {
    this.#work.highWatermark = Math.min(highWatermark, this.#state.writtenOffset)
  }

  sizeBytes(): number {
    return this.#state.sizeBytes()
  }

  segmentCount(): number {
    return this.#state.segments.length
  }

  updateConfig(config: LogConfig): void {
    this.#state.config = config
    this.#work.updateConfig()
  }

  /** Saves what stands beside the records: `recoveryPoint` moves on. Throws StorageError. */
  checkpoint(): Promise<void> {
    return this.#work.checkpoint()
  }

  /** Writes, syncs, saves all that a quick start needs. Rejects with StorageError. */
  close(): Promise<void> {
    return this.#work.close()
  }

  /** Lets go of files and timers at once, saves nothing: the directory goes, or the log failed. */
  abandon(): void {
    this.#work.abandon()
  }

  /** Resolves when no operation on its files is under way; after `abandon` none will be. */
  settled(): Promise<void> {
    return this.#work.settled()
  }

  /** Offsets at which damage begins in closed segments. Rejects with StorageError. */
  scrub(pace: ScrubPace): AsyncGenerator<number> {
    return scrubSegments(this.#state, pace)
  }

  // What compaction sees.

  cleanableLimit(): number {
    const { active, savedRecoveryPoint } = this.#state
    const stable = this.lastStableOffset(this.#work.highWatermark)
    // What a start would scan must be without gaps.
    return Math.min(stable, active.baseOffset, savedRecoveryPoint)
  }

  closedSegments(): readonly CleanableSegment[] {
    if (this.isClosed) return []
    const closed = this.#state.segments.slice(0, -1)
    for (const segment of closed) segment.knowTimestamps()
    return closed
  }

  abortedRanges(fromOffset: number, toOffset: number): AbortedRange[] {
    try {
      return abortedRangesOf(this.#state, fromOffset, toOffset)
    } catch (error) {
      this.#work.rebuildSoon()
      throw error
    }
  }

  lastOfProducers(): ReadonlyMap<number, LastOfProducer> {
    return lastOfProducersOf(this.#state)
  }

  /** Throws StorageError: also when the log has gone. */
  startCleaned(baseOffset: number): CleanedSegment {
    if (this.isClosed) throw new StorageError('ENOENT', this.directory, 'compact')
    return new Replacement(this.#state, baseOffset)
  }

  replace(replaced: readonly CleanableSegment[], cleaned: CleanedSegment): Promise<boolean> {
    return this.#work.replace(replaced, cleaned)
  }

  discardCleaned(cleaned: CleanedSegment): Promise<void> {
    return discard(this.#state, cleaned)
  }
}
