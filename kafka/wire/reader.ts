/**
 * Reads primitive values from a part of a buffer. Whatever the bytes are, it either returns a value
 * or throws WireError: no length or count is believed before it is compared with the bytes that
 * remain, and everything put on the heap is charged to a budget that follows from the frame's size.
 */
import { isUtf8 } from 'node:buffer'
import { ZERO_UUID } from './schema.ts'

/** Malformed bytes (or, from an encoder, a value that the schema does not allow). */
export class WireError extends Error {
  override readonly name = 'WireError'
}

/** Thrown (without a stack) when eager decoding would put too much on the heap. */
export const OVER_BUDGET = Symbol('over budget')

/** Heap bytes allowed to a decoded message: this many times its size, and a fixed part. */
export const HEAP_FACTOR = 2
export const HEAP_FIXED_BYTES = 16 * 1024
/** In one message, all arrays together (as Kafka 4.4 caps each). */
export const ELEMENTS_MAX = 1_000_000
/** In one tagged section. */
export const UNKNOWN_TAGS_MAX = 64

export const EMPTY_BYTES = Buffer.alloc(0)
export const EMPTY_ARRAY: readonly never[] = Object.freeze([])

/** More than any frame. A small integer: with a fraction or Infinity the field costs an allocation. */
const NO_BUDGET = 0x7fff_ffff
const STRING_OVERHEAD_BYTES = 24
const VIEW_BYTES = 112
const UUID_BYTES = 40
const HIGH_SAFE = 2 ** 21

export class Reader {
  buffer: Buffer
  position: number
  end: number
  /** Heap bytes that may still be allocated. */
  budget = 0
  /** Arrays are left on the wire and read element by element (lazy-array.ts). */
  isLazy = false
  /** Array elements that may still be declared. */
  elements = ELEMENTS_MAX

  constructor(buffer: Buffer, position: number, end: number) {
    this.buffer = buffer
    this.position = position
    this.end = end
  }

  /** Begins again at `position`, with arrays left on the wire. */
  goLazy(position: number): void {
    this.position = position
    this.isLazy = true
    this.budget = NO_BUDGET
    this.elements = ELEMENTS_MAX
  }

  /** Lifts the limits on memory: messages of brokers that a client asked. */
  trust(): void {
    this.budget = NO_BUDGET
    this.elements = NO_BUDGET
  }

  charge(heapBytes: number): void {
    this.budget -= heapBytes
    if (this.budget < 0) throw OVER_BUDGET
  }

  /** Moves on by `count` bytes and returns where they begin. */
  take(count: number): number {
    const start = this.position
    if (count > this.end - start) throw tooShort(count, this.end - start)
    this.position = start + count
    return start
  }

  bool(): boolean {
    return this.buffer[this.take(1)] !== 0
  }

  int8(): number {
    return (this.buffer[this.take(1)]! << 24) >> 24
  }

  int16(): number {
    const at = this.take(2)
    return ((this.buffer[at]! << 24) >> 16) | this.buffer[at + 1]!
  }

  uint16(): number {
    const at = this.take(2)
    return (this.buffer[at]! << 8) | this.buffer[at + 1]!
  }

  int32(): number {
    const at = this.take(4)
    const { buffer } = this
    return (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!
  }

  uint32(): number {
    return this.int32() >>> 0
  }

  int64(): number {
    const high = this.int32()
    const low = this.int32() >>> 0
    if (high >= HIGH_SAFE || high < -HIGH_SAFE || (high === -HIGH_SAFE && low === 0)) {
      throw new WireError('int64 beyond 2^53')
    }
    return high * 0x1_0000_0000 + low
  }

  int64Saturated(): number {
    const high = this.int32()
    const low = this.int32() >>> 0
    if (high >= HIGH_SAFE) return Number.MAX_SAFE_INTEGER
    if (high < -HIGH_SAFE || (high === -HIGH_SAFE && low === 0)) return Number.MIN_SAFE_INTEGER
    return high * 0x1_0000_0000 + low
  }

  int64Lossless(): bigint {
    return this.buffer.readBigInt64BE(this.take(8))
  }

  float64(): number {
    return this.buffer.readDoubleBE(this.take(8))
  }

  uuid(): string {
    const at = this.take(16)
    const { buffer } = this
    let i = at
    while (i < at + 16 && buffer[i] === 0) i++
    if (i === at + 16) return ZERO_UUID
    this.charge(UUID_BYTES)
    return buffer.toString('base64url', at, at + 16)
  }

  /** In front of a nullable struct. */
  isNullStruct(): boolean {
    return this.int8() < 0
  }

  isNullTaggedStruct(): boolean {
    return this.uvarint() === 0
  }

  /** Unsigned, of at most 32 bits. */
  uvarint(): number {
    const { buffer } = this
    let byte = buffer[this.take(1)]!
    if (byte < 0x80) return byte
    let value = byte & 0x7f
    for (let shift = 7; shift < 28; shift += 7) {
      byte = buffer[this.take(1)]!
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    byte = buffer[this.take(1)]!
    if (byte > 0x0f) throw new WireError('varint of more than 32 bits')
    return value + byte * 2 ** 28
  }

  /** A length or count, -1 for null: `compact` is a uvarint of value + 1, otherwise a fixed int. */
  stringLength(): number {
    return this.int16()
  }
  bytesLength(): number {
    return this.int32()
  }
  compactLength(): number {
    return this.uvarint() - 1
  }

  /** Checks a declared count against the bytes that remain. */
  count(declared: number, elementBytesMin: number): number {
    if (declared < 0) throw new WireError('null where the schema allows none')
    if (declared * elementBytesMin > this.end - this.position) {
      throw new WireError(`count ${declared} with ${this.end - this.position} bytes left`)
    }
    this.elements -= declared
    if (this.elements < 0) throw new WireError(`more than ${ELEMENTS_MAX} array elements`)
    return declared
  }

  text(length: number): string {
    if (length === 0) return ''
    const start = this.checkedText(length)
    this.charge(STRING_OVERHEAD_BYTES + length)
    const { buffer } = this
    const end = start + length
    for (let i = start; i < end; i++) {
      if (buffer[i]! >= 0x80) {
        this.charge(length)
        return buffer.toString('utf8', start, end)
      }
    }
    return buffer.toString('latin1', start, end)
  }

  skipText(length: number): void {
    if (length !== 0) this.checkedText(length)
  }

  /** A declared length that may be -1 for null. */
  nullableLength(length: number): boolean {
    if (length < -1) throw new WireError(`length ${length}`)
    return length === -1
  }

  nullableText(length: number): string | null {
    return this.nullableLength(length) ? null : this.text(length)
  }

  skipNullableText(length: number): void {
    if (!this.nullableLength(length)) this.skipText(length)
  }

  view(length: number): Buffer {
    if (length === 0) return EMPTY_BYTES
    const start = this.checkedBytes(length)
    this.charge(VIEW_BYTES)
    return this.buffer.subarray(start, start + length)
  }

  nullableView(length: number): Buffer | null {
    return this.nullableLength(length) ? null : this.view(length)
  }

  skipNullableBytes(length: number): void {
    if (!this.nullableLength(length)) this.take(length)
  }

  checkedBytes(length: number): number {
    if (length < 0) throw new WireError('null where the schema allows none')
    return this.take(length)
  }

  checkedText(length: number): number {
    const start = this.checkedBytes(length)
    const { buffer } = this
    for (let i = start; i < this.position; i++) {
      if (buffer[i]! >= 0x80) {
        if (!isUtf8(buffer.subarray(i, this.position))) throw new WireError('string is not UTF-8')
        break
      }
    }
    return start
  }

  /** The next tag of a tagged section, which must ascend (KIP-482). */
  tag(previous: number): number {
    const tag = this.uvarint()
    if (tag <= previous) throw new WireError(`tag ${tag} after tag ${previous}`)
    return tag
  }

  /** The size of the tagged field just met; returns where it ends. */
  tagEnd(): number {
    const size = this.uvarint()
    if (size > this.end - this.position) throw tooShort(size, this.end - this.position)
    return this.position + size
  }

  endTag(end: number): void {
    if (this.position !== end) throw new WireError('a tagged field has another size than declared')
  }

  skipTag(unknownBefore: number, end: number): number {
    if (unknownBefore >= UNKNOWN_TAGS_MAX) {
      throw new WireError(`more than ${UNKNOWN_TAGS_MAX} unknown tags`)
    }
    this.position = end
    return unknownBefore + 1
  }

  /** A section in which no tag is known. */
  skipTags(): void {
    const declared = this.uvarint()
    let previous = -1
    for (let i = 0; i < declared; i++) {
      previous = this.tag(previous)
      this.skipTag(i, this.tagEnd())
    }
  }
}

function tooShort(wanted: number, left: number): WireError {
  return new WireError(`${wanted} bytes wanted, ${left} left`)
}
