/** Readers of a workload: of all partitions of a topic in order, and of their ends. */
import { Cluster } from '../../kafka/client/cluster.ts'
import { type ConsumedRecord, Consumer } from '../../kafka/client/consumer.ts'
import type { ClientContext } from './client-context.ts'
import { decodePayload } from './payload.ts'

export interface ReaderSpec {
  readonly kind: 'reader'
  readonly topic: string
  readonly partitions: number
  readonly pauseMs: number
  readonly maxWaitMs: number
  readonly timeoutMs: number
}

interface Place {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** One consumer that goes on where it was after each error. */
export class Reading {
  readonly #context: ClientContext
  readonly #session: string
  readonly #consumer: Consumer
  #places: readonly Place[] = []

  constructor(context: ClientContext, session: string, consumer: Consumer) {
    this.#context = context
    this.#session = session
    this.#consumer = consumer
  }

  get places(): readonly Place[] {
    return this.#places
  }

  /** `offset` undefined: from the first record on. */
  async assign(
    partitions: readonly { topic: string; partition: number; offset?: number | undefined }[],
  ): Promise<void> {
    await this.#consumer.assign(partitions)
    this.#places = copyOf(this.#consumer.positions())
  }

  /** False after an error, which is what it costs. */
  async poll(): Promise<boolean> {
    const { recorder } = this.#context
    const startMs = recorder.nowMs
    const before = this.#places
    let records: ConsumedRecord[]
    try {
      records = await this.#consumer.poll()
    } catch {
      await this.#consumer.assign(before)
      return false
    }
    this.#places = copyOf(this.#consumer.positions())
    before.forEach(({ topic, partition, offset }, index) => {
      const toOffset = this.#places[index]!.offset
      const own = records.filter((one) => one.topic === topic && one.partition === partition)
      if (own.length === 0 && toOffset === offset) return
      recorder.add({
        op: 'poll',
        client: this.#context.name,
        session: this.#session,
        topic,
        partition,
        fromOffset: offset,
        toOffset,
        records: own.map((record) => [record.offset, decodePayload(record.value)]),
        startMs,
        endMs: recorder.nowMs,
      })
    })
    return true
  }
}

export async function runReader(context: ClientContext, spec: ReaderSpec): Promise<void> {
  const cluster = new Cluster(context.world, {
    bootstrap: context.bootstrap,
    clientId: context.name,
    timeoutMs: spec.timeoutMs,
  })
  const consumer = new Consumer(cluster, { startAt: 'earliest', maxWaitMs: spec.maxWaitMs })
  const reading = new Reading(context, context.name, consumer)
  const partitions = Array.from({ length: spec.partitions }, (_, partition) => {
    return { topic: spec.topic, partition }
  })
  let isAssigned = false
  while (!context.isOver) {
    try {
      if (!isAssigned) await reading.assign(partitions)
      isAssigned = true
      if (!(await reading.poll())) await context.pause(100)
    } catch {
      await context.pause(100)
    }
    await context.pause(context.random.below(spec.pauseMs + 1))
  }
  await cluster.close()
}

export interface WatcherSpec {
  readonly kind: 'watcher'
  readonly topic: string
  readonly partitions: number
  readonly pauseMs: number
  readonly timeoutMs: number
}

/** Asks for the ends of partitions. */
export async function runWatcher(context: ClientContext, spec: WatcherSpec): Promise<void> {
  const { recorder, random } = context
  const cluster = new Cluster(context.world, {
    bootstrap: context.bootstrap,
    clientId: context.name,
    timeoutMs: spec.timeoutMs,
  })
  const consumer = new Consumer(cluster, { startAt: 'latest' })
  while (!context.isOver) {
    const partition = random.below(spec.partitions)
    const { name: client } = context
    const startMs = recorder.nowMs
    try {
      const offset = await consumer.offset(spec.topic, partition, 'latest')
      const endMs = recorder.nowMs
      recorder.add({ op: 'latest', client, topic: spec.topic, partition, offset, startMs, endMs })
    } catch {
      await context.pause(100)
    }
    await context.pause(random.below(spec.pauseMs + 1))
  }
  await cluster.close()
}

function copyOf(places: readonly Place[]): Place[] {
  return places.map(({ topic, partition, offset }) => ({ topic, partition, offset }))
}
