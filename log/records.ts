/**
 * Record batches as objects: for tools, tests, coordinators and clients, not for the hot path.
 *
 * Invariant: a decoder allocates in proportion to the bytes it has seen (decompressed: to its
 * limit), never to a count or a length that it was told.
 */
import { assert } from '../base/assert.ts'
import { crc32c } from '../base/crc32c.ts'
import { CorruptionError } from '../base/errors.ts'
import { CODECS, type Codec, compress, DecompressionError, decompress } from './compression.ts'
import {
  ATTRIBUTES_AT,
  attributesAt,
  BASE_OFFSET_AT,
  BASE_SEQUENCE_AT,
  BASE_TIMESTAMP_AT,
  BATCH_LENGTH_AT,
  baseOffsetAt,
  baseSequenceAt,
  baseTimestampAt,
  batchSizeAt,
  CODEC_MASK,
  CONTROL_BIT,
  crcAt,
  deleteHorizonAt,
  isControlAt,
  isLogAppendTimeAt,
  isTransactionalAt,
  LAST_OFFSET_DELTA_AT,
  LEADER_EPOCH_AT,
  LOG_APPEND_TIME_BIT,
  LOG_OVERHEAD_BYTES,
  lastOffsetAt,
  leaderEpochAt,
  MAGIC,
  MAGIC_AT,
  MAX_TIMESTAMP_AT,
  magicAt,
  maxTimestampAt,
  NO_PRODUCER_EPOCH,
  NO_PRODUCER_ID,
  NO_SEQUENCE,
  NO_TIMESTAMP,
  PRODUCER_EPOCH_AT,
  PRODUCER_ID_AT,
  producerEpochAt,
  producerIdAt,
  RECORD_COUNT_AT,
  RECORDS_AT,
  recordCountAt,
  sealBatch,
  TRANSACTIONAL_BIT,
  varintBytes,
  writeInt16,
  writeInt32,
  writeInt64,
  writeVarint,
} from './format.ts'
import { RecordCursor } from './record-cursor.ts'

/** What the records of one batch may come to, unless the caller says otherwise. */
export const DECODED_BYTES_MAX = 256 * 1024 * 1024

export interface RecordHeader {
  readonly key: string
  readonly value: Buffer | null
}

export interface LogRecord {
  readonly offset: number
  readonly timestampMs: number
  /** Key, value and header values share memory with the source, or with its decompressed form. */
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
}

export interface NewRecord {
  readonly timestampMs: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: readonly { readonly key: string; readonly value: Uint8Array | null }[]
}

export interface BatchOptions {
  readonly baseOffset?: number
  readonly leaderEpoch?: number
  readonly compression?: Codec
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly isTransactional?: boolean
  readonly isControl?: boolean
  /** The batch has this LogAppendTime; the records keep their own in their deltas. */
  readonly logAppendTimeMs?: number
}

/** A batch header, decoded. */
export interface BatchHeader {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly sizeBytes: number
  readonly leaderEpoch: number
  readonly crc: number
  readonly compression: Codec
  readonly timestampType: 'CreateTime' | 'LogAppendTime'
  readonly isTransactional: boolean
  readonly isControl: boolean
  /** KIP-534; undefined when the cleaner has set none. */
  readonly deleteHorizonMs: number | undefined
  readonly baseTimestampMs: number
  readonly maxTimestampMs: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/** One batch of at least one record, with consecutive offsets from `baseOffset`. */
export function encodeBatch(records: readonly NewRecord[], options: BatchOptions = {}): Buffer {
  assert(records.length > 0, 'a batch has records')
  const first = records[0]!
  const baseTimestamp = first.timestampMs
  assert(Number.isSafeInteger(baseTimestamp), 'a timestamp is a safe integer')
  const compression = options.compression ?? 'none'
  const body = encodeRecords(records, baseTimestamp)
  const stored = compress(compression, body)
  const batch = Buffer.allocUnsafe(RECORDS_AT + stored.length)
  stored.copy(batch, RECORDS_AT)
  const appendTime = options.logAppendTimeMs
  let maxTimestamp = NO_TIMESTAMP
  for (const record of records) maxTimestamp = Math.max(maxTimestamp, record.timestampMs)
  writeInt64(batch, BASE_OFFSET_AT, options.baseOffset ?? 0)
  writeInt32(batch, BATCH_LENGTH_AT, batch.length - LOG_OVERHEAD_BYTES)
  writeInt32(batch, LEADER_EPOCH_AT, options.leaderEpoch ?? -1)
  batch[MAGIC_AT] = MAGIC
  writeInt16(
    batch,
    ATTRIBUTES_AT,
    CODECS.indexOf(compression) |
      (appendTime === undefined ? 0 : LOG_APPEND_TIME_BIT) |
      (options.isTransactional ? TRANSACTIONAL_BIT : 0) |
      (options.isControl ? CONTROL_BIT : 0),
  )
  writeInt32(batch, LAST_OFFSET_DELTA_AT, records.length - 1)
  writeInt64(batch, BASE_TIMESTAMP_AT, baseTimestamp)
  writeInt64(batch, MAX_TIMESTAMP_AT, appendTime ?? maxTimestamp)
  writeInt64(batch, PRODUCER_ID_AT, options.producerId ?? NO_PRODUCER_ID)
  writeInt16(batch, PRODUCER_EPOCH_AT, options.producerEpoch ?? NO_PRODUCER_EPOCH)
  writeInt32(batch, BASE_SEQUENCE_AT, options.baseSequence ?? NO_SEQUENCE)
  writeInt32(batch, RECORD_COUNT_AT, records.length)
  sealBatch(batch, 0, batch.length)
  return batch
}

function encodeRecords(records: readonly NewRecord[], baseTimestamp: number): Buffer {
  const bodyBytes = records.map((record, index) => recordBodyBytes(record, index, baseTimestamp))
  const total = bodyBytes.reduce((sum, bytes) => sum + varintBytes(bytes) + bytes, 0)
  const target = Buffer.allocUnsafe(total)
  let at = 0
  records.forEach((record, index) => {
    at = writeVarint(target, at, bodyBytes[index]!)
    target[at++] = 0 // attributes: none are defined
    at = writeVarint(target, at, record.timestampMs - baseTimestamp)
    at = writeVarint(target, at, index)
    at = writeBytes(target, at, record.key)
    at = writeBytes(target, at, record.value)
    at = writeVarint(target, at, record.headers?.length ?? 0)
    for (const { key, value } of record.headers ?? []) {
      at = writeVarint(target, at, Buffer.byteLength(key))
      at += target.write(key, at)
      at = writeBytes(target, at, value)
    }
  })
  assert(at === total, 'the size was foreseen')
  return target
}

function recordBodyBytes(record: NewRecord, index: number, baseTimestamp: number): number {
  assert(Number.isSafeInteger(record.timestampMs - baseTimestamp), 'timestamps lie close enough')
  const headers = record.headers ?? []
  let bytes = 1 + varintBytes(record.timestampMs - baseTimestamp) + varintBytes(index)
  bytes += sizedBytes(record.key) + sizedBytes(record.value) + varintBytes(headers.length)
  for (const { key, value } of headers) {
    const keyBytes = Buffer.byteLength(key)
    bytes += varintBytes(keyBytes) + keyBytes + sizedBytes(value)
  }
  return bytes
}

function sizedBytes(value: Uint8Array | null): number {
  return value === null ? 1 : varintBytes(value.length) + value.length
}

function writeBytes(target: Buffer, at: number, value: Uint8Array | null): number {
  if (value === null) return writeVarint(target, at, -1)
  const start = writeVarint(target, at, value.length)
  target.set(value, start)
  return start + value.length
}

/** The header of the batch at `position`, of which at least 61 bytes are there. Checks nothing. */
export function readBatchHeader(source: Buffer, position: number): BatchHeader {
  assert(position >= 0 && position + RECORDS_AT <= source.length, 'a whole header')
  return {
    baseOffset: baseOffsetAt(source, position),
    lastOffset: lastOffsetAt(source, position),
    sizeBytes: batchSizeAt(source, position),
    leaderEpoch: leaderEpochAt(source, position),
    crc: crcAt(source, position),
    compression: CODECS[attributesAt(source, position) & CODEC_MASK] ?? 'none',
    timestampType: isLogAppendTimeAt(source, position) ? 'LogAppendTime' : 'CreateTime',
    isTransactional: isTransactionalAt(source, position),
    isControl: isControlAt(source, position),
    deleteHorizonMs: deleteHorizonAt(source, position),
    baseTimestampMs: baseTimestampAt(source, position),
    maxTimestampMs: maxTimestampAt(source, position),
    producerId: producerIdAt(source, position),
    producerEpoch: producerEpochAt(source, position),
    baseSequence: baseSequenceAt(source, position),
    recordCount: recordCountAt(source, position),
  }
}

const corrupt = (position: number, what: string, options?: { cause?: unknown }) =>
  new CorruptionError(`record batch at byte ${position}`, what, options)

/**
 * Bytes of the batch at `position`; 0 when source[position, end) holds no whole one. Throws
 * CorruptionError when frame, CRC or header are damaged.
 */
export function verifyBatch(source: Buffer, position: number, end: number): number {
  assert(position >= 0 && position <= end && end <= source.length, 'range lies in the source')
  if (end - position < LOG_OVERHEAD_BYTES) return 0
  const size = batchSizeAt(source, position)
  if (size < RECORDS_AT) throw corrupt(position, 'the length is too small')
  if (end - position <= MAGIC_AT) return 0
  if (magicAt(source, position) !== MAGIC) throw corrupt(position, 'the version is not 2')
  if (position + size > end) return 0
  if (crc32c(source, position + ATTRIBUTES_AT, position + size) !== crcAt(source, position)) {
    throw corrupt(position, 'the checksum does not match')
  }
  if (!Number.isSafeInteger(lastOffsetAt(source, position)) || baseOffsetAt(source, position) < 0) {
    throw corrupt(position, 'the offsets are out of range')
  }
  if (recordCountAt(source, position) < 0) throw corrupt(position, 'the record count is negative')
  return size
}

/**
 * The record bytes of a verified batch, decompressed. Shares memory with the source when they are
 * not compressed. Throws CorruptionError, also when they come to more than `limitBytes`.
 */
export function recordBytes(source: Buffer, position: number, limitBytes: number): Buffer {
  const codec = CODECS[attributesAt(source, position) & CODEC_MASK]
  if (codec === undefined) throw corrupt(position, 'the compression type is not known')
  const end = position + batchSizeAt(source, position)
  const bytes = source.subarray(position + RECORDS_AT, end)
  // An empty batch, which compaction leaves behind, has nothing to decompress.
  if (bytes.length === 0 && recordCountAt(source, position) === 0) return bytes
  try {
    return decompress(codec, bytes, limitBytes)
  } catch (cause) {
    if (!(cause instanceof DecompressionError)) throw cause
    throw corrupt(position, cause.message, { cause })
  }
}

/**
 * The records of the one batch at `position`, also of a control batch (key: int16 version, int16
 * type). Throws CorruptionError, also when the batch is not whole.
 */
export function decodeBatch(
  source: Buffer,
  position = 0,
  end: number = source.length,
  limitBytes: number = DECODED_BYTES_MAX,
): LogRecord[] {
  if (verifyBatch(source, position, end) === 0) throw corrupt(position, 'the batch is cut off')
  const records: LogRecord[] = []
  appendRecords(source, position, limitBytes, records)
  return records
}

/**
 * The records of all whole batches in source[start, end), but for those of control batches, which
 * no reader of records wants (`decodeBatch` gives them). A batch that is cut off at the end is
 * ignored, as in a fetch answer. `limitBytes` is for all decompressed bytes together. Throws
 * CorruptionError.
 */
export function decodeBatches(
  source: Buffer,
  start = 0,
  end: number = source.length,
  limitBytes: number = DECODED_BYTES_MAX,
): LogRecord[] {
  const records: LogRecord[] = []
  let leftBytes = limitBytes
  let position = start
  while (position < end) {
    const size = verifyBatch(source, position, end)
    if (size === 0) break
    if (!isControlAt(source, position)) {
      leftBytes -= appendRecords(source, position, leftBytes, records)
    }
    position += size
  }
  return records
}

/** Returns the bytes that the records came to. */
function appendRecords(
  source: Buffer,
  position: number,
  limitBytes: number,
  records: LogRecord[],
): number {
  const bytes = recordBytes(source, position, limitBytes)
  const baseOffset = baseOffsetAt(source, position)
  const baseTimestamp = baseTimestampAt(source, position)
  const hasAppendTime = isLogAppendTimeAt(source, position)
  const appendTime = maxTimestampAt(source, position)
  const cursor = new RecordCursor()
  cursor.reset(bytes, 0, bytes.length)
  for (let left = recordCountAt(source, position); left > 0; left--) {
    if (!cursor.next()) throw corrupt(position, cursor.fault ?? 'a record is damaged')
    records.push({
      offset: baseOffset + cursor.offsetDelta,
      timestampMs: hasAppendTime ? appendTime : baseTimestamp + cursor.timestampDelta,
      key: sliceOf(bytes, cursor.keyStart, cursor.keyLength),
      value: sliceOf(bytes, cursor.valueStart, cursor.valueLength),
      headers: cursor.headerCount === 0 ? NO_HEADERS : headersOf(bytes, cursor),
    })
  }
  if (!cursor.isAtEnd()) throw corrupt(position, 'there are more records than declared')
  return bytes.length
}

const NO_HEADERS: readonly RecordHeader[] = []

function headersOf(bytes: Buffer, cursor: RecordCursor): RecordHeader[] {
  const headers: RecordHeader[] = []
  cursor.firstHeader()
  for (let left = cursor.headerCount; left > 0; left--) {
    const isThere = cursor.nextHeader()
    assert(isThere, 'the headers were checked')
    const keyEnd = cursor.headerKeyStart + cursor.headerKeyLength
    headers.push({
      key: bytes.toString('utf8', cursor.headerKeyStart, keyEnd),
      value: sliceOf(bytes, cursor.headerValueStart, cursor.headerValueLength),
    })
  }
  return headers
}

function sliceOf(bytes: Buffer, start: number, length: number): Buffer | null {
  return length < 0 ? null : bytes.subarray(start, start + length)
}

/** The same `count` records, already checked, with the offset deltas 0, 1, 2, ... */
export function renumberRecords(records: Buffer, count: number): Buffer {
  const cursor = new RecordCursor()
  cursor.reset(records, 0, records.length)
  // A delta takes five bytes at most, and so does the length of its record.
  const target = Buffer.allocUnsafe(records.length + count * 10)
  let at = 0
  for (let index = 0; index < count; index++) {
    const isThere = cursor.next()
    assert(isThere, 'the records were checked')
    const keyFieldAt = cursor.restStart
    const restBytes = cursor.end - keyFieldAt
    const timestampBytes = varintBytes(cursor.timestampDelta)
    at = writeVarint(target, at, 1 + timestampBytes + varintBytes(index) + restBytes)
    target[at++] = cursor.attributes
    at = writeVarint(target, at, cursor.timestampDelta)
    at = writeVarint(target, at, index)
    at += records.copy(target, at, keyFieldAt, cursor.end)
  }
  return target.subarray(0, at)
}
