/**
 * CRC-32C (Castagnoli), the checksum of record batches and of everything that we keep. Slice-by-8
 * in JavaScript below the length at which a call of the native module pays; all of it in JavaScript
 * where that module can't be loaded. The only door to @node-rs/crc32.
 */
import { createRequire } from 'node:module'
import { assert } from './assert.ts'

/** A native call costs about as much as this many bytes in JavaScript. */
const NATIVE_FROM_BYTES = 200
const POLYNOMIAL = 0x82f63b78
const SLICES = 8

type NativeCrc32c = (input: Uint8Array, initial: number) => number

const native = loadNative()
const tables = makeTables()
const [table0, table1, table2, table3, table4, table5, table6, table7] = tables

/** True when the native module does the long ones. */
export const isCrc32cNative = native !== undefined

/**
 * CRC-32C of buffer[start, end), from 0 to 2^32 - 1. `previous` is the result for the bytes that
 * come before, so that pieces can be summed one after the other.
 */
export function crc32c(
  buffer: Uint8Array,
  start = 0,
  end: number = buffer.length,
  previous = 0,
): number {
  assert(start >= 0 && start <= end && end <= buffer.length, 'a range of the buffer')
  if (end - start < NATIVE_FROM_BYTES || native === undefined) {
    return crc32cPortable(buffer, start, end, previous)
  }
  const isWhole = start === 0 && end === buffer.length
  return native(isWhole ? buffer : buffer.subarray(start, end), previous)
}

/** The same without the native module. */
export function crc32cPortable(
  buffer: Uint8Array,
  start: number,
  end: number,
  previous: number,
): number {
  let crc = ~previous
  let at = start
  for (const last = end - SLICES; at <= last; at += SLICES) {
    crc ^= buffer[at]! | (buffer[at + 1]! << 8) | (buffer[at + 2]! << 16) | (buffer[at + 3]! << 24)
    crc =
      table7[crc & 0xff]! ^
      table6[(crc >>> 8) & 0xff]! ^
      table5[(crc >>> 16) & 0xff]! ^
      table4[crc >>> 24]! ^
      table3[buffer[at + 4]!]! ^
      table2[buffer[at + 5]!]! ^
      table1[buffer[at + 6]!]! ^
      table0[buffer[at + 7]!]!
  }
  for (; at < end; at++) crc = table0[(crc ^ buffer[at]!) & 0xff]! ^ (crc >>> 8)
  return ~crc >>> 0
}

type Table = Int32Array
type Tables = readonly [Table, Table, Table, Table, Table, Table, Table, Table]

function makeTables(): Tables {
  const made = Array.from({ length: SLICES }, () => new Int32Array(256))
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    made[0]![byte] = crc
  }
  for (let slice = 1; slice < SLICES; slice++) {
    for (let byte = 0; byte < 256; byte++) {
      const crc = made[slice - 1]![byte]!
      made[slice]![byte] = made[0]![crc & 0xff]! ^ (crc >>> 8)
    }
  }
  return made as unknown as Tables
}

/** A platform without a prebuilt module is slower, not broken. */
function loadNative(): NativeCrc32c | undefined {
  try {
    const loaded = createRequire(import.meta.url)('@node-rs/crc32') as { crc32c: NativeCrc32c }
    return loaded.crc32c
  } catch {
    return undefined
  }
}
