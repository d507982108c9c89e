/** Connections for tests: what the server writes is kept, and leaves when the test says so. */
import assert from 'node:assert/strict'
import type {
  Connection,
  ConnectionHandler,
  Listener,
  ListenOptions,
  Network,
} from '../../../base/network.ts'

export class FakeConnection implements Connection {
  readonly remote: string
  readonly remoteAddress: string
  readonly localPort = 9092
  handler: ConnectionHandler | undefined
  isPaused = false
  isEnded = false
  isDestroyed = false
  isClosed = false
  writes = 0
  /** False: what is written stays queued until `drain`. */
  isReading = true
  readonly #queued: Uint8Array[] = []
  #received = Buffer.alloc(0)

  constructor(remoteAddress = '127.0.0.1') {
    this.remoteAddress = remoteAddress
    this.remote = `${remoteAddress}:50000`
  }

  write(buffers: readonly Uint8Array[]): void {
    assert.equal(this.isDestroyed || this.isEnded, false, 'nothing is sent after the end')
    this.writes++
    this.#queued.push(...buffers)
    if (this.isReading) this.take()
  }

  /** The client reads all that is queued (or about `bytes` of it). Buffers are copied only now. */
  take(bytes = Number.POSITIVE_INFINITY): void {
    let left = bytes
    while (this.#queued.length > 0 && left > 0) {
      const first = this.#queued.shift()!
      left -= first.length
      this.#received = Buffer.concat([this.#received, first])
    }
  }

  queuedBytes(): number {
    return this.#queued.reduce((sum, buffer) => sum + buffer.length, 0)
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }

  end(): void {
    this.isEnded = true
  }

  destroy(): void {
    this.isDestroyed = true
  }

  /** What the network does some time after `end` or `destroy`, or when the client goes. */
  finish(error?: Error): void {
    assert.equal(this.isClosed, false, 'closed once')
    this.isClosed = true
    this.handler!.onClose(error)
  }

  /** Sends to the server, in a slab that is overwritten afterwards. */
  send(bytes: Uint8Array, pieceBytes = Number.POSITIVE_INFINITY): void {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const piece = bytes.subarray(at, Math.min(bytes.length, at + pieceBytes))
      const slab = Buffer.alloc(piece.length + 7, 0xee)
      slab.set(piece, 3)
      this.handler!.onBytes(slab, 3, 3 + piece.length)
      slab.fill(0xee)
    }
  }

  /** All whole answers that were received, without their size; they are taken out. */
  answers(): Buffer[] {
    const answers: Buffer[] = []
    let at = 0
    const received = this.#received
    while (received.length - at >= 4) {
      const end = at + 4 + received.readInt32BE(at)
      if (end > received.length) break
      answers.push(received.subarray(at + 4, end))
      at = end
    }
    this.#received = received.subarray(at)
    return answers
  }
}

export class FakeNetwork implements Network {
  #accept: ((connection: Connection) => ConnectionHandler) | undefined
  isListening = false

  listen(
    options: ListenOptions,
    accept: (connection: Connection) => ConnectionHandler,
  ): Promise<Listener> {
    this.#accept = accept
    this.isListening = true
    const close = () => {
      this.isListening = false
      return Promise.resolve()
    }
    return Promise.resolve({ host: options.host, port: options.port, close })
  }

  connect(): Promise<Connection> {
    return Promise.reject(new Error('this network has servers only'))
  }

  /** A client connects. */
  dial(remoteAddress?: string): FakeConnection {
    assert.ok(this.#accept !== undefined, 'somebody listens')
    const connection = new FakeConnection(remoteAddress)
    connection.handler = this.#accept(connection)
    return connection
  }
}
