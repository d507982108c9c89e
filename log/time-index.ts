/**
 * The sparse index of one segment from time to offset: Kafka's `.timeindex`, entries of an int64
 * timestamp and an int32 relative offset. An entry says: no record up to that offset is younger
 * than the timestamp, and the batch that ends at that offset is the first that reaches it.
 *
 * Invariant: timestamps rise strictly, offsets do not fall.
 */
import { assert } from '../base/assert.ts'
import { readInt32, readInt64, writeInt32, writeInt64 } from './format.ts'

export const TIME_ENTRY_BYTES = 12
const FIRST_CAPACITY = 8

export class TimeIndex {
  #timestamps = new Float64Array(0)
  #offsets = new Int32Array(0)
  #count = 0

  get count(): number {
    return this.#count
  }

  get memoryBytes(): number {
    return this.#timestamps.byteLength + this.#offsets.byteLength
  }

  timestampAt(entry: number): number {
    assert(entry >= 0 && entry < this.#count, 'the entry exists')
    return this.#timestamps[entry]!
  }

  offsetAt(entry: number): number {
    assert(entry >= 0 && entry < this.#count, 'the entry exists')
    return this.#offsets[entry]!
  }

  /** Does nothing unless `timestampMs` is above that of the last entry. */
  appendIfLater(timestampMs: number, relativeOffset: number): void {
    if (timestampMs < 0) return
    if (this.#count > 0) {
      if (timestampMs <= this.#timestamps[this.#count - 1]!) return
      assert(relativeOffset >= this.#offsets[this.#count - 1]!, 'time index offsets do not fall')
    }
    if (this.#count === this.#offsets.length) this.#grow()
    this.#timestamps[this.#count] = timestampMs
    this.#offsets[this.#count] = relativeOffset
    this.#count++
  }

  /** The last entry whose timestamp is at or below; -1 when there is none. */
  floor(timestampMs: number): number {
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#timestamps[middle]! <= timestampMs) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  truncate(count: number): void {
    assert(count >= 0 && count <= this.#count, 'an index shrinks')
    this.#count = count
  }

  /** Drops the entries above `relativeOffset`. */
  truncateAbove(relativeOffset: number): void {
    while (this.#count > 0 && this.#offsets[this.#count - 1]! > relativeOffset) this.#count--
  }

  /** The file's bytes from entry `from` on. */
  encode(from: number): Buffer {
    const bytes = Buffer.allocUnsafe((this.#count - from) * TIME_ENTRY_BYTES)
    for (let entry = from, at = 0; entry < this.#count; entry++, at += TIME_ENTRY_BYTES) {
      writeInt64(bytes, at, this.#timestamps[entry]!)
      writeInt32(bytes, at + 8, this.#offsets[entry]!)
    }
    return bytes
  }

  /**
   * The leading entries of a file that keep the order; what follows the first that does not is left
   * out.
   */
  static decode(bytes: Buffer): TimeIndex {
    const index = new TimeIndex()
    const capacity = Math.floor(bytes.length / TIME_ENTRY_BYTES)
    index.#timestamps = new Float64Array(capacity)
    index.#offsets = new Int32Array(capacity)
    let lastTimestamp = -1
    let lastOffset = 0
    for (let entry = 0; entry < capacity; entry++) {
      const timestamp = readInt64(bytes, entry * TIME_ENTRY_BYTES)
      const offset = readInt32(bytes, entry * TIME_ENTRY_BYTES + 8)
      if (!Number.isSafeInteger(timestamp) || timestamp <= lastTimestamp || offset < lastOffset) {
        break
      }
      index.#timestamps[entry] = timestamp
      index.#offsets[entry] = offset
      index.#count++
      lastTimestamp = timestamp
      lastOffset = offset
    }
    return index
  }

  #grow(): void {
    const capacity = Math.max(FIRST_CAPACITY, this.#offsets.length * 2)
    const timestamps = new Float64Array(capacity)
    const offsets = new Int32Array(capacity)
    timestamps.set(this.#timestamps)
    offsets.set(this.#offsets)
    this.#timestamps = timestamps
    this.#offsets = offsets
  }
}
