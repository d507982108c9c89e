/**
 * The five codecs, and the only door to snappy, lz4-napi and node:zlib.
 *
 * Invariant: no call yields more than the limit it was given, and memory stays within a small
 * multiple of limit and input, whatever the input declares. Everything is synchronous: a batch is
 * small, and a hop to the thread pool costs more than it.
 */
import { createRequire } from 'node:module'
import * as zlib from 'node:zlib'
import { assert } from '../base/assert.ts'
import { DecompressionError } from './decompression-error.ts'
import { decodeLz4, encodeLz4, isPlainLz4, type Lz4Blocks } from './lz4-frame.ts'
import { checkZstdFrames, decompressZstd, storeZstd } from './zstd.ts'

export { DecompressionError, type DecompressionFault } from './decompression-error.ts'

export type Codec = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** By the id in a batch's attributes. */
export const CODECS: readonly Codec[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

interface Snappy {
  compressSync(input: Uint8Array, options: { copyOutputData: boolean }): Buffer
  uncompressSync(input: Uint8Array, options: { copyOutputData: boolean }): Buffer
}

interface Lz4 {
  compressSync(input: Uint8Array): Buffer
  uncompressSync(input: Uint8Array, dictionary?: Uint8Array): Buffer
}

/** From Node 22.15 on; the types are those of Node 20. */
interface ZlibWithZstd {
  zstdCompressSync?: (bytes: Uint8Array, options?: { params?: Record<number, number> }) => Buffer
  zstdDecompressSync?: (bytes: Uint8Array, options: { maxOutputLength: number }) => Buffer
}

/** ZSTD_c_compressionLevel. */
const ZSTD_LEVEL_PARAMETER = 100

const load = createRequire(import.meta.url)
// Loaded on first use: a node that sees no such batch saves the memory and the start time.
let snappyModule: Snappy | undefined
let lz4Module: Lz4 | undefined

function snappy(): Snappy {
  snappyModule ??= load('snappy') as Snappy
  return snappyModule
}

function lz4(): Lz4 {
  lz4Module ??= load('lz4-napi') as Lz4
  return lz4Module
}

/** False where `compress` yields a correct stream that is no smaller: zstd before Node 22.15. */
export function canCompress(codec: Codec): boolean {
  return codec !== 'zstd' || (zlib as ZlibWithZstd).zstdCompressSync !== undefined
}

/** `level` counts for gzip (1 to 9) and for zstd where Node has it (1 to 22). */
export function compress(codec: Codec, bytes: Uint8Array, level?: number): Buffer {
  switch (codec) {
    case 'none':
      return asBuffer(bytes)
    case 'gzip':
      return zlib.gzipSync(bytes, level === undefined ? {} : { level })
    case 'snappy':
      return encodeXerial(bytes)
    case 'lz4':
      return encodeLz4(bytes, lz4Blocks)
    case 'zstd':
      return encodeZstd(bytes, level)
  }
}

/**
 * Throws DecompressionError, never anything else. The result may share memory with `bytes` (with
 * 'none', and with stored blocks).
 */
export function decompress(codec: Codec, bytes: Uint8Array, limitBytes: number): Buffer {
  assert(limitBytes >= 0 && limitBytes < 2 ** 32, 'a limit that a buffer can have')
  switch (codec) {
    case 'none':
      if (bytes.length > limitBytes) throw tooLarge(codec, limitBytes)
      return asBuffer(bytes)
    case 'gzip':
      return decodeGzip(bytes, limitBytes)
    case 'snappy':
      return decodeSnappy(asBuffer(bytes), limitBytes)
    case 'lz4':
      return decodeLz4(asBuffer(bytes), limitBytes, lz4Blocks)
    case 'zstd':
      return decodeZstd(bytes, limitBytes)
  }
}

/**
 * False for a stream that we can read and Java clients can't: linked or several LZ4 frames. Ask
 * only of what `decompress` has accepted.
 */
export function isReadableByAll(codec: Codec, bytes: Uint8Array): boolean {
  return codec !== 'lz4' || isPlainLz4(asBuffer(bytes))
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function tooLarge(codec: Codec, limitBytes: number): DecompressionError {
  return new DecompressionError('too-large', `${codec}: more than ${limitBytes} bytes`)
}

// gzip

const GZIP_BYTES_MIN = 18
const CHUNK_BYTES_MIN = 1024
const CHUNK_BYTES_MAX = 256 * 1024
/** Deflate yields at most 1,032 bytes for one, so a larger declared size is a lie. */
const GZIP_EXPANSION_MAX = 1032

function decodeGzip(bytes: Uint8Array, limitBytes: number): Buffer {
  if (bytes.length < GZIP_BYTES_MIN) throw new DecompressionError('corrupt', 'gzip: cut off')
  // The last four bytes hold the size of the last member. As the size of zlib's output chunk a
  // right one saves a copy, and a wrong one costs at most a chunk.
  const end = bytes.length
  const declared =
    bytes[end - 4]! | (bytes[end - 3]! << 8) | (bytes[end - 2]! << 16) | (bytes[end - 1]! << 24)
  const hint = Math.min(declared >>> 0, bytes.length * GZIP_EXPANSION_MAX)
  const chunkSize = Math.max(CHUNK_BYTES_MIN, Math.min(hint + 1, CHUNK_BYTES_MAX))
  const maxOutputLength = Math.max(1, limitBytes) // zlib refuses 0
  let output: Buffer
  try {
    output = zlib.gunzipSync(bytes, { chunkSize, maxOutputLength })
  } catch (cause) {
    throw zlibError('gzip', limitBytes, cause)
  }
  if (output.length > limitBytes) throw tooLarge('gzip', limitBytes)
  return output
}

function zlibError(codec: Codec, limitBytes: number, cause: unknown): DecompressionError {
  const code = (cause as NodeJS.ErrnoException).code
  if (code === 'ERR_BUFFER_TOO_LARGE') return tooLarge(codec, limitBytes)
  return new DecompressionError('corrupt', `${codec}: ${code ?? 'damaged'}`, { cause })
}

// snappy: bare, or in the framing of xerial's snappy-java, which Java clients write. Both are read,
// the second is written, as every client reads it.

const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEADER_BYTES = 16
const XERIAL_BLOCK_BYTES = 32 * 1024
/**
 * Three bytes yield at most 64. A larger declared size is a lie, refused before it is allocated.
 */
const SNAPPY_EXPANSION_MAX = 22
/** Native memory handed out and freed for each call is slower than a copy. */
const COPY_OUT = { copyOutputData: true }

function encodeXerial(bytes: Uint8Array): Buffer {
  const header = Buffer.alloc(XERIAL_HEADER_BYTES)
  XERIAL_MAGIC.copy(header)
  header.writeInt32BE(1, 8) // version
  header.writeInt32BE(1, 12) // oldest version that can read it
  const parts: Uint8Array[] = [header]
  for (let at = 0; at < bytes.length; at += XERIAL_BLOCK_BYTES) {
    const block = snappy().compressSync(bytes.subarray(at, at + XERIAL_BLOCK_BYTES), COPY_OUT)
    const size = Buffer.allocUnsafe(4)
    size.writeInt32BE(block.length)
    parts.push(size, block)
  }
  return Buffer.concat(parts)
}

function decodeSnappy(bytes: Buffer, limitBytes: number): Buffer {
  const isFramed = isXerialHeader(bytes, 0)
  if (!isFramed) {
    snappySize(bytes, limitBytes)
    return uncompressSnappy(bytes)
  }
  const blocks: Buffer[] = []
  let total = 0
  let at = XERIAL_HEADER_BYTES
  while (at < bytes.length) {
    if (isXerialHeader(bytes, at)) {
      // Streams may be joined.
      at += XERIAL_HEADER_BYTES
      continue
    }
    const size = at + 4 <= bytes.length ? bytes.readInt32BE(at) : -1
    at += 4
    if (size <= 0 || at + size > bytes.length) {
      throw new DecompressionError('corrupt', 'snappy: a block is cut off')
    }
    const block = bytes.subarray(at, at + size)
    total += snappySize(block, limitBytes - total)
    blocks.push(block)
    at += size
  }
  if (blocks.length === 1) return uncompressSnappy(blocks[0]!)
  // All declared sizes are known to fit before the first block is opened.
  return Buffer.concat(blocks.map(uncompressSnappy), total)
}

function isXerialHeader(bytes: Buffer, at: number): boolean {
  if (at + XERIAL_HEADER_BYTES > bytes.length || bytes[at] !== XERIAL_MAGIC[0]) return false
  return bytes.compare(XERIAL_MAGIC, 0, XERIAL_MAGIC.length, at, at + XERIAL_MAGIC.length) === 0
}

/** The size that a bare block declares; throws when it is above the limit or a lie. */
function snappySize(block: Buffer, limitBytes: number): number {
  let size = 0
  for (let i = 0; i < 5 && i < block.length; i++) {
    size += (block[i]! & 0x7f) * 2 ** (7 * i)
    if (block[i]! >= 0x80) continue
    if (size > block.length * SNAPPY_EXPANSION_MAX) break
    if (size > limitBytes) throw tooLarge('snappy', limitBytes)
    return size
  }
  throw new DecompressionError('corrupt', 'snappy: the declared size is impossible')
}

function uncompressSnappy(block: Buffer): Buffer {
  try {
    return snappy().uncompressSync(block, COPY_OUT)
  } catch (cause) {
    throw new DecompressionError('corrupt', 'snappy: damaged', { cause })
  }
}

// lz4: the native functions put the size of the yield, four bytes, before a block

/**
 * Reused for the blocks of up to 64 KB that all producers write: a buffer a batch would be as much
 * garbage as the batches are. The native code copies what it yields, so nothing points into it.
 */
let lz4Scratch: Buffer | undefined
const LZ4_SCRATCH_BYTES = 4 + 64 * 1024

function sizedRoom(sizeBytes: number): Buffer {
  if (sizeBytes > LZ4_SCRATCH_BYTES) return Buffer.allocUnsafe(sizeBytes)
  lz4Scratch ??= Buffer.allocUnsafeSlow(LZ4_SCRATCH_BYTES)
  return lz4Scratch.subarray(0, sizeBytes)
}

const lz4Blocks: Lz4Blocks = {
  encode: (bytes) => lz4().compressSync(asBuffer(bytes)).subarray(4),
  decode(block, roomBytes, history) {
    const sized = sizedRoom(4 + block.length)
    sized.writeUInt32LE(roomBytes)
    sized.set(block, 4)
    return history === undefined
      ? lz4().uncompressSync(sized)
      : lz4().uncompressSync(sized, history)
  },
}

// zstd

function encodeZstd(bytes: Uint8Array, level: number | undefined): Buffer {
  const { zstdCompressSync } = zlib as ZlibWithZstd
  if (zstdCompressSync === undefined) return storeZstd(bytes)
  if (level === undefined) return zstdCompressSync(bytes)
  return zstdCompressSync(bytes, { params: { [ZSTD_LEVEL_PARAMETER]: level } })
}

function decodeZstd(bytes: Uint8Array, limitBytes: number): Buffer {
  const { zstdDecompressSync } = zlib as ZlibWithZstd
  if (zstdDecompressSync === undefined) return decompressZstd(bytes, limitBytes)
  const declared = checkZstdFrames(bytes, limitBytes)
  const maxOutputLength = Math.max(1, limitBytes)
  let output: Buffer
  try {
    output = zstdDecompressSync(bytes, { maxOutputLength })
  } catch (cause) {
    throw zlibError('zstd', limitBytes, cause)
  }
  if (output.length > limitBytes) throw tooLarge('zstd', limitBytes)
  if (declared !== undefined && declared !== output.length) {
    throw new DecompressionError('corrupt', 'zstd: the declared size is wrong')
  }
  return output
}
