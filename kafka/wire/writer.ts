/**
 * Writes primitive values into a growing buffer. Values are checked: a number that does not fit its
 * field throws instead of being cut.
 */
import { WireError } from './reader.ts'
import { ZERO_UUID } from './schema.ts'

const TWO_32 = 0x1_0000_0000

export class Writer {
  buffer: Buffer
  position = 0

  constructor(capacityBytes = 512) {
    this.buffer = Buffer.allocUnsafe(capacityBytes)
  }

  /** Makes room for `count` bytes at the position. */
  reserve(count: number): void {
    if (count > this.buffer.length - this.position) this.#grow(count)
  }

  #grow(count: number): void {
    const grown = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.position + count))
    this.buffer.copy(grown, 0, 0, this.position)
    this.buffer = grown
  }

  /** What was written, without a copy; the writer is not to be used again. */
  finish(): Buffer {
    return this.buffer.subarray(0, this.position)
  }

  bool(value: boolean): void {
    if (typeof value !== 'boolean') mismatch('bool', value)
    this.reserve(1)
    this.buffer[this.position++] = value ? 1 : 0
  }

  int8(value: number): void {
    if ((value << 24) >> 24 !== value) mismatch('int8', value)
    this.reserve(1)
    this.buffer[this.position++] = value
  }

  int16(value: number): void {
    if ((value << 16) >> 16 !== value) mismatch('int16', value)
    this.#put16(value)
  }

  uint16(value: number): void {
    if ((value & 0xffff) !== value) mismatch('uint16', value)
    this.#put16(value)
  }

  #put16(value: number): void {
    this.reserve(2)
    const at = this.position
    this.buffer[at] = value >> 8
    this.buffer[at + 1] = value
    this.position = at + 2
  }

  int32(value: number): void {
    if ((value | 0) !== value) mismatch('int32', value)
    this.#put32(value)
  }

  uint32(value: number): void {
    if (value >>> 0 !== value) mismatch('uint32', value)
    this.#put32(value)
  }

  #put32(value: number): void {
    this.reserve(4)
    const at = this.position
    const { buffer } = this
    buffer[at] = value >> 24
    buffer[at + 1] = value >> 16
    buffer[at + 2] = value >> 8
    buffer[at + 3] = value
    this.position = at + 4
  }

  int64(value: number): void {
    if (!Number.isSafeInteger(value)) mismatch('int64', value)
    const high = Math.floor(value / TWO_32)
    this.#put32(high)
    this.#put32(value - high * TWO_32)
  }

  int64Lossless(value: bigint): void {
    this.reserve(8)
    this.position = this.buffer.writeBigInt64BE(value, this.position)
  }

  float64(value: number): void {
    if (typeof value !== 'number') mismatch('float64', value)
    this.reserve(8)
    this.position = this.buffer.writeDoubleBE(value, this.position)
  }

  uuid(value: string): void {
    this.reserve(16)
    const at = this.position
    if (value === ZERO_UUID) this.buffer.fill(0, at, at + 16)
    else if (
      typeof value !== 'string' ||
      value.length !== 22 ||
      this.buffer.write(value, at, 16, 'base64url') !== 16
    ) {
      mismatch('uuid', value)
    }
    this.position = at + 16
  }

  uvarint(value: number): void {
    this.reserve(5)
    let rest = value
    while (rest >= 0x80) {
      this.buffer[this.position++] = (rest & 0x7f) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.buffer[this.position++] = rest
  }

  string(value: string): void {
    const length = textLength(value)
    if (length > 0x7fff) mismatch('string of at most 32767 bytes', value)
    this.#put16(length)
    this.#text(value, length)
  }

  compactString(value: string): void {
    const length = textLength(value)
    this.uvarint(length + 1)
    this.#text(value, length)
  }

  #text(value: string, length: number): void {
    if (length === 0) return
    this.reserve(length)
    if (length === value.length && length < 24) {
      for (let i = 0; i < length; i++) this.buffer[this.position + i] = value.charCodeAt(i)
    } else {
      this.buffer.write(value, this.position, length, 'utf8')
    }
    this.position += length
  }

  bytes(value: Buffer): void {
    if (!(value instanceof Uint8Array)) mismatch('bytes', value)
    this.#put32(value.length)
    this.raw(value)
  }

  compactBytes(value: Buffer): void {
    if (!(value instanceof Uint8Array)) mismatch('bytes', value)
    this.uvarint(value.length + 1)
    this.raw(value)
  }

  raw(value: Uint8Array): void {
    this.reserve(value.length)
    this.buffer.set(value, this.position)
    this.position += value.length
  }

  /**
   * Puts the size of what was written since `start` in front of it. Small sections move by a byte
   * or more; tagged sections are small.
   */
  sizeBefore(start: number): void {
    const size = this.position - start
    let sizeBytes = 1
    for (let rest = size; rest >= 0x80; rest = rest >>> 7) sizeBytes++
    this.reserve(sizeBytes)
    this.buffer.copyWithin(start + sizeBytes, start, this.position)
    this.position = start
    this.uvarint(size)
    this.position = start + sizeBytes + size
  }
}

function textLength(value: string): number {
  if (typeof value !== 'string') mismatch('string', value)
  // Short ASCII is the rule, and quicker to see here than in the runtime.
  if (value.length < 24) {
    let i = 0
    while (i < value.length && value.charCodeAt(i) < 0x80) i++
    if (i === value.length) return i
  }
  return Buffer.byteLength(value, 'utf8')
}

/** The error of a value that does not fit its field. Never returns. */
export function mismatch(kind: string, value: unknown): never {
  const shown = typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : String(value)
  throw new WireError(`${kind} expected, got ${shown}`)
}
