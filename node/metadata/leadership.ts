/**
 * Leaders and ISRs after brokers came, went, or were fenced. What is to be done follows from the
 * image alone, never from the event: so it can be done in portions, and a controller that takes over
 * in the middle finds the rest.
 */
import type { ClusterRules } from './cluster-rules.ts'
import type { MetadataImage, PartitionImage, TopicImage } from './image.ts'
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
  const { leader, isr, replicas, eligibleLeaderReplicas, lastKnownElr } = partition
  const isSole = rules.isDurable && replicas.length === 1 && isr.length === 1
  if (isSole && leader === replicas[0] && rules.isRegistered(leader)) {
    return partition.addingReplicas.length === 0 && partition.removingReplicas.length === 0
  }
  if (leader === NO_LEADER || !isr.every((id) => rules.isActive(partition, id))) return false
  if (partition.addingReplicas.length > 0 || partition.removingReplicas.length > 0) return false
  const least = Math.min(rules.minInsyncReplicas, replicas.length)
  const isNobodyKept = eligibleLeaderReplicas.length === 0 && lastKnownElr.length === 0
  return isNobodyKept || (rules.isElrEnabled && isr.length < least)
}

/**
 * Would the end of this broker take something away that others could give, now or soon? It leads a
 * partition that another may lead, or is in an ISR that gets too small without it.
 */
export function isNeeded(rules: ClusterRules, brokerId: number): boolean {
  for (const topic of rules.image.topics.values()) {
    const ofTopic = rules.of(topic.name)
    for (const partition of topic.partitions) {
      if (isNeededIn(partition, ofTopic, brokerId)) return true
    }
  }
  return false
}

function isNeededIn(partition: PartitionImage, rules: PartitionRules, brokerId: number): boolean {
  const { isr, leader, replicas } = partition
  if (!isr.includes(brokerId)) return false
  const others = replicas.filter((id) => id !== brokerId && rules.isActive(partition, id))
  if (leader === brokerId && others.length > 0) return true
  const least = Math.min(rules.minInsyncReplicas, replicas.length)
  return isr.length - 1 < least && others.some((id) => !isr.includes(id))
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
