/** The system's secure source, drawn in blocks. */
import { randomFillSync } from 'node:crypto'
import { assert } from '../assert.ts'
import type { Random } from '../random.ts'

const POOL_BYTES = 4096
const TWO_32 = 0x1_0000_0000

const pool = Buffer.alloc(POOL_BYTES)
let used = POOL_BYTES

function take(length: number): number {
  if (used + length > POOL_BYTES) {
    randomFillSync(pool)
    used = 0
  }
  used += length
  return used - length
}

function uint32(): number {
  return pool.readUInt32LE(take(4))
}

function below(bound: number): number {
  assert(bound >= 1 && bound <= TWO_32, 'a bound between 1 and 2^32')
  // Draws from the incomplete last run of bounds are thrown away, so that no value is likelier.
  const limit = TWO_32 - (TWO_32 % bound)
  for (;;) {
    const value = uint32()
    if (value < limit) return value % bound
  }
}

function bytes(length: number): Buffer {
  if (length > POOL_BYTES) return randomFillSync(Buffer.alloc(length))
  const start = take(length)
  return Buffer.from(pool.subarray(start, start + length))
}

export const realRandom: Random = {
  uint32,
  below,
  unit: () => uint32() / TWO_32,
  bytes,
  split: () => realRandom,
}
