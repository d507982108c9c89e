/**
 * AlterPartition (KIP-497): the leader of a partition proposes who is in sync. A proposal counts only
 * from the leader, in the epochs that the controller has, and names only replicas that may lead.
 */
import type {
  AlterPartitionRequest,
  AlterPartitionResponse,
} from '../../kafka/api/56-alter-partition.ts'
import {
  FENCED_LEADER_EPOCH,
  INELIGIBLE_REPLICA,
  INVALID_REQUEST,
  INVALID_UPDATE_VERSION,
  NEW_LEADER_ELECTED,
  NONE,
  NOT_CONTROLLER,
  STALE_BROKER_EPOCH,
  UNKNOWN_TOPIC_ID,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../../kafka/wire/errors.ts'
import { ClusterRules, LOST_DIRECTORY } from './cluster-rules.ts'
import type { Decision, View } from './decision.ts'
import { isActive, type MetadataImage, type PartitionImage, topicById } from './image.ts'
import {
  changedPartition,
  changePartition,
  type PartitionRules,
  RECOVERED,
  RECOVERING,
} from './partition-change.ts'
import type { MetadataRecord } from './records.ts'

type Proposal = AlterPartitionRequest['topics'][number]['partitions'][number]
type PartitionAnswer = AlterPartitionResponse['topics'][number]['partitions'][number]

export function decideAlterPartition(
  view: View,
  request: AlterPartitionRequest,
): Decision<AlterPartitionResponse> {
  const { image } = view
  const broker = image.brokers.get(request.brokerId)
  if (broker === undefined || broker.epoch !== request.brokerEpoch) {
    return { records: [], answer: { errorCode: STALE_BROKER_EPOCH, topics: [] } }
  }
  const rules = new ClusterRules(image, view.settings)
  const records: MetadataRecord[] = []
  const answered = new Set<string>()
  const topics = [...request.topics].map(({ topicId, partitions }) => {
    const topic = topicById(image, topicId)
    return {
      topicId,
      partitions: [...partitions].map((proposal) => {
        const { partitionIndex } = proposal
        const key = `${topicId}/${partitionIndex}`
        if (answered.has(key)) return refused(partitionIndex, INVALID_REQUEST)
        answered.add(key)
        if (topic === undefined) return refused(partitionIndex, UNKNOWN_TOPIC_ID)
        const before = topic.partitions[partitionIndex]
        if (before === undefined) return refused(partitionIndex, UNKNOWN_TOPIC_OR_PARTITION)
        const ofTopic = rules.of(topic.name)
        const error = fault(image, before, request.brokerId, proposal)
        if (error !== NONE) return refused(partitionIndex, error)
        return accept({ topicId, before, proposal, rules: ofTopic }, records)
      }),
    }
  })
  return { records, answer: { errorCode: NONE, topics } }
}

/** The proposed ISR with the epochs of its brokers, -1 where the leader does not know. */
function proposedIsr(proposal: Proposal): { brokerId: number; brokerEpoch: number }[] {
  if (proposal.newIsrWithEpochs.length > 0) return [...proposal.newIsrWithEpochs]
  return [...proposal.newIsr].map((brokerId) => ({ brokerId, brokerEpoch: -1 }))
}

function fault(
  image: MetadataImage,
  partition: PartitionImage,
  brokerId: number,
  proposal: Proposal,
): number {
  const { leaderEpoch, partitionEpoch, leader } = partition
  // The leader knows more than we do: somebody else is controller by now.
  if (proposal.leaderEpoch > leaderEpoch || proposal.partitionEpoch > partitionEpoch) {
    return NOT_CONTROLLER
  }
  if (proposal.leaderEpoch < leaderEpoch) return FENCED_LEADER_EPOCH
  if (leader !== brokerId) return INVALID_REQUEST
  if (proposal.partitionEpoch < partitionEpoch) return INVALID_UPDATE_VERSION
  const isr = proposedIsr(proposal)
  const ids = new Set(isr.map((one) => one.brokerId))
  if (ids.size !== isr.length || !ids.has(leader)) return INVALID_REQUEST
  if (![...ids].every((id) => partition.replicas.includes(id))) return INVALID_REQUEST
  if (proposal.leaderRecoveryState === RECOVERING) {
    if (ids.size > 1 || partition.leaderRecoveryState === RECOVERED) return INVALID_REQUEST
  }
  for (const { brokerId: id, brokerEpoch } of isr) {
    if (id === leader) continue
    if (brokerEpoch !== -1 && image.brokers.get(id)?.epoch !== brokerEpoch)
      return INELIGIBLE_REPLICA
    // About to go: it may stay, not come.
    if (partition.isr.includes(id) && image.brokers.get(id)?.isFenced === false) continue
    // Not by the rules: a replica whose disk failed is well again when it has caught up.
    if (!isActive(image, id)) return INELIGIBLE_REPLICA
  }
  return NONE
}

function accept(
  change: {
    topicId: string
    before: PartitionImage
    proposal: Proposal
    rules: PartitionRules
  },
  records: MetadataRecord[],
): PartitionAnswer {
  const { topicId, before, proposal, rules } = change
  const isr = proposedIsr(proposal).map(({ brokerId }) => brokerId)
  const directories = new Map<number, string>()
  for (const id of isr) {
    const directory = before.directories[before.replicas.indexOf(id)]
    if (directory === LOST_DIRECTORY) directories.set(id, rules.directoryOf(id))
  }
  const target = { isr, directories, leaderRecoveryState: proposal.leaderRecoveryState }
  const record = changePartition(topicId, before, target, rules)
  if (record === undefined) return described(before, NONE)
  records.push(record)
  const after = changedPartition(before, record)
  if (after.leader === before.leader && after.leaderEpoch === before.leaderEpoch) {
    return described(after, NONE)
  }
  // It was the last step of a reassignment, or of a shutdown.
  const error = after.leader === before.leader ? FENCED_LEADER_EPOCH : NEW_LEADER_ELECTED
  return refused(before.index, error)
}

function described(partition: PartitionImage, errorCode: number): PartitionAnswer {
  return {
    partitionIndex: partition.index,
    errorCode,
    leaderId: partition.leader,
    leaderEpoch: partition.leaderEpoch,
    isr: partition.isr,
    leaderRecoveryState: partition.leaderRecoveryState,
    partitionEpoch: partition.partitionEpoch,
  }
}

function refused(partitionIndex: number, errorCode: number): PartitionAnswer {
  return {
    partitionIndex,
    errorCode,
    leaderId: 0,
    leaderEpoch: 0,
    isr: [],
    leaderRecoveryState: RECOVERED,
    partitionEpoch: 0,
  }
}
