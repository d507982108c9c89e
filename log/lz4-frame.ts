/**
 * LZ4 frames around blocks that a native codec makes and reads.
 *
 * Invariant: no block is given more room than the frame's block size, the limit and what its
 * compressed bytes can yield allow. Checksums of blocks and content are skipped: the batch around
 * a frame has its own. The one of the frame header is checked, since other readers insist on it.
 */
import { DecompressionError } from './decompression-error.ts'

/** Native code for one block. */
export interface Lz4Blocks {
  encode(bytes: Uint8Array): Uint8Array
  /** Yields at most `roomBytes`, or throws; `history` is what linked blocks may refer to. */
  decode(block: Uint8Array, roomBytes: number, history: Uint8Array | undefined): Uint8Array
}

const MAGIC = 0x184d2204
const BLOCK_BYTES = 64 * 1024
const WINDOW_BYTES = 64 * 1024
const STORED_BIT = 0x80000000
/** A length byte of a match adds at most this many bytes, the token before it a few more. */
const EXPANSION_MAX = 255
const EXPANSION_SLACK_BYTES = 64
/** Version 1, independent blocks of at most 64 KB, no checksums: what every Kafka client reads. */
const HEADER = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82])
const END_MARK = Buffer.alloc(4)

interface Frame {
  readonly isIndependent: boolean
  readonly hasBlockChecksum: boolean
  readonly hasContentChecksum: boolean
  readonly blockBytesMax: number
  readonly declaredBytes: number | undefined
  readonly blocksAt: number
}

const corrupt = (what: string, options?: { cause?: unknown }) =>
  new DecompressionError('corrupt', `lz4: ${what}`, options)

export function encodeLz4(bytes: Uint8Array, blocks: Lz4Blocks): Buffer {
  const parts: Uint8Array[] = [HEADER]
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    const block = bytes.subarray(at, at + BLOCK_BYTES)
    const encoded = blocks.encode(block)
    const isStored = encoded.length >= block.length
    const size = Buffer.allocUnsafe(4)
    size.writeUInt32LE(isStored ? block.length + STORED_BIT : encoded.length)
    parts.push(size, isStored ? block : encoded)
  }
  parts.push(END_MARK)
  return Buffer.concat(parts)
}

/** All frames of `bytes`. Throws DecompressionError. */
export function decodeLz4(bytes: Buffer, limitBytes: number, blocks: Lz4Blocks): Buffer {
  return new Decoder(bytes, limitBytes, blocks).run()
}

/**
 * True for one frame of independent blocks: the only form that Java clients read. Of a stream
 * that is no frame at all the answer means nothing.
 */
export function isPlainLz4(bytes: Buffer): boolean {
  if (bytes.length < 7 || ((bytes[4] ?? 0) & 0x20) === 0) return false
  const frame = readFrame(bytes, 0)
  let at = frame.blocksAt
  while (at + 4 <= bytes.length) {
    const word = bytes.readUInt32LE(at)
    at += 4
    if (word === 0) return at + (frame.hasContentChecksum ? 4 : 0) === bytes.length
    at += (word % STORED_BIT) + (frame.hasBlockChecksum ? 4 : 0)
  }
  return false
}

class Decoder {
  readonly #bytes: Buffer
  readonly #limit: number
  readonly #blocks: Lz4Blocks
  readonly #parts: Uint8Array[] = []
  #total = 0
  #at = 0
  /** The last bytes of the frame so far, for linked blocks. */
  #history: Uint8Array | undefined

  constructor(bytes: Buffer, limitBytes: number, blocks: Lz4Blocks) {
    this.#bytes = bytes
    this.#limit = limitBytes
    this.#blocks = blocks
  }

  run(): Buffer {
    while (this.#at < this.#bytes.length) this.#frame()
    const only = this.#parts[0]
    if (this.#parts.length === 1 && only !== undefined) {
      return Buffer.from(only.buffer, only.byteOffset, only.length)
    }
    return Buffer.concat(this.#parts, this.#total)
  }

  #frame(): void {
    const frame = readFrame(this.#bytes, this.#at)
    const start = this.#total
    if (start + (frame.declaredBytes ?? 0) > this.#limit) throw this.#tooLarge()
    this.#history = undefined
    this.#at = frame.blocksAt
    while (this.#block(frame));
    if (frame.hasContentChecksum) this.#at += 4
    if (this.#at > this.#bytes.length) throw corrupt('a frame is cut off')
    if (frame.declaredBytes !== undefined && frame.declaredBytes !== this.#total - start) {
      throw corrupt('the declared size is wrong')
    }
  }

  /** False at the end mark. */
  #block(frame: Frame): boolean {
    if (this.#at + 4 > this.#bytes.length) throw corrupt('a frame is cut off')
    const word = this.#bytes.readUInt32LE(this.#at)
    this.#at += 4
    if (word === 0) return false
    const size = word % STORED_BIT
    const end = this.#at + size
    if (size > frame.blockBytesMax || end > this.#bytes.length) throw corrupt('a block is cut off')
    const block = this.#bytes.subarray(this.#at, end)
    const part = word >= STORED_BIT ? block : this.#decode(block, frame)
    this.#total += part.length
    if (this.#total > this.#limit) throw this.#tooLarge()
    this.#parts.push(part)
    if (!frame.isIndependent) this.#remember(part)
    this.#at = end + (frame.hasBlockChecksum ? 4 : 0)
    return true
  }

  #decode(block: Uint8Array, frame: Frame): Uint8Array {
    const yieldMax = block.length * EXPANSION_MAX + EXPANSION_SLACK_BYTES
    const left = this.#limit - this.#total
    const room = Math.min(frame.blockBytesMax, yieldMax, left)
    try {
      return this.#blocks.decode(block, room, this.#history)
    } catch (cause) {
      // The native code says no more than that it failed: with the last room it was the limit.
      if (room === left) throw this.#tooLarge()
      throw corrupt('a block is damaged', { cause })
    }
  }

  #remember(part: Uint8Array): void {
    const before = this.#history ?? new Uint8Array(0)
    this.#history = Buffer.concat([before, part]).subarray(-WINDOW_BYTES)
  }

  #tooLarge(): DecompressionError {
    return new DecompressionError('too-large', `lz4: more than ${this.#limit} bytes`)
  }
}

function readFrame(bytes: Buffer, at: number): Frame {
  if (at + 7 > bytes.length) throw corrupt('a frame is cut off')
  if (bytes.readUInt32LE(at) !== MAGIC) throw corrupt('not a frame')
  const flags = bytes[at + 4]!
  const sizeCode = (bytes[at + 5]! >> 4) & 7
  if (flags >> 6 !== 1 || (flags & 2) !== 0 || (bytes[at + 5]! & 0x8f) !== 0 || sizeCode < 4) {
    throw corrupt('a frame of no known version')
  }
  if ((flags & 1) !== 0) throw corrupt('a dictionary is wanted')
  const hasSize = (flags & 8) !== 0
  const checksumAt = at + (hasSize ? 14 : 6)
  if (checksumAt >= bytes.length) throw corrupt('a frame is cut off')
  const checksum = (xxHash32Short(bytes, at + 4, checksumAt) >>> 8) & 0xff
  if (bytes[checksumAt] !== checksum) throw corrupt('the frame header is damaged')
  return {
    isIndependent: (flags & 0x20) !== 0,
    hasBlockChecksum: (flags & 0x10) !== 0,
    hasContentChecksum: (flags & 4) !== 0,
    blockBytesMax: 2 ** (8 + 2 * sizeCode),
    declaredBytes: hasSize ? Number(bytes.readBigUInt64LE(at + 6)) : undefined,
    blocksAt: checksumAt + 1,
  }
}

const PRIME_1 = 0x9e3779b1
const PRIME_2 = 0x85ebca77
const PRIME_3 = 0xc2b2ae3d
const PRIME_4 = 0x27d4eb2f
const PRIME_5 = 0x165667b1

/** xxHash32 with seed 0 of fewer than 16 bytes, which is what a frame header has. */
function xxHash32Short(bytes: Buffer, start: number, end: number): number {
  const rotate = (value: number, by: number) => (value << by) | (value >>> (32 - by))
  let hash = (PRIME_5 + (end - start)) | 0
  let at = start
  for (; at + 4 <= end; at += 4) {
    hash = Math.imul(rotate(hash + Math.imul(bytes.readInt32LE(at), PRIME_3), 17), PRIME_4)
  }
  for (; at < end; at++) {
    hash = Math.imul(rotate(hash + Math.imul(bytes[at]!, PRIME_5), 11), PRIME_1)
  }
  hash = Math.imul(hash ^ (hash >>> 15), PRIME_2)
  hash = Math.imul(hash ^ (hash >>> 13), PRIME_3)
  return (hash ^ (hash >>> 16)) >>> 0
}
