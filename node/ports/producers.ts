/** Producer ids in blocks from the controller (KIP-98), and who writes where (KIP-664). */
import type { InitProducerIdResponse } from '../../kafka/api/22-init-producer-id.ts'
import type {
  DescribeProducersRequest,
  DescribeProducersResponse,
} from '../../kafka/api/61-describe-producers.ts'
import type { ProducersPort } from '../../kafka/control.ts'
import {
  COORDINATOR_NOT_AVAILABLE,
  NOT_LEADER_OR_FOLLOWER,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../../kafka/wire/errors.ts'
import { NotLeaderError } from '../metadata/quorum.ts'
import type { Partitions } from '../partitions.ts'

/** `count` ids from `first` on, given to this node for good. */
export interface ProducerIdBlock {
  readonly first: number
  readonly count: number
}

export class NodeProducers implements ProducersPort {
  readonly #partitions: Partitions
  readonly #allocate: () => Promise<ProducerIdBlock>
  #next = 0
  #end = 0
  #allocation: Promise<void> | undefined

  constructor(partitions: Partitions, allocate: () => Promise<ProducerIdBlock>) {
    this.#partitions = partitions
    this.#allocate = allocate
  }

  async initProducerId(): Promise<InitProducerIdResponse> {
    try {
      while (this.#next >= this.#end) await this.#refill()
    } catch (error) {
      if (!(error instanceof NotLeaderError)) throw error
      return { errorCode: COORDINATOR_NOT_AVAILABLE, producerId: -1, producerEpoch: -1 }
    }
    return { errorCode: 0, producerId: this.#next++, producerEpoch: 0 }
  }

  async describeProducers(
    _context: unknown,
    request: DescribeProducersRequest,
  ): Promise<DescribeProducersResponse> {
    return {
      topics: request.topics.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((index) => this.#describe(name, index)),
      })),
    }
  }

  #describe(name: string, partitionIndex: number) {
    const topic = this.#partitions.topic(name)
    const partition = this.#partitions.find(name, partitionIndex)
    if (topic === undefined || partitionIndex >= topic.partitionCount) {
      return refusal(partitionIndex, UNKNOWN_TOPIC_OR_PARTITION)
    }
    if (partition?.isLeader !== true) return refusal(partitionIndex, NOT_LEADER_OR_FOLLOWER)
    return {
      partitionIndex,
      errorCode: 0,
      activeProducers: partition.log.activeProducers().map((producer) => ({
        producerId: producer.producerId,
        producerEpoch: producer.producerEpoch,
        lastSequence: producer.lastSequence,
        lastTimestamp: producer.lastTimestampMs,
        coordinatorEpoch: producer.coordinatorEpoch,
        currentTxnStartOffset: producer.currentTransactionStartOffset,
      })),
    }
  }

  #refill(): Promise<void> {
    this.#allocation ??= this.#allocate()
      .then(({ first, count }) => {
        this.#next = first
        this.#end = first + count
      })
      .finally(() => {
        this.#allocation = undefined
      })
    return this.#allocation
  }
}

function refusal(partitionIndex: number, errorCode: number) {
  return { partitionIndex, errorCode, activeProducers: [] }
}
