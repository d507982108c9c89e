/**
 * The controller: decides what the cluster's metadata becomes. A decision looks at the image, returns
 * records and an answer, and changes nothing; only replay does. Decisions run one after the other, so
 * each sees the effect of the ones before.
 */
import { assert } from '../../base/assert.ts'
import type { Logger } from '../../base/logger.ts'
import type { Random } from '../../base/random.ts'
import type { CreateTopicsRequest, CreateTopicsResponse } from '../../kafka/api/19-create-topics.ts'
import type { DeleteTopicsRequest, DeleteTopicsResponse } from '../../kafka/api/20-delete-topics.ts'
import type {
  CreatePartitionsRequest,
  CreatePartitionsResponse,
} from '../../kafka/api/37-create-partitions.ts'
import type { RequestContext } from '../../kafka/api/define.ts'
import {
  INVALID_PARTITIONS,
  INVALID_REPLICA_ASSIGNMENT,
  INVALID_REQUEST,
  UNKNOWN_TOPIC_ID,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../../kafka/wire/errors.ts'
import { ZERO_UUID } from '../../kafka/wire/schema.ts'
import type { Settings } from '../config.ts'
import { BrokerRegistrations, type Registration } from './broker-registrations.ts'
import { topicById } from './image.ts'
import { newUuid } from './meta-properties.ts'
import type { MetadataQuorum } from './quorum.ts'
import type { MetadataRecord } from './records.ts'
import { type NewTopic, partitionRecords, planTopic } from './topic-plan.ts'

export interface ControllerParts {
  readonly quorum: MetadataQuorum
  readonly random: Random
  readonly logger: Logger
  /** In force now. */
  settings(): Settings
}

interface Decision<T> {
  readonly records: readonly MetadataRecord[]
  readonly answer: T
}

const PRODUCER_ID_BLOCK = 1000
/** More would make one batch of the metadata log too large. */
const PARTITIONS_PER_REQUEST_MAX = 10_000

export class Controller {
  readonly #parts: ControllerParts
  readonly #registrations: BrokerRegistrations
  #last: Promise<unknown> = Promise.resolve()

  constructor(parts: ControllerParts) {
    this.#parts = parts
    this.#registrations = new BrokerRegistrations(parts.quorum, parts.random)
  }

  /** Runs `decide` after all earlier decisions have been applied. Rejects with NotLeaderError. */
  decide<T>(decide: () => Decision<T>): Promise<T> {
    const result = this.#last.then(async () => {
      const { records, answer } = decide()
      if (records.length > 0) await this.#parts.quorum.propose(records)
      return answer
    })
    this.#last = result.catch(() => undefined)
    return result
  }

  /** The broker is known with this incarnation, unfenced, and leads what it can. */
  async registerBroker(registration: Registration): Promise<void> {
    await this.decide(() => ({
      records: this.#registrations.register(registration),
      answer: undefined,
    }))
    await this.decide(() => ({
      records: this.#registrations.electAfterRegistration(registration.nodeId),
      answer: undefined,
    }))
  }

  allocateProducerIds(nodeId: number): Promise<{ first: number; count: number }> {
    return this.decide(() => {
      const first = this.#parts.quorum.image.nextProducerId
      const broker = this.#parts.quorum.image.brokers.get(nodeId)
      assert(broker !== undefined, 'a registered broker asks')
      const record: MetadataRecord = {
        type: 'ProducerIdsRecord',
        brokerId: nodeId,
        brokerEpoch: broker.epoch,
        nextProducerId: first + PRODUCER_ID_BLOCK,
      }
      return { records: [record], answer: { first, count: PRODUCER_ID_BLOCK } }
    })
  }

  createTopics(
    _context: RequestContext | undefined,
    request: CreateTopicsRequest,
  ): Promise<CreateTopicsResponse> {
    return this.decide(() => {
      const { image } = this.#parts.quorum
      const records: MetadataRecord[] = []
      const planned = new Set<string>()
      let partitions = 0
      const topics = request.topics.map((asked: NewTopic) => {
        const isDouble = request.topics.filter(({ name }) => name === asked.name).length > 1
        const plan = isDouble
          ? { error: INVALID_REQUEST, message: 'Duplicate topic name.' }
          : planTopic(asked, image, planned, this.#parts.settings())
        if ('error' in plan) return failed(asked.name, plan.error, plan.message)
        partitions += plan.assignments.length
        if (partitions > PARTITIONS_PER_REQUEST_MAX) {
          const message = `At most ${PARTITIONS_PER_REQUEST_MAX} partitions can be made at once.`
          return failed(asked.name, INVALID_PARTITIONS, message)
        }
        planned.add(asked.name)
        const topicId = newUuid(this.#parts.random)
        records.push({ type: 'TopicRecord', name: asked.name, topicId })
        records.push(...plan.configs)
        records.push(...partitionRecords(topicId, 0, plan.assignments, image))
        return {
          name: asked.name,
          topicId: request.validateOnly ? ZERO_UUID : topicId,
          errorCode: 0,
          errorMessage: null,
          numPartitions: plan.assignments.length,
          replicationFactor: plan.assignments[0]!.length,
          configs: plan.described,
        }
      })
      return { records: request.validateOnly ? [] : records, answer: { topics } }
    })
  }

  deleteTopics(
    _context: RequestContext,
    request: DeleteTopicsRequest,
  ): Promise<DeleteTopicsResponse> {
    return this.decide(() => {
      const { image } = this.#parts.quorum
      const records: MetadataRecord[] = []
      const gone = new Set<string>()
      const responses = request.topics.map(({ name, topicId }) => {
        const isById = name === null
        const topic = isById ? topicById(image, topicId) : image.topics.get(name)
        if (topic === undefined) {
          const errorCode = isById ? UNKNOWN_TOPIC_ID : UNKNOWN_TOPIC_OR_PARTITION
          return { name, topicId, errorCode, errorMessage: null }
        }
        if (!gone.has(topic.id)) records.push({ type: 'RemoveTopicRecord', topicId: topic.id })
        gone.add(topic.id)
        return { name: topic.name, topicId: topic.id, errorCode: 0, errorMessage: null }
      })
      return { records, answer: { responses } }
    })
  }

  createPartitions(
    _context: RequestContext,
    request: CreatePartitionsRequest,
  ): Promise<CreatePartitionsResponse> {
    return this.decide(() => {
      const records: MetadataRecord[] = []
      const results = request.topics.map((asked) => {
        const grown = this.#grow(asked)
        if ('errorCode' in grown) return { name: asked.name, ...grown }
        records.push(...grown.records)
        return { name: asked.name, errorCode: 0, errorMessage: null }
      })
      return { records: request.validateOnly ? [] : records, answer: { results } }
    })
  }

  #grow(
    asked: CreatePartitionsRequest['topics'][number],
  ): { errorCode: number; errorMessage: string } | { records: MetadataRecord[] } {
    const { image } = this.#parts.quorum
    const topic = image.topics.get(asked.name)
    if (topic === undefined) {
      return { errorCode: UNKNOWN_TOPIC_OR_PARTITION, errorMessage: 'There is no such topic.' }
    }
    const { length } = topic.partitions
    if (asked.count <= length || asked.count - length > PARTITIONS_PER_REQUEST_MAX) {
      const errorMessage = `The topic has ${length} partitions; ${asked.count} is not an increase.`
      return { errorCode: INVALID_PARTITIONS, errorMessage }
    }
    const added = asked.count - length
    if (asked.assignments !== null && asked.assignments.length !== added) {
      const errorMessage = `${added} partitions are added, and ${asked.assignments.length} assigned.`
      return { errorCode: INVALID_REPLICA_ASSIGNMENT, errorMessage }
    }
    const nodes = [...image.brokers.keys()]
    const assignments =
      asked.assignments?.map(({ brokerIds }) => [...brokerIds]) ??
      Array.from({ length: added }, () => nodes.slice(0, topic.partitions[0]!.replicas.length))
    const isKnown = assignments.every(
      (replicas) => replicas.length > 0 && replicas.every((id) => image.brokers.has(id)),
    )
    if (!isKnown) {
      const errorMessage = 'A replica is assigned to a node that does not exist.'
      return { errorCode: INVALID_REPLICA_ASSIGNMENT, errorMessage }
    }
    return { records: partitionRecords(topic.id, length, assignments, image) }
  }
}

function failed(name: string, errorCode: number, errorMessage: string | null) {
  return { name, topicId: ZERO_UUID, errorCode, errorMessage, configs: [] }
}
