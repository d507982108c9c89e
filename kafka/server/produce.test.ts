import assert from 'node:assert/strict'
import { produce as api } from '../api/00-produce.ts'
import type { Api } from '../api/define.ts'
import { batchOf, Fixture, frame } from './testing/fixture.ts'

// biome-ignore lint/suspicious/noExplicitAny: decoded answers are looked at field by field
type Json = any

const produce = api as unknown as Api
const VERSIONS = Array.from({ length: 11 }, (_, i) => i + 3)

interface Ask {
  acks?: number
  topic?: string
  id?: string
  index?: number
  records?: Buffer | null
  transactionalId?: string | null
}

function requestOf(asks: Ask[]) {
  return {
    transactionalId: asks[0]?.transactionalId ?? null,
    acks: asks[0]?.acks ?? 1,
    timeoutMs: 1500,
    topicData: asks.map(({ topic = 'orders', id, index = 0, records = batchOf(2) }) => ({
      name: topic,
      topicId: id,
      partitionData: [{ index, records }],
    })),
  }
}

/** By name below version 13, by id from it on: the fields of the other kind are left out. */
function forVersion(version: number, asks: Ask[], id: string) {
  const request = requestOf(asks)
  return {
    ...request,
    topicData: request.topicData.map((topic) =>
      version >= 13
        ? { topicId: topic.topicId ?? id, partitionData: topic.partitionData }
        : { name: topic.name, partitionData: topic.partitionData },
    ),
  }
}

describe('kafka/server/produce', () => {
  let fixture: Fixture
  let id: string

  beforeEach(async () => {
    fixture = new Fixture()
    id = fixture.data.add('orders', 2).id
    await fixture.start()
  })

  const partition = (index = 0) => fixture.data.topic('orders')!.partitions[index]!

  for (const version of VERSIONS) {
    it(`v${version}: acks=1 is answered when the records are written, with their offsets`, () => {
      const client = fixture.client()
      const batch = batchOf(3)
      partition().logEndOffset = 40
      const request = forVersion(version, [{ records: batch }], id)
      client.send(produce, version, request)
      assert.equal(client.connection.writes, 0)
      partition().commit()
      fixture.clock.endTurn()
      const { body } = client.answer(produce, version) as { body: Json }
      const answer = body.responses[0]
      const [response] = answer.partitionResponses
      assert.equal(version >= 13 ? answer.topicId : answer.name, version >= 13 ? id : 'orders')
      assert.deepEqual(
        [response.index, response.errorCode, response.baseOffset, response.logAppendTimeMs],
        [0, 0, 40, -1],
      )
      assert.equal(response.logStartOffset, version >= 5 ? 0 : -1)
      // Nothing but the base offset differs from what was sent.
      assert.equal(partition().batches[0]!.toString('hex', 8), batch.toString('hex', 8))
      assert.deepEqual(partition().lastOptions, {
        acks: 1,
        allowsZstd: version >= 7,
        nowMs: fixture.clock.nowMs(),
      })
    })

    it(`v${version}: unknown topics and partitions, and refused batches`, () => {
      const client = fixture.client()
      partition(1).refusal = {
        error: 87,
        message: 'One record is bad.',
        recordErrors: [{ batchIndex: 4, message: 'no key' }],
        logStartOffset: 7,
      }
      const other = `${'A'.repeat(21)}Q`
      const asks = [
        { topic: 'nowhere', id: other },
        { index: 2 },
        { index: -1 },
        { index: 1 },
        { records: null },
      ]
      client.send(produce, version, forVersion(version, asks, id))
      const { body } = client.answer(produce, version) as { body: Json }
      const responses = body.responses.map((each: Json) => each.partitionResponses[0])
      assert.deepEqual(
        responses.map((each: Json) => each.errorCode),
        [version >= 13 ? 100 : 3, 3, 3, 87, 87],
      )
      const refused = responses[3]
      assert.equal(refused.baseOffset, -1)
      if (version >= 8) {
        assert.equal(refused.errorMessage, 'One record is bad.')
        assert.deepEqual(refused.recordErrors, [
          { batchIndex: 4, batchIndexErrorMessage: 'no key' },
        ])
        assert.equal(refused.logStartOffset, 7)
      }
      assert.equal(partition().batches.length, 0)
    })
  }

  it('acks=-1 waits for the replicas, until the deadline of the request', () => {
    const client = fixture.client()
    client.send(produce, 9, forVersion(9, [{ acks: -1 }, { acks: -1, index: 1 }], id))
    assert.equal(partition().replicated.length, 1)
    assert.equal(partition().replicated[0]!.deadlineMs, 2500)
    partition().commit()
    fixture.clock.endTurn()
    assert.equal(client.connection.writes, 0, 'the other partition is still out')
    const [late] = partition(1).replicated.splice(0)
    late!.waiter.onAck(late!.slot, 7)
    fixture.clock.endTurn()
    const { body } = client.answer(produce, 9) as { body: Json }
    assert.deepEqual(
      body.responses.map((each: Json) => each.partitionResponses[0].errorCode),
      [0, 7],
    )
    assert.equal(fixture.server.probe.apis[0]!.errors.get(7), 1)
  })

  it('answers a duplicate that is replicated already at once', () => {
    const client = fixture.client()
    partition().highWatermark = 1000
    assert.equal(
      client.produce(9, forVersion(9, [{ acks: -1 }], id)).responses[0]!.partitionResponses[0]!
        .errorCode,
      0,
    )
  })

  it('acks=0 gets no answer; an error ends the connection', () => {
    const client = fixture.client()
    client.send(produce, 9, forVersion(9, [{ acks: 0 }], id))
    assert.equal(partition().batches.length, 1)
    assert.equal(client.connection.writes, 0)
    assert.equal(fixture.server.probe.inFlight, 0)
    assert.equal(client.connection.isDestroyed, false)
    client.send(produce, 9, forVersion(9, [{ acks: 0, topic: 'nowhere' }], id))
    assert.equal(client.connection.isDestroyed, true)
    assert.equal(client.connection.writes, 0)
  })

  it('refuses acks that do not exist, transactional ids and internal topics', () => {
    const client = fixture.client()
    const internal = fixture.data.add('__consumer_offsets', 1)
    internal.isInternal = true
    const errorOf = (ask: Ask) =>
      client.produce(9, forVersion(9, [ask], id)).responses[0]!.partitionResponses[0]!.errorCode
    assert.equal(errorOf({ acks: 2 }), 21)
    assert.equal(errorOf({ acks: -2 }), 21)
    assert.equal(errorOf({ acks: 2, topic: 'nowhere' }), 3)
    assert.equal(errorOf({ transactionalId: 'mine', acks: -1 }), 53)
    assert.equal(errorOf({ topic: '__consumer_offsets' }), 17)
    assert.equal(partition().batches.length, 0)
  })

  it('says who leads since v10 (KIP-951)', () => {
    fixture.data.endpoints.set(2, { nodeId: 2, host: 'node-two', port: 9093, rack: 'süd' })
    fixture.data.topic('orders')!.partitions[1] = undefined
    partition().refusal = { error: 6 }
    const client = fixture.client()
    for (const version of [9, 10, 12, 13]) {
      const answer = client.produce(version, forVersion(version, [{}, { index: 1 }], id))
      for (const { partitionResponses } of answer.responses) {
        assert.equal(partitionResponses[0]!.errorCode, 6)
        assert.deepEqual(
          partitionResponses[0]!.currentLeader,
          version < 10 ? { leaderId: -1, leaderEpoch: -1 } : { leaderId: 2, leaderEpoch: 9 },
        )
      }
      assert.deepEqual(
        answer.nodeEndpoints,
        version < 10 ? [] : [{ nodeId: 2, host: 'node-two', port: 9093, rack: 'süd' }],
      )
    }
  })

  it('appends nothing of a request that is cut or has a wrong length anywhere', () => {
    for (const version of [3, 8, 9, 13]) {
      const whole = frame(produce, version, 1, forVersion(version, [{}, { index: 1 }], id))
      for (let length = 8; length < whole.length - 4; length++) {
        const client = fixture.client()
        const cut = Buffer.from(whole.subarray(0, 4 + length))
        cut.writeInt32BE(length, 0)
        client.connection.send(cut)
        assert.equal(client.connection.isDestroyed, true, `v${version} cut to ${length}`)
        client.connection.finish()
      }
      const client = fixture.client()
      const longer = Buffer.concat([whole, Buffer.of(0)])
      longer.writeInt32BE(longer.length - 4, 0)
      client.connection.send(longer)
      assert.equal(client.connection.isDestroyed, true)
    }
    assert.equal(partition().batches.length, 0)
    assert.equal(partition(1).batches.length, 0)
  })

  it('writes answers that need more than a chunk', () => {
    const client = fixture.client()
    const asks = Array.from({ length: 3000 }, (_, i) => ({ topic: `nowhere-${i}` }))
    const answer = client.produce(11, forVersion(11, asks, id))
    assert.equal(answer.responses.length, 3000)
    assert.equal(answer.responses[2999]!.name, 'nowhere-2999')
  })

  it('lets go of everything when the connection goes before the replicas answer', () => {
    const client = fixture.client()
    const before = fixture.server.memory.usedBytes
    client.send(produce, 9, forVersion(9, [{ acks: -1 }], id))
    client.connection.finish(new Error('reset'))
    assert.equal(fixture.server.probe.inFlight, 0)
    partition().commit()
    fixture.clock.endTurn()
    assert.equal(fixture.server.memory.usedBytes, before)
    assert.equal(client.connection.writes, 0)
  })
})
