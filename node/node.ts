/**
 * One node, put together: the composition root. Everything from outside comes with the World; what
 * starts here is stopped here, in the opposite order.
 */
import { assert } from '../base/assert.ts'
import { UserError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import { Turn } from '../base/turn.ts'
import type { World } from '../base/world.ts'
import { KafkaServer } from '../kafka/server/listener.ts'
import { PartitionLog } from '../log/partition-log.ts'
import { LogStore } from '../log/store.ts'
import { ReplicationProbe } from '../replication/probe.ts'
import { NodeBroker } from './broker.ts'
import { topicLogConfig } from './config/topic-log-config.ts'
import type { Settings } from './config.ts'
import { GroupCoordinator } from './coordinator/group/group-coordinator.ts'
import { PartitionCoordinatorLog } from './coordinator-log.ts'
import { registrationRequest } from './metadata/broker-registrations.ts'
import { Controller } from './metadata/controller.ts'
import { overridesOf, RESOURCE } from './metadata/image.ts'
import {
  adoptClusterId,
  claimDirectories,
  type Identity,
  newUuid,
} from './metadata/meta-properties.ts'
import { QuorumState } from './metadata/quorum-state.ts'
import { METADATA_LOG_CONFIG, SingleVoter } from './metadata/single-voter.ts'
import { autoCreation, OFFSETS_TOPIC, OffsetsTopicOfNode } from './offsets-topic.ts'
import { groupOptions, serverOptions } from './options.ts'
import { Partitions } from './partitions.ts'
import { NodeTopics } from './ports/topics.ts'
import { ThroughputMeter } from './throughput.ts'

const METADATA_LOG = '__cluster_metadata-0'
const SAMPLE_MS = 1000

export type NodeState = 'starting' | 'recovering' | 'running' | 'draining' | 'stopped'

export interface Endpoint {
  readonly name: string
  readonly host: string
  readonly port: number
}

export class Node {
  readonly settings: Settings
  readonly identity: Identity
  readonly partitions: Partitions
  readonly groups: GroupCoordinator
  readonly server: KafkaServer
  readonly store: LogStore
  readonly quorum: SingleVoter
  readonly replicationProbe: ReplicationProbe
  readonly throughput: ThroughputMeter
  /** Where clients can connect: real ports, also where the settings had 0. */
  readonly endpoints: readonly Endpoint[]
  state: NodeState = 'running'
  readonly #world: World
  readonly #controller: Controller
  readonly #metadataLog: PartitionLog
  #isSampling = true

  private constructor(parts: {
    world: World
    settings: Settings
    identity: Identity
    partitions: Partitions
    groups: GroupCoordinator
    server: KafkaServer
    store: LogStore
    quorum: SingleVoter
    controller: Controller
    metadataLog: PartitionLog
    replicationProbe: ReplicationProbe
    endpoints: readonly Endpoint[]
  }) {
    this.#world = parts.world
    this.settings = parts.settings
    this.identity = parts.identity
    this.partitions = parts.partitions
    this.groups = parts.groups
    this.server = parts.server
    this.store = parts.store
    this.quorum = parts.quorum
    this.#controller = parts.controller
    this.#metadataLog = parts.metadataLog
    this.replicationProbe = parts.replicationProbe
    this.endpoints = parts.endpoints
    this.throughput = new ThroughputMeter(parts.settings.nodeId)
    this.#sample()
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
    requireOneNode(settings)
    const directories = settings.logDirectories
    const store = await LogStore.open({
      directories,
      parts: { disk, clock, random, logger, maybe: world.maybe },
      maintenanceMs: settings.number('log.retention.check.interval.ms'),
      producerExpirationMs: settings.number('producer.id.expiration.ms'),
    })
    try {
      const claim = await claimDirectories({
        disk,
        random,
        nodeId: settings.nodeId,
        directories,
        metadataDirectory: settings.metadataDirectory,
        clusterId: settings.optionalText('cluster.id') ?? undefined,
      })
      const identity = await adoptClusterId(disk, claim, claim.clusterId ?? newUuid(random))
      return await Node.#assemble({ world, settings, logger, store, identity, onFatal })
    } catch (error) {
      await store.close()
      throw error
    }
  }

  static async #assemble(parts: {
    world: World
    settings: Settings
    logger: Logger
    store: LogStore
    identity: Identity
    onFatal: (error: unknown) => void
  }): Promise<Node> {
    const { world, settings, logger, store, identity } = parts
    const { clock, random } = world
    const turn = new Turn(clock)
    const { quorum, metadataLog } = await openQuorum(parts)
    await quorum.start()
    const current = () => dynamicSettings(settings, quorum)
    const settingsOf = (topic: string) =>
      topicLogConfig(overridesOf(quorum.image, RESOURCE.topic, topic), current())
    await store.openLogs((topic) => settingsOf(topic).log)
    const replicationProbe = new ReplicationProbe()
    const controller = new Controller({
      nodeId: settings.nodeId,
      quorum,
      clock,
      random,
      logger,
      settings: current,
      clusterId: identity.clusterId,
    })
    const epochBefore = quorum.image.brokers.get(settings.nodeId)?.epoch ?? -1
    const partitions = new Partitions(
      {
        nodeId: settings.nodeId,
        store,
        clock,
        turn,
        logger,
        probe: replicationProbe,
        settingsOf,
        peers: { open: () => undefined },
        controller,
        lagMaxMs: () => current().number('replica.lag.time.max.ms'),
        brokerEpoch: (image) => {
          const epoch = image.brokers.get(settings.nodeId)?.epoch ?? -1
          return epoch > epochBefore ? epoch : -1
        },
      },
      quorum.image,
    )
    controller.start()
    const topics = new NodeTopics(partitions, controller, autoCreation(settings))
    const offsetsTopic = new OffsetsTopicOfNode(partitions, topics)
    const groups = new GroupCoordinator({
      clock,
      turn,
      random,
      logger,
      options: groupOptions(settings),
      topics: partitions,
      offsetsTopic,
    })
    partitions.addLeadershipListener({
      onLeading: (partition) => {
        if (partition.topic !== OFFSETS_TOPIC) return
        groups.onLeadership(partition.index, new PartitionCoordinatorLog(partition))
      },
      onResigned: (topic, index) => {
        if (topic === OFFSETS_TOPIC) groups.onResignation(index)
      },
    })
    quorum.onApplied((image, delta) => {
      partitions.apply(image, delta)
      if (delta.removedTopics.length > 0) {
        groups.onTopicsDeleted(delta.removedTopics.map(({ name, id }) => ({ name, topicId: id })))
      }
    })
    await partitions.start()
    const broker = new NodeBroker({
      nodeId: settings.nodeId,
      clusterId: identity.clusterId,
      settings: current,
      quorum,
      partitions,
      controller,
      topics,
      groups,
      store,
      disk: world.disk,
    })
    const server = new KafkaServer(
      { network: world.network, clock, turn, logger, random },
      broker,
      serverOptions(settings),
    )
    const endpoints = await listen(server, settings)
    try {
      const { brokerEpoch = -1 } = await controller.registerBroker(
        registrationRequest({
          nodeId: settings.nodeId,
          clusterId: identity.clusterId,
          incarnationId: newUuid(random),
          rack: settings.optionalText('broker.rack'),
          endpoints: advertised(settings, endpoints),
          directoryIds: identity.logDirectoryIds,
          previousEpoch: -1,
        }),
      )
      await controller.heartbeat(
        {
          brokerId: settings.nodeId,
          brokerEpoch,
          currentMetadataOffset: quorum.image.offset,
          wantFence: false,
          wantShutDown: false,
          offlineLogDirs: [],
          cordonedLogDirs: null,
        },
        1,
      )
    } catch (error) {
      controller.stop()
      await server.close()
      throw error
    }
    store.startMaintenance((log) => partitions.find(log.topic, log.partition)?.highWatermark ?? 0)
    return new Node({
      world,
      settings,
      identity,
      partitions,
      groups,
      server,
      store,
      quorum,
      controller,
      metadataLog,
      replicationProbe,
      endpoints,
    })
  }

  /** Controlled shutdown: answers leave, logs are synced and marked clean, locks are let go. */
  async stop(): Promise<void> {
    if (this.state === 'stopped' || this.state === 'draining') return
    this.state = 'draining'
    this.#isSampling = false
    await this.server.close()
    this.groups.close()
    await this.partitions.close()
    this.#controller.stop()
    await this.quorum.stop()
    await this.#metadataLog.close()
    await this.store.close()
    this.state = 'stopped'
  }

  #sample(): void {
    const { clock } = this.#world
    const led = [...this.partitions.all()].filter((partition) => partition.isLeader)
    this.throughput.sample(led, clock.monotonicMs(), clock.nowMs())
    clock.after(SAMPLE_MS, () => {
      if (this.#isSampling) this.#sample()
    })
  }
}

/** The next release makes it three. */
function requireOneNode(settings: Settings): void {
  if (!settings.isBroker || !settings.isController) {
    throw new UserError('process.roles has to be broker,controller: this release runs one node')
  }
  if (settings.voters.length > 1) {
    throw new UserError(
      'controller.quorum.voters names several nodes: this release runs one; name this node alone',
    )
  }
}

async function openQuorum(parts: {
  world: World
  settings: Settings
  logger: Logger
  store: LogStore
  identity: Identity
  onFatal: (error: unknown) => void
}): Promise<{ quorum: SingleVoter; metadataLog: PartitionLog }> {
  const { world, settings, logger, store, identity } = parts
  const { disk, clock } = world
  const directory = settings.metadataDirectory
  const metadataLog = await PartitionLog.open({
    directory: `${directory}/${METADATA_LOG}`,
    topic: '__cluster_metadata',
    partition: 0,
    config: METADATA_LOG_CONFIG,
    // Small, and the one log whose every byte counts: checked whole at each start.
    recoveryPoint: 0,
    logStartOffset: 0,
    isCleanShutdown: false,
    parts: { disk, clock, logger, probe: store.probe, maybe: world.maybe },
  })
  const state = await QuorumState.open(disk, directory)
  const directoryId = identity.directoryIds.get(directory)
  assert(directoryId !== undefined, 'the metadata directory has an id')
  const quorum = new SingleVoter({
    nodeId: settings.nodeId,
    directoryId,
    clock,
    state,
    log: metadataLog,
    onFatal: parts.onFatal,
  })
  return { quorum, metadataLog }
}

/** The settings with what was changed while nodes run. */
function dynamicSettings(settings: Settings, quorum: SingleVoter): Settings {
  return settings.withDynamic(
    overridesOf(quorum.image, RESOURCE.broker, ''),
    overridesOf(quorum.image, RESOURCE.broker, String(settings.nodeId)),
  )
}

async function listen(server: KafkaServer, settings: Settings): Promise<Endpoint[]> {
  const endpoints: Endpoint[] = []
  try {
    for (const { name, host, port } of settings.clientListeners) {
      const listener = await server.listen(name, host === '' ? '0.0.0.0' : host, port)
      endpoints.push({ name, host, port: listener.port })
    }
  } catch (error) {
    await server.close()
    throw error
  }
  return endpoints
}

/** What clients are told: real ports in place of 0, a name in place of "all addresses". */
function advertised(settings: Settings, endpoints: readonly Endpoint[]): Endpoint[] {
  return settings.advertisedListeners.map(({ name, host, port }) => {
    const real = endpoints.find((endpoint) => endpoint.name === name)
    return {
      name,
      host: host === '' ? 'localhost' : host,
      port: port === 0 ? (real?.port ?? 0) : port,
    }
  })
}
