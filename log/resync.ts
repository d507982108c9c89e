/**
 * Finds the next intact batch behind damaged bytes. A header alone proves nothing, so a candidate
 * counts only when its CRC is right and its offsets fit the segment.
 */

import { crc32c } from '../base/crc32c.ts'
import type { DiskFile } from '../base/disk.ts'
import {
  ATTRIBUTES_AT,
  baseOffsetAt,
  batchSizeAt,
  crcAt,
  lastOffsetDeltaAt,
  MAGIC,
  MAGIC_AT,
  RECORDS_AT,
} from './format.ts'

const CHUNK_BYTES = 65_536

export interface Bounds {
  readonly writtenBytes: number
  readonly nextOffset: number
}

export interface IntactBatch {
  readonly position: number
  readonly baseOffset: number
  readonly lastOffset: number
  readonly sizeBytes: number
}

/** The first intact batch at or behind `from` whose base offset is at least `leastOffset`. */
export function resync(
  bounds: Bounds,
  file: DiskFile,
  from: number,
  leastOffset: number,
): IntactBatch | undefined {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  let start = from
  while (start + RECORDS_AT <= bounds.writtenBytes) {
    const wanted = Math.min(CHUNK_BYTES, bounds.writtenBytes - start)
    const length = file.read(chunk, 0, wanted, start)
    if (length < RECORDS_AT) return undefined
    const last = length - RECORDS_AT
    let at = chunk.indexOf(MAGIC, MAGIC_AT) - MAGIC_AT
    while (at >= 0 && at <= last) {
      const batch = intactAt(bounds, file, chunk, at, start + at, leastOffset)
      if (batch !== undefined) return batch
      at = chunk.indexOf(MAGIC, at + MAGIC_AT + 1) - MAGIC_AT
    }
    start += last + 1
  }
  return undefined
}

function intactAt(
  bounds: Bounds,
  file: DiskFile,
  chunk: Buffer,
  at: number,
  position: number,
  leastOffset: number,
): IntactBatch | undefined {
  const sizeBytes = batchSizeAt(chunk, at)
  if (sizeBytes < RECORDS_AT || position + sizeBytes > bounds.writtenBytes) return undefined
  const baseOffset = baseOffsetAt(chunk, at)
  const lastOffset = baseOffset + lastOffsetDeltaAt(chunk, at)
  if (baseOffset < leastOffset || lastOffset < baseOffset) return undefined
  if (lastOffset >= bounds.nextOffset) return undefined
  const bytes = Buffer.allocUnsafe(sizeBytes)
  if (file.read(bytes, 0, sizeBytes, position) < sizeBytes) return undefined
  if (crc32c(bytes, ATTRIBUTES_AT, sizeBytes) !== crcAt(bytes, 0)) return undefined
  return { position, baseOffset, lastOffset, sizeBytes }
}
