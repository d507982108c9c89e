/**
 * An idempotent producer for our own tools: batches by partition, one batch a partition in flight,
 * so order holds and a retry is recognised by its sequence numbers (KIP-98), also by the next leader.
 */
import { encodeBatch } from '../../log/records.ts'
import { produce } from '../api/00-produce.ts'
import { initProducerId } from '../api/22-init-producer-id.ts'
import { type Cluster, check, KafkaError } from './cluster.ts'
import { type BrokerConnection, ClientError } from './connection.ts'
import { partitionForKey } from './partitioner.ts'
import { persist } from './retry.ts'
import type { PartitionLeader } from './topic-table.ts'

export interface ProducerRecord {
  readonly key?: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: readonly { key: string; value: Uint8Array | null }[]
  /** Chosen by the key when absent, else in turn. */
  readonly partition?: number
  readonly timestampMs?: number
}

export interface ProducerOptions {
  readonly acks?: -1 | 1
  readonly compression?: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  /** How long a send may be tried again, counted from the call. */
  readonly deliveryTimeoutMs?: number
}

export interface Delivered {
  readonly partition: number
  readonly offset: number
}

/** One producer id, and the next sequence number of each partition under it. */
interface Identity {
  readonly producerId: number
  readonly producerEpoch: number
  readonly sequences: Map<string, number>
}

interface Batch {
  readonly topic: string
  readonly partition: number
  readonly records: readonly ProducerRecord[]
  readonly deadlineMs: number
}

const NO_PRODUCER_ID = { producerId: -1, producerEpoch: -1 }
const ANY_TOPIC = { allowAutoTopicCreation: true }
/** When other nodes are asked whether the leader that does not answer still is the leader. */
const FIRST_LOOK_MS = 250
const NOT_LEADER_OR_FOLLOWER = 6
/** Answers that name another leader are followed at once, but not in circles. */
const HOPS_MAX = 3
/** Produce 12 names topics by name; 13 needs their ids. */
const BY_NAME = 12

export class Producer {
  readonly #cluster: Cluster
  readonly #options: Required<ProducerOptions>
  /** The last batch of each partition. */
  readonly #tails = new Map<string, Promise<unknown>>()
  #identity: Promise<Identity> | undefined
  #turn = 0

  constructor(cluster: Cluster, options: ProducerOptions = {}) {
    this.#cluster = cluster
    this.#options = {
      acks: options.acks ?? -1,
      compression: options.compression ?? 'none',
      deliveryTimeoutMs: options.deliveryTimeoutMs ?? 120_000,
    }
  }

  /**
   * Sends all records, one batch a partition. In the order of `records`. Throws KafkaError and
   * ClientError; what failed may have been written all the same.
   */
  async send(topic: string, records: readonly ProducerRecord[]): Promise<Delivered[]> {
    const deadlineMs = this.#cluster.clock.monotonicMs() + this.#options.deliveryTimeoutMs
    const { partitions } = await persist(this.#cluster, deadlineMs, () =>
      this.#cluster.topic(topic, ANY_TOPIC),
    )
    const groups = new Map<number, number[]>()
    records.forEach((record, at) => {
      const partition = this.#choose(record, partitions)
      const group = groups.get(partition)
      if (group === undefined) groups.set(partition, [at])
      else group.push(at)
    })
    const delivered: Delivered[] = new Array(records.length)
    await Promise.all(
      [...groups].map(async ([partition, positions]) => {
        const batch = positions.map((at) => records[at]!)
        const first = await this.#enqueue({ topic, partition, records: batch, deadlineMs })
        positions.forEach((at, i) => {
          delivered[at] = { partition, offset: first === -1 ? -1 : first + i }
        })
      }),
    )
    return delivered
  }

  #choose(record: ProducerRecord, partitions: readonly PartitionLeader[]): number {
    const count = partitions.length
    if (record.partition !== undefined) {
      if (record.partition >= count) check(3, `there is no partition ${record.partition}`)
      return record.partition
    }
    if (record.key != null) return partitionForKey(record.key, count)
    // Without a key it may go anywhere; so it need not wait for a leader.
    for (let tried = 1; tried < count; tried++) {
      const partition = this.#turn++ % count
      if (partitions[partition]!.leaderId >= 0) return partition
    }
    return this.#turn++ % count
  }

  #enqueue(batch: Batch): Promise<number> {
    const name = nameOf(batch)
    const tail = this.#tails.get(name) ?? Promise.resolve()
    const sent = tail.then(() => this.#deliver(batch))
    const settled = sent.catch(() => undefined)
    this.#tails.set(name, settled)
    void settled.then(() => {
      if (this.#tails.get(name) === settled) this.#tails.delete(name)
    })
    return sent
  }

  async #deliver(batch: Batch): Promise<number> {
    const { deadlineMs } = batch
    if (this.#options.acks !== -1) {
      const bytes = this.#encode(batch.records, { ...NO_PRODUCER_ID, baseSequence: -1 })
      return persist(this.#cluster, deadlineMs, () => this.#attempt(batch, bytes))
    }
    const identity = await persist(this.#cluster, deadlineMs, () => this.#identify())
    const { producerId, producerEpoch, sequences } = identity
    const name = nameOf(batch)
    const baseSequence = sequences.get(name) ?? 0
    const bytes = this.#encode(batch.records, { producerId, producerEpoch, baseSequence })
    try {
      const offset = await persist(this.#cluster, deadlineMs, () => this.#attempt(batch, bytes))
      sequences.set(name, (baseSequence + batch.records.length) % 0x8000_0000)
      return offset
    } catch (error) {
      // Whether these sequence numbers are taken is not known: the next batch under them could be
      // mistaken for this one and acknowledged without being written. A new id has new numbers.
      const current = await this.#identity?.catch(() => undefined)
      if (current === identity) this.#identity = undefined
      throw error
    }
  }

  #encode(
    records: readonly ProducerRecord[],
    identity: { producerId: number; producerEpoch: number; baseSequence: number },
  ): Buffer {
    const nowMs = this.#cluster.clock.nowMs()
    return encodeBatch(
      records.map(({ key, value, headers, timestampMs }) => ({
        timestampMs: timestampMs ?? nowMs,
        key: key ?? null,
        value,
        headers: headers ?? [],
      })),
      { compression: this.#options.compression, ...identity },
    )
  }

  /** Asks the leader, and those that an answer names instead. */
  async #attempt(batch: Batch, bytes: Buffer): Promise<number> {
    try {
      for (let hops = 1; ; hops++) {
        const { leaderId } = await this.#cluster.leader(batch.topic, batch.partition, ANY_TOPIC)
        const { isHinted, ...result } = await this.#ask(leaderId, batch, bytes)
        if (result.errorCode === 0) return result.baseOffset
        if (isHinted && hops < HOPS_MAX) continue
        throw new KafkaError(result.errorCode, result.errorMessage ?? nameOf(batch))
      }
    } catch (error) {
      this.#cluster.suspect(batch.topic)
      throw error
    }
  }

  async #ask(leaderId: number, batch: Batch, bytes: Buffer) {
    const { topic, partition } = batch
    const connection = await this.#cluster.node(leaderId)
    const { responses, nodeEndpoints } = await this.#cluster.waitFor(
      connection,
      this.#produce(connection, batch, bytes),
      {
        firstLookMs: FIRST_LOOK_MS,
        looks: 1,
        isElsewhere: () => this.#cluster.isLedElsewhere(leaderId, [batch]),
      },
    )
    const result = responses[0]?.partitionResponses[0]
    if (result === undefined) throw new ClientError('malformed', 'an empty answer to Produce')
    const { errorCode, errorMessage, baseOffset, currentLeader } = result
    const isHinted =
      errorCode === NOT_LEADER_OR_FOLLOWER &&
      this.#cluster.learnLeader({ topic, partition }, currentLeader, nodeEndpoints)
    return { errorCode, errorMessage, baseOffset, isHinted }
  }

  #produce(connection: BrokerConnection, { topic, partition }: Batch, records: Buffer) {
    const { timeoutMs } = this.#cluster.options
    return connection.request(
      produce,
      {
        transactionalId: null,
        acks: this.#options.acks,
        timeoutMs,
        topicData: [{ name: topic, partitionData: [{ index: partition, records }] }],
      },
      timeoutMs * 2,
      Math.min(connection.version(produce as never), BY_NAME),
    )
  }

  #identify(): Promise<Identity> {
    if (this.#identity !== undefined) return this.#identity
    const asked = this.#askIdentity()
    this.#identity = asked
    asked.catch(() => {
      if (this.#identity === asked) this.#identity = undefined
    })
    return asked
  }

  async #askIdentity(): Promise<Identity> {
    const answer = await this.#cluster.askAny(initProducerId, () => ({
      transactionalId: null,
      transactionTimeoutMs: 0x7fff_ffff,
      producerId: -1,
      producerEpoch: -1,
    }))
    check(answer.errorCode, 'no producer id')
    const { producerId, producerEpoch } = answer
    return { producerId, producerEpoch, sequences: new Map() }
  }
}

function nameOf({ topic, partition }: Batch): string {
  return `${topic}/${partition}`
}
