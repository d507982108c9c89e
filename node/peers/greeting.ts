/**
 * The first message of a stream in each direction. The client sends its hello at once and goes on
 * without waiting; neither end hands on a message before it has seen that the other one fits.
 */
import type { Clock, Timer } from '../../base/clock.ts'
import { RpcError, type RpcPeer, type RpcStream, type RpcStreamHandler } from '../../base/rpc.ts'
import { firstFrame } from '../../proto/codecs.ts'
import type { Hello } from '../../proto/generated/messages.ts'
import {
  ANY_NODE,
  helloOf,
  type RemoteNode,
  refusalOf,
  remoteOf,
  type SelfIdentity,
} from './hello.ts'

/** A stream whose first message does not come is given up. */
const HELLO_WITHIN_MS = 2000

export interface GreetedOptions {
  readonly self: SelfIdentity
  readonly toNodeId: number
  readonly handler: RpcStreamHandler
  /** The other end has said who it is, and fits. */
  onGreeted?(remote: RemoteNode): void
}

/**
 * Opens a stream and says hello. When one of the two refuses, the handler is closed with 'denied'
 * and the sentence.
 */
export function openGreeted(channel: RpcPeer, method: string, options: GreetedOptions): RpcStream {
  const greeting = new ClientGreeting(options)
  const stream = channel.stream(method, greeting)
  greeting.stream = stream
  stream.send(firstFrame.encode({ hello: helloOf(options.self, options.toNodeId) }))
  return stream
}

class ClientGreeting implements RpcStreamHandler {
  stream: RpcStream | undefined
  readonly #options: GreetedOptions
  #isGreeted = false
  #refusal: string | undefined

  constructor(options: GreetedOptions) {
    this.#options = options
  }

  onMessage(message: Buffer): void {
    if (this.#isGreeted) this.#options.handler.onMessage(message)
    else if (this.#refusal === undefined) this.#greet(message)
  }

  onDrain(): void {
    this.#options.handler.onDrain()
  }

  onClose(error: RpcError | undefined): void {
    const refusal = this.#refusal
    const { handler } = this.#options
    if (refusal !== undefined) handler.onClose(new RpcError('denied', refusal))
    else if (error === undefined && !this.#isGreeted) handler.onClose(goneWithoutHello(this.stream))
    else handler.onClose(error)
  }

  #greet(message: Buffer): void {
    const { self, toNodeId } = this.#options
    const hello = helloIn(message)
    if (hello === undefined) this.#refuse('what answered is no node of this kind')
    else if (hello.refusal !== '') this.#refuse(hello.refusal)
    else {
      const refusal = refusalOf(self, hello, {
        nodeId: toNodeId,
        identity: this.stream?.identity,
      })
      if (refusal !== undefined) this.#refuse(refusal)
      else {
        this.#isGreeted = true
        this.#options.onGreeted?.(remoteOf(hello))
      }
    }
  }

  #refuse(sentence: string): void {
    this.#refusal = sentence
    this.stream?.cancel()
  }
}

export interface AcceptOptions {
  readonly clock: Clock
  readonly self: SelfIdentity
  readonly stream: RpcStream
  /** The handler of what follows the hello. Refuses by throwing RpcError. */
  accept(remote: RemoteNode): RpcStreamHandler
  onRefused(sentence: string): void
}

/** The server's end of a stream that has just been opened. */
export class ServerGreeting implements RpcStreamHandler {
  readonly #options: AcceptOptions
  readonly #timer: Timer
  #inner: RpcStreamHandler | undefined
  #isRefused = false

  constructor(options: AcceptOptions) {
    this.#options = options
    this.#timer = options.clock.after(HELLO_WITHIN_MS, () => {
      if (this.#inner === undefined) options.stream.cancel()
    })
  }

  onMessage(message: Buffer): void {
    if (this.#inner !== undefined) this.#inner.onMessage(message)
    else if (!this.#isRefused) this.#greet(message)
  }

  onDrain(): void {
    this.#inner?.onDrain()
  }

  onClose(error: RpcError | undefined): void {
    this.#timer.cancel()
    this.#inner?.onClose(error)
  }

  #greet(message: Buffer): void {
    const { self, stream } = this.#options
    this.#timer.cancel()
    const hello = helloIn(message)
    const nodeId = hello?.nodeId ?? ANY_NODE
    const refusal =
      hello === undefined
        ? 'a stream begins with a hello'
        : refusalOf(self, hello, { identity: stream.identity })
    if (hello === undefined || refusal !== undefined) {
      this.#refuse(refusal ?? '', nodeId)
      return
    }
    stream.send(firstFrame.encode({ hello: helloOf(self, nodeId) }))
    try {
      this.#inner = this.#options.accept(remoteOf(hello))
    } catch (error) {
      if (!(error instanceof RpcError)) throw error
      stream.cancel()
      this.#options.onRefused(error.message)
    }
  }

  #refuse(sentence: string, nodeId: number): void {
    const { self, stream } = this.#options
    this.#isRefused = true
    stream.send(firstFrame.encode({ hello: helloOf(self, nodeId, sentence) }))
    stream.end()
    this.#options.onRefused(sentence)
  }
}

function helloIn(message: Buffer): Hello | undefined {
  try {
    return firstFrame.decode(message).hello ?? undefined
  } catch {
    return undefined
  }
}

function goneWithoutHello(stream: RpcStream | undefined): RpcError {
  return new RpcError('unavailable', `${stream?.remote ?? ''} went without a hello`)
}
