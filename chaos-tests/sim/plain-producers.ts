/**
 * A producer without retries, sequences and patience, in any version of the protocol: what an old
 * client or a script does. With acks=0 it never learns what became of its records.
 */
import { produce } from '../../kafka/api/00-produce.ts'
import { Cluster } from '../../kafka/client/cluster.ts'
import { encodeBatch } from '../../log/records.ts'
import type { Send } from '../checkers/history.ts'
import type { ClientContext } from './client-context.ts'
import { encodePayload } from './payload.ts'

export interface PlainProducerSpec {
  readonly kind: 'plain-producer'
  readonly topic: string
  readonly partitions: number
  readonly acks: -1 | 0 | 1
  readonly version: number
  readonly batchMax: number
  readonly paddingMax: number
  readonly pauseMs: number
  readonly timeoutMs: number
}

export async function runPlainProducer(
  context: ClientContext,
  spec: PlainProducerSpec,
): Promise<void> {
  const { random, recorder } = context
  const cluster = new Cluster(context.world, {
    bootstrap: context.bootstrap,
    clientId: context.name,
    timeoutMs: spec.timeoutMs,
  })
  let sequence = 0
  while (!context.isOver) {
    const send = recorder.begin<Send>({
      op: 'send',
      client: context.name,
      producer: context.name,
      topic: spec.topic,
      partition: random.below(spec.partitions),
      acks: spec.acks,
      isIdempotent: false,
      values: Array.from(
        { length: 1 + random.below(spec.batchMax) },
        () => `${context.name}:${sequence++}`,
      ),
      startMs: recorder.nowMs,
      outcome: 'unknown',
    })
    try {
      await attempt(context, spec, { cluster, send })
    } catch (error) {
      recorder.failed(send, error)
      await context.pause(100)
    }
    await context.pause(random.below(spec.pauseMs + 1))
  }
  await cluster.close()
}

async function attempt(
  context: ClientContext,
  spec: PlainProducerSpec,
  parts: { cluster: Cluster; send: Send },
): Promise<void> {
  const { random, recorder } = context
  const { cluster, send } = parts
  const timestampMs = context.world.clock.nowMs()
  const records = encodeBatch(
    send.values.map((value) => {
      const payload = encodePayload(value, random.below(spec.paddingMax + 1))
      return { timestampMs, key: null, value: payload }
    }),
  )
  const leaders = await cluster.leaders(spec.topic)
  const connection = await cluster.node(leaders[send.partition] ?? -1)
  const request = {
    transactionalId: null,
    acks: spec.acks,
    timeoutMs: spec.timeoutMs,
    topicData: [{ name: spec.topic, partitionData: [{ index: send.partition, records }] }],
  }
  if (spec.acks === 0) {
    connection.send(produce, request, spec.version)
    send.endMs = recorder.nowMs
    return
  }
  const answer = await connection.request(produce, request, spec.timeoutMs * 2, spec.version)
  const result = answer.responses[0]?.partitionResponses[0]
  if (result?.errorCode === 0) recorder.sent(send, result.baseOffset)
  else recorder.failed(send, `error ${result?.errorCode}`)
}
