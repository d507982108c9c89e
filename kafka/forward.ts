/**
 * Kafka messages from node to node: a broker passes a client's request on to the controller, and
 * speaks the inter-broker APIs, in the wire form of the latest version that this release knows. A
 * message says its key and version first, so that nodes of two releases understand each other, or
 * refuse each other with a sentence.
 *
 * int16 key, int16 version, message (without header). What comes in is checked as if a client had
 * sent it; what goes out has a size limit.
 */
import type { Api } from './api/define.ts'
import { definitionOf } from './api/definitions.ts'
import { WireError } from './wire/reader.ts'
import type { Infer, Struct, Written } from './wire/schema.ts'
import { Writer } from './wire/writer.ts'

/** What clients may send (kafka/server), records aside, may be passed on. */
export const FORWARD_BYTES_MAX = 16 * 1024 * 1024
const PREFIX_BYTES = 4

export type ForwardErrorCode =
  | 'unknown' // no such key
  | 'unsupported' // a version that this release does not know
  | 'malformed'
  | 'too-large'

export class ForwardError extends Error {
  override readonly name = 'ForwardError'
  readonly code: ForwardErrorCode
  constructor(code: ForwardErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

export interface ForwardedRequest {
  readonly api: Api
  /** The sender's; answer in it. */
  readonly version: number
  /** In the shape of our latest version. Bytes in it are views of what was decoded. */
  readonly request: unknown
}

/** Throws ForwardError 'too-large'. */
export function encodeRequest<Q extends Struct, S extends Struct>(
  api: Api<Q, S>,
  request: Written<Q>,
): Buffer {
  const version = api.versions[1]
  const writer = begin(api.key, version)
  api.requestCodec(version).write(writer, request)
  return finish(writer, `a request ${api.name}`)
}

/** Throws ForwardError. */
export function decodeRequest(bytes: Buffer): ForwardedRequest {
  const { key, version } = prefixOf(bytes)
  const api = definitionOf(key)
  if (api === undefined) throw new ForwardError('unknown', `a request of the unknown API ${key}`)
  requireVersion(api, version)
  const request = decoded(`a request ${api.name} ${version}`, () =>
    api.requestCodec(version).decode(bytes, PREFIX_BYTES),
  )
  return { api, version, request }
}

/** `version` is the request's. Throws ForwardError 'too-large'. */
export function encodeResponse<Q extends Struct, S extends Struct>(
  api: Api<Q, S>,
  version: number,
  response: Written<S>,
): Buffer {
  requireVersion(api, version)
  const writer = begin(api.key, version)
  api.responseCodec(version).write(writer, response)
  return finish(writer, `an answer to ${api.name}`)
}

/** The answer to a request of `api`. Throws ForwardError. */
export function decodeResponse<Q extends Struct, S extends Struct>(
  api: Api<Q, S>,
  bytes: Buffer,
): Infer<S> {
  const { key, version } = prefixOf(bytes)
  if (key !== api.key) {
    throw new ForwardError('malformed', `an answer of API ${key} to a request ${api.name}`)
  }
  requireVersion(api, version)
  return decoded(`an answer to ${api.name} ${version}`, () =>
    api.responseCodec(version).decode(bytes, PREFIX_BYTES),
  )
}

function begin(key: number, version: number): Writer {
  const writer = new Writer()
  writer.int16(key)
  writer.int16(version)
  return writer
}

function finish(writer: Writer, what: string): Buffer {
  if (writer.position > FORWARD_BYTES_MAX) throw tooLarge(what, writer.position)
  return writer.finish()
}

function prefixOf(bytes: Buffer): { key: number; version: number } {
  if (bytes.length > FORWARD_BYTES_MAX) throw tooLarge('a message', bytes.length)
  if (bytes.length < PREFIX_BYTES) {
    throw new ForwardError('malformed', `a message of ${bytes.length} bytes`)
  }
  return { key: bytes.readInt16BE(0), version: bytes.readInt16BE(2) }
}

function requireVersion(api: Pick<Api, 'name' | 'versions' | 'serves'>, version: number): void {
  if (api.serves(version)) return
  const [first, last] = api.versions
  throw new ForwardError(
    'unsupported',
    `${api.name} ${version} is not known here, only ${first} to ${last}: upgrade this node first`,
  )
}

function decoded<T>(what: string, decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    if (!(error instanceof WireError)) throw error
    throw new ForwardError('malformed', `${what}: ${error.message}`, { cause: error })
  }
}

function tooLarge(what: string, bytes: number): ForwardError {
  return new ForwardError(
    'too-large',
    `${what} of ${bytes} bytes is over the limit of ${FORWARD_BYTES_MAX}`,
  )
}
