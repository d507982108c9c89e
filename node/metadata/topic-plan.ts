/** The rules for a new topic: its name, its size, where its replicas lie, its settings. */
import type { CreateTopicsRequest } from '../../kafka/api/19-create-topics.ts'
import {
  INVALID_CONFIG,
  INVALID_PARTITIONS,
  INVALID_REPLICA_ASSIGNMENT,
  INVALID_REPLICATION_FACTOR,
  INVALID_REQUEST,
  INVALID_TOPIC_EXCEPTION,
  TOPIC_ALREADY_EXISTS,
} from '../../kafka/wire/errors.ts'
import { type DescribedSetting, describeTopic } from '../config/describe.ts'
import { topicSetting } from '../config/topic-log-config.ts'
import { complaintOf, type Settings } from '../config.ts'
import { type MetadataImage, normalizeTopicName, RESOURCE } from './image.ts'
import type { MetadataRecord } from './records.ts'

export type NewTopic = CreateTopicsRequest['topics'][number]

export interface TopicPlan {
  /** Replicas by partition, the preferred leader first. */
  readonly assignments: readonly (readonly number[])[]
  readonly configs: readonly MetadataRecord[]
  readonly described: readonly DescribedSetting[]
}

export interface Refusal {
  readonly error: number
  readonly message: string
}

const NAME_LENGTH_MAX = 249

/** `planned`: names made earlier in the same decision. */
export function planTopic(
  asked: NewTopic,
  image: MetadataImage,
  planned: ReadonlySet<string>,
  settings: Settings,
): TopicPlan | Refusal {
  const named = checkName(asked.name, image, planned)
  if (named !== undefined) return named
  const placed = place(asked, image, settings)
  if ('error' in placed) return placed
  const overrides = new Map<string, string>()
  for (const { name, value } of asked.configs) {
    const complaint = checkTopicConfig(name, value)
    if (complaint !== undefined) return { error: INVALID_CONFIG, message: complaint }
    if (value !== null) overrides.set(name, value)
  }
  return {
    assignments: placed.assignments,
    configs: [...overrides].map(([name, value]) => ({
      type: 'ConfigRecord' as const,
      resourceType: RESOURCE.topic,
      resourceName: asked.name,
      name,
      value,
    })),
    described: describeTopic(overrides, settings, null),
  }
}

/** What is wrong with a topic setting; undefined when nothing is. */
export function checkTopicConfig(name: string, value: string | null): string | undefined {
  const setting = topicSetting(name)
  if (setting === undefined) return `Unknown topic config name: ${name}`
  if (value === null) return `Null value not supported for topic configs: ${name}`
  return complaintOf(setting, value)
}

function checkName(
  name: string,
  image: MetadataImage,
  planned: ReadonlySet<string>,
): Refusal | undefined {
  const invalid = (message: string) => ({ error: INVALID_TOPIC_EXCEPTION, message })
  if (name === '') return invalid('Topic name is invalid: the empty string is not allowed')
  if (name === '.' || name === '..')
    return invalid(`Topic name is invalid: '${name}' is not allowed`)
  if (name.length > NAME_LENGTH_MAX) {
    return invalid(`Topic name is invalid: it is longer than ${NAME_LENGTH_MAX} characters`)
  }
  if (!/^[a-zA-Z0-9._-]+$/.test(name)) {
    return invalid(
      `Topic name is invalid: '${name}' has characters other than ASCII letters, digits, '.', '_' and '-'`,
    )
  }
  if (image.topics.has(name)) {
    return { error: TOPIC_ALREADY_EXISTS, message: `Topic '${name}' already exists.` }
  }
  const normalized = normalizeTopicName(name)
  const other =
    image.normalizedNames.get(normalized) ??
    [...planned].find((one) => normalizeTopicName(one) === normalized)
  if (other === undefined) return undefined
  return invalid(`Topic '${name}' collides with existing topic: ${other}`)
}

function place(
  asked: NewTopic,
  image: MetadataImage,
  settings: Settings,
): { assignments: (readonly number[])[] } | Refusal {
  if (asked.assignments.length > 0) return placeAsAsked(asked, image)
  const { numPartitions, replicationFactor } = asked
  if (numPartitions !== -1 && numPartitions <= 0) {
    return { error: INVALID_PARTITIONS, message: 'Number of partitions must be larger than 0.' }
  }
  if (replicationFactor !== -1 && replicationFactor <= 0) {
    return {
      error: INVALID_REPLICATION_FACTOR,
      message: 'Replication factor must be larger than 0.',
    }
  }
  const count = numPartitions === -1 ? settings.number('num.partitions') : numPartitions
  const replicas =
    replicationFactor === -1 ? settings.number('default.replication.factor') : replicationFactor
  const usable = [...image.brokers.values()].filter((one) => !one.isFenced).map((one) => one.id)
  if (replicas > usable.length) {
    const message = `The target replication factor of ${replicas} cannot be reached because only ${usable.length} broker(s) are registered.`
    return { error: INVALID_REPLICATION_FACTOR, message }
  }
  const assignments = Array.from({ length: count }, (_, partition) =>
    Array.from({ length: replicas }, (_, at) => usable[(partition + at) % usable.length]!),
  )
  return { assignments }
}

function placeAsAsked(
  asked: NewTopic,
  image: MetadataImage,
): { assignments: (readonly number[])[] } | Refusal {
  if (asked.numPartitions !== -1 || asked.replicationFactor !== -1) {
    const message = 'A manual assignment leaves partitions and replication factor at -1.'
    return { error: INVALID_REQUEST, message }
  }
  const refused = (message: string) => ({ error: INVALID_REPLICA_ASSIGNMENT, message })
  const assignments: (readonly number[])[] = []
  for (const { partitionIndex, brokerIds } of asked.assignments) {
    if (partitionIndex < 0 || partitionIndex >= asked.assignments.length) {
      return refused('Partitions should be a consecutive 0-based integer sequence.')
    }
    if (assignments[partitionIndex] !== undefined) {
      return refused(`Found multiple manual partition assignments for partition ${partitionIndex}`)
    }
    const isUsable = brokerIds.length > 0 && brokerIds.every((id) => image.brokers.has(id))
    if (!isUsable || new Set(brokerIds).size !== brokerIds.length) {
      return refused(`The replicas of partition ${partitionIndex} are not different known brokers.`)
    }
    assignments[partitionIndex] = [...brokerIds]
  }
  if (assignments.some((replicas) => replicas.length !== assignments[0]!.length)) {
    return refused('All partitions must have the same number of replicas.')
  }
  return { assignments }
}

/** The records of new partitions from index `first` on. */
export function partitionRecords(
  topicId: string,
  first: number,
  assignments: readonly (readonly number[])[],
  image: MetadataImage,
): MetadataRecord[] {
  return assignments.map((replicas, at) => ({
    type: 'PartitionRecord' as const,
    partitionId: first + at,
    topicId,
    replicas: [...replicas],
    isr: [...replicas],
    removingReplicas: [],
    addingReplicas: [],
    leader: replicas[0]!,
    leaderRecoveryState: 0,
    leaderEpoch: 0,
    partitionEpoch: 0,
    directories: replicas.map((id) => image.brokers.get(id)!.logDirs[0]!),
    eligibleLeaderReplicas: null,
    lastKnownElr: null,
  }))
}
