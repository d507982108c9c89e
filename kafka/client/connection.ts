/**
 * One connection of a client to a broker: negotiates versions, frames requests, matches answers by
 * correlation id. Answers arrive in the order of the requests, so a foreign id ends the connection.
 */
import { assert } from '../../base/assert.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import type { Connection, ConnectionHandler, Network } from '../../base/network.ts'
import { apiVersions } from '../api/18-api-versions.ts'
import type { Api } from '../api/define.ts'
import { requestHeaderCodecs } from '../wire/header.ts'
import type { Infer, Struct, Written } from '../wire/schema.ts'
import { Writer } from '../wire/writer.ts'

export type ClientErrorCode =
  | 'unreachable'
  | 'closed'
  | 'timeout'
  | 'unsupported'
  | 'malformed'
  | 'moved' // another node is to be asked by now

export class ClientError extends Error {
  override readonly name = 'ClientError'
  readonly code: ClientErrorCode
  constructor(code: ClientErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

export interface ClientParts {
  readonly network: Network
  readonly clock: Clock
}

export interface ConnectOptions {
  readonly host: string
  readonly port: number
  readonly clientId: string
  readonly timeoutMs: number
}

interface Pending {
  readonly correlationId: number
  readonly settle: (answer: Buffer | undefined, error: Error | undefined) => void
}

const ANSWER_BYTES_MAX = 256 * 1024 * 1024
const SOFTWARE = { clientSoftwareName: 'odradek', clientSoftwareVersion: '0.1.0' }

export class BrokerConnection implements ConnectionHandler {
  /** 'host:port', as it was dialled. */
  readonly address: string
  readonly #clock: Clock
  readonly #clientId: string
  readonly #pending: Pending[] = []
  readonly #versions = new Map<number, readonly [first: number, last: number]>()
  #connection: Connection | undefined
  #received: Buffer = Buffer.alloc(0)
  #used = 0
  #nextCorrelationId = 1
  #closed: Error | undefined

  private constructor(clock: Clock, { clientId, host, port }: ConnectOptions) {
    this.#clock = clock
    this.#clientId = clientId
    this.address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  }

  /** Connects and asks for the broker's versions. Throws ClientError. */
  static async connect(parts: ClientParts, options: ConnectOptions): Promise<BrokerConnection> {
    const { host, port, timeoutMs } = options
    const self = new BrokerConnection(parts.clock, options)
    try {
      self.#connection = await parts.network.connect({ host, port, timeoutMs }, () => self)
    } catch (error) {
      throw new ClientError('unreachable', `no connection to ${host}:${port}`, { cause: error })
    }
    try {
      await self.#negotiate(timeoutMs)
    } catch (error) {
      self.close()
      throw error
    }
    return self
  }

  get isOpen(): boolean {
    return this.#closed === undefined
  }

  /** Does the broker serve this API in any version? */
  knows(apiKey: number): boolean {
    return this.#versions.has(apiKey)
  }

  /** The newest version that both sides speak. Throws ClientError 'unsupported'. */
  version(api: Api<Struct, Struct>): number {
    const theirs = this.#versions.get(api.key)
    if (theirs === undefined) {
      throw new ClientError('unsupported', `the broker does not know ${api.name}`)
    }
    const version = Math.min(api.versions[1], theirs[1])
    if (version < api.versions[0] || version < theirs[0]) {
      throw new ClientError('unsupported', `no common version of ${api.name} with the broker`)
    }
    return version
  }

  /** Throws ClientError; error codes inside the answer are the caller's to read. */
  async request<Q extends Struct, S extends Struct>(
    api: Api<Q, S>,
    body: Written<Q>,
    timeoutMs: number,
    version: number = this.version(api as unknown as Api<Struct, Struct>),
  ): Promise<Infer<S>> {
    const answer = await this.#exchange(api, version, body, timeoutMs)
    const headerBytes = api.responseHeaderVersion(version) === 1 ? skipTags(answer, 4) : 4
    return api.responseCodec(version).decode(answer, headerBytes)
  }

  /** Acks=0: there is no answer. */
  send<Q extends Struct, S extends Struct>(
    api: Api<Q, S>,
    body: Written<Q>,
    version: number = this.version(api as unknown as Api<Struct, Struct>),
  ): void {
    if (this.#closed !== undefined) throw this.#closed
    this.#write(this.#frame(api, version, this.#nextCorrelationId++, body))
  }

  close(): void {
    this.#connection?.destroy()
  }

  /** Ends it now; whoever waits for an answer gets `error`. */
  abort(error: ClientError): void {
    this.#fail(error)
  }

  async #negotiate(timeoutMs: number): Promise<void> {
    let answer = await this.#askVersions(apiVersions.versions[1], timeoutMs)
    // A broker that does not know our version says so in version 0.
    if (answer.readInt16BE(4) === 35) answer = await this.#askVersions(0, timeoutMs)
    const version = this.#versionsVersion
    for (const { apiKey, minVersion, maxVersion } of apiVersions
      .responseCodec(version)
      .decode(answer, 4).apiKeys) {
      this.#versions.set(apiKey, [minVersion, maxVersion])
    }
  }

  #versionsVersion = 0

  #askVersions(version: number, timeoutMs: number): Promise<Buffer> {
    this.#versionsVersion = version
    return this.#exchange(apiVersions, version, version >= 3 ? SOFTWARE : {}, timeoutMs)
  }

  #exchange<Q extends Struct, S extends Struct>(
    api: Api<Q, S>,
    version: number,
    body: Written<Q>,
    timeoutMs: number,
  ): Promise<Buffer> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    const correlationId = this.#nextCorrelationId++
    const frame = this.#frame(api, version, correlationId, body)
    return new Promise((resolve, reject) => {
      const timer: Timer = this.#clock.after(timeoutMs, () => {
        const error = new ClientError('timeout', `${api.name}: no answer within ${timeoutMs} ms`)
        this.#fail(error)
      })
      this.#pending.push({
        correlationId,
        settle: (answer, error) => {
          timer.cancel()
          if (answer !== undefined) resolve(answer)
          else reject(error as Error)
        },
      })
      this.#write(frame)
    })
  }

  #frame<Q extends Struct, S extends Struct>(
    api: Api<Q, S>,
    version: number,
    correlationId: number,
    body: Written<Q>,
  ): Buffer {
    const writer = new Writer()
    writer.int32(0)
    requestHeaderCodecs[api.requestHeaderVersion(version)].write(writer, {
      requestApiKey: api.key,
      requestApiVersion: version,
      correlationId,
      clientId: this.#clientId,
    })
    api.requestCodec(version).write(writer, body)
    const frame = writer.finish()
    frame.writeInt32BE(frame.length - 4, 0)
    return frame
  }

  #write(frame: Buffer): void {
    assert(this.#connection !== undefined, 'connected')
    this.#connection.write([frame])
  }

  onBytes(slab: Buffer, start: number, end: number): void {
    this.#gather(slab, start, end)
    let position = 0
    while (this.#used - position >= 4) {
      const size = this.#received.readInt32BE(position)
      if (size < 4 || size > ANSWER_BYTES_MAX) {
        this.#fail(new ClientError('malformed', `an answer claims a size of ${size} bytes`))
        return
      }
      if (this.#used - position - 4 < size) break
      this.#answer(Buffer.from(this.#received.subarray(position + 4, position + 4 + size)))
      position += 4 + size
    }
    this.#received.copyWithin(0, position, this.#used)
    this.#used -= position
  }

  /** Room grows with what arrives, never with what a size claims. */
  #gather(slab: Buffer, start: number, end: number): void {
    const needed = this.#used + end - start
    if (needed > this.#received.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#received.length * 2))
      this.#received.copy(grown, 0, 0, this.#used)
      this.#received = grown
    }
    slab.copy(this.#received, this.#used, start, end)
    this.#used = needed
  }

  #answer(frame: Buffer): void {
    const pending = this.#pending.shift()
    if (pending === undefined || pending.correlationId !== frame.readInt32BE(0)) {
      if (pending !== undefined) this.#pending.unshift(pending)
      this.#fail(new ClientError('malformed', 'an answer came that nobody asked for'))
      return
    }
    pending.settle(frame, undefined)
  }

  onDrain(): void {}

  onClose(error: Error | undefined): void {
    this.#fail(new ClientError('closed', 'the broker closed the connection', { cause: error }))
  }

  #fail(error: Error): void {
    if (this.#closed !== undefined) return
    this.#closed = error
    this.#connection?.destroy()
    for (const pending of this.#pending.splice(0)) pending.settle(undefined, error)
  }
}

/** The position after the tagged section that begins at `position`. */
function skipTags(frame: Buffer, position: number): number {
  let at = position
  const uvarint = () => {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = frame.readUInt8(at++)
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new ClientError('malformed', 'a number in the header does not end')
  }
  for (let left = uvarint(); left > 0; left--) {
    uvarint()
    at += uvarint()
  }
  return at
}
