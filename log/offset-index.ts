/**
 * The sparse index of one segment from offset to position: Kafka's `.index`, entries of an int32
 * offset relative to the segment's base (the last offset of the batch that starts at the position)
 * and an int32 position.
 *
 * Invariant: offsets and positions rise strictly. An index is a hint: whoever uses an entry looks
 * at the batch that it names before trusting it.
 */
import { assert } from '../base/assert.ts'
import { readInt32, writeInt32 } from './format.ts'

export const OFFSET_ENTRY_BYTES = 8
const FIRST_CAPACITY = 8

export class OffsetIndex {
  #offsets = new Int32Array(0)
  #positions = new Int32Array(0)
  #count = 0

  get count(): number {
    return this.#count
  }

  get memoryBytes(): number {
    return this.#offsets.byteLength + this.#positions.byteLength
  }

  offsetAt(entry: number): number {
    assert(entry >= 0 && entry < this.#count, 'the entry exists')
    return this.#offsets[entry]!
  }

  positionAt(entry: number): number {
    assert(entry >= 0 && entry < this.#count, 'the entry exists')
    return this.#positions[entry]!
  }

  /** `relativeOffset`: the last offset of the batch at `position`, less the segment's base. */
  append(relativeOffset: number, position: number): void {
    if (this.#count > 0) {
      assert(relativeOffset > this.#offsets[this.#count - 1]!, 'index offsets rise')
      assert(position > this.#positions[this.#count - 1]!, 'index positions rise')
    }
    if (this.#count === this.#offsets.length) this.#grow()
    this.#offsets[this.#count] = relativeOffset
    this.#positions[this.#count] = position
    this.#count++
  }

  /** The last entry at or below `relativeOffset`; -1 when there is none. */
  floor(relativeOffset: number): number {
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#offsets[middle]! <= relativeOffset) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** The last entry at or below `position`; -1 when there is none. */
  floorOfPosition(position: number): number {
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#positions[middle]! <= position) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  truncate(count: number): void {
    assert(count >= 0 && count <= this.#count, 'an index shrinks')
    this.#count = count
  }

  /** The file's bytes from entry `from` on. */
  encode(from: number): Buffer {
    const bytes = Buffer.allocUnsafe((this.#count - from) * OFFSET_ENTRY_BYTES)
    for (let entry = from, at = 0; entry < this.#count; entry++, at += OFFSET_ENTRY_BYTES) {
      writeInt32(bytes, at, this.#offsets[entry]!)
      writeInt32(bytes, at + 4, this.#positions[entry]!)
    }
    return bytes
  }

  /**
   * The leading entries of a file that can be right for a segment of `segmentBytes`: what follows
   * the first impossible one is left out.
   */
  static decode(bytes: Buffer, segmentBytes: number): OffsetIndex {
    const index = new OffsetIndex()
    const capacity = Math.floor(bytes.length / OFFSET_ENTRY_BYTES)
    index.#offsets = new Int32Array(capacity)
    index.#positions = new Int32Array(capacity)
    let lastOffset = -1
    let lastPosition = -1
    for (let entry = 0; entry < capacity; entry++) {
      const offset = readInt32(bytes, entry * OFFSET_ENTRY_BYTES)
      const position = readInt32(bytes, entry * OFFSET_ENTRY_BYTES + 4)
      if (offset <= lastOffset || position <= lastPosition || position >= segmentBytes) break
      index.#offsets[entry] = offset
      index.#positions[entry] = position
      index.#count++
      lastOffset = offset
      lastPosition = position
    }
    return index
  }

  #grow(): void {
    const capacity = Math.max(FIRST_CAPACITY, this.#offsets.length * 2)
    const offsets = new Int32Array(capacity)
    const positions = new Int32Array(capacity)
    offsets.set(this.#offsets)
    positions.set(this.#positions)
    this.#offsets = offsets
    this.#positions = positions
  }
}
