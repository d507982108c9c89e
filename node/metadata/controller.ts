/**
 * The controller: decides what the cluster's metadata becomes. A decision looks at the image,
 * returns records and an answer, and changes nothing; only replay does. Decisions run one after the
 * other, so each sees the effect of the ones before.
 */
import { assert } from '../../base/assert.ts'
import type { Logger } from '../../base/logger.ts'
import type { Random } from '../../base/random.ts'
import type { CreateTopicsRequest, CreateTopicsResponse } from '../../kafka/api/19-create-topics.ts'
import type { DeleteTopicsRequest, DeleteTopicsResponse } from '../../kafka/api/20-delete-topics.ts'
import type { AlterConfigsRequest, AlterConfigsResponse } from '../../kafka/api/33-alter-configs.ts'
import type {
  CreatePartitionsRequest,
  CreatePartitionsResponse,
} from '../../kafka/api/37-create-partitions.ts'
import type {
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse,
} from '../../kafka/api/44-incremental-alter-configs.ts'
import type { RequestContext } from '../../kafka/api/define.ts'
import type { Settings } from '../config.ts'
import { BrokerRegistrations, type Registration } from './broker-registrations.ts'
import { decideIncrementalConfigs, decideWholeConfigs } from './config-changes.ts'
import type { MetadataImage } from './image.ts'
import type { MetadataQuorum } from './quorum.ts'
import type { MetadataRecord } from './records.ts'
import { decideCreatePartitions, decideCreateTopics, decideDeleteTopics } from './topic-changes.ts'

export interface ControllerParts {
  readonly quorum: MetadataQuorum
  readonly random: Random
  readonly logger: Logger
  /** In force now. */
  settings(): Settings
}

export interface Decision<T> {
  /** One atomic batch; none: nothing changes. */
  readonly records: readonly MetadataRecord[]
  readonly answer: T
}

/** Ids are given out in blocks, as in Kafka: a broker asks once in so many producers. */
export const PRODUCER_ID_BLOCK = 1000

/** A context is not looked at yet; it will carry who asks, for quotas and policies. */
type Caller = RequestContext | undefined

export class Controller {
  readonly #parts: ControllerParts
  readonly #registrations: BrokerRegistrations
  #last: Promise<unknown> = Promise.resolve()

  constructor(parts: ControllerParts) {
    this.#parts = parts
    this.#registrations = new BrokerRegistrations(parts.quorum, parts.random)
  }

  /**
   * Runs `decide` when all earlier decisions have been applied; resolves with its answer when its
   * own records are. Rejects with NotLeaderError, or with the failure of the storage.
   */
  decide<T>(decide: () => Decision<T>): Promise<T> {
    const result = this.#last.then(async () => {
      const { records, answer } = decide()
      if (records.length > 0) {
        const first = this.#parts.quorum.nextOffset
        const last = await this.#parts.quorum.propose(records)
        assert(last === first + records.length - 1, 'a decision is one batch')
        assert(this.#parts.quorum.image.offset >= last, 'committed records are applied here')
      }
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
    for (const topicIds of this.#registrations.topicGroups()) {
      await this.decide(() => ({
        records: this.#registrations.electAfterRegistration(registration.nodeId, topicIds),
        answer: undefined,
      }))
    }
  }

  /** A block of producer ids that nobody else gets, ever. */
  allocateProducerIds(nodeId: number): Promise<{ first: number; count: number }> {
    return this.decide(() => {
      const first = this.#image.nextProducerId
      assert(Number.isSafeInteger(first + PRODUCER_ID_BLOCK), 'there are producer ids left')
      const broker = this.#image.brokers.get(nodeId)
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

  createTopics(_caller: Caller, request: CreateTopicsRequest): Promise<CreateTopicsResponse> {
    const { random } = this.#parts
    return this.decide(() =>
      decideCreateTopics(this.#image, this.#parts.settings(), random, request),
    )
  }

  /** `request.topics` is filled in, whatever the version: by name, or by id with a null name. */
  deleteTopics(_caller: Caller, request: DeleteTopicsRequest): Promise<DeleteTopicsResponse> {
    return this.decide(() => decideDeleteTopics(this.#image, this.#parts.settings(), request))
  }

  createPartitions(
    _caller: Caller,
    request: CreatePartitionsRequest,
  ): Promise<CreatePartitionsResponse> {
    return this.decide(() => decideCreatePartitions(this.#image, this.#parts.random, request))
  }

  alterConfigs(_caller: Caller, request: AlterConfigsRequest): Promise<AlterConfigsResponse> {
    return this.decide(() => decideWholeConfigs(this.#image, this.#parts.settings(), request))
  }

  incrementalAlterConfigs(
    _caller: Caller,
    request: IncrementalAlterConfigsRequest,
  ): Promise<IncrementalAlterConfigsResponse> {
    return this.decide(() => decideIncrementalConfigs(this.#image, this.#parts.settings(), request))
  }

  get #image(): MetadataImage {
    return this.#parts.quorum.image
  }
}
