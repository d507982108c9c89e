/**
 * Replay: the only way from one image to the next. Every node runs the same records through it, so
 * it must not look at anything but the image and the record. A record that does not fit the image
 * is a broken invariant, and ends the process.
 */
import { assert } from '../../base/assert.ts'
import {
  type BrokerImage,
  type ConfigResource,
  configKey,
  type MetadataImage,
  normalizeTopicName,
  type PartitionImage,
  parseConfigKey,
  RESOURCE,
  type TopicImage,
} from './image.ts'
import { changedPartition } from './partition-change.ts'
import type { MetadataRecord, RecordOf } from './records.ts'

/** What one or more batches changed. Look up the new state in the image. */
export interface MetadataDelta {
  readonly createdTopics: readonly TopicImage[]
  /** As they were before. A topic that was deleted and made again is in both lists. */
  readonly removedTopics: readonly TopicImage[]
  /** Topic id -> indexes of partitions that are new or changed, in topics that were there before. */
  readonly changedPartitions: ReadonlyMap<string, ReadonlySet<number>>
  readonly changedBrokers: ReadonlySet<number>
  readonly changedConfigs: readonly ConfigResource[]
  readonly isFeaturesChanged: boolean
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Collects records; `finish` gives the image after them. */
export class ImageBuilder {
  readonly #base: MetadataImage
  readonly #topics
  readonly #topicNames
  readonly #normalizedNames
  readonly #configs
  readonly #brokers: Map<number, BrokerImage>
  readonly #features: Map<string, number>
  /** Partition lists that this builder made and may change in place, by topic id. */
  readonly #ownPartitions = new Map<string, PartitionImage[]>()
  readonly #createdIds = new Set<string>()
  readonly #removed = new Map<string, TopicImage>()
  readonly #changedPartitions = new Map<string, Set<number>>()
  readonly #changedBrokers = new Set<number>()
  readonly #changedConfigs = new Set<string>()
  #isFeaturesChanged = false
  #clusterId: string | undefined
  #nextProducerId: number
  #partitionCount: number

  constructor(base: MetadataImage) {
    this.#base = base
    this.#topics = base.topics.draft()
    this.#topicNames = base.topicNames.draft()
    this.#normalizedNames = base.normalizedNames.draft()
    this.#configs = base.configs.draft()
    this.#brokers = new Map(base.brokers)
    this.#features = new Map(base.features)
    this.#clusterId = base.clusterId
    this.#nextProducerId = base.nextProducerId
    this.#partitionCount = base.partitionCount
  }

  replay(record: MetadataRecord): void {
    switch (record.type) {
      case 'TopicRecord':
        this.#createTopic(record)
        break
      case 'PartitionRecord':
        this.#createPartition(record)
        break
      case 'PartitionChangeRecord':
        this.#changePartition(record)
        break
      case 'RemoveTopicRecord':
        this.#removeTopic(record.topicId)
        break
      case 'ConfigRecord':
        this.#config(record)
        break
      case 'RegisterBrokerRecord':
        this.#registerBroker(record)
        break
      case 'UnregisterBrokerRecord':
        this.#unregisterBroker(record)
        break
      case 'FenceBrokerRecord':
        this.#updateBroker(record.id, record.epoch, { isFenced: true })
        break
      case 'UnfenceBrokerRecord':
        this.#updateBroker(record.id, record.epoch, { isFenced: false })
        break
      case 'BrokerRegistrationChangeRecord':
        this.#registrationChange(record)
        break
      case 'FeatureLevelRecord':
        this.#feature(record)
        break
      case 'ProducerIdsRecord':
        assert(record.nextProducerId >= this.#nextProducerId, 'producer ids are never given twice')
        this.#nextProducerId = record.nextProducerId
        break
      case 'NoOpRecord':
        this.#nameCluster(record.clusterId)
        break
      case 'ClientQuotaRecord': // kept in the log for a release that has quotas
        break
    }
  }

  /** `offset` and `epoch` of the last record. The builder must not be used again. */
  finish(offset: number, epoch: number): { image: MetadataImage; delta: MetadataDelta } {
    assert(offset >= this.#base.offset, 'images do not go back')
    assert(epoch >= this.#base.epoch, 'epochs do not go back')
    const image: MetadataImage = {
      offset,
      epoch,
      clusterId: this.#clusterId,
      topics: this.#topics.finish(),
      topicNames: this.#topicNames.finish(),
      normalizedNames: this.#normalizedNames.finish(),
      brokers: this.#changedBrokers.size > 0 ? this.#brokers : this.#base.brokers,
      configs: this.#configs.finish(),
      features: this.#isFeaturesChanged ? this.#features : this.#base.features,
      nextProducerId: this.#nextProducerId,
      partitionCount: this.#partitionCount,
    }
    assert(image.topics.size === image.topicNames.size, 'each topic has one name and one id')
    const created = [...this.#createdIds].map((id) => image.topics.get(image.topicNames.get(id)!)!)
    const delta: MetadataDelta = {
      createdTopics: created,
      removedTopics: [...this.#removed.values()],
      changedPartitions: this.#changedPartitions,
      changedBrokers: this.#changedBrokers,
      changedConfigs: [...this.#changedConfigs].map(parseConfigKey),
      isFeaturesChanged: this.#isFeaturesChanged,
    }
    return { image, delta }
  }

  #createTopic(record: RecordOf<'TopicRecord'>): void {
    assert(!this.#topics.has(record.name), `topic ${record.name} is made once`)
    assert(!this.#topicNames.has(record.topicId), 'a topic id is given once')
    const partitions: PartitionImage[] = []
    this.#ownPartitions.set(record.topicId, partitions)
    this.#createdIds.add(record.topicId)
    this.#topics.set(record.name, { name: record.name, id: record.topicId, partitions })
    this.#topicNames.set(record.topicId, record.name)
    this.#normalizedNames.set(normalizeTopicName(record.name), record.name)
  }

  #createPartition(record: RecordOf<'PartitionRecord'>): void {
    const partitions = this.#partitionsToChange(record.topicId)
    assert(record.partitionId === partitions.length, 'partitions come in order')
    assert(record.replicas.length > 0, 'a partition has a replica')
    assert(record.leader === -1 || record.isr.includes(record.leader), 'a leader is in sync')
    partitions.push({
      index: record.partitionId,
      replicas: record.replicas,
      isr: record.isr,
      removingReplicas: record.removingReplicas,
      addingReplicas: record.addingReplicas,
      leader: record.leader,
      leaderRecoveryState: record.leaderRecoveryState,
      leaderEpoch: record.leaderEpoch,
      partitionEpoch: record.partitionEpoch,
      directories: record.directories,
      eligibleLeaderReplicas: record.eligibleLeaderReplicas ?? [],
      lastKnownElr: record.lastKnownElr ?? [],
    })
    this.#partitionCount++
    this.#noteChange(record.topicId, record.partitionId)
  }

  /** A change of leader, also to the same one, is a new leader epoch; shrinking the ISR is not. */
  #changePartition(record: RecordOf<'PartitionChangeRecord'>): void {
    const partitions = this.#partitionsToChange(record.topicId)
    const before = partitions[record.partitionId]
    assert(before !== undefined, 'only a partition that is there changes')
    const after = changedPartition(before, record)
    assert(after.leader === -1 || after.isr.includes(after.leader), 'a leader is in sync')
    partitions[record.partitionId] = after
    this.#noteChange(record.topicId, record.partitionId)
  }

  #removeTopic(topicId: string): void {
    const name = this.#topicNames.get(topicId)
    assert(name !== undefined, 'only a topic that is there can go')
    const topic = this.#topics.get(name)!
    this.#topics.delete(name)
    this.#topicNames.delete(topicId)
    const normalized = normalizeTopicName(name)
    if (this.#normalizedNames.get(normalized) === name) this.#normalizedNames.delete(normalized)
    this.#partitionCount -= topic.partitions.length
    const key = configKey(RESOURCE.topic, name)
    if (this.#configs.has(key)) {
      this.#configs.delete(key)
      this.#changedConfigs.add(key)
    }
    this.#ownPartitions.delete(topicId)
    this.#changedPartitions.delete(topicId)
    if (this.#createdIds.delete(topicId)) return
    const before = this.#base.topics.get(name)
    assert(before !== undefined && before.id === topicId)
    this.#removed.set(topicId, before)
  }

  #config(record: RecordOf<'ConfigRecord'>): void {
    const key = configKey(record.resourceType, record.resourceName)
    const next = new Map(this.#configs.get(key))
    if (record.value === null) next.delete(record.name)
    else next.set(record.name, record.value)
    if (next.size === 0) this.#configs.delete(key)
    else this.#configs.set(key, next)
    this.#changedConfigs.add(key)
  }

  #registerBroker(record: RecordOf<'RegisterBrokerRecord'>): void {
    const before = this.#brokers.get(record.brokerId)
    assert(before === undefined || record.brokerEpoch > before.epoch, 'broker epochs grow')
    this.#changedBrokers.add(record.brokerId)
    this.#brokers.set(record.brokerId, {
      id: record.brokerId,
      epoch: record.brokerEpoch,
      incarnationId: record.incarnationId,
      endpoints: record.endPoints,
      features: record.features,
      rack: record.rack,
      isFenced: record.fenced,
      isInControlledShutdown: record.inControlledShutdown,
      logDirs: record.logDirs,
      cordonedLogDirs: record.cordonedLogDirs ?? [],
    })
  }

  #unregisterBroker(record: RecordOf<'UnregisterBrokerRecord'>): void {
    const before = this.#brokers.get(record.brokerId)
    assert(before !== undefined && before.epoch === record.brokerEpoch, 'a broker of this epoch')
    this.#brokers.delete(record.brokerId)
    this.#changedBrokers.add(record.brokerId)
  }

  #updateBroker(id: number, epoch: number, change: Partial<BrokerImage>): void {
    const before = this.#brokers.get(id)
    assert(before !== undefined && before.epoch === epoch, 'a broker of this epoch')
    this.#brokers.set(id, { ...before, ...change })
    this.#changedBrokers.add(id)
  }

  #registrationChange(record: RecordOf<'BrokerRegistrationChangeRecord'>): void {
    const change: Partial<Mutable<BrokerImage>> = {}
    if (record.fenced !== 0) change.isFenced = record.fenced > 0
    if (record.inControlledShutdown !== 0) change.isInControlledShutdown = true
    if (record.logDirs.length > 0) change.logDirs = record.logDirs
    if (record.cordonedLogDirs !== null) change.cordonedLogDirs = record.cordonedLogDirs
    this.#updateBroker(record.brokerId, record.brokerEpoch, change)
  }

  /** The first name stays; a later leader that did not know it yet may have said another. */
  #nameCluster(clusterId: string | null): void {
    if (clusterId !== null) this.#clusterId ??= clusterId
  }

  #feature(record: RecordOf<'FeatureLevelRecord'>): void {
    if (record.featureLevel === 0) this.#features.delete(record.name)
    else this.#features.set(record.name, record.featureLevel)
    this.#isFeaturesChanged = true
  }

  /** The topic's partitions, copied when the list belongs to an earlier image. */
  #partitionsToChange(topicId: string): PartitionImage[] {
    const own = this.#ownPartitions.get(topicId)
    if (own !== undefined) return own
    const name = this.#topicNames.get(topicId)
    assert(name !== undefined, 'a partition belongs to a topic')
    const topic = this.#topics.get(name)!
    const partitions = [...topic.partitions]
    this.#ownPartitions.set(topicId, partitions)
    this.#topics.set(name, { ...topic, partitions })
    return partitions
  }

  #noteChange(topicId: string, index: number): void {
    if (this.#createdIds.has(topicId)) return
    const indexes = this.#changedPartitions.get(topicId)
    if (indexes === undefined) this.#changedPartitions.set(topicId, new Set([index]))
    else indexes.add(index)
  }
}

/** The image after `records`, of which the last lies at `offset`. */
export function replay(
  image: MetadataImage,
  records: readonly MetadataRecord[],
  offset: number,
  epoch: number,
): { image: MetadataImage; delta: MetadataDelta } {
  const builder = new ImageBuilder(image)
  for (const record of records) builder.replay(record)
  return builder.finish(offset, epoch)
}
