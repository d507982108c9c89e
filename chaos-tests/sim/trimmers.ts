/** Somebody who has the oldest records of a topic deleted while others write and read it. */
import { deleteRecords } from '../../kafka/api/21-delete-records.ts'
import { Cluster, check } from '../../kafka/client/cluster.ts'
import { Consumer } from '../../kafka/client/consumer.ts'
import type { Trim } from '../checkers/history.ts'
import type { ClientContext } from './client-context.ts'

export interface TrimmerSpec {
  readonly kind: 'trimmer'
  readonly topic: string
  readonly partitions: number
  /** Of what is there, at most so much at once. */
  readonly share: number
  readonly pauseMs: number
  readonly timeoutMs: number
}

export async function runTrimmer(context: ClientContext, spec: TrimmerSpec): Promise<void> {
  const { random } = context
  const cluster = new Cluster(context.world, {
    bootstrap: context.bootstrap,
    clientId: context.name,
    timeoutMs: spec.timeoutMs,
  })
  while (!context.isOver) {
    await context.pause(random.below(spec.pauseMs + 1))
    try {
      await trim(cluster, context, spec)
    } catch {
      await context.pause(100)
    }
  }
  await cluster.close()
}

async function trim(cluster: Cluster, context: ClientContext, spec: TrimmerSpec): Promise<void> {
  const { random, recorder } = context
  const { topic, timeoutMs } = spec
  const partition = random.below(spec.partitions)
  const consumer = new Consumer(cluster, { startAt: 'earliest' })
  const first = await consumer.offset(topic, partition, 'earliest')
  const end = await consumer.offset(topic, partition, 'latest')
  const offset = first + Math.floor((end - first) * spec.share * random.unit())
  const entry = recorder.begin<Trim>({
    op: 'trim',
    client: context.name,
    topic,
    partition,
    offset,
    startMs: recorder.nowMs,
    outcome: 'unknown',
  })
  try {
    const { leaderId } = await cluster.leader(topic, partition)
    const topics = [{ name: topic, partitions: [{ partitionIndex: partition, offset }] }]
    const answer = await cluster.request(leaderId, deleteRecords, { topics, timeoutMs })
    const result = answer.topics[0]?.partitions[0]
    check(result?.errorCode ?? -1, topic)
    entry.outcome = 'ok'
    entry.endMs = recorder.nowMs
    entry.lowWatermark = result!.lowWatermark
  } catch (error) {
    recorder.failed(entry, error)
    cluster.suspect(topic)
    throw error
  }
}
