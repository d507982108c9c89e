/**
 * Buffers of large messages to one follower, used again when the follower has dealt with them: then
 * no byte of them is needed on the way any more. Fresh ones for each would cost more than the copy,
 * since memory outside of the heap makes the collector run.
 *
 * Invariant: a buffer is used again only after the credit for its message has come on its stream.
 */
import { assert } from '../base/assert.ts'

/** Smaller ones come from Node's own pool, or cost little. */
const SMALLEST_BYTES = 32 * 1024
/** With room for the headers of a message around a power of two. */
const CLASSES: readonly number[] = [68, 136, 272, 544, 1088, 2176].map((size) => size * 1024)
/** Kept while nothing is sent: as much as may be under way, in buffers that are half full. */
const KEPT_BYTES_MAX = 6 * 1024 * 1024

interface UnderWay {
  readonly buffer: Buffer
  /** Of the stream, where its message ends. */
  readonly endBytes: number
}

export class MessageBuffers {
  readonly #free: Buffer[][] = CLASSES.map(() => [])
  readonly #underWay: UnderWay[] = []
  #freeBytes = 0

  /** At least `sizeBytes` long. */
  take(sizeBytes: number): Buffer {
    const found = CLASSES.findIndex((classBytes) => classBytes >= sizeBytes)
    if (sizeBytes < SMALLEST_BYTES || found < 0) return Buffer.allocUnsafe(sizeBytes)
    // A larger one that is there does as well: what is made anew may live long, and costs a
    // collection of the whole heap.
    for (let at = found; at < CLASSES.length; at++) {
      const buffer = this.#free[at]!.pop()
      if (buffer === undefined) continue
      this.#freeBytes -= buffer.length
      return buffer
    }
    return Buffer.allocUnsafeSlow(CLASSES[found]!)
  }

  /** The message in `buffer` has been sent; with it `endBytes` of the stream. */
  sent(buffer: Buffer, endBytes: number): void {
    assert(endBytes >= (this.#underWay.at(-1)?.endBytes ?? 0), 'messages leave in order')
    if (CLASSES.includes(buffer.length)) this.#underWay.push({ buffer, endBytes })
  }

  /** The follower has dealt with so much of the stream. */
  dealtWith(bytes: number): void {
    let count = 0
    while (count < this.#underWay.length && this.#underWay[count]!.endBytes <= bytes) {
      this.#keep(this.#underWay[count]!.buffer)
      count++
    }
    if (count > 0) this.#underWay.splice(0, count)
  }

  #keep(buffer: Buffer): void {
    const found = CLASSES.indexOf(buffer.length)
    assert(found >= 0, 'a buffer of the pool has a size of the pool')
    if (this.#freeBytes + buffer.length > KEPT_BYTES_MAX) return
    this.#free[found]!.push(buffer)
    this.#freeBytes += buffer.length
  }
}
