/**
 * One partition's records on disk: the calls that replicas, handlers and maintenance make.
 *
 * Invariants: offsets below `syncedOffset` survive a power loss; what is served passed its checks
 * in the very bytes that leave; operations that wait for the disk (sync, truncation, repair,
 * retention, compaction) follow each other, and appends go on beside them except while the end of
 * the log itself is changed; a log whose write or sync failed takes no append again.
 */
import { assert } from '../base/assert.ts'
import { StorageError } from '../base/errors.ts'
import { Appender, isPassing, storageErrorCode } from './appender.ts'
import type {
  AbortedRange,
  CleanableLog,
  CleanableSegment,
  CleanedSegment,
  LastOfProducer,
} from './cleanable.ts'
import { discard, prepareReplacement, Replacement, swapIn } from './compaction.ts'
import type { LogConfig } from './config.ts'
import { noteDoubt } from './doubt.ts'
import type { EpochEnd } from './epochs.ts'
import { KAFKA_STORAGE_ERROR } from './errors.ts'
import { Housekeeping } from './housekeeping.ts'
import {
  type AbortedTransaction,
  type ActiveProducer,
  abortedRangesOf,
  activeProducersOf,
  lastOfProducersOf,
  recoveryPointOf,
} from './inspection.ts'
import { Lock } from './lock.ts'
import type { DamagedRange, LogOptions, LogState, NewLogOptions } from './log-state.ts'
import { type AppendContext, type AppendOutcome, refuse } from './outcome.ts'
import type { ReadPlan } from './read-plan.ts'
import { LogReader } from './reader.ts'
import { newState, openState } from './recovery.ts'
import { type ScrubPace, scrubSegments } from './scrub.ts'
import { Syncer } from './syncer.ts'
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
  #appender: Appender | undefined = undefined
  #failure: unknown
  #isClosed = false
  /** The end of the log is being changed: no append meanwhile. */
  #isChanging = false
  /** A write failed inside an append: `write` says so to the owner of what went with it. */
  #pendingError: unknown
  readonly #lock = new Lock()
  #highWatermark = 0
  readonly #syncer: Syncer
  readonly #housekeeping: Housekeeping

  private constructor(state: LogState) {
    this.#state = state
    this.#reader = new LogReader(state)
    this.#syncer = new Syncer(state, this)
    this.#housekeeping = new Housekeeping(state, () => this.#writer())
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
    return this.#isChanging
  }

  /** The checkpoint with this recovery point is durable. */
  recoveryPointSaved(offset: number): void {
    assert(offset <= this.#state.syncedOffset, 'a recovery point is durable')
    this.#state.savedRecoveryPoint = offset
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
    return this.#failure !== undefined
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  get failure(): unknown {
    return this.#failure
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
    const appender = this.#writable()
    if (appender === undefined) {
      refuse(outcome, KAFKA_STORAGE_ERROR, this.#state.logStartOffset)
      return
    }
    const endOffset = this.#state.logEndOffset
    try {
      appender.append(source, start, end, context, outcome)
    } catch (error) {
      refuse(outcome, storageErrorCode(error), this.#state.logStartOffset)
      if (this.#state.logEndOffset < endOffset) this.#pendingError = error
      this.#onWriteError(error)
    }
  }

  /**
   * Follower append of whole batches with offsets and epochs, the first at or behind the end of the
   * log. Throws CorruptionError for bytes that can't follow, StorageError.
   */
  appendAsFollower(source: Buffer, start: number, end: number): void {
    const appender = this.#writable()
    if (appender === undefined) {
      throw new StorageError('UNKNOWN', this.directory, 'append to', { cause: this.#failure })
    }
    try {
      appender.appendAsFollower(source, start, end)
    } catch (error) {
      if (error instanceof StorageError) this.#onWriteError(error)
      throw error
    }
  }

  #writable(): Appender | undefined {
    assert(!this.#isClosed, 'a closed log takes no append')
    if (this.#failure !== undefined || this.#isChanging) return undefined
    if (this.#pendingError !== undefined) return undefined
    const appender = this.#writer()
    if (!appender.needsRepair) return appender
    this.#state.parts.probe.fullDiskRefusals++
    this.#startRepair(appender)
    return undefined
  }

  /** Idle logs have none. */
  #writer(): Appender {
    this.#appender ??= new Appender(this.#state)
    return this.#appender
  }

  /** Gathered bytes to the page cache, in one write. Throws StorageError: they are then gone. */
  write(): void {
    if (this.#pendingError !== undefined) {
      const error = this.#pendingError
      this.#pendingError = undefined
      throw error
    }
    const appender = this.#appender
    if (appender === undefined || this.#failure !== undefined) return
    try {
      appender.write()
    } catch (error) {
      this.#onWriteError(error)
      throw error
    }
    if (this.#syncer.noteWritten() && !this.#lock.isBusy) this.#inBackground(this.sync())
  }

  #onWriteError(error: unknown): void {
    const { parts } = this.#state
    if (isPassing(error)) {
      parts.probe.fullDiskRefusals++
      if (this.#appender?.needsRepair) this.#startRepair(this.#appender)
      return
    }
    this.#fail(error)
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    if (this.#isClosed) return // its directory has gone
    this.#appender?.abandon()
    noteDoubt(this.#state)
    const { parts } = this.#state
    parts.probe.failedLogs++
    parts.logger.error('A log is out of service: its storage failed.', {
      ...this.#state.fields(),
      error: error instanceof Error ? error.message : String(error),
    })
  }

  #startRepair(appender: Appender): void {
    if (this.#isChanging) return
    this.#isChanging = true
    const repair = this.#lock.run(async () => {
      try {
        if (appender.needsRepair) await appender.repair()
      } finally {
        this.#isChanging = false
      }
    })
    repair.catch((error: unknown) => this.#onWriteError(error))
  }

  #inBackground(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (!(error instanceof StorageError)) throw error
    })
  }

  /**
   * Makes durable what is written; resolves with the offset below which all is. Rejects with
   * StorageError: the log is then out of service, since a sync is never tried again.
   */
  async sync(): Promise<number> {
    if (this.#failure !== undefined) throw this.#failure
    await this.#lock.run(async () => {
      if (this.#isClosed) return
      try {
        await this.#syncer.sync()
      } catch (error) {
        this.#fail(error)
        throw error
      }
    })
    return this.#state.syncedOffset
  }

  /**
   * Where to read from: the batch that holds `fromOffset`, or the next one. plan.error 1 outside
   * of [logStartOffset, logEndOffset], 2 in damaged bytes, 56 when the file can't be read.
   */
  locate(fromOffset: number, upTo: number, plan: ReadPlan): void {
    assert(!this.#isClosed, 'a closed log is not read')
    this.#reader.locate(fromOffset, upTo, plan)
  }

  /**
   * Whole batches below `upTo` into target[at, at + limitBytes), checked; returns their bytes and
   * moves the plan on. To have the first batch whatever its size, give at least
   * `plan.firstBatchBytes`. A damaged batch ends the copy before it; when it is the first, throws
   * CorruptionError. Throws StorageError.
   */
  copy(plan: ReadPlan, upTo: number, target: Buffer, at: number, limitBytes: number): number {
    assert(at + limitBytes <= target.length, 'the target has the room')
    if (this.#isClosed) return 0
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
    if (this.#isClosed) return Promise.resolve(0)
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

  /** DeleteRecords: earlier records are out of the log now, their segments go with `maintain`. */
  advanceLogStart(offset: number): void {
    const state = this.#state
    assert(offset <= state.logEndOffset, 'the start stays within the log')
    if (offset <= state.logStartOffset) return
    state.logStartOffset = offset
    state.epochs.truncateFromStart(offset)
  }

  /**
   * Drops the batch that holds `offset` and all behind it: the log ends behind the batch before it,
   * perhaps below a gap. Appends are refused meanwhile.
   */
  async truncateTo(offset: number): Promise<void> {
    assert(offset >= this.#state.logStartOffset, 'a log is not cut before its start')
    if (offset >= this.#state.logEndOffset) return
    await this.#changeEnd(() => truncateLog(this.#state, offset))
  }

  /** Empties the log; it goes on at `offset`. */
  async truncateFullyAndStartAt(offset: number): Promise<void> {
    await this.#changeEnd(() => truncateFully(this.#state, offset))
  }

  async #changeEnd(change: () => Promise<void>): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    this.#appender?.write()
    while (this.#isChanging) await this.#lock.settled()
    this.#isChanging = true
    try {
      await this.#lock.run(async () => {
        // It would go on in the directory of the next log of this name.
        if (this.#isClosed) throw new StorageError('ENOENT', this.directory, 'truncate')
        await change()
      })
    } catch (error) {
      this.#fail(error) // where the log ends is not known any more
      throw error
    } finally {
      this.#isChanging = false
      this.#reader.forgetHints()
    }
    this.#state.checkOrder()
  }

  /**
   * Retention, roll by time, expiry of producers, indexes to make again. Rejects with StorageError;
   * when that is no passing matter, the log is then out of service.
   */
  async maintain(nowMs: number, highWatermark: number): Promise<void> {
    if (this.#isClosed || this.#failure !== undefined) return
    const { producers, shared, parts } = this.#state
    this.noteHighWatermark(highWatermark)
    parts.probe.expiredProducers += producers.expire(nowMs, shared.producerExpirationMs)
    if (this.#isChanging) return
    if (this.#syncer.isDue()) await this.sync()
    await this.#keepHouse(async () => {
      this.#housekeeping.rollIfOld(nowMs)
      await this.#housekeeping.retain(nowMs, this.#highWatermark)
    })
    await this.#keepHouse(() => this.#housekeeping.rebuildIndexes())
  }

  /** What retention and compaction may touch ends there. */
  noteHighWatermark(highWatermark: number): void {
    this.#highWatermark = Math.min(highWatermark, this.#state.writtenOffset)
  }

  #keepHouse(run: () => Promise<void>): Promise<void> {
    return this.#lock.run(async () => {
      if (this.#isClosed || this.#isChanging || this.#failure !== undefined) return
      try {
        await run()
      } catch (error) {
        this.#onWriteError(error)
        throw error
      }
    })
  }

  sizeBytes(): number {
    return this.#state.sizeBytes()
  }

  segmentCount(): number {
    return this.#state.segments.length
  }

  updateConfig(config: LogConfig): void {
    this.#state.config = config
    this.#appender?.updateRules()
    this.#syncer.schedule()
  }

  /** Saves what stands beside the records: `recoveryPoint` moves on. Throws StorageError. */
  async checkpoint(): Promise<void> {
    if (!this.#housekeeping.isCheckpointDue() || this.#state.parts.maybe('log.checkpoint')) return
    await this.#keepHouse(() => this.#housekeeping.checkpoint())
  }

  /** Writes, syncs, saves all that a quick start needs. Rejects with StorageError. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    try {
      if (this.#failure === undefined && !this.#state.isUntouched) {
        while (this.#isChanging) await this.#lock.settled()
        this.write()
        await this.sync()
        await this.#lock.run(async () => {
          if (this.#appender?.needsRepair) await this.#appender.repair()
          await this.#housekeeping.saveAll()
        })
      }
    } finally {
      await this.settled()
      this.#release()
      await this.#housekeeping.removeNow()
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  #release(): void {
    this.#isClosed = true
    this.#housekeeping.stop()
    this.#state.shared.flushes?.remove(this)
    this.#state.release()
  }

  /** Lets go of files and timers at once, saves nothing: the directory goes, or the log failed. */
  abandon(): void {
    if (this.#isClosed) return
    this.#appender?.abandon()
    this.#release()
  }

  /** Resolves when no operation on its files is under way; after `abandon` none will be. */
  async settled(): Promise<void> {
    await this.#lock.settled()
  }

  /** Offsets at which damage begins in closed segments. Rejects with StorageError. */
  scrub(pace: ScrubPace): AsyncGenerator<number> {
    return scrubSegments(this.#state, pace)
  }

  // What compaction sees.

  cleanableLimit(): number {
    const { active, savedRecoveryPoint } = this.#state
    const stable = this.lastStableOffset(this.#highWatermark)
    // What a start would scan must be without gaps.
    return Math.min(stable, active.baseOffset, savedRecoveryPoint)
  }

  closedSegments(): readonly CleanableSegment[] {
    if (this.#isClosed) return []
    const closed = this.#state.segments.slice(0, -1)
    for (const segment of closed) segment.knowTimestamps()
    return closed
  }

  abortedRanges(fromOffset: number, toOffset: number): AbortedRange[] {
    try {
      return abortedRangesOf(this.#state, fromOffset, toOffset)
    } catch (error) {
      // Soon there is an answer again.
      this.#inBackground(this.#keepHouse(() => this.#housekeeping.rebuildIndexes()))
      throw error
    }
  }

  lastOfProducers(): ReadonlyMap<number, LastOfProducer> {
    return lastOfProducersOf(this.#state)
  }

  /** Throws StorageError: also when the log has gone. */
  startCleaned(baseOffset: number): CleanedSegment {
    if (this.#isClosed) throw new StorageError('ENOENT', this.directory, 'compact')
    return new Replacement(this.#state, baseOffset)
  }

  replace(replaced: readonly CleanableSegment[], cleaned: CleanedSegment): Promise<boolean> {
    return this.#lock.run(async () => {
      const isOpen = !this.#isClosed && this.#failure === undefined
      if (!isOpen || !(await prepareReplacement(this.#state, replaced, cleaned))) {
        await discard(this.#state, cleaned)
        return false
      }
      try {
        await swapIn(this.#state, replaced, cleaned, this.#housekeeping.removeLater)
      } catch (error) {
        this.#fail(error) // which files the log has is not known any more
        throw error
      }
      return true
    })
  }

  discardCleaned(cleaned: CleanedSegment): Promise<void> {
    return discard(this.#state, cleaned)
  }
}
