/**
 * The newest offset of each key in the dirty part of a log, in memory that is set beforehand.
 *
 * A key stands here as the first 16 bytes of its SHA-256: nobody can make two keys meet, so no
 * record is ever dropped for another's sake. Open addressing; nothing is ever removed.
 *
 * Invariant: at least a tenth of the places is free, so that a search ends.
 */
import { hash } from 'node:crypto'
import { assert } from '../base/assert.ts'

const WORDS = 4
/** Four words of the key and the offset. */
export const KEY_MAP_PLACE_BYTES = 24
const LOAD_MAX = 0.9

export class KeyMap {
  readonly #words: Int32Array
  /** Offset + 1; 0 is a free place. */
  readonly #offsets: Float64Array
  readonly #mask: number
  readonly #sizeMax: number
  #size = 0

  /** `places` is a power of two. */
  constructor(places: number) {
    assert(places >= 16 && (places & (places - 1)) === 0, 'a power of two')
    this.#words = new Int32Array(places * WORDS)
    this.#offsets = new Float64Array(places)
    this.#mask = places - 1
    this.#sizeMax = Math.floor(places * LOAD_MAX)
  }

  get size(): number {
    return this.#size
  }

  /** False, and nothing is changed, when the key is new and the map is full. */
  set(key: Uint8Array, offset: number): boolean {
    assert(offset >= 0)
    const place = this.#find(key)
    if (place >= 0) {
      // Offsets come in rising order, but for what a truncation left; the newest wins.
      this.#offsets[place] = Math.max(this.#offsets[place]!, offset + 1)
      return true
    }
    if (this.#size >= this.#sizeMax) return false
    const free = ~place
    for (let i = 0; i < WORDS; i++) this.#words[free * WORDS + i] = digest[i]!
    this.#offsets[free] = offset + 1
    this.#size++
    return true
  }

  /** -1 when the key is not here. */
  get(key: Uint8Array): number {
    const place = this.#find(key)
    return place < 0 ? -1 : this.#offsets[place]! - 1
  }

  /** The place of the key, or the complement of the free place that it would take. */
  #find(key: Uint8Array): number {
    readDigest(key)
    const words = this.#words
    let place = digest[0]! & this.#mask
    while (this.#offsets[place] !== 0) {
      const at = place * WORDS
      if (
        words[at] === digest[0] &&
        words[at + 1] === digest[1] &&
        words[at + 2] === digest[2] &&
        words[at + 3] === digest[3]
      ) {
        return place
      }
      place = (place + 1) & this.#mask
    }
    return ~place
  }
}

/** The words of the key last looked for. */
const digest = new Int32Array(WORDS)

function readDigest(key: Uint8Array): void {
  const bytes = hash('sha256', key, 'buffer')
  for (let i = 0; i < WORDS; i++) digest[i] = bytes.readInt32LE(4 * i)
}
