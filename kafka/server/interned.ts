/**
 * Strings that come again and again on the wire, found by their bytes, so that a known topic name
 * costs no string. A table of fixed size: a newer string takes the place of an older one.
 */
import { WireError } from '../wire/reader.ts'

const ROWS = 1024
const FNV_START = 0x811c9dc5
const FNV_PRIME = 0x01000193

interface Row {
  readonly bytes: Buffer
  readonly text: string
}

export class InternTable {
  readonly #rows: (Row | undefined)[] = new Array(ROWS).fill(undefined)
  readonly #decode: (source: Buffer, start: number, end: number) => string

  constructor(decode: (source: Buffer, start: number, end: number) => string) {
    this.#decode = decode
  }

  /** The string that source[start, end) stands for. */
  get(source: Buffer, start: number, end: number): string {
    let hash = FNV_START
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ source[i]!, FNV_PRIME)
    const index = (hash ^ (hash >>> 16)) & (ROWS - 1)
    const row = this.#rows[index]
    if (row !== undefined && isSame(row.bytes, source, start, end)) return row.text
    const text = this.#decode(source, start, end)
    // Names that can't be a topic's are not worth a place.
    if (end - start <= 255) {
      this.#rows[index] = { bytes: Buffer.from(source.subarray(start, end)), text }
    }
    return text
  }
}

function isSame(bytes: Buffer, source: Buffer, start: number, end: number): boolean {
  if (bytes.length !== end - start) return false
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== source[start + i]) return false
  return true
}

/** The bytes have been checked to be UTF-8. */
export const topicNames = () =>
  new InternTable((source, start, end) => source.toString('utf8', start, end))
export const racks = topicNames

/** 16 bytes as 22 characters of base64url. */
export const topicIds = () =>
  new InternTable((source, start, end) => {
    if (end - start !== 16) throw new WireError('a topic id has 16 bytes')
    return source.toString('base64url', start, end)
  })
