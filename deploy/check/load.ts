/**
 * Load on a cluster while nodes are taken away: one idempotent producer and a group of one member.
 * Each record has a number of its own, so that at the end the log itself says what is lost or double.
 */
import { realClock } from '../../base/real/clock.ts'
import { realNetwork } from '../../base/real/network.ts'
import { createTopics } from '../../kafka/api/19-create-topics.ts'
import { Cluster, check } from '../../kafka/client/cluster.ts'
import { Consumer } from '../../kafka/client/consumer.ts'
import { GroupMember } from '../../kafka/client/group-member.ts'
import { Producer } from '../../kafka/client/producer.ts'
import { eventually, pause } from './tools.ts'

const PARTITIONS = 6
/** Of each partition, each time. */
const BATCH_RECORDS = 27
const VALUE_BYTES = 1000
const PERIOD_MS = 30
const SENDS_MAX = 64 * PARTITIONS
const DRAIN_MS = 120_000

export interface LoadResult {
  readonly sent: number
  readonly failures: readonly string[]
  readonly longestSendMs: number
  readonly lost: number
  readonly doubled: number
  /** Of the group: records that its member has not seen. */
  readonly unseen: number
  readonly megabytesPerSecond: number
}

export class Load {
  readonly #topic: string
  readonly #cluster: Cluster
  readonly #group: Cluster
  readonly #failures: string[] = []
  readonly #seen = new Set<number>()
  readonly #acknowledged = new Set<number>()
  #startedMs = 0
  #next = 0
  #longestMs = 0
  /** When each partition acknowledged last. */
  readonly #lastMs: number[] = []
  #pauseMs = 0
  #isStopping = false
  #hasEnded = false
  #work: Promise<unknown> = Promise.resolve()
  #reading: Promise<unknown> = Promise.resolve()

  constructor(bootstrap: readonly string[], topic: string) {
    this.#topic = topic
    const parts = { network: realNetwork, clock: realClock }
    const options = { bootstrap, clientId: 'deploy-check', timeoutMs: 30_000 }
    this.#cluster = new Cluster(parts, options)
    this.#group = new Cluster(parts, options)
  }

  async start(): Promise<void> {
    const controller = await this.#cluster.controller()
    const answer = await controller.request(
      createTopics,
      {
        topics: [
          {
            name: this.#topic,
            numPartitions: PARTITIONS,
            replicationFactor: 3,
            assignments: [],
            configs: [],
          },
        ],
        timeoutMs: 30_000,
        validateOnly: false,
      },
      30_000,
    )
    check(answer.topics[0]?.errorCode ?? -1, answer.topics[0]?.errorMessage ?? this.#topic)
    this.#startedMs = performance.now()
    this.#work = this.#produce()
    this.#reading = this.#consume()
  }

  /** Records that were acknowledged so far. */
  get acknowledged(): number {
    return this.#acknowledged.size
  }

  /** The longest that a partition went without an acknowledgement, since this was asked last. */
  takePauseMs(): number {
    const nowMs = performance.now()
    const longestMs = Math.max(this.#pauseMs, ...this.#lastMs.map((lastMs) => nowMs - lastMs))
    this.#pauseMs = 0
    return longestMs
  }

  #note(partition: number): void {
    const nowMs = performance.now()
    this.#pauseMs = Math.max(this.#pauseMs, nowMs - (this.#lastMs[partition] ?? nowMs))
    this.#lastMs[partition] = nowMs
  }

  async #produce(): Promise<void> {
    const producer = new Producer(this.#cluster)
    const sends = new Set<Promise<void>>()
    while (!this.#isStopping) {
      for (let partition = 0; partition < PARTITIONS && sends.size < SENDS_MAX; partition++) {
        const send = this.#send(producer, partition).finally(() => sends.delete(send))
        sends.add(send)
      }
      await pause(PERIOD_MS)
    }
    await Promise.all(sends)
  }

  async #send(producer: Producer, partition: number): Promise<void> {
    const numbers = Array.from({ length: BATCH_RECORDS }, () => this.#next++)
    const sentMs = performance.now()
    try {
      const values = numbers.map((n) => Buffer.from(String(n).padEnd(VALUE_BYTES, '.')))
      const records = values.map((value) => ({ value, partition }))
      await producer.send(this.#topic, records)
      this.#note(partition)
      for (const n of numbers) this.#acknowledged.add(n)
    } catch (error) {
      this.#failures.push((error as Error).message)
    }
    this.#longestMs = Math.max(this.#longestMs, performance.now() - sentMs)
  }

  async #consume(): Promise<void> {
    const member = new GroupMember(this.#group, {
      group: `${this.#topic}-readers`,
      topics: [this.#topic],
    })
    const consumer = new Consumer(this.#group, { startAt: 'earliest' })
    while (!this.#hasEnded) {
      if (member.mustRejoin) await consumer.assign(await member.join())
      for (const record of await consumer.poll()) this.#seen.add(numberOf(record.value))
      await member.commit(consumer.positions())
    }
    await member.close()
  }

  /** Ends the load, reads the topic from the start, and closes. */
  async stop(): Promise<LoadResult> {
    const tookSeconds = (performance.now() - this.#startedMs) / 1000
    this.#isStopping = true
    try {
      await this.#work
      const { lost, doubled } = await this.#readAll()
      const unseen = () => [...this.#acknowledged].filter((n) => !this.#seen.has(n)).length
      await Promise.race([
        eventually('the group', DRAIN_MS, async () => (unseen() === 0 ? true : undefined)),
        this.#reading,
      ]).catch(() => undefined) // then `unseen` says so
      return {
        sent: this.#acknowledged.size,
        failures: this.#failures,
        longestSendMs: Math.round(this.#longestMs),
        lost,
        doubled,
        unseen: unseen(),
        megabytesPerSecond: (this.#acknowledged.size * VALUE_BYTES) / 1e6 / tookSeconds,
      }
    } finally {
      this.#hasEnded = true
      await this.#reading.catch(() => undefined)
      await this.#cluster.close()
      await this.#group.close()
    }
  }

  async #readAll(): Promise<{ lost: number; doubled: number }> {
    const consumer = new Consumer(this.#cluster, { startAt: 'earliest' })
    const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition)
    await consumer.assign(partitions.map((partition) => ({ topic: this.#topic, partition })))
    const ends = await Promise.all(
      partitions.map((partition) => consumer.offset(this.#topic, partition, 'latest')),
    )
    const found = new Map<number, number>()
    const isDone = () =>
      consumer.positions().every(({ partition, offset }) => offset >= ends[partition]!)
    while (!isDone()) {
      for (const record of await consumer.poll()) {
        const n = numberOf(record.value)
        found.set(n, (found.get(n) ?? 0) + 1)
      }
    }
    const lost = [...this.#acknowledged].filter((n) => !found.has(n)).length
    return { lost, doubled: [...found.values()].filter((times) => times > 1).length }
  }
}

function numberOf(value: Uint8Array | null): number {
  return Number.parseInt(Buffer.from(value ?? []).toString('latin1'), 10)
}
