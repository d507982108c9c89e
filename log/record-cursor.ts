/**
 * Walks the records of one batch (decompressed) without making an object of any: the fields of the
 * record at hand are plain numbers here, and the cursor is used again for the next batch.
 *
 * Invariant: no byte outside [start, end) of the source is trusted, each step consumes at least
 * one byte, so a walk over n bytes ends after n steps whatever the bytes say.
 */
import { assert } from '../base/assert.ts'

const VARINT_BYTES_MAX = 5
const VARLONG_BYTES_MAX = 10
/** Attributes, timestamp, offset, key length, value length, header count: a byte each at least. */
const RECORD_BODY_BYTES_MIN = 6
const TWO_27 = 2 ** 27
const TWO_55 = 2 ** 55

export class RecordCursor {
  #source: Uint8Array = new Uint8Array(0)
  #at = 0
  #end = 0

  /** Where the record at hand begins, with its length, and where it ends. */
  start = 0
  end = 0
  /** Where its body begins: the attributes byte. */
  bodyStart = 0
  attributes = 0
  timestampDelta = 0
  offsetDelta = 0
  /** Position behind the offset delta: from here on a record does not depend on its batch. */
  restStart = 0
  keyStart = 0
  /** -1: null. */
  keyLength = -1
  valueStart = 0
  /** -1: null. */
  valueLength = -1
  /** Where the headers begin, after their count. */
  headersStart = 0
  headerCount = 0

  /** Set by `nextHeader`. */
  headerKeyStart = 0
  headerKeyLength = 0
  headerValueStart = 0
  /** -1: null. */
  headerValueLength = -1

  /** What is wrong, when `next` said false before the last record. */
  fault: string | undefined = undefined
  /** Kafka gives another error for a record length that never ends. */
  isLengthUnending = false

  reset(source: Uint8Array, start: number, end: number): void {
    assert(start >= 0 && start <= end && end <= source.length, 'range lies in the source')
    this.#source = source
    this.#at = start
    this.#end = end
    this.fault = undefined
    this.isLengthUnending = false
  }

  /** Lets go of the source, so that a kept cursor keeps no slab alive. */
  release(): void {
    this.#source = new Uint8Array(0)
    this.#at = 0
    this.#end = 0
  }

  /** True when no byte is left. */
  isAtEnd(): boolean {
    return this.#at === this.#end
  }

  /** Steps to the next record and checks its inner lengths; false when it is damaged or missing. */
  next(): boolean {
    // One byte is by far the most frequent length of a varint; it is read here, on locals.
    const source = this.#source
    let at = this.#at
    this.start = at
    const length = this.#varint(at, this.#end)
    if (Number.isNaN(length)) return this.#noLength()
    at = this.#at
    const end = at + length
    if (length < RECORD_BODY_BYTES_MIN) return this.#broken('the record length is too small')
    if (end > this.#end) return this.#broken('a record ends behind its batch')
    this.bodyStart = at
    this.end = end
    this.attributes = source[at]!
    let byte = source[at + 1]!
    if (byte < 0x80) {
      this.timestampDelta = (byte >>> 1) ^ -(byte & 1)
      at += 2
    } else {
      this.timestampDelta = this.#varlong(at + 1, end)
      at = this.#at
    }
    this.offsetDelta = this.#varint(at, end)
    at = this.#at
    this.restStart = at
    if (at >= end) return this.#broken('a record is cut off')
    byte = source[at]!
    let size: number
    if (byte < 0x80) {
      size = (byte >>> 1) ^ -(byte & 1)
      at++
    } else {
      size = this.#varint(at, end)
      at = this.#at
    }
    this.keyStart = at
    this.keyLength = size
    if (!(size >= -1)) return this.#broken('the key length is impossible')
    if (size > 0) at += size
    if (at >= end) return this.#broken('the key ends behind its record')
    size = this.#varint(at, end)
    at = this.#at
    this.valueStart = at
    this.valueLength = size
    if (!(size >= -1)) return this.#broken('the value length is impossible')
    if (size > 0) at += size
    if (at >= end) return this.#broken('the value ends behind its record')
    if (source[at] !== 0) return this.#nextHeaders(at, end)
    this.headerCount = 0
    this.headersStart = at + 1
    this.#at = at + 1
    return at + 1 === end || this.#broken('the record length does not match its content')
  }

  #nextHeaders(at: number, end: number): boolean {
    const count = this.#varint(at, end)
    this.headerCount = count
    this.headersStart = this.#at
    if (!(count >= 0)) return this.#broken('the header count is impossible')
    for (let i = 0; i < count; i++) {
      if (!this.nextHeader()) return this.#broken('a header ends behind its record')
    }
    return this.#at === end || this.#broken('the record length does not match its content')
  }

  /**
   * Steps to the next header of the record at hand, after `firstHeader`. `next` has checked them:
   * false only when more are asked for than there are.
   */
  nextHeader(): boolean {
    const end = this.end
    const keyLength = this.#varint(this.#at, end)
    if (!(keyLength >= 0)) return false
    this.headerKeyStart = this.#at
    this.headerKeyLength = keyLength
    this.#at += keyLength
    const valueLength = this.#varint(this.#at, end)
    if (!(valueLength >= -1)) return false
    this.headerValueStart = this.#at
    this.headerValueLength = valueLength
    if (valueLength > 0) this.#at += valueLength
    return this.#at <= end
  }

  /** Goes back to the headers of the record at hand. Read all of them before the next record. */
  firstHeader(): void {
    this.#at = this.headersStart
  }

  #broken(fault: string): false {
    this.fault = fault
    return false
  }

  #noLength(): false {
    // The length was cut off by the end, or it goes on for more than five bytes.
    this.isLengthUnending = this.#at < this.#end
    return this.#broken(
      this.isLengthUnending
        ? 'a record length has no end'
        : 'there are fewer records than declared',
    )
  }

  /**
   * A zigzag varint of 32 bits at `at`; NaN when it has no end before `end` or within five bytes.
   * Moves on to the byte behind it.
   */
  #varint(at: number, end: number): number {
    if (at + 1 < end) {
      const first = this.#source[at]!
      if (first < 0x80) {
        this.#at = at + 1
        return (first >>> 1) ^ -(first & 1)
      }
      const second = this.#source[at + 1]!
      if (second < 0x80) {
        this.#at = at + 2
        return (((first & 0x7f) >>> 1) | (second << 6)) ^ -(first & 1)
      }
    }
    return this.#longVarint(at, end)
  }

  #longVarint(start: number, end: number): number {
    let value = 0
    let at = start
    for (let shift = 0; shift < 7 * VARINT_BYTES_MAX; shift += 7) {
      if (at >= end) {
        this.#at = end
        return Number.NaN
      }
      const byte = this.#source[at++]!
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        this.#at = at
        return (value >>> 1) ^ -(value & 1)
      }
    }
    this.#at = start
    return Number.NaN
  }

  /** The same for 64 bits. Exact when safe, else rounded as in format.ts. */
  #varlong(start: number, end: number): number {
    let low = 0 // 28 bits each, so that no shift leaves 32 bits; the last two bytes hold 8 bits
    let middle = 0
    let high = 0
    let at = start
    for (let i = 0; i < VARLONG_BYTES_MAX; i++) {
      if (at >= end) break
      const byte = this.#source[at++]!
      if (i < 4) low |= (byte & 0x7f) << (7 * i)
      else if (i < 8) middle |= (byte & 0x7f) << (7 * (i - 4))
      else high |= (byte & (i === 8 ? 0x7f : 1)) << (7 * (i - 8))
      if (byte < 0x80) {
        this.#at = at
        const half = (low >>> 1) + middle * TWO_27 + high * TWO_55
        return low & 1 ? -half - 1 : half
      }
    }
    this.#at = end
    return Number.NaN
  }
}
