/**
 * The entropy coders of Zstandard (RFC 8878, section 4): finite state and Huffman tables, and the
 * bit stream that is read from its end.
 *
 * Invariant: every table is complete, so that a state or an index that the reader can form has an
 * entry; a description that would leave a gap is refused.
 */
import { DecompressionError } from './decompression-error.ts'

const HUFFMAN_BITS_MAX = 11
const WEIGHT_LOG_MAX = 6
const SYMBOL_MAX = 255

export interface FseTable {
  /** The table has 2^log states. */
  readonly log: number
  readonly symbols: Uint8Array
  readonly bits: Uint8Array
  readonly next: Uint16Array
}

export interface HuffmanTable {
  /** Length of the longest code; the table has 2^log entries. */
  readonly log: number
  readonly symbols: Uint8Array
  readonly bits: Uint8Array
  /** Position behind the description. */
  readonly endsAt: number
}

const corrupt = (what: string) => new DecompressionError('corrupt', `zstd: ${what}`)
const highestBit = (value: number) => 31 - Math.clz32(value)

/** `counts` by symbol, -1 for "less than one"; their sizes add up to 2^log. */
export function fseTable(counts: readonly number[], log: number): FseTable {
  const size = 1 << log
  const symbols = new Uint8Array(size)
  const bits = new Uint8Array(size)
  const next = new Uint16Array(size)
  const seen = new Uint16Array(counts.length)
  let high = size
  for (let symbol = 0; symbol < counts.length; symbol++) {
    if (counts[symbol] !== -1) {
      seen[symbol] = counts[symbol]!
      continue
    }
    symbols[--high] = symbol
    seen[symbol] = 1
  }
  const step = (size >> 1) + (size >> 3) + 3
  let at = 0
  for (let symbol = 0; symbol < counts.length; symbol++) {
    for (let i = 0; i < counts[symbol]!; i++) {
      symbols[at] = symbol
      do at = (at + step) & (size - 1)
      while (at >= high)
    }
  }
  for (let state = 0; state < size; state++) {
    const count = seen[symbols[state]!]!++
    const places = log - highestBit(count)
    bits[state] = places
    next[state] = (count << places) - size
  }
  return { log, symbols, bits, next }
}

/** One symbol that costs no bits. */
export function singleSymbolTable(symbol: number): FseTable {
  const symbols = new Uint8Array([symbol])
  return { log: 0, symbols, bits: new Uint8Array(1), next: new Uint16Array(1) }
}

/** Reads the description of a table in source[at, end), which has padding behind it. */
export function readFseTable(
  source: Uint8Array,
  start: number,
  end: number,
  symbolMax: number,
  logMax: number,
): { table: FseTable; at: number } {
  const log = (source[start]! & 15) + 5
  if (start >= end || log > logMax) throw corrupt('a table is too large')
  const endBit = (end - start) * 8
  let bit = 4
  const peek = (count: number) => {
    const at = start + (bit >> 3)
    const word = source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16)
    return (word >> (bit & 7)) & ((1 << count) - 1)
  }
  const counts: number[] = []
  let left = 1 << log
  while (left > 0) {
    if (bit >= endBit || counts.length > symbolMax) throw corrupt('a table is damaged')
    const places = highestBit(left + 1) + 1
    const low = (1 << (places - 1)) - 1
    const short = (1 << places) - 2 - left // so many values need one bit less
    let value = peek(places)
    if ((value & low) < short) {
      value &= low
      bit += places - 1
    } else {
      if (value > low) value -= short
      bit += places
    }
    counts.push(value - 1)
    left -= Math.abs(value - 1)
    if (value !== 1) continue
    for (let zeros = 3; zeros === 3; ) {
      if (bit >= endBit || counts.length > symbolMax) throw corrupt('a table is damaged')
      zeros = peek(2)
      bit += 2
      for (let i = 0; i < zeros; i++) counts.push(0)
    }
  }
  if (left < 0 || bit > endBit || counts.length > symbolMax + 1) throw corrupt('a table is damaged')
  return { table: fseTable(counts, log), at: start + ((bit + 7) >> 3) }
}

/** Reads the description of a Huffman table in source[at, end). */
export function readHuffmanTable(source: Uint8Array, at: number, end: number): HuffmanTable {
  if (at >= end) throw corrupt('a Huffman table is cut off')
  const header = source[at]!
  const weights: number[] = []
  let endsAt: number
  if (header >= 128) {
    const count = header - 127
    endsAt = at + 1 + ((count + 1) >> 1)
    if (endsAt > end) throw corrupt('a Huffman table is cut off')
    for (let i = 0; i < count; i++) {
      const pair = source[at + 1 + (i >> 1)]!
      weights.push(i % 2 === 0 ? pair >> 4 : pair & 15)
    }
  } else {
    endsAt = at + 1 + header
    if (endsAt > end) throw corrupt('a Huffman table is cut off')
    const coded = readFseTable(source, at + 1, endsAt, SYMBOL_MAX, WEIGHT_LOG_MAX)
    new ReverseBits().decodeWeights(source, coded.at, endsAt, coded.table, weights)
  }
  return huffmanTable(weights, endsAt)
}

function huffmanTable(weights: number[], endsAt: number): HuffmanTable {
  let sum = 0
  for (const weight of weights) {
    if (weight > HUFFMAN_BITS_MAX) throw corrupt('a Huffman weight is too large')
    if (weight > 0) sum += 1 << (weight - 1)
  }
  if (sum === 0) throw corrupt('a Huffman table without symbols')
  const log = highestBit(sum) + 1
  const rest = (1 << log) - sum
  if (log > HUFFMAN_BITS_MAX || (rest & (rest - 1)) !== 0)
    throw corrupt('Huffman weights do not fit')
  weights.push(highestBit(rest) + 1) // the last one is not sent: it completes the sum
  if (weights.length > SYMBOL_MAX + 1) throw corrupt('too many Huffman symbols')
  const symbols = new Uint8Array(1 << log)
  const bits = new Uint8Array(1 << log)
  let at = 0
  for (let weight = 1; weight <= log; weight++) {
    for (let symbol = 0; symbol < weights.length; symbol++) {
      if (weights[symbol] !== weight) continue
      const next = at + (1 << (weight - 1))
      symbols.fill(symbol, at, next)
      bits.fill(log + 1 - weight, at, next)
      at = next
    }
  }
  return { log, symbols, bits, endsAt }
}

/** A bit stream that begins at its end, below the highest bit set in its last byte. */
export class ReverseBits {
  /** Bits not yet read; below zero when more were asked for than there are (they read as zeros). */
  left = 0
  #source = new Uint8Array(0)
  #start = 0

  /** source[start, end) with at least four bytes of padding behind. */
  open(source: Uint8Array, start: number, end: number): void {
    if (start >= end || source[end - 1] === 0) throw corrupt('a bit stream without a beginning')
    this.#source = source as Uint8Array<ArrayBuffer>
    this.#start = start
    this.left = (end - start - 1) * 8 + highestBit(source[end - 1]!)
  }

  /** Up to 31 bits. */
  read(count: number): number {
    if (count > 16) return this.read(count - 16) * 65536 + this.read(16)
    this.left -= count
    return this.#peek(this.left, count)
  }

  /** `count` <= 16 bits from bit `from` on; those below bit 0 are zero. */
  #peek(from: number, count: number): number {
    if (from < 0) {
      const present = count + from
      return present > 0 ? this.#peek(0, present) << -from : 0
    }
    const source = this.#source
    const at = this.#start + (from >> 3)
    const word = source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16)
    return (word >> (from & 7)) & ((1 << count) - 1)
  }

  decodeHuffman(
    source: Uint8Array,
    start: number,
    end: number,
    table: HuffmanTable,
    target: Uint8Array,
    from: number,
    to: number,
  ): void {
    this.open(source, start, end)
    const { log, symbols, bits } = table
    const mask = (1 << log) - 1
    let left = this.left
    let at = from
    for (; at < to && left >= log; at++) {
      const bit = left - log
      const byte = start + (bit >> 3)
      const word = source[byte]! | (source[byte + 1]! << 8) | (source[byte + 2]! << 16)
      const index = (word >> (bit & 7)) & mask
      target[at] = symbols[index]!
      left -= bits[index]!
    }
    for (; at < to && left > 0; at++) {
      const index = this.#peek(left - log, log)
      target[at] = symbols[index]!
      left -= bits[index]!
    }
    if (at !== to || left !== 0) throw corrupt('a literal stream does not fit')
  }

  /** Huffman weights: two states take turns until the bits are used up. */
  decodeWeights(
    source: Uint8Array,
    start: number,
    end: number,
    table: FseTable,
    weights: number[],
  ): void {
    this.open(source, start, end)
    let state = this.read(table.log)
    let other = this.read(table.log)
    if (this.left < 0) throw corrupt('Huffman weights are cut off')
    while (weights.length < SYMBOL_MAX - 1) {
      weights.push(table.symbols[state]!)
      const next = table.next[state]! + this.read(table.bits[state]!)
      if (this.left < 0) {
        weights.push(table.symbols[other]!)
        return
      }
      state = other
      other = next
    }
    throw corrupt('too many Huffman weights')
  }
}
