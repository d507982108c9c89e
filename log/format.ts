/**
 * Record batch format v2: where each field lies, and how to read and write it at (buffer,
 * position). Nothing here allocates, and nothing looks at more than one field.
 *
 * Invariant: an int64 comes back exact when it is a safe integer, else rounded to a number that
 * `Number.isSafeInteger` refuses, on the right side of zero. So a comparison with a limit is right
 * for every input, and whoever keeps a value checks that it is safe.
 *
 * All positions in a batch are relative to its first byte. Numbers are big endian. The CRC-32C
 * covers the bytes from the attributes to the end of the batch, so base offset and leader epoch
 * can be given in place.
 */

import { crc32c } from '../base/crc32c.ts'

export const BASE_OFFSET_AT = 0
export const BATCH_LENGTH_AT = 8
export const LEADER_EPOCH_AT = 12
export const MAGIC_AT = 16
export const CRC_AT = 17
export const ATTRIBUTES_AT = 21
export const LAST_OFFSET_DELTA_AT = 23
export const BASE_TIMESTAMP_AT = 27
export const MAX_TIMESTAMP_AT = 35
export const PRODUCER_ID_AT = 43
export const PRODUCER_EPOCH_AT = 51
export const BASE_SEQUENCE_AT = 53
export const RECORD_COUNT_AT = 57
export const RECORDS_AT = 61

/** Base offset and batch length: what the batch length does not count. */
export const LOG_OVERHEAD_BYTES = 12
/** As far as the magic byte the layouts of all versions agree. */
export const HEADER_TO_MAGIC_BYTES = 17
export const MAGIC = 2

export const CODEC_MASK = 0x07
export const LOG_APPEND_TIME_BIT = 0x08
export const TRANSACTIONAL_BIT = 0x10
export const CONTROL_BIT = 0x20
/** KIP-534: the base timestamp field holds the time after which tombstones may go. */
export const DELETE_HORIZON_BIT = 0x40
/** All bits that mean something. Kafka drops the others whenever it rewrites the attributes. */
export const KNOWN_ATTRIBUTES = 0x7f

export const NO_PRODUCER_ID = -1
export const NO_PRODUCER_EPOCH = -1
export const NO_SEQUENCE = -1
export const NO_TIMESTAMP = -1

/** Types of control records: the second int16 of the key, after a version. */
export const CONTROL_ABORT = 0
export const CONTROL_COMMIT = 1
export const CONTROL_LEADER_CHANGE = 2
export const CONTROL_SNAPSHOT_HEADER = 3
export const CONTROL_SNAPSHOT_FOOTER = 4
export const CONTROL_KRAFT_VERSION = 5
export const CONTROL_KRAFT_VOTERS = 6

const TWO_32 = 4294967296

export function readInt32(source: Uint8Array, position: number): number {
  return (
    (source[position]! << 24) |
    (source[position + 1]! << 16) |
    (source[position + 2]! << 8) |
    source[position + 3]!
  )
}

export function readUint32(source: Uint8Array, position: number): number {
  return readInt32(source, position) >>> 0
}

export function readInt16(source: Uint8Array, position: number): number {
  return ((source[position]! << 24) >> 16) | source[position + 1]!
}

/** Exact when safe; else rounded, and `Number.isSafeInteger` is false. */
export function readInt64(source: Uint8Array, position: number): number {
  return readInt32(source, position) * TWO_32 + readUint32(source, position + 4)
}

export function writeInt16(target: Uint8Array, position: number, value: number): void {
  target[position] = value >> 8
  target[position + 1] = value
}

/** Also for uint32: only the low 32 bits count. */
export function writeInt32(target: Uint8Array, position: number, value: number): void {
  target[position] = value >>> 24
  target[position + 1] = value >>> 16
  target[position + 2] = value >>> 8
  target[position + 3] = value
}

/** `value` is a safe integer. */
export function writeInt64(target: Uint8Array, position: number, value: number): void {
  const high = Math.floor(value / TWO_32)
  writeInt32(target, position, high)
  writeInt32(target, position + 4, value - high * TWO_32)
}

export function baseOffsetAt(source: Uint8Array, batch: number): number {
  return readInt64(source, batch + BASE_OFFSET_AT)
}

/** Bytes of the whole batch. Below RECORDS_AT in a damaged one, also negative. */
export function batchSizeAt(source: Uint8Array, batch: number): number {
  return readInt32(source, batch + BATCH_LENGTH_AT) + LOG_OVERHEAD_BYTES
}

export function leaderEpochAt(source: Uint8Array, batch: number): number {
  return readInt32(source, batch + LEADER_EPOCH_AT)
}

/** Signed, as Kafka reads it. */
export function magicAt(source: Uint8Array, batch: number): number {
  return (source[batch + MAGIC_AT]! << 24) >> 24
}

export function crcAt(source: Uint8Array, batch: number): number {
  return readUint32(source, batch + CRC_AT)
}

export function attributesAt(source: Uint8Array, batch: number): number {
  return readInt16(source, batch + ATTRIBUTES_AT)
}

export function lastOffsetDeltaAt(source: Uint8Array, batch: number): number {
  return readInt32(source, batch + LAST_OFFSET_DELTA_AT)
}

export function lastOffsetAt(source: Uint8Array, batch: number): number {
  return baseOffsetAt(source, batch) + lastOffsetDeltaAt(source, batch)
}

export function baseTimestampAt(source: Uint8Array, batch: number): number {
  return readInt64(source, batch + BASE_TIMESTAMP_AT)
}

export function maxTimestampAt(source: Uint8Array, batch: number): number {
  return readInt64(source, batch + MAX_TIMESTAMP_AT)
}

export function producerIdAt(source: Uint8Array, batch: number): number {
  return readInt64(source, batch + PRODUCER_ID_AT)
}

export function producerEpochAt(source: Uint8Array, batch: number): number {
  return readInt16(source, batch + PRODUCER_EPOCH_AT)
}

export function baseSequenceAt(source: Uint8Array, batch: number): number {
  return readInt32(source, batch + BASE_SEQUENCE_AT)
}

export function recordCountAt(source: Uint8Array, batch: number): number {
  return readInt32(source, batch + RECORD_COUNT_AT)
}

export function isTransactionalAt(source: Uint8Array, batch: number): boolean {
  return (source[batch + ATTRIBUTES_AT + 1]! & TRANSACTIONAL_BIT) !== 0
}

export function isControlAt(source: Uint8Array, batch: number): boolean {
  return (source[batch + ATTRIBUTES_AT + 1]! & CONTROL_BIT) !== 0
}

export function isLogAppendTimeAt(source: Uint8Array, batch: number): boolean {
  return (source[batch + ATTRIBUTES_AT + 1]! & LOG_APPEND_TIME_BIT) !== 0
}

/** KIP-534: milliseconds since 1970; undefined when the cleaner has set none. */
export function deleteHorizonAt(source: Uint8Array, batch: number): number | undefined {
  const isSet = (source[batch + ATTRIBUTES_AT + 1]! & DELETE_HORIZON_BIT) !== 0
  return isSet ? baseTimestampAt(source, batch) : undefined
}

/** Sets the CRC of the batch in target[batch, end); the last step of writing one. */
export function sealBatch(target: Uint8Array, batch: number, end: number): void {
  writeInt32(target, batch + CRC_AT, crc32c(target, batch + ATTRIBUTES_AT, end))
}

// A zigzag varint holds 2v for v >= 0 and -2v - 1 below. Doubling a safe integer is not safe, so
// the first byte takes six bits of v, or of its complement, and the sign. Arithmetic instead of
// shifts, since a varlong has more than 32 bits.

/** Bytes of the zigzag varint of `value`, a safe integer. */
export function varintBytes(value: number): number {
  let rest = Math.floor((value >= 0 ? value : -value - 1) / 0x40)
  let bytes = 1
  while (rest > 0) {
    rest = Math.floor(rest / 0x80)
    bytes++
  }
  return bytes
}

/** Writes `value` (safe integer) as zigzag varint or varlong; returns the position behind it. */
export function writeVarint(target: Uint8Array, position: number, value: number): number {
  const half = value >= 0 ? value : -value - 1
  let rest = Math.floor(half / 0x40)
  let bits = (half - rest * 0x40) * 2 + (value >= 0 ? 0 : 1)
  let at = position
  while (rest > 0) {
    target[at++] = bits | 0x80
    const high = Math.floor(rest / 0x80)
    bits = rest - high * 0x80
    rest = high
  }
  target[at++] = bits
  return at
}
