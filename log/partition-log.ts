/**
 * One partition's records on disk: the calls that replicas, handlers and maintenance make.
 *
 * Invariants: offsets below `syncedOffset` survive a power loss; what is served passed its checks
 * in the very bytes that leave; operations that wait for the disk (sync, truncation, repair,
 * retention, compaction) follow each other, and appends go on beside them except while the end of
 * the log itself is changed; a log whose write or sync failed takes no append again.
 */
import { assert } from '../base/assert.ts'
import { CorruptionError, StorageError } from '../base/errors.ts'
import { Appender, isPassing, storageErrorCode } from './appender.ts'
import { LEADER_EPOCHS, writeChecked } from './checkpoints.ts'
import type {
  AbortedRange,
  CleanableLog,
  CleanableSegment,
  CleanedSegment,
  LastOfProducer,
} from './cleanable.ts'
import { discard, Replacement, replaceSegments, setAside, syncIndexes } from './compaction.ts'
import type { LogConfig } from './config.ts'
import type { EpochEnd } from './epochs.ts'
import { KAFKA_STORAGE_ERROR } from './errors.ts'
import type { DamagedRange, LogOptions, LogState } from './log-state.ts'
import type { AppendContext, AppendOutcome } from './outcome.ts'
import { encodeSnapshot } from './producer-snapshot.ts'
import type { ReadPlan } from './read-plan.ts'
import { LogReader } from './reader.ts'
import { ensureSnapshots, rebuildSegment } from './rebuild.ts'
import { openState } from './recovery.ts'
import { expiredSegments } from './retention.ts'
import { removeIfThere, snapshotOffsets, snapshotPath } from './segment-files.ts'
import { type FoundOffset, searchMaxTimestamp, searchTime } from './time-search.ts'
import { truncateFully, truncateLog } from './truncation.ts'

export { DEFAULT_LOG_CONFIG, type LogConfig } from './config.ts'
export type { EpochEnd } from './epochs.ts'
export type { DamagedRange, LogOptions, LogParts } from './log-state.ts'
export { type AppendContext, AppendOutcome } from './outcome.ts'
export { ReadPlan } from './read-plan.ts'
export type { FoundOffset } from './time-search.ts'

/** Write-back is kept flowing: a sync in the background per so many bytes, whatever the policy. */
const BACKGROUND_SYNC_BYTES = 16_777_216
/** No record waits longer than this for a sync, whatever the policy. */
const SYNC_AT_LEAST_MS = 60_000
/** A snapshot of the producers saves a start from reading more than this. */
const SNAPSHOT_BYTES = 16_777_216

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

export class PartitionLog implements CleanableLog {
  readonly #state: LogState
  readonly #reader: LogReader
  #appender: Appender | undefined = undefined
  #failure: unknown
  #isClosed = false
  /** The end of the log is being changed: no append meanwhile. */
  #isChanging = false
  /** A write failed inside an append: `write` says so to the owner of the records that went with it. */
  #pendingError: unknown
  #busy: Promise<void> | undefined = undefined
  #unsyncedSinceMs = -1
  #highWatermark = 0
  #bytesAtSnapshot = 0
  readonly #removals = new Map<string, { cancel(): void }>()

  private constructor(state: LogState) {
    this.#state = state
    this.#reader = new LogReader(state)
  }

  /**
   * Opens the log in its directory, which is made when missing. After an unclean stop what lies
   * behind the recovery point is checked, and cut at the first unfinished batch. Throws StorageError.
   */
  static async open(options: LogOptions): Promise<PartitionLog> {
    return new PartitionLog(await openState(options))
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

  /** For the checkpoint: as `syncedOffset`, but not beyond what the files beside the records cover. */
  get recoveryPoint(): number {
    const { segments, epochs, syncedOffset } = this.#state
    let point = Math.min(syncedOffset, epochs.unsavedFrom ?? syncedOffset)
    for (const segment of segments) {
      if (segment.isSealed && !segment.areIndexesDurable) {
        point = Math.min(point, segment.baseOffset)
        break
      }
    }
    // While the end is being changed, the checkpoint stays as that change has made it.
    return this.#isChanging ? Math.min(point, this.#state.savedRecoveryPoint) : point
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

  get failure(): unknown {
    return this.#failure
  }

  /** Durable records that a start found lost or damaged: kept, not served. For the owner to decide. */
  get damage(): readonly DamagedRange[] {
    return this.#state.damage
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
    this.#appender ??= new Appender(this.#state)
    if (this.#appender.needsRepair) {
      this.#state.parts.probe.fullDiskRefusals++
      this.#startRepair(this.#appender)
      return undefined
    }
    return this.#appender
  }

  /** Gathered bytes to the page cache: one write. Throws StorageError: they are then out of the log. */
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
    this.#keepFlowing()
  }

  #keepFlowing(): void {
    const { active, config, parts, syncedOffset, writtenOffset } = this.#state
    if (syncedOffset === writtenOffset) return
    if (this.#unsyncedSinceMs < 0) this.#unsyncedSinceMs = parts.clock.monotonicMs()
    const isLong = active.writtenBytes - active.syncedBytes >= BACKGROUND_SYNC_BYTES
    const isMany = writtenOffset - syncedOffset >= config.flushMessages
    if ((isLong || isMany) && this.#busy === undefined) this.#inBackground(this.sync())
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
    this.#appender?.abandon()
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
    const repair = this.#exclusive(async () => {
      try {
        if (appender.needsRepair) await appender.repair()
      } finally {
        this.#isChanging = false
      }
    })
    repair.catch((error: unknown) => this.#onWriteError(error))
  }

  /** One operation on the files at a time. */
  async #exclusive<T>(run: () => Promise<T>): Promise<T> {
    while (this.#busy !== undefined) await this.#busy
    const running = run()
    const settled = running.then(
      () => {},
      () => {},
    )
    this.#busy = settled
    try {
      return await running
    } finally {
      this.#busy = undefined
    }
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
    await this.#exclusive(() => this.#sync())
    return this.#state.syncedOffset
  }

  async #sync(): Promise<void> {
    const state = this.#state
    const { clock, probe } = state.parts
    const target = state.writtenOffset
    if (this.#isClosed) return
    if (target === state.syncedOffset && !state.isDirectoryDirty) return
    const startedMs = clock.monotonicMs()
    const work: Promise<void>[] = []
    try {
      for (let i = state.segments.length - 1; i >= 0; i--) {
        const segment = state.segments[i]!
        if (segment.writtenBytes > segment.syncedBytes) work.push(this.#syncSegment(segment))
        else if (segment.nextOffset <= state.syncedOffset) break
      }
      if (state.isDirectoryDirty) {
        work.push(state.syncNames())
      }
      await Promise.all(work)
    } catch (error) {
      await Promise.allSettled(work)
      this.#fail(error)
      throw error
    }
    assert(target >= state.syncedOffset && target <= state.writtenOffset, 'syncs go forward')
    state.syncedOffset = target
    this.#unsyncedSinceMs = target === state.writtenOffset ? -1 : startedMs
    probe.syncs++
    probe.syncSeconds.observe((clock.monotonicMs() - startedMs) / 1000)
  }

  async #syncSegment(segment: LogState['segments'][number]): Promise<void> {
    const bytes = segment.writtenBytes
    const file = segment.file.pin()
    try {
      await file.sync()
    } finally {
      segment.file.unpin()
    }
    segment.syncedBytes = Math.max(segment.syncedBytes, bytes)
    if (segment.syncedBytes === segment.writtenBytes) segment.file.isDirty = false
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
    return Array.from(this.#state.producers.values(), (producer) => ({
      producerId: producer.producerId,
      producerEpoch: producer.epoch,
      lastSequence: producer.lastSequence,
      lastTimestampMs: producer.lastTimestampMs,
      coordinatorEpoch: producer.coordinatorEpoch,
      currentTransactionStartOffset: producer.transactionStart,
    }))
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
   * Drops the batch that holds `offset` and all behind it: the log ends at that batch's base
   * offset. Appends are refused until it resolves.
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
    while (this.#isChanging) await this.#busy
    this.#isChanging = true
    try {
      await this.#exclusive(change)
    } catch (error) {
      this.#fail(error) // where the log ends is not known any more
      throw error
    } finally {
      this.#isChanging = false
      this.#reader.forgetHints()
    }
    this.#state.checkOrder()
  }

  /** Retention, roll by time, expiry of producers, syncs that are due, indexes to make again. */
  async maintain(nowMs: number, highWatermark: number): Promise<void> {
    if (this.#isClosed || this.#failure !== undefined) return
    const { producers, shared, parts, config } = this.#state
    this.#highWatermark = Math.min(highWatermark, this.#state.writtenOffset)
    parts.probe.expiredProducers += producers.expire(nowMs, shared.producerExpirationMs)
    if (this.#isChanging) return
    const unsyncedMs = this.#unsyncedSinceMs
    if (unsyncedMs >= 0) {
      const limitMs = config.flush === 'interval' ? config.flushMs : SYNC_AT_LEAST_MS
      const ageMs = parts.clock.monotonicMs() - unsyncedMs
      if (ageMs >= Math.min(limitMs, SYNC_AT_LEAST_MS)) await this.sync()
    }
    await this.#exclusive(() => this.#retain(nowMs))
    for (const segment of [...this.#state.segments]) {
      if (!segment.needsRebuild || !segment.isSealed || segment.isGone) continue
      await this.#exclusive(async () => {
        if (!segment.isGone && !this.#isClosed) await rebuildSegment(this.#state, segment)
      })
    }
  }

  async #retain(nowMs: number): Promise<void> {
    const state = this.#state
    if (this.#isClosed || this.#isChanging) return
    const facts = state.segments.map((segment) => ({
      baseOffset: segment.baseOffset,
      nextOffset: segment.nextOffset,
      sizeBytes: segment.sizeBytes,
      largestTimestampMs: segment.isEmpty ? nowMs : segment.largestTimestampMs(),
    }))
    const { logStartOffset, config } = state
    // Only what a start would not miss: see dropUnfounded in recovery.ts.
    const highWatermark = Math.min(this.#highWatermark, state.savedRecoveryPoint)
    const limits = { nowMs, highWatermark, logStartOffset }
    const count = expiredSegments(facts, config, limits)
    if (count === 0) return
    if (count === state.segments.length) {
      this.#appender ??= new Appender(state)
      try {
        this.#appender.roll(nowMs)
      } catch (error) {
        this.#onWriteError(storageErrorOnly(error))
        return
      }
      // The new segment says where the log goes on: its name must last before the old ones go.
      await state.syncNames()
      if (this.#isClosed) return
    }
    const bases = state.segments.slice(1, count + 1).map(({ baseOffset }) => baseOffset)
    await ensureSnapshots(state, bases)
    if (this.#isClosed) return
    for (let i = 0; i < count; i++) await this.#dropOldest()
    const least = state.segments[0]!.baseOffset
    for (const offset of snapshotOffsets(state)) {
      if (offset < least) await removeIfThere(state, snapshotPath(state, offset))
    }
  }

  /** One at a time, each durable before the next: a crash leaves no hole. */
  async #dropOldest(): Promise<void> {
    const state = this.#state
    assert(state.segments.length > 1, 'the active segment stays')
    const segment = state.segments.shift()!
    const { baseOffset } = state.segments[0]!
    if (baseOffset > state.logStartOffset) {
      state.logStartOffset = baseOffset
      state.epochs.truncateFromStart(baseOffset)
    }
    state.syncedOffset = Math.max(state.syncedOffset, baseOffset)
    setAside(state, segment, this.#removeLater)
    state.parts.probe.deletedSegments++
    await state.syncNames()
  }

  readonly #removeLater = (path: string): void => {
    const { clock, disk } = this.#state.parts
    const timer = clock.after(this.#state.config.fileDeleteDelayMs, () => {
      this.#removals.delete(path)
      this.#inBackground(disk.remove(path))
    })
    this.#removals.set(path, timer)
  }

  sizeBytes(): number {
    let bytes = 0
    for (const segment of this.#state.segments) bytes += segment.sizeBytes
    return bytes
  }

  segmentCount(): number {
    return this.#state.segments.length
  }

  updateConfig(config: LogConfig): void {
    this.#state.config = config
    this.#appender?.updateRules()
  }

  /** Saves what stands beside the records, so that `recoveryPoint` may move on. Throws StorageError. */
  async checkpoint(): Promise<void> {
    if (this.#isClosed || this.#failure !== undefined || this.#isChanging) return
    await this.#exclusive(() => this.#checkpoint(SNAPSHOT_BYTES))
  }

  async #checkpoint(snapshotBytes: number): Promise<void> {
    const state = this.#state
    const { disk } = state.parts
    if (state.epochs.unsavedFrom !== undefined) {
      const text = state.epochs.encode()
      state.epochs.markSaved()
      await writeChecked(disk, `${state.directory}/${LEADER_EPOCHS}`, text)
    }
    for (const segment of state.segments) {
      if (!segment.isSealed || segment.areIndexesDurable || segment.needsRebuild) continue
      await syncIndexes(state, segment)
      await state.syncNames()
      segment.areIndexesDurable = true
    }
    const { active } = state
    const isSaved = active.isEmpty || active.writtenBytes !== active.sizeBytes
    if (isSaved || !active.isIndexLoaded()) return
    const size = this.sizeBytes()
    if (Math.abs(size - this.#bytesAtSnapshot) < snapshotBytes) return
    this.#bytesAtSnapshot = size
    active.saveIndexes()
    await this.#snapshot()
  }

  async #snapshot(): Promise<void> {
    const state = this.#state
    const offset = state.logEndOffset
    if (state.snapshotOffset === offset) return
    const before = state.snapshotOffset
    const bytes = encodeSnapshot(state.producers)
    assert(state.writtenOffset === offset, 'a snapshot is of written records')
    await state.parts.disk.replaceFile(snapshotPath(state, offset), bytes)
    state.snapshotOffset = offset
    const isOfSegment = state.segments.some(({ baseOffset }) => baseOffset === before)
    if (before >= 0 && !isOfSegment) await removeIfThere(state, snapshotPath(state, before))
  }

  /** Writes, syncs, saves all that a quick start needs. Rejects with StorageError when that failed. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    try {
      if (this.#failure === undefined) {
        while (this.#isChanging) await this.#busy
        this.write()
        await this.sync()
        await this.#exclusive(() => this.#saveAll())
      }
    } finally {
      await this.#stop()
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  async #saveAll(): Promise<void> {
    const state = this.#state
    const { active } = state
    if (this.#appender?.needsRepair) await this.#appender.repair()
    if (!active.isEmpty && active.isIndexLoaded()) {
      active.noteTimeAtClose()
      active.saveIndexes()
    }
    await this.#checkpoint(Number.POSITIVE_INFINITY)
    if (state.logEndOffset > 0) await this.#snapshot()
  }

  async #stop(): Promise<void> {
    while (this.#busy !== undefined) await this.#busy
    this.#release()
    const removals = [...this.#removals.keys()].map((path) => removeIfThere(this.#state, path))
    this.#removals.clear()
    await Promise.all(removals)
  }

  #release(): void {
    this.#isClosed = true
    for (const timer of this.#removals.values()) timer.cancel()
    for (const segment of this.#state.segments) {
      segment.isGone = true
      segment.file.isDirty = false
      segment.file.close()
    }
  }

  /** Closes without saving and removes the directory. */
  async delete(): Promise<void> {
    this.abandon()
    while (this.#busy !== undefined) await this.#busy
    await this.#state.parts.disk.removeDirectory(this.directory)
  }

  /** Lets go of files and timers at once, saves nothing: the directory goes, or the log failed. */
  abandon(): void {
    if (this.#isClosed) return
    this.#appender?.abandon()
    this.#release()
    this.#removals.clear()
  }

  // What compaction sees.

  cleanableLimit(): number {
    const { active, savedRecoveryPoint } = this.#state
    const stable = this.lastStableOffset(this.#highWatermark)
    // What a start would scan must be without gaps.
    return Math.min(stable, active.baseOffset, savedRecoveryPoint)
  }

  closedSegments(): readonly CleanableSegment[] {
    const closed = this.#state.segments.slice(0, -1)
    for (const segment of closed) segment.knowTimestamps()
    return closed
  }

  abortedRanges(fromOffset: number, toOffset: number): AbortedRange[] {
    const { segments } = this.#state
    const ranges: AbortedRange[] = []
    for (let i = this.#state.segmentIndexOf(fromOffset); i < segments.length; i++) {
      const segment = segments[i]!
      if (segment.aborted === undefined) segment.load()
      if (segment.aborted === undefined) {
        throw new CorruptionError(segment.stem, 'the transaction index is damaged')
      }
      for (const entry of segment.aborted) {
        if (entry.lastOffset >= fromOffset && entry.firstOffset < toOffset) ranges.push(entry)
        if (entry.lastStableOffset >= toOffset) return ranges
      }
    }
    return ranges
  }

  lastOfProducers(): ReadonlyMap<number, LastOfProducer> {
    const result = new Map<number, LastOfProducer>()
    for (const producer of this.#state.producers.values()) {
      const lastDataOffset = producer.last?.lastOffset ?? -1
      result.set(producer.producerId, { producerEpoch: producer.epoch, lastDataOffset })
    }
    return result
  }

  startCleaned(baseOffset: number): CleanedSegment {
    return new Replacement(this.#state, baseOffset)
  }

  replace(replaced: readonly CleanableSegment[], cleaned: CleanedSegment): Promise<boolean> {
    return this.#exclusive(async () => {
      if (this.#isClosed || this.#failure !== undefined) {
        await discard(this.#state, cleaned)
        return false
      }
      return replaceSegments(this.#state, replaced, cleaned, this.#removeLater)
    })
  }

  discardCleaned(cleaned: CleanedSegment): Promise<void> {
    return discard(this.#state, cleaned)
  }
}

function refuse(outcome: AppendOutcome, error: number, logStartOffset: number): void {
  outcome.error = error
  outcome.message = undefined
  outcome.recordErrors = []
  outcome.firstOffset = -1
  outcome.lastOffset = -1
  outcome.logAppendTimeMs = -1
  outcome.logStartOffset = logStartOffset
  outcome.isDuplicate = false
}

function storageErrorOnly(error: unknown): StorageError {
  if (!(error instanceof StorageError)) throw error
  return error
}
