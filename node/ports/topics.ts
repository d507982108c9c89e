/** Topics as clients see and change them: reads from the image, writes through the controller. */

import type { CreateTopicsRequest } from '../../kafka/api/19-create-topics.ts'
import type { DeleteTopicsRequest } from '../../kafka/api/20-delete-topics.ts'
import type {
  DeleteRecordsRequest,
  DeleteRecordsResponse,
} from '../../kafka/api/21-delete-records.ts'
import type { CreatePartitionsRequest } from '../../kafka/api/37-create-partitions.ts'
import type { RequestContext } from '../../kafka/api/define.ts'
import type { PartitionDescription, TopicDescription, TopicsPort } from '../../kafka/control.ts'
import {
  INVALID_TOPIC_EXCEPTION,
  KAFKA_STORAGE_ERROR,
  NOT_LEADER_OR_FOLLOWER,
  OFFSET_OUT_OF_RANGE,
  POLICY_VIOLATION,
  TOPIC_ALREADY_EXISTS,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../../kafka/wire/errors.ts'
import type { ControllerPort } from '../metadata/controller-port.ts'
import {
  type MetadataImage,
  type PartitionImage,
  type TopicImage,
  topicById,
} from '../metadata/image.ts'
import { INTERNAL_TOPICS, type Partitions } from '../partitions.ts'
import { orUnavailable } from './unavailable.ts'

export interface AutoCreation {
  readonly isEnabled: boolean
  /** Internal topics have sizes of their own. */
  sizeOf(topic: string): { partitions: number; replicas: number }
  configsOf(topic: string): readonly { name: string; value: string }[]
}

const HIGH_WATERMARK = -1
const CREATION_TIMEOUT_MS = 30_000

export class NodeTopics implements TopicsPort {
  readonly #partitions: Partitions
  readonly #controller: ControllerPort
  readonly #autoCreation: AutoCreation

  constructor(partitions: Partitions, controller: ControllerPort, autoCreation: AutoCreation) {
    this.#partitions = partitions
    this.#controller = controller
    this.#autoCreation = autoCreation
  }

  names(): readonly string[] {
    return [...this.#image.topics.keys()].sort()
  }

  describe(name: string): TopicDescription | undefined {
    const topic = this.#image.topics.get(name)
    return topic === undefined ? undefined : describe(topic, this.#image)
  }

  describeById(id: string): TopicDescription | undefined {
    const topic = topicById(this.#image, id)
    return topic === undefined ? undefined : describe(topic, this.#image)
  }

  async autoCreate(
    context: RequestContext,
    names: readonly string[],
  ): Promise<ReadonlyMap<string, number>> {
    if (!this.#autoCreation.isEnabled) {
      return new Map(names.map((name) => [name, UNKNOWN_TOPIC_OR_PARTITION]))
    }
    return this.create(context, names)
  }

  /** Makes the topics that are missing, whatever the setting for clients says. */
  async create(
    context: RequestContext | undefined,
    names: readonly string[],
  ): Promise<ReadonlyMap<string, number>> {
    const answer = await this.createTopics(context, {
      topics: names.map((name) => {
        const { partitions, replicas } = this.#autoCreation.sizeOf(name)
        return {
          name,
          numPartitions: partitions,
          replicationFactor: replicas,
          assignments: [],
          configs: [...this.#autoCreation.configsOf(name)],
        }
      }),
      timeoutMs: CREATION_TIMEOUT_MS,
      validateOnly: false,
    })
    return new Map(
      answer.topics.map(({ name, errorCode }) => [
        name,
        // Somebody else was quicker: it is there now.
        errorCode === TOPIC_ALREADY_EXISTS && this.#image.topics.has(name) ? 0 : errorCode,
      ]),
    )
  }

  async createTopics(context: RequestContext | undefined, request: CreateTopicsRequest) {
    const answer = await orUnavailable(this.#controller.createTopics(context, request))
    await this.#partitions.settled()
    return answer
  }

  async deleteTopics(context: RequestContext, request: DeleteTopicsRequest) {
    const answer = await orUnavailable(this.#controller.deleteTopics(context, request))
    await this.#partitions.settled()
    return answer
  }

  async createPartitions(context: RequestContext, request: CreatePartitionsRequest) {
    const answer = await orUnavailable(this.#controller.createPartitions(context, request))
    await this.#partitions.settled()
    return answer
  }

  async deleteRecords(
    _context: RequestContext,
    request: DeleteRecordsRequest,
  ): Promise<DeleteRecordsResponse> {
    const topics = await Promise.all(
      request.topics.map(async ({ name, partitions }) => ({
        name,
        partitions: await Promise.all(
          partitions.map(async ({ partitionIndex, offset }) => {
            await this.#committed(name, partitionIndex, offset, request.timeoutMs)
            const answer = this.#deleteRecords(name, partitionIndex, offset)
            if (answer.errorCode !== 0) return answer
            // No change of leaders is to bring them back.
            const partition = this.#partitions.find(name, partitionIndex)!
            const errorCode = await partition.deleted(answer.lowWatermark, request.timeoutMs)
            return { ...answer, errorCode, lowWatermark: partition.lowWatermark }
          }),
        ),
      })),
    )
    return { topics }
  }

  /** Records that were written with acks=1 a moment ago may still be on their way to the watermark. */
  #committed(name: string, index: number, offset: number, timeoutMs: number): Promise<void> {
    const partition = this.#partitions.find(name, index)
    const isOnTheWay =
      partition?.isLeader === true &&
      offset > partition.highWatermark &&
      offset <= partition.logEndOffset
    return isOnTheWay ? partition.committed(offset, timeoutMs) : Promise.resolve()
  }

  #deleteRecords(name: string, partitionIndex: number, asked: number) {
    const refused = (errorCode: number) => ({ partitionIndex, errorCode, lowWatermark: -1 })
    if (INTERNAL_TOPICS.has(name)) return refused(INVALID_TOPIC_EXCEPTION)
    const topic = this.#partitions.topic(name)
    if (topic === undefined || partitionIndex < 0 || partitionIndex >= topic.partitionCount) {
      return refused(UNKNOWN_TOPIC_OR_PARTITION)
    }
    const partition = this.#partitions.find(name, partitionIndex)
    if (partition?.isLeader !== true) return refused(NOT_LEADER_OR_FOLLOWER)
    if (partition.isFailed) return refused(KAFKA_STORAGE_ERROR)
    if (!partition.log.config.isDeleted) return refused(POLICY_VIOLATION)
    const offset = asked === HIGH_WATERMARK ? partition.highWatermark : asked
    if (offset < 0 || offset > partition.highWatermark) return refused(OFFSET_OUT_OF_RANGE)
    partition.deleteRecordsBefore(offset)
    return { partitionIndex, errorCode: 0, lowWatermark: partition.logStartOffset }
  }

  get #image(): MetadataImage {
    return this.#partitions.image
  }
}

function describe(topic: TopicImage, image: MetadataImage): TopicDescription {
  return {
    name: topic.name,
    id: topic.id,
    isInternal: INTERNAL_TOPICS.has(topic.name),
    partitions: topic.partitions.map((partition) => describePartition(partition, image)),
  }
}

function describePartition(partition: PartitionImage, image: MetadataImage): PartitionDescription {
  return {
    index: partition.index,
    leaderId: partition.leader,
    leaderEpoch: partition.leaderEpoch,
    replicas: partition.replicas,
    isr: partition.isr,
    offlineReplicas: partition.replicas.filter((id) => image.brokers.get(id)?.isFenced !== false),
    eligibleLeaderReplicas: partition.eligibleLeaderReplicas,
    lastKnownEligibleLeaderReplicas: partition.lastKnownElr,
  }
}
