/**
 * Writes answers into chunks that are lent by the pool. Small answers of all connections share a
 * chunk; a chunk goes back when the last answer in it has left.
 *
 * Invariant: an answer is contiguous, and its bytes stay where they are from `finish` on, so that
 * fields can be patched until it leaves.
 */
import { assert } from '../../base/assert.ts'
import { writeInt16, writeInt32, writeInt64 } from '../../log/format.ts'
import type { BufferPool } from './memory.ts'
import type { Ticket } from './ticket.ts'

const CHUNK_BYTES = 16 * 1024
/** Room that an answer finds at its start; below it a fresh chunk is taken. */
const START_BYTES = 512

/** A lent buffer and how many use it. */
export class Chunk {
  readonly buffer: Buffer
  uses = 1
  /** Undefined when the bytes are the garbage collector's. */
  readonly #pool: BufferPool | undefined

  constructor(buffer: Buffer, pool: BufferPool | undefined) {
    this.buffer = buffer
    this.#pool = pool
  }

  release(): void {
    assert(this.uses > 0, 'a chunk is released once by each user')
    this.uses--
    if (this.uses === 0) this.#pool?.giveBack(this.buffer)
  }
}

/** Thrown when an answer would be larger than any client could want it: the request is refused. */
export class AnswerTooLarge extends Error {
  override readonly name = 'AnswerTooLarge'
}

export class AnswerWriter {
  buffer: Buffer
  position = 0
  readonly #pool: BufferPool
  readonly #answerBytesMax: number
  #chunk: Chunk
  #start = 0
  /** This chunk is for one answer that was too large for the usual ones. */
  #isGrown = false

  constructor(pool: BufferPool, answerBytesMax: number, firstChunkBytes = CHUNK_BYTES) {
    this.#pool = pool
    this.#answerBytesMax = answerBytesMax
    this.#chunk = new Chunk(pool.lend(firstChunkBytes), pool)
    this.buffer = this.#chunk.buffer
  }

  /** Bytes of the answer so far. */
  get sizeBytes(): number {
    return this.position - this.#start
  }

  /** Where a field of this answer lies, counted from its first byte. */
  get offset(): number {
    return this.position - this.#start
  }

  /** Starts an answer: room for its size, then the header. */
  begin(correlationId: number, isFlexible: boolean): void {
    if (this.buffer.length - this.position < START_BYTES) this.#replace(CHUNK_BYTES)
    this.#start = this.position
    writeInt32(this.buffer, this.position + 4, correlationId)
    this.position += 8
    if (isFlexible) this.buffer[this.position++] = 0
  }

  /** Hands the answer to its ticket. */
  finish(ticket: Ticket): void {
    const start = this.#start
    writeInt32(this.buffer, start, this.position - start - 4)
    this.#chunk.uses++
    ticket.chunk = this.#chunk
    ticket.start = start
    ticket.end = this.position
    this.#start = this.position
    // Small answers should not hold a large chunk.
    if (this.#isGrown) this.#replace(CHUNK_BYTES)
  }

  /** Drops what was written since `begin`. */
  abandon(): void {
    this.position = this.#start
    if (this.#isGrown) this.#replace(CHUNK_BYTES)
  }

  /** The writer's own use of its chunk ends. It writes no more. */
  close(): void {
    this.#chunk.release()
  }

  /** Makes room for `count` bytes at the position. */
  reserve(count: number): void {
    if (count > this.buffer.length - this.position) this.#grow(count)
  }

  #grow(count: number): void {
    const written = this.position - this.#start
    if (written + count > this.#answerBytesMax) throw new AnswerTooLarge()
    const from = this.buffer
    const start = this.#start
    const before = this.#chunk
    before.uses++ // its bytes are still needed
    this.#replace(Math.max(CHUNK_BYTES, (written + count) * 2))
    from.copy(this.buffer, 0, start, start + written)
    before.release()
    this.#start = 0
    this.position = written
    this.#isGrown = true
  }

  #replace(sizeBytes: number): void {
    this.#chunk.release()
    this.#chunk = new Chunk(this.#pool.lend(sizeBytes), this.#pool)
    this.buffer = this.#chunk.buffer
    this.position = 0
    this.#start = 0
    this.#isGrown = false
  }

  int8(value: number): void {
    this.reserve(1)
    this.buffer[this.position++] = value
  }

  int16(value: number): void {
    this.reserve(2)
    writeInt16(this.buffer, this.position, value)
    this.position += 2
  }

  int32(value: number): void {
    this.reserve(4)
    writeInt32(this.buffer, this.position, value)
    this.position += 4
  }

  int64(value: number): void {
    this.reserve(8)
    writeInt64(this.buffer, this.position, value)
    this.position += 8
  }

  uvarint(value: number): void {
    this.reserve(5)
    this.position = putUvarint(this.buffer, this.position, value)
  }

  /** A count of elements or bytes, -1 for null. */
  length(value: number, isFlexible: boolean): void {
    if (isFlexible) this.uvarint(value + 1)
    else this.int32(value)
  }

  string(value: string, isFlexible: boolean): void {
    const length = Buffer.byteLength(value)
    if (isFlexible) this.uvarint(length + 1)
    else this.int16(length)
    this.reserve(length)
    this.position += this.buffer.write(value, this.position, length, 'utf8')
  }

  nullableString(value: string | null | undefined, isFlexible: boolean): void {
    if (value !== null && value !== undefined) this.string(value, isFlexible)
    else if (isFlexible) this.int8(0)
    else this.int16(-1)
  }

  bytes(source: Uint8Array, start: number, end: number): void {
    this.reserve(end - start)
    for (let i = start; i < end; i++) this.buffer[this.position++] = source[i]!
  }
}

export function uvarintBytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++
  return bytes
}

/** Returns the position behind it. */
export function putUvarint(target: Uint8Array, position: number, value: number): number {
  let rest = value
  let at = position
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  target[at++] = rest
  return at
}
