/**
 * The end of a log after a crash: what lies behind the recovery point is read, checked and indexed
 * again; it ends before the first batch that is not whole. What lies below was durable: damage
 * there is kept, said, and passed over, never cut.
 */
import { assert } from '../base/assert.ts'
import type { Disk } from '../base/disk.ts'
import { isDoubtful, settleDoubt, writeAgain } from './doubt.ts'
import { leaderEpochAt, maxTimestampAt } from './format.ts'
import type { LogOptions, LogState } from './log-state.ts'
import { producersAt } from './rebuild.ts'
import type { Listing } from './recovery.ts'
import { replayBatch } from './replay.ts'
import { resync } from './resync.ts'
import { type ScanEnd, scanSegment, type VisitBatch } from './scan.ts'
import type { Segment } from './segment.ts'
import {
  isFull,
  makeFile,
  makeGapsDurable,
  removeIfThere,
  removeIndexes,
  removeSegment,
  saveLater,
  sayFull,
  snapshotPath,
  writeSnapshot,
} from './segment-files.ts'
import { forgetIndexes, forgetSaved, loadSaved, mayHaveGaps } from './segment-indexes.ts'

interface TailStart {
  readonly segmentIndex: number
  readonly position: number
  readonly offset: number
}

export async function recoverTail(
  state: LogState,
  options: LogOptions,
  listing: Listing,
): Promise<void> {
  const recoveryPoint = Math.max(0, options.recoveryPoint)
  const isKnown = options.recoveryPoint >= 0
  state.segments.at(-1)!.nextOffset = Number.MAX_SAFE_INTEGER
  const start = await findStart(state, recoveryPoint)
  for (const segment of state.segments.slice(start.segmentIndex + 1)) {
    forgetIndexes(segment)
    forgetSaved(segment)
    listing.summed.delete(segment.baseOffset)
    segment.aborted = []
    segment.hasGaps = mayHaveGaps(segment, state.parts.disk)
  }
  await producersAt(state, start.offset, state.producers, listing.snapshots)
  // Where it is not known what was durable, the file still knows of epochs that compaction emptied.
  if (isKnown) state.epochs.truncateFromEnd(Math.max(start.offset, 0))
  const end = await new Tail(state, recoveryPoint, isKnown).scan(start)
  state.epochs.truncateFromEnd(end)
  state.active.nextOffset = end
  state.logEndOffset = end
  if (end < recoveryPoint) goOnBehind(state, recoveryPoint, end)
  for (const offset of listing.snapshots) {
    if (offset > state.logEndOffset) await removeIfThere(state, snapshotPath(state, offset))
  }
  const mustWriteAgain = options.isDoubtful === true || isDoubtful(state)
  if (mustWriteAgain) writeAgain(state, start.segmentIndex, start.position)
  await syncAll(state, start.segmentIndex)
  if (mustWriteAgain) await settleDoubt(state)
  state.syncedOffset = state.logEndOffset
}

/** The last place at or below the recovery point from which the indexes can be continued. */
async function findStart(state: LogState, recoveryPoint: number): Promise<TailStart> {
  const { disk } = state.parts
  const next = state.segments.findIndex(({ baseOffset }) => baseOffset === recoveryPoint)
  const before = state.segments[next - 1]
  if (before !== undefined && isComplete(before, disk)) {
    before.areIndexesDurable = false // it may have been closed after the checkpoint
    startAnew(state.segments[next]!, disk)
    return { segmentIndex: next, position: 0, offset: recoveryPoint }
  }
  // The one that ends at the recovery point too, for the same reason.
  const segmentIndex = state.segmentIndexOf(Math.max(0, recoveryPoint - 1))
  const segment = state.segments[segmentIndex]!
  const sums = loadSaved(segment, disk)
  if (sums !== undefined && segment.aborted !== undefined) {
    const start = continueIndex(segment, Math.min(recoveryPoint, sums.nextOffset))
    if (start !== undefined) {
      forgetSaved(segment)
      segment.needsRebuild = false
      return { segmentIndex, ...start }
    }
  }
  startAnew(segment, disk)
  return { segmentIndex, position: 0, offset: segment.baseOffset }
}

/** All that stands beside the records of a closed segment is right. */
function isComplete(segment: Segment, disk: Disk): boolean {
  const sums = loadSaved(segment, disk)
  const isRight =
    sums !== undefined &&
    sums.logBytes === segment.writtenBytes &&
    sums.nextOffset === segment.nextOffset &&
    segment.aborted !== undefined
  segment.unloadIndexes()
  return isRight
}

function startAnew(segment: Segment, disk: Disk): void {
  forgetIndexes(segment)
  forgetSaved(segment)
  segment.aborted = []
  segment.hasGaps = mayHaveGaps(segment, disk)
  segment.needsRebuild = false
}

/** Goes back to the last index entry below `limit`, whose batch is then read again. */
function continueIndex(
  segment: Segment,
  limit: number,
): { position: number; offset: number } | undefined {
  const index = segment.index!
  const entry = index.floor(limit - 1 - segment.baseOffset)
  if (entry < 0) return undefined
  const position = index.positionAt(entry)
  const relativeOffset = index.offsetAt(entry)
  const batch = segment.batchAt(position)
  if (batch === undefined || batch.lastOffset !== segment.baseOffset + relativeOffset) {
    return undefined
  }
  const time = segment.timeIndex!
  index.truncate(entry)
  time.truncateAbove(relativeOffset)
  const isTimed = time.count > 0
  segment.maxTimestampMs = isTimed ? time.timestampAt(time.count - 1) : -1
  segment.maxTimestampOffset = isTimed ? segment.baseOffset + time.offsetAt(time.count - 1) : -1
  segment.bytesSinceIndexEntry = Number.MAX_SAFE_INTEGER // the entry comes back with its batch
  segment.aborted = segment.aborted!.filter(({ lastOffset }) => lastOffset < batch.baseOffset)
  return { position, offset: batch.baseOffset }
}

class Tail {
  readonly #state: LogState
  readonly #recoveryPoint: number
  readonly #isKnown: boolean
  #segment: Segment
  /** Behind the last good batch: a later one shows a gap. */
  #expected = 0

  constructor(state: LogState, recoveryPoint: number, isKnown: boolean) {
    this.#state = state
    this.#recoveryPoint = recoveryPoint
    this.#isKnown = isKnown
    this.#segment = state.active
  }

  /** Returns the offset at which the log ends. */
  async scan(start: TailStart): Promise<number> {
    const { segments } = this.#state
    let { position, offset } = start
    let epoch = -1
    for (let i = start.segmentIndex; i < segments.length; i++) {
      const end = await this.#scanOne(i, position, offset, epoch)
      if (end === undefined) return this.#state.active.nextOffset
      const next = segments[i + 1]
      epoch = end.epoch
      offset = end.offset
      position = 0
      if (next === undefined) return offset
      if (offset === next.baseOffset) {
        // The one that the roll wrote may not have lasted.
        await saveSnapshot(this.#state, offset)
        continue
      }
      if (offset >= this.#recoveryPoint && this.#isKnown) {
        await this.#cut(i, end.position, offset)
        return offset
      }
      if (!this.#segment.hasGaps && offset < next.baseOffset) {
        this.#damaged(offset, next.baseOffset)
      }
      offset = Math.max(offset, next.baseOffset)
    }
    return offset
  }

  /** Undefined when the log was cut in this segment. */
  async #scanOne(
    i: number,
    position: number,
    offset: number,
    epoch: number,
  ): Promise<ScanEnd | undefined> {
    const segment = this.#state.segments[i]!
    this.#segment = segment
    this.#expected = offset
    const isLast = i === this.#state.segments.length - 1
    let from = { position, offset, epoch, allowsGaps: segment.hasGaps }
    for (;;) {
      const end = await scanSegment(segment, from, this.#visit)
      this.#state.parts.probe.recoveredBytes += end.position - from.position
      if (!end.isDamaged) return end
      const next = this.#isTail(end) ? undefined : this.#resync(segment, end)
      if (next === undefined && (this.#isTail(end) || (isLast && !this.#isKnown))) {
        await this.#cut(i, end.position, end.offset)
        return undefined
      }
      if (next === undefined) {
        const endOffset = isLast ? this.#recoveryPoint : segment.nextOffset
        this.#damaged(end.offset, Math.max(endOffset, end.offset))
        return { ...end, offset: Math.max(endOffset, end.offset) }
      }
      this.#damaged(end.offset, next.baseOffset)
      this.#expected = next.baseOffset
      from = { ...from, position: next.position, offset: next.baseOffset, epoch: end.epoch }
    }
  }

  #isTail(end: ScanEnd): boolean {
    return this.#isKnown && end.offset >= this.#recoveryPoint
  }

  #resync(segment: Segment, end: ScanEnd) {
    return resync(segment, segment.file.use(), end.position + 1, end.offset)
  }

  readonly #visit: VisitBatch = (buffer, at, end, position, baseOffset, lastOffset) => {
    const { epochs, producers, config, parts } = this.#state
    const segment = this.#segment
    const { nextOffset } = segment
    const maxTimestampMs = maxTimestampAt(buffer, at)
    segment.note(position, end - at, lastOffset, maxTimestampMs, config.indexIntervalBytes)
    segment.nextOffset = nextOffset
    if (baseOffset > this.#expected) segment.hasGaps = true
    this.#expected = lastOffset + 1
    epochs.assign(leaderEpochAt(buffer, at), baseOffset)
    const aborted = replayBatch(producers, buffer, at, end, baseOffset, parts.clock.nowMs())
    if (aborted !== undefined) segment.aborted!.push(aborted)
  }

  #damaged(fromOffset: number, toOffset: number): void {
    if (fromOffset === toOffset) return
    assert(fromOffset < toOffset, 'damage has a length')
    const { damage, parts } = this.#state
    damage.push({ fromOffset, toOffset })
    parts.probe.corruptSegments++
    const message = 'Records that were durable are damaged. They are kept and not served.'
    parts.logger.error(message, { ...this.#state.fields(), fromOffset, toOffset })
  }

  /**
   * Ends the log in segment `i` at `position`; later segments go first, so that a crash repeats
   * this.
   */
  async #cut(i: number, position: number, offset: number): Promise<void> {
    const state = this.#state
    const { probe, logger } = state.parts
    const segment = state.segments[i]!
    const lostBytes = segment.writtenBytes - position
    for (const later of state.segments.splice(i + 1).reverse()) await removeSegment(state, later)
    await state.syncNames()
    const file = segment.file.pin()
    try {
      await file.truncate(position)
      await file.sync()
    } finally {
      segment.file.unpin()
    }
    segment.writtenBytes = segment.sizeBytes = segment.syncedBytes = position
    segment.isSealed = false
    segment.nextOffset = offset
    probe.truncatedTails++
    probe.truncatedTailBytes += lostBytes
    state.cutBytes += lostBytes
    const message = 'The end of a log was cut at an unfinished write.'
    logger.info(message, { ...state.fields(), offset, lostBytes })
  }
}

/** Saves later starts from reading more than they need: on a full disk the log does without. */
async function saveSnapshot(state: LogState, offset: number): Promise<void> {
  try {
    writeSnapshot(state, offset)
  } catch (error) {
    if (!isFull(error)) throw error
    sayFull(state, error)
    await removeIfThere(state, snapshotPath(state, offset))
  }
}

/** Records below the recovery point are missing at the end: their offsets are not given again. */
function goOnBehind(state: LogState, recoveryPoint: number, end: number): void {
  const { parts } = state
  if (!state.damage.some(({ toOffset }) => toOffset === recoveryPoint)) {
    state.damage.push({ fromOffset: end, toOffset: recoveryPoint })
    parts.probe.corruptSegments++
    const message = 'A log ends below its recovery point: records that were durable are missing.'
    parts.logger.error(message, { ...state.fields(), fromOffset: end, toOffset: recoveryPoint })
  }
  const old = state.active
  assert(old.baseOffset < recoveryPoint, 'the log ends in its last segment')
  old.nextOffset = recoveryPoint
  if (old.isEmpty && !parts.disk.exists(old.file.path)) makeFile(state, old)
  const fresh = state.newSegment(recoveryPoint)
  fresh.startEmpty(parts.clock.nowMs())
  makeFile(state, fresh)
  saveLater(state, old, () => old.saveSealed())
  old.isSealed = true
  state.segments.push(fresh)
  state.logEndOffset = recoveryPoint
}

/**
 * What the process before this one did may be news to the device: bytes, the end of a file, names
 * that were made and names that were taken away.
 */
async function syncAll(state: LogState, first: number): Promise<void> {
  for (const segment of state.segments.slice(first)) {
    // They may be shorter now than their files: written again as a whole.
    await removeIndexes(state, segment)
    if (segment.isSealed) {
      segment.noteTimeAtClose()
      saveLater(state, segment, () => segment.saveIndexes())
    }
    if (!state.parts.disk.exists(segment.file.path)) continue
    if (segment.hasGaps) await makeGapsDurable(state, segment)
    const file = segment.file.pin()
    try {
      await file.sync()
    } finally {
      segment.file.unpin()
    }
    segment.syncedBytes = segment.writtenBytes
  }
  await state.syncNames()
}
