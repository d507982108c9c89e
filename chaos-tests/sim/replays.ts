/**
 * Late replay: whole Produce frames of clients whose retries are recognised are kept as they leave,
 * and sent once more, much later, on a connection of somebody else. A node that takes one for new
 * makes duplicates.
 */
import type { Connection, ConnectionHandler, Network } from '../../base/network.ts'

const KEPT_MAX = 64
const FRAME_BYTES_MAX = 1024 * 1024
const PRODUCE = 0
const API_KEY_AT = 4

/** The last frames of a run, whoever sent them. */
export class KeptFrames {
  readonly #frames: Buffer[] = []

  get count(): number {
    return this.#frames.length
  }

  /** From 0, the oldest. */
  at(index: number): Buffer | undefined {
    return this.#frames[index]
  }

  add(frame: Buffer): void {
    this.#frames.push(frame)
    if (this.#frames.length > KEPT_MAX) this.#frames.shift()
  }
}

/** The network of a client, listened in on. */
export class TappedNetwork implements Network {
  readonly #network: Network
  readonly #kept: KeptFrames

  constructor(network: Network, kept: KeptFrames) {
    this.#network = network
    this.#kept = kept
  }

  listen(...call: Parameters<Network['listen']>): ReturnType<Network['listen']> {
    return this.#network.listen(...call)
  }

  async connect(
    options: { readonly host: string; readonly port: number; readonly timeoutMs: number },
    handler: (connection: Connection) => ConnectionHandler,
  ): Promise<Connection> {
    let tapped: TappedConnection | undefined
    const connection = await this.#network.connect(options, (raw) => {
      tapped = new TappedConnection(raw, this.#kept)
      return handler(tapped)
    })
    return tapped ?? connection
  }
}

class TappedConnection implements Connection {
  readonly remote: string
  readonly remoteAddress: string
  readonly localPort: number
  readonly #connection: Connection
  readonly #kept: KeptFrames
  #pending: Buffer = Buffer.alloc(0)

  constructor(connection: Connection, kept: KeptFrames) {
    this.#connection = connection
    this.#kept = kept
    this.remote = connection.remote
    this.remoteAddress = connection.remoteAddress
    this.localPort = connection.localPort
  }

  write(buffers: readonly Uint8Array[]): void {
    this.#connection.write(buffers)
    this.#pending = Buffer.concat([this.#pending, ...buffers])
    while (this.#pending.length > API_KEY_AT + 1) {
      const end = 4 + this.#pending.readInt32BE(0)
      if (this.#pending.length < end) return
      const frame = this.#pending.subarray(0, end)
      const isProduce = frame.readInt16BE(API_KEY_AT) === PRODUCE
      if (isProduce && frame.length <= FRAME_BYTES_MAX) this.#kept.add(Buffer.from(frame))
      this.#pending = this.#pending.subarray(end)
    }
  }

  queuedBytes(): number {
    return this.#connection.queuedBytes()
  }

  pause(): void {
    this.#connection.pause()
  }

  resume(): void {
    this.#connection.resume()
  }

  end(): void {
    this.#connection.end()
  }

  destroy(error?: Error): void {
    this.#connection.destroy(error)
  }
}

const DEAF: ConnectionHandler = { onBytes() {}, onDrain() {}, onClose() {} }

/** Sends frames to a node and never reads what it answers. */
export async function replay(
  network: Network,
  to: { readonly host: string; readonly port: number },
  frames: readonly Buffer[],
): Promise<Connection | undefined> {
  try {
    const connection = await network.connect({ ...to, timeoutMs: 1000 }, () => DEAF)
    connection.write(frames)
    return connection
  } catch {
    return undefined // nobody listens there just now
  }
}
