/** Which partition a key belongs to: murmur2, as the Java client does, so that all clients agree. */
import { assert } from '../../base/assert.ts'

const SEED = 0x9747b28c
const MULTIPLIER = 0x5bd1e995
const ROTATION = 24

/** 32 bits, signed. */
export function murmur2(key: Uint8Array): number {
  const length = key.length
  let hash = SEED ^ length
  const whole = length & ~3
  for (let at = 0; at < whole; at += 4) {
    let word = key[at]! | (key[at + 1]! << 8) | (key[at + 2]! << 16) | (key[at + 3]! << 24)
    word = Math.imul(word, MULTIPLIER)
    word ^= word >>> ROTATION
    word = Math.imul(word, MULTIPLIER)
    hash = Math.imul(hash, MULTIPLIER) ^ word
  }
  const rest = length - whole
  if (rest === 3) hash ^= key[whole + 2]! << 16
  if (rest >= 2) hash ^= key[whole + 1]! << 8
  if (rest >= 1) hash = Math.imul(hash ^ key[whole]!, MULTIPLIER)
  hash ^= hash >>> 13
  hash = Math.imul(hash, MULTIPLIER)
  return hash ^ (hash >>> 15)
}

export function partitionForKey(key: Uint8Array, count: number): number {
  assert(count > 0, 'a topic has partitions')
  return (murmur2(key) & 0x7fff_ffff) % count
}
