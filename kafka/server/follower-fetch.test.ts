/** KIP-392: who is served by a follower, who is sent to one, and who back to the leader. */
import assert from 'node:assert/strict'
import { fetch } from '../api/01-fetch.ts'
import type { Api } from '../api/define.ts'
import { batchOf, type Client, Fixture, topicId } from './testing/fixture.ts'

const fetchApi = fetch as unknown as Api

interface Ask {
  rack?: string
  offset?: number
  maxWaitMs?: number
  leaderEpoch?: number
  lastFetchedEpoch?: number
  session?: { sessionId: number; sessionEpoch: number }
}

function requestOf(version: number, ask: Ask) {
  const { rack = '', offset = 0, maxWaitMs = 0, leaderEpoch = -1, lastFetchedEpoch = -1 } = ask
  return {
    maxWaitMs,
    minBytes: 1,
    maxBytes: 1e7,
    isolationLevel: 0,
    ...(version <= 14 ? { replicaId: -1 } : {}),
    ...(version >= 7 ? (ask.session ?? { sessionId: 0, sessionEpoch: -1 }) : {}),
    topics: [
      {
        ...(version >= 13 ? { topicId: topicId(1) } : { topic: 'orders' }),
        partitions: [
          {
            partition: 0,
            ...(version >= 9 ? { currentLeaderEpoch: leaderEpoch } : {}),
            ...(version >= 12 ? { lastFetchedEpoch } : {}),
            fetchOffset: offset,
            ...(version >= 5 ? { logStartOffset: -1 } : {}),
            partitionMaxBytes: 1e6,
          },
        ],
      },
    ],
    ...(version >= 7 ? { forgottenTopicsData: [] } : {}),
    ...(version >= 11 ? { rackId: rack } : {}),
  }
}

describe('kafka/server: reads from followers', () => {
  let fixture: Fixture
  let client: Client

  beforeEach(async () => {
    fixture = new Fixture()
    fixture.data.add('orders', 1)
    await fixture.start()
    client = fixture.client()
    for (const nodeId of [1, 2, 3]) {
      fixture.data.endpoints.set(nodeId, { nodeId, host: `node-${nodeId}`, port: 9, rack: null })
    }
  })

  const partition = () => fixture.data.topic('orders')!.partitions[0]!
  const fill = (records: number) => {
    partition().store(batchOf(records))
    partition().commit()
    fixture.clock.endTurn()
  }
  const answered = (version: number) => {
    const body = client.fetched(version)
    return { ...body, ...body.responses[0]!.partitions[0]! }
  }
  const fetched = (version: number, ask: Ask) => {
    const body = client.fetch(version, requestOf(version, ask))
    return { ...body, ...body.responses[0]!.partitions[0]! }
  }

  it('a follower serves readers that say where they are, and no others', () => {
    fill(3)
    partition().isFollower = true
    for (const version of [11, 12, 15, 18]) {
      assert.equal(fetched(version, { rack: 'b' }).errorCode, 0)
      assert.deepEqual(fetched(version, { rack: 'b' }).records, partition().batches[0])
      assert.equal(fetched(version, {}).errorCode, 6)
    }
    for (const version of [4, 10]) assert.equal(fetched(version, {}).errorCode, 6)
    // The others learn where the leader is.
    const refused = fetched(16, {})
    assert.deepEqual(refused.currentLeader, { leaderId: 2, leaderEpoch: 9 })
    assert.equal(refused.nodeEndpoints![0]!.host, 'node-2')
  })

  it('a follower gives what is below its own watermark, and waits for more', () => {
    fill(2)
    partition().isFollower = true
    partition().store(batchOf(1))
    client.send(fetchApi, 15, requestOf(15, { rack: 'b', offset: 2, maxWaitMs: 500 }))
    assert.equal(client.connection.writes, 0)
    partition().commit()
    fixture.clock.endTurn()
    const { highWatermark, records } = answered(15)
    assert.equal(highWatermark, 3)
    assert.deepEqual(records, partition().batches[1])
  })

  it('a follower checks epochs as the leader does', () => {
    fill(2)
    partition().isFollower = true
    assert.equal(fetched(12, { rack: 'b', leaderEpoch: 4 }).errorCode, 74)
    assert.equal(fetched(12, { rack: 'b', leaderEpoch: 6 }).errorCode, 75)
    assert.equal(fetched(12, { rack: 'b', leaderEpoch: 5 }).errorCode, 0)
  })

  it('a follower never says that an offset is out of range: it sends to the leader', () => {
    fill(2)
    partition().logStartOffset = 1
    assert.equal(fetched(12, { rack: 'b', offset: 0 }).errorCode, 1)
    assert.equal(fetched(12, { rack: 'b', offset: 3 }).errorCode, 1)
    assert.equal(fetched(12, { rack: 'b', offset: 1, lastFetchedEpoch: 3 }).errorCode, 1)
    partition().isFollower = true
    assert.equal(fetched(12, { rack: 'b', offset: 0 }).errorCode, 6)
    assert.equal(fetched(12, { rack: 'b', offset: 3 }).errorCode, 6)
    assert.equal(fetched(12, { rack: 'b', offset: 1, lastFetchedEpoch: 3 }).errorCode, 6)
  })

  it('a leader sends a reader to a replica in its rack, at once and without records', () => {
    fill(3)
    partition().nearer.set('b', (offset) => (offset <= 2 ? 3 : -1))
    for (const version of [11, 12, 14, 18]) {
      const sent = fetched(version, { rack: 'b', offset: 1, maxWaitMs: 500 })
      assert.equal(sent.preferredReadReplica, 3)
      assert.equal(sent.errorCode, 0)
      assert.equal(sent.records?.length, 0)
      assert.equal(sent.highWatermark, 3)
      // Nearer, but not with this offset.
      assert.equal(fetched(version, { rack: 'b', offset: 3 }).preferredReadReplica, -1)
      assert.deepEqual(fetched(version, { rack: 'a' }).records, partition().batches[0])
      assert.equal(fetched(version, { rack: 'a' }).preferredReadReplica, -1)
    }
    assert.deepEqual(fetched(10, {}).records, partition().batches[0])
  })

  it('a leader sends nobody to a node without an endpoint on the listener', () => {
    fill(3)
    partition().nearer.set('b', () => 4)
    const kept = fetched(12, { rack: 'b' })
    assert.equal(kept.preferredReadReplica, -1)
    assert.deepEqual(kept.records, partition().batches[0])
  })

  it('a reader with a session is sent away too, although nothing is new', () => {
    fill(3)
    const full = { sessionId: 0, sessionEpoch: 0 }
    const { sessionId = 0 } = fetched(12, { rack: 'b', offset: 3, session: full })
    partition().nearer.set('b', () => 2)
    const session = { sessionId, sessionEpoch: 1 }
    const sent = fetched(12, { rack: 'b', offset: 3, maxWaitMs: 500, session })
    assert.equal(sent.preferredReadReplica, 2)
  })

  it('a leader that became a follower in a cold read does not answer those without a rack', async () => {
    fill(1)
    for (const [rack, error] of [
      ['', 6],
      ['b', 0],
    ] as const) {
      partition().isFollower = false
      partition().isCold = true
      client.send(fetchApi, 12, requestOf(12, { rack }))
      partition().isFollower = true
      partition().finishReads()
      await new Promise(setImmediate)
      fixture.clock.endTurn()
      assert.equal(answered(12).errorCode, error)
    }
  })
})
