/**
 * Replicas that their brokers report as failed, one by one or by the directory. A failed disk: the replica is out of service until
 * its broker registers again, or its leader says that it has caught up. Damaged bytes: a leader gives
 * up leadership to a replica that is in sync, and is repaired from it; when there is none, it goes on
 * with what it has.
 */
import {
  FENCED_LEADER_EPOCH,
  NONE,
  NOT_CONTROLLER,
  STALE_BROKER_EPOCH,
  UNKNOWN_TOPIC_ID,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../../kafka/wire/errors.ts'
import { ClusterRules, LOST_DIRECTORY } from './cluster-rules.ts'
import type { FailedReplica } from './controller-port.ts'
import type { Decision, View } from './decision.ts'
import { type PartitionImage, topicById } from './image.ts'
import { CHANGES_PER_BATCH } from './leadership.ts'
import { changedPartition, changePartition, type PartitionRules } from './partition-change.ts'
import type { MetadataRecord, RecordOf } from './records.ts'

/** The replica has heard of no leader yet. */
const ANY_EPOCH = -1

export function decideFailedReplica(view: View, report: FailedReplica): Decision<number> {
  const { image } = view
  const nothing = (error: number) => ({ records: [], answer: error })
  if (image.brokers.get(report.brokerId)?.epoch !== report.brokerEpoch) {
    return nothing(STALE_BROKER_EPOCH)
  }
  const topic = topicById(image, report.topicId)
  if (topic === undefined) return nothing(UNKNOWN_TOPIC_ID)
  const partition = topic.partitions[report.partitionIndex]
  if (partition?.replicas.includes(report.brokerId) !== true) {
    return nothing(UNKNOWN_TOPIC_OR_PARTITION)
  }
  if (report.leaderEpoch !== ANY_EPOCH) {
    if (report.leaderEpoch < partition.leaderEpoch) return nothing(FENCED_LEADER_EPOCH)
    if (report.leaderEpoch > partition.leaderEpoch) return nothing(NOT_CONTROLLER)
  }
  const rules = new ClusterRules(image, view.settings).of(topic.name)
  const record =
    report.reason === 'storage'
      ? afterStorageFailure(topic.id, partition, report.brokerId, rules)
      : afterDamage(topic.id, partition, report.brokerId, rules)
  return { records: record === undefined ? [] : [record], answer: NONE }
}

/** The replicas in directories that their broker can't use any more (KIP-858). */
export function offlineRecords(
  { image, settings }: View,
  brokerId: number,
  offline: readonly string[],
): MetadataRecord[] {
  const records: MetadataRecord[] = []
  const rules = new ClusterRules(image, settings)
  for (const topic of image.topics.values()) {
    for (const partition of topic.partitions) {
      const directory = partition.directories[partition.replicas.indexOf(brokerId)]
      if (directory === undefined || !offline.includes(directory)) continue
      const record = afterStorageFailure(topic.id, partition, brokerId, rules.of(topic.name))
      if (record !== undefined) records.push(record)
      if (records.length >= CHANGES_PER_BATCH) return records
    }
  }
  return records
}

type Change = RecordOf<'PartitionChangeRecord'> | undefined

/**
 * With its directory lost it is not active, and leaves the ISR. With `flush=group` it has durably
 * all that counted on it, whatever failed then, so it stays eligible where the ISR gets too small
 * for acknowledgements: else one failure after the other leaves nobody to lead. So does the last
 * one: a repaired disk may bring it back with all it had.
 */
function afterStorageFailure(
  topicId: string,
  partition: PartitionImage,
  brokerId: number,
  rules: PartitionRules,
): Change {
  const directories = new Map([[brokerId, LOST_DIRECTORY]])
  const isLast = partition.isr.every((id) => id === brokerId || !rules.isActive(partition, id))
  const uncertain = new Set(isLast || rules.isDurable ? [] : [brokerId])
  // Keeping the leader of a sole replica is for brokers that come back with what they had.
  const here = { ...rules, isDurable: false }
  return changePartition(topicId, partition, { directories, uncertain }, here)
}

/**
 * Where nobody leads yet, it waits for one that has everything, if there is one. Until somebody else
 * may acknowledge, it stays the last resort.
 */
function afterDamage(
  topicId: string,
  partition: PartitionImage,
  brokerId: number,
  rules: PartitionRules,
): Change {
  const clean = { ...rules, isUncleanAllowed: false }
  const change = changePartition(topicId, partition, { doubtful: new Set([brokerId]) }, clean)
  if (change === undefined) return undefined
  const after = changedPartition(partition, change)
  const isLed = partition.leader !== -1 && after.leader === -1
  const others = [...after.isr, ...after.eligibleLeaderReplicas]
  const isWorse = isLed || others.length === 0 || others.includes(brokerId)
  return isWorse ? undefined : change
}
