/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), as record batches and our own files carry
 * it. A native call costs 100 ns, so short ranges are done here, eight bytes a step.
 */
import { createRequire } from 'node:module'

const POLYNOMIAL = 0x82f63b78
const SLICES = 8
/** Above this many bytes the native code is quicker than its call. */
const NATIVE_FROM_BYTES = 200

const TABLE = makeTable()

function makeTable(): Int32Array {
  const table = new Int32Array(256 * SLICES)
  for (let byte = 0; byte < 256; byte++) {
    let value = byte
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? POLYNOMIAL : 0)
    table[byte] = value
  }
  for (let at = 256; at < table.length; at++) {
    const before = table[at - 256]!
    table[at] = (before >>> 8) ^ table[before & 0xff]!
  }
  return table
}

type Native = (input: Uint8Array, initial?: number) => number

/** Undefined where the prebuilt module does not load: the table then does all. */
const native = loadNative()

function loadNative(): Native | undefined {
  try {
    const module: { crc32c: Native } = createRequire(import.meta.url)('@node-rs/crc32')
    return module.crc32c
  } catch {
    return undefined
  }
}

/** Of buffer[start, end), as an unsigned 32-bit number. `before` continues an earlier range. */
export function crc32c(
  buffer: Uint8Array,
  start = 0,
  end: number = buffer.length,
  before = 0,
): number {
  if (native !== undefined && end - start >= NATIVE_FROM_BYTES) {
    const range = start === 0 && end === buffer.length ? buffer : buffer.subarray(start, end)
    return native(range, before) >>> 0
  }
  return crc32cByTable(buffer, start, end, before)
}

/** The same without native code. */
export function crc32cByTable(
  buffer: Uint8Array,
  start: number,
  end: number,
  before: number,
): number {
  let crc = ~before
  let at = start
  for (; at + 8 <= end; at += 8) {
    const low =
      crc ^
      (buffer[at]! | (buffer[at + 1]! << 8) | (buffer[at + 2]! << 16) | (buffer[at + 3]! << 24))
    crc =
      TABLE[1792 + (low & 0xff)]! ^
      TABLE[1536 + ((low >>> 8) & 0xff)]! ^
      TABLE[1280 + ((low >>> 16) & 0xff)]! ^
      TABLE[1024 + (low >>> 24)]! ^
      TABLE[768 + buffer[at + 4]!]! ^
      TABLE[512 + buffer[at + 5]!]! ^
      TABLE[256 + buffer[at + 6]!]! ^
      TABLE[buffer[at + 7]!]!
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ TABLE[(crc ^ buffer[at]!) & 0xff]!
  return ~crc >>> 0
}
