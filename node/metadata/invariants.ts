/** What holds of every image of the cluster's metadata. For tests and for the simulation. */
import { assert } from '../../base/assert.ts'
import type { ClusterRules } from './cluster-rules.ts'
import {
  isActive,
  type MetadataImage,
  type PartitionImage,
  type TopicImage,
  topicById,
} from './image.ts'

/** Throws when the image can't be, by itself or after `before`. */
export function checkImage(image: MetadataImage, before?: MetadataImage): void {
  let count = 0
  for (const topic of image.topics.values()) {
    count += topic.partitions.length
    const earlier = before === undefined ? undefined : topicById(before, topic.id)
    for (const partition of topic.partitions) {
      checkPartition(topic, partition)
      const was = earlier?.partitions[partition.index]
      if (was !== undefined) checkSuccession(topic, was, partition)
    }
  }
  assert(count === image.partitionCount, 'partitions are counted')
  if (before === undefined) return
  assert(image.offset >= before.offset && image.epoch >= before.epoch, 'images do not go back')
  assert(image.nextProducerId >= before.nextProducerId, 'producer ids are given once')
  assert(
    before.clusterId === undefined || image.clusterId === before.clusterId,
    'a cluster keeps its id',
  )
  for (const [id, { epoch }] of image.brokers) {
    const was = before.brokers.get(id)
    assert(was === undefined || epoch >= was.epoch, 'broker epochs grow')
  }
}

function checkPartition(topic: TopicImage, partition: PartitionImage): void {
  const { leader, isr, replicas, eligibleLeaderReplicas: elr, addingReplicas } = partition
  const where = `${topic.name}-${partition.index} ${JSON.stringify(partition)}`
  const isAmong = (list: readonly number[]) => list.every((id) => replicas.includes(id))
  assert(replicas.length > 0 && new Set(replicas).size === replicas.length, where)
  assert(partition.directories.length === replicas.length, where)
  assert(leader === -1 || isr.includes(leader), `a leader is in sync: ${where}`)
  assert(isAmong(isr) && new Set(isr).size === isr.length, `the ISR is of replicas: ${where}`)
  assert(isAmong(elr) && !elr.some((id) => isr.includes(id)), `the ELR is apart: ${where}`)
  assert(isAmong(addingReplicas) && isAmong(partition.removingReplicas), where)
  assert(!addingReplicas.some((id) => partition.removingReplicas.includes(id)), where)
  const { lastKnownElr } = partition
  assert(isAmong(lastKnownElr) && !lastKnownElr.some((id) => isr.includes(id)), where)
}

function checkSuccession(topic: TopicImage, was: PartitionImage, now: PartitionImage): void {
  const where = `${topic.name}-${now.index} ${JSON.stringify([was, now])}`
  assert(now.partitionEpoch >= was.partitionEpoch, `partition epochs grow: ${where}`)
  assert(now.leaderEpoch >= was.leaderEpoch, `leader epochs grow: ${where}`)
  if (now.leader !== was.leader) {
    assert(now.leaderEpoch > was.leaderEpoch, `a new leader, a new epoch: ${where}`)
  }
  if (now !== was && now.partitionEpoch === was.partitionEpoch) {
    assert(JSON.stringify(now) === JSON.stringify(was), `changes are counted: ${where}`)
  }
}

/** Throws when a partition has a leader that can't lead, or none though somebody could. */
export function checkLeaders(rules: ClusterRules): void {
  const { image } = rules
  for (const topic of image.topics.values()) {
    const ofTopic = rules.of(topic.name)
    for (const partition of topic.partitions) {
      const { leader, isr, replicas, eligibleLeaderReplicas } = partition
      const where = `${topic.name}-${partition.index} ${JSON.stringify(partition)}`
      if (leader === -1) {
        const candidates = [...isr, ...eligibleLeaderReplicas]
        const canLead = candidates.some((id) => ofTopic.isActive(partition, id))
        assert(!canLead, `somebody could lead: ${where}`)
        continue
      }
      const isSole = replicas.length === 1
      const others = isr.some((id) => id !== leader && isActive(image, id))
      const mayLead = isSole || isActive(image, leader) || !others
      assert(mayLead, `the leader can lead: ${where}`)
    }
  }
}
