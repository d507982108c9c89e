/**
 * The bytes of one simulated file, in chunks that two images can share until one of them writes: a
 * sync costs what changed since the last one, whatever the file's size.
 */
import { assert } from '../assert.ts'

const CHUNK_BYTES = 4096

interface Chunk {
  readonly bytes: Uint8Array
  /** Two images hold it: copy before writing. Never becomes false again. */
  isShared: boolean
}

/** What changed since the last delta. Bytes that are in no chunk are zeros. */
export interface ImageDelta {
  readonly size: number
  readonly chunks: ReadonlyMap<number, Chunk | undefined>
}

export class Image {
  size = 0
  readonly #chunks = new Map<number, Chunk>()
  readonly #changed = new Set<number>()

  read(target: Uint8Array, targetStart: number, length: number, position: number): number {
    const end = Math.min(position + length, this.size)
    let from = position
    let to = targetStart
    while (from < end) {
      const index = Math.floor(from / CHUNK_BYTES)
      const start = from - index * CHUNK_BYTES
      const count = Math.min(CHUNK_BYTES - start, end - from)
      const chunk = this.#chunks.get(index)
      if (chunk === undefined) target.fill(0, to, to + count)
      else copyBytes(chunk.bytes, start, count, target, to)
      from += count
      to += count
    }
    return Math.max(0, end - position)
  }

  write(source: Uint8Array, start: number, end: number, position: number): void {
    let from = start
    let to = position
    while (from < end) {
      const index = Math.floor(to / CHUNK_BYTES)
      const within = to - index * CHUNK_BYTES
      const count = Math.min(CHUNK_BYTES - within, end - from)
      copyBytes(source, from, count, this.#own(index), within)
      from += count
      to += count
    }
    if (to > this.size) this.size = to
  }

  resize(size: number): void {
    assert(size >= 0 && Number.isSafeInteger(size))
    if (size < this.size) {
      const firstGone = Math.ceil(size / CHUNK_BYTES)
      for (const index of [...this.#chunks.keys()]) {
        if (index < firstGone) continue
        this.#chunks.delete(index)
        this.#changed.add(index)
      }
      const last = Math.floor(size / CHUNK_BYTES)
      if (this.#chunks.has(last)) this.#own(last).fill(0, size - last * CHUNK_BYTES)
    }
    this.size = size
  }

  /** What changed since the last call; its chunks are frozen from here on. */
  takeDelta(): ImageDelta {
    const chunks = new Map<number, Chunk | undefined>()
    for (const index of this.#changed) {
      const chunk = this.#chunks.get(index)
      if (chunk !== undefined) chunk.isShared = true
      chunks.set(index, chunk)
    }
    this.#changed.clear()
    return { size: this.size, chunks }
  }

  applyDelta(delta: ImageDelta): void {
    for (const [index, chunk] of delta.chunks) {
      if (chunk === undefined) this.#chunks.delete(index)
      else this.#chunks.set(index, chunk)
    }
    this.size = delta.size
  }

  /** An image of the same content; nothing counts as changed in it. */
  clone(): Image {
    const copy = new Image()
    for (const [index, chunk] of this.#chunks) {
      chunk.isShared = true
      copy.#chunks.set(index, chunk)
    }
    copy.size = this.size
    return copy
  }

  #own(index: number): Uint8Array {
    this.#changed.add(index)
    const chunk = this.#chunks.get(index)
    if (chunk !== undefined && !chunk.isShared) return chunk.bytes
    const bytes = chunk === undefined ? new Uint8Array(CHUNK_BYTES) : chunk.bytes.slice()
    this.#chunks.set(index, { bytes, isShared: false })
    return bytes
  }
}

/** A loop is quicker than a subarray for the short ones. */
function copyBytes(
  source: Uint8Array,
  start: number,
  count: number,
  target: Uint8Array,
  at: number,
): void {
  if (count > 32) target.set(source.subarray(start, start + count), at)
  else for (let i = 0; i < count; i++) target[at + i] = source[start + i]!
}
