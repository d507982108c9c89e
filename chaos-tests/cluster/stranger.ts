/**
 * A workload by a client that we did not write: kafkajs. It writes with acks=all and its own retries,
 * without sequences, so that a record may be there twice; and it reads as a member of a group.
 */
import { connect } from 'node:net'
import {
  type Consumer,
  Kafka,
  type KafkaMessage,
  logLevel,
  Partitioners,
  type Producer,
} from 'kafkajs'
import type { Send } from '../checkers/history.ts'
import type { ClientContext } from '../sim/client-context.ts'
import { decodePayload, encodePayload } from '../sim/payload.ts'

export interface StrangerSpec {
  readonly topic: string
  readonly partitions: number
  readonly pauseMs: number
  readonly group: string
  /** The port of a link, for a port of a node. */
  portOf(port: number): number
}

const REQUEST_TIMEOUT_MS = 1000
const SESSION_TIMEOUT_MS = 6000
const STEP_AGAIN_MS = 200
const RECORDS_MAX = 10
const PADDING_MAX = 200

/** Until the context ends. */
export async function runStranger(context: ClientContext, spec: StrangerSpec): Promise<void> {
  const kafka = new Kafka({
    clientId: context.name,
    brokers: [...context.bootstrap],
    logLevel: logLevel.NOTHING,
    connectionTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 100 },
    socketFactory: ({ host, port, onConnect }) => {
      return connect({ host, port: spec.portOf(port) }, onConnect)
    },
  })
  await Promise.all([write(kafka, context, spec), read(kafka, context, spec)])
}

async function write(kafka: Kafka, context: ClientContext, spec: StrangerSpec): Promise<void> {
  const { recorder, random } = context
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await connected(context, producer)
  let sequence = 0
  while (!context.isOver) {
    const partition = random.below(spec.partitions)
    const values = Array.from(
      { length: 1 + random.below(RECORDS_MAX) },
      () => `${context.name}:${sequence++}`,
    )
    const send = recorder.begin<Send>({
      op: 'send',
      client: context.name,
      producer: context.name,
      topic: spec.topic,
      partition,
      acks: -1,
      isIdempotent: false,
      values,
      startMs: recorder.nowMs,
      outcome: 'unknown',
    })
    const messages = values.map((value) => {
      return { value: encodePayload(value, random.below(PADDING_MAX)), partition }
    })
    try {
      const [answer] = await producer.send({ topic: spec.topic, acks: -1, messages })
      recorder.sent(send, Number(answer?.baseOffset ?? -1))
    } catch (error) {
      recorder.failed(send, error)
    }
    await context.pause(random.below(spec.pauseMs + 1))
  }
  await producer.disconnect()
}

/** It gives up ("Broker not connected") when a node goes while it asks for the metadata. */
async function connected(context: ClientContext, producer: Producer): Promise<void> {
  while (!context.isOver) {
    try {
      await producer.connect()
      return
    } catch {
      await context.pause(STEP_AGAIN_MS)
    }
  }
}

async function read(kafka: Kafka, context: ClientContext, spec: StrangerSpec): Promise<void> {
  const { recorder } = context
  let sessions = 0
  const consumer = await consumerOf(kafka, context, spec, (topic, partition, messages) => {
    if (messages.length === 0) return
    recorder.add({
      op: 'poll',
      client: context.name,
      // It does not tell when it has moved: each batch stands for itself.
      session: `${context.name}/${++sessions}`,
      topic,
      partition,
      fromOffset: Number(messages[0]!.offset),
      toOffset: Number(messages.at(-1)!.offset) + 1,
      records: messages.map(({ offset, value }) => [Number(offset), decodePayload(value)]),
      startMs: recorder.nowMs,
      endMs: recorder.nowMs,
    })
  })
  while (!context.isOver) await context.pause(100)
  await consumer?.disconnect()
}

type OnMessages = (topic: string, partition: number, messages: readonly KafkaMessage[]) => void

/** One that runs, or undefined when the time is over first. One that could not begin is no use. */
async function consumerOf(
  kafka: Kafka,
  context: ClientContext,
  spec: StrangerSpec,
  onMessages: OnMessages,
): Promise<Consumer | undefined> {
  while (!context.isOver) {
    const consumer = kafka.consumer({
      groupId: spec.group,
      sessionTimeout: SESSION_TIMEOUT_MS,
      heartbeatInterval: SESSION_TIMEOUT_MS / 4,
      maxWaitTimeInMs: 200,
    })
    try {
      await consumer.connect()
      await consumer.subscribe({ topic: spec.topic, fromBeginning: true })
      await consumer.run({
        eachBatch: async ({ batch }) => onMessages(batch.topic, batch.partition, batch.messages),
      })
      return consumer
    } catch {
      await consumer.disconnect().catch(() => undefined)
      await context.pause(STEP_AGAIN_MS)
    }
  }
  return undefined
}
