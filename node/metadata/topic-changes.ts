/**
 * CreateTopics, DeleteTopics, CreatePartitions: from a request and an image to records and an
 * answer. Nothing here changes anything.
 */
import type { Random } from '../../base/random.ts'
import type { CreateTopicsRequest, CreateTopicsResponse } from '../../kafka/api/19-create-topics.ts'
import type { DeleteTopicsRequest, DeleteTopicsResponse } from '../../kafka/api/20-delete-topics.ts'
import type {
  CreatePartitionsRequest,
  CreatePartitionsResponse,
} from '../../kafka/api/37-create-partitions.ts'
import {
  INVALID_PARTITIONS,
  INVALID_REPLICA_ASSIGNMENT,
  INVALID_REQUEST,
  POLICY_VIOLATION,
  TOPIC_DELETION_DISABLED,
  UNKNOWN_TOPIC_ID,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../../kafka/wire/errors.ts'
import { ZERO_UUID } from '../../kafka/wire/schema.ts'
import type { DescribedSetting } from '../config/describe.ts'
import type { Decision, View } from './decision.ts'
import { type MetadataImage, normalizeTopicName, type TopicImage, topicById } from './image.ts'
import { newUuid } from './meta-properties.ts'
import type { MetadataRecord } from './records.ts'
import {
  checkAssignments,
  PARTITIONS_PER_REQUEST_MAX,
  partitionRecords,
  placeOn,
  planTopic,
  type Refusal,
} from './topic-plan.ts'

/** Elements that occur more than once. */
function repeated<T>(values: Iterable<T>): Set<T> {
  const seen = new Set<T>()
  const twice = new Set<T>()
  for (const value of values) (seen.has(value) ? twice : seen).add(value)
  return twice
}

const DUPLICATE_NAME: Refusal = {
  error: INVALID_REQUEST,
  message: 'The topic is named more than once.',
}

export function decideCreateTopics(
  { image, settings }: View,
  random: Random,
  request: CreateTopicsRequest,
): Decision<CreateTopicsResponse> {
  const asked = [...request.topics]
  const twice = repeated(asked.map(({ name }) => name))
  const answered = new Set<string>()
  const planned = new Map<string, string>()
  const described = new Map<string, readonly DescribedSetting[]>()
  const records: MetadataRecord[] = []
  const topics: CreateTopicsResponse['topics'][number][] = []
  let partitionsLeft = PARTITIONS_PER_REQUEST_MAX
  for (const topic of asked) {
    const { name } = topic
    if (answered.has(name)) continue
    answered.add(name)
    const plan = twice.has(name)
      ? DUPLICATE_NAME
      : planTopic(topic, { image, settings, random, planned, partitionsLeft, described })
    if ('error' in plan) {
      topics.push(notCreated(name, plan))
      continue
    }
    partitionsLeft -= plan.assignments.length
    planned.set(normalizeTopicName(name), name)
    const topicId = newUuid(random)
    records.push({ type: 'TopicRecord', name, topicId })
    for (const record of plan.configs) records.push(record)
    for (const record of partitionRecords(topicId, 0, plan.assignments, image)) records.push(record)
    topics.push({
      name,
      topicId: request.validateOnly ? ZERO_UUID : topicId,
      errorCode: 0,
      errorMessage: null,
      numPartitions: plan.assignments.length,
      replicationFactor: plan.assignments[0]!.length,
      configs: plan.described,
    })
  }
  return { records: request.validateOnly ? [] : records, answer: { topics } }
}

function notCreated(name: string, refusal: Refusal) {
  return {
    name,
    topicId: ZERO_UUID,
    errorCode: refusal.error,
    errorMessage: refusal.message,
    configs: [],
  }
}

const GONE_BY_NAME: Refusal = {
  error: UNKNOWN_TOPIC_OR_PARTITION,
  message: 'There is no topic of this name.',
}
const GONE_BY_ID: Refusal = {
  error: UNKNOWN_TOPIC_ID,
  message: 'There is no topic with this id.',
}

export function decideDeleteTopics(
  { image, settings }: View,
  request: DeleteTopicsRequest,
): Decision<DeleteTopicsResponse> {
  const asked = [...request.topics]
  const isEnabled = settings.boolean('delete.topic.enable')
  const names = repeated(asked.flatMap(({ name }) => (name === null ? [] : [name])))
  const named = new Set(asked.map(({ name }) => name))
  const ids = repeated(asked.flatMap(({ name, topicId }) => (name === null ? [topicId] : [])))
  const byId = new Set(asked.flatMap(({ name, topicId }) => (name === null ? [topicId] : [])))
  const records: MetadataRecord[] = []
  // One answer for each topic, however often it is asked for.
  const isNamedToo = (name: string | null, id: string) =>
    name === null && named.has(topicById(image, id)?.name ?? '')
  const wanted = new Map(
    asked
      .filter(({ name, topicId }) => !isNamedToo(name, topicId))
      .map((topic) => [`${topic.name ?? '/'}${topic.topicId}`, topic]),
  )
  const responses = [...wanted.values()].map(({ name, topicId }) => {
    const found = isEnabled
      ? topicToDelete(image, name, topicId, { names, ids, byId })
      : { error: TOPIC_DELETION_DISABLED, message: 'delete.topic.enable is false.' }
    if ('error' in found) {
      return { name, topicId, errorCode: found.error, errorMessage: found.message }
    }
    records.push({ type: 'RemoveTopicRecord', topicId: found.id })
    return { name: found.name, topicId: found.id, errorCode: 0, errorMessage: null }
  })
  return { records, answer: { responses } }
}

function topicToDelete(
  image: MetadataImage,
  name: string | null,
  topicId: string,
  { names, ids, byId }: Record<'names' | 'ids' | 'byId', ReadonlySet<string>>,
): TopicImage | Refusal {
  const refused = (message: string) => ({ error: INVALID_REQUEST, message })
  if (name !== null && topicId !== ZERO_UUID) {
    return refused('Give the name of a topic or its id, not both.')
  }
  if (name !== null) {
    if (names.has(name)) return DUPLICATE_NAME
    const topic = image.topics.get(name)
    if (topic !== undefined && byId.has(topic.id)) {
      return refused('The topic is named by its id too.')
    }
    return topic ?? GONE_BY_NAME
  }
  if (topicId === ZERO_UUID) return refused('Give the name of a topic, or its id.')
  if (ids.has(topicId)) return refused('The topic is named more than once.')
  return topicById(image, topicId) ?? GONE_BY_ID
}

type Growth = CreatePartitionsRequest['topics'][number]

export function decideCreatePartitions(
  { image }: View,
  random: Random,
  request: CreatePartitionsRequest,
): Decision<CreatePartitionsResponse> {
  const asked = [...request.topics]
  const twice = repeated(asked.map(({ name }) => name))
  const answered = new Set<string>()
  const records: MetadataRecord[] = []
  const results: CreatePartitionsResponse['results'][number][] = []
  let partitionsLeft = PARTITIONS_PER_REQUEST_MAX
  for (const growth of asked) {
    if (answered.has(growth.name)) continue
    answered.add(growth.name)
    const grown = twice.has(growth.name)
      ? DUPLICATE_NAME
      : grow(image, random, growth, partitionsLeft)
    if ('error' in grown) {
      results.push({ name: growth.name, errorCode: grown.error, errorMessage: grown.message })
      continue
    }
    partitionsLeft -= grown.length
    for (const record of grown) records.push(record)
    results.push({ name: growth.name, errorCode: 0, errorMessage: null })
  }
  return { records: request.validateOnly ? [] : records, answer: { results } }
}

function grow(
  image: MetadataImage,
  random: Random,
  growth: Growth,
  partitionsLeft: number,
): MetadataRecord[] | Refusal {
  const topic = image.topics.get(growth.name)
  if (topic === undefined) return GONE_BY_NAME
  const { length } = topic.partitions
  const invalid = (message: string) => ({ error: INVALID_PARTITIONS, message })
  if (growth.count === length) return invalid(`Topic already has ${length} partition(s).`)
  if (growth.count < length) {
    return invalid(
      `${growth.name} has ${length} partitions, and ${growth.count} are no more than that.`,
    )
  }
  const added = growth.count - length
  if (added > partitionsLeft) {
    const message = `One request makes no more than ${PARTITIONS_PER_REQUEST_MAX} partitions.`
    return { error: POLICY_VIOLATION, message }
  }
  const replicationFactor = topic.partitions[0]!.replicas.length
  if (growth.assignments === null) {
    const placed = placeOn(image, added, replicationFactor, random)
    return 'error' in placed ? placed : partitionRecords(topic.id, length, placed, image)
  }
  const given = [...growth.assignments].map(({ brokerIds }) => [...brokerIds])
  if (given.length !== added) {
    const message = `${added} partitions are to be added, and the replicas of ${given.length} are given.`
    return { error: INVALID_REPLICA_ASSIGNMENT, message }
  }
  const refused = checkAssignments(given, replicationFactor, length, image)
  return refused ?? partitionRecords(topic.id, length, given, image)
}
