/**
 * Reproducible randomness: sfc32, seeded by a text. Each part of a simulation draws from a stream
 * of its own name, so that a draw more in one part doesn't shift what the others see.
 */
import { assert } from '../assert.ts'
import type { Random } from '../random.ts'

const WARM_UP_DRAWS = 12

export class SimRandom implements Random {
  readonly #seed: string
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number | string) {
    this.#seed = String(seed)
    this.#a = hashText(this.#seed, 0x9e3779b9)
    this.#b = hashText(this.#seed, 0x85ebca6b)
    this.#c = hashText(this.#seed, 0xc2b2ae35)
    for (let i = 0; i < WARM_UP_DRAWS; i++) this.uint32()
  }

  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  below(bound: number): number {
    assert(Number.isInteger(bound) && bound >= 1 && bound <= 2 ** 32, 'a bound from 1 to 2^32')
    return Math.floor(this.unit() * bound)
  }

  unit(): number {
    const high = this.uint32() >>> 5
    const low = this.uint32() >>> 6
    return (high * 2 ** 26 + low) / 2 ** 53
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    for (let i = 0; i < length; i++) bytes[i] = this.uint32() & 0xff
    return bytes
  }

  split(name: string): SimRandom {
    return new SimRandom(`${this.#seed}/${name}`)
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.unit() < probability
  }

  /** Uniform in from .. to, both included. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1)
  }

  pick<T>(choices: readonly T[]): T {
    assert(choices.length > 0)
    return choices[this.below(choices.length)]!
  }
}

/** FNV-1a over the UTF-16 units, finished by a mix so that near texts give far numbers. */
export function hashText(text: string, start: number): number {
  let hash = start | 0
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d)
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b)
  return hash ^ (hash >>> 16)
}
