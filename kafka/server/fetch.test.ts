import assert from 'node:assert/strict'
import { fetch as api } from '../api/01-fetch.ts'
import type { Api } from '../api/define.ts'
import { batchOf, type Client, Fixture, topicId } from './testing/fixture.ts'

// biome-ignore lint/suspicious/noExplicitAny: decoded answers are looked at field by field
type Json = any

const fetch = api as unknown as Api
const VERSIONS = Array.from({ length: 15 }, (_, i) => i + 4)

interface Ask {
  topic?: string
  id?: string
  index?: number
  offset?: number
  maxBytes?: number
  leaderEpoch?: number
  lastFetchedEpoch?: number
}

interface Rest {
  maxWaitMs?: number
  minBytes?: number
  maxBytes?: number
  isolationLevel?: number
  sessionId?: number
  sessionEpoch?: number
  replicaId?: number
  forgotten?: { topic: string; partitions: number[] }[]
}

function requestOf(version: number, asks: Ask[], rest: Rest = {}) {
  const { maxWaitMs = 0, minBytes = 1, maxBytes = 1e7, isolationLevel = 0 } = rest
  return {
    ...(version <= 14 ? { replicaId: rest.replicaId ?? -1 } : {}),
    ...(version >= 15 && rest.replicaId !== undefined
      ? { replicaState: { replicaId: rest.replicaId, replicaEpoch: 1 } }
      : {}),
    maxWaitMs,
    minBytes,
    maxBytes,
    isolationLevel,
    ...(version >= 7
      ? { sessionId: rest.sessionId ?? 0, sessionEpoch: rest.sessionEpoch ?? -1 }
      : {}),
    topics: asks.map((ask) => ({
      ...(version >= 13 ? { topicId: ask.id ?? topicId(1) } : { topic: ask.topic ?? 'orders' }),
      partitions: [
        {
          partition: ask.index ?? 0,
          ...(version >= 9 ? { currentLeaderEpoch: ask.leaderEpoch ?? -1 } : {}),
          fetchOffset: ask.offset ?? 0,
          ...(version >= 12 ? { lastFetchedEpoch: ask.lastFetchedEpoch ?? -1 } : {}),
          ...(version >= 5 ? { logStartOffset: -1 } : {}),
          partitionMaxBytes: ask.maxBytes ?? 1e6,
        },
      ],
    })),
    ...(version >= 7
      ? {
          forgottenTopicsData: (rest.forgotten ?? []).map(({ topic, partitions }) =>
            version >= 13 ? { topicId: topic, partitions } : { topic, partitions },
          ),
        }
      : {}),
    ...(version >= 11 ? { rackId: '' } : {}),
  }
}

describe('kafka/server/fetch', () => {
  let fixture: Fixture
  let client: Client

  beforeEach(async () => {
    fixture = new Fixture()
    fixture.data.add('orders', 3)
    await fixture.start()
    client = fixture.client()
  })

  const partition = (index = 0) => fixture.data.topic('orders')!.partitions[index]!
  const fill = (index: number, ...batches: Buffer[]) => {
    for (const batch of batches) partition(index).store(batch)
    partition(index).commit()
    fixture.clock.endTurn()
  }
  const fetched = (version: number, asks: Ask[], rest?: Rest): Json =>
    client.fetch(version, requestOf(version, asks, rest))
  const partsOf = (body: Json): Json[] => body.responses.flatMap((topic: Json) => topic.partitions)
  const errorsOf = (body: Json): number[] => partsOf(body).map((each) => each.errorCode)

  for (const version of VERSIONS) {
    it(`v${version}: records byte for byte, with the offsets of the partition`, () => {
      fill(0, batchOf(3), batchOf(2))
      partition().store(batchOf(1)) // not committed
      const body = fetched(version, [{}, { index: 1 }])
      const [first, second] = partsOf(body)
      assert.equal(first.errorCode, 0)
      assert.equal(first.highWatermark, 5)
      assert.equal(first.lastStableOffset, 5)
      assert.equal(first.abortedTransactions, null)
      assert.deepEqual(first.records, Buffer.concat(partition().batches.slice(0, 2)))
      assert.equal(second.records.length, 0)
      assert.equal(partition().recordsOut, 5)
      assert.equal(partition().bytesOut, first.records.length)
    })

    it(`v${version}: an error for each partition that can't be read`, () => {
      fill(0, batchOf(3))
      const body = fetched(version, [
        { offset: 4 },
        { topic: 'nowhere', id: topicId(99) },
        { index: 3 },
        { index: -1 },
        { offset: Number.MAX_SAFE_INTEGER },
        {},
      ])
      assert.deepEqual(errorsOf(body), [1, version >= 13 ? 100 : 3, 3, 3, 1, 0])
      const [outside] = partsOf(body)
      assert.deepEqual(
        [outside.highWatermark, outside.lastStableOffset, outside.records.length],
        [-1, -1, 0],
      )
    })

    it(`v${version}: aborted transactions of the records in the answer`, () => {
      fill(0, batchOf(3), batchOf(2), batchOf(4))
      const { batches, aborted } = partition()
      aborted.push({ producerId: 7, firstOffset: 1, lastOffset: 2 })
      aborted.push({ producerId: 8, firstOffset: 3, lastOffset: 4 })
      aborted.push({ producerId: 9, firstOffset: 6, lastOffset: 8 })
      partition().firstUnstableOffset = 5
      const [part] = partsOf(fetched(version, [{}], { isolationLevel: 1 }))
      assert.equal(part.lastStableOffset, 5)
      assert.equal(part.highWatermark, 9)
      assert.deepEqual(part.records, Buffer.concat(batches.slice(0, 2)))
      assert.deepEqual(part.abortedTransactions, [
        { producerId: 7, firstOffset: 1 },
        { producerId: 8, firstOffset: 3 },
      ])
      const [none] = partsOf(fetched(version, [{ offset: 5 }], { isolationLevel: 1 }))
      assert.deepEqual(none.abortedTransactions, [])
    })

    it(`v${version}: strangers that say they are replicas get nothing`, () => {
      fill(0, batchOf(3))
      assert.deepEqual(errorsOf(fetched(version, [{}, {}], { replicaId: 1 })), [29, 29])
      assert.deepEqual(errorsOf(fetched(version, [{}], { replicaId: -2 })), [0])
    })
  }

  it('returns the whole batch to a fetch from its middle', () => {
    fill(0, batchOf(3), batchOf(5))
    const [part] = partsOf(fetched(12, [{ offset: 6 }]))
    assert.deepEqual(part.records, partition().batches[1])
  })

  it('returns the first batch even if it is larger than the limits, and no second one', () => {
    fill(0, batchOf(1, 5000), batchOf(1))
    fill(1, batchOf(1, 3000))
    const body = fetched(11, [{ maxBytes: 10 }, { index: 1, maxBytes: 10 }], { maxBytes: 20 })
    const [first, second] = partsOf(body)
    assert.deepEqual(first.records, partition().batches[0])
    assert.equal(second.records.length, 0)
  })

  it('fills an answer up to its limit, partition by partition', () => {
    const batches = Array.from({ length: 10 }, () => batchOf(1, 900))
    const { length } = batches[0]!
    fill(0, ...batches.map((batch) => Buffer.from(batch)))
    fill(1, ...batches.map((batch) => Buffer.from(batch)))
    const body = fetched(13, [{}, { index: 1 }], { maxBytes: 13 * length + 5 })
    assert.deepEqual(
      partsOf(body).map((part) => part.records.length / length),
      [10, 3],
    )
  })

  it('waits for data, and answers at the end of the turn in which it comes', () => {
    client.send(fetch, 12, requestOf(12, [{}, { index: 1 }], { maxWaitMs: 500 }))
    assert.equal(fixture.server.probe.waitingFetches, 1)
    assert.equal(partition().readers.size, 1)
    fixture.clock.advance(200)
    assert.equal(client.connection.writes, 0)
    fill(1, batchOf(2))
    assert.equal(partsOf(client.fetched(12))[1].highWatermark, 2)
    assert.equal(partition().readers.size, 0)
    assert.equal(partition(1).readers.size, 0)
    assert.equal(fixture.server.probe.waitingFetches, 0)
    fixture.clock.advance(1000)
    assert.equal(client.connection.writes, 1)
  })

  it('waits until there are the bytes that it wants, or the time is up', () => {
    const batch = batchOf(1, 100)
    const rest = { maxWaitMs: 500, minBytes: batch.length + 1 }
    client.send(fetch, 12, requestOf(12, [{}], rest))
    fill(0, Buffer.from(batch))
    assert.equal(client.connection.writes, 0)
    fill(0, Buffer.from(batch))
    assert.equal(partsOf(client.fetched(12))[0].records.length, 2 * batch.length)

    client.send(fetch, 12, requestOf(12, [{ offset: 1 }], rest))
    fixture.clock.advance(495)
    assert.equal(client.connection.writes, 1)
    fixture.clock.advance(10)
    assert.equal(partsOf(client.fetched(12))[0].records.length, batch.length)
  })

  it('stops waiting when leadership changes', () => {
    client.send(fetch, 16, requestOf(16, [{}], { maxWaitMs: 500 }))
    partition().readerError = 6
    for (const reader of [...partition().readers]) reader.onData()
    fixture.clock.endTurn()
    const body: Json = client.fetched(16)
    assert.deepEqual(errorsOf(body), [6])
    assert.deepEqual(partsOf(body)[0].currentLeader, { leaderId: 2, leaderEpoch: 9 })
  })

  it('says who leads since v16 (KIP-951)', () => {
    fixture.data.endpoints.set(2, { nodeId: 2, host: 'node-two', port: 9093, rack: null })
    fixture.data.topic('orders')!.partitions[1] = undefined
    for (const version of [12, 15, 16, 18]) {
      const body = fetched(version, [{ index: 1 }, { leaderEpoch: 4 }, { leaderEpoch: 6 }])
      assert.deepEqual(errorsOf(body), [6, 74, 75])
      assert.deepEqual(
        body.nodeEndpoints,
        version < 16 ? [] : [{ nodeId: 2, host: 'node-two', port: 9093, rack: null }],
      )
      const hint =
        version < 16 ? { leaderId: -1, leaderEpoch: -1 } : { leaderId: 2, leaderEpoch: 9 }
      assert.deepEqual(partsOf(body)[1].currentLeader, hint)
    }
  })

  it('tells where the log parted from what the client has read (KIP-320)', () => {
    fill(0, batchOf(10))
    partition().epochEnds.set(5, { epoch: 5, endOffset: 10 })
    partition().epochEnds.set(3, { epoch: 2, endOffset: 6 })
    partition().epochEnds.set(2, { epoch: 2, endOffset: 6 })
    const part = (lastFetchedEpoch: number, offset: number) =>
      partsOf(fetched(12, [{ lastFetchedEpoch, offset }], { maxWaitMs: 1000 }))[0]
    assert.deepEqual(part(5, 3).divergingEpoch, { epoch: -1, endOffset: -1 })
    assert.deepEqual(part(3, 4).divergingEpoch, { epoch: 2, endOffset: 6 })
    assert.deepEqual(part(2, 7).divergingEpoch, { epoch: 2, endOffset: 6 })
    assert.equal(part(2, 7).records.length, 0)
    assert.equal(part(1, 4).errorCode, 1)
  })

  it('gives zstd only to those who know it', () => {
    const batch = batchOf(1)
    batch[22] = 4
    fill(0, batch)
    fill(1, batchOf(1))
    assert.deepEqual(errorsOf(fetched(9, [{}, { index: 1 }])), [76, 0])
    assert.deepEqual(errorsOf(fetched(10, [{}, { index: 1 }])), [0, 0])
  })

  it('keeps damage to its own partition', () => {
    fill(0, batchOf(1))
    fill(1, batchOf(1))
    partition().isDamaged = true
    const body = fetched(12, [{}, { index: 1 }])
    assert.deepEqual(errorsOf(body), [56, 0])
    assert.equal(partsOf(body)[0].highWatermark, -1)
    assert.equal(partition().corruptions.length, 1)
  })

  it('reads what is cold without holding up others', async () => {
    fill(0, batchOf(1, 2000))
    fill(1, batchOf(2))
    partition().isCold = true
    client.send(fetch, 12, requestOf(12, [{}, { index: 1 }]))
    assert.equal(client.connection.writes, 0)
    partition().finishReads()
    await new Promise(setImmediate)
    fixture.clock.endTurn()
    const parts = partsOf(client.fetched(12))
    assert.deepEqual(parts[0].records, partition().batches[0])
    assert.deepEqual(parts[1].records, partition(1).batches[0])
  })

  it('looks again after a cold read: the leader may have gone', async () => {
    fill(0, batchOf(1, 2000))
    partition().isCold = true
    client.send(fetch, 12, requestOf(12, [{}]))
    partition().readerError = 6
    partition().finishReads()
    await new Promise(setImmediate)
    fixture.clock.endTurn()
    assert.deepEqual(errorsOf(client.fetched(12)), [6])
  })

  it('gives its memory back when the connection goes in a cold read', async () => {
    fill(0, batchOf(1, 2000))
    partition().isCold = true
    const before = fixture.server.memory.usedBytes
    client.send(fetch, 12, requestOf(12, [{}]))
    client.connection.finish()
    assert.ok(fixture.server.memory.usedBytes > before)
    partition().finishReads()
    await new Promise(setImmediate)
    assert.equal(fixture.server.memory.usedBytes, before)
    assert.equal(fixture.server.probe.inFlight, 0)
  })

  it('makes smaller answers when memory is short, and waits when there is none', async () => {
    fixture = new Fixture({ memoryBytes: 512 * 1024 })
    fixture.data.add('orders', 3)
    await fixture.start()
    client = fixture.client()
    fill(0, ...Array.from({ length: 40 }, () => batchOf(1, 20000)))
    const { memory } = fixture.server
    const [part] = partsOf(fetched(12, [{}]))
    assert.ok(part.records.length > 60000 && part.records.length < 400000)
    memory.take(400 * 1024)
    client.send(fetch, 12, requestOf(12, [{}]))
    assert.equal(client.connection.writes, 1)
    memory.release(400 * 1024)
    fixture.clock.endTurn()
    assert.ok(partsOf(client.fetched(12))[0].records.length > 60000)
  })

  it('holds few requests of a client that asks for many partitions again and again', async () => {
    fixture = new Fixture({ waitingAnswerBytesMax: 5000 })
    fixture.data.add('orders', 3)
    await fixture.start()
    client = fixture.client()
    const asks = Array.from({ length: 10 }, () => ({}))
    const send = () => client.send(fetch, 12, requestOf(12, asks, { maxWaitMs: 60_000 }))
    for (let i = 0; i < 5; i++) send()
    // The third waits outside: two may take 2 x 10 x 256 bytes.
    assert.equal(fixture.server.probe.inFlight, 2)
    assert.equal(client.connection.isPaused, true)
    fill(0, batchOf(1))
    fixture.clock.endTurn()
    assert.deepEqual(client.correlationIds(), [0, 1, 2, 3, 4])
    assert.equal(fixture.server.probe.inFlight, 0)
    assert.equal(client.connection.isPaused, false)
  })

  it('closes on an isolation level that does not exist, and on cuts anywhere', () => {
    client.send(fetch, 12, requestOf(12, [{}], { isolationLevel: 2 }))
    assert.equal(client.connection.isDestroyed, true)
    assert.equal(fixture.server.probe.inFlight, 0)
  })
})
