/**
 * The last large batches that this node has appended as a leader, as they are in the log: followers
 * and consumers that keep up are sent them from memory, without a read, a walk or a second look at the
 * CRC, which was checked when they were appended (and is again where they arrive).
 *
 * Invariants: what is found here was appended in the present epoch and is in the log still (whoever
 * cuts the log, ends a term or loses a write calls `clear`); batches of one log follow each other
 * without a gap; a node has one memory of a fixed size for all its logs, the oldest go first.
 */
import { assert } from '../base/assert.ts'
import {
  BASE_OFFSET_AT,
  baseOffsetAt,
  LEADER_EPOCH_AT,
  writeInt32,
  writeInt64,
} from '../log/format.ts'

const CAPACITY_BYTES = 4 * 1024 * 1024
/** Smaller ones are many, and cost less in one read than one by one. */
const SMALLEST_BYTES = 8 * 1024
/** So large a share of the memory has one batch at most. */
const LARGEST_SHARE = 4

/** The memory of one node. Positions count all bytes that were ever put. */
export class TailMemory {
  readonly smallestBytes: number
  readonly largestBytes: number
  readonly #capacityBytes: number
  #ring: Buffer | undefined
  #head = 0

  /** Other sizes than those of production are for tests. */
  constructor(sizes: { readonly smallestBytes?: number; readonly capacityBytes?: number } = {}) {
    this.smallestBytes = sizes.smallestBytes ?? SMALLEST_BYTES
    this.#capacityBytes = sizes.capacityBytes ?? CAPACITY_BYTES
    this.largestBytes = Math.floor(this.#capacityBytes / LARGEST_SHARE)
    assert(this.smallestBytes <= this.largestBytes, 'something fits')
  }

  /** Where the copy is, for `isHeld` and `indexOf`. */
  put(source: Buffer, start: number, end: number): number {
    const size = end - start
    const capacity = this.#capacityBytes
    assert(size > 0 && size <= this.largestBytes, 'a batch fits')
    this.#ring ??= Buffer.allocUnsafeSlow(capacity)
    const left = capacity - (this.#head % capacity)
    const position = left >= size ? this.#head : this.#head + left
    source.copy(this.#ring, position % capacity, start, end)
    this.#head = position + size
    return position
  }

  /** Nothing was written over it. */
  isHeld(position: number): boolean {
    assert(position < this.#head, 'it was put')
    return this.#head - position <= this.#capacityBytes
  }

  get ring(): Buffer {
    assert(this.#ring !== undefined, 'something was put')
    return this.#ring
  }

  /** In the ring. */
  indexOf(position: number): number {
    return position % this.#capacityBytes
  }
}

interface TailBatch {
  readonly offset: number
  readonly nextOffset: number
  readonly position: number
  readonly sizeBytes: number
}

/** Where a batch has its place in the log. */
export interface BatchPlace {
  readonly firstOffset: number
  readonly lastOffset: number
  readonly leaderEpoch: number
}

/** Of one log. */
export class LogTail {
  readonly #memory: TailMemory
  readonly #batches: TailBatch[] = []
  /** Those before are not held any more. */
  #first = 0

  constructor(memory: TailMemory) {
    this.#memory = memory
  }

  /** source[start, end) is the batch that was appended; it may lack its offset and epoch. */
  append(source: Buffer, start: number, end: number, place: BatchPlace): void {
    const { firstOffset, lastOffset, leaderEpoch } = place
    assert(lastOffset >= firstOffset, 'a batch has records')
    const size = end - start
    if (this.#batches.at(-1)?.nextOffset !== firstOffset) this.clear()
    const { smallestBytes, largestBytes } = this.#memory
    if (size < smallestBytes || size > largestBytes) return
    const position = this.#memory.put(source, start, end)
    const at = this.#memory.indexOf(position)
    writeInt64(this.#memory.ring, at + BASE_OFFSET_AT, firstOffset)
    writeInt32(this.#memory.ring, at + LEADER_EPOCH_AT, leaderEpoch)
    const nextOffset = lastOffset + 1
    this.#batches.push({ offset: firstOffset, nextOffset, position, sizeBytes: size })
    this.#forgetOld()
  }

  #forgetOld(): void {
    const batches = this.#batches
    while (this.#first < batches.length && !this.#memory.isHeld(batches[this.#first]!.position)) {
      this.#first++
    }
    if (this.#first <= batches.length / 2) return
    batches.splice(0, this.#first)
    this.#first = 0
  }

  clear(): void {
    this.#batches.length = 0
    this.#first = 0
  }

  /**
   * Bytes of whole batches from `offset` on, below `upTo`, of which the first may be larger than the
   * limit; 0 when they are not here.
   */
  bytesFrom(offset: number, upTo: number, limitBytes: number): number {
    const found = this.#find(offset)
    if (found < 0 || this.#batches[found]!.nextOffset > upTo) return 0
    let bytes = this.#batches[found]!.sizeBytes
    for (let i = found + 1; i < this.#batches.length; i++) {
      const { nextOffset, sizeBytes } = this.#batches[i]!
      if (nextOffset > upTo || bytes + sizeBytes > limitBytes) break
      bytes += sizeBytes
    }
    return bytes
  }

  /** What `bytesFrom` has counted in this turn. Returns the offset behind the last batch. */
  copy(offset: number, sizeBytes: number, target: Buffer, at: number): number {
    const { ring } = this.#memory
    let nextOffset = offset
    let copied = 0
    for (let i = this.#find(offset); copied < sizeBytes; i++) {
      const batch = this.#batches[i]
      assert(batch !== undefined && this.#memory.isHeld(batch.position), 'it was counted')
      const start = this.#memory.indexOf(batch.position)
      assert(baseOffsetAt(ring, start) === nextOffset, 'batches follow each other')
      ring.copy(target, at + copied, start, start + batch.sizeBytes)
      copied += batch.sizeBytes
      nextOffset = batch.nextOffset
    }
    assert(copied === sizeBytes, 'whole batches were counted')
    return nextOffset
  }

  /** Its index; -1 when it is not held. Followers that keep up ask for the last ones. */
  #find(offset: number): number {
    const batches = this.#batches
    for (let i = batches.length - 1; i >= this.#first && batches[i]!.offset >= offset; i--) {
      if (batches[i]!.offset === offset) return this.#memory.isHeld(batches[i]!.position) ? i : -1
    }
    return -1
  }
}
