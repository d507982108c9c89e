/** The system's secure randomness, drawn in pages. */
import { randomFillSync } from 'node:crypto'
import { assert } from '../assert.ts'
import type { Random } from '../random.ts'

const POOL_BYTES = 4096
const TWO_32 = 2 ** 32

class RealRandom implements Random {
  readonly #pool = Buffer.alloc(POOL_BYTES)
  #used = POOL_BYTES

  uint32(): number {
    return this.#pool.readUInt32LE(this.#take(4))
  }

  below(bound: number): number {
    assert(Number.isInteger(bound) && bound >= 1 && bound <= TWO_32, 'a bound from 1 to 2^32')
    // Draws from the incomplete last part of the range would prefer low numbers.
    const limit = TWO_32 - (TWO_32 % bound)
    for (;;) {
      const drawn = this.uint32()
      if (drawn < limit) return drawn % bound
    }
  }

  unit(): number {
    const high = this.uint32() >>> 5
    const low = this.uint32() >>> 6
    return (high * 2 ** 26 + low) / 2 ** 53
  }

  bytes(length: number): Buffer {
    if (length > POOL_BYTES) return randomFillSync(Buffer.alloc(length))
    const at = this.#take(length)
    return Buffer.from(this.#pool.subarray(at, at + length))
  }

  /** All streams are independent already. */
  split(_name: string): Random {
    return this
  }

  #take(length: number): number {
    if (this.#used + length > POOL_BYTES) {
      randomFillSync(this.#pool)
      this.#used = 0
    }
    const at = this.#used
    this.#used += length
    return at
  }
}

export const realRandom: Random = new RealRandom()
