/**
 * One partition's records on disk: appends, group sync, reads, retention. Opening is in
 * recovery.ts, reading in reader.ts, searches by time in time-search.ts.
 *
 * Invariants: syncedOffset <= writtenOffset <= logEndOffset; a batch is stored as it came, apart from
 * its offset and epoch; after a failed sync nothing is written again; a write that the disk refused
 * leaves no trace in the log.
 */
import { assert } from '../base/assert.ts'
import { StorageError } from '../base/errors.ts'
import { type AppendRules, checkBatch, type RecordError } from './batch.ts'
import { LEADER_EPOCHS, writeChecked } from './checkpoints.ts'
import type { LogConfig } from './config.ts'
import type { EpochEnd } from './epochs.ts'
import { KAFKA_STORAGE_ERROR, NONE } from './errors.ts'
import { BufferPool } from './files.ts'
import { writeInt32, writeInt64 } from './format.ts'
import type { LogOptions, LogState } from './log-state.ts'
import { encodeSnapshot } from './producer-snapshot.ts'
import type { ReadPlan } from './read-plan.ts'
import { LogReader } from './reader.ts'
import { producersAt } from './rebuild.ts'
import { openState } from './recovery.ts'
import { replayBatch } from './replay.ts'
import { expiredSegments, rollAfterMs } from './retention.ts'
import { RELATIVE_OFFSET_MAX, type Segment } from './segment.ts'
import { makeFile, removeSegment, snapshotPath } from './segment-files.ts'
import { type FoundOffset, searchMaxTimestamp, searchTime } from './time-search.ts'
import { readMarker } from './transactions.ts'

export { DEFAULT_LOG_CONFIG, type LogConfig } from './config.ts'
export type { EpochEnd } from './epochs.ts'
export type { LogOptions, LogParts } from './log-state.ts'
export { ReadPlan } from './read-plan.ts'

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

/** From here on a batch is written by itself, at once. */
const LARGE_BYTES = 32_768
/** In modes without sync before the answer: so much is written before a sync begins anyway. */
const WRITE_BACK_BYTES = 16_777_216
const INDEX_ENTRY_BYTES = 8
const NO_RECORD_ERRORS: readonly RecordError[] = []

export class PartitionLog {
  readonly topic: string
  readonly partition: number
  readonly directory: string
  isFailed = false
  readonly #state: LogState
  readonly #reader: LogReader
  readonly #rules: { -readonly [K in keyof AppendRules]: AppendRules[K] }
  #gather: Buffer | undefined
  #gathered = 0
  /** The producers are read again after a write that was refused. */
  #isRebuilding = false
  #isSyncing = false
  #unsyncedBytes = 0

  private constructor(state: LogState) {
    this.topic = state.topic
    this.partition = state.partition
    this.directory = state.directory
    this.#state = state
    this.#reader = new LogReader(state)
    this.#rules = rulesOf(state.config)
  }

  /** Opens or makes the log. Throws StorageError. */
  static async open(options: LogOptions): Promise<PartitionLog> {
    return new PartitionLog(await openState(options))
  }

  get config(): LogConfig {
    return this.#state.config
  }

  get logStartOffset(): number {
    return this.#state.logStartOffset
  }

  /** The next offset to be given; may be ahead of the page cache. */
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

  /** First offset of the oldest open transaction. */
  get firstUnstableOffset(): number | undefined {
    return this.#state.producers.firstOpenOffset
  }

  get latestEpoch(): number {
    return this.#state.epochs.latest
  }

  /**
   * Leader append of the one batch in source[start, end). Checks it, answers duplicates of an
   * idempotent producer with their offsets, gives offset and epoch in place. Never throws for bad
   * input, keeps nothing of `source`.
   */
  append(
    source: Buffer,
    start: number,
    end: number,
    context: AppendContext,
    outcome: AppendOutcome,
  ): void {
    const state = this.#state
    const { verdict } = state.shared
    reset(outcome, state.logStartOffset)
    if (this.isFailed || this.#isRebuilding) {
      outcome.error = KAFKA_STORAGE_ERROR
      return
    }
    const rules = this.#rules
    rules.allowsZstd = context.allowsZstd
    rules.isClient = context.origin === 'client'
    checkBatch(source, start, end, rules, context.nowMs, verdict)
    if (verdict.error === NONE && verdict.producerId >= 0)
      this.#checkProducer(source, start, end, outcome)
    if (outcome.isDuplicate) return
    if (verdict.error !== NONE || outcome.error !== NONE) {
      state.parts.probe.refusedBatches++
      if (outcome.error === NONE) outcome.error = verdict.error
      outcome.message = verdict.message
      outcome.recordErrors = verdict.recordErrors
      return
    }
    const bytes = verdict.rewritten ?? source
    const at = verdict.rewritten === undefined ? start : 0
    try {
      this.#store(bytes, at, at + verdict.sizeBytes, context, outcome)
    } catch (error) {
      if (!(error instanceof StorageError)) throw error
      this.#onRefusedWrite(error)
      reset(outcome, state.logStartOffset)
      outcome.error = KAFKA_STORAGE_ERROR
    }
  }

  #checkProducer(source: Buffer, start: number, end: number, outcome: AppendOutcome): void {
    const { producers, shared, parts } = this.#state
    const { verdict } = shared
    if (verdict.isControl) {
      const marker = readMarker(source, start, end)
      if (marker === undefined) return
      const { producerId, producerEpoch, coordinatorEpoch } = marker
      outcome.error = producers.checkMarker(producerId, producerEpoch, coordinatorEpoch)
      return
    }
    const isIdempotent = verdict.baseSequence >= 0
    const duplicate = isIdempotent ? producers.findDuplicate(verdict) : undefined
    if (duplicate !== undefined) {
      parts.probe.duplicateBatches++
      outcome.isDuplicate = true
      outcome.lastOffset = duplicate.lastOffset
      outcome.firstOffset = duplicate.lastOffset - duplicate.offsetDelta
      return
    }
    outcome.error = producers.check(verdict, isIdempotent && this.#rules.isClient)
  }

  #store(
    bytes: Buffer,
    at: number,
    end: number,
    context: AppendContext,
    outcome: AppendOutcome,
  ): void {
    const state = this.#state
    const { verdict } = state.shared
    const size = end - at
    this.#rollIfDue(size, verdict.maxTimestampMs, verdict.lastOffsetDelta)
    const firstOffset = state.logEndOffset
    const lastOffset = firstOffset + verdict.lastOffsetDelta
    writeInt64(bytes, at, firstOffset)
    writeInt32(bytes, at + 12, context.leaderEpoch)
    const segment = state.active
    segment.load()
    if (size >= LARGE_BYTES) {
      this.write()
      this.#writeOut(segment, bytes, at, end)
    } else this.#keep(bytes, at, end)
    segment.note(
      segment.sizeBytes,
      size,
      lastOffset,
      verdict.maxTimestampMs,
      state.config.indexIntervalBytes,
    )
    segment.sizeBytes += size
    state.logEndOffset = lastOffset + 1
    state.epochs.assign(context.leaderEpoch, firstOffset)
    const aborted = replayBatch(state.producers, bytes, at, end, firstOffset, context.nowMs)
    if (aborted !== undefined) segment.aborted!.push(aborted)
    if (size >= LARGE_BYTES) state.writtenOffset = state.logEndOffset
    outcome.firstOffset = firstOffset
    outcome.lastOffset = lastOffset
    outcome.logAppendTimeMs = state.config.timestampType === 'LogAppendTime' ? context.nowMs : -1
    outcome.recordCount = verdict.recordCount
    outcome.sizeBytes = size
    const { probe } = state.parts
    probe.appendedBatches++
    probe.appendedRecords += verdict.recordCount
    probe.appendedBytes += size
  }

  #keep(bytes: Buffer, at: number, end: number): void {
    const size = end - at
    const { buffers } = this.#state.shared
    if (this.#gather !== undefined && this.#gathered + size > this.#gather.length) {
      const grownBytes = this.#gathered + size
      if (grownBytes > BufferPool.largestBytes) this.write()
      else {
        const grown = buffers.take(grownBytes)
        this.#gather.copy(grown, 0, 0, this.#gathered)
        buffers.give(this.#gather)
        this.#gather = grown
      }
    }
    this.#gather ??= buffers.take(size)
    bytes.copy(this.#gather, this.#gathered, at, end)
    this.#gathered += size
  }

  /** Gathered bytes to the page cache. Throws StorageError; then they are no part of the log. */
  write(): void {
    const gather = this.#gather
    if (gather === undefined) return
    const state = this.#state
    try {
      this.#writeOut(state.active, gather, 0, this.#gathered)
    } catch (error) {
      if (error instanceof StorageError) this.#onRefusedWrite(error)
      throw error
    }
    state.shared.buffers.give(gather)
    this.#gather = undefined
    this.#gathered = 0
    state.writtenOffset = state.active.nextOffset
    state.checkOrder()
    if (state.config.flush !== 'group' && this.#unsyncedBytes >= WRITE_BACK_BYTES) this.#writeBack()
  }

  #writeOut(segment: Segment, bytes: Buffer, start: number, end: number): void {
    const { parts } = this.#state
    if (segment.writtenBytes === 0) this.#state.isDirectoryDirty = true
    const startedMs = parts.clock.monotonicMs()
    segment.file.use().write(bytes, start, end, segment.writtenBytes)
    parts.probe.writeSeconds.observe((parts.clock.monotonicMs() - startedMs) / 1000)
    segment.file.isDirty = true
    segment.writtenBytes += end - start
    this.#unsyncedBytes += end - start
    parts.probe.writes++
    parts.probe.writtenBytes += end - start
  }

  #writeBack(): void {
    if (this.#isSyncing) return
    this.sync().catch((error: unknown) => {
      this.#state.parts.logger.error('A sync in the background failed.', {
        ...this.#state.fields(),
        error: String(error),
      })
    })
  }

  /** The disk took no write: the log ends where it was written. A full disk passes, others do not. */
  #onRefusedWrite(error: StorageError): void {
    const state = this.#state
    const { active } = state
    if (this.#gather !== undefined) state.shared.buffers.give(this.#gather)
    this.#gather = undefined
    this.#gathered = 0
    if (error.code !== 'ENOSPC') {
      this.isFailed = true
      state.parts.probe.failedLogs++
      return
    }
    state.parts.probe.fullDiskRefusals++
    state.logEndOffset = state.writtenOffset
    active.nextOffset = state.writtenOffset
    active.sizeBytes = active.writtenBytes
    const { index, timeIndex } = active
    if (index !== undefined && timeIndex !== undefined) {
      const kept = index.floor(Math.max(-1, state.writtenOffset - 1 - active.baseOffset))
      index.truncate(kept + 1)
      timeIndex.truncateAbove(Math.max(-1, state.writtenOffset - 1 - active.baseOffset))
    }
    state.epochs.truncateFromEnd(state.writtenOffset)
    this.#rebuildProducers()
  }

  #rebuildProducers(): void {
    if (this.#isRebuilding) return
    this.#isRebuilding = true
    const state = this.#state
    producersAt(state, state.writtenOffset, state.producers).then(
      () => {
        this.#isRebuilding = false
      },
      (error: unknown) => {
        this.isFailed = true
        state.parts.logger.error('The state of producers can not be read again.', {
          ...state.fields(),
          error: String(error),
        })
      },
    )
  }

  #rollIfDue(batchBytes: number, timestampMs: number, lastOffsetDelta: number): void {
    const state = this.#state
    const { active, config } = state
    if (active.isEmpty) return
    const firstMs = active.firstTimestampMs()
    const indexBytes = (active.index?.count ?? 0) * INDEX_ENTRY_BYTES
    const lastRelative = state.logEndOffset + lastOffsetDelta - active.baseOffset
    const isDue =
      active.sizeBytes + batchBytes > config.segmentBytes ||
      indexBytes + INDEX_ENTRY_BYTES > config.segmentIndexBytes ||
      lastRelative > RELATIVE_OFFSET_MAX ||
      (firstMs >= 0 && timestampMs - firstMs > rollAfterMs(config, this.topic, active.baseOffset))
    if (isDue) this.#roll()
  }

  /** A new active segment; the producers as they are now go to a snapshot beside it. */
  #roll(): void {
    const state = this.#state
    this.write()
    const old = state.active
    if (old.isEmpty) return
    old.load()
    old.seal()
    this.#saveSnapshot()
    const fresh = state.newSegment(state.logEndOffset)
    fresh.startEmpty(state.parts.clock.nowMs())
    makeFile(state, fresh)
    state.segments.push(fresh)
    state.parts.probe.rolledSegments++
  }

  #saveSnapshot(): void {
    const state = this.#state
    const bytes = encodeSnapshot(state.producers)
    const file = state.parts.disk.open(snapshotPath(state, state.logEndOffset), 'write')
    try {
      file.write(bytes, 0, bytes.length, 0)
    } finally {
      file.close()
    }
    state.isDirectoryDirty = true
    state.snapshotOffset = state.logEndOffset
  }

  /** All that is written becomes durable; resolves with the offset. Calls never overlap. */
  async sync(): Promise<number> {
    assert(!this.#isSyncing, 'one sync at a time')
    const state = this.#state
    const { probe, disk, clock } = state.parts
    const target = state.writtenOffset
    const startedMs = clock.monotonicMs()
    this.#isSyncing = true
    this.#unsyncedBytes = 0
    try {
      for (const segment of state.segments.filter(isUnsynced)) await syncSegment(segment)
      if (state.isDirectoryDirty) {
        state.isDirectoryDirty = false
        await disk.syncDirectory(state.directory)
      }
    } catch (error) {
      this.isFailed = true
      probe.failedLogs++
      throw error
    } finally {
      this.#isSyncing = false
    }
    probe.syncs++
    probe.syncSeconds.observe((clock.monotonicMs() - startedMs) / 1000)
    if (target > state.syncedOffset) state.syncedOffset = target
    return state.syncedOffset
  }

  locate(fromOffset: number, upTo: number, plan: ReadPlan): void {
    this.#reader.locate(fromOffset, upTo, plan)
  }

  /** Whole, checked batches below `upTo` into target at `at`. Throws CorruptionError, StorageError. */
  copy(plan: ReadPlan, upTo: number, target: Buffer, at: number, limitBytes: number): number {
    return this.#reader.copy(plan, upTo, target, at, limitBytes)
  }

  /** The same on the thread pool. */
  copyAsync(
    plan: ReadPlan,
    upTo: number,
    target: Buffer,
    at: number,
    limitBytes: number,
  ): Promise<number> {
    return this.#reader.copyAsync(plan, upTo, target, at, limitBytes)
  }

  /** The first record below `upTo` that is at least that late. */
  offsetForTimestamp(timestampMs: number, upTo: number): Promise<FoundOffset | undefined> {
    return searchTime(this.#state, timestampMs, upTo)
  }

  maxTimestamp(upTo: number): Promise<FoundOffset | undefined> {
    return searchMaxTimestamp(this.#state, upTo)
  }

  /** KIP-101, KIP-279: the largest epoch at or below the requested one, and where it ends. */
  endOffsetForEpoch(requestedEpoch: number): EpochEnd {
    return this.#state.epochs.endOf(requestedEpoch, this.#state.logEndOffset)
  }

  epochForOffset(offset: number): number {
    return this.#state.epochs.at(offset)
  }

  abortedTransactions(fromOffset: number, toOffset: number): AbortedTransaction[] {
    const found: AbortedTransaction[] = []
    const { segments } = this.#state
    for (const segment of segments.slice(this.#state.segmentIndexOf(fromOffset))) {
      for (const { producerId, firstOffset, lastOffset } of segment.aborted ?? []) {
        if (lastOffset >= fromOffset && firstOffset < toOffset)
          found.push({ producerId, firstOffset })
      }
    }
    return found
  }

  activeProducers(): ActiveProducer[] {
    return [...this.#state.producers.values()].map((producer) => ({
      producerId: producer.producerId,
      producerEpoch: producer.epoch,
      lastSequence: producer.lastSequence,
      lastTimestampMs: producer.lastTimestampMs,
      coordinatorEpoch: producer.coordinatorEpoch,
      currentTransactionStartOffset: producer.transactionStart,
    }))
  }

  /** DeleteRecords: what lies below is gone for readers at once, its segments at the next upkeep. */
  advanceLogStart(offset: number): void {
    const state = this.#state
    assert(offset <= state.logEndOffset, 'the start stays within the log')
    if (offset <= state.logStartOffset) return
    state.logStartOffset = offset
    state.epochs.truncateFromStart(offset)
  }

  /** Retention by time and size, producers that were silent for too long, sync by interval. */
  async maintain(nowMs: number, highWatermark: number): Promise<void> {
    if (this.isFailed) return
    const state = this.#state
    const expired = state.producers.expire(nowMs, state.shared.producerExpirationMs)
    state.parts.probe.expiredProducers += expired
    await this.#retain(nowMs, highWatermark)
    if (state.config.flush === 'interval' && !this.#isSyncing) await this.sync()
  }

  async #retain(nowMs: number, highWatermark: number): Promise<void> {
    const state = this.#state
    const facts = state.segments.map((segment) => ({
      baseOffset: segment.baseOffset,
      nextOffset: segment.nextOffset,
      sizeBytes: segment.sizeBytes,
      largestTimestampMs: segment.largestTimestampMs(),
    }))
    const limits = { nowMs, highWatermark, logStartOffset: state.logStartOffset }
    const count = expiredSegments(facts, state.config, limits)
    if (count === 0) return
    if (count === state.segments.length) this.#roll()
    const gone = state.segments.splice(0, count)
    this.advanceLogStart(Math.min(state.active.baseOffset, gone.at(-1)!.nextOffset))
    this.#reader.forgetHints()
    for (const segment of gone) {
      state.parts.logger.info('A segment was removed by retention.', {
        ...state.fields(),
        baseOffset: segment.baseOffset,
      })
      await removeSegment(state, segment)
      state.parts.probe.deletedSegments++
    }
  }

  sizeBytes(): number {
    return this.#state.segments.reduce((sum, segment) => sum + segment.sizeBytes, 0)
  }

  segmentCount(): number {
    return this.#state.segments.length
  }

  updateConfig(config: LogConfig): void {
    this.#state.config = config
    Object.assign(this.#rules, rulesOf(config))
  }

  /** Which epoch wrote what, on disk: before a recovery point that relies on it is written. */
  async checkpoint(): Promise<void> {
    const { epochs, parts } = this.#state
    if (epochs.unsavedFrom === undefined) return
    const text = epochs.encode()
    epochs.markSaved()
    await writeChecked(parts.disk, `${this.directory}/${LEADER_EPOCHS}`, text)
  }

  /** Everything durable, indexes and producers saved: the next start need not scan. */
  async close(): Promise<void> {
    const state = this.#state
    if (!this.isFailed) {
      this.write()
      if (!this.#isSyncing) await this.sync()
      await this.checkpoint()
      if (state.active.writtenBytes > 0) {
        state.active.load()
        state.active.noteTimeAtClose()
        state.active.saveIndexes()
      }
      if (state.logEndOffset > 0) this.#saveSnapshot()
      await state.parts.disk.syncDirectory(state.directory)
    }
    this.#release()
  }

  /** Lets go of the files without saving anything: the directory is going to be removed. */
  abandon(): void {
    this.isFailed = true
    this.#release()
  }

  #release(): void {
    for (const segment of this.#state.segments) {
      segment.isGone = true
      segment.file.close()
    }
  }
}

function isUnsynced(segment: Segment): boolean {
  return segment.syncedBytes < segment.writtenBytes
}

async function syncSegment(segment: Segment): Promise<void> {
  const { writtenBytes } = segment
  const file = segment.file.pin()
  try {
    await file.sync()
  } finally {
    segment.file.unpin()
  }
  segment.syncedBytes = Math.max(segment.syncedBytes, writtenBytes)
  if (segment.writtenBytes === writtenBytes) segment.file.isDirty = false
}

function rulesOf(config: LogConfig): AppendRules {
  return {
    maxMessageBytes: config.maxMessageBytes,
    timestampType: config.timestampType,
    timestampBeforeMaxMs: config.timestampBeforeMaxMs,
    timestampAfterMaxMs: config.timestampAfterMaxMs,
    requiresKey: config.isCompacted,
    compressionType: config.compressionType,
    allowsZstd: true,
    isClient: true,
  }
}

function reset(outcome: AppendOutcome, logStartOffset: number): void {
  outcome.error = NONE
  outcome.message = undefined
  outcome.recordErrors = NO_RECORD_ERRORS
  outcome.firstOffset = -1
  outcome.lastOffset = -1
  outcome.logAppendTimeMs = -1
  outcome.logStartOffset = logStartOffset
  outcome.isDuplicate = false
  outcome.recordCount = 0
  outcome.sizeBytes = 0
}
