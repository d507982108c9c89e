/**
 * The connection to one other node. A silent stream, the pulse, shows that it lives. When the pulse
 * breaks we call again at once, on a new channel, so that no back-off of the transport comes
 * between: an attempt that is refused proves that the process has died, and so does an answer by a
 * newer incarnation. An attempt that nobody answers proves nothing.
 */
import { assert } from '../../base/assert.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import {
  type Rpc,
  RpcError,
  type RpcPeer,
  type RpcStream,
  type RpcStreamHandler,
} from '../../base/rpc.ts'
import { CLUSTER_PULSE } from '../../proto/methods.ts'
import { openGreeted } from './greeting.ts'
import type { RemoteNode, SelfIdentity } from './hello.ts'

export interface PeerAddress {
  readonly host: string
  readonly port: number
}

export interface LinkParts {
  readonly clock: Clock
  readonly rpc: Rpc
  readonly self: SelfIdentity
}

export interface LinkEvents {
  onUp(link: PeerLink, remote: RemoteNode): void
  onDown(link: PeerLink, error: RpcError | undefined): void
  /**
   * Undefined `incarnationId`: nothing listens there, so whichever process it was is gone. Else a
   * newer one has answered. `isNews` is false when it is said again.
   */
  onDead(link: PeerLink, incarnationId: string | undefined, isNews: boolean): void
  /** Two processes live under this id: one at its address, and one that has called. */
  onTwin(link: PeerLink): void
  /** One of the two does not want the other, or nobody has answered for a while. */
  onFailing(link: PeerLink, error: RpcError): void
}

/** How long an answer to our hello may take. */
const HELLO_WITHIN_MS = 1000
/** The first call after a break comes at once: a process that dies closes its sockets in any order. */
const RETRY_AFTER_MS: readonly number[] = [10, 25, 50, 100, 200, 400, 1000]
const BRIEF_MS = 100
const RETRY_REFUSED_AFTER_MS = 1000
/** How long a connection that falls silent is kept. */
const SILENT_BEFORE_DOWN_MS_MIN = 400
const SILENT_BEFORE_DOWN_MS_MAX = 1000
const OFTEN_MS = 500
/** Before people are told that nobody answers. */
const PATIENCE_MS = 3000
/** Who is dead is said again, to those who did not care before. */
const DEAD_AGAIN_AFTER_MS = 1000

/** Records go on connections of their own, so that heartbeats never wait behind them. */
type Lane = 'control' | 'bulk'

const laneOf = (method: string): Lane => (method.startsWith('replication/') ? 'bulk' : 'control')

export class PeerLink {
  readonly nodeId: number
  readonly address: PeerAddress
  /** Who answered last. */
  remote: RemoteNode | undefined
  isUp = false
  /** Nothing listens at its address, since the last attempt. */
  isRefusing = false
  readonly #parts: LinkParts
  readonly #events: LinkEvents
  readonly #channels = new Map<Lane, RpcPeer>()
  #pulse: RpcStream | undefined
  #probe: RpcPeer | undefined
  #timer: Timer | undefined
  #attempts = 0
  #upAtMs = 0
  #downAtMs = 0
  /** When the last two messages came. */
  #heardAtMs = 0
  #heardBeforeMs = Number.NEGATIVE_INFINITY
  #isDeathTold = false
  #deathToldAtMs = 0
  #isClosed = false

  constructor(parts: LinkParts, node: PeerAddress & { readonly id: number }, events: LinkEvents) {
    this.#parts = parts
    this.#events = events
    this.nodeId = node.id
    this.address = { host: node.host, port: node.port }
    this.#downAtMs = parts.clock.monotonicMs()
    this.#call()
  }

  /** Streams and calls fail at once while this is false; they wait for an answer while it is true. */
  get isOpen(): boolean {
    return this.#pulse !== undefined
  }

  stream(method: string, handler: RpcStreamHandler): RpcStream {
    if (!this.isOpen) return this.#unreachable(handler)
    const { self } = this.#parts
    return openGreeted(this.#channel(method), method, { self, toNodeId: this.nodeId, handler })
  }

  call(method: string, request: Uint8Array, timeoutMs: number): Promise<Buffer> {
    if (!this.isOpen) return Promise.reject(this.#unavailable())
    return this.#channel(method).call(method, request, timeoutMs)
  }

  /** There is reason to think that it can be reached now. */
  nudge(): void {
    if (this.isOpen || this.#isClosed) return
    this.#timer?.cancel()
    this.#call()
  }

  /** A message came from it. The pulse says nothing: others have to tell. */
  heard(): void {
    this.#heardBeforeMs = this.#heardAtMs
    this.#heardAtMs = this.#parts.clock.monotonicMs()
  }

  /**
   * For how long it has said nothing, as well as is known; undefined when it is connected or was
   * never met. Who spoke often (a leader) fell silent with its last word; of others is known only
   * when their keep-alives stopped.
   */
  silentForMs(nowMs: number): number | undefined {
    if (this.isUp || this.remote === undefined) return undefined
    const sinceWordMs = nowMs - this.#heardAtMs
    const spokeOften = this.#heardAtMs - this.#heardBeforeMs < OFTEN_MS
    const silentBeforeMs = spokeOften ? SILENT_BEFORE_DOWN_MS_MAX : SILENT_BEFORE_DOWN_MS_MIN
    return Math.min(sinceWordMs, nowMs - this.#downAtMs + silentBeforeMs)
  }

  /**
   * Somebody says that its process has ended, and here it still seems to live: ask. `callerId`: of
   * another process that has called under this id; if the one that we know answers, there are two.
   */
  suspect(callerId?: string): void {
    if (!this.isUp) this.nudge()
    if (!this.isUp || this.#isClosed || this.#probe !== undefined) return
    const { clock, rpc, self } = this.#parts
    const channel = rpc.peer(this.address)
    const timer = clock.after(HELLO_WITHIN_MS, () => channel.close())
    this.#probe = channel
    const over = () => {
      timer.cancel()
      if (this.#probe === channel) this.#probe = undefined
      channel.close()
    }
    openGreeted(channel, CLUSTER_PULSE, {
      self,
      toNodeId: this.nodeId,
      handler: {
        onMessage() {},
        onDrain() {},
        onClose: (error) => {
          over()
          if (error?.code === 'refused') this.#pulse?.cancel()
        },
      },
      onGreeted: ({ incarnationId }) => {
        over()
        if (incarnationId !== this.remote?.incarnationId) this.#pulse?.cancel()
        else if (callerId !== undefined && callerId !== incarnationId) this.#events.onTwin(this)
      },
    })
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.isUp = false
    this.#timer?.cancel()
    this.#probe?.close()
    this.#pulse = undefined
    this.#dropChannels()
  }

  #call(): void {
    assert(!this.#isClosed && this.#pulse === undefined, 'one attempt at a time')
    this.#timer = this.#parts.clock.after(HELLO_WITHIN_MS, () => this.#pulse?.cancel())
    const pulse = openGreeted(this.#channel(CLUSTER_PULSE), CLUSTER_PULSE, {
      self: this.#parts.self,
      toNodeId: this.nodeId,
      handler: {
        onMessage() {},
        onDrain() {},
        onClose: (error) => {
          if (this.#pulse === pulse) this.#broke(error)
        },
      },
      onGreeted: (remote) => {
        if (this.#pulse === pulse) this.#greeted(remote)
      },
    })
    this.#pulse = pulse
  }

  #greeted(remote: RemoteNode): void {
    this.#timer?.cancel()
    const before = this.remote
    this.remote = remote
    this.isUp = true
    this.heard()
    this.#upAtMs = this.#heardAtMs
    this.isRefusing = false
    if (before !== undefined && before.incarnationId !== remote.incarnationId) {
      this.#events.onDead(this, before.incarnationId, !this.#isDeathTold)
    }
    this.#isDeathTold = false
    this.#events.onUp(this, remote)
  }

  #broke(error: RpcError | undefined): void {
    if (this.#isClosed) return
    this.#timer?.cancel()
    this.#pulse = undefined
    this.#dropChannels()
    const wasUp = this.isUp
    this.isUp = false
    if (wasUp) {
      this.#downAtMs = this.#parts.clock.monotonicMs()
      const isBrief = this.#downAtMs - this.#upAtMs < BRIEF_MS
      if (!isBrief) this.#attempts = 0
      this.#events.onDown(this, error)
      // A listener may have closed the link.
      if (this.#isClosed || this.isOpen) return
      // Who hangs up as soon as we are connected is not called again at once.
      if (!isBrief) {
        this.#call()
        return
      }
    }
    this.#failed(error)
  }

  #failed(error: RpcError | undefined): void {
    const { clock } = this.#parts
    this.isRefusing = error?.code === 'refused'
    const isDenied = error?.code === 'denied'
    const step = Math.min(this.#attempts++, RETRY_AFTER_MS.length - 1)
    const retryAfterMs = isDenied ? RETRY_REFUSED_AFTER_MS : RETRY_AFTER_MS[step]!
    this.#timer = clock.after(retryAfterMs, () => this.#call())
    const nowMs = clock.monotonicMs()
    const isFailing = isDenied || (!this.isRefusing && nowMs - this.#downAtMs > PATIENCE_MS)
    if (isFailing && error !== undefined) this.#events.onFailing(this, error)
    if (!this.isRefusing) return
    if (this.#isDeathTold && nowMs - this.#deathToldAtMs < DEAD_AGAIN_AFTER_MS) return
    const isNews = !this.#isDeathTold
    this.#isDeathTold = true
    this.#deathToldAtMs = nowMs
    this.#events.onDead(this, undefined, isNews)
  }

  #channel(method: string): RpcPeer {
    const lane = laneOf(method)
    let channel = this.#channels.get(lane)
    if (channel === undefined) {
      channel = this.#parts.rpc.peer(this.address)
      this.#channels.set(lane, channel)
    }
    return channel
  }

  #dropChannels(): void {
    const channels = [...this.#channels.values()]
    this.#channels.clear()
    for (const channel of channels) channel.close()
  }

  #unreachable(handler: RpcStreamHandler): RpcStream {
    const error = this.#unavailable()
    this.#parts.clock.soon(() => handler.onClose(error))
    return { remote: error.message, send: () => false, end() {}, cancel() {} }
  }

  #unavailable(): RpcError {
    const { host, port } = this.address
    return new RpcError('unavailable', `node ${this.nodeId} at ${host}:${port} does not answer`)
  }
}
