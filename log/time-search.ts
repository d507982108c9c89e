/**
 * ListOffsets by time (KIP-79, KIP-734): the time index leads to a place at or before the answer,
 * the records from there on give it.
 */
import { CODECS, DecompressionError, decompress } from './compression.ts'
import {
  attributesAt,
  baseOffsetAt,
  baseTimestampAt,
  CODEC_MASK,
  isLogAppendTimeAt,
  leaderEpochAt,
  maxTimestampAt,
  RECORDS_AT,
} from './format.ts'
import type { LogState } from './log-state.ts'
import { RecordCursor } from './record-cursor.ts'
import { scanIntact } from './scan.ts'
import { Found, type Segment } from './segment.ts'

/**
 * Records of one batch are at most this large once decompressed; else the batch answers as a whole.
 */
const DECOMPRESSED_BYTES_MAX = 268_435_456

export interface FoundOffset {
  readonly offset: number
  readonly timestampMs: number
  readonly leaderEpoch: number
}

/** The first record below `upTo` that is not older than `timestampMs`. */
export async function searchTime(
  state: LogState,
  timestampMs: number,
  upTo: number,
): Promise<FoundOffset | undefined> {
  const limit = Math.min(upTo, state.writtenOffset)
  const least = state.logStartOffset
  for (const segment of state.segments.slice(state.segmentIndexOf(least))) {
    if (segment.baseOffset >= limit) return undefined
    if (segment.isEmpty || segment.isGone) continue
    segment.load()
    if (segment.maxTimestampMs < timestampMs) continue
    let found: FoundOffset | undefined
    const start = startOf(segment, timestampMs)
    await scanIntact(segment, start, (buffer, at, end, _position, baseOffset, lastOffset) => {
      if (baseOffset >= limit) return true
      if (lastOffset < least || maxTimestampAt(buffer, at) < timestampMs) return false
      found = firstInBatch(buffer, at, end, timestampMs, least)
      return found !== undefined
    })
    if (found !== undefined) return found.offset < limit ? found : undefined
  }
  return undefined
}

/** Position of the batch of the last time index entry that is not younger; 0 when none is. */
function startOf(segment: Segment, timestampMs: number): number {
  const time = segment.timeIndex!
  const entry = time.floor(timestampMs)
  if (entry < 0) return 0
  const found = new Found()
  segment.find(segment.baseOffset + time.offsetAt(entry), found)
  return found.outcome === 'batch' ? found.position : 0
}

/** The first of the youngest records below `upTo`. */
export async function searchMaxTimestamp(
  state: LogState,
  upTo: number,
): Promise<FoundOffset | undefined> {
  const limit = Math.min(upTo, state.writtenOffset)
  const least = state.logStartOffset
  let best: FoundOffset | undefined
  for (const segment of state.segments.slice(state.segmentIndexOf(least))) {
    if (segment.baseOffset >= limit || segment.isEmpty || segment.isGone) continue
    segment.load()
    if (best !== undefined && segment.maxTimestampMs <= best.timestampMs) continue
    const { maxTimestampOffset } = segment
    const isWithin = maxTimestampOffset >= least && maxTimestampOffset < limit
    const candidate = isWithin
      ? await atOffset(segment, maxTimestampOffset, least)
      : await youngest(segment, least, limit)
    if (candidate === undefined) continue
    if (best === undefined || candidate.timestampMs > best.timestampMs) best = candidate
  }
  return best
}

async function atOffset(
  segment: Segment,
  offset: number,
  least: number,
): Promise<FoundOffset | undefined> {
  const found = new Found()
  segment.find(offset, found)
  if (found.outcome !== 'batch') return youngest(segment, least, segment.nextOffset)
  let result: FoundOffset | undefined
  await scanIntact(segment, found.position, (buffer, at, end) => {
    result = firstInBatch(buffer, at, end, maxTimestampAt(buffer, at), least)
    return true
  })
  // The start of the log may lie behind it in the same batch.
  return result ?? youngest(segment, least, segment.nextOffset)
}

async function youngest(
  segment: Segment,
  least: number,
  limit: number,
): Promise<FoundOffset | undefined> {
  let best: FoundOffset | undefined
  await scanIntact(segment, 0, (buffer, at, end, _position, baseOffset, lastOffset) => {
    if (baseOffset >= limit) return true
    const maxTimestampMs = maxTimestampAt(buffer, at)
    if (lastOffset < least || maxTimestampMs < 0) return false
    if (best !== undefined && maxTimestampMs <= best.timestampMs) return false
    const candidate = youngestInBatch(buffer, at, end, least)
    if (candidate === undefined) return false
    if (best === undefined || candidate.timestampMs > best.timestampMs) best = candidate
    return false
  })
  return best
}

function firstInBatch(
  buffer: Buffer,
  at: number,
  end: number,
  timestampMs: number,
  least: number,
): FoundOffset | undefined {
  let result: FoundOffset | undefined
  eachRecord(buffer, at, end, (offset, recordMs) => {
    if (offset < least || recordMs < timestampMs) return false
    result = { offset, timestampMs: recordMs, leaderEpoch: leaderEpochAt(buffer, at) }
    return true
  })
  return result
}

function youngestInBatch(
  buffer: Buffer,
  at: number,
  end: number,
  least: number,
): FoundOffset | undefined {
  let result: FoundOffset | undefined
  eachRecord(buffer, at, end, (offset, recordMs) => {
    if (offset < least || (result !== undefined && recordMs <= result.timestampMs)) return false
    result = { offset, timestampMs: recordMs, leaderEpoch: leaderEpochAt(buffer, at) }
    return false
  })
  return result
}

/** `visit` returns true to stop. */
function eachRecord(
  buffer: Buffer,
  at: number,
  end: number,
  visit: (offset: number, timestampMs: number) => boolean,
): void {
  const baseOffset = baseOffsetAt(buffer, at)
  const maxTimestampMs = maxTimestampAt(buffer, at)
  const records = recordsOf(buffer, at, end)
  if (records === undefined) {
    visit(baseOffset, maxTimestampMs)
    return
  }
  const baseTimestampMs = baseTimestampAt(buffer, at)
  const isAppendTime = isLogAppendTimeAt(buffer, at)
  const cursor = new RecordCursor()
  cursor.reset(records, 0, records.length)
  while (!cursor.isAtEnd() && cursor.next()) {
    const timestampMs = isAppendTime ? maxTimestampMs : baseTimestampMs + cursor.timestampDelta
    if (visit(baseOffset + cursor.offsetDelta, timestampMs)) return
  }
}

function recordsOf(buffer: Buffer, at: number, end: number): Buffer | undefined {
  const codec = CODECS[attributesAt(buffer, at) & CODEC_MASK]
  if (codec === undefined) return undefined
  try {
    return decompress(codec, buffer.subarray(at + RECORDS_AT, end), DECOMPRESSED_BYTES_MAX)
  } catch (error) {
    if (error instanceof DecompressionError) return undefined
    throw error
  }
}
