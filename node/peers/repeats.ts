/**
 * A request that was sent twice because nobody knew whether the first one had been carried out:
 * what the second answer calls a mistake may be the work of the first. Judged by the image from
 * before the first try: a topic that was not there, and is now as it was asked for, was created.
 */
import type { CreateTopicsRequest, CreateTopicsResponse } from '../../kafka/api/19-create-topics.ts'
import type { DeleteTopicsRequest, DeleteTopicsResponse } from '../../kafka/api/20-delete-topics.ts'
import type {
  CreatePartitionsRequest,
  CreatePartitionsResponse,
} from '../../kafka/api/37-create-partitions.ts'
import type {
  UnregisterBrokerRequest,
  UnregisterBrokerResponse,
} from '../../kafka/api/64-unregister-broker.ts'
import {
  BROKER_ID_NOT_REGISTERED,
  INVALID_PARTITIONS,
  TOPIC_ALREADY_EXISTS,
  UNKNOWN_TOPIC_ID,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../../kafka/wire/errors.ts'
import { type MetadataImage, topicById } from '../metadata/image.ts'

export interface Images {
  readonly before: MetadataImage
  readonly after: MetadataImage
}

export function amendCreateTopics(
  { before, after }: Images,
  request: CreateTopicsRequest,
  response: CreateTopicsResponse,
): CreateTopicsResponse {
  if (request.validateOnly) return response
  const topics = response.topics.map((answer) => {
    const topic = after.topics.get(answer.name)
    const wanted = request.topics.find(({ name }) => name === answer.name)
    if (answer.errorCode !== TOPIC_ALREADY_EXISTS || topic === undefined) return answer
    if (wanted === undefined || before.topics.get(answer.name) !== undefined) return answer
    const { length } = topic.partitions
    const wantedCount = wanted.assignments.length > 0 ? wanted.assignments.length : -1
    const isAsWanted = [-1, length].includes(Math.max(wanted.numPartitions, wantedCount))
    if (!isAsWanted) return answer
    return {
      ...answer,
      topicId: topic.id,
      errorCode: 0,
      errorMessage: null,
      numPartitions: length,
      replicationFactor: topic.partitions[0]?.replicas.length ?? -1,
    }
  })
  return { ...response, topics }
}

export function amendDeleteTopics(
  { before, after }: Images,
  request: DeleteTopicsRequest,
  response: DeleteTopicsResponse,
): DeleteTopicsResponse {
  const responses = response.responses.map((answer, index) => {
    const isUnknown = [UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID].includes(answer.errorCode)
    const wanted = request.topics[index]
    if (!isUnknown || wanted === undefined) return answer
    const topic =
      wanted.name === null ? topicById(before, wanted.topicId) : before.topics.get(wanted.name)
    if (topic === undefined || topicById(after, topic.id) !== undefined) return answer
    return { name: topic.name, topicId: topic.id, errorCode: 0, errorMessage: null }
  })
  return { ...response, responses }
}

export function amendCreatePartitions(
  { before, after }: Images,
  request: CreatePartitionsRequest,
  response: CreatePartitionsResponse,
): CreatePartitionsResponse {
  if (request.validateOnly) return response
  const results = response.results.map((answer) => {
    if (answer.errorCode !== INVALID_PARTITIONS) return answer
    const wanted = request.topics.find(({ name }) => name === answer.name)
    const countBefore = before.topics.get(answer.name)?.partitions.length ?? 0
    const countAfter = after.topics.get(answer.name)?.partitions.length ?? 0
    if (wanted?.count !== countAfter || countBefore >= countAfter) return answer
    return { name: answer.name, errorCode: 0, errorMessage: null }
  })
  return { ...response, results }
}

export function amendUnregisterBroker(
  { before, after }: Images,
  { brokerId }: UnregisterBrokerRequest,
  response: UnregisterBrokerResponse,
): UnregisterBrokerResponse {
  if (response.errorCode !== BROKER_ID_NOT_REGISTERED) return response
  const isDone = before.brokers.has(brokerId) && !after.brokers.has(brokerId)
  return isDone ? { ...response, errorCode: 0, errorMessage: null } : response
}
