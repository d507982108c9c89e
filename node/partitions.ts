/**
 * The partitions that this node hosts: follows the metadata image, makes and removes logs, and tells
 * each replica who leads it. Handlers look partitions up here.
 *
 * The image changes at once, logs take a moment: a partition whose log is not there yet is undefined
 * in its topic's list, and `settled` resolves when all are.
 */
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { StorageError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { Turn } from '../base/turn.ts'
import type { DataPort, LeaderHint, NodeEndpoint, TopicPort } from '../kafka/broker.ts'
import type { LogConfig } from '../log/config.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import type { ListedLog, LogStore } from '../log/store.ts'
import { Fetchers } from '../replication/fetchers.ts'
import { Partition } from '../replication/partition.ts'
import type { ReplicationProbe } from '../replication/probe.ts'
import type { PartitionParts } from '../replication/role.ts'
import { ReplicaService } from '../replication/service.ts'
import { TailMemory } from '../replication/tail.ts'
import type { ReplicaTransport } from '../replication/transport.ts'
import { HostedTopic } from './hosted-topic.ts'
import type { MetadataDelta } from './metadata/apply.ts'
import type { ControllerPort } from './metadata/controller-port.ts'
import {
  endpointOf,
  type MetadataImage,
  type PartitionImage,
  RESOURCE,
  type TopicImage,
  topicById,
} from './metadata/image.ts'
import { ReplicaFailures } from './replica-failures.ts'
import { ControllerIsr } from './replica-isr.ts'
import { Rounds } from './rounds.ts'

/** A small port to node/peers: streams that have proved who is at the other end. */
export type ReplicaPeers = ReplicaTransport

/** Reports under way together: the controller writes them as one batch. */
const DOUBTS_AT_ONCE = 64

/** How often produce requests that wait too long are looked for. */
const SWEEP_MS = 25
/** How often in-sync sets that may have to change are looked at. */
const WATCH_MS = 250

export { INTERNAL_TOPICS } from './hosted-topic.ts'

export interface TopicSettings {
  readonly log: LogConfig
  readonly minInsyncReplicas: number
  /** `leader.replication.throttled.replicas`: `*`, or `partition:broker`. */
  readonly throttledReplicas?: readonly string[]
}

/** Hears of each partition that this node begins or ceases to lead. */
export interface LeadershipListener {
  onLeading(partition: Partition): void
  onResigned(topic: string, index: number): void
}

export interface PartitionsParts {
  readonly nodeId: number
  readonly store: LogStore
  readonly clock: Clock
  readonly turn: Turn
  readonly logger: Logger
  readonly probe: ReplicationProbe
  settingsOf(topic: string): TopicSettings
  /** Streams to the nodes that lead what is followed here. */
  readonly peers: ReplicaPeers
  readonly controller: Pick<ControllerPort, 'alterPartition' | 'reportFailedReplica'>
  /** `replica.lag.time.max.ms`, as it is now. */
  lagMaxMs(): number
  /** `leader.replication.throttled.rate`, as it is now; undefined: no limit. */
  throttleRate?(): number | undefined
  /** Readers are sent to replicas in their rack (KIP-392). */
  isRackAware?(): boolean
  /** See `PartitionParts`: how long this node is sure to lead what it leads. */
  leaseUntilMs?(): number
  /** `broker.session.timeout.ms`: no lease of another node lasts longer. */
  leaseMs?(): number
  /**
   * The broker epoch of this process; -1 until the image has its registration. What the image says
   * before that is of an earlier process: its records may be lost, so nothing is led in its epochs.
   */
  brokerEpoch(image: MetadataImage): number
}

export class Partitions implements DataPort {
  readonly #parts: PartitionsParts
  readonly #partitionParts: PartitionParts
  readonly #byName = new Map<string, HostedTopic>()
  readonly #byId = new Map<string, HostedTopic>()
  readonly #waiting: Rounds<Partition>
  readonly #watched: Rounds<Partition>
  readonly #fetchers: Fetchers
  readonly #failures: ReplicaFailures
  /** Takes the streams of this node's followers. */
  readonly service: ReplicaService
  readonly #work = new Set<Promise<void>>()
  readonly #listeners: LeadershipListener[] = []
  #image: MetadataImage
  #brokerEpoch = -1
  /** What goes on with a log, by the name of its directory: topics of one name follow each other. */
  readonly #busy = new Map<string, Promise<void>>()
  /** The logs that a start found; none any more when strays have been removed. */
  #found: ListedLog[] = []
  /** Topic ids of the logs that a start found, by directory name, until strays are removed. */
  readonly #stored = new Map<string, string>()
  /** The last image without the registration of this process. */
  #before: MetadataImage | undefined
  #hasStarted = false
  #isClosed = false

  constructor(parts: PartitionsParts, image: MetadataImage) {
    this.#parts = parts
    this.#image = image
    const { nodeId, clock, turn, logger, probe, controller } = parts
    const brokerEpoch = () => this.#brokerEpoch
    this.#waiting = new Rounds({
      clock,
      everyMs: SWEEP_MS,
      look: (partition, nowMs) => partition.expire(nowMs),
    })
    this.#watched = new Rounds({
      clock,
      everyMs: WATCH_MS,
      look: (partition, nowMs) => partition.watch(nowMs),
    })
    this.#failures = new ReplicaFailures({ nodeId, clock, logger, controller, brokerEpoch })
    this.#partitionParts = {
      clock: parts.clock,
      turn: parts.turn,
      logger: parts.logger,
      probe: parts.probe,
      isr: new ControllerIsr({ nodeId, clock, logger, controller, brokerEpoch }),
      tails: new TailMemory(),
      lagMaxMs: () => parts.lagMaxMs(),
      ...(parts.leaseUntilMs && { leaseUntilMs: () => parts.leaseUntilMs!() }),
      ...(parts.leaseMs && { leaseMs: () => parts.leaseMs!() }),
      isServing: (nodeId) => this.#image.brokers.get(nodeId)?.isFenced === false,
      rackOf: (nodeId) =>
        parts.isRackAware?.() === true
          ? (this.#image.brokers.get(nodeId)?.rack ?? undefined)
          : undefined,
      isEligible: (nodeId) => isEligible(this.#image, nodeId),
      onFailure: (partition) => this.#onFailure(partition),
      onImpairment: (partition, reason) => this.#onImpairment(partition, reason),
      onWaiting: (partition) => this.#waiting.add(partition),
      onWatch: (partition) => this.#watched.add(partition),
      onRole: (partition, ledEpoch) => this.#onRole(partition, ledEpoch),
    }
    this.#fetchers = new Fetchers({
      nodeId,
      clock,
      turn,
      logger,
      probe,
      transport: parts.peers,
      brokerEpoch,
    })
    this.service = new ReplicaService({
      clock,
      turn,
      logger,
      probe,
      find: (topicId, index) => this.#byId.get(topicId)?.partitions[index],
      throttleRate: () => parts.throttleRate?.(),
      isThrottled: ({ topicId, index }) => {
        const throttled = this.#byId.get(topicId)?.throttledReplicas ?? []
        return throttled[0] === '*' || throttled.includes(`${index}:${nodeId}`)
      },
    })
  }

  get image(): MetadataImage {
    return this.#image
  }

  addLeadershipListener(listener: LeadershipListener): void {
    this.#listeners.push(listener)
  }

  /** Hosts what the image says, with the logs that the store has opened. Strays are removed. */
  async start(): Promise<void> {
    this.#parts.store.onOpened((log) => this.#onLogOpened(log))
    this.#found = this.#parts.store.listed()
    for (const { topic, partition, topicId } of this.#found) {
      if (topicId !== undefined) this.#stored.set(`${topic}-${partition}`, topicId)
    }
    this.#register()
    for (const topic of this.#image.topics.values()) this.#host(topic)
    await this.settled()
    this.#hasStarted = true
    if (this.#brokerEpoch >= 0) this.#track(this.#removeStrays())
  }

  /** The next image. Called in the order of the metadata log. */
  apply(image: MetadataImage, delta: MetadataDelta): void {
    if (this.#isClosed) return
    this.#image = image
    this.#register()
    for (const topic of delta.removedTopics) this.#remove(topic)
    for (const topic of delta.createdTopics) this.#host(topic)
    for (const [id, indexes] of delta.changedPartitions) {
      const name = image.topicNames.get(id)
      const topic = name === undefined ? undefined : image.topics.get(name)
      if (topic === undefined) continue
      const hosted = this.#byId.get(id)
      assert(hosted !== undefined, 'a topic that changes is known')
      hosted.partitionCount = topic.partitions.length
      for (const index of indexes) this.#update(hosted, topic.partitions[index]!)
    }
    this.#applyConfigs(delta)
    for (const nodeId of delta.changedBrokers) this.#fetchers.reconnect(nodeId)
  }

  /** Once this process is registered it may lead: whatever it held back is looked at again. */
  #register(): void {
    const before = this.#brokerEpoch
    this.#brokerEpoch = this.#parts.brokerEpoch(this.#image)
    if (this.#brokerEpoch < 0) this.#before = this.#image
    if (before >= 0 || this.#brokerEpoch < 0) return
    this.#fetchers.reconnectAll()
    this.#failures.tell()
    if (this.#hasStarted) this.#track(this.#removeStrays())
    for (const topic of this.#byName.values()) {
      const image = this.#image.topics.get(topic.name)
      for (const partition of topic.partitions) {
        const found = partition && image?.partitions[partition.index]
        if (found !== undefined) this.#lead(partition!, found)
      }
    }
  }

  /**
   * Logs of which the image knows nothing. Not before this process is registered: until then the
   * image may be older than the logs, and not have the topic yet.
   */
  async #removeStrays(): Promise<void> {
    const { nodeId, store, logger } = this.#parts
    for (const { topic, partition, topicId } of this.#found.splice(0)) {
      const image = this.#image.topics.get(topic)
      const isOurs = image?.partitions[partition]?.replicas.includes(nodeId) === true
      // Without its id a log can't be told from one of an earlier topic of that name: keep it.
      if (isOurs && (topicId === undefined || topicId === image?.id)) continue
      if (topicId !== undefined && this.#byId.get(topicId)?.partitions[partition]) continue
      if (this.#isClosed) return
      if (topicId !== undefined && topicById(this.#image, topicId) !== undefined) {
        logger.warn('A log that other nodes have now is removed.', { topic, partition })
        await this.#removeLog(topic, partition)
        continue
      }
      // A topic that was deleted meanwhile, or metadata that is wrong: nobody can tell.
      const message = 'A log of a topic that is not known is set aside: remove *-stray by hand.'
      logger.warn(message, { topic, partition })
      await this.#letGo(topic, partition, store.setAside(topic, partition))
    }
    this.#stored.clear()
    for (const [id, hosted] of this.#byId) {
      const topic = topicById(this.#image, id)
      for (const partition of topic?.partitions ?? []) this.#update(hosted, partition)
    }
  }

  /** Resolves when every log that the image asks for is there (or has failed). */
  async settled(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work)
  }

  topic(name: string): TopicPort | undefined {
    return this.#byName.get(name)
  }

  topicById(id: string): TopicPort | undefined {
    return this.#byId.get(id)
  }

  leader(topic: TopicPort, index: number): LeaderHint {
    const partition = this.#image.topics.get(topic.name)?.partitions[index]
    if (partition === undefined) return NO_LEADER
    return { leaderId: partition.leader, leaderEpoch: partition.leaderEpoch }
  }

  endpoint(nodeId: number, listener: string): NodeEndpoint | undefined {
    const endpoint = endpointOf(this.#image, nodeId, listener)
    if (endpoint === undefined) return undefined
    const rack = this.#image.brokers.get(nodeId)?.rack ?? null
    return { nodeId, host: endpoint.host, port: endpoint.port, rack }
  }

  *all(): Generator<Partition> {
    for (const topic of this.#byName.values()) {
      for (const partition of topic.partitions) if (partition !== undefined) yield partition
    }
  }

  find(topic: string, index: number): Partition | undefined {
    return this.#byName.get(topic)?.partitions[index]
  }

  /**
   * Tells the controller which replicas may lack records, while this broker is fenced still. What a
   * start cut off the end was most likely never acknowledged, but damage in the last records looks
   * the same: a replica without that doubt is to lead, if there is one.
   */
  async reportDoubts(): Promise<void> {
    const doubtful: Partition[] = []
    for (const partition of this.all()) {
      const replicas = this.#image.topics.get(partition.topic)?.partitions[partition.index]
        ?.replicas
      if (partition.log.cutBytes > 0 && replicas !== undefined && replicas.length > 1) {
        doubtful.push(partition)
      }
    }
    const report = async () => {
      for (let one = doubtful.pop(); one !== undefined; one = doubtful.pop()) await this.#doubt(one)
    }
    await Promise.all(Array.from({ length: DOUBTS_AT_ONCE }, report))
  }

  async #doubt({ topic, topicId, index: partitionIndex }: Partition): Promise<void> {
    const { nodeId: brokerId, controller, logger } = this.#parts
    const where = { brokerId, brokerEpoch: this.#brokerEpoch, topicId, partitionIndex }
    try {
      await controller.reportFailedReplica({ ...where, leaderEpoch: -1, reason: 'damaged' })
    } catch (error) {
      // It serves all the same: most likely nothing is lost.
      logger.info('The controller did not hear that the end of a log was cut.', {
        topic,
        partition: partitionIndex,
        error: error instanceof Error ? error.message : String(error),
      })
    }
  }

  /** Ends waiting requests. The logs are the store's to close. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#waiting.close()
    this.#watched.close()
    await this.settled()
    this.#fetchers.close()
    this.#failures.close()
    this.service.close()
    for (const partition of this.all()) partition.close()
  }

  #host(topic: TopicImage): void {
    const hosted = new HostedTopic(topic.name, topic.id)
    hosted.partitionCount = topic.partitions.length
    hosted.throttledReplicas = this.#parts.settingsOf(topic.name).throttledReplicas ?? []
    this.#byName.set(topic.name, hosted)
    this.#byId.set(topic.id, hosted)
    for (const partition of topic.partitions) this.#update(hosted, partition)
  }

  #update(hosted: HostedTopic, image: PartitionImage): void {
    const partition = hosted.partitions[image.index]
    if (!image.replicas.includes(this.#parts.nodeId)) {
      if (partition !== undefined) this.#drop(hosted, partition)
      return
    }
    if (partition !== undefined) this.#lead(partition, image)
    else this.#queue(hosted, image.index, () => this.#open(hosted, image.index))
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#work.delete(tracked))
    this.#work.add(tracked)
  }

  /** What is done with one partition's log follows each other: it may be left and come back. */
  #queue(hosted: HostedTopic, index: number, run: () => Promise<void>): void {
    const name = `${hosted.name}-${index}`
    const before = this.#busy.get(name)
    const work = before === undefined ? run() : before.then(run)
    const queued = work.finally(() => {
      if (this.#busy.get(name) === queued) this.#busy.delete(name)
    })
    this.#busy.set(name, queued)
    this.#track(queued)
  }

  /** Undefined: this node is to have no replica of it, by the latest image. */
  #imageOf(hosted: HostedTopic, index: number): PartitionImage | undefined {
    if (hosted.isRemoved || this.#isClosed) return undefined
    const image = this.#image.topics.get(hosted.name)?.partitions[index]
    return image?.replicas.includes(this.#parts.nodeId) === true ? image : undefined
  }

  async #open(hosted: HostedTopic, index: number): Promise<void> {
    const { store, nodeId } = this.#parts
    if (hosted.partitions[index] !== undefined) return
    if (this.#imageOf(hosted, index) === undefined) return
    // The next image will tell which of them is gone.
    if (this.#isOfAnother(hosted, index)) return
    const settings = this.#parts.settingsOf(hosted.name)
    const log = await this.#logOf(hosted, index, settings.log)
    if (log === undefined) return
    const image = this.#imageOf(hosted, index)
    if (image === undefined) {
      if (!this.#isClosed) await this.#removeLog(hosted.name, index)
      return
    }
    const partition = new Partition({
      topic: hosted.name,
      topicId: hosted.id,
      index,
      nodeId,
      log,
      highWatermark: store.checkpointedWatermark(hosted.name, index),
      minInsyncReplicas: settings.minInsyncReplicas,
      parts: this.#partitionParts,
    })
    hosted.partitions[index] = partition
    this.#lead(partition, image)
  }

  /** The log on disk is that of another topic of this name. */
  #isOfAnother({ name, id }: HostedTopic, index: number): boolean {
    const stored = this.#stored.get(`${name}-${index}`)
    return stored !== undefined && stored !== id
  }

  async #logOf(
    hosted: HostedTopic,
    index: number,
    config: LogConfig,
  ): Promise<PartitionLog | undefined> {
    const { store, logger } = this.#parts
    const topic = hosted.name
    const found = store.get(topic, index)
    if (found !== undefined) return found
    try {
      return await store.create({ topic, partition: index, topicId: hosted.id, config })
    } catch (error) {
      if (!(error instanceof StorageError)) throw error
      logger.error('A log can not be opened: its partition is out of service here.', {
        topic,
        partition: index,
        error: error.message,
      })
      const image = this.#imageOf(hosted, index)
      // Nobody else could lead: it stays this node's until its log is there.
      if (store.isAwaited(topic, index) && image?.isr.length === 1) return undefined
      const leaderEpoch = image?.leaderEpoch ?? -1
      const reason = 'storage'
      void this.#failures.report({ topicId: hosted.id, partitionIndex: index, leaderEpoch, reason })
      return undefined
    }
  }

  /** Its log could not be opened at the start, and is there now. */
  #onLogOpened({ topic, partition: index }: PartitionLog): void {
    const hosted = this.#byName.get(topic)
    if (hosted === undefined || this.#isClosed) return
    this.#queue(hosted, index, () => this.#open(hosted, index))
  }

  /** The replica is somebody else's now. */
  #drop(hosted: HostedTopic, partition: Partition): void {
    const { topic, index } = partition
    hosted.partitions[index] = undefined
    this.#retire(partition)
    this.#queue(hosted, index, () => this.#removeLog(topic, index))
  }

  #removeLog(topic: string, partition: number): Promise<void> {
    return this.#letGo(topic, partition, this.#parts.store.delete(topic, partition))
  }

  /** A disk that refuses is no reason to end: what is left of the log, the next start removes. */
  async #letGo(topic: string, partition: number, removal: Promise<void>): Promise<void> {
    try {
      await removal
    } catch (error) {
      if (!(error instanceof StorageError)) throw error
      this.#parts.logger.warn('A log that is here no longer could not be removed for good.', {
        topic,
        partition,
        error: error.message,
      })
    }
  }

  #retire(partition: Partition): void {
    const { topic, index } = partition
    if (partition.isLeader) {
      for (const listener of this.#listeners) listener.onResigned(topic, index)
    }
    this.#fetchers.remove(partition)
    partition.close()
    this.#waiting.delete(partition)
    this.#watched.delete(partition)
  }

  #lead(partition: Partition, image: PartitionImage): void {
    const { leader, leaderEpoch, partitionEpoch, replicas, isr } = image
    if (leader === this.#parts.nodeId && !this.#mayLead(partition, image)) return
    partition.lead({ leaderId: leader, leaderEpoch, partitionEpoch, replicas, isr })
  }

  /**
   * What an earlier process of this node led may have lost its unsynced end since, of which followers
   * may have a part: led again in the same epoch, there would be two logs of one epoch. A partition
   * of one replica has no followers.
   */
  #mayLead({ topicId, index }: Partition, image: PartitionImage): boolean {
    if (this.#brokerEpoch < 0) return false
    if (image.replicas.length === 1 || this.#before === undefined) return true
    const known = topicById(this.#before, topicId)?.partitions[index]
    return known === undefined || known.leaderEpoch < image.leaderEpoch
  }

  /** `ledEpoch`: in which this node has led until now, else -1. */
  #onRole(partition: Partition, ledEpoch: number): void {
    const { topic, index } = partition
    const isSame = partition.isLeader && partition.leaderEpoch === ledEpoch
    if (ledEpoch >= 0 && !isSame) {
      for (const listener of this.#listeners) listener.onResigned(topic, index)
    }
    this.#fetchers.update(partition)
    this.service.reconsider(partition)
    if (!partition.isLeader || isSame) return
    for (const listener of this.#listeners) listener.onLeading(partition)
  }

  /** To the controller it is the same whether a disk is full or broken: the replica can't write. */
  #onImpairment(
    { topicId, index, leaderEpoch }: Partition,
    why: 'damaged' | 'full',
  ): Promise<boolean> {
    const reason = why === 'full' ? 'storage' : 'damaged'
    return this.#failures.report({ topicId, partitionIndex: index, leaderEpoch, reason })
  }

  #onFailure(partition: Partition): void {
    this.#fetchers.update(partition)
    const { topicId, index, leaderEpoch } = partition
    const failure = { topicId, partitionIndex: index, leaderEpoch, reason: 'storage' as const }
    void this.#failures.report(failure)
  }

  #remove(topic: TopicImage): void {
    const hosted = this.#byId.get(topic.id)
    if (hosted === undefined) return
    hosted.isRemoved = true
    this.#byId.delete(topic.id)
    if (this.#byName.get(topic.name) === hosted) this.#byName.delete(topic.name)
    for (const { index, replicas } of topic.partitions) {
      const partition = hosted.partitions[index]
      if (partition !== undefined) this.#retire(partition)
      // One whose log could not be opened leaves a directory all the same.
      else if (!replicas.includes(this.#parts.nodeId) || this.#isOfAnother(hosted, index)) continue
      this.#queue(hosted, index, () => this.#removeLog(topic.name, index))
    }
  }

  #applyConfigs(delta: MetadataDelta): void {
    for (const { type, name } of delta.changedConfigs) {
      if (type === RESOURCE.topic) this.#configure(name)
      else if (type === RESOURCE.broker)
        for (const topic of this.#byName.keys()) this.#configure(topic)
    }
  }

  #configure(name: string): void {
    const hosted = this.#byName.get(name)
    if (hosted === undefined) return
    const settings = this.#parts.settingsOf(name)
    hosted.throttledReplicas = settings.throttledReplicas ?? []
    for (const partition of hosted.partitions) {
      if (partition === undefined) continue
      partition.log.updateConfig(settings.log)
      partition.minInsyncReplicas = settings.minInsyncReplicas
    }
  }
}

const NO_LEADER: LeaderHint = { leaderId: -1, leaderEpoch: -1 }

/** The controller would refuse others. */
function isEligible(image: MetadataImage, nodeId: number): boolean {
  const broker = image.brokers.get(nodeId)
  return broker !== undefined && !broker.isFenced && !broker.isInControlledShutdown
}
