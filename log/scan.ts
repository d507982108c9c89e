/**
 * Reads a segment from a position to its end in large pieces, on the thread pool, and checks every
 * batch as a start after a crash must: format, CRC, offsets, epochs.
 */
import { crc32c } from '../base/crc32c.ts'
import {
  ATTRIBUTES_AT,
  baseOffsetAt,
  batchSizeAt,
  crcAt,
  lastOffsetDeltaAt,
  leaderEpochAt,
  MAGIC,
  MAGIC_AT,
  RECORDS_AT,
} from './format.ts'
import { resync } from './resync.ts'
import { RELATIVE_OFFSET_MAX, type Segment } from './segment.ts'

const CHUNK_BYTES = 1_048_576

export interface ScanStart {
  readonly position: number
  /** Base offset of the batch there, or the least it may have. */
  readonly offset: number
  /** No batch is of an older epoch than the one before it. */
  readonly epoch: number
  readonly allowsGaps: boolean
  /** Ends behind the batches of one read of so many bytes (of one batch, where it is larger). */
  readonly pieceBytes?: number
}

export interface ScanEnd {
  /** Behind the last good batch. */
  readonly position: number
  /** Offset behind the last good batch; `ScanStart.offset` when there was none. */
  readonly offset: number
  readonly epoch: number
  /** What follows is no batch that could stand there. Else the segment ended. */
  readonly isDamaged: boolean
}

/**
 * The batch lies at buffer[at, end), valid during the call only. `true` ends the scan behind it.
 */
export type VisitBatch = (
  buffer: Buffer,
  at: number,
  end: number,
  position: number,
  baseOffset: number,
  lastOffset: number,
) => boolean | undefined

/** Up to the first batch that could not stand there. Throws StorageError. */
export async function scanSegment(
  segment: Segment,
  start: ScanStart,
  visit: VisitBatch,
): Promise<ScanEnd> {
  const total = segment.writtenBytes
  const lastMax = Math.min(segment.nextOffset - 1, segment.baseOffset + RELATIVE_OFFSET_MAX)
  let { position, offset, epoch } = start
  const chunkBytes = start.pieceBytes ?? CHUNK_BYTES
  let chunk = Buffer.allocUnsafe(Math.min(chunkBytes, Math.max(RECORDS_AT, total - position)))
  const end = (isDamaged: boolean): ScanEnd => ({ position, offset, epoch, isDamaged })
  while (position < total) {
    const length = await segment.readAsync(chunk, 0, chunk.length, position)
    if (length < RECORDS_AT) return end(true)
    let at = 0
    while (at + RECORDS_AT <= length) {
      const size = batchSizeAt(chunk, at)
      if (size < RECORDS_AT || position + size > total) return end(true)
      if (at + size > length) break
      if (!isGood(chunk, at, size, offset, epoch, start.allowsGaps)) return end(true)
      if (baseOffsetAt(chunk, at) + lastOffsetDeltaAt(chunk, at) > lastMax) return end(true)
      const baseOffset = baseOffsetAt(chunk, at)
      const lastOffset = baseOffset + lastOffsetDeltaAt(chunk, at)
      epoch = leaderEpochAt(chunk, at)
      const isEnough = visit(chunk, at, at + size, position, baseOffset, lastOffset)
      offset = lastOffset + 1
      at += size
      position += size
      if (isEnough === true) return end(false)
    }
    if (at > 0 && start.pieceBytes !== undefined) return end(false)
    if (at === 0) {
      const size = batchSizeAt(chunk, 0)
      if (size <= chunk.length) return end(true)
      chunk = Buffer.allocUnsafe(size) // at most what the file has left
    }
  }
  return end(false)
}

function isGood(
  chunk: Buffer,
  at: number,
  size: number,
  expected: number,
  epoch: number,
  allowsGaps: boolean,
): boolean {
  if (chunk[at + MAGIC_AT] !== MAGIC) return false
  const baseOffset = baseOffsetAt(chunk, at)
  if (!Number.isSafeInteger(baseOffset)) return false
  if (allowsGaps ? baseOffset < expected : baseOffset !== expected) return false
  if (lastOffsetDeltaAt(chunk, at) < 0 || leaderEpochAt(chunk, at) < epoch) return false
  return crc32c(chunk, at + ATTRIBUTES_AT, at + size) === crcAt(chunk, at)
}

/** Every intact batch from a batch boundary on; damaged bytes are passed over. */
export async function scanIntact(
  segment: Segment,
  position: number,
  visit: VisitBatch,
): Promise<void> {
  let from = { position, offset: segment.baseOffset, epoch: -1, allowsGaps: true }
  for (;;) {
    const end = await scanSegment(segment, from, visit)
    if (!end.isDamaged) return
    const next = resync(segment, segment.file.use(), end.position + 1, end.offset)
    if (next === undefined) return
    from = { position: next.position, offset: next.baseOffset, epoch: -1, allowsGaps: true }
  }
}
