/**
 * An image as records: what a snapshot holds. Replayed into the empty image they give the same image
 * again, but for its offset and epoch, which belong to the snapshot's name.
 */
import { ImageBuilder } from './apply.ts'
import { EMPTY_IMAGE, type MetadataImage, type PartitionImage, parseConfigKey } from './image.ts'
import type { MetadataRecord, RecordOf } from './records.ts'

/** Lazily, in an order in which each record finds what it needs; equal images give equal records. */
export function* snapshotRecords(image: MetadataImage): Generator<MetadataRecord> {
  if (image.clusterId !== undefined) {
    yield { type: 'NoOpRecord', clusterId: image.clusterId }
  }
  for (const [name, featureLevel] of sorted(image.features)) {
    yield { type: 'FeatureLevelRecord', name, featureLevel }
  }
  for (const broker of [...image.brokers.values()].sort((one, other) => one.id - other.id)) {
    yield {
      type: 'RegisterBrokerRecord',
      brokerId: broker.id,
      isMigratingZkBroker: false,
      incarnationId: broker.incarnationId,
      brokerEpoch: broker.epoch,
      endPoints: broker.endpoints,
      features: broker.features,
      rack: broker.rack,
      fenced: broker.isFenced,
      inControlledShutdown: broker.isInControlledShutdown,
      logDirs: broker.logDirs,
      cordonedLogDirs: broker.cordonedLogDirs,
    } as RecordOf<'RegisterBrokerRecord'>
  }
  for (const [name, topic] of sorted(image.topics.entries())) {
    yield { type: 'TopicRecord', name, topicId: topic.id }
    for (const partition of topic.partitions) yield partitionRecord(topic.id, partition)
  }
  for (const [key, overrides] of sorted(image.configs.entries())) {
    const { type: resourceType, name: resourceName } = parseConfigKey(key)
    for (const [name, value] of sorted(overrides)) {
      yield { type: 'ConfigRecord', resourceType, resourceName, name, value }
    }
  }
  if (image.nextProducerId > 0) {
    const { nextProducerId } = image
    yield { type: 'ProducerIdsRecord', brokerId: -1, brokerEpoch: -1, nextProducerId }
  }
}

/** The image of a snapshot: everything up to and with `offset`, which lies in `epoch`. */
export function imageOfSnapshot(
  records: Iterable<MetadataRecord>,
  offset: number,
  epoch: number,
): MetadataImage {
  const builder = new ImageBuilder(EMPTY_IMAGE)
  for (const record of records) builder.replay(record)
  return builder.finish(offset, epoch).image
}

function partitionRecord(topicId: string, partition: PartitionImage): MetadataRecord {
  return {
    type: 'PartitionRecord',
    topicId,
    partitionId: partition.index,
    replicas: partition.replicas,
    isr: partition.isr,
    removingReplicas: partition.removingReplicas,
    addingReplicas: partition.addingReplicas,
    leader: partition.leader,
    leaderRecoveryState: partition.leaderRecoveryState,
    leaderEpoch: partition.leaderEpoch,
    partitionEpoch: partition.partitionEpoch,
    directories: partition.directories,
    eligibleLeaderReplicas: listOrNull(partition.eligibleLeaderReplicas),
    lastKnownElr: listOrNull(partition.lastKnownElr),
  } as RecordOf<'PartitionRecord'>
}

const listOrNull = (list: readonly number[]) => (list.length > 0 ? list : null)

function sorted<V>(entries: Iterable<readonly [string, V]>): (readonly [string, V])[] {
  return [...entries].sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0))
}
