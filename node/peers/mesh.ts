/**
 * A node among the others, put together: links, server, Raft's transport, the way to the controller
 * and the broker's session with it. Made before the quorum, which needs the transport; joined to it
 * afterwards; then the node listens.
 */
import { assert } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../base/logger.ts'
import type { Rpc, RpcPeer, RpcServer } from '../../base/rpc.ts'
import { statusRequest, statusResponse } from '../../proto/codecs.ts'
import type { StatusResponse } from '../../proto/generated/messages.ts'
import {
  CLUSTER_FORWARD,
  CLUSTER_SESSION,
  CLUSTER_STATUS,
  RAFT_EXCHANGE,
} from '../../proto/methods.ts'
import type { Message } from '../../raft/messages.ts'
import type { VoterAddress } from '../config/listeners.ts'
import type { ControllerPort } from '../metadata/controller-port.ts'
import type { MetadataImage } from '../metadata/image.ts'
import type { MetadataQuorum } from '../metadata/quorum.ts'
import { peerAddresses } from './addresses.ts'
import { ClockWatch } from './clock-watch.ts'
import { Confirmation } from './confirmation.ts'
import { ControllerClient } from './controller-client.ts'
import { ForwardService, type OtherRequests } from './forward-service.ts'
import { helloOf, type SelfIdentity } from './hello.ts'
import { Peers } from './peers.ts'
import { PeerRaftTransport } from './raft-transport.ts'
import { PeerServer } from './server.ts'
import { BrokerSession, type BrokerSessionParts } from './session.ts'
import { SessionService } from './session-service.ts'
import { whenSpread } from './spread.ts'

export interface MeshParts {
  readonly clock: Clock
  readonly logger: Logger
  readonly rpc: Rpc
  readonly self: SelfIdentity
  /** controller.quorum.voters */
  readonly voters: readonly VoterAddress[]
  /** controller.listener.names */
  readonly controllerListeners: readonly string[]
}

/** What the mesh needs of the quorum: RaftQuorum has it. */
export interface MeshQuorum
  extends Pick<
    MetadataQuorum,
    | 'image'
    | 'leaderId'
    | 'leaderEpoch'
    | 'nextOffset'
    | 'voters'
    | 'whenApplied'
    | 'onApplied'
    | 'readIndex'
  > {
  receive(from: number, message: Message, clusterId: string): void
  peerIsDead(nodeId: number): void
}

export interface Membership {
  readonly quorum: MeshQuorum
  readonly controller: ControllerPort & { nodeIsDead(nodeId: number): void }
  /** DescribeQuorum and changes of voters, answered by the node that leads. */
  readonly others?: OtherRequests
  /** For `cluster/status`: starting, recovering, running, draining. */
  state(): string
}

export type SessionOptions = Pick<
  BrokerSessionParts,
  | 'registration'
  | 'offlineDirectoryIds'
  | 'heartbeatMs'
  | 'sessionTimeoutMs'
  | 'registrationTimeoutMs'
  | 'onFencing'
  | 'maybe'
>

export class Mesh {
  readonly peers: Peers
  readonly server: PeerServer
  readonly transport: PeerRaftTransport
  readonly #parts: MeshParts
  readonly #startedAtMs: number
  #membership: Membership | undefined
  readonly #confirmation: Confirmation
  #client: ControllerClient | undefined
  #session: BrokerSession | undefined
  #listening: RpcServer | undefined
  #ends: (() => void)[] = []

  constructor(parts: MeshParts) {
    const { clock, logger, rpc } = parts
    this.#parts = parts
    const self = { ...parts.self, voterIds: parts.voters.map(({ id }) => id) }
    this.#startedAtMs = clock.monotonicMs()
    this.#confirmation = new Confirmation(self.nodeId, () => this.#membership?.quorum)
    this.peers = new Peers({ clock, logger, rpc, self })
    this.server = new PeerServer({
      clock,
      logger,
      self,
      heardFrom: (remote) => this.peers.heardFrom(remote),
    })
    this.transport = new PeerRaftTransport({
      clock,
      logger,
      peers: this.peers,
      clusterId: self.clusterId,
      receive: (from, message, clusterId) =>
        this.#membership?.quorum.receive(from, message, clusterId),
    })
    this.server.routeStream(RAFT_EXCHANGE, (remote, stream) =>
      this.transport.accept(remote, stream),
    )
  }

  /** Streams and calls to another node, for those who speak a language of their own. */
  peer(nodeId: number): RpcPeer {
    return this.peers.peer(nodeId)
  }

  /** The controller, wherever it is. */
  get controller(): ControllerClient {
    assert(this.#client !== undefined, 'the mesh has been joined')
    return this.#client
  }

  /** Before the quorum starts. Connects with the voters. */
  join(membership: Membership): void {
    assert(this.#membership === undefined, 'joined once')
    const { quorum, controller, others } = membership
    const { clock, logger, self } = this.#parts
    this.#membership = membership
    const { peers } = this
    this.#client = new ControllerClient({
      clock,
      self,
      peers,
      quorum,
      controller,
      whenSpread: (offset) => whenSpread({ clock, self, peers }, offset),
    })
    const forwards = new ForwardService({
      logger,
      self,
      quorum,
      controller,
      ...(others === undefined ? {} : { others }),
    })
    const sessions = new SessionService({
      logger,
      controller,
      isConfirmed: () => this.#confirmation.ask(),
      metadataOffset: () => quorum.nextOffset - 1,
      clocks: new ClockWatch({ clock, logger }),
    })
    this.server.routeCall(CLUSTER_FORWARD, (request, identity) =>
      forwards.answer(request, identity),
    )
    this.server.routeCall(CLUSTER_STATUS, async (request) => this.#status(request))
    this.server.routeStream(CLUSTER_SESSION, (remote, stream) => sessions.accept(remote, stream))
    this.#ends = [
      this.peers.onDead((nodeId, incarnationId) => {
        if (!this.transport.leadsAsAnother(nodeId, incarnationId)) quorum.peerIsDead(nodeId)
        if (isRegisteredAs(quorum.image, nodeId, incarnationId)) controller.nodeIsDead(nodeId)
      }),
      quorum.onApplied((image, { changedBrokers }) => {
        if (changedBrokers.size > 0) this.#meet(image)
      }),
    ]
    this.#meet(quorum.image)
  }

  /** Resolves with the port. Throws UserError when it can't listen. */
  async listen(host: string, port: number): Promise<number> {
    this.#listening = await this.#parts.rpc.serve({ host, port }, this.server)
    return this.#listening.port
  }

  /** The broker of this node; `start` it when it can be told where clients find it. */
  openSession(options: SessionOptions): BrokerSession {
    assert(this.#session === undefined && this.#membership !== undefined, 'one session a node')
    const { clock, logger, self } = this.#parts
    const { quorum, controller: local } = this.#membership
    const isConfirmed = () => this.#confirmation.ask()
    const isAlone = () => quorum.voters.length === 1 && quorum.voters[0]?.nodeId === self.nodeId
    const parts = { clock, logger, self, peers: this.peers, quorum, local, isConfirmed, isAlone }
    this.#session = new BrokerSession({ ...parts, controller: this.controller, ...options })
    return this.#session
  }

  /** After the quorum has stopped: it says goodbye through the transport. */
  async close(): Promise<void> {
    this.#session?.close()
    this.#client?.close()
    for (const end of this.#ends) end()
    this.transport.close()
    this.peers.close()
    await this.#listening?.close()
  }

  #meet(image: MetadataImage): void {
    const { voters, controllerListeners } = this.#parts
    this.peers.setNodes(peerAddresses(voters, image, controllerListeners))
  }

  #status(request: Buffer): Uint8Array {
    const { clock, self } = this.#parts
    const { hello } = statusRequest.decode(request)
    assert(this.#membership !== undefined, 'routes exist from then on')
    const { quorum, state } = this.#membership
    const status: StatusResponse = {
      hello: helloOf(self, hello?.nodeId ?? -1),
      state: state(),
      leaderId: quorum.leaderId,
      leaderEpoch: quorum.leaderEpoch,
      appliedOffset: quorum.image.offset,
      logEndOffset: quorum.nextOffset,
      uptimeMs: Math.floor(clock.monotonicMs() - this.#startedAtMs),
    }
    return statusResponse.encode(status)
  }
}

/** The death of one process is no news of another that has registered since. */
function isRegisteredAs(
  image: MetadataImage,
  nodeId: number,
  incarnationId: string | undefined,
): boolean {
  if (incarnationId === undefined) return true
  return image.brokers.get(nodeId)?.incarnationId === incarnationId
}
