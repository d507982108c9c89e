/**
 * One end of a gRPC stream of opaque messages, held back by the bytes that have not left yet.
 *
 * grpc-js tells a server that its client has ended in the same words whether it said so or was
 * lost. So a client that ends cleanly sends one reserved message first, its farewell, and an end
 * without it is a loss.
 */
import type { Clock } from '../base/clock.ts'
import { spendYoung } from '../base/real/young.ts'
import { RpcError, type RpcIdentity, type RpcStream, type RpcStreamHandler } from '../base/rpc.ts'

/** A sender that gets ahead by more waits until half of it has left. */
const WINDOW_BYTES = 1024 * 1024

const FAREWELL = Buffer.from('5b0f7c1de2a94f63b8d4917e3ac06f25', 'hex')

/** What a client's and a server's call have in common. */
export interface DuplexCall {
  write(message: Buffer, written: () => void): boolean
  end(): void
}

export interface StreamParts {
  readonly clock: Clock
  readonly owner: Set<GrpcStream>
  readonly remote: string
  readonly side: 'client' | 'server'
  /** Of the other end, by its certificate. */
  identity(): RpcIdentity | undefined
}

const UNATTACHED: RpcStreamHandler = { onMessage() {}, onDrain() {}, onClose() {} }

export class GrpcStream implements RpcStream {
  readonly remote: string
  readonly #clock: Clock
  readonly #call: DuplexCall
  readonly #abort: (error: RpcError) => void
  readonly #owner: Set<GrpcStream>
  readonly #side: 'client' | 'server'
  readonly #identityOf: () => RpcIdentity | undefined
  #identity: RpcIdentity | undefined
  #handler: RpcStreamHandler = UNATTACHED
  #queuedBytes = 0
  #needsDrain = false
  #isEnded = false
  #hasFarewell = false
  #isClosed = false

  /** `abort` makes both ends hear of an error; `owner` holds the stream while it is open. */
  constructor(parts: StreamParts, call: DuplexCall, abort: (error: RpcError) => void) {
    this.remote = parts.remote
    this.#clock = parts.clock
    this.#owner = parts.owner
    this.#side = parts.side
    this.#identityOf = () => parts.identity()
    this.#call = call
    this.#abort = abort
    this.#owner.add(this)
  }

  get identity(): RpcIdentity | undefined {
    this.#identity ??= this.#identityOf()
    return this.#identity
  }

  get isEnded(): boolean {
    return this.#isEnded
  }

  attach(handler: RpcStreamHandler): void {
    this.#handler = handler
  }

  send(message: Uint8Array): boolean {
    if (this.#isClosed || this.#isEnded) return false
    const { length } = message
    this.#queuedBytes += length
    spendYoung(length) // grpc-js copies it behind a length
    this.#call.write(asBuffer(message), () => this.#left(length))
    if (this.#queuedBytes < WINDOW_BYTES) return true
    this.#needsDrain = true
    return false
  }

  end(): void {
    if (this.#isClosed || this.#isEnded) return
    this.#isEnded = true
    if (this.#side === 'client') this.#call.write(FAREWELL, () => {})
    this.#call.end()
  }

  /** For a server: nothing more will come from the client. */
  otherEnded(): void {
    if (this.#isEnded) return
    if (this.#hasFarewell) this.end()
    else this.close(new RpcError('cancelled', this.remote))
  }

  cancel(): void {
    this.breakOff(new RpcError('cancelled', this.remote))
  }

  breakOff(error: RpcError): void {
    if (this.#isClosed) return
    this.#abort(error)
    this.close(error)
  }

  received(message: Buffer): void {
    if (this.#isClosed) return
    spendYoung(2 * message.length) // as it came from the socket, and put together
    if (this.#side === 'server' && message.equals(FAREWELL)) this.#hasFarewell = true
    else this.#handler.onMessage(message)
  }

  /** The handler hears of it later; the first reason counts. */
  close(error: RpcError | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#owner.delete(this)
    this.#clock.soon(() => this.#handler.onClose(error))
  }

  #left(sizeBytes: number): void {
    this.#queuedBytes -= sizeBytes
    if (!this.#needsDrain || this.#isClosed || this.#queuedBytes > WINDOW_BYTES / 2) return
    this.#needsDrain = false
    this.#handler.onDrain()
  }
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
