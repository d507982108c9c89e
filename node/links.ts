/**
 * This node among the others: the mesh of its links, the metadata quorum over it, the controller
 * wherever it is, and the broker's registration. All of it runs before a client is served, and ends
 * after the last one is gone.
 */
import type { Logger } from '../base/logger.ts'
import type { World } from '../base/world.ts'
import { REPLICATION_FETCH } from '../proto/methods.ts'
import { RpcReplicaTransport } from '../replication/transport.ts'
import type { Settings } from './config.ts'
import { registrationRequest } from './metadata/broker-registrations.ts'
import { Controller } from './metadata/controller.ts'
import { type MetadataImage, overridesOf, RESOURCE } from './metadata/image.ts'
import type { Claim } from './metadata/meta-properties.ts'
import {
  NotLeaderError,
  ProposalRefusedError,
  QuorumTimeoutError,
  type VoterState,
} from './metadata/quorum.ts'
import { RaftQuorum } from './metadata/raft-quorum.ts'
import { snapshotRecords } from './metadata/snapshot-records.ts'
import type { Partitions } from './partitions.ts'
import type { ControllerClient } from './peers/controller-client.ts'
import type { SelfIdentity } from './peers/hello.ts'
import { Mesh } from './peers/mesh.ts'
import type { BrokerSession } from './peers/session.ts'
import { QuorumRequests } from './ports/admin.ts'

export interface Endpoint {
  readonly name: string
  readonly host: string
  readonly port: number
}

export interface LinksParts {
  readonly world: World
  readonly settings: Settings
  readonly logger: Logger
  readonly claim: Claim
  /** New at each start. */
  readonly incarnationId: string
  /** For whoever asks how this node is. */
  state(): string
  onFatal(error: unknown): void
}

const LOOK_FOR_COMPANY_MS = 50
/** A quorum that has no leader for so long has lost its majority, most likely. */
const WITHOUT_CONTROLLER_MS = 3000

export class Links {
  readonly self: SelfIdentity
  readonly mesh: Mesh
  readonly quorum: RaftQuorum
  /** Decides while this node leads the quorum. */
  readonly controller: Controller
  /** What the leader of the quorum answers itself. */
  readonly requests: QuorumRequests
  /** This broker and the controller. */
  readonly session: BrokerSession
  /** Where clients can connect; known before the session starts. */
  endpoints: readonly Endpoint[] = []
  readonly #parts: LinksParts
  /** For traffic between nodes; undefined without a listener for it. */
  #port: number | undefined
  /** Since when the quorum has had no leader, as far as was looked. */
  #leaderlessSinceMs: number | undefined

  constructor(parts: LinksParts) {
    const { world, settings, logger, claim } = parts
    const { clock, rpc, random } = world
    this.#parts = parts
    const self: SelfIdentity = {
      nodeId: settings.nodeId,
      directoryId: claim.directoryIds.get(settings.metadataDirectory)!,
      incarnationId: parts.incarnationId,
      clusterId: () => this.quorum.image.clusterId ?? claim.clusterId,
    }
    this.self = self
    const { voters } = settings
    const controllerListeners = settings.list('controller.listener.names')
    this.mesh = new Mesh({ clock, logger, rpc, self, voters, controllerListeners })
    this.quorum = this.#makeQuorum()
    this.controller = new Controller({
      nodeId: self.nodeId,
      quorum: this.quorum,
      clock,
      random,
      logger,
      settings: () => this.settings(),
      clusterId: claim.clusterId,
      silentFor: () => this.mesh.peers.silentFor(),
      maybe: world.maybe,
    })
    this.requests = new QuorumRequests(this.quorum, () => this.#nodes())
    const { quorum, controller } = this
    const others = this.requests.byKey()
    this.mesh.join({ quorum, controller, others, state: () => parts.state() })
    this.session = this.mesh.openSession({
      registration: () => this.#registration(),
      // No directory is given up as a whole: each replica that fails is told (replica-failures.ts).
      offlineDirectoryIds: () => [],
      heartbeatMs: settings.number('broker.heartbeat.interval.ms'),
      sessionTimeoutMs: settings.number('broker.session.timeout.ms'),
      registrationTimeoutMs: settings.number('initial.broker.registration.timeout.ms'),
      maybe: world.maybe,
    })
  }

  /** The controller for whoever needs it here. */
  get client(): ControllerClient {
    return this.mesh.controller
  }

  /** Listens, and takes part in the quorum. */
  async start(): Promise<void> {
    const listener = this.#parts.settings.controllerListener
    if (listener !== undefined) {
      const host = listener.host === '' ? '0.0.0.0' : listener.host
      this.#port = await this.mesh.listen(host, listener.port)
    }
    await this.quorum.start()
    this.controller.start()
  }

  /** The settings with what was changed while nodes run. */
  settings(): Settings {
    const { settings } = this.#parts
    const { image } = this.quorum
    return settings.withDynamic(
      overridesOf(image, RESOURCE.broker, ''),
      overridesOf(image, RESOURCE.broker, String(settings.nodeId)),
    )
  }

  /** Of this process; -1 until the image has its registration. */
  brokerEpoch(image: MetadataImage): number {
    const broker = image.brokers.get(this.self.nodeId)
    return broker?.incarnationId === this.self.incarnationId ? broker.epoch : -1
  }

  /**
   * Moves all that this node leads to others (controlled shutdown). False when that was not done in
   * time, or when nobody is left who could lead.
   */
  async handOverPartitions(timeoutMs: number): Promise<boolean> {
    if (!this.#hasCompany()) return false
    let isOver = false
    const done = this.session.shutDown(timeoutMs).finally(() => {
      isOver = true
    })
    while (!isOver && this.#hasCompany()) await this.#atMost(done, LOOK_FOR_COMPANY_MS)
    if (isOver) return done
    this.session.close()
    return false
  }

  /** Whatever comes first, and no timer is left behind. */
  #atMost(work: Promise<unknown>, limitMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#parts.world.clock.after(limitMs, resolve)
      const isOver = work.finally(() => timer.cancel())
      isOver.then(() => resolve(), reject)
    })
  }

  /** False when nobody has led the quorum for longer than an election takes. Ask again and again. */
  hasController(): boolean {
    const nowMs = this.#parts.world.clock.monotonicMs()
    if (this.quorum.leaderId >= 0) this.#leaderlessSinceMs = undefined
    else this.#leaderlessSinceMs ??= nowMs
    return nowMs - (this.#leaderlessSinceMs ?? nowMs) <= WITHOUT_CONTROLLER_MS
  }

  /** Is there another broker, which lives, and a controller that could give it what this one leads? */
  #hasCompany(): boolean {
    const { quorum, mesh, self } = this
    if (!this.hasController()) return false
    for (const broker of quorum.image.brokers.values()) {
      if (broker.id !== self.nodeId && !broker.isFenced && mesh.peers.isUp(broker.id)) return true
    }
    return false
  }

  /** Streams of replicas, from now on in both directions. */
  serveReplicas(partitions: Partitions): void {
    this.mesh.server.routeStream(REPLICATION_FETCH, (remote, stream) =>
      partitions.service.accept(stream, remote.nodeId),
    )
  }

  replicaTransport(): RpcReplicaTransport {
    return new RpcReplicaTransport((nodeId) => this.mesh.peer(nodeId))
  }

  async stop(): Promise<void> {
    this.session.close()
    await this.#handOver()
    this.controller.stop()
    await this.quorum.stop()
    await this.mesh.close()
  }

  #makeQuorum(): RaftQuorum {
    const { world, settings, logger } = this.#parts
    const { clock, disk, random } = world
    const { voters } = settings
    const { nodeId, directoryId } = this.self
    return new RaftQuorum({
      nodeId,
      directoryId,
      voterIds: voters.length === 0 ? [nodeId] : voters.map(({ id }) => id),
      directory: settings.metadataDirectory,
      disk,
      clock,
      random,
      logger,
      transport: this.mesh.transport,
      clusterId: this.self.clusterId,
      maybe: (name) => world.maybe(name),
      snapshotRecords,
      onSuspect: (suspect) => this.mesh.peers.suspect(suspect),
      onFatal: (error) => this.#parts.onFatal(error),
    })
  }

  /** The quorum does not have to notice that its leader is gone. */
  async #handOver(): Promise<void> {
    const { quorum, mesh, self } = this
    if (quorum.leaderId !== self.nodeId) return
    const others = quorum.voters.filter(({ nodeId }) => mesh.peers.isUp(nodeId))
    const best = others.reduce<VoterState | undefined>(
      (found, one) => (found !== undefined && found.logEndOffset >= one.logEndOffset ? found : one),
      undefined,
    )
    if (best === undefined) return
    try {
      await quorum.transferLeadership(best.nodeId)
    } catch (error) {
      // The other one may be on its way out too: this node ends all the same.
      const known = [QuorumTimeoutError, NotLeaderError, ProposalRefusedError]
      if (!known.some((kind) => error instanceof kind)) throw error
      this.#parts.logger.info('Another node will lead the quorum once this one is missed.')
    }
  }

  #registration() {
    const { settings, claim, incarnationId } = this.#parts
    return registrationRequest({
      nodeId: settings.nodeId,
      clusterId: this.self.clusterId() ?? '',
      incarnationId,
      rack: settings.optionalText('broker.rack'),
      endpoints: [...this.#advertised(), ...this.#ownAddress()],
      directoryIds: claim.logDirectoryIds,
      previousEpoch: -1,
    })
  }

  /** What clients are told: real ports in place of 0, a name in place of "all addresses". */
  #advertised(): Endpoint[] {
    return this.#parts.settings.advertisedListeners.map(({ name, host, port }) => {
      const real = this.endpoints.find((endpoint) => endpoint.name === name)
      return {
        name,
        host: host === '' ? 'localhost' : host,
        port: port === 0 ? (real?.port ?? 0) : port,
      }
    })
  }

  /** Where other nodes reach this one. */
  #ownAddress(): Endpoint[] {
    const { settings } = this.#parts
    const listener = settings.controllerListener
    if (listener === undefined) return []
    const voter = settings.voters.find(({ id }) => id === settings.nodeId)
    const host = voter?.host ?? (listener.host || (this.#advertised()[0]?.host ?? 'localhost'))
    return [{ name: listener.name, host, port: voter?.port ?? this.#port ?? listener.port }]
  }

  /** As all nodes have registered. */
  #nodes() {
    const names = this.#parts.settings.list('controller.listener.names')
    return [...this.quorum.image.brokers.values()].flatMap(({ id, endpoints }) => {
      const found = endpoints.find((one) => names.includes(one.name))
      if (found === undefined) return []
      return [{ nodeId: id, name: found.name, host: found.host, port: found.port }]
    })
  }
}
