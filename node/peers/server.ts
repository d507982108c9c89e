/**
 * What other nodes call. Each stream begins with a hello; what follows goes to the handler of its
 * method. Calls carry the hello in their request: their handlers look at it.
 */
import { assert } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../base/logger.ts'
import {
  RpcError,
  type RpcIdentity,
  type RpcService,
  type RpcStream,
  type RpcStreamHandler,
} from '../../base/rpc.ts'
import { CLUSTER_PULSE } from '../../proto/methods.ts'
import { ServerGreeting } from './greeting.ts'
import type { RemoteNode, SelfIdentity } from './hello.ts'
import { REFUSED, RefusalLog } from './refusal-log.ts'

export interface PeerServerParts {
  readonly clock: Clock
  readonly logger: Logger
  readonly self: SelfIdentity
  /** A node that fits has opened a stream. */
  heardFrom(remote: RemoteNode): void
  /** Open at once, of all nodes together and of who has not said hello yet. */
  readonly streamsMax?: number
}

/** Refuses by throwing RpcError. */
export type StreamRoute = (remote: RemoteNode, stream: RpcStream) => RpcStreamHandler
/** Refuses by rejecting with RpcError. */
export type CallRoute = (request: Buffer, identity?: RpcIdentity) => Promise<Uint8Array>

/** Far more than a cluster of hundreds of nodes needs. */
const STREAMS_MAX = 10_000

const SILENT_HANDLER: RpcStreamHandler = { onMessage() {}, onDrain() {}, onClose() {} }

export class PeerServer implements RpcService {
  readonly #parts: PeerServerParts
  readonly #streamRoutes = new Map<string, StreamRoute>()
  readonly #callRoutes = new Map<string, CallRoute>()
  readonly #refusals: RefusalLog
  #streamCount = 0

  constructor(parts: PeerServerParts) {
    this.#parts = parts
    this.#refusals = new RefusalLog(parts)
    this.routeStream(CLUSTER_PULSE, () => SILENT_HANDLER)
  }

  routeStream(method: string, route: StreamRoute): void {
    assert(!this.#streamRoutes.has(method), 'one handler a method')
    this.#streamRoutes.set(method, route)
  }

  routeCall(method: string, route: CallRoute): void {
    assert(!this.#callRoutes.has(method), 'one handler a method')
    this.#callRoutes.set(method, route)
  }

  onStream(method: string, stream: RpcStream): RpcStreamHandler {
    const route = this.#streamRoutes.get(method)
    if (route === undefined) throw new RpcError('denied', `${method} is not served here`)
    if (this.#streamCount >= (this.#parts.streamsMax ?? STREAMS_MAX))
      throw new RpcError('denied', 'too many streams')
    const { clock, self } = this.#parts
    const greeting = new ServerGreeting({
      clock,
      self,
      stream,
      accept: (remote) => {
        this.#parts.heardFrom(remote)
        return route(remote, stream)
      },
      onRefused: (reason) =>
        this.#refusals.say(reason, { message: REFUSED, reason, address: stream.remote }),
    })
    this.#streamCount++
    return {
      onMessage: (message) => greeting.onMessage(message),
      onDrain: () => greeting.onDrain(),
      onClose: (error) => {
        this.#streamCount--
        greeting.onClose(error)
      },
    }
  }

  onCall(
    method: string,
    request: Buffer,
    _remote: string,
    identity?: RpcIdentity,
  ): Promise<Uint8Array> {
    const route = this.#callRoutes.get(method)
    if (route === undefined) {
      return Promise.reject(new RpcError('denied', `${method} is not served here`))
    }
    return route(request, identity)
  }
}
