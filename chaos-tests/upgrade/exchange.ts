/* Frames between a client and a node: kept as they pass, sent again, and compared by what they mean. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { definitionOf } from '../../kafka/api/definitions.ts'
import type { Exchange } from './fixture.ts'

const SIZE_BYTES = 4
const CORRELATION_BYTES = 4
/** In a request: size, key, version, correlation id; then the client id with its length. */
const CLIENT_ID_AT = 12
const ANSWER_WITHIN_MS = 10_000
/** What may differ from one run to the next: who leads since when, and where it can be reached. */
const VOLATILE: ReadonlySet<string> = new Set([
  'throttleTimeMs',
  'sessionId',
  'leaderEpoch',
  'currentLeader',
  'host',
  'port',
])

/** Between clients and a node, on a port of its own: hears each request and its answer. */
export class Tap {
  readonly exchanges: Exchange[] = []
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  port = 0
  /** Of the node; known once it listens. */
  targetPort = 0
  /** Nothing is kept while this is false. */
  isKeeping = false

  constructor() {
    this.#server = createServer((outside) => this.#join(outside))
  }

  listen(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.listen(0, '127.0.0.1', () => {
        this.port = (this.#server.address() as { port: number }).port
        resolve()
      })
    })
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }

  #join(outside: Socket): void {
    const inside = connect(this.targetPort, '127.0.0.1')
    const waiting: { request: Buffer; isKept: boolean }[] = []
    const requests = new Frames((request) => waiting.push({ request, isKept: this.isKeeping }))
    const responses = new Frames((response) => {
      const { request, isKept } = waiting.shift()!
      if (!isKept) return
      this.exchanges.push({
        request: request.toString('base64'),
        response: response.toString('base64'),
      })
    })
    for (const [from, to, frames] of [
      [outside, inside, requests],
      [inside, outside, responses],
    ] as const) {
      this.#sockets.add(from)
      from.on('data', (chunk: Buffer) => {
        frames.take(chunk)
        to.write(chunk)
      })
      from.on('error', () => to.destroy())
      from.on('close', () => {
        this.#sockets.delete(from)
        to.end()
      })
    }
  }
}

/** Cuts a stream into frames. */
class Frames {
  readonly #onFrame: (frame: Buffer) => void
  #rest: Buffer = Buffer.alloc(0)

  constructor(onFrame: (frame: Buffer) => void) {
    this.#onFrame = onFrame
  }

  take(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk])
    while (this.#rest.length >= SIZE_BYTES) {
      const end = SIZE_BYTES + this.#rest.readInt32BE(0)
      if (this.#rest.length < end) return
      this.#onFrame(Buffer.from(this.#rest.subarray(0, end)))
      this.#rest = this.#rest.subarray(end)
    }
  }
}

/** Sends one frame and waits for one. */
export function sendAgain(port: number, request: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    const timer = setTimeout(() => socket.destroy(new Error('no answer')), ANSWER_WITHIN_MS)
    const frames = new Frames((frame) => {
      resolve(frame)
      socket.destroy()
    })
    socket.on('data', (chunk: Buffer) => frames.take(chunk))
    socket.on('error', reject)
    socket.on('close', () => {
      clearTimeout(timer)
      reject(new Error('the node closed the connection'))
    })
    socket.write(request)
  })
}

export const keyOf = (request: Buffer): number => request.readInt16BE(SIZE_BYTES)

function apiOf(request: Buffer) {
  const api = definitionOf(keyOf(request))
  const version = request.readInt16BE(SIZE_BYTES + 2)
  if (api?.serves(version) !== true) {
    throw new Error(`API ${keyOf(request)} ${version} is no longer served`)
  }
  return { api, version }
}

/** The body of a request, as an object. */
export function requestOf(request: Buffer): unknown {
  const { api, version } = apiOf(request)
  const clientIdBytes = Math.max(0, request.readInt16BE(CLIENT_ID_AT))
  const tagBytes = api.requestHeaderVersion(version) === 2 ? 1 : 0
  return api.requestCodec(version).decode(request, CLIENT_ID_AT + 2 + clientIdBytes + tagBytes)
}

/** What an answer says, without what may differ. */
export function meaningOf(request: Buffer, response: Buffer): string {
  const { api, version } = apiOf(request)
  const at = SIZE_BYTES + CORRELATION_BYTES + api.responseHeaderVersion(version)
  const body = api.responseCodec(version).decode(response, at)
  const text = JSON.stringify(body, (key, value) => {
    if (VOLATILE.has(key)) return undefined
    return typeof value === 'bigint' ? `${value}n` : value
  })
  return `${api.name} ${version}: ${text}`
}
