/**
 * Cuts the stream of one connection into frames. A frame that lies whole in what was received is
 * handed on where it lies. Only an incomplete one (or one that has to wait) is gathered in a lent
 * buffer, which grows with the bytes that have arrived, whatever the frame declares.
 *
 * Invariant: a connection between frames owns no buffer.
 */
import { assert } from '../../base/assert.ts'
import { readInt32 } from '../../log/format.ts'
import type { BufferPool } from './memory.ts'

export interface FrameOwner {
  /** False: what comes next has to wait until `proceed`. */
  isAccepting(): boolean
  /** buffer[start, end) is the frame without its size. Lent until the call returns. */
  onFrame(buffer: Buffer, start: number, end: number): void
  /** A size that can't be one: closes the cutter. `maxBytes` is the limit that it broke. */
  onBadSize(sizeBytes: number, maxBytes: number, buffer: Buffer, at: number): void
}

export interface FrameLimits {
  readonly produceBytesMax: number
  /** Records alone come in large frames; the rest is objects, which cost several times its bytes. */
  readonly otherBytesMax: number
}

const SIZE_BYTES = 4
const KEY_BYTES = 2
const PRODUCE = 0
/** A gathering buffer is at most this many times as large as what it holds. */
const GROWTH = 4

export class FrameCutter {
  readonly #owner: FrameOwner
  readonly #pool: BufferPool
  readonly #limits: FrameLimits
  #isClosed = false
  /** A frame is being handed on: its buffer stays. */
  #isHanding = false
  #gathered: Buffer | undefined
  #head = 0
  #tail = 0

  constructor(owner: FrameOwner, pool: BufferPool, limits: FrameLimits) {
    this.#owner = owner
    this.#pool = pool
    this.#limits = limits
  }

  /** Bytes that were received and not handed on. */
  get gatheredBytes(): number {
    return this.#tail - this.#head
  }

  feed(slab: Buffer, start: number, end: number): void {
    if (this.#isClosed) return
    let at = start
    if (this.#gathered !== undefined) {
      this.proceed()
      if (this.#gathered !== undefined) at = this.#complete(slab, at, end)
    }
    if (this.#gathered !== undefined || this.#isClosed) return
    at = this.#cut(slab, at, end)
    if (at < end && !this.#isClosed) this.#keep(slab, at, end, this.#frameEnd(slab, at, end))
  }

  /** Hands on what was gathered, as far as the owner accepts it. */
  proceed(): void {
    if (this.#gathered === undefined || this.#isClosed || this.#isHanding) return
    this.#head = this.#cut(this.#gathered, this.#head, this.#tail)
    if (this.#head === this.#tail || this.#isClosed) this.#drop()
  }

  /** Gives the buffer back; nothing is handed on from now on. */
  close(): void {
    this.#isClosed = true
    // A frame in the buffer may be what led here, and is still being read.
    if (!this.#isHanding) this.#drop()
  }

  #drop(): void {
    if (this.#gathered === undefined) return
    this.#pool.giveBack(this.#gathered)
    this.#gathered = undefined
    this.#head = 0
    this.#tail = 0
  }

  /** Hands on all whole frames; returns where the rest begins. */
  #cut(buffer: Buffer, start: number, end: number): number {
    let at = start
    while (!this.#isClosed && end - at >= SIZE_BYTES && this.#owner.isAccepting()) {
      const sizeBytes = readInt32(buffer, at)
      if (!this.#isGood(sizeBytes, buffer, at, end)) return end
      const frameEnd = at + SIZE_BYTES + sizeBytes
      if (frameEnd > end) break
      this.#hand(buffer, at + SIZE_BYTES, frameEnd)
      at = frameEnd
    }
    return at
  }

  #hand(buffer: Buffer, start: number, end: number): void {
    assert(!this.#isHanding, 'one frame at a time')
    this.#isHanding = true
    this.#owner.onFrame(buffer, start, end)
    this.#isHanding = false
  }

  /** buffer[at, end) is what has arrived of the frame: its size at least. */
  #isGood(sizeBytes: number, buffer: Buffer, at: number, end: number): boolean {
    const { produceBytesMax, otherBytesMax } = this.#limits
    if (sizeBytes > 0 && sizeBytes <= otherBytesMax && sizeBytes <= produceBytesMax) return true
    const isKeyHere = end - at >= SIZE_BYTES + KEY_BYTES
    const isOther = isKeyHere && buffer.readInt16BE(at + SIZE_BYTES) !== PRODUCE
    const maxBytes = isOther ? Math.min(otherBytesMax, produceBytesMax) : produceBytesMax
    if (sizeBytes > 0 && sizeBytes <= maxBytes) return true
    this.#isClosed = true
    this.#owner.onBadSize(sizeBytes, maxBytes, buffer, at)
    return false
  }

  /** Adds what the gathered frame lacks and hands it on. Returns how far `slab` was used. */
  #complete(slab: Buffer, start: number, end: number): number {
    let at = start
    for (;;) {
      const have = this.#tail - this.#head
      let wanted = SIZE_BYTES
      if (have >= SIZE_BYTES) {
        if (!this.#owner.isAccepting()) break
        const sizeBytes = readInt32(this.#gathered!, this.#head)
        if (!this.#isGood(sizeBytes, this.#gathered!, this.#head, this.#tail)) {
          this.#drop()
          return end
        }
        wanted += sizeBytes
        if (have === wanted) {
          this.#hand(this.#gathered!, this.#head + SIZE_BYTES, this.#tail)
          this.#drop()
          return at
        }
        assert(have < wanted, 'whole frames are handed on before more is read')
      }
      if (at === end) return end
      const taken = Math.min(wanted - have, end - at)
      this.#keep(slab, at, at + taken, wanted)
      at += taken
    }
    this.#keep(slab, at, end, end - at)
    return end
  }

  /** How large the frame at `at` will be with its size, as far as it is known. */
  #frameEnd(buffer: Buffer, at: number, end: number): number {
    return end - at >= SIZE_BYTES ? SIZE_BYTES + readInt32(buffer, at) : end - at
  }

  #keep(source: Buffer, start: number, end: number, frameBytes: number): void {
    const count = end - start
    if (count === 0) return
    const have = this.#tail - this.#head
    if (this.#gathered === undefined || this.#tail + count > this.#gathered.length) {
      this.#grow(have + count, frameBytes)
    }
    source.copy(this.#gathered!, this.#tail, start, end)
    this.#tail += count
  }

  #grow(neededBytes: number, frameBytes: number): void {
    const ahead = this.#pool.memory.isTight ? neededBytes : neededBytes * GROWTH
    const capacityBytes = Math.max(neededBytes, Math.min(ahead, frameBytes))
    const before = this.#gathered
    const grown = this.#pool.lend(capacityBytes)
    if (before !== undefined) {
      before.copy(grown, 0, this.#head, this.#tail)
      this.#pool.giveBack(before)
    }
    this.#tail -= this.#head
    this.#head = 0
    this.#gathered = grown
  }
}
