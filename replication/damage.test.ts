import assert from 'node:assert/strict'
import { StorageError } from '../base/errors.ts'
import { encodeBatch } from '../log/records.ts'
import { TestCluster, type TestNode, TOPIC, TOPIC_ID } from './testing/cluster.ts'
import { readAll, type Sent, send } from './testing/records.ts'

const LOG = 'data/t-0/00000000000000000000.log'
const BATCH_BYTES = 200

async function acked(cluster: TestCluster, sent: Sent): Promise<number> {
  await cluster.world.runUntil(() => sent.ack !== undefined, 10_000)
  return sent.ack!
}

const values = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => `${from + i} ${'v'.repeat(BATCH_BYTES)}`)

/** Three replicas with the records 0 to 9, one batch each. */
async function start(seed: number): Promise<TestCluster> {
  const cluster = await TestCluster.start({ seed, minInsyncReplicas: 2, lagMaxMs: 300 })
  for (let i = 0; i < 10; i++) {
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, values(i, 1))), 0)
  }
  await cluster.settled()
  return cluster
}

/** Flips a bit in the middle of a record. */
function damage(node: TestNode, record: number): void {
  node.host.disk.flip(LOG, Math.floor((record + 0.5) * (node.host.disk.sizeOf(LOG) / 10)))
}

function checkWhole(cluster: TestCluster, count: number): void {
  for (const node of cluster.nodes) {
    const found = [...readAll(node.partition()).values()]
    assert.deepEqual(found, values(0, count), `node ${node.nodeId}`)
    assert.equal(node.partition().isDamaged, false)
  }
}

describe('replication of damaged logs', () => {
  it('a leader with damage gives up leadership and is mended from a follower', async () => {
    const cluster = await start(1)
    damage(cluster.node(0), 4)
    const leader = cluster.node(0).partition()
    assert.throws(() => readAll(leader), { name: 'CorruptionError' })
    leader.onCorruption(caught(() => readAll(leader)))
    await cluster.world.runUntil(() => cluster.leaderOf()?.leaderEpoch === 1, 1000)
    await cluster.settled()
    checkWhole(cluster, 10)
    assert.equal(cluster.node(0).probe.repairs, 1)
    assert.deepEqual([...cluster.controller.partitions[0]!.isr].sort(), [0, 1, 2])
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, values(10, 1))), 0)
  })

  it('a leader finds damage when a follower needs the records', async () => {
    const cluster = await start(2)
    cluster.node(2).kill()
    cluster.controller.fence(2)
    await cluster.world.runUntil(() => cluster.leaderOf()?.isr.length === 2, 1000)
    // It comes back with nothing, as on a new disk.
    cluster.node(2).host.disk.wipe()
    damage(cluster.node(0), 3)
    await cluster.boot(2)
    await cluster.settled()
    assert.notEqual(cluster.controller.partitions[0]!.leaderId, 0)
    checkWhole(cluster, 10)
  })

  it('a follower leaves the ISR before it drops what is damaged', async () => {
    const cluster = await start(3)
    damage(cluster.node(1), 2)
    const follower = cluster.node(1).partition()
    follower.onCorruption(
      caught(() => readAll(follower)),
      2,
    )
    let lowest = Number.POSITIVE_INFINITY
    await cluster.world.runUntil(() => {
      lowest = Math.min(lowest, follower.logEndOffset)
      const isMember = cluster.leaderOf()!.isInSync(1)
      assert.ok(!isMember || follower.logEndOffset >= 10, 'a member has all that is committed')
      return lowest < 10 && isMember
    }, 5000)
    await cluster.settled()
    assert.equal(lowest, 2)
    checkWhole(cluster, 10)
  })

  it('the one replica that is in sync goes on with what it has', async () => {
    const cluster = await start(4)
    cluster.node(1).kill()
    cluster.node(2).kill()
    cluster.controller.fence(1)
    cluster.controller.fence(2)
    await cluster.run(50)
    damage(cluster.node(0), 4)
    const leader = cluster.leaderOf()!
    leader.onCorruption(caught(() => readAll(leader)))
    await cluster.run(500)
    assert.equal(cluster.leaderOf(), leader)
    assert.equal(leader.isDamaged, true)
    // Whoever was away has the rest, but may not lead before it is in sync.
    assert.equal(leader.highWatermark, 10)
  })

  it('a replica whose sync fails takes no record again, and the others go on', async () => {
    const cluster = await start(5)
    cluster.node(0).host.disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined)
    const refused = send(cluster.leaderOf()!, values(10, 1))
    assert.notEqual(await acked(cluster, refused), 0)
    await cluster.world.runUntil(() => cluster.leaderOf()?.leaderEpoch === 1, 1000)
    assert.equal(cluster.node(0).partition().isFailed, true)
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, values(11, 1))), 0)
    assert.deepEqual([...cluster.leaderOf()!.isr].sort(), [1, 2])
  })

  it('a follower whose sync fails leaves the ISR at once', async () => {
    const cluster = await start(6)
    cluster.node(2).host.disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined)
    const beganMs = cluster.world.scheduler.nowMs
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, values(10, 1))), 0)
    assert.ok(cluster.world.scheduler.nowMs - beganMs < 100)
    assert.deepEqual([...cluster.leaderOf()!.isr].sort(), [0, 1])
    assert.ok(cluster.node(2).failures[0]?.log.failure instanceof StorageError)
  })

  it('a full disk of a follower: it leaves the ISR, and comes back when there is room', async () => {
    const cluster = await start(7)
    const { disk } = cluster.node(2).host
    disk.fault = (operation) => (operation === 'write' ? 'ENOSPC' : undefined)
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, values(10, 1))), 0)
    assert.deepEqual([...cluster.leaderOf()!.isr].sort(), [0, 1])
    await cluster.run(2000)
    disk.fault = () => undefined
    await cluster.settled()
    checkWhole(cluster, 11)
  })

  it('a full disk of a leader: another leads, and it follows when there is room', async () => {
    const cluster = await start(8)
    const { disk } = cluster.node(0).host
    disk.fault = (operation) => (operation === 'write' ? 'ENOSPC' : undefined)
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, values(10, 1))), 56)
    await cluster.world.runUntil(() => cluster.leaderOf()?.leaderEpoch === 1, 1000)
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, values(10, 1))), 0)
    disk.fault = () => undefined
    await cluster.settled()
    checkWhole(cluster, 11)
  })
})

/** The epoch of a batch is outside of its checksum. */
describe('replication of batches whose epoch is damaged', () => {
  /** Replica 0 has a last record of epoch 9, though 1 is the latest that has been. */
  async function meet(seed: number, leaderId: number): Promise<TestCluster> {
    const cluster = new TestCluster({ seed, nodes: 2, lagMaxMs: 300 })
    for (const node of cluster.nodes) {
      await cluster.boot(node.nodeId)
      const log = await cluster.world.complete(
        node.store.create({
          topic: TOPIC,
          partition: 0,
          topicId: TOPIC_ID,
          config: cluster.config,
        }),
      )
      for (let baseOffset = 0; baseOffset < 3; baseOffset++) {
        const leaderEpoch = baseOffset === 2 && node.nodeId === 0 ? 9 : 1
        const record = { timestampMs: 1, key: null, value: Buffer.from(`${baseOffset}`) }
        const batch = encodeBatch([record], { baseOffset, leaderEpoch })
        log.appendAsFollower(batch, 0, batch.length)
      }
      log.write()
      await cluster.world.complete(log.sync())
    }
    cluster.controller.create(leaderId === 0 ? [0, 1] : [1, 0], { leaderEpoch: 2 })
    return cluster
  }

  for (const leaderId of [0, 1]) {
    it(`is mended where replica ${leaderId} leads first`, async () => {
      const cluster = await meet(20 + leaderId, leaderId)
      await cluster.settled()
      for (const node of cluster.nodes) {
        assert.deepEqual([...readAll(node.partition()).values()], ['0', '1', '2'])
        assert.equal(node.partition().log.latestEpoch, 1)
      }
      assert.equal(await acked(cluster, send(cluster.leaderOf()!, ['3'])), 0)
    })
  }
})

function caught(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  throw new Error('it should have thrown')
}
