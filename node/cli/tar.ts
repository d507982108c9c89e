/**
 * Writes a tar archive (POSIX.1-1988 "ustar") of small texts in memory. Names of up to 100 bytes,
 * plain files alone.
 */
import { assert } from '../../base/assert.ts'

export interface TarEntry {
  readonly name: string
  readonly content: Buffer
}

const BLOCK = 512
const NAME_BYTES_MAX = 100
const CHECKSUM_AT = 148
const CHECKSUM_BYTES = 8

/** `mtimeMs` is the time of all entries. */
export function tarOf(entries: readonly TarEntry[], mtimeMs: number): Buffer {
  const blocks: Buffer[] = []
  for (const { name, content } of entries) {
    blocks.push(headerOf(name, content.length, Math.floor(mtimeMs / 1000)), content)
    blocks.push(Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK))
  }
  blocks.push(Buffer.alloc(2 * BLOCK))
  return Buffer.concat(blocks)
}

function headerOf(name: string, sizeBytes: number, mtimeSeconds: number): Buffer {
  assert(Buffer.byteLength(name) <= NAME_BYTES_MAX, 'a name fits into a header')
  const header = Buffer.alloc(BLOCK)
  const octal = (value: number, at: number, bytes: number) => {
    header.write(value.toString(8).padStart(bytes - 1, '0'), at, 'latin1')
  }
  header.write(name, 0)
  octal(0o644, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(sizeBytes, 124, 12)
  octal(mtimeSeconds, 136, 12)
  header.fill(' ', CHECKSUM_AT, CHECKSUM_AT + CHECKSUM_BYTES)
  header.write('0', 156, 'latin1')
  header.write('ustar\u000000', 257, 'latin1')
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, CHECKSUM_AT, 'latin1')
  return header
}
