/**
 * Links to other nodes that can be cut, for `odradek chaos cut` against `odradek dev`: a wrapper
 * around the rpc of a node that loses whatever is sent to the addresses in a file, or comes from
 * them. A cut link is silent, as where packets are dropped. Invariant: a stream that lost a message
 * breaks before it delivers another one, so order and wholeness hold as on any link.
 */
import { readFileSync } from 'node:fs'
import {
  type Rpc,
  RpcError,
  type RpcPeer,
  type RpcServer,
  type RpcService,
  type RpcStream,
  type RpcStreamHandler,
} from '../rpc.ts'

/** How old what is known of the file may be. */
const LOOK_AGAIN_MS = 20

/** The addresses in a file, one 'host:port' a line; none while there is no file. */
export class CutList {
  readonly #file: string
  #addresses: ReadonlySet<string> = new Set()
  #lookedMs = Number.NEGATIVE_INFINITY

  constructor(file: string) {
    this.#file = file
  }

  has(address: string): boolean {
    const nowMs = performance.now()
    if (nowMs - this.#lookedMs >= LOOK_AGAIN_MS) {
      this.#lookedMs = nowMs
      this.#addresses = new Set(this.#read().split('\n'))
    }
    return this.#addresses.has(address)
  }

  #read(): string {
    try {
      return readFileSync(this.#file, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
      throw error
    }
  }
}

export class CutRpc implements Rpc {
  readonly #rpc: Rpc
  readonly #isCut: (address: string) => boolean

  constructor(rpc: Rpc, isCut: (address: string) => boolean) {
    this.#rpc = rpc
    this.#isCut = isCut
  }

  /** Each stream has one end that called, and that end loses what goes either way. */
  serve(
    options: { readonly host: string; readonly port: number },
    service: RpcService,
  ): Promise<RpcServer> {
    return this.#rpc.serve(options, service)
  }

  peer(options: { readonly host: string; readonly port: number }): RpcPeer {
    const address = `${options.host}:${options.port}`
    return new CutPeer(this.#rpc.peer(options), address, () => this.#isCut(address))
  }
}

class CutPeer implements RpcPeer {
  readonly #peer: RpcPeer
  readonly #address: string
  readonly #isCut: () => boolean
  readonly #lost = new Set<LostStream>()

  constructor(peer: RpcPeer, address: string, isCut: () => boolean) {
    this.#peer = peer
    this.#address = address
    this.#isCut = isCut
  }

  stream(method: string, handler: RpcStreamHandler): RpcStream {
    if (!this.#isCut()) {
      const stream = new CutStream(handler, this.#isCut)
      stream.open(this.#peer.stream(method, stream))
      return stream
    }
    const lost = new LostStream(this.#address, this.#isCut, (error) => {
      if (this.#lost.delete(lost)) queueMicrotask(() => handler.onClose(error))
    })
    this.#lost.add(lost)
    return lost
  }

  async call(method: string, request: Uint8Array, timeoutMs: number): Promise<Buffer> {
    if (!this.#isCut()) return await this.#peer.call(method, request, timeoutMs)
    await new Promise((resolve) => setTimeout(resolve, timeoutMs).unref())
    throw new RpcError('timeout', `${method}: no answer of ${this.#address}`)
  }

  close(): void {
    for (const lost of [...this.#lost]) lost.cancel()
    this.#peer.close()
  }
}

/** Begun while the link was cut: nobody hears of it. */
class LostStream implements RpcStream {
  readonly remote: string
  readonly #isCut: () => boolean
  readonly #onEnd: (error: RpcError) => void

  constructor(remote: string, isCut: () => boolean, onEnd: (error: RpcError) => void) {
    this.remote = remote
    this.#isCut = isCut
    this.#onEnd = onEnd
  }

  send(): boolean {
    if (!this.#isCut()) this.#onEnd(new RpcError('unavailable', 'the link was cut'))
    return true
  }

  end(): void {
    this.cancel()
  }

  cancel(): void {
    this.#onEnd(new RpcError('cancelled', 'the stream was cancelled'))
  }
}

/** Between a stream and its handler. */
class CutStream implements RpcStream, RpcStreamHandler {
  readonly #handler: RpcStreamHandler
  readonly #isCut: () => boolean
  #stream: RpcStream | undefined
  #hasLost = false
  #isClosed = false

  constructor(handler: RpcStreamHandler, isCut: () => boolean) {
    this.#handler = handler
    this.#isCut = isCut
  }

  open(stream: RpcStream): void {
    this.#stream = stream
  }

  get remote(): string {
    return this.#stream!.remote
  }

  get identity() {
    return this.#stream!.identity
  }

  send(message: Uint8Array): boolean {
    return this.#passes() ? this.#stream!.send(message) : true
  }

  end(): void {
    if (this.#hasLost) this.#stream!.cancel()
    else this.#stream!.end()
  }

  cancel(): void {
    this.#stream!.cancel()
  }

  onMessage(message: Buffer): void {
    if (this.#passes()) this.#handler.onMessage(message)
  }

  onDrain(): void {
    this.#handler.onDrain()
  }

  onClose(error: RpcError | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const broken = new RpcError('unavailable', 'the link was cut')
    this.#handler.onClose(this.#hasLost ? broken : error)
  }

  /** False for a message that is lost. The first one after a heal ends the stream. */
  #passes(): boolean {
    if (this.#isCut()) {
      this.#hasLost = true
      return false
    }
    if (this.#hasLost) this.#stream!.cancel()
    return !this.#hasLost
  }
}
