/**
 * Moving replicas (KIP-455): new ones are added to a partition, and when all of them are in sync
 * those that are to go are removed (partition-change.ts completes it with the ISR change that makes
 * it true). Cancelling takes the added ones away again.
 */
import type {
  AlterPartitionReassignmentsRequest,
  AlterPartitionReassignmentsResponse,
} from '../../kafka/api/45-alter-partition-reassignments.ts'
import type {
  ListPartitionReassignmentsRequest,
  ListPartitionReassignmentsResponse,
} from '../../kafka/api/46-list-partition-reassignments.ts'
import {
  INVALID_REPLICA_ASSIGNMENT,
  INVALID_REPLICATION_FACTOR,
  INVALID_REQUEST,
  NO_REASSIGNMENT_IN_PROGRESS,
  NONE,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../../kafka/wire/errors.ts'
import { ClusterRules } from './cluster-rules.ts'
import type { Decision, View } from './decision.ts'
import type { MetadataImage, PartitionImage } from './image.ts'
import { changePartition, type PartitionRules, type PartitionTarget } from './partition-change.ts'
import type { MetadataRecord } from './records.ts'
import { PARTITIONS_PER_REQUEST_MAX, type Refusal } from './topic-plan.ts'

export function decideReassignments(
  view: View,
  request: AlterPartitionReassignmentsRequest,
): Decision<AlterPartitionReassignmentsResponse> {
  const { image } = view
  const rules = new ClusterRules(image, view.settings)
  const records: MetadataRecord[] = []
  const answered = new Set<string>()
  const responses = [...request.topics].map(({ name, partitions }) => ({
    name,
    partitions: [...partitions].map(({ partitionIndex, replicas }) => {
      const key = `${name}/${partitionIndex}`
      const refusal = answered.has(key)
        ? { error: INVALID_REQUEST, message: 'The partition occurs twice in the request.' }
        : reassign(
            {
              image,
              rules,
              name,
              partitionIndex,
              replicas: replicas === null ? null : [...replicas],
              mayResize: request.allowReplicationFactorChange,
            },
            records,
          )
      answered.add(key)
      return {
        partitionIndex,
        errorCode: refusal?.error ?? NONE,
        errorMessage: refusal?.message ?? null,
      }
    }),
  }))
  return {
    records,
    answer: {
      allowReplicationFactorChange: request.allowReplicationFactorChange,
      errorCode: NONE,
      errorMessage: null,
      responses,
    },
  }
}

interface Asked {
  readonly image: MetadataImage
  readonly rules: ClusterRules
  readonly name: string
  readonly partitionIndex: number
  readonly replicas: readonly number[] | null
  readonly mayResize: boolean
}

function reassign(asked: Asked, records: MetadataRecord[]): Refusal | undefined {
  const { image, rules, name, partitionIndex, replicas, mayResize } = asked
  const topic = image.topics.get(name)
  const before = topic?.partitions[partitionIndex]
  if (topic === undefined || before === undefined) {
    const message =
      topic === undefined
        ? `There is no topic ${name}.`
        : `There is no partition ${name}-${partitionIndex}.`
    return { error: UNKNOWN_TOPIC_OR_PARTITION, message }
  }
  if (records.length >= PARTITIONS_PER_REQUEST_MAX) {
    return { error: INVALID_REQUEST, message: 'Too many partitions for one request.' }
  }
  const ofTopic = rules.of(name)
  const target =
    replicas === null
      ? cancelled(before, ofTopic)
      : (faultOf(replicas, before, image, mayResize) ?? towards(before, replicas))
  if ('error' in target) return target
  const record = changePartition(topic.id, before, target, ofTopic)
  if (record !== undefined) records.push(record)
  return undefined
}

/** Those that hold the partition apart from a reassignment under way. */
const settled = ({ replicas, addingReplicas }: PartitionImage): number[] =>
  replicas.filter((id) => !addingReplicas.includes(id))

function towards(before: PartitionImage, wanted: readonly number[]): PartitionTarget {
  const present = settled(before)
  const adding = wanted.filter((id) => !present.includes(id))
  const removing = present.filter((id) => !wanted.includes(id))
  // Those that an earlier reassignment was adding, and that are not wanted any more, go at once.
  return { replicas: [...wanted, ...removing], adding, removing }
}

function cancelled(before: PartitionImage, rules: PartitionRules): PartitionTarget | Refusal {
  const { addingReplicas, removingReplicas, isr, leader } = before
  if (addingReplicas.length === 0 && removingReplicas.length === 0) {
    return {
      error: NO_REASSIGNMENT_IN_PROGRESS,
      message: 'The partition is not being moved.',
    }
  }
  const replicas = settled(before)
  const left = isr.filter((id) => replicas.includes(id))
  const canLead = left.includes(leader) || left.some((id) => rules.isActive(before, id))
  if (!canLead && !rules.isUncleanAllowed && leader !== -1) {
    const message =
      'Unable to revert the partition assignment: none of the replicas before it is in sync.'
    return { error: INVALID_REPLICA_ASSIGNMENT, message }
  }
  return { replicas, adding: [], removing: [] }
}

function faultOf(
  wanted: readonly number[],
  before: PartitionImage,
  image: MetadataImage,
  mayResize: boolean,
): Refusal | undefined {
  const refused = (message: string) => ({ error: INVALID_REPLICA_ASSIGNMENT, message })
  if (wanted.length === 0) {
    return refused('A partition needs at least one replica.')
  }
  const seen = new Set<number>()
  for (const id of [...wanted].sort((one, other) => one - other)) {
    if (id < 0) {
      return refused(`The manual partition assignment includes an invalid broker ID ${id}.`)
    }
    if (seen.has(id)) {
      return refused(`Broker ${id} is named twice: it holds one replica.`)
    }
    seen.add(id)
    if (!image.brokers.has(id)) {
      return refused(`There is no broker ${id}.`)
    }
  }
  const size = settled(before).length
  if (!mayResize && wanted.length !== size) {
    const message = `The partition has ${size} replicas, and would have ${wanted.length}`
    return { error: INVALID_REPLICATION_FACTOR, message }
  }
  return undefined
}

/** What is under way; changes nothing. */
export function listReassignments(
  image: MetadataImage,
  request: ListPartitionReassignmentsRequest,
): ListPartitionReassignmentsResponse {
  const topics: ListPartitionReassignmentsResponse['topics'][number][] = []
  const wanted =
    request.topics === null
      ? [...image.topics.values()].map(({ name }) => ({ name, indexes: undefined }))
      : [...request.topics].map(({ name, partitionIndexes }) => ({
          name,
          indexes: new Set(partitionIndexes),
        }))
  for (const { name, indexes } of wanted) {
    const partitions = (image.topics.get(name)?.partitions ?? []).filter(
      ({ index, addingReplicas, removingReplicas }) =>
        addingReplicas.length + removingReplicas.length > 0 && indexes?.has(index) !== false,
    )
    if (partitions.length === 0) continue
    topics.push({
      name,
      partitions: partitions.map((partition) => ({
        partitionIndex: partition.index,
        replicas: partition.replicas,
        addingReplicas: partition.addingReplicas,
        removingReplicas: partition.removingReplicas,
      })),
    })
  }
  return { errorCode: NONE, errorMessage: null, topics }
}
