/**
 * All other nodes, and what is known of whether they live. One link to each, whether or not there
 * is anything to say: a death is noticed by all, at once.
 */
import { assert } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../base/logger.ts'
import {
  type Rpc,
  RpcError,
  type RpcPeer,
  type RpcStream,
  type RpcStreamHandler,
} from '../../base/rpc.ts'
import { type RemoteNode, type SelfIdentity, voterDispute } from './hello.ts'
import { type LinkEvents, type PeerAddress, PeerLink } from './link.ts'
import { REFUSED, RefusalLog, TWIN, UNREACHABLE } from './refusal-log.ts'
import { RpcProbe } from './rpc-probe.ts'

export interface PeersParts {
  readonly clock: Clock
  readonly logger: Logger
  readonly rpc: Rpc
  readonly self: SelfIdentity
}

export interface PeerState {
  readonly nodeId: number
  readonly address: PeerAddress
  readonly isUp: boolean
  /** Nothing listens there: the process is dead. */
  readonly isDead: boolean
  /** Who answered last. */
  readonly remote: RemoteNode | undefined
}

/**
 * `incarnationId` names the process that died, when a newer one has answered; undefined when
 * nothing listens at the node's address, which is told again every second for as long as it is so.
 */
export type DeathListener = (nodeId: number, incarnationId: string | undefined) => void

export class Peers {
  readonly probe = new RpcProbe()
  readonly #parts: PeersParts
  readonly #links = new Map<number, PeerLink>()
  readonly #deathListeners = new Set<DeathListener>()
  readonly #upListeners = new Set<(remote: RemoteNode) => void>()
  readonly #downListeners = new Set<(nodeId: number) => void>()
  readonly #refusals: RefusalLog
  readonly #twins: RefusalLog
  readonly #events: LinkEvents
  #lastLeaderId = -1
  #isClosed = false

  constructor(parts: PeersParts) {
    this.#parts = parts
    this.#refusals = new RefusalLog(parts)
    this.#twins = new RefusalLog(parts)
    this.#events = this.#listen()
  }

  /** Whom to be connected with, and where they are. Replaces what was said before. */
  setNodes(addresses: ReadonlyMap<number, PeerAddress>): void {
    if (this.#isClosed) return
    for (const [nodeId, link] of [...this.#links]) {
      const address = addresses.get(nodeId)
      if (address?.host === link.address.host && address.port === link.address.port) continue
      this.#links.delete(nodeId)
      link.close()
      if (link.remote !== undefined) for (const run of this.#downListeners) run(nodeId)
    }
    for (const [id, { host, port }] of addresses) {
      if (id === this.#parts.self.nodeId || this.#links.has(id)) continue
      this.#links.set(id, new PeerLink(this.#parts, { id, host, port }, this.#events))
    }
  }

  /**
   * Streams and calls to one node; may be kept. Streams begin with a hello, of which the caller
   * sees nothing. They fail at once ('unavailable') while the node is known not to answer.
   */
  peer(nodeId: number): RpcPeer {
    assert(nodeId !== this.#parts.self.nodeId, 'a node does not call itself')
    return {
      stream: (method, handler) => this.#stream(nodeId, method, handler),
      call: (method, request, timeoutMs) => this.#call(nodeId, method, request, timeoutMs),
      close() {},
    }
  }

  isUp(nodeId: number): boolean {
    return this.#links.get(nodeId)?.isUp === true
  }

  /** False: a stream would fail at once. */
  isOpen(nodeId: number): boolean {
    return this.#links.get(nodeId)?.isOpen === true
  }

  isDead(nodeId: number): boolean {
    return this.#links.get(nodeId)?.isRefusing === true
  }

  /** By node id. */
  states(): PeerState[] {
    return [...this.#links.values()]
      .map(({ nodeId, address, isUp, isRefusing, remote }) => {
        return { nodeId, address, isUp, isDead: isRefusing, remote }
      })
      .sort((a, b) => a.nodeId - b.nodeId)
  }

  /** Returns the way to end it. */
  onDead(listener: DeathListener): () => void {
    return add(this.#deathListeners, listener)
  }

  /** A connection stands. */
  onUp(listener: (remote: RemoteNode) => void): () => void {
    return add(this.#upListeners, listener)
  }

  /** A connection broke, for whatever reason. */
  onDown(listener: (nodeId: number) => void): () => void {
    return add(this.#downListeners, listener)
  }

  /**
   * A node has called us: it lives, so that it is worth calling it now. When another process of it
   * answered our last call, that one may be gone without a word (a loss of power).
   */
  heardFrom({ nodeId, incarnationId }: RemoteNode): void {
    const link = this.#links.get(nodeId)
    if (link?.isUp !== true) link?.nudge()
    else if (link.remote?.incarnationId !== incarnationId) link.suspect(incarnationId)
  }

  /** A message came from this node, which `leads` the quorum as it says. */
  heard(nodeId: number, leads: boolean): void {
    if (leads) this.#lastLeaderId = nodeId
    this.#links.get(nodeId)?.heard()
  }

  /**
   * The node that led the quorum last, if it can't be reached, and for how many ms it has said
   * nothing: a quorum that has elected another heard nothing either. Of other nodes nothing is
   * claimed: they may have been heard by the last leader, and rely on that (lease.ts).
   */
  silentFor(): Map<number, number> {
    const silent = new Map<number, number>()
    const link = this.#links.get(this.#lastLeaderId)
    const silentForMs = link?.silentForMs(this.#parts.clock.monotonicMs())
    if (silentForMs !== undefined) silent.set(this.#lastLeaderId, silentForMs)
    return silent
  }

  /** Somebody has proof that this node's process has ended: look for ourselves. */
  suspect(nodeId: number): void {
    this.#links.get(nodeId)?.suspect()
  }

  close(): void {
    this.#isClosed = true
    for (const link of this.#links.values()) link.close()
    this.#links.clear()
  }

  async #call(
    nodeId: number,
    method: string,
    request: Uint8Array,
    timeoutMs: number,
  ): Promise<Buffer> {
    const link = this.#links.get(nodeId)
    if (link === undefined) throw unknownNode(nodeId)
    const { clock } = this.#parts
    const startedMs = clock.monotonicMs()
    try {
      return await link.call(method, request, timeoutMs)
    } catch (error) {
      if (error instanceof RpcError) this.probe.failed(method, nodeId, error.code)
      throw error
    } finally {
      this.probe.answered(method, nodeId, (clock.monotonicMs() - startedMs) / 1000)
    }
  }

  #stream(nodeId: number, method: string, handler: RpcStreamHandler): RpcStream {
    const link = this.#links.get(nodeId)
    if (link !== undefined) {
      return link.stream(method, {
        onMessage: (message) => handler.onMessage(message),
        onDrain: () => handler.onDrain(),
        onClose: (error) => {
          if (error !== undefined) this.probe.failed(method, nodeId, error.code)
          handler.onClose(error)
        },
      })
    }
    const error = unknownNode(nodeId)
    this.#parts.clock.soon(() => handler.onClose(error))
    return { remote: `node ${nodeId}`, send: () => false, end() {}, cancel() {} }
  }

  #listen(): LinkEvents {
    const { logger, self } = this.#parts
    return {
      onUp: (link, remote) => {
        this.#refusals.forget(link.nodeId)
        logger.info('connected with a node', { peer: link.nodeId, version: remote.softwareVersion })
        const dispute = voterDispute(self, remote)
        if (dispute !== undefined) logger.warn('the lists of voters differ', { reason: dispute })
        for (const run of [...this.#upListeners]) run(remote)
      },
      onDown: (link, error) => {
        const reason = error?.message ?? 'it ended the connection'
        logger.info('the connection with a node broke', { peer: link.nodeId, reason })
        for (const run of [...this.#downListeners]) run(link.nodeId)
      },
      onDead: (link, incarnationId, isNews) => {
        if (isNews && link.remote === undefined) {
          logger.info('nothing listens yet where a node should be', { peer: link.nodeId })
        } else if (isNews) logger.warn('the process of a node has ended', { peer: link.nodeId })
        for (const run of [...this.#deathListeners]) run(link.nodeId, incarnationId)
      },
      onTwin: ({ nodeId, address: { host, port } }) => {
        const reason =
          `a process that is not the one at ${host}:${port} called as node ${nodeId} too: ` +
          'change the node.id of one of them'
        this.#twins.say(nodeId, { message: TWIN, reason, address: `${host}:${port}` })
      },
      onFailing: (link, { code, message: reason }) => {
        const { host, port } = link.address
        const message = code === 'denied' ? REFUSED : UNREACHABLE
        this.#refusals.say(link.nodeId, { message, reason, address: `${host}:${port}` })
      },
    }
  }
}

function add<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function unknownNode(nodeId: number): RpcError {
  return new RpcError('unavailable', `node ${nodeId} is not known here`)
}
