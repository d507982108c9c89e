/** What a decompressor says of bytes that it will not or can't turn into others. */

/** 'corrupt': not a stream of this codec. 'too-large': it would yield more than the limit. */
export type DecompressionFault = 'corrupt' | 'too-large'

export class DecompressionError extends Error {
  override readonly name = 'DecompressionError'
  readonly fault: DecompressionFault
  constructor(fault: DecompressionFault, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.fault = fault
  }
}
