/**
 * All APIs but Produce and Fetch: decoded to objects, handled by ordinary async code, encoded. The
 * cost of a promise and a few objects a request is what keeps those handlers readable.
 */
import type { Clock } from '../../base/clock.ts'
import type { Api, HandlerContext } from '../api/define.ts'
import { registry } from '../api/registry.ts'
import type { Broker } from '../broker.ts'
import { Unavailable } from '../unavailable.ts'
import { UNSUPPORTED_VERSION } from '../wire/errors.ts'
import { FrameHeader, responseHeaderBytes, writeResponseHeader } from '../wire/frame.ts'
import { Writer } from '../wire/writer.ts'
import { Chunk } from './answer-writer.ts'
import type { Ticket } from './ticket.ts'

export const PRODUCE = 0
export const FETCH = 1
export const API_VERSIONS = 18

/** What a handler is told of the connection. */
export interface Peer {
  readonly connectionId: number
  readonly listener: string
  readonly clientHost: string
  readonly principal: string
  /** KIP-511. */
  onSoftware(name: string, version: string): void
}

const SOFTWARE_PATTERN = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/
const SOFTWARE_CHARACTERS_MAX = 100

export class SlowRequests {
  readonly #broker: Broker
  readonly #clock: Clock
  readonly #registered: readonly Api[]
  readonly #apis: (Api | undefined)[] = []

  constructor(broker: Broker, clock: Clock, apis: readonly Api[] = registry) {
    this.#broker = broker
    this.#clock = clock
    this.#registered = apis
    for (const api of apis) this.#apis[api.key] = api
  }

  get apis(): readonly Api[] {
    return this.#registered
  }

  find(apiKey: number): Api | undefined {
    return apiKey < 0 ? undefined : this.#apis[apiKey]
  }

  /**
   * Reads the request in `frame` (header included; it is the handler's for good). Throws WireError
   * for a malformed one. What is returned handles it and fills the ticket with the answer: at once,
   * or when its promise resolves; what it throws is a fault of ours.
   */
  prepare(api: Api, ticket: Ticket, frame: Buffer, peer: Peer): () => Promise<void> | undefined {
    const version = ticket.apiVersion
    const header = new FrameHeader()
    header.parse(frame, 0, frame.length)
    const clientId = header.clientId(frame)
    if (api.isFlexible(version)) header.skipTags(frame, frame.length)
    const request = api.requestCodec(version).decodeRequest(frame, header.position, frame.length)
    if (api.key === API_VERSIONS) noteSoftware(request, peer)
    const context: HandlerContext = {
      clientId,
      clientHost: peer.clientHost,
      listener: peer.listener,
      principal: peer.principal,
      apiKey: api.key,
      apiVersion: version,
      connectionId: peer.connectionId,
      nowMs: () => this.#clock.nowMs(),
      broker: this.#broker,
      apis: this.#registered,
    }
    return () => {
      const answer = api.handle!(context, request)
      if (answer instanceof Promise) {
        return answer.then(
          (value) => encode(api, ticket, value),
          (error: unknown) => {
            if (!(error instanceof Unavailable) || api.refuse === undefined) throw error
            encode(api, ticket, api.refuse(context, request, error))
          },
        )
      }
      encode(api, ticket, answer)
      return undefined
    }
  }

  /**
   * To a version of ApiVersions that is not known: version 0 with the versions that are (KIP-511).
   */
  refuseApiVersions(ticket: Ticket): void {
    const api = this.find(API_VERSIONS)!
    ticket.apiVersion = 0
    const [minVersion, maxVersion] = api.advertised
    encode(api, ticket, {
      errorCode: UNSUPPORTED_VERSION,
      apiKeys: [{ apiKey: API_VERSIONS, minVersion, maxVersion }],
    })
  }
}

function noteSoftware(request: unknown, peer: Peer): void {
  const { clientSoftwareName: name, clientSoftwareVersion: version } = request as {
    clientSoftwareName: string
    clientSoftwareVersion: string
  }
  const isName = (text: string) =>
    text.length <= SOFTWARE_CHARACTERS_MAX && SOFTWARE_PATTERN.test(text)
  if (isName(name) && isName(version)) peer.onSoftware(name, version)
}

function encode(api: Api, ticket: Ticket, value: unknown): void {
  const { apiVersion, correlationId } = ticket
  const headerVersion = api.responseHeaderVersion(apiVersion)
  const headerBytes = responseHeaderBytes(headerVersion)
  const writer = new Writer()
  writer.reserve(headerBytes)
  writer.position = headerBytes
  api.responseCodec(apiVersion).write(writer, value as never)
  const answer = writer.finish()
  writeResponseHeader(answer, 0, answer.length - headerBytes, correlationId, headerVersion)
  ticket.chunk = new Chunk(answer, undefined)
  ticket.start = 0
  ticket.end = answer.length
  const { errorCode } = value as { errorCode?: unknown }
  if (typeof errorCode === 'number') ticket.error = errorCode
}
