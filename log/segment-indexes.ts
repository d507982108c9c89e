/**
 * The index files of a segment (`.index`, `.timeindex`, `.txnindex`) and their `.sums`: written as
 * tails, read when first needed, made again from batch headers when they can't be believed.
 */
import { assert } from '../base/assert.ts'
import { crc32c } from '../base/crc32c.ts'
import type { Disk } from '../base/disk.ts'
import { readIfThere } from './checkpoints.ts'
import { baseOffsetAt, batchSizeAt, lastOffsetDeltaAt, maxTimestampAt } from './format.ts'
import { OFFSET_ENTRY_BYTES, OffsetIndex } from './offset-index.ts'
import { resync } from './resync.ts'
import type { Segment, SegmentParts } from './segment.ts'
import { decodeSums, encodeSums, type Sums } from './sums.ts'
import { TIME_ENTRY_BYTES, TimeIndex } from './time-index.ts'
import { ABORTED_ENTRY_BYTES, decodeAborted, encodeAborted } from './transactions.ts'

export const INDEX_SUFFIX = '.index'
export const TIME_INDEX_SUFFIX = '.timeindex'
export const ABORTED_SUFFIX = '.txnindex'
export const SUMS_SUFFIX = '.sums'
export const INDEX_SUFFIXES = [INDEX_SUFFIX, TIME_INDEX_SUFFIX, ABORTED_SUFFIX, SUMS_SUFFIX]
/** They vouch for no byte of a segment that may have gaps. */
const SUMS_OF_NOTHING: Sums = {
  logBytes: 0,
  nextOffset: 0,
  maxTimestampMs: -1,
  maxTimestampOffset: -1,
  gaps: 1,
  indexBytes: 0,
  indexCrc: 0,
  timeIndexBytes: 0,
  timeIndexCrc: 0,
  abortedBytes: 0,
  abortedCrc: 0,
}
/** For segments whose interval is not known any more. */
const REBUILD_INTERVAL_BYTES = 4096

/** Writes what the files lack, then the sums. Not synced. Throws StorageError. */
export function saveIndexes(segment: Segment, disk: Disk, suffix: string): void {
  const { index, timeIndex, saved } = segment
  assert(index !== undefined && timeIndex !== undefined, 'only loaded indexes are saved')
  const isSaved =
    saved.logBytes === segment.writtenBytes &&
    saved.index === index.count &&
    saved.time === timeIndex.count &&
    saved.aborted === (segment.aborted?.length ?? 0)
  if (isSaved && suffix === '') return
  const indexTail = index.encode(saved.index)
  const timeTail = timeIndex.encode(saved.time)
  // Kafka's tools want both files beside a segment, even when they are empty.
  writeTail(disk, segment.stem + INDEX_SUFFIX + suffix, indexTail, saved.index * OFFSET_ENTRY_BYTES)
  writeTail(
    disk,
    segment.stem + TIME_INDEX_SUFFIX + suffix,
    timeTail,
    saved.time * TIME_ENTRY_BYTES,
  )
  saved.indexCrc = crc32c(indexTail, 0, indexTail.length, saved.indexCrc)
  saved.index = index.count
  saved.timeCrc = crc32c(timeTail, 0, timeTail.length, saved.timeCrc)
  saved.time = timeIndex.count
  const aborted = segment.aborted ?? []
  if (aborted.length > saved.aborted) {
    const tail = encodeAborted(aborted.slice(saved.aborted))
    writeTail(
      disk,
      segment.stem + ABORTED_SUFFIX + suffix,
      tail,
      saved.aborted * ABORTED_ENTRY_BYTES,
    )
    saved.abortedCrc = crc32c(tail, 0, tail.length, saved.abortedCrc)
    saved.aborted = aborted.length
  }
  writeSums(segment, disk, sumsOf(segment), suffix)
  saved.logBytes = segment.writtenBytes
}

function writeSums(segment: Segment, disk: Disk, sums: Sums, suffix = ''): void {
  const file = disk.open(segment.stem + SUMS_SUFFIX + suffix, 'write')
  const bytes = encodeSums(sums)
  try {
    file.write(bytes, 0, bytes.length, 0)
  } finally {
    file.close()
  }
  segment.areGapsSaid = sums.gaps === 1
}

/** The sums on disk say that there may be gaps, whatever else they say. Not synced. */
export function saveGaps(segment: Segment, disk: Disk): void {
  if (segment.areGapsSaid) return
  const before = readSums(segment, disk)
  writeSums(segment, disk, before === undefined ? SUMS_OF_NOTHING : { ...before, gaps: 1 })
}

/** The sums vouch for nothing any more. */
export function forgetSums(segment: Segment, disk: Disk): void {
  writeSums(segment, disk, SUMS_OF_NOTHING)
}

/** Before a segment is read: a gap in it may be where compaction was, and not where it ends. */
export function mayHaveGaps(segment: Segment, disk: Disk): boolean {
  const bytes = readIfThere(disk, segment.stem + SUMS_SUFFIX)
  return bytes !== undefined && decodeSums(bytes)?.gaps !== 0
}

function writeTail(disk: Disk, path: string, tail: Buffer, position: number): void {
  const file = disk.open(path, 'write')
  try {
    if (tail.length > 0) file.write(tail, 0, tail.length, position)
  } finally {
    file.close()
  }
}

function sumsOf(segment: Segment): Sums {
  const { saved } = segment
  return {
    logBytes: segment.writtenBytes,
    nextOffset: segment.nextOffset,
    maxTimestampMs: segment.maxTimestampMs,
    maxTimestampOffset: segment.maxTimestampOffset,
    gaps: segment.hasGaps ? 1 : 0,
    indexBytes: saved.index * OFFSET_ENTRY_BYTES,
    indexCrc: saved.indexCrc,
    timeIndexBytes: saved.time * TIME_ENTRY_BYTES,
    timeIndexCrc: saved.timeCrc,
    abortedBytes: saved.aborted * ABORTED_ENTRY_BYTES,
    abortedCrc: saved.abortedCrc,
  }
}

/** What a file must begin with to be believed. Undefined when it does not. */
function prefix(disk: Disk, path: string, bytes: number, crc: number): Buffer | undefined {
  if (bytes === 0) return Buffer.alloc(0)
  const content = readIfThere(disk, path)
  if (content === undefined || content.length < bytes) return undefined
  return crc32c(content, 0, bytes) === crc ? content.subarray(0, bytes) : undefined
}

export function readSums(segment: Segment, disk: Disk): Sums | undefined {
  const bytes = readIfThere(disk, segment.stem + SUMS_SUFFIX)
  const sums = bytes === undefined ? undefined : decodeSums(bytes)
  if (sums === undefined || sums.logBytes > segment.writtenBytes) return undefined
  return sums
}

/**
 * Fills the segment's indexes from the files as far as the sums vouch for them; they may cover the
 * beginning of the segment only. Undefined when they vouch for nothing, or not for all where no
 * part is wanted: then offset and time index are not filled.
 */
export function loadSaved(segment: Segment, disk: Disk, isPartWanted = true): Sums | undefined {
  const sums = readSums(segment, disk)
  if (sums === undefined) return undefined
  if (!isPartWanted && sums.logBytes !== segment.writtenBytes) return undefined
  const { stem, saved } = segment
  const aborted = loadAborted(segment, disk, sums)
  const index = prefix(disk, stem + INDEX_SUFFIX, sums.indexBytes, sums.indexCrc)
  const time = prefix(disk, stem + TIME_INDEX_SUFFIX, sums.timeIndexBytes, sums.timeIndexCrc)
  if (index === undefined || time === undefined) return undefined
  segment.index = OffsetIndex.decode(index, segment.writtenBytes)
  segment.timeIndex = TimeIndex.decode(time)
  segment.maxTimestampMs = sums.maxTimestampMs
  segment.maxTimestampOffset = sums.maxTimestampOffset
  segment.hasGaps = sums.gaps === 1
  saved.index = segment.index.count
  saved.indexCrc = sums.indexCrc
  saved.time = segment.timeIndex.count
  saved.timeCrc = sums.timeIndexCrc
  saved.logBytes = sums.logBytes
  if (aborted) {
    saved.aborted = segment.aborted?.length ?? 0
    saved.abortedCrc = sums.abortedCrc
  }
  return sums
}

function loadAborted(segment: Segment, disk: Disk, sums: Sums): boolean {
  if (segment.aborted !== undefined) return false
  const path = segment.stem + ABORTED_SUFFIX
  const bytes = prefix(disk, path, sums.abortedBytes, sums.abortedCrc)
  segment.aborted = bytes === undefined ? undefined : decodeAborted(bytes)
  if (segment.aborted === undefined) segment.needsRebuild = true
  return segment.aborted !== undefined
}

/** For readers: from the files, else from the headers, which is slow and said. */
export function loadIndexes(segment: Segment, parts: SegmentParts): void {
  if (loadSaved(segment, parts.disk, false) !== undefined) {
    segment.countSinceLastEntry()
    return
  }
  parts.probe.rebuiltIndexes++
  segment.needsRebuild = segment.needsRebuild || segment.isSealed
  rebuildFromHeaders(segment, parts)
}

/** Offset and time index of all that is written, from the headers alone. Damage is passed over. */
function rebuildFromHeaders(segment: Segment, parts: SegmentParts): void {
  const { window } = parts.shared
  const end = segment.nextOffset
  forgetIndexes(segment)
  segment.hasGaps = true // not known: the strict check is for those who know
  if (segment.writtenBytes === 0) return
  window.reset(segment.file.use())
  let position = 0
  let expected = segment.baseOffset
  while (position < segment.writtenBytes) {
    const at = window.headerAt(position, segment.writtenBytes)
    if (at < 0 || !segment.continues(window.buffer, at, position, expected)) {
      const next = resync(segment, segment.file.use(), position + 1, expected)
      if (next === undefined) break
      window.reset(segment.file.use())
      position = next.position
      expected = next.baseOffset
      continue
    }
    const last = baseOffsetAt(window.buffer, at) + lastOffsetDeltaAt(window.buffer, at)
    const size = batchSizeAt(window.buffer, at)
    const maxTimestampMs = maxTimestampAt(window.buffer, at)
    segment.note(position, size, last, maxTimestampMs, REBUILD_INTERVAL_BYTES)
    segment.nextOffset = end
    position += size
    expected = last + 1
  }
}

export function forgetIndexes(segment: Segment): void {
  const { saved } = segment
  segment.index = new OffsetIndex()
  segment.timeIndex = new TimeIndex()
  segment.maxTimestampMs = -1
  segment.maxTimestampOffset = -1
  segment.bytesSinceIndexEntry = 0
  saved.index = saved.indexCrc = saved.time = saved.timeCrc = 0
  saved.logBytes = -1
}

/** The files have nothing of the indexes any more, or nothing that may stay. */
export function forgetSaved(segment: Segment): void {
  const { saved } = segment
  saved.index = saved.time = saved.aborted = 0
  saved.indexCrc = saved.timeCrc = saved.abortedCrc = 0
  saved.logBytes = -1
  segment.areIndexesDurable = false
  segment.areGapsSaid = segment.areGapsDurable = false
}
