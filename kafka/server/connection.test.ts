import assert from 'node:assert/strict'
import fc from 'fast-check'
import { produce as produceApi } from '../api/00-produce.ts'
import { fetch as fetchApi } from '../api/01-fetch.ts'
import { apiVersions as apiVersionsApi } from '../api/18-api-versions.ts'
import { type Api, defineApi } from '../api/define.ts'
import { registry } from '../api/registry.ts'
import { Unavailable } from '../unavailable.ts'
import { int16, string, struct } from '../wire/schema.ts'
import { batchOf, type Client, Fixture, frame } from './testing/fixture.ts'

const produce = produceApi as unknown as Api
const fetch = fetchApi as unknown as Api
const apiVersions = apiVersionsApi as unknown as Api

/** A slow API whose handler ends when the test says so. */
function askApi() {
  const calls: { name: string; resolve: () => void; reject: (error: Error) => void }[] = []
  const api = defineApi({
    key: 12,
    name: 'Ask',
    versions: [0, 1],
    flexibleSince: 1,
    request: struct({ name: string() }),
    response: struct({ errorCode: int16(), name: string() }),
    handle: (_context, { name }) => {
      if (name === 'now') return { errorCode: 0, name }
      if (name === 'throw') throw new Error('a fault')
      return new Promise((resolve, reject) => {
        calls.push({ name, resolve: () => resolve({ errorCode: 0, name }), reject })
      })
    },
    refuse: (_context, _request, { errorCode, message }) => ({ errorCode, name: message }),
  }) as unknown as Api
  return { api, calls }
}

const produceRequest = (acks: number) => ({
  transactionalId: null,
  acks,
  timeoutMs: 1000,
  topicData: [{ name: 'orders', partitionData: [{ index: 0, records: batchOf(1) }] }],
})

const fetchRequest = (maxWaitMs: number, offset = 0) => ({
  replicaId: -1,
  maxWaitMs,
  minBytes: 1,
  maxBytes: 1e7,
  isolationLevel: 0,
  topics: [
    {
      topic: 'orders',
      partitions: [{ partition: 0, fetchOffset: offset, partitionMaxBytes: 1e6 }],
    },
  ],
})

const settle = () => new Promise(setImmediate)

describe('kafka/server/connection', () => {
  let fixture: Fixture
  let client: Client
  let ask: ReturnType<typeof askApi>

  const prepare = async (options = {}) => {
    ask = askApi()
    const apis = [...registry.filter(({ key }) => key !== 12), ask.api]
    const features = () => ({ supported: [], finalizedEpoch: 1, finalized: [] })
    fixture = new Fixture(options, apis, { cluster: { features } })
    fixture.data.add('orders', 1)
    await fixture.start()
    client = fixture.client()
  }
  beforeEach(() => prepare())

  const partition = () => fixture.data.topic('orders')!.partitions[0]!
  const lastLine = () => fixture.logger.lines.at(-1)
  const whole = (name = 'now', correlationId = 9) => frame(ask.api, 0, correlationId, { name })

  describe('frames', () => {
    it('finds requests however the stream is cut', () => {
      const stream = Buffer.concat([
        whole('now', 1),
        frame(produce, 9, 2, produceRequest(0)),
        whole('now', 3),
        frame(produce, 9, 4, { ...produceRequest(0), topicData: [] }),
        whole('now', 5),
      ])
      for (let pieceBytes = 1; pieceBytes <= stream.length; pieceBytes++) {
        const cut = fixture.client()
        cut.connection.send(stream, pieceBytes)
        fixture.clock.endTurn()
        assert.deepEqual(cut.correlationIds(), [1, 3, 5], `in pieces of ${pieceBytes}`)
        assert.equal(cut.connection.writes, 1)
        cut.connection.finish()
      }
    })

    it('grows with what has arrived, not with what is declared', () => {
      const { memory } = fixture.server
      const before = memory.usedBytes
      const head = Buffer.alloc(8)
      head.writeInt32BE(100_000_000, 0)
      client.connection.send(head)
      assert.ok(memory.usedBytes - before <= 4096)
      for (let sent = 0; sent < 1_000_000; sent += 50_000) {
        client.connection.send(Buffer.alloc(50_000))
        assert.ok(memory.usedBytes - before <= 6 * (sent + 50_000))
      }
      client.connection.finish()
      assert.equal(memory.usedBytes, before)
    })

    it('owns no buffer between requests', () => {
      const { memory } = fixture.server
      const before = memory.usedBytes
      client.connection.send(whole(), 5)
      fixture.clock.endTurn()
      assert.equal(memory.usedBytes, before)
    })

    const badSizes: [string, Buffer, RegExp][] = [
      ['negative', Buffer.from('ffffffff00000000', 'hex'), /out of range/],
      ['zero', Buffer.from('0000000000000000', 'hex'), /out of range/],
      ['too large', Buffer.from('0640000100000000', 'hex'), /out of range/],
      ['too large for Metadata', Buffer.from('010000010003000c', 'hex'), /out of range/],
      ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n\r\n'), /HTTP/],
      ['a POST', Buffer.from('POST /x HTTP/1.1\r\n\r\n'), /HTTP/],
      ['a TLS hello', Buffer.from('160301020001000001fc0303', 'hex'), /TLS/],
      ['too short for a header', Buffer.from('00000003001200', 'hex'), /malformed/],
      [
        'a client id beyond the end',
        Buffer.from('0000000a001200000000000100ff', 'hex'),
        /malformed/,
      ],
    ]
    for (const [name, bytes, message] of badSizes) {
      for (const pieceBytes of [1, 3, 100]) {
        it(`${name}, in pieces of ${pieceBytes}: one line, and the connection is closed`, () => {
          client.connection.send(bytes, pieceBytes)
          assert.equal(client.connection.isDestroyed, true)
          assert.equal(fixture.logger.lines.length, 1)
          assert.match(lastLine()!.message, message)
          client.connection.finish()
          assert.equal(fixture.server.probe.closedBy('malformed'), 1)
          const other = fixture.client()
          other.connection.send(whole())
          fixture.clock.endTurn()
          assert.deepEqual(other.correlationIds(), [9])
        })
      }
    }

    it('takes requests up to the limit', async () => {
      await prepare({ requestBytesMax: 1000 })
      const limit = whole('x'.repeat(1000 - (whole('').length - 4)))
      assert.equal(limit.readInt32BE(0), 1000)
      client.connection.send(limit)
      assert.equal(client.connection.isDestroyed, false)
      assert.equal(ask.calls.length, 1)
      client.connection.finish()
      client = fixture.client()
      client.connection.send(whole('x'.repeat(1001 - (whole('').length - 4))))
      assert.equal(client.connection.isDestroyed, true)
    })

    it('takes large requests with records only', async () => {
      await prepare({ otherRequestBytesMax: 1000 })
      const head = Buffer.from('000003e900000009', 'hex')
      client.connection.send(head)
      assert.equal(client.connection.isDestroyed, false)
      for (const pieceBytes of [1, 5, 8]) {
        client = fixture.client()
        const other = Buffer.from('000003e900010009', 'hex')
        client.connection.send(other, pieceBytes)
        assert.equal(client.connection.isDestroyed, true)
        assert.deepEqual(lastLine()!.fields?.['maxBytes'], 1000)
      }
    })
  })

  describe('versions', () => {
    it('answers an unknown version of ApiVersions in version 0, with error 35', () => {
      for (const version of [5, 99, -1]) {
        const bytes = frame(apiVersions, 4, 7, { clientSoftwareName: 'x' })
        bytes.writeInt16BE(version, 6)
        client.connection.send(bytes)
        fixture.clock.endTurn()
        const { correlationId, body } = client.answer(apiVersions, 0)
        assert.equal(correlationId, 7)
        const { errorCode, apiKeys } = body as { errorCode: number; apiKeys: unknown }
        assert.equal(errorCode, 35)
        assert.deepEqual(apiKeys, [{ apiKey: 18, minVersion: 0, maxVersion: 4 }])
      }
    })

    it('closes on other unknown versions and keys', () => {
      const unknown: [number, number][] = [
        [12, 2],
        [0, 2],
        [0, 14],
        [1, 3],
        [1, 19],
        [4, 0],
        [999, 0],
        [-1, 0],
      ]
      for (const [apiKey, version] of unknown) {
        client = fixture.client()
        const bytes = whole()
        bytes.writeInt16BE(apiKey, 4)
        bytes.writeInt16BE(version, 6)
        client.connection.send(bytes)
        assert.equal(client.connection.isDestroyed, true, `${apiKey} v${version}`)
        assert.match(lastLine()!.message, /not served/)
        client.connection.finish()
      }
      assert.equal(fixture.server.probe.closedBy('unsupported'), unknown.length)
    })
  })

  describe('order', () => {
    it('answers hot requests in order, whichever is done first', () => {
      client.send(produce, 9, produceRequest(-1))
      client.send(fetch, 4, fetchRequest(5000, 1))
      client.send(produce, 9, produceRequest(1))
      const [first] = partition().replicated.splice(0)
      const [third] = partition().written.splice(0)
      third!.waiter.onAck(third!.slot, 0)
      fixture.clock.endTurn()
      assert.equal(client.connection.writes, 0)
      first!.waiter.onAck(first!.slot, 0)
      fixture.clock.endTurn()
      assert.deepEqual(client.correlationIds(), [0])
      partition().commit()
      fixture.clock.endTurn()
      assert.deepEqual(client.correlationIds(), [1, 2])
      assert.equal(client.connection.writes, 2)
    })

    it('begins nothing behind a slow request until that is done', async () => {
      client.send(ask.api, 1, { name: 'first' })
      client.send(produce, 9, produceRequest(0))
      client.send(ask.api, 0, { name: 'second' })
      assert.equal(partition().batches.length, 0)
      assert.equal(ask.calls.length, 1)
      assert.equal(client.connection.isPaused, true)
      ask.calls[0]!.resolve()
      await settle()
      fixture.clock.endTurn()
      assert.equal(partition().batches.length, 1)
      assert.equal(ask.calls.length, 2)
      assert.equal(client.connection.isPaused, false)
      ask.calls[1]!.resolve()
      await settle()
      fixture.clock.endTurn()
      assert.deepEqual(client.correlationIds(), [0, 2])
    })

    it('begins a slow request while hot ones wait', () => {
      client.send(fetch, 4, fetchRequest(5000))
      client.send(ask.api, 0, { name: 'now' })
      client.send(ask.api, 0, { name: 'later' })
      assert.equal(ask.calls.length, 1)
      assert.equal(client.connection.writes, 0)
      fixture.clock.advance(5010)
      assert.deepEqual(client.correlationIds(), [0, 1])
    })

    it('keeps the order of answers under any order of completion', async () => {
      const kind = fc.constantFrom('slow', 'now', 'replicated', 'written', 'fetch')
      await fc.assert(
        fc.asyncProperty(
          fc.array(kind, { minLength: 1, maxLength: 30 }),
          fc.infiniteStream(fc.nat(1000)),
          async (kinds, choices) => {
            await prepare()
            let sent = 0
            const received: number[] = []
            for (let round = 0; round < 400 && received.length < kinds.length; round++) {
              const choice = choices.next().value!
              if (choice % 3 === 0 && sent < kinds.length) {
                const each = kinds[sent++]
                if (each === 'slow') client.send(ask.api, 0, { name: 'slow' }, choice % 2 === 0)
                if (each === 'now') client.send(ask.api, 0, { name: 'now' }, choice % 2 === 0)
                if (each === 'replicated') client.send(produce, 9, produceRequest(-1))
                if (each === 'written') client.send(produce, 9, produceRequest(1))
                if (each === 'fetch') client.send(fetch, 4, fetchRequest(700, choice % 4))
              } else if (choice % 3 === 1) {
                const waiting = [...partition().replicated, ...partition().written]
                const picked = waiting[choice % Math.max(1, waiting.length)]
                if (picked !== undefined) {
                  for (const list of [partition().replicated, partition().written]) {
                    const at = list.indexOf(picked)
                    if (at !== -1) list.splice(at, 1)
                  }
                  picked.waiter.onAck(picked.slot, 0)
                }
              } else if (choice % 2 === 0) ask.calls.shift()?.resolve()
              else fixture.clock.advance(choice)
              await settle()
              fixture.clock.endTurn()
              received.push(...client.correlationIds())
            }
            assert.deepEqual(
              received,
              received.map((_, i) => i),
            )
            // All is answered in the end, when there was time to send all.
            if (sent < kinds.length) return
            for (let i = 0; i < 40; i++) {
              ask.calls.shift()?.resolve()
              await settle()
              partition().commit()
              fixture.clock.advance(1000)
            }
            received.push(...client.correlationIds())
            assert.equal(received.length, kinds.length)
            assert.equal(fixture.server.probe.inFlight, 0)
          },
        ),
        { numRuns: 60 },
      )
    })
  })

  describe('limits', () => {
    it('stops reading while too many requests are unanswered', async () => {
      await prepare({ unansweredMax: 3 })
      for (let i = 0; i < 5; i++) client.send(produce, 9, produceRequest(-1))
      assert.equal(partition().batches.length, 3)
      assert.equal(client.connection.isPaused, true)
      partition().commit()
      fixture.clock.endTurn()
      assert.equal(partition().batches.length, 5)
      assert.equal(client.connection.isPaused, false)
      partition().commit()
      fixture.clock.endTurn()
      assert.deepEqual(client.correlationIds(), [0, 1, 2, 3, 4])
    })

    it('stops reading a client that does not read, and goes on when it does', async () => {
      await prepare({ waitingAnswerBytesMax: 5000 })
      for (let i = 0; i < 8; i++) partition().store(batchOf(1, 2000))
      partition().commit()
      client.connection.isReading = false
      for (let i = 0; i < 4; i++) client.send(fetch, 4, fetchRequest(0))
      assert.equal(client.connection.isPaused, true)
      assert.ok(client.connection.queuedBytes() < 20000)
      client.connection.isReading = true
      client.connection.take()
      client.connection.handler!.onDrain()
      fixture.clock.endTurn()
      assert.deepEqual(client.correlationIds(), [0, 1, 2, 3])
      assert.equal(client.connection.isPaused, false)
    })

    it('closes a client that sends and never reads', async () => {
      await prepare({ stallMs: 10_000 })
      const { memory } = fixture.server
      const before = memory.usedBytes
      client.connection.isReading = false
      client.send(ask.api, 0, { name: 'now' })
      client.send(ask.api, 0, { name: 'now' })
      fixture.clock.advance(9000)
      client.connection.take(1) // one of the two
      fixture.clock.advance(9000)
      assert.equal(client.connection.isDestroyed, false)
      fixture.clock.advance(6000)
      assert.equal(client.connection.isDestroyed, true)
      client.connection.finish()
      fixture.clock.endTurn()
      assert.equal(memory.usedBytes, before)
      assert.equal(fixture.server.probe.closedBy('stalled'), 1)
    })

    it('keeps answers until they have left', () => {
      client.connection.isReading = false
      const { memory } = fixture.server
      for (let i = 0; i < 8; i++) partition().store(batchOf(1, 2000))
      partition().commit()
      const before = memory.usedBytes
      client.send(fetch, 4, fetchRequest(0))
      assert.ok(memory.usedBytes > before)
      // The same buffer would be lent (and poisoned) if it had been given back.
      const other = fixture.client()
      other.send(fetch, 4, fetchRequest(0))
      client.connection.take()
      const [mine] = client.connection.answers()
      const [theirs] = other.connection.answers()
      assert.deepEqual(mine!.subarray(4), theirs!.subarray(4))
      client.connection.handler!.onDrain()
      assert.equal(memory.usedBytes, before)
    })

    it('closes a client that stops inside a request', async () => {
      await prepare({ stallMs: 10_000 })
      client.connection.send(whole().subarray(0, 9))
      fixture.clock.advance(20_000)
      assert.equal(client.connection.isDestroyed, true)
    })

    it('closes idle connections, but not one that waits for an answer', async () => {
      await prepare({ idleMs: 1000 })
      const waiting = fixture.client()
      waiting.send(ask.api, 0, { name: 'long' })
      client.send(ask.api, 0, { name: 'now' })
      fixture.clock.advance(900)
      assert.equal(client.connection.isDestroyed, false)
      fixture.clock.advance(500)
      assert.equal(client.connection.isDestroyed, true)
      assert.equal(waiting.connection.isDestroyed, false)
      client.connection.finish()
      assert.equal(fixture.server.probe.closedBy('idle'), 1)
    })

    it('refuses connections beyond the limits', async () => {
      await prepare({ connectionsMax: 4, connectionsPerAddressMax: 2 })
      const [b, c, d, e, f] = ['127.0.0.1', '127.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.3'].map(
        (address) => fixture.client(address).connection,
      )
      assert.deepEqual(
        [b, c, d, e, f].map((each) => each!.isDestroyed),
        [false, true, false, false, true],
      )
      b!.finish()
      assert.equal(fixture.client('127.0.0.1').connection.isDestroyed, false)
      assert.equal(fixture.server.probe.closedBy('limit'), 2)
    })

    it('lets one at a time gather a request when memory is short', async () => {
      await prepare({ memoryBytes: 100_000 })
      const big = frame(produce, 9, 1, {
        ...produceRequest(0),
        topicData: [
          { name: 'orders', partitionData: [{ index: 0, records: batchOf(1, 150_000) }] },
        ],
      })
      const clients = [client, fixture.client(), fixture.client()]
      const sent = clients.map(() => 0)
      for (let round = 0; round < 100; round++) {
        clients.forEach(({ connection }, i) => {
          if (connection.isPaused || sent[i]! >= big.length) return
          connection.send(big.subarray(sent[i], sent[i]! + 20_000))
          sent[i]! += 20_000
        })
        assert.ok(fixture.server.memory.usedBytes < 600_000)
        fixture.clock.endTurn()
      }
      assert.equal(partition().batches.length, 3)
    })

    it('5,000 idle connections own no buffers and little memory', () => {
      const { memory } = fixture.server
      const before = memory.usedBytes
      const clients = Array.from({ length: 5000 }, () => fixture.client())
      for (const each of clients) each.send(ask.api, 0, { name: 'now' })
      assert.equal(memory.usedBytes, before)
      assert.equal(fixture.server.connectionCount, 5001)
      assert.ok(fixture.clock.timerCount <= 2)
      for (const each of clients) each.connection.finish()
      assert.equal(fixture.server.connectionCount, 1)
    })
  })

  describe('faults', () => {
    it('closes when a handler throws, and says so', async () => {
      client.send(ask.api, 0, { name: 'throw' })
      assert.equal(client.connection.isDestroyed, true)
      assert.match(lastLine()!.message, /could not be handled/)
      client = fixture.client()
      client.send(ask.api, 0, { name: 'fail' })
      ask.calls[0]!.reject(new Error('another fault'))
      await settle()
      assert.equal(client.connection.isDestroyed, true)
    })

    it('answers when a handler can have no answer from elsewhere', async () => {
      client.send(ask.api, 1, { name: 'forwarded' })
      ask.calls[0]!.reject(new Unavailable(7, 'nobody leads'))
      await settle()
      fixture.clock.endTurn()
      const { body } = client.answer(ask.api, 1)
      assert.deepEqual(body, { errorCode: 7, name: 'nobody leads' })
      assert.equal(client.connection.isDestroyed, false)
      assert.equal(fixture.logger.lines.length, 0)
    })

    it('forgets a handler whose connection has gone', async () => {
      const before = fixture.server.memory.usedBytes
      client.send(ask.api, 0, { name: 'late' })
      client.connection.finish(new Error('reset'))
      ask.calls[0]!.resolve()
      await settle()
      fixture.clock.endTurn()
      assert.equal(client.connection.writes, 0)
      assert.equal(fixture.server.memory.usedBytes, before)
      assert.equal(fixture.server.probe.inFlight, 0)
      assert.equal(fixture.server.probe.closedBy('broken'), 1)
    })

    it('wrong UTF-8, counts beyond the end and a million tagged fields', () => {
      const cases: [string, Buffer][] = []
      const name = frame(ask.api, 0, 1, { name: 'abc' })
      name[name.length - 1] = 0xff
      cases.push(['UTF-8', name])
      const topics = frame(produce, 9, 1, { ...produceRequest(1), topicData: [] })
      topics[topics.length - 2] = 0x7f
      cases.push(['count', topics])
      const tags = Buffer.concat([
        frame(ask.api, 1, 1, { name: 'abc' }).subarray(0, -1),
        Buffer.from('c0843d', 'hex'),
        ...Array.from({ length: 1000 }, (_, i) =>
          i < 128 ? Buffer.of(i, 0) : Buffer.of((i & 0x7f) | 0x80, i >> 7, 0),
        ),
      ])
      tags.writeInt32BE(tags.length - 4, 0)
      cases.push(['tags', tags])
      for (const [what, bytes] of cases) {
        client = fixture.client()
        client.connection.send(bytes)
        assert.equal(client.connection.isDestroyed, true, what)
        assert.match(lastLine()!.message, /malformed/)
      }
    })
  })

  describe('clients at the wrong node', () => {
    it('are told so at once, and a line in ten seconds says who', () => {
      fixture.data.topic('orders')!.partitions[0] = undefined
      client.send(fetch, 12, fetchRequest(0))
      client.send(fetch, 12, fetchRequest(0))
      const lines = fixture.logger.lines.filter(({ message }) => /does not lead/.test(message))
      assert.equal(lines.length, 1)
      const { remote } = client.connection
      const fields = { remote, apiKey: 1, error: 'NOT_LEADER_OR_FOLLOWER', leftOut: 0 }
      assert.deepEqual(lines[0], { level: 'info', message: lines[0]!.message, fields })
      assert.equal(fixture.server.probe.apis[1]!.errors.get(6), 2)
    })
  })

  describe('counters', () => {
    it('counts requests, errors, sizes, connections and client software', () => {
      const { probe } = fixture.server
      const version = { clientSoftwareName: 'odradek-test', clientSoftwareVersion: '1.2' }
      client.send(apiVersions, 3, version)
      client.send(fetch, 4, { ...fetchRequest(0), topics: [{ topic: 'x', partitions: [] }] })
      client.send(fetch, 4, fetchRequest(0, 5))
      assert.equal(probe.apis[1]!.succeeded, 1)
      assert.equal(probe.apis[1]!.failed, 1)
      assert.equal(probe.apis[1]!.errors.get(1), 1)
      assert.equal(probe.apis[1]!.requestBytes.sum > 50, true)
      assert.equal(probe.softwareConnections.get('odradek-test 1.2'), 1)
      assert.equal(probe.openConnections.get('PLAINTEXT'), 1)
      client.connection.finish()
      assert.equal(probe.softwareConnections.size, 0)
      assert.equal(probe.openConnections.get('PLAINTEXT'), 0)
      assert.equal(probe.closedBy('client'), 1)
    })
  })

  describe('stop', () => {
    it('lets answers leave, waits for no data, and ends every connection', async () => {
      const idle = fixture.client()
      client.send(fetch, 4, fetchRequest(60_000))
      const slow = fixture.client()
      slow.send(ask.api, 0, { name: 'slow' })
      const closed = fixture.server.close()
      await settle()
      fixture.clock.endTurn()
      assert.equal(fixture.network.isListening, false)
      assert.deepEqual(client.correlationIds(), [0])
      assert.equal(client.connection.isEnded, true)
      assert.equal(idle.connection.isEnded, true)
      assert.equal(slow.connection.isEnded, false)
      ask.calls[0]!.resolve()
      await settle()
      fixture.clock.endTurn()
      assert.deepEqual(slow.correlationIds(), [0])
      for (const each of [idle, client, slow]) each.connection.finish()
      await closed
      assert.equal(fixture.server.memory.usedBytes, 0)
      assert.equal(fixture.clock.timerCount, 0)
    })

    it('ends what does not end by itself', async () => {
      client.send(ask.api, 0, { name: 'never' })
      const closed = fixture.server.close()
      await settle()
      fixture.clock.advance(5001)
      assert.equal(client.connection.isDestroyed, true)
      client.connection.finish()
      await closed
      assert.equal(fixture.clock.timerCount, 0)
    })
  })
})
