/**
 * One node, put together: the composition root. Everything from outside comes with the World; what
 * starts here is stopped here, in the opposite order.
 *
 * A start: directories are claimed; the node takes part in the metadata quorum until it knows all
 * that is committed there; logs are opened and replicas hosted; clients are listened to; the broker
 * registers, and serves once the controller lets it in.
 */
import { delay, type Timer } from '../base/clock.ts'
import type { DiskLock } from '../base/disk.ts'
import type { Logger } from '../base/logger.ts'
import { Turn } from '../base/turn.ts'
import type { World } from '../base/world.ts'
import { KafkaServer } from '../kafka/server/listener.ts'
import { LogStore } from '../log/store.ts'
import { CLUSTER_THROUGHPUT } from '../proto/methods.ts'
import type { RaftProbe } from '../raft/probe.ts'
import { ReplicationProbe } from '../replication/probe.ts'
import { NodeBroker } from './broker.ts'
import { ClusterThroughput } from './cluster-throughput.ts'
import { topicLogConfig } from './config/topic-log-config.ts'
import type { Settings } from './config.ts'
import { GroupCoordinator } from './coordinator/group/group-coordinator.ts'
import { PartitionCoordinatorLog } from './coordinator-log.ts'
import { type Endpoint, Links } from './links.ts'
import type { MetadataDelta } from './metadata/apply.ts'
import type { ElectionKind } from './metadata/election-figures.ts'
import { type MetadataImage, overridesOf, RESOURCE } from './metadata/image.ts'
import {
  adoptClusterId,
  type Claim,
  claimDirectories,
  type Identity,
  lockMetadataDirectory,
  newUuid,
} from './metadata/meta-properties.ts'
import { type MetadataQuorum, NotLeaderError, QuorumTimeoutError } from './metadata/quorum.ts'
import type { RaftQuorum } from './metadata/raft-quorum.ts'
import { autoCreation, OFFSETS_TOPIC, OffsetsTopicOfNode } from './offsets-topic.ts'
import { groupOptions, serverOptions } from './options.ts'
import { Partitions } from './partitions.ts'
import { NodeAdminPort } from './ports/admin.ts'
import { NodeTopics } from './ports/topics.ts'
import { ThroughputMeter } from './throughput.ts'

const SAMPLE_MS = 1000
const CLEANING_MS_MIN = 100
/** How often a start says what it waits for. */
const WAITING_LOG_MS = 5000
const LOOK_AGAIN_MS = 20

export type NodeState = 'starting' | 'recovering' | 'running' | 'draining' | 'stopped'

interface NodeParts {
  readonly world: World
  readonly settings: Settings
  readonly logger: Logger
  readonly store: LogStore
  readonly links: Links
  readonly identity: Identity
  /** Of a metadata directory of its own. */
  readonly metadataLock: DiskLock | undefined
}

export class Node {
  readonly settings: Settings
  readonly identity: Identity
  readonly partitions: Partitions
  readonly groups: GroupCoordinator
  readonly server: KafkaServer
  readonly store: LogStore
  readonly replicationProbe = new ReplicationProbe()
  readonly throughput: ClusterThroughput
  readonly #meter: ThroughputMeter
  state: NodeState = 'starting'
  readonly #parts: NodeParts
  #isSampling = true
  #sampling: Timer | undefined

  private constructor(parts: NodeParts) {
    const { world, settings, logger, store, links, identity } = parts
    const { clock, random } = world
    const { quorum, client } = links
    const { nodeId } = settings
    this.#parts = parts
    this.settings = settings
    this.identity = identity
    this.store = store
    this.#meter = new ThroughputMeter(nodeId)
    this.throughput = new ClusterThroughput({
      self: links.self,
      meter: this.#meter,
      image: () => quorum.image,
      peer: (id) => links.mesh.peer(id),
    })
    const turn = new Turn(clock)
    const current = () => links.settings()
    const brokerEpoch = () => links.brokerEpoch(quorum.image)
    this.partitions = new Partitions(
      {
        nodeId,
        store,
        clock,
        turn,
        logger,
        probe: this.replicationProbe,
        settingsOf: (topic) => settingsOf(topic, links),
        peers: links.replicaTransport(),
        controller: client,
        throttleRate: () => current().number('leader.replication.throttled.rate'),
        isRackAware: () => settings.optionalText('replica.selector.class') !== null,
        leaseUntilMs: () => links.session.lease.untilMs,
        leaseMs: () => settings.number('broker.session.timeout.ms'),
        lagMaxMs: () => current().number('replica.lag.time.max.ms'),
        brokerEpoch: (image) => links.brokerEpoch(image),
      },
      quorum.image,
    )
    const creation = autoCreation(settings, () => quorum.image.brokers.size)
    const topics = new NodeTopics(this.partitions, client, creation)
    this.groups = new GroupCoordinator({
      clock,
      turn,
      random,
      logger,
      options: groupOptions(settings),
      topics: this.partitions,
      offsetsTopic: new OffsetsTopicOfNode(this.partitions, topics),
      maybe: world.maybe,
    })
    const broker = new NodeBroker({
      nodeId,
      clusterId: identity.clusterId,
      settings: current,
      quorum,
      partitions: this.partitions,
      controller: client,
      admin: new NodeAdminPort(client, links.requests),
      brokerEpoch,
      topics,
      groups: this.groups,
      store,
      disk: world.disk,
    })
    this.server = new KafkaServer(
      { network: world.network, clock, turn, logger, random },
      broker,
      serverOptions(settings),
    )
  }

  /**
   * Starts a node and resolves when clients can use it. `onFatal` is called when it can't go on (a
   * failed sync of the metadata log): end the process. Throws UserError for what a person can mend.
   */
  static async start(
    world: World,
    settings: Settings,
    onFatal: (error: unknown) => void,
  ): Promise<Node> {
    const { disk, random, clock } = world
    const logger = world.logger.child({ node: settings.nodeId })
    for (const note of settings.notes) logger.info(note)
    const directories = settings.logDirectories
    const store = await LogStore.open({
      directories,
      parts: {
        disk,
        clock,
        random,
        logger,
        maybe: world.maybe,
        ...(world.spendYoung && { spendYoung: world.spendYoung }),
      },
      maintenanceMs: settings.number('log.retention.check.interval.ms'),
      producerExpirationMs: settings.number('producer.id.expiration.ms'),
      cleaning: settings.boolean('log.cleaner.enable')
        ? {
            intervalMs: Math.max(CLEANING_MS_MIN, settings.number('log.cleaner.backoff.ms')),
            mapBytesMax: settings.number('log.cleaner.dedupe.buffer.size'),
          }
        : 'off',
    })
    let metadataLock: DiskLock | undefined
    let links: Links | undefined
    let node: Node | undefined
    try {
      metadataLock = lockMetadataDirectory(disk, settings.metadataDirectory, directories)
      const claim = await claimDirectories({
        disk,
        random,
        nodeId: settings.nodeId,
        directories,
        metadataDirectory: settings.metadataDirectory,
        clusterId: settings.optionalText('cluster.id') ?? undefined,
      })
      links = new Links({
        world,
        settings,
        logger,
        claim,
        incarnationId: newUuid(random),
        state: () => node?.state ?? 'starting',
        onFatal,
      })
      await links.start()
      const identity = await joinCluster(world, logger, links.quorum, claim)
      await store.openLogs((topic) => settingsOf(topic, links!).log)
      node = new Node({ world, settings, logger, store, links, identity, metadataLock })
      await node.#serve()
      return node
    } catch (error) {
      await node?.server.close()
      node?.groups.close()
      await node?.partitions.close()
      await links?.stop()
      await store.close()
      metadataLock?.release()
      throw error
    }
  }

  /** Where clients can connect: real ports, also where the settings had 0. */
  get endpoints(): readonly Endpoint[] {
    return this.#parts.links.endpoints
  }

  get quorum(): RaftQuorum {
    return this.#parts.links.quorum
  }

  /** Figures of the group of the metadata log. */
  get raftProbe(): RaftProbe {
    return this.quorum.raftProbe
  }

  /** Elections of leaders that this node held as the controller, by kind. */
  get elections(): Readonly<Record<ElectionKind, number>> {
    return this.#parts.links.controller.elections.counts
  }

  get links(): Links {
    return this.#parts.links
  }

  async #serve(): Promise<void> {
    const { settings, store, links } = this.#parts
    const { partitions } = this
    this.#followLeaderships()
    // What is applied while the replicas are hosted waits until they are.
    const waiting: { image: MetadataImage; delta: MetadataDelta }[] = []
    let isHosted = false
    links.quorum.onApplied((image, delta) => {
      if (isHosted) this.#apply(image, delta)
      else waiting.push({ image, delta })
    })
    await partitions.start()
    for (let i = 0; i < waiting.length; i++) this.#apply(waiting[i]!.image, waiting[i]!.delta)
    isHosted = true
    links.serveReplicas(partitions)
    links.mesh.server.routeCall(CLUSTER_THROUGHPUT, (request, identity) =>
      this.throughput.answer(request, identity),
    )
    links.endpoints = await listen(this.server, settings)
    await links.session.start()
    await partitions.settled()
    await partitions.reportDoubts()
    links.session.ready()
    await links.session.whenUnfenced()
    store.startMaintenance((log) => partitions.find(log.topic, log.partition)?.highWatermark ?? 0, {
      bytesPerSecond: () => links.settings().number('log.scrub.bytes.per.second'),
      intervalMs: () => links.settings().number('log.scrub.interval.ms'),
      onDamage: ({ topic, partition }, error, offset) => {
        partitions.find(topic, partition)?.onCorruption(error, offset)
      },
    })
    this.state = 'running'
    this.#sample()
  }

  #followLeaderships(): void {
    this.partitions.addLeadershipListener({
      onLeading: (partition) => {
        if (partition.topic !== OFFSETS_TOPIC) return
        this.groups.onLeadership(partition.index, new PartitionCoordinatorLog(partition))
      },
      onResigned: (topic, index) => {
        if (topic === OFFSETS_TOPIC) this.groups.onResignation(index)
      },
    })
  }

  #apply(image: MetadataImage, delta: MetadataDelta): void {
    this.partitions.apply(image, delta)
    if (delta.removedTopics.length === 0) return
    this.groups.onTopicsDeleted(delta.removedTopics.map(({ name, id }) => ({ name, topicId: id })))
  }

  /**
   * The first half of a controlled shutdown: other nodes lead what this one led. The node answers
   * until it is stopped, and leads nothing from then on. False when not everything was moved in time.
   */
  async drain(timeoutMs: number): Promise<boolean> {
    const isDone = await this.#parts.links.handOverPartitions(timeoutMs)
    const isAlone = this.quorum.image.brokers.size === 1
    if (!isDone && !isAlone) {
      this.#parts.logger.info('Not all that this node leads has another leader now.')
    }
    return isDone
  }

  /** Controlled shutdown: answers leave, logs are synced and marked clean, locks are let go. */
  async stop(): Promise<void> {
    if (this.state === 'stopped' || this.state === 'draining') return
    this.state = 'draining'
    this.#isSampling = false
    this.#sampling?.cancel()
    const { links } = this.#parts
    if (this.settings.boolean('controlled.shutdown.enable')) {
      await this.drain(this.settings.number('controlled.shutdown.max.wait.ms'))
    }
    links.session.close()
    await this.server.close()
    this.groups.close()
    await this.partitions.close()
    await links.stop()
    await this.store.close()
    this.#parts.metadataLock?.release()
    this.state = 'stopped'
  }

  #sample(): void {
    if (!this.#isSampling) return
    const { clock } = this.#parts.world
    const led = [...this.partitions.all()].filter((partition) => partition.isLeader)
    this.#meter.sample(led, clock.monotonicMs(), clock.nowMs())
    this.#sampling = clock.after(SAMPLE_MS, () => this.#sample())
  }
}

function settingsOf(topic: string, links: Links) {
  const overrides = overridesOf(links.quorum.image, RESOURCE.topic, topic)
  return topicLogConfig(overrides, links.settings())
}

/**
 * Waits until this node knows everything that was committed before now, and the id of its cluster:
 * what is on its own disk alone may be old, and would name logs strays that are none.
 */
async function joinCluster(
  { clock, disk }: World,
  logger: Logger,
  quorum: RaftQuorum,
  claim: Claim,
): Promise<Identity> {
  let saidAtMs = clock.monotonicMs()
  for (;;) {
    if (await isCurrent(quorum)) {
      const { clusterId } = quorum.image
      if (clusterId !== undefined) return adoptClusterId(disk, claim, clusterId)
    }
    if (clock.monotonicMs() - saidAtMs > WAITING_LOG_MS) {
      saidAtMs = clock.monotonicMs()
      logger.warn('Waiting for a majority of controller.quorum.voters.', {
        leader: quorum.leaderId,
        metadataOffset: quorum.image.offset,
        reason: quorum.waitsToFound ?? 'no leader of the metadata is known',
      })
    }
    await delay(clock, LOOK_AGAIN_MS)
  }
}

const CURRENT_WITHIN_MS = 5000

async function isCurrent(quorum: MetadataQuorum): Promise<boolean> {
  try {
    await quorum.whenApplied(await quorum.readIndex(), CURRENT_WITHIN_MS)
    return true
  } catch (error) {
    if (error instanceof NotLeaderError || error instanceof QuorumTimeoutError) return false
    throw error
  }
}

async function listen(server: KafkaServer, settings: Settings): Promise<Endpoint[]> {
  const endpoints: Endpoint[] = []
  for (const { name, host, port } of settings.clientListeners) {
    const listener = await server.listen(name, host === '' ? '0.0.0.0' : host, port)
    endpoints.push({ name, host, port: listener.port })
  }
  return endpoints
}
