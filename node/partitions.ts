/**
 * The partitions that this node hosts: follows the metadata image, makes and removes logs, and tells
 * each replica who leads it. Handlers look partitions up here.
 *
 * The image changes at once, logs take a moment: a partition whose log is not there yet is undefined
 * in its topic's list, and `settled` resolves when all are.
 */
import { assert } from '../base/assert.ts'
import type { Clock, Timer } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import type { Turn } from '../base/turn.ts'
import type { DataPort, LeaderHint, NodeEndpoint, TopicPort } from '../kafka/broker.ts'
import type { LogConfig } from '../log/config.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import type { LogStore } from '../log/store.ts'
import { Partition, type PartitionParts } from '../replication/partition.ts'
import type { ReplicationProbe } from '../replication/probe.ts'
import type { MetadataDelta } from './metadata/apply.ts'
import {
  endpointOf,
  type MetadataImage,
  type PartitionImage,
  RESOURCE,
  type TopicImage,
} from './metadata/image.ts'

/** How often produce requests that wait too long are looked for. */
const SWEEP_MS = 25

export const INTERNAL_TOPICS: ReadonlySet<string> = new Set([
  '__consumer_offsets',
  '__transaction_state',
  '__share_group_state',
])

export interface TopicSettings {
  readonly log: LogConfig
  readonly minInsyncReplicas: number
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
}

class HostedTopic implements TopicPort {
  readonly name: string
  readonly id: string
  readonly isInternal: boolean
  partitionCount = 0
  readonly partitions: (Partition | undefined)[] = []
  isRemoved = false

  constructor(name: string, id: string) {
    this.name = name
    this.id = id
    this.isInternal = INTERNAL_TOPICS.has(name)
  }
}

export class Partitions implements DataPort {
  readonly #parts: PartitionsParts
  readonly #partitionParts: PartitionParts
  readonly #byName = new Map<string, HostedTopic>()
  readonly #byId = new Map<string, HostedTopic>()
  readonly #waiting = new Set<Partition>()
  readonly #work = new Set<Promise<void>>()
  readonly #listeners: LeadershipListener[] = []
  #image: MetadataImage
  #sweep: Timer | undefined
  #isClosed = false

  constructor(parts: PartitionsParts, image: MetadataImage) {
    this.#parts = parts
    this.#image = image
    this.#partitionParts = {
      clock: parts.clock,
      turn: parts.turn,
      logger: parts.logger,
      probe: parts.probe,
      onFailure: () => {},
      onWaiting: (partition) => this.#onWaiting(partition),
    }
  }

  get image(): MetadataImage {
    return this.#image
  }

  addLeadershipListener(listener: LeadershipListener): void {
    this.#listeners.push(listener)
  }

  /** Hosts what the image says, with the logs that the store has opened. Strays are removed. */
  async start(): Promise<void> {
    const expected = new Set<string>()
    for (const topic of this.#image.topics.values()) {
      for (const { index } of topic.partitions) expected.add(`${topic.id}/${index}`)
    }
    for (const { topic, partition, topicId } of this.#parts.store.listed()) {
      if (topicId !== undefined && expected.has(`${topicId}/${partition}`)) continue
      const isNamed = this.#image.topics.get(topic)?.partitions[partition] !== undefined
      // Without its id a log can't be told from one of an earlier topic of that name: keep it.
      if (topicId === undefined && isNamed) continue
      this.#parts.logger.warn('A log of a topic that does not exist any more is removed.', {
        topic,
        partition,
      })
      await this.#parts.store.delete(topic, partition)
    }
    for (const topic of this.#image.topics.values()) this.#host(topic)
    await this.settled()
  }

  /** The next image. Called in the order of the metadata log. */
  apply(image: MetadataImage, delta: MetadataDelta): void {
    if (this.#isClosed) return
    this.#image = image
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

  /** Ends waiting requests. The logs are the store's to close. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#sweep?.cancel()
    await this.settled()
    for (const partition of this.all()) partition.close()
  }

  #host(topic: TopicImage): void {
    const hosted = new HostedTopic(topic.name, topic.id)
    hosted.partitionCount = topic.partitions.length
    this.#byName.set(topic.name, hosted)
    this.#byId.set(topic.id, hosted)
    for (const partition of topic.partitions) this.#update(hosted, partition)
  }

  #update(hosted: HostedTopic, image: PartitionImage): void {
    if (!image.replicas.includes(this.#parts.nodeId)) return
    const partition = hosted.partitions[image.index]
    if (partition !== undefined) this.#lead(partition, image)
    else this.#track(this.#open(hosted, image.index))
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#work.delete(tracked))
    this.#work.add(tracked)
  }

  async #open(hosted: HostedTopic, index: number): Promise<void> {
    const { store, logger, nodeId } = this.#parts
    const settings = this.#parts.settingsOf(hosted.name)
    let log: PartitionLog
    try {
      log =
        store.get(hosted.name, index) ??
        (await store.create({
          topic: hosted.name,
          partition: index,
          topicId: hosted.id,
          config: settings.log,
        }))
    } catch (error) {
      logger.error('A log can not be opened: its partition is out of service here.', {
        topic: hosted.name,
        partition: index,
        error: error instanceof Error ? error.message : String(error),
      })
      return
    }
    if (hosted.isRemoved) {
      await store.delete(hosted.name, index)
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
    const image = this.#image.topics.get(hosted.name)?.partitions[index]
    if (image !== undefined) this.#lead(partition, image)
  }

  #lead(partition: Partition, image: PartitionImage): void {
    const wasLeader = partition.isLeader
    const epoch = partition.leaderEpoch
    partition.lead({ leaderId: image.leader, leaderEpoch: image.leaderEpoch, isr: image.isr })
    if (wasLeader && (!partition.isLeader || partition.leaderEpoch !== epoch)) {
      for (const listener of this.#listeners) listener.onResigned(partition.topic, partition.index)
    }
    if (partition.isLeader && (!wasLeader || partition.leaderEpoch !== epoch)) {
      for (const listener of this.#listeners) listener.onLeading(partition)
    }
  }

  #remove(topic: TopicImage): void {
    const hosted = this.#byId.get(topic.id)
    if (hosted === undefined) return
    hosted.isRemoved = true
    this.#byId.delete(topic.id)
    if (this.#byName.get(topic.name) === hosted) this.#byName.delete(topic.name)
    for (const partition of hosted.partitions) {
      if (partition === undefined) continue
      if (partition.isLeader) {
        for (const listener of this.#listeners)
          listener.onResigned(partition.topic, partition.index)
      }
      partition.close()
      this.#waiting.delete(partition)
      this.#track(this.#parts.store.delete(partition.topic, partition.index))
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
    for (const partition of hosted.partitions) {
      if (partition === undefined) continue
      partition.log.updateConfig(settings.log)
      partition.minInsyncReplicas = settings.minInsyncReplicas
    }
  }

  #onWaiting(partition: Partition): void {
    this.#waiting.add(partition)
    if (this.#sweep === undefined && !this.#isClosed) this.#scheduleSweep()
  }

  #scheduleSweep(): void {
    this.#sweep = this.#parts.clock.after(SWEEP_MS, () => {
      this.#sweep = undefined
      const nowMs = this.#parts.clock.monotonicMs()
      for (const partition of this.#waiting) {
        if (!partition.expire(nowMs)) this.#waiting.delete(partition)
      }
      if (this.#waiting.size > 0 && !this.#isClosed) this.#scheduleSweep()
    })
  }
}

const NO_LEADER: LeaderHint = { leaderId: -1, leaderEpoch: -1 }
