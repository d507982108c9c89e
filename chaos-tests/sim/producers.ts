/** Writers of a workload: one with retries and sequences, one plain and without. */
import { Cluster } from '../../kafka/client/cluster.ts'
import { Producer } from '../../kafka/client/producer.ts'
import type { Send } from '../checkers/history.ts'
import type { ClientContext } from './client-context.ts'
import { encodePayload } from './payload.ts'

export interface ProducerSpec {
  readonly kind: 'producer'
  readonly topic: string
  readonly partitions: number
  readonly isIdempotent: boolean
  readonly compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  readonly batchMax: number
  readonly paddingMax: number
  readonly pauseMs: number
  /** Batches under way at a time. */
  readonly lanes: number
  readonly timeoutMs: number
  readonly deliveryTimeoutMs: number
}

/** Sends until the context ends, `lanes` batches at a time. */
export async function runProducer(context: ClientContext, spec: ProducerSpec): Promise<void> {
  const { random } = context
  const cluster = new Cluster(context.world, {
    bootstrap: context.bootstrap,
    clientId: context.name,
    timeoutMs: spec.timeoutMs,
  })
  const producer = new Producer(cluster, {
    acks: spec.isIdempotent ? -1 : 1,
    compression: spec.compression,
    deliveryTimeoutMs: spec.deliveryTimeoutMs,
  })
  let sequence = 0
  // Each lane has partitions of its own, so that the order within a partition is that of the calls.
  const laneCount = Math.min(spec.lanes, spec.partitions)
  const lanes = Array.from({ length: laneCount }, async (_, lane) => {
    const own = Math.ceil((spec.partitions - lane) / laneCount)
    while (!context.isOver) {
      const partition = lane + laneCount * random.below(own)
      const values = Array.from(
        { length: 1 + random.below(spec.batchMax) },
        () => `${context.name}:${sequence++}`,
      )
      await sendOne(context, spec, { producer, partition, values })
      await context.pause(random.below(spec.pauseMs + 1))
    }
  })
  await Promise.all(lanes)
  await cluster.close()
}

async function sendOne(
  context: ClientContext,
  spec: ProducerSpec,
  parts: { producer: Producer; partition: number; values: readonly string[] },
): Promise<void> {
  const { random, recorder } = context
  const { producer, partition, values } = parts
  const send = recorder.begin<Send>({
    op: 'send',
    client: context.name,
    producer: context.name,
    topic: spec.topic,
    partition,
    acks: spec.isIdempotent ? -1 : 1,
    isIdempotent: spec.isIdempotent,
    values,
    startMs: recorder.nowMs,
    outcome: 'unknown',
  })
  try {
    const records = values.map((value) => {
      return { value: encodePayload(value, random.below(spec.paddingMax + 1)), partition }
    })
    const [first] = await producer.send(spec.topic, records)
    recorder.sent(send, first?.offset ?? -1)
  } catch (error) {
    recorder.failed(send, error)
    await context.pause(100)
  }
}
