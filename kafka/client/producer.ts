/**
 * An idempotent producer for our own tools: batches by partition, one batch a partition in flight,
 * so order holds and a retry is recognised by its sequence numbers (KIP-98).
 */
import { encodeBatch } from '../../log/records.ts'
import { produce } from '../api/00-produce.ts'
import { initProducerId } from '../api/22-init-producer-id.ts'
import { errorOf } from '../wire/errors.ts'
import { type Cluster, check, KafkaError } from './cluster.ts'
import { ClientError } from './connection.ts'
import { partitionForKey } from './partitioner.ts'

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
  /** How long a send may be tried again. */
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

const NO_PRODUCER_ID = { producerId: -1, producerEpoch: -1 }

export class Producer {
  readonly #cluster: Cluster
  readonly #options: Required<ProducerOptions>
  /** The last batch of each partition. */
  readonly #tails = new Map<string, Promise<unknown>>()
  readonly #leaders = new Map<string, Promise<number[]>>()
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

  /** Sends all records, one batch a partition. In the order of `records`. Throws KafkaError. */
  async send(topic: string, records: readonly ProducerRecord[]): Promise<Delivered[]> {
    const leaders = await this.#persist(topic, () => this.#leadersOf(topic))
    const groups = new Map<number, number[]>()
    records.forEach((record, at) => {
      const partition = this.#choose(record, leaders.length)
      const group = groups.get(partition)
      if (group === undefined) groups.set(partition, [at])
      else group.push(at)
    })
    const delivered: Delivered[] = new Array(records.length)
    await Promise.all(
      [...groups].map(async ([partition, positions]) => {
        const batch = positions.map((at) => records[at]!)
        const first = await this.#enqueue(topic, partition, batch)
        positions.forEach((at, i) => {
          delivered[at] = { partition, offset: first === -1 ? -1 : first + i }
        })
      }),
    )
    return delivered
  }

  #choose(record: ProducerRecord, count: number): number {
    if (record.partition !== undefined) {
      if (record.partition >= count) check(3, `there is no partition ${record.partition}`)
      return record.partition
    }
    if (record.key != null) return partitionForKey(record.key, count)
    return this.#turn++ % count
  }

  #enqueue(topic: string, partition: number, records: ProducerRecord[]): Promise<number> {
    const name = `${topic}/${partition}`
    const tail = this.#tails.get(name) ?? Promise.resolve()
    const sent = tail.then(() => this.#deliver(topic, partition, records))
    this.#tails.set(
      name,
      sent.catch(() => undefined),
    )
    return sent
  }

  async #deliver(topic: string, partition: number, records: ProducerRecord[]): Promise<number> {
    if (this.#options.acks !== -1) {
      const batch = this.#encode(records, { ...NO_PRODUCER_ID, baseSequence: -1 })
      return this.#retry(topic, partition, batch)
    }
    const name = `${topic}/${partition}`
    const identity = await this.#persist(topic, () => this.#identify())
    const { producerId, producerEpoch, sequences } = identity
    const baseSequence = sequences.get(name) ?? 0
    const batch = this.#encode(records, { producerId, producerEpoch, baseSequence })
    try {
      const offset = await this.#retry(topic, partition, batch)
      sequences.set(name, (baseSequence + records.length) % 0x8000_0000)
      return offset
    } catch (error) {
      // Whether these sequence numbers are taken is not known: the next batch under them could be
      // mistaken for this one and acknowledged without being written. A new id has new numbers.
      if ((await this.#identity) === identity) this.#identity = undefined
      throw error
    }
  }

  #encode(
    records: ProducerRecord[],
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

  #retry(topic: string, partition: number, batch: Buffer): Promise<number> {
    return this.#persist(topic, () => this.#attempt(topic, partition, batch))
  }

  /** Tries again what another moment or another node may answer. */
  async #persist<T>(topic: string, attempt: () => Promise<T>): Promise<T> {
    const deadlineMs = this.#cluster.clock.monotonicMs() + this.#options.deliveryTimeoutMs
    for (let delayMs = 20; ; delayMs = Math.min(delayMs * 2, 1000)) {
      try {
        return await attempt()
      } catch (error) {
        if (!isWorthAnotherTry(error) || this.#cluster.clock.monotonicMs() > deadlineMs) throw error
        this.#leaders.delete(topic)
        await this.#cluster.pause(delayMs)
      }
    }
  }

  async #attempt(topic: string, partition: number, batch: Buffer): Promise<number> {
    const leaders = await this.#leadersOf(topic)
    const connection = await this.#cluster.node(leaders[partition] ?? -1)
    // Version 12 names topics by name; 13 needs their ids.
    const version = Math.min(connection.version(produce as never), 12)
    const answer = await connection.request(
      produce,
      {
        transactionalId: null,
        acks: this.#options.acks,
        timeoutMs: this.#cluster.options.timeoutMs,
        topicData: [{ name: topic, partitionData: [{ index: partition, records: batch }] }],
      },
      this.#cluster.options.timeoutMs * 2,
      version,
    )
    const result = answer.responses[0]?.partitionResponses[0]
    if (result === undefined) throw new ClientError('malformed', 'an empty answer to Produce')
    if (result.errorCode !== 0) {
      throw new KafkaError(result.errorCode, result.errorMessage ?? `${topic}-${partition}`)
    }
    return result.baseOffset
  }

  #leadersOf(topic: string): Promise<number[]> {
    let leaders = this.#leaders.get(topic)
    if (leaders === undefined) {
      leaders = this.#cluster.leaders(topic, true)
      this.#leaders.set(topic, leaders)
      leaders.catch(() => this.#leaders.delete(topic))
    }
    return leaders
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
    const answer = await this.#cluster.request(undefined, initProducerId, {
      transactionalId: null,
      transactionTimeoutMs: 0x7fff_ffff,
      producerId: -1,
      producerEpoch: -1,
    })
    check(answer.errorCode, 'no producer id')
    const { producerId, producerEpoch } = answer
    return { producerId, producerEpoch, sequences: new Map() }
  }
}

function isWorthAnotherTry(error: unknown): boolean {
  if (error instanceof KafkaError) return errorOf(error.code)?.isRetriable === true
  return error instanceof ClientError && error.code !== 'unsupported' && error.code !== 'malformed'
}
