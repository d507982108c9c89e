/**
 * The write side of one log: batches are checked, given offsets in place, gathered in a lent
 * buffer, and written once a turn; large ones are written at once.
 *
 * Invariants: offsets follow each other without a gap; what a failed write left of a batch is gone
 * from the log's memory at once and from its file before the next append; `source` is never kept.
 */
import { assert } from '../base/assert.ts'
import { crc32c } from '../base/crc32c.ts'
import { CorruptionError, StorageError } from '../base/errors.ts'
import { checkBatch } from './batch.ts'
import { KAFKA_STORAGE_ERROR, NONE } from './errors.ts'
import { BufferPool } from './files.ts'
import {
  ATTRIBUTES_AT,
  BASE_OFFSET_AT,
  baseOffsetAt,
  batchSizeAt,
  crcAt,
  LEADER_EPOCH_AT,
  lastOffsetDeltaAt,
  leaderEpochAt,
  MAGIC,
  MAGIC_AT,
  maxTimestampAt,
  RECORDS_AT,
  writeInt32,
  writeInt64,
} from './format.ts'
import type { LogState } from './log-state.ts'
import { OFFSET_ENTRY_BYTES } from './offset-index.ts'
import type { AppendContext, AppendOutcome } from './outcome.ts'
import type { ProducerBatch } from './producers.ts'
import { rebuildProducers } from './rebuild.ts'
import { abortedBy, replayBatch } from './replay.ts'
import { rollAfterMs } from './retention.ts'
import { RELATIVE_OFFSET_MAX } from './segment.ts'
import { isFull, makeFile, writeSnapshot } from './segment-files.ts'
import { saveGaps } from './segment-indexes.ts'
import { TIME_ENTRY_BYTES } from './time-index.ts'
import { type Marker, readMarker } from './transactions.ts'

/** From here on a copy into the gather buffer costs more than a write of its own. */
const DIRECT_BYTES = 32_768

/** What the active segment was when the gather buffer was empty: a failed write goes back to it. */
interface Mark {
  indexCount: number
  timeCount: number
  maxTimestampMs: number
  maxTimestampOffset: number
  bytesSinceIndexEntry: number
  abortedCount: number
  hasProducers: boolean
}

export class Appender {
  readonly #state: LogState
  #gather: Buffer | undefined = undefined
  #gathered = 0
  /** Bytes behind the end of the active file that a failed write may have left. */
  isTorn = false
  /** Producers know of batches that are not in the log. */
  areProducersWrong = false
  readonly #mark: Mark = {
    indexCount: 0,
    timeCount: 0,
    maxTimestampMs: -1,
    maxTimestampOffset: -1,
    bytesSinceIndexEntry: 0,
    abortedCount: 0,
    hasProducers: false,
  }
  readonly #rules = {
    maxMessageBytes: 0,
    timestampType: 'CreateTime' as 'CreateTime' | 'LogAppendTime',
    timestampBeforeMaxMs: 0,
    timestampAfterMaxMs: 0,
    requiresKey: false,
    compressionType: 'producer' as LogState['config']['compressionType'],
    allowsZstd: true,
    isClient: true,
  }
  readonly #batch: ProducerBatch = {
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    lastOffsetDelta: 0,
    maxTimestampMs: -1,
    isTransactional: false,
  }

  constructor(state: LogState) {
    this.#state = state
    this.updateRules()
  }

  updateRules(): void {
    const { config } = this.#state
    const rules = this.#rules
    rules.maxMessageBytes = config.maxMessageBytes
    rules.timestampType = config.timestampType
    rules.timestampBeforeMaxMs = config.timestampBeforeMaxMs
    rules.timestampAfterMaxMs = config.timestampAfterMaxMs
    rules.requiresKey = config.isCompacted
    rules.compressionType = config.compressionType
  }

  /** Throws StorageError: the batch is then not in the log. */
  append(
    source: Buffer,
    start: number,
    end: number,
    context: AppendContext,
    outcome: AppendOutcome,
  ): void {
    const state = this.#state
    const { verdict } = state.shared
    if (context.leaderEpoch < state.epochs.latest) {
      // No CRC covers the epoch of a batch, so damage may have put one there that never was.
      throw new StorageError('UNKNOWN', state.directory, 'append, below its latest epoch, to')
    }
    const isClient = context.origin === 'client'
    this.#rules.isClient = isClient
    this.#rules.allowsZstd = context.allowsZstd
    checkBatch(source, start, end, this.#rules, context.nowMs, verdict)
    if (verdict.inflatedBytes > 0) state.parts.spendYoung?.(verdict.inflatedBytes)
    outcome.error = verdict.error
    outcome.message = verdict.message
    outcome.recordErrors = verdict.recordErrors
    outcome.recordCount = verdict.recordCount
    outcome.sizeBytes = verdict.sizeBytes
    outcome.logStartOffset = state.logStartOffset
    outcome.isDuplicate = false
    outcome.isRewritten = verdict.rewritten !== undefined
    outcome.firstOffset = -1
    outcome.lastOffset = -1
    outcome.logAppendTimeMs = -1
    if (verdict.error !== NONE) {
      state.parts.probe.refusedBatches++
      return
    }
    const bytes = verdict.rewritten ?? source
    const at = verdict.rewritten === undefined ? start : 0
    let marker: Marker | undefined
    if (verdict.producerId >= 0 && context.origin !== 'raft') {
      if (verdict.isControl) {
        marker = readMarker(bytes, at, at + verdict.sizeBytes)
        if (marker !== undefined && !this.#isMarkerAllowed(marker, outcome)) return
      } else if (!this.#isProducerAllowed(isClient, outcome)) return
    }
    const size = verdict.sizeBytes
    const lastOffsetDelta = verdict.lastOffsetDelta
    if (this.#mustRoll(size, lastOffsetDelta, verdict.maxTimestampMs, context.nowMs)) {
      this.#withRoom(() => this.roll(context.nowMs))
    }
    const firstOffset = state.logEndOffset
    const lastOffset = firstOffset + lastOffsetDelta
    this.#put(bytes, at, size, firstOffset, lastOffset, verdict.maxTimestampMs, context.leaderEpoch)
    if (verdict.producerId >= 0 && context.origin !== 'raft') {
      this.#replay(marker, firstOffset, lastOffset, context.nowMs)
    }
    outcome.firstOffset = firstOffset
    outcome.lastOffset = lastOffset
    if (state.config.timestampType === 'LogAppendTime') outcome.logAppendTimeMs = context.nowMs
    state.parts.probe.appendedBatches++
    state.parts.probe.appendedRecords += verdict.recordCount
    state.parts.probe.appendedBytes += size
  }

  #isProducerAllowed(isClient: boolean, outcome: AppendOutcome): boolean {
    const { shared, producers, config, parts } = this.#state
    const { verdict } = shared
    const batch = this.#batch
    batch.producerId = verdict.producerId
    batch.producerEpoch = verdict.producerEpoch
    batch.baseSequence = verdict.baseSequence
    batch.lastOffsetDelta = verdict.lastOffsetDelta
    batch.maxTimestampMs = verdict.maxTimestampMs
    batch.isTransactional = verdict.isTransactional
    const duplicate = isClient ? producers.findDuplicate(batch) : undefined
    if (duplicate !== undefined) {
      outcome.isDuplicate = true
      outcome.firstOffset = duplicate.lastOffset - duplicate.offsetDelta
      outcome.lastOffset = duplicate.lastOffset
      if (config.timestampType === 'LogAppendTime') outcome.logAppendTimeMs = duplicate.timestampMs
      parts.probe.duplicateBatches++
      return false
    }
    outcome.error = producers.check(batch, isClient)
    if (outcome.error !== NONE) parts.probe.refusedBatches++
    return outcome.error === NONE
  }

  #isMarkerAllowed(marker: Marker, outcome: AppendOutcome): boolean {
    const { producers } = this.#state
    const { producerId, producerEpoch, coordinatorEpoch } = marker
    outcome.error = producers.checkMarker(producerId, producerEpoch, coordinatorEpoch)
    return outcome.error === NONE
  }

  #replay(
    marker: Marker | undefined,
    firstOffset: number,
    lastOffset: number,
    nowMs: number,
  ): void {
    const { producers, active, shared } = this.#state
    if (this.#gathered > 0) this.#mark.hasProducers = true
    if (marker !== undefined) {
      const ended = producers.replayMarker(marker, firstOffset, nowMs)
      const aborted = abortedBy(ended, producers)
      if (aborted !== undefined) active.aborted!.push(aborted)
      return
    }
    if (!shared.verdict.isControl) producers.replay(this.#batch, firstOffset, lastOffset, nowMs)
  }

  /** Batches of a leader, with their offsets and epochs. Throws CorruptionError, StorageError. */
  appendAsFollower(source: Buffer, start: number, end: number): void {
    const state = this.#state
    const nowMs = state.parts.clock.nowMs()
    for (let at = start; at < end; ) {
      const size = end - at < RECORDS_AT ? 0 : batchSizeAt(source, at)
      const fault = faultOf(source, at, end, size, state.logEndOffset, state.epochs.latest)
      if (fault !== undefined) throw new CorruptionError(state.directory, fault)
      const firstOffset = baseOffsetAt(source, at)
      const lastOffsetDelta = lastOffsetDeltaAt(source, at)
      const lastOffset = firstOffset + lastOffsetDelta
      const maxTimestampMs = maxTimestampAt(source, at)
      const reach = lastOffset - state.logEndOffset
      if (this.#mustRoll(size, reach, maxTimestampMs, nowMs)) {
        this.#withRoom(() => this.roll(nowMs))
      }
      if (firstOffset > state.logEndOffset) this.#noteGap()
      const epoch = leaderEpochAt(source, at)
      this.#put(source, at, size, firstOffset, lastOffset, maxTimestampMs, epoch)
      if (this.#gathered > 0) this.#mark.hasProducers = true
      const aborted = replayBatch(state.producers, source, at, at + size, firstOffset, nowMs)
      if (aborted !== undefined) state.active.aborted!.push(aborted)
      at += size
      state.parts.probe.appendedBatches++
      state.parts.probe.appendedBytes += size
    }
  }

  /** Before the gap itself is written: see makeGapsDurable. */
  #noteGap(): void {
    const { active, parts } = this.#state
    active.hasGaps = true
    if (active.areGapsSaid) return
    saveGaps(active, parts.disk)
    this.#state.isDirectoryDirty = true
  }

  /** The batch is at the end of the log when this returns; when it throws, it is not. */
  #put(
    source: Buffer,
    at: number,
    size: number,
    firstOffset: number,
    lastOffset: number,
    maxTimestampMs: number,
    leaderEpoch: number,
  ): void {
    const state = this.#state
    const { active } = state
    assert(firstOffset >= state.logEndOffset && lastOffset >= firstOffset, 'offsets go on')
    assert(leaderEpoch >= state.epochs.latest, 'a leader epoch does not go back')
    const isDirect = size >= DIRECT_BYTES
    if (isDirect || this.#gathered + size > BufferPool.largestBytes) this.write()
    const position = active.sizeBytes
    if (isDirect) {
      writeInt64(source, at + BASE_OFFSET_AT, firstOffset)
      writeInt32(source, at + LEADER_EPOCH_AT, leaderEpoch)
      this.#writeFile(source, at, at + size)
    } else {
      if (this.#gathered === 0) this.#setMark()
      const gather = this.#room(size)
      source.copy(gather, this.#gathered, at, at + size)
      writeInt64(gather, this.#gathered + BASE_OFFSET_AT, firstOffset)
      writeInt32(gather, this.#gathered + LEADER_EPOCH_AT, leaderEpoch)
      this.#gathered += size
    }
    active.sizeBytes = position + size
    active.note(position, size, lastOffset, maxTimestampMs, state.config.indexIntervalBytes)
    state.epochs.assign(leaderEpoch, firstOffset)
    state.logEndOffset = lastOffset + 1
    if (isDirect) state.writtenOffset = state.logEndOffset
  }

  #room(size: number): Buffer {
    const { buffers } = this.#state.shared
    const needed = this.#gathered + size
    let gather = this.#gather
    if (gather !== undefined && gather.length >= needed) return gather
    const larger = buffers.take(needed)
    if (gather !== undefined) {
      gather.copy(larger, 0, 0, this.#gathered)
      buffers.give(gather)
    }
    gather = larger
    this.#gather = gather
    return gather
  }

  #setMark(): void {
    const { active } = this.#state
    active.load()
    const mark = this.#mark
    mark.indexCount = active.index!.count
    mark.timeCount = active.timeIndex!.count
    mark.maxTimestampMs = active.maxTimestampMs
    mark.maxTimestampOffset = active.maxTimestampOffset
    mark.bytesSinceIndexEntry = active.bytesSinceIndexEntry
    mark.abortedCount = active.aborted!.length
    mark.hasProducers = false
  }

  /** Gathered bytes to the page cache. Throws StorageError: they are then out of the log again. */
  write(): void {
    if (this.#gathered === 0) return
    const state = this.#state
    const { clock, probe } = state.parts
    const gather = this.#gather!
    const startedMs = clock.monotonicMs()
    try {
      this.#writeFile(gather, 0, this.#gathered)
    } catch (error) {
      this.#dropGathered()
      throw error
    }
    probe.writeSeconds.observe((clock.monotonicMs() - startedMs) / 1000)
    this.#releaseGather()
    state.writtenOffset = state.logEndOffset
    assert(state.active.writtenBytes === state.active.sizeBytes, 'all is written')
  }

  #writeFile(source: Buffer, start: number, end: number): void {
    const { active, parts } = this.#state
    if (active.writtenBytes === 0 && active.file.open === undefined) {
      this.#withRoom(() => makeFile(this.#state, active))
    }
    try {
      // All of it again: over what the try before has left.
      this.#withRoom(() => active.file.use().write(source, start, end, active.writtenBytes))
    } catch (error) {
      this.isTorn = true
      throw error
    }
    active.file.isDirty = true
    active.writtenBytes += end - start
    parts.probe.writes++
    parts.probe.writtenBytes += end - start
  }

  /** On a full disk `run` is repeated for as long as the owner of the log gives up room for it. */
  #withRoom(run: () => void): void {
    for (;;) {
      try {
        run()
        return
      } catch (error) {
        if (!isFull(error) || this.#state.parts.makeRoom?.() !== true) throw error
      }
    }
  }

  #releaseGather(): void {
    this.#state.shared.buffers.give(this.#gather!)
    this.#gather = undefined
    this.#gathered = 0
  }

  #dropGathered(): void {
    const state = this.#state
    const { active } = state
    const mark = this.#mark
    this.#releaseGather()
    active.sizeBytes = active.writtenBytes
    active.nextOffset = state.writtenOffset
    active.index!.truncate(mark.indexCount)
    active.timeIndex!.truncate(mark.timeCount)
    active.maxTimestampMs = mark.maxTimestampMs
    active.maxTimestampOffset = mark.maxTimestampOffset
    active.bytesSinceIndexEntry = mark.bytesSinceIndexEntry
    active.aborted!.length = mark.abortedCount
    state.epochs.truncateFromEnd(state.writtenOffset)
    state.logEndOffset = state.writtenOffset
    if (mark.hasProducers) this.areProducersWrong = true
  }

  /** Drops what is gathered without writing it: the log is going away. */
  abandon(): void {
    if (this.#gathered > 0) this.#dropGathered()
  }

  get needsRepair(): boolean {
    return this.isTorn || this.areProducersWrong
  }

  /** Takes away what failed writes left. Under the log's lock. Throws StorageError. */
  async repair(): Promise<void> {
    const state = this.#state
    const { active } = state
    assert(this.#gathered === 0, 'nothing is gathered while a log is repaired')
    if (this.isTorn) {
      const file = active.file.pin()
      try {
        await file.truncate(active.writtenBytes)
        await file.sync()
      } finally {
        active.file.unpin()
      }
      active.syncedBytes = active.writtenBytes
      this.isTorn = false
    }
    if (this.areProducersWrong) {
      await rebuildProducers(state)
      this.areProducersWrong = false
    }
  }

  #mustRoll(size: number, reach: number, maxTimestampMs: number, nowMs: number): boolean {
    const { active, config, topic, logEndOffset } = this.#state
    if (active.isEmpty) return false
    if (this.#state.parts.maybe('log.roll')) return true
    active.load()
    if (active.sizeBytes + size > config.segmentBytes) return true
    if (logEndOffset + reach - active.baseOffset > RELATIVE_OFFSET_MAX) return true
    const indexRoom = Math.floor(config.segmentIndexBytes / OFFSET_ENTRY_BYTES)
    const timeRoom = Math.floor(config.segmentIndexBytes / TIME_ENTRY_BYTES) - 1
    if (active.index!.count >= indexRoom || active.timeIndex!.count >= timeRoom) return true
    const firstMs = active.firstTimestampMs
    const isTimed = firstMs >= 0 && maxTimestampMs >= 0
    const ageMs = isTimed ? maxTimestampMs - firstMs : nowMs - active.createdMs
    return ageMs > rollAfterMs(config, topic, active.baseOffset)
  }

  /** Ends the active segment, begins the next at the end of the log. Throws StorageError. */
  roll(nowMs: number): void {
    const state = this.#state
    this.write()
    const old = state.active
    assert(!old.isEmpty, 'an empty segment does not roll')
    assert(state.writtenOffset === state.logEndOffset, 'a snapshot is of written records')
    // Without it a start reads more.
    if (!state.parts.maybe('log.snapshot')) writeSnapshot(state, state.logEndOffset)
    // Whatever fails up to the new file leaves the old segment active, and no file behind.
    old.saveSealed()
    const fresh = state.newSegment(state.logEndOffset)
    fresh.startEmpty(nowMs)
    makeFile(state, fresh)
    old.isSealed = true
    old.scrubbedMs = Number.NEGATIVE_INFINITY
    state.segments.push(fresh)
    state.snapshotOffset = state.logEndOffset
    state.parts.probe.rolledSegments++
  }
}

function faultOf(
  source: Buffer,
  at: number,
  end: number,
  size: number,
  least: number,
  epoch: number,
): string | undefined {
  if (size < RECORDS_AT || at + size > end) return 'a fetched batch has an impossible length'
  if (source[at + MAGIC_AT] !== MAGIC) return 'a fetched batch is of an unknown format'
  const baseOffset = baseOffsetAt(source, at)
  if (!Number.isSafeInteger(baseOffset) || baseOffset < least) {
    return 'a fetched batch does not follow the log'
  }
  if (lastOffsetDeltaAt(source, at) < 0) return 'a fetched batch has impossible offsets'
  if (leaderEpochAt(source, at) < epoch) return 'a fetched batch is of an older epoch'
  if (crc32c(source, at + ATTRIBUTES_AT, at + size) !== crcAt(source, at)) {
    return 'a fetched batch has a wrong CRC'
  }
  return undefined
}

/** The error code for an append that met this: 56; anything else is a mistake in the program. */
export function storageErrorCode(error: unknown): number {
  if (!(error instanceof StorageError)) throw error
  return KAFKA_STORAGE_ERROR
}

/** May pass by itself: no space, or no free descriptor. */
export function isPassing(error: unknown): boolean {
  return error instanceof StorageError && (error.code === 'ENOSPC' || error.code === 'EMFILE')
}
