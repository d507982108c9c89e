/** The rules for a new topic: its name, its size, where its replicas lie, its settings. */
import type { Random } from '../../base/random.ts'
import type { CreateTopicsRequest } from '../../kafka/api/19-create-topics.ts'
import {
  INVALID_PARTITIONS,
  INVALID_REPLICA_ASSIGNMENT,
  INVALID_REPLICATION_FACTOR,
  INVALID_REQUEST,
  POLICY_VIOLATION,
  TOPIC_ALREADY_EXISTS,
} from '../../kafka/wire/errors.ts'
import { checkNewTopicConfigs, type Refused } from '../config/alter.ts'
import { type DescribedSetting, describeTopic } from '../config/describe.ts'
import type { Settings } from '../config.ts'
import { directoryOn } from './cluster-rules.ts'
import { type BrokerImage, isActive, type MetadataImage, RESOURCE } from './image.ts'
import { placeReplicas } from './placement.ts'
import { type MetadataRecord, NO_LEADER } from './records.ts'
import { checkCollision, checkTopicName } from './topic-names.ts'

export type NewTopic = CreateTopicsRequest['topics'][number]
export type Refusal = Refused

/** Replicas by partition, the preferred leader first. */
export type Assignments = readonly (readonly number[])[]

export interface TopicPlan {
  readonly assignments: Assignments
  readonly configs: readonly MetadataRecord[]
  readonly described: readonly DescribedSetting[]
}

/** What a decision about topics looks at. */
export interface PlanContext {
  readonly image: MetadataImage
  readonly settings: Settings
  readonly random: Random
  /** By normal form: names made earlier in the same decision. */
  readonly planned: ReadonlyMap<string, string>
  /** How many more partitions this request may make. */
  readonly partitionsLeft: number
  /** Rows for the answer, by the settings asked for: many topics of a request ask for the same. */
  readonly described: Map<string, readonly DescribedSetting[]>
}

/** One batch of the metadata log holds a request: its size has a limit, as in Kafka. */
export const PARTITIONS_PER_REQUEST_MAX = 10_000

const TOO_MANY: Refusal = {
  error: POLICY_VIOLATION,
  message: `One request makes no more than ${PARTITIONS_PER_REQUEST_MAX} partitions.`,
}

export function planTopic(asked: NewTopic, context: PlanContext): TopicPlan | Refusal {
  const { image, planned, settings } = context
  const refused =
    checkTopicName(asked.name) ??
    checkIsNew(asked.name, image) ??
    checkCollision(
      asked.name,
      (normalized) => planned.get(normalized) ?? image.normalizedNames.get(normalized),
    )
  if (refused !== undefined) return refused
  const overrides = checkNewTopicConfigs([...asked.configs], settings)
  if ('error' in overrides) return overrides
  const assignments = asked.assignments.length > 0 ? asAsked(asked, image) : placed(asked, context)
  if ('error' in assignments) return assignments
  if (assignments.length > context.partitionsLeft) return TOO_MANY
  return {
    assignments,
    configs: [...overrides].map(([name, value]) => ({
      type: 'ConfigRecord' as const,
      resourceType: RESOURCE.topic,
      resourceName: asked.name,
      name,
      value,
    })),
    described: describedOnce(overrides, context),
  }
}

function describedOnce(
  overrides: ReadonlyMap<string, string>,
  { described, settings }: PlanContext,
): readonly DescribedSetting[] {
  const key = JSON.stringify([...overrides])
  let rows = described.get(key)
  if (rows === undefined) {
    rows = describeTopic(overrides, settings, null)
    described.set(key, rows)
  }
  return rows
}

function checkIsNew(name: string, image: MetadataImage): Refusal | undefined {
  if (!image.topics.has(name)) return undefined
  return { error: TOPIC_ALREADY_EXISTS, message: `There is a topic '${name}' already.` }
}

/** The node chooses. -1 stands for the broker's default. */
function placed(asked: NewTopic, context: PlanContext): Assignments | Refusal {
  const { settings, image, random } = context
  if (asked.replicationFactor === 0 || asked.replicationFactor < -1) {
    const message = 'A partition has at least one replica.'
    return { error: INVALID_REPLICATION_FACTOR, message }
  }
  if (asked.numPartitions === 0 || asked.numPartitions < -1) {
    const message = 'A topic has at least one partition.'
    return { error: INVALID_PARTITIONS, message }
  }
  const count = asked.numPartitions === -1 ? settings.number('num.partitions') : asked.numPartitions
  if (count > context.partitionsLeft) return TOO_MANY
  const replicationFactor =
    asked.replicationFactor === -1
      ? settings.number('default.replication.factor')
      : asked.replicationFactor
  return placeOn(image, count, replicationFactor, random)
}

/** Chooses brokers for `count` new partitions. */
export function placeOn(
  image: MetadataImage,
  count: number,
  replicationFactor: number,
  random: Random,
): Assignments | Refusal {
  const brokers = [...image.brokers.values()].filter((broker) => !isCordoned(broker))
  const assignments = placeReplicas({
    count,
    replicationFactor,
    random,
    brokers: brokers.map(({ id, rack, endpoints, isFenced, isInControlledShutdown }) => ({
      id,
      rack,
      host: endpoints[0]?.host ?? null,
      isFenced: isFenced || isInControlledShutdown,
    })),
  })
  if (typeof assignments !== 'string') return assignments
  return { error: INVALID_REPLICATION_FACTOR, message: assignments }
}

/** KIP-1066: every directory of the broker is closed to new replicas. */
function isCordoned(broker: BrokerImage): boolean {
  return (
    broker.logDirs.length > 0 &&
    broker.logDirs.every((directory) => broker.cordonedLogDirs.includes(directory))
  )
}

function asAsked(asked: NewTopic, image: MetadataImage): Assignments | Refusal {
  const specified = 'Where the replicas are given, '
  if (asked.replicationFactor !== -1) {
    const message = `${specified}the replication factor is -1.`
    return { error: INVALID_REQUEST, message }
  }
  if (asked.numPartitions !== -1) {
    return { error: INVALID_REQUEST, message: `${specified}the number of partitions is -1.` }
  }
  const assignments = new Map<number, readonly number[]>()
  for (const { partitionIndex, brokerIds } of asked.assignments) {
    if (assignments.has(partitionIndex)) {
      const message = `The replicas of partition ${partitionIndex} are given twice`
      return { error: INVALID_REPLICA_ASSIGNMENT, message }
    }
    assignments.set(partitionIndex, [...brokerIds])
  }
  const inOrder: (readonly number[])[] = []
  for (let index = 0; index < assignments.size; index++) {
    const replicas = assignments.get(index)
    if (replicas === undefined) {
      const message = 'partitions are counted from 0, and none is left out'
      return { error: INVALID_REPLICA_ASSIGNMENT, message }
    }
    inOrder.push(replicas)
  }
  return checkAssignments(inOrder, inOrder[0]!.length, 0, image) ?? inOrder
}

/** Replicas that somebody chose for the partitions from `first` on. */
export function checkAssignments(
  assignments: Assignments,
  replicationFactor: number,
  first: number,
  image: MetadataImage,
): Refusal | undefined {
  const refused = (message: string) => ({ error: INVALID_REPLICA_ASSIGNMENT, message })
  const includes = 'The given replicas have'
  for (const [at, replicas] of assignments.entries()) {
    if (replicas.length === 0) return refused(`${includes} nobody for a partition.`)
    const seen = new Set<number>()
    for (const id of [...replicas].sort((one, other) => one - other)) {
      if (!image.brokers.has(id)) {
        return refused(`${includes} broker ${id}, which is not there.`)
      }
      if (seen.has(id)) return refused(`${includes} broker ${id} twice.`)
      seen.add(id)
    }
    if (replicas.length !== replicationFactor) {
      return refused(
        `${includes} ${replicas.length} brokers for one partition ` +
          `and ${replicationFactor} for those before it.`,
      )
    }
    if (!replicas.some((id) => isActive(image, id))) {
      return refused(`No broker that is given for partition ${first + at} is there to lead it.`)
    }
  }
  return undefined
}

/** The records of new partitions from index `first` on. */
export function partitionRecords(
  topicId: string,
  first: number,
  assignments: Assignments,
  image: MetadataImage,
): MetadataRecord[] {
  return assignments.map((replicas, at) => {
    const isr = replicas.filter((id) => isActive(image, id))
    return {
      type: 'PartitionRecord' as const,
      partitionId: first + at,
      topicId,
      replicas: [...replicas],
      isr,
      removingReplicas: [],
      addingReplicas: [],
      leader: isr[0] ?? NO_LEADER,
      leaderRecoveryState: 0,
      leaderEpoch: 0,
      partitionEpoch: 0,
      directories: replicas.map((id) => directoryOn(image.brokers.get(id))),
      eligibleLeaderReplicas: null,
      lastKnownElr: null,
    }
  })
}
