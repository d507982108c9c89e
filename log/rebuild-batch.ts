/**
 * A batch with fewer records, as compaction leaves it.
 *
 * Invariant: base offset, last offset, leader epoch, producer, sequence and kind stay, so that
 * positions, epochs and producer state read from the log are the same before and after.
 */
import { assert } from '../base/assert.ts'
import { CODECS, type Codec, canCompress, compress } from './compression.ts'
import {
  ATTRIBUTES_AT,
  attributesAt,
  BASE_TIMESTAMP_AT,
  BATCH_LENGTH_AT,
  baseTimestampAt,
  CODEC_MASK,
  DELETE_HORIZON_BIT,
  isLogAppendTimeAt,
  KNOWN_ATTRIBUTES,
  LOG_OVERHEAD_BYTES,
  MAX_TIMESTAMP_AT,
  maxTimestampAt,
  NO_TIMESTAMP,
  RECORD_COUNT_AT,
  RECORDS_AT,
  sealBatch,
  varintBytes,
  writeInt16,
  writeInt32,
  writeInt64,
  writeVarint,
} from './format.ts'
import { RecordCursor } from './record-cursor.ts'

/** The batch at `position` without records: what is kept for its producer's last sequence. */
export function emptyBatch(source: Buffer, position: number): Buffer {
  const batch = Buffer.from(source.subarray(position, position + RECORDS_AT))
  const attributes = attributesAt(batch, 0) & KNOWN_ATTRIBUTES
  writeInt32(batch, BATCH_LENGTH_AT, RECORDS_AT - LOG_OVERHEAD_BYTES)
  writeInt16(batch, ATTRIBUTES_AT, attributes & ~CODEC_MASK & ~DELETE_HORIZON_BIT)
  writeInt64(batch, BASE_TIMESTAMP_AT, NO_TIMESTAMP)
  writeInt32(batch, RECORD_COUNT_AT, 0)
  sealBatch(batch, 0, RECORDS_AT)
  return batch
}

export interface Rebuild {
  /** The decompressed records of the batch. */
  readonly records: Buffer
  /** One entry a record: 1 for those that stay. */
  readonly kept: Uint8Array
  /** KIP-534: set when the batch gets its horizon now. */
  readonly deleteHorizonMs: number | undefined
}

/** The batch at `position` with the kept records, of which there is at least one. */
export function rebuildBatch(source: Buffer, position: number, rebuild: Rebuild): Buffer {
  const { records, kept, deleteHorizonMs } = rebuild
  const baseTimestamp = baseTimestampAt(source, position)
  const target = Buffer.allocUnsafe(recordsBytesMax(records, kept, deleteHorizonMs))
  const cursor = new RecordCursor()
  cursor.reset(records, 0, records.length)
  let maxTimestamp = NO_TIMESTAMP
  let count = 0
  let at = 0
  for (let index = 0; index < kept.length; index++) {
    const isThere = cursor.next()
    assert(isThere, 'the records were checked')
    if (kept[index] === 0) continue
    const timestamp = baseTimestamp + cursor.timestampDelta
    maxTimestamp = Math.max(maxTimestamp, timestamp)
    count++
    at =
      deleteHorizonMs === undefined
        ? at + records.copy(target, at, cursor.start, cursor.end)
        : writeRebased(records, cursor, timestamp - deleteHorizonMs, target, at)
  }
  assert(count > 0, 'a record stays')
  return frame(source, position, target.subarray(0, at), { count, maxTimestamp, deleteHorizonMs })
}

/** A record may grow by the longest timestamp delta and a longer length. */
function recordsBytesMax(records: Buffer, kept: Uint8Array, deleteHorizonMs: number | undefined) {
  return records.length + (deleteHorizonMs === undefined ? 0 : kept.length * 12)
}

/** The horizon takes the place of the base timestamp, so each delta is another. */
function writeRebased(
  records: Buffer,
  cursor: RecordCursor,
  timestampDelta: number,
  target: Buffer,
  start: number,
): number {
  const offsetBytes = varintBytes(cursor.offsetDelta)
  const restBytes = cursor.end - cursor.restStart
  const bodyBytes = 1 + varintBytes(timestampDelta) + offsetBytes + restBytes
  let at = writeVarint(target, start, bodyBytes)
  target[at++] = cursor.attributes
  at = writeVarint(target, at, timestampDelta)
  at = writeVarint(target, at, cursor.offsetDelta)
  return at + records.copy(target, at, cursor.restStart, cursor.end)
}

function frame(
  source: Buffer,
  position: number,
  records: Buffer,
  fields: { count: number; maxTimestamp: number; deleteHorizonMs: number | undefined },
): Buffer {
  const sent = CODECS[attributesAt(source, position) & CODEC_MASK]!
  // Where this Node can only store a zstd frame, LZ4 keeps a compacted batch from growing.
  const codec: Codec = canCompress(sent) ? sent : 'lz4'
  const body = compress(codec, records)
  const batch = Buffer.allocUnsafe(RECORDS_AT + body.length)
  source.copy(batch, 0, position, position + RECORDS_AT)
  body.copy(batch, RECORDS_AT)
  const horizonBit = fields.deleteHorizonMs === undefined ? 0 : DELETE_HORIZON_BIT
  const attributes = (attributesAt(source, position) & KNOWN_ATTRIBUTES & ~CODEC_MASK) | horizonBit
  const hasAppendTime = isLogAppendTimeAt(source, position)
  writeInt32(batch, BATCH_LENGTH_AT, batch.length - LOG_OVERHEAD_BYTES)
  writeInt16(batch, ATTRIBUTES_AT, attributes | CODECS.indexOf(codec))
  if (fields.deleteHorizonMs !== undefined) {
    writeInt64(batch, BASE_TIMESTAMP_AT, fields.deleteHorizonMs)
  }
  if (hasAppendTime) writeInt64(batch, MAX_TIMESTAMP_AT, maxTimestampAt(source, position))
  else writeInt64(batch, MAX_TIMESTAMP_AT, fields.maxTimestamp)
  writeInt32(batch, RECORD_COUNT_AT, fields.count)
  sealBatch(batch, 0, batch.length)
  return batch
}
