/** What lies between two images of which one did not come from the other by replay: a snapshot. */
import type { MetadataDelta } from './apply.ts'
import {
  type ConfigOverrides,
  type ConfigResource,
  type MetadataImage,
  type PartitionImage,
  parseConfigKey,
  type TopicImage,
} from './image.ts'

/** As replay would have said it. */
export function deltaBetween(before: MetadataImage, after: MetadataImage): MetadataDelta {
  const createdTopics: TopicImage[] = []
  const removedTopics: TopicImage[] = []
  const changedPartitions = new Map<string, Set<number>>()
  for (const topic of after.topics.values()) {
    const old = before.topics.get(topic.name)
    if (old === undefined || old.id !== topic.id) createdTopics.push(topic)
    else {
      const changed = changedIn(old, topic)
      if (changed.size > 0) changedPartitions.set(topic.id, changed)
    }
  }
  for (const topic of before.topics.values()) {
    if (after.topics.get(topic.name)?.id !== topic.id) removedTopics.push(topic)
  }
  return {
    createdTopics,
    removedTopics,
    changedPartitions,
    changedBrokers: changedBrokers(before, after),
    changedConfigs: changedConfigs(before, after),
    isFeaturesChanged: !isSameMap(before.features, after.features),
  }
}

function changedIn(before: TopicImage, after: TopicImage): Set<number> {
  const changed = new Set<number>()
  after.partitions.forEach((partition, index) => {
    const old = before.partitions[index]
    if (old === undefined || !isSamePartition(old, partition)) changed.add(index)
  })
  return changed
}

/** Each change raises the epoch; so do all that a snapshot skips. */
function isSamePartition(one: PartitionImage, other: PartitionImage): boolean {
  return one.partitionEpoch === other.partitionEpoch && one.leaderEpoch === other.leaderEpoch
}

function changedBrokers(before: MetadataImage, after: MetadataImage): Set<number> {
  const changed = new Set<number>()
  for (const id of new Set([...before.brokers.keys(), ...after.brokers.keys()])) {
    const texts = [before, after].map(({ brokers }) => JSON.stringify(brokers.get(id)))
    if (texts[0] !== texts[1]) changed.add(id)
  }
  return changed
}

function changedConfigs(before: MetadataImage, after: MetadataImage): ConfigResource[] {
  const keys = new Set<string>()
  for (const [key, overrides] of before.configs.entries()) {
    if (!isSameMap(overrides, after.configs.get(key))) keys.add(key)
  }
  for (const [key] of after.configs.entries()) if (!before.configs.has(key)) keys.add(key)
  return [...keys].map(parseConfigKey)
}

function isSameMap(
  one: ReadonlyMap<string, number> | ConfigOverrides,
  other: ReadonlyMap<string, number> | ConfigOverrides | undefined,
): boolean {
  if (other === undefined || one.size !== other.size) return false
  for (const [key, value] of one) if (other.get(key) !== value) return false
  return true
}
