/** A server on fakes, and clients that speak to it through the schemas of the APIs. */
import assert from 'node:assert/strict'
import type { LogFields, Logger } from '../../../base/logger.ts'
import type { Random } from '../../../base/random.ts'
import { Turn } from '../../../base/turn.ts'
import { encodeBatch } from '../../../log/records.ts'
import { type ProduceResponse, produce } from '../../api/00-produce.ts'
import { type FetchResponse, fetch } from '../../api/01-fetch.ts'
import type { Api } from '../../api/define.ts'
import type { Broker, DataPort, NodeEndpoint, TopicPort } from '../../broker.ts'
import { requestHeaderCodecs, responseHeaderCodecs } from '../../wire/header.ts'
import { Writer } from '../../wire/writer.ts'
import { KafkaServer } from '../listener.ts'
import type { ServerOptions } from '../options.ts'
import { FakeClock } from './fake-clock.ts'
import { type FakeConnection, FakeNetwork } from './fake-network.ts'
import { FakePartition } from './fake-partition.ts'

export class FakeTopic implements TopicPort {
  readonly name: string
  readonly id: string
  isInternal = false
  readonly partitions: (FakePartition | undefined)[]

  constructor(name: string, id: string, partitionCount: number) {
    this.name = name
    this.id = id
    this.partitions = Array.from(
      { length: partitionCount },
      (_, index) => new FakePartition(name, id, index),
    )
  }

  get partitionCount(): number {
    return this.partitions.length
  }
}

export class FakeData implements DataPort {
  readonly topics = new Map<string, FakeTopic>()
  readonly endpoints = new Map<number, NodeEndpoint>()
  hint = { leaderId: 2, leaderEpoch: 9 }

  add(name: string, partitionCount: number, id = topicId(this.topics.size + 1)): FakeTopic {
    const topic = new FakeTopic(name, id, partitionCount)
    this.topics.set(name, topic)
    return topic
  }

  topic(name: string): FakeTopic | undefined {
    return this.topics.get(name)
  }

  topicById(id: string): FakeTopic | undefined {
    for (const topic of this.topics.values()) if (topic.id === id) return topic
    return undefined
  }

  leader() {
    return this.hint
  }

  endpoint(nodeId: number): NodeEndpoint | undefined {
    return this.endpoints.get(nodeId)
  }
}

export function topicId(number: number): string {
  const bytes = Buffer.alloc(16, 0x11)
  bytes.writeUInt32BE(number, 12)
  return bytes.toString('base64url')
}

export class FakeLogger implements Logger {
  readonly lines: { level: string; message: string; fields: LogFields | undefined }[] = []
  #add(level: string) {
    return (message: string, fields?: LogFields) => this.lines.push({ level, message, fields })
  }
  readonly debug = this.#add('debug')
  readonly info = this.#add('info')
  readonly warn = this.#add('warn')
  readonly error = this.#add('error')
  child(): Logger {
    return this
  }
}

/** Counts up: fetch session ids are 1, 2, 3, ... */
export function countingRandom(): Random {
  let next = 0
  const random: Random = {
    uint32: () => next++,
    below: (bound) => next++ % bound,
    unit: () => 0,
    bytes: (length) => Buffer.alloc(length, next++),
    split: () => random,
  }
  return random
}

export function batchOf(count: number, valueBytes = 10): Buffer {
  return encodeBatch(
    Array.from({ length: count }, (_, i) => ({
      timestampMs: 1_700_000_000_000 + i,
      key: null,
      value: Buffer.alloc(valueBytes, i),
    })),
  )
}

export class Fixture {
  readonly clock = new FakeClock(1000)
  readonly turn = new Turn(this.clock)
  readonly network = new FakeNetwork()
  readonly logger = new FakeLogger()
  readonly data = new FakeData()
  readonly server: KafkaServer

  constructor(options: Partial<ServerOptions> = {}, apis?: readonly Api[], broker?: object) {
    const { clock, turn, network, logger, data } = this
    this.server = new KafkaServer(
      { clock, turn, network, logger, random: countingRandom() },
      { data, ...broker } as unknown as Broker,
      { poisonsBuffers: true, ...options },
      apis,
    )
  }

  async start(): Promise<void> {
    await this.server.listen('PLAINTEXT', '127.0.0.1', 9092)
  }

  client(remoteAddress?: string): Client {
    return new Client(this.clock, this.network.dial(remoteAddress))
  }
}

export class Client {
  readonly clock: FakeClock
  readonly connection: FakeConnection
  #correlationId = 0

  constructor(clock: FakeClock, connection: FakeConnection) {
    this.clock = clock
    this.connection = connection
  }

  /** Returns the correlation id. The turn ends afterwards, unless it is told not to. */
  send(api: Api, version: number, request: unknown, endsTurn = true): number {
    const correlationId = this.#correlationId++
    this.connection.send(frame(api, version, correlationId, request))
    if (endsTurn) this.clock.endTurn()
    return correlationId
  }

  /** The one answer that has arrived. */
  answer(api: Api, version: number): { correlationId: number; body: unknown } {
    const answers = this.connection.answers()
    assert.equal(answers.length, 1, 'one answer')
    return decodeAnswer(api, version, answers[0]!)
  }

  correlationIds(): number[] {
    return this.connection.answers().map((answer) => answer.readInt32BE(0))
  }

  produce(version: number, request: unknown): ProduceResponse {
    const correlationId = this.send(produce as unknown as Api, version, request)
    const answer = this.answer(produce as unknown as Api, version)
    assert.equal(answer.correlationId, correlationId)
    return answer.body as ProduceResponse
  }

  fetch(version: number, request: unknown): FetchResponse {
    this.send(fetch as unknown as Api, version, request)
    return this.fetched(version)
  }

  fetched(version: number): FetchResponse {
    return this.answer(fetch as unknown as Api, version).body as FetchResponse
  }
}

export function frame(api: Api, version: number, correlationId: number, request: unknown): Buffer {
  const writer = new Writer()
  writer.int32(0)
  requestHeaderCodecs[api.requestHeaderVersion(version)].write(writer, {
    requestApiKey: api.key,
    requestApiVersion: version,
    correlationId,
    clientId: 'test',
  })
  api.requestCodec(version).write(writer, request as never)
  const bytes = Buffer.from(writer.finish())
  bytes.writeInt32BE(bytes.length - 4, 0)
  return bytes
}

/** Decodes and encodes again: the server's bytes are the ones that the schema gives. */
export function decodeAnswer(
  api: Api,
  version: number,
  answer: Buffer,
): { correlationId: number; body: unknown } {
  const headerVersion = api.responseHeaderVersion(version)
  const { correlationId } = responseHeaderCodecs[headerVersion].decode(answer, 0, 4 + headerVersion)
  const codec = api.responseCodec(version)
  const body = codec.decode(answer, 4 + headerVersion, answer.length)
  assert.equal(
    codec.encode(body as never).toString('hex'),
    answer.toString('hex', 4 + headerVersion),
    'canonical bytes',
  )
  return { correlationId, body }
}
