/**
 * Frames: int32 size, header, message. Requests are parsed in place, without objects, into fields of
 * one reused object.
 */
import { isUtf8 } from 'node:buffer'
import { Reader, WireError } from './reader.ts'

export const SIZE_BYTES = 4
/** Key, version, correlation id, client id length. */
const HEADER_BYTES_MIN = 10

/** What is the same in all request headers; filled by `parse`, meant to be used again. */
export class FrameHeader {
  apiKey = 0
  apiVersion = 0
  correlationId = 0
  /** The bytes of the client id; -1, -1 when it is null. */
  clientIdStart = -1
  clientIdEnd = -1
  /** Where the client id ends: the tagged section follows in header version 2, else the message. */
  position = 0

  /**
   * Reads the header's fixed part from the request that fills buffer[start, end), the size not
   * included. Throws WireError. Call `skipTags` next if the API's header version is 2.
   */
  parse(buffer: Buffer, start: number, end: number): void {
    if (end - start < HEADER_BYTES_MIN) throw new WireError(`request of ${end - start} bytes`)
    this.apiKey = ((buffer[start]! << 24) >> 16) | buffer[start + 1]!
    this.apiVersion = ((buffer[start + 2]! << 24) >> 16) | buffer[start + 3]!
    this.correlationId =
      (buffer[start + 4]! << 24) |
      (buffer[start + 5]! << 16) |
      (buffer[start + 6]! << 8) |
      buffer[start + 7]!
    const length = ((buffer[start + 8]! << 24) >> 16) | buffer[start + 9]!
    const clientIdStart = start + HEADER_BYTES_MIN
    if (length < 0) {
      if (length !== -1) throw new WireError(`client id of length ${length}`)
      this.clientIdStart = -1
      this.clientIdEnd = -1
      this.position = clientIdStart
      return
    }
    if (length > end - clientIdStart) throw new WireError('client id beyond the request')
    this.clientIdStart = clientIdStart
    this.clientIdEnd = clientIdStart + length
    this.position = this.clientIdEnd
  }

  /** Steps over the tagged section of header version 2. Throws WireError. */
  skipTags(buffer: Buffer, end: number): void {
    if (this.position < end && buffer[this.position] === 0) {
      this.position++
      return
    }
    const reader = new Reader(buffer, this.position, end)
    reader.skipTags()
    this.position = reader.position
  }

  /** Throws WireError when it is not UTF-8. */
  clientId(buffer: Buffer): string | null {
    if (this.clientIdStart < 0) return null
    const bytes = buffer.subarray(this.clientIdStart, this.clientIdEnd)
    if (!isUtf8(bytes)) throw new WireError('client id is not UTF-8')
    return bytes.toString('utf8')
  }
}

/** Size and header of a response: bytes that `writeResponseHeader` takes. */
export const responseHeaderBytes = (headerVersion: 0 | 1): number => SIZE_BYTES + 4 + headerVersion

/** Writes size, correlation id and (version 1) an empty tagged section; returns the end. */
export function writeResponseHeader(
  target: Buffer,
  at: number,
  bodyBytes: number,
  correlationId: number,
  headerVersion: 0 | 1,
): number {
  target.writeInt32BE(4 + headerVersion + bodyBytes, at)
  target.writeInt32BE(correlationId, at + 4)
  if (headerVersion === 1) target[at + 8] = 0
  return at + responseHeaderBytes(headerVersion)
}
