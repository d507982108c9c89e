/** The server on real sockets: streams are cut by the system, buffers go round while they leave. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { Connection } from '../../base/network.ts'
import { realClock } from '../../base/real/clock.ts'
import { realNetwork } from '../../base/real/network.ts'
import { Turn } from '../../base/turn.ts'
import { produce as produceApi } from '../api/00-produce.ts'
import { fetch as fetchApi } from '../api/01-fetch.ts'
import type { Api } from '../api/define.ts'
import type { Broker } from '../broker.ts'
import { KafkaServer } from './listener.ts'
import {
  batchOf,
  countingRandom,
  decodeAnswer,
  FakeData,
  FakeLogger,
  frame,
} from './testing/fixture.ts'

const produce = produceApi as unknown as Api
const fetch = fetchApi as unknown as Api

class RealClient {
  readonly answers: Buffer[] = []
  isClosed = false
  #received: Buffer = Buffer.alloc(0)
  #connection: Connection | undefined

  async connect(port: number): Promise<void> {
    this.#connection = await realNetwork.connect(
      { host: '127.0.0.1', port, timeoutMs: 5000 },
      () => ({
        onBytes: (slab, start, end) => this.#onBytes(Buffer.from(slab.subarray(start, end))),
        onDrain() {},
        onClose: () => {
          this.isClosed = true
        },
      }),
    )
  }

  #onBytes(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes])
    while (this.#received.length >= 4) {
      const end = 4 + this.#received.readInt32BE(0)
      if (end > this.#received.length) return
      this.answers.push(this.#received.subarray(4, end))
      this.#received = this.#received.subarray(end)
    }
  }

  get connection(): Connection {
    assert.ok(this.#connection !== undefined)
    return this.#connection
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    assert.ok(turns < 1_000_000, 'it happens')
    await new Promise(setImmediate)
  }
}

describe('kafka/server/listener', () => {
  const data = new FakeData()
  let server: KafkaServer
  let logger: FakeLogger
  let port = 0

  beforeEach(async () => {
    logger = new FakeLogger()
    data.topics.clear()
    data.add('orders', 2)
    server = new KafkaServer(
      {
        network: realNetwork,
        clock: realClock,
        turn: new Turn(realClock),
        logger,
        random: countingRandom(),
      },
      { data } as unknown as Broker,
      { poisonsBuffers: true, drainMs: 200 },
    )
    port = (await server.listen('PLAINTEXT', '127.0.0.1', 0)).port
  })
  afterEach(() => server.close())

  const partition = (index = 0) => data.topic('orders')!.partitions[index]!
  const connect = async () => {
    const client = new RealClient()
    await client.connect(port)
    return client
  }

  it('takes records of many sizes in a row, and gives them back byte for byte', async () => {
    const client = await connect()
    const batches = [1, 1000, 40_000, 70_000, 900_000, 3, 500_000].map((size) => batchOf(1, size))
    const sent = batches.map((records, i) =>
      frame(produce, 9, i, {
        transactionalId: null,
        acks: 1,
        timeoutMs: 1000,
        topicData: [{ name: 'orders', partitionData: [{ index: 0, records }] }],
      }),
    )
    client.connection.write(sent)
    await until(() => partition().batches.length === batches.length)
    partition().commit()
    await until(() => client.answers.length === batches.length)
    client.answers.forEach((answer, i) => {
      assert.equal(decodeAnswer(produce, 9, answer).correlationId, i)
    })
    const request = (fetchOffset: number) => ({
      replicaId: -1,
      maxWaitMs: 100,
      minBytes: 1,
      maxBytes: 1e8,
      isolationLevel: 0,
      topics: [
        { topic: 'orders', partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 1e8 }] },
      ],
    })
    const reader = await connect()
    for (let i = 0; i < 20; i++) reader.connection.write([frame(fetch, 4, i, request(i % 7))])
    await until(() => reader.answers.length === 20)
    reader.answers.forEach((answer, i) => {
      const { correlationId, body } = decodeAnswer(fetch, 4, answer)
      assert.equal(correlationId, i)
      const { records } = (body as { responses: { partitions: { records: Buffer }[] }[] })
        .responses[0]!.partitions[0]!
      const expected = Buffer.concat(partition().batches.slice(i % 7))
      const hash = (bytes: Buffer) => createHash('sha1').update(bytes).digest('hex')
      assert.equal(hash(records), hash(expected))
    })
    client.connection.destroy()
    reader.connection.destroy()
    await until(() => server.connectionCount === 0)
    assert.ok(server.memory.usedBytes <= 16 * 1024)
  })

  it('survives clients that reset and clients that talk HTTP', async () => {
    const http = await connect()
    http.connection.write([Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')])
    await until(() => http.isClosed)
    assert.match(logger.lines.at(-1)!.message, /HTTP/)
    for (let i = 0; i < 20; i++) {
      const client = await connect()
      client.connection.write([Buffer.from('000000ff000100', 'hex')])
      client.connection.destroy(new Error('reset'))
    }
    await until(() => server.connectionCount === 0)
    const client = await connect()
    client.connection.write([
      frame(produce, 9, 5, { transactionalId: null, acks: 1, timeoutMs: 1, topicData: [] }),
    ])
    await until(() => client.answers.length === 1)
    client.connection.destroy()
  })

  it('stops: answers what waits, then ends', async () => {
    const client = await connect()
    const request = {
      replicaId: -1,
      maxWaitMs: 30_000,
      minBytes: 1,
      maxBytes: 1e8,
      isolationLevel: 0,
      topics: [
        { topic: 'orders', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1e6 }] },
      ],
    }
    client.connection.write([frame(fetch, 4, 1, request)])
    await until(() => server.probe.waitingFetches === 1)
    const closed = server.close()
    await until(() => client.isClosed)
    assert.equal(client.answers.length, 1)
    await closed
    await assert.rejects(connect())
  })
})
