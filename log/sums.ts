/**
 * `NNN.sums`: what makes the indexes of a segment trustworthy. Kafka's index files have no
 * checksum, and a wrong time or transaction index gives wrong answers, not only slow ones. This
 * small file of ours says how far each goes and what its CRC-32C is, under a CRC of its own.
 *
 * Invariant: an index whose bytes do not match is made again from the records.
 */
import { crc32c } from '../base/crc32c.ts'
import { readInt32, readInt64, readUint32, writeInt32, writeInt64 } from './format.ts'

const MARK = 0x6f647261
const VERSION = 1
const FIELDS_AT = 12
const FIELD_NAMES = [
  'logBytes',
  'nextOffset',
  'maxTimestampMs',
  'maxTimestampOffset',
  'gaps',
  'indexBytes',
  'indexCrc',
  'timeIndexBytes',
  'timeIndexCrc',
  'abortedBytes',
  'abortedCrc',
] as const
const SUMS_BYTES = FIELDS_AT + FIELD_NAMES.length * 8

/**
 * `logBytes` of the segment are covered; `nextOffset` follows them; `gaps` 1: offsets may be
 * missing.
 */
export type Sums = Record<(typeof FIELD_NAMES)[number], number>

export function encodeSums(sums: Sums): Buffer {
  const bytes = Buffer.alloc(SUMS_BYTES)
  writeInt32(bytes, 0, MARK)
  writeInt32(bytes, 4, VERSION)
  FIELD_NAMES.forEach((name, i) => {
    writeInt64(bytes, FIELDS_AT + i * 8, sums[name])
  })
  writeInt32(bytes, 8, crc32c(bytes.subarray(FIELDS_AT)))
  return bytes
}

/** Undefined when the bytes are not what was written. */
export function decodeSums(bytes: Buffer): Sums | undefined {
  if (bytes.length !== SUMS_BYTES || readInt32(bytes, 0) !== MARK) return undefined
  if (readInt32(bytes, 4) !== VERSION) return undefined
  if (readUint32(bytes, 8) !== crc32c(bytes.subarray(FIELDS_AT))) return undefined
  const entries = FIELD_NAMES.map((name, i) => [name, readInt64(bytes, FIELDS_AT + i * 8)] as const)
  return Object.fromEntries(entries) as Sums
}
