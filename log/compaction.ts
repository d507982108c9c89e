/**
 * How compaction puts a segment in the place of others. Names go `.cleaned` -> `.swap` -> final,
 * each step durable before the next (see swap.ts).
 */
import { assert } from '../base/assert.ts'
import type { AbortedRange, CleanableSegment, CleanedSegment } from './cleanable.ts'
import {
  baseOffsetAt,
  batchSizeAt,
  lastOffsetDeltaAt,
  maxTimestampAt,
  RECORDS_AT,
} from './format.ts'
import type { LogState } from './log-state.ts'
import { ensureSnapshots, makeSnapshot } from './rebuild.ts'
import { LOG_SUFFIX, type Segment } from './segment.ts'
import { removeIfThere, snapshotPath, syncFile } from './segment-files.ts'
import { INDEX_SUFFIXES } from './segment-indexes.ts'
import { Slices } from './slices.ts'
import { allOf } from './slots.ts'
import { CLEANED_SUFFIX, DELETED_SUFFIX, renameSwapped, SWAP_SUFFIX } from './swap.ts'

/**
 * Each batch gets an index entry: what compaction leaves has gaps, so its offsets need a witness.
 */
const EVERY_BATCH = -1
/** Index entries that are written together: a segment of small batches has a million. */
const ENTRIES_PER_SAVE = 4096
const FILE_SUFFIXES = [LOG_SUFFIX, ...INDEX_SUFFIXES]

export class Replacement implements CleanedSegment {
  readonly segment: Segment

  /** Throws StorageError. */
  constructor(state: LogState, baseOffset: number) {
    const { disk, clock } = state.parts
    const { stem } = state.newSegment(baseOffset)
    for (const suffix of FILE_SUFFIXES) {
      const path = stem + suffix + CLEANED_SUFFIX
      if (disk.exists(path)) disk.rename(path, stem + suffix + DELETED_SUFFIX)
    }
    const file = state.shared.files.file(stem + LOG_SUFFIX + CLEANED_SUFFIX, 'write')
    this.segment = state.newSegment(baseOffset, file)
    this.segment.startEmpty(clock.nowMs())
    this.segment.hasGaps = true
    file.use()
  }

  get baseOffset(): number {
    return this.segment.baseOffset
  }

  get sizeBytes(): number {
    return this.segment.sizeBytes
  }

  append(source: Buffer, start: number, end: number): void {
    const { segment } = this
    segment.file.use().write(source, start, end, segment.writtenBytes)
    segment.file.isDirty = true
    for (let at = start; at < end; ) {
      const size = batchSizeAt(source, at)
      assert(size >= RECORDS_AT && at + size <= end, 'whole batches are appended')
      const baseOffset = baseOffsetAt(source, at)
      assert(baseOffset >= segment.nextOffset, 'batches are appended in order')
      const lastOffset = baseOffset + lastOffsetDeltaAt(source, at)
      const maxTimestampMs = maxTimestampAt(source, at)
      segment.note(segment.writtenBytes, size, lastOffset, maxTimestampMs, EVERY_BATCH)
      segment.writtenBytes += size
      segment.sizeBytes = segment.writtenBytes
      at += size
    }
    if (segment.index!.count - segment.saved.index >= ENTRIES_PER_SAVE) {
      segment.saveIndexes(CLEANED_SUFFIX)
    }
  }

  appendAborted(range: AbortedRange): void {
    const { producerId, firstOffset, lastOffset, lastStableOffset } = range
    this.segment.aborted!.push({ producerId, firstOffset, lastOffset, lastStableOffset })
  }
}

/**
 * Under the log's lock. False when `replaced` is not in the log any more. Rejects with
 * StorageError: the log is as it was.
 */
export async function prepareReplacement(
  state: LogState,
  replaced: readonly CleanableSegment[],
  cleaned: CleanedSegment,
): Promise<boolean> {
  assert(cleaned instanceof Replacement, 'the replacement is of this log')
  assert(replaced.length > 0 && replaced[0]!.baseOffset === cleaned.baseOffset)
  const segments: readonly CleanableSegment[] = state.segments
  const from = segments.indexOf(replaced[0]!)
  const isThere = replaced.every((segment, i) => segments[from + i] === segment)
  if (from < 0 || !isThere || from + replaced.length >= segments.length) return false
  const { segment } = cleaned
  segment.nextOffset = replaced.at(-1)!.nextOffset
  segment.noteTimeAtClose()
  segment.saveIndexes(CLEANED_SUFFIX)
  await syncFiles(state, segment.stem, CLEANED_SUFFIX)
  // Not all batches of a producer stay, but its last five are known for as long as it is.
  await ensureSnapshots(state, [segment.nextOffset])
  segment.file.isDirty = false
  segment.file.close()
  return true
}

/** Under the same lock. Rejects with StorageError: only a start can tell what the log is then. */
export async function swapIn(
  state: LogState,
  replaced: readonly CleanableSegment[],
  cleaned: CleanedSegment,
  remove: (path: string) => void,
): Promise<void> {
  assert(cleaned instanceof Replacement, 'the replacement is of this log')
  const { disk } = state.parts
  const { segment } = cleaned
  const from = (state.segments as readonly CleanableSegment[]).indexOf(replaced[0]!)
  const old = state.segments.slice(from, from + replaced.length)
  assert(from >= 0 && old.at(-1) === replaced.at(-1), 'what is replaced is in the log')
  // The log file is the last: where it has its `.swap` name, the indexes have theirs or are made
  // again.
  for (const suffix of [...INDEX_SUFFIXES, LOG_SUFFIX]) {
    const path = segment.stem + suffix
    if (disk.exists(path + CLEANED_SUFFIX)) disk.rename(path + CLEANED_SUFFIX, path + SWAP_SUFFIX)
  }
  await state.syncNames()
  // Readers go on in the old files until the new one is in its place.
  for (const gone of old) gone.file.pin()
  const slices = new Slices(state.parts.clock)
  try {
    for (const { stem } of old) {
      if (slices.isOver()) await slices.rest()
      for (const suffix of FILE_SUFFIXES) renameAway(state, stem + suffix, remove)
    }
    await state.syncNames()
    await renameSwapped(state, segment.stem)
    assert(state.segments[from] === old[0], 'the lock keeps the segments where they are')
    state.segments.splice(from, old.length, placed(state, segment))
  } finally {
    for (const gone of old) {
      gone.file.unpin()
      letGo(gone)
    }
  }
  for (const { baseOffset } of old.slice(1)) {
    await removeIfThere(state, snapshotPath(state, baseOffset))
  }
}

/** The same segment under its final name. */
function placed(state: LogState, cleaned: Segment): Segment {
  const segment = state.newSegment(cleaned.baseOffset)
  segment.writtenBytes = segment.sizeBytes = segment.syncedBytes = cleaned.writtenBytes
  segment.nextOffset = cleaned.nextOffset
  segment.createdMs = cleaned.createdMs
  segment.hasGaps = cleaned.hasGaps
  segment.isSealed = true
  segment.areIndexesDurable = true
  return segment
}

/**
 * Out of the log, durably: renamed to `.deleted` now, removed later by `remove`. The log file
 * first: indexes without one are swept away by a start, one without its indexes would have to be
 * read.
 */
export async function setAside(
  state: LogState,
  segment: Segment,
  remove: (path: string) => void,
): Promise<void> {
  letGo(segment)
  renameAway(state, segment.stem + LOG_SUFFIX, remove)
  await state.syncNames()
  for (const suffix of INDEX_SUFFIXES) renameAway(state, segment.stem + suffix, remove)
}

function letGo(segment: Segment): void {
  segment.isGone = true
  segment.file.isDirty = false
  segment.file.close()
}

function renameAway(state: LogState, path: string, remove: (path: string) => void): void {
  const { disk } = state.parts
  if (!disk.exists(path)) return
  disk.rename(path, path + DELETED_SUFFIX)
  state.isDirectoryDirty = true
  remove(path + DELETED_SUFFIX)
}

export async function discard(state: LogState, cleaned: CleanedSegment): Promise<void> {
  assert(cleaned instanceof Replacement, 'the replacement is of this log')
  const { segment } = cleaned
  segment.isGone = true
  segment.file.isDirty = false
  segment.file.close()
  for (const suffix of FILE_SUFFIXES) {
    await removeIfThere(state, segment.stem + suffix + CLEANED_SUFFIX)
  }
}

/** Syncs the files of a segment that exist under this suffix. */
export async function syncFiles(state: LogState, stem: string, suffix: string): Promise<void> {
  const { disk } = state.parts
  for (const kind of FILE_SUFFIXES) await syncFile(state, stem + kind + suffix)
  assert(disk.exists(stem + LOG_SUFFIX + suffix), 'a segment has a log file')
}

/**
 * What stands beside the records of a closed segment, with the producers at its end, so that the
 * recovery point may pass it. The caller syncs the directory.
 */
export async function syncIndexes(state: LogState, segment: Segment): Promise<void> {
  const { disk } = state.parts
  const { upkeepSyncs } = state.shared
  const path = snapshotPath(state, segment.nextOffset)
  const paths = INDEX_SUFFIXES.map((suffix) => segment.stem + suffix)
  if (disk.exists(path)) paths.push(path)
  const work = paths.map((one) => upkeepSyncs.run(() => syncFile(state, one)))
  if (!disk.exists(path)) work.push(upkeepSyncs.run(() => makeSnapshot(state, segment.nextOffset)))
  await allOf(work)
}
