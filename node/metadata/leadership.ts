/**
 * Leaders and ISRs after brokers came, went, or were fenced. What is to be done follows from the
 * image alone, never from the event: so it can be done in portions, and a controller that takes over
 * in the middle finds the rest.
 */
import type { ClusterRules } from './cluster-rules.ts'
import { isActive, type MetadataImage, type PartitionImage, type TopicImage } from './image.ts'
import { changePartition, type PartitionRules } from './partition-change.ts'
import { type MetadataRecord, NO_LEADER } from './records.ts'

/** About 60 bytes each: well below what a batch of the metadata log may have. */
export const CHANGES_PER_BATCH = 5_000

/** What no partition that is well needs, lazily, one record a partition. */
export function* repairs(rules: ClusterRules): Generator<MetadataRecord> {
  for (const topic of rules.image.topics.values()) {
    const ofTopic = rules.of(topic.name)
    for (const partition of topic.partitions) {
      if (isWell(partition, ofTopic)) continue
      const record = changePartition(topic.id, partition, {}, ofTopic)
      if (record !== undefined) yield record
    }
  }
}

/** At most `limit` of the repairs that the image asks for. */
export function someRepairs(rules: ClusterRules, limit = CHANGES_PER_BATCH): MetadataRecord[] {
  const records: MetadataRecord[] = []
  if (limit <= 0) return records
  for (const record of repairs(rules)) {
    records.push(record)
    if (records.length >= limit) break
  }
  return records
}

function isWell(partition: PartitionImage, rules: PartitionRules): boolean {
  const { leader, isr, replicas, eligibleLeaderReplicas } = partition
  const isSole = rules.isDurable && replicas.length === 1 && isr.length === 1
  if (isSole && leader === replicas[0] && rules.isRegistered(leader)) {
    return partition.addingReplicas.length === 0 && partition.removingReplicas.length === 0
  }
  if (leader === NO_LEADER || !isr.every((id) => rules.isActive(partition, id))) return false
  if (partition.addingReplicas.length > 0 || partition.removingReplicas.length > 0) return false
  const least = Math.min(rules.minInsyncReplicas, replicas.length)
  return eligibleLeaderReplicas.length === 0 || (rules.isElrEnabled && isr.length < least)
}

/** Does the broker lead a partition that another replica could take over, now or soon? */
export function hasMovableLeadership(image: MetadataImage, brokerId: number): boolean {
  for (const topic of image.topics.values()) {
    for (const partition of topic.partitions) {
      if (partition.leader === brokerId && isMovable(image, partition)) return true
    }
  }
  return false
}

function isMovable(image: MetadataImage, partition: PartitionImage): boolean {
  return partition.replicas.some((id) => id !== partition.leader && isActive(image, id))
}

/** Partitions that have no leader whom anybody could reach. */
export function* offlinePartitions(
  image: MetadataImage,
): Generator<{ topic: TopicImage; partition: PartitionImage }> {
  for (const topic of image.topics.values()) {
    for (const partition of topic.partitions) {
      const broker = image.brokers.get(partition.leader)
      if (broker === undefined || broker.isFenced) yield { topic, partition }
    }
  }
}
