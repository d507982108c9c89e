/**
 * Zstandard (RFC 8878) for a Node without it: a full decoder, and a writer that only stores.
 *
 * Invariant: work and memory are bounded by the input and by the limit, whatever the input says.
 * Each sequence is checked against the block's 128 KB before a byte is copied, which is why this
 * is not left to a decoder that trusts its input: ten hostile bytes can ask for billions of copies.
 * Checksums of the content are skipped: the batch around it has one of its own.
 */
import { DecompressionError } from './decompression-error.ts'
import {
  type FseTable,
  fseTable,
  type HuffmanTable,
  ReverseBits,
  readFseTable,
  readHuffmanTable,
  singleSymbolTable,
} from './zstd-tables.ts'

const FRAME_MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
const BLOCK_BYTES_MAX = 128 * 1024
/** What zstd itself accepts unless told otherwise: a window of 2^27 bytes. */
const WINDOW_BYTES_MAX = 2 ** 27
/** So that a load of four bytes at the last byte stays inside. */
const PADDING_BYTES = 8

const RAW = 0
const RLE = 1
const COMPRESSED = 2

// biome-ignore format: as the RFC lists them
const LITERAL_LENGTH_BASE = new Int32Array([
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 28, 32, 40, 48, 64,
  128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536,
])
// biome-ignore format: as the RFC lists them
const LITERAL_LENGTH_BITS = new Uint8Array([
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11,
  12, 13, 14, 15, 16,
])
// biome-ignore format: as the RFC lists them
const MATCH_LENGTH_BASE = new Int32Array([
  3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
  29, 30, 31, 32, 33, 34, 35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051,
  4099, 8195, 16387, 32771, 65539,
])
// biome-ignore format: as the RFC lists them
const MATCH_LENGTH_BITS = new Uint8Array([
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
])
// biome-ignore format: as the RFC lists them
const LITERAL_LENGTH_DEFAULT = fseTable([
  4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1,
  -1, -1, -1, -1,
], 6)
// biome-ignore format: as the RFC lists them
const MATCH_LENGTH_DEFAULT = fseTable([
  1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
], 6)
// biome-ignore format: as the RFC lists them
const OFFSET_DEFAULT = fseTable([
  1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1,
], 5)

interface SymbolKind {
  readonly fallback: FseTable
  readonly symbolMax: number
  readonly logMax: number
}

const LITERAL_LENGTHS: SymbolKind = { fallback: LITERAL_LENGTH_DEFAULT, symbolMax: 35, logMax: 9 }
const OFFSETS: SymbolKind = { fallback: OFFSET_DEFAULT, symbolMax: 31, logMax: 8 }
const MATCH_LENGTHS: SymbolKind = { fallback: MATCH_LENGTH_DEFAULT, symbolMax: 52, logMax: 9 }

const corrupt = (what: string) => new DecompressionError('corrupt', `zstd: ${what}`)

/** All frames of `bytes`. Throws DecompressionError; allocates at most twice `limitBytes`. */
export function decompressZstd(bytes: Uint8Array, limitBytes: number): Buffer {
  return new Decoder(bytes, limitBytes).run()
}

interface FrameHeader {
  readonly windowBytes: number
  readonly declaredBytes: number | undefined
  readonly hasChecksum: boolean
  readonly blocksAt: number
}

/** An unsigned little endian number of up to 8 bytes; a large one is rounded. */
function readLittle(source: Uint8Array, at: number, bytes: number): number {
  let value = 0
  for (let i = bytes - 1; i >= 0; i--) value = value * 256 + (source[at + i] ?? 0)
  return value
}

/** `at` is behind the magic number. */
function readFrameHeader(source: Uint8Array, at: number, end: number): FrameHeader {
  const descriptor = readLittle(source, at, 1)
  if ((descriptor & 8) !== 0) throw corrupt('a reserved bit is set')
  const isSingleSegment = (descriptor & 0x20) !== 0
  const dictionaryAt = at + (isSingleSegment ? 1 : 2)
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!
  if (readLittle(source, dictionaryAt, dictionaryBytes) !== 0)
    throw corrupt('a dictionary is wanted')
  const sizeFlag = descriptor >> 6
  const sizeAt = dictionaryAt + dictionaryBytes
  const sizeBytes = sizeFlag === 0 ? (isSingleSegment ? 1 : 0) : 1 << sizeFlag
  const size = readLittle(source, sizeAt, sizeBytes) + (sizeFlag === 1 ? 256 : 0)
  const blocksAt = sizeAt + sizeBytes
  if (blocksAt > end) throw corrupt('a header is cut off')
  const windowByte = source[at + 1]!
  const base = 2 ** (10 + (windowByte >> 3))
  const windowBytes = isSingleSegment ? size : base + (base / 8) * (windowByte & 7)
  if (windowBytes > WINDOW_BYTES_MAX) throw corrupt('the window is too large')
  const declaredBytes = sizeBytes > 0 ? size : undefined
  return { windowBytes, declaredBytes, hasChecksum: (descriptor & 4) !== 0, blocksAt }
}

/**
 * Looks at the frames without opening a block: throws unless they are whole, and declare no more
 * than the limit. Node's own decoder takes what is cut off for the end. Returns the bytes that the
 * frames declare together; undefined when one does not say.
 */
export function checkZstdFrames(bytes: Uint8Array, limitBytes: number): number | undefined {
  let declared = 0
  let isDeclared = true
  let at = 0
  while (at < bytes.length) {
    const magic = readLittle(bytes, at, 4)
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
      at += 8 + readLittle(bytes, at + 4, 4)
    } else {
      if (magic !== FRAME_MAGIC) throw corrupt('not a frame')
      const frame = readFrameHeader(bytes, at + 4, bytes.length)
      declared += frame.declaredBytes ?? 0
      isDeclared &&= frame.declaredBytes !== undefined
      at = endOfBlocks(bytes, frame.blocksAt) + (frame.hasChecksum ? 4 : 0)
    }
    if (at > bytes.length) throw corrupt('a frame is cut off')
  }
  if (declared > limitBytes) {
    throw new DecompressionError('too-large', `zstd: more than ${limitBytes} bytes`)
  }
  return isDeclared ? declared : undefined
}

function endOfBlocks(bytes: Uint8Array, start: number): number {
  for (let at = start; at + 3 <= bytes.length; ) {
    const header = readLittle(bytes, at, 3)
    at += 3 + (((header >> 1) & 3) === RLE ? 1 : header >> 3)
    if ((header & 1) !== 0) return at
  }
  throw corrupt('a frame is cut off')
}

class Decoder {
  readonly #source: Uint8Array
  readonly #end: number
  readonly #limit: number
  #at = 0
  #output: Buffer
  #written = 0

  // The state of one frame.
  #frameStart = 0
  #blockBytesMax = 0
  #huffman: HuffmanTable | undefined
  #literalLengths: FseTable | undefined
  #offsets: FseTable | undefined
  #matchLengths: FseTable | undefined
  readonly #recent = new Int32Array(3)
  readonly #bits = new ReverseBits()

  // The literals of the block at hand: source or scratch [start, end).
  #scratch = new Uint8Array(0)
  #literals: Uint8Array = this.#scratch
  #literalsAt = 0
  #literalsEnd = 0

  constructor(bytes: Uint8Array, limitBytes: number) {
    this.#source = new Uint8Array(bytes.length + PADDING_BYTES)
    this.#source.set(bytes)
    this.#end = bytes.length
    this.#limit = limitBytes
    this.#output = Buffer.allocUnsafe(Math.min(limitBytes, bytes.length * 4))
  }

  run(): Buffer {
    while (this.#at < this.#end) {
      if (this.#end - this.#at < 5) throw corrupt('a frame is cut off')
      const magic = readLittle(this.#source, this.#at, 4)
      this.#at += 4
      if (magic === FRAME_MAGIC) this.#frame()
      else if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) this.#skip(this.#little(4))
      else throw corrupt('not a frame')
    }
    return this.#output.subarray(0, this.#written)
  }

  #little(bytes: number): number {
    const value = readLittle(this.#source, this.#at, bytes)
    this.#skip(bytes)
    return value
  }

  #skip(bytes: number): void {
    if (this.#at + bytes > this.#end) throw corrupt('a frame is cut off')
    this.#at += bytes
  }

  #frame(): void {
    const frame = readFrameHeader(this.#source, this.#at, this.#end)
    const declared = frame.declaredBytes
    if (declared !== undefined && this.#written + declared > this.#limit) throw this.#tooLarge()
    this.#at = frame.blocksAt
    this.#frameStart = this.#written
    this.#blockBytesMax = Math.min(frame.windowBytes, BLOCK_BYTES_MAX)
    this.#huffman = undefined
    this.#literalLengths = undefined
    this.#offsets = undefined
    this.#matchLengths = undefined
    this.#recent[0] = 1
    this.#recent[1] = 4
    this.#recent[2] = 8
    while (!this.#block());
    if (declared !== undefined && this.#written - this.#frameStart !== declared) {
      throw corrupt('the declared size is wrong')
    }
    if (frame.hasChecksum) this.#skip(4)
  }

  /** True after the last block. */
  #block(): boolean {
    const header = this.#little(3)
    const kind = (header >> 1) & 3
    const size = header >> 3
    if (kind === RAW) {
      this.#reserve(size)
      const start = this.#at
      this.#skip(size)
      this.#output.set(this.#source.subarray(start, this.#at), this.#written)
      this.#written += size
    } else if (kind === RLE) {
      this.#reserve(size)
      this.#output.fill(this.#little(1), this.#written, this.#written + size)
      this.#written += size
    } else if (kind === COMPRESSED) {
      const start = this.#at
      this.#skip(size)
      this.#compressedBlock(start, this.#at)
    } else throw corrupt('a block of no known kind')
    return (header & 1) !== 0
  }

  #tooLarge(): DecompressionError {
    return new DecompressionError('too-large', `zstd: more than ${this.#limit} bytes`)
  }

  /** Makes room for `size` more bytes of one block. */
  #reserve(size: number): void {
    if (size > this.#blockBytesMax) throw corrupt('a block is too large')
    const needed = this.#written + size
    if (needed <= this.#output.length) return
    if (needed > this.#limit) throw this.#tooLarge()
    const grown = Buffer.allocUnsafe(Math.min(this.#limit, Math.max(needed, needed * 2)))
    this.#output.copy(grown, 0, 0, this.#written)
    this.#output = grown
  }

  #compressedBlock(start: number, end: number): void {
    // RFC 8878, 3.1.1.3: a literals section (3 bytes at least, for nothing) and a sequence count.
    if (end - start < 2) throw corrupt('a block is cut off')
    let at = this.#readLiterals(start, end)
    if (at >= end) throw corrupt('a block is cut off')
    const first = this.#source[at++]!
    let count = first
    if (first === 255) {
      count = this.#source[at]! + (this.#source[at + 1]! << 8) + 0x7f00
      at += 2
    } else if (first > 127) {
      count = ((first - 128) << 8) + this.#source[at++]!
    }
    const blockStart = this.#written
    if (count > 0) this.#sequences(count, at, end)
    else if (at !== end) throw corrupt('bytes behind the last literal')
    const rest = this.#literalsEnd - this.#literalsAt
    this.#checkBlock(blockStart, rest)
    this.#output.set(this.#literals.subarray(this.#literalsAt, this.#literalsEnd), this.#written)
    this.#written += rest
  }

  #checkBlock(blockStart: number, more: number): void {
    if (this.#written - blockStart + more > this.#blockBytesMax)
      throw corrupt('a block is too large')
    this.#reserve(more)
  }

  /** Sets the literals of a block; returns the position behind their section. */
  #readLiterals(start: number, end: number): number {
    const source = this.#source
    const first = source[start]!
    const kind = first & 3
    const format = (first >> 2) & 3
    if (kind >= 2) return this.#huffmanLiterals(start, end)
    const headerBytes = format === 1 ? 2 : format === 3 ? 3 : 1
    const header = first | (source[start + 1]! << 8) | (source[start + 2]! << 16)
    const size =
      headerBytes === 1 ? first >> 3 : headerBytes === 2 ? (header & 0xffff) >> 4 : header >> 4
    const at = start + headerBytes
    const bytes = kind === RAW ? size : 1
    if (at + bytes > end || size > this.#blockBytesMax) throw corrupt('literals are cut off')
    if (kind === RAW) {
      this.#literals = source
      this.#literalsAt = at
      this.#literalsEnd = at + size
    } else {
      this.#literals = this.#scratchOf(size).fill(source[at]!, 0, size)
      this.#literalsAt = 0
      this.#literalsEnd = size
    }
    return at + bytes
  }

  #scratchOf(size: number): Uint8Array {
    if (this.#scratch.length < size) this.#scratch = new Uint8Array(size)
    return this.#scratch
  }

  #huffmanLiterals(start: number, end: number): number {
    const source = this.#source
    const format = (source[start]! >> 2) & 3
    const fieldBits = format < 2 ? 10 : format === 2 ? 14 : 18
    const headerBytes = format < 2 ? 3 : format + 2
    let header = 0
    for (let i = headerBytes - 1; i >= 0; i--) header = header * 256 + source[start + i]!
    header = Math.floor(header / 16)
    const size = header % 2 ** fieldBits
    const compressed = Math.floor(header / 2 ** fieldBits)
    let at = start + headerBytes
    const sectionEnd = at + compressed
    if (sectionEnd > end || size > this.#blockBytesMax) throw corrupt('literals are cut off')
    if ((source[start]! & 3) === 2) {
      this.#huffman = readHuffmanTable(source, at, sectionEnd)
      at = this.#huffman.endsAt
    }
    const table = this.#huffman
    if (table === undefined) throw corrupt('no Huffman table to repeat')
    const target = this.#scratchOf(size)
    if (format === 0) {
      this.#bits.decodeHuffman(source, at, sectionEnd, table, target, 0, size)
    } else {
      if (sectionEnd - at < 6) throw corrupt('literals are cut off')
      const quarter = (size + 3) >> 2
      let streamAt = at + 6
      for (let i = 0; i < 4; i++) {
        const bytes = source[at + 2 * i]! | (source[at + 2 * i + 1]! << 8)
        const streamEnd = i === 3 ? sectionEnd : streamAt + bytes
        const from = i * quarter
        const to = i === 3 ? size : from + quarter
        if (streamEnd > sectionEnd || to > size || from > to) throw corrupt('literals are cut off')
        this.#bits.decodeHuffman(source, streamAt, streamEnd, table, target, from, to)
        streamAt = streamEnd
      }
    }
    this.#literals = target
    this.#literalsAt = 0
    this.#literalsEnd = size
    return sectionEnd
  }

  #table(kind: SymbolKind, mode: number, at: number, end: number, last: FseTable | undefined) {
    if (mode === 0) return { table: kind.fallback, at }
    if (mode === 1) {
      const symbol = this.#source[at]!
      if (at >= end || symbol > kind.symbolMax) throw corrupt('a symbol of no known meaning')
      return { table: singleSymbolTable(symbol), at: at + 1 }
    }
    if (mode === 2) return readFseTable(this.#source, at, end, kind.symbolMax, kind.logMax)
    if (last === undefined) throw corrupt('no table to repeat')
    return { table: last, at }
  }

  #sequences(count: number, start: number, end: number): void {
    const modes = this.#source[start]!
    if (start >= end || (modes & 3) !== 0) throw corrupt('sequence modes are damaged')
    const first = this.#table(LITERAL_LENGTHS, modes >> 6, start + 1, end, this.#literalLengths)
    const second = this.#table(OFFSETS, (modes >> 4) & 3, first.at, end, this.#offsets)
    const third = this.#table(MATCH_LENGTHS, (modes >> 2) & 3, second.at, end, this.#matchLengths)
    this.#literalLengths = first.table
    this.#offsets = second.table
    this.#matchLengths = third.table
    const bits = this.#bits
    bits.open(this.#source, third.at, end)
    this.#runSequences(count, first.table, second.table, third.table)
    if (bits.left !== 0) throw corrupt('bits are left over or missing')
  }

  #runSequences(count: number, lengths: FseTable, offsets: FseTable, matches: FseTable): void {
    const bits = this.#bits
    const blockStart = this.#written
    let lengthState = bits.read(lengths.log)
    let offsetState = bits.read(offsets.log)
    let matchState = bits.read(matches.log)
    for (let i = 0; i < count; i++) {
      const offsetCode = offsets.symbols[offsetState]!
      const matchCode = matches.symbols[matchState]!
      const lengthCode = lengths.symbols[lengthState]!
      const offsetValue = 2 ** offsetCode + bits.read(offsetCode)
      const matchBytes = MATCH_LENGTH_BASE[matchCode]! + bits.read(MATCH_LENGTH_BITS[matchCode]!)
      const literalBytes =
        LITERAL_LENGTH_BASE[lengthCode]! + bits.read(LITERAL_LENGTH_BITS[lengthCode]!)
      if (i + 1 < count) {
        lengthState = lengths.next[lengthState]! + bits.read(lengths.bits[lengthState]!)
        matchState = matches.next[matchState]! + bits.read(matches.bits[matchState]!)
        offsetState = offsets.next[offsetState]! + bits.read(offsets.bits[offsetState]!)
      }
      if (bits.left < 0) throw corrupt('bits are missing')
      if (literalBytes > this.#literalsEnd - this.#literalsAt) throw corrupt('literals are missing')
      this.#checkBlock(blockStart, literalBytes + matchBytes)
      this.#copyLiterals(literalBytes)
      const distance = this.#distance(offsetValue, literalBytes)
      if (distance <= 0 || distance > this.#written - this.#frameStart) {
        throw corrupt('a match before the first byte')
      }
      this.#copyMatch(distance, matchBytes)
    }
  }

  /** RFC 8878, 3.1.1.5: values up to 3 stand for the last three offsets. */
  #distance(value: number, literalBytes: number): number {
    const recent = this.#recent
    if (value > 3) {
      recent[2] = recent[1]!
      recent[1] = recent[0]!
      recent[0] = Math.min(value - 3, 0x7fffffff)
      return recent[0]!
    }
    const index = literalBytes === 0 ? value : value - 1
    if (index === 0) return recent[0]!
    const distance = index === 3 ? recent[0]! - 1 : recent[index]!
    if (index > 1) recent[2] = recent[1]!
    recent[1] = recent[0]!
    recent[0] = distance
    return distance
  }

  #copyLiterals(bytes: number): void {
    const from = this.#literals
    const output = this.#output
    let at = this.#literalsAt
    let to = this.#written
    this.#literalsAt = at + bytes
    this.#written = to + bytes
    if (bytes > 32) {
      output.set(from.subarray(at, at + bytes), to)
      return
    }
    for (const end = at + bytes; at < end; ) output[to++] = from[at++]!
  }

  #copyMatch(distance: number, bytes: number): void {
    const output = this.#output
    let to = this.#written
    let from = to - distance
    this.#written = to + bytes
    if (distance >= bytes && bytes > 32) {
      output.copyWithin(to, from, from + bytes)
      return
    }
    for (const end = to + bytes; to < end; ) output[to++] = output[from++]!
  }
}

/**
 * A correct frame that does not compress: raw blocks, and RLE blocks for runs of one byte. The
 * format allows it and every decoder reads it; Node 20 has nothing better, and it is used only
 * where a topic asks for zstd and the producer sent something else.
 */
export function storeZstd(bytes: Uint8Array): Buffer {
  const blocks = Math.max(1, Math.ceil(bytes.length / BLOCK_BYTES_MAX))
  const target = Buffer.allocUnsafe(9 + blocks * 3 + bytes.length)
  target.writeUInt32LE(FRAME_MAGIC, 0)
  target[4] = 0xa0 // single segment, content size in 4 bytes
  target.writeUInt32LE(bytes.length, 5)
  let to = 9
  for (let i = 0; i < blocks; i++) {
    const block = bytes.subarray(i * BLOCK_BYTES_MAX, (i + 1) * BLOCK_BYTES_MAX)
    const isRun = block.length > 1 && block.every((byte) => byte === block[0])
    const isLast = i === blocks - 1 ? 1 : 0
    target.writeUIntLE((block.length << 3) | ((isRun ? RLE : RAW) << 1) | isLast, to, 3)
    to += 3
    const stored = isRun ? block.subarray(0, 1) : block
    target.set(stored, to)
    to += stored.length
  }
  return target.subarray(0, to)
}
