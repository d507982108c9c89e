import assert from 'node:assert/strict'
import { TestCluster } from './testing/cluster.ts'
import { readAll, type Sent, send } from './testing/records.ts'

const values = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => `value ${from + i}`)

async function acked(cluster: TestCluster, sent: Sent): Promise<number> {
  await cluster.world.runUntil(() => sent.ack !== undefined, 5000)
  return sent.ack!
}

/** Two records in all replicas; then node 2 is away while ten more come in batches of five. */
async function withOneAway(seed: number): Promise<TestCluster> {
  const cluster = await TestCluster.start({ seed, config: { segmentBytes: 200 } })
  assert.equal(await acked(cluster, send(cluster.leaderOf()!, values(0, 2))), 0)
  cluster.node(2).kill()
  cluster.controller.fence(2)
  for (const from of [2, 7]) {
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, values(from, 5))), 0)
  }
  return cluster
}

async function checkBack(cluster: TestCluster, logStartOffset: number): Promise<void> {
  await cluster.settled()
  const back = cluster.node(2).partition()
  assert.equal(back.logStartOffset, logStartOffset)
  assert.deepEqual([...readAll(back).values()], values(logStartOffset, 12 - logStartOffset))
  assert.deepEqual([...cluster.leaderOf()!.isr].sort(), [0, 1, 2])
}

describe('a follower, when records were deleted meanwhile', () => {
  it('begins with the whole batch when the log of its leader starts within one', async () => {
    const cluster = await withOneAway(1)
    cluster.leaderOf()!.deleteRecordsBefore(9)
    await cluster.boot(2)
    await checkBack(cluster, 9)
  })

  it('goes on where that batch is the next that it lacks', async () => {
    const cluster = await withOneAway(2)
    cluster.leaderOf()!.deleteRecordsBefore(4)
    await cluster.boot(2)
    await checkBack(cluster, 4)
    assert.equal(cluster.node(2).probe.truncations, 0)
  })

  it('begins anew within a batch, and again when the start has moved on', async () => {
    const cluster = await withOneAway(3)
    cluster.leaderOf()!.deleteRecordsBefore(4)
    await cluster.boot(2)
    await cluster.world.runUntil(() => cluster.node(2).partitions[0] !== undefined, 1000)
    cluster.leaderOf()!.deleteRecordsBefore(11)
    await checkBack(cluster, 11)
  })
})

describe('records that were said to be deleted', () => {
  it('do not come back when all nodes lose their power', async () => {
    const cluster = await TestCluster.start({ seed: 4 })
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, values(0, 6))), 0)
    await cluster.settled()
    cluster.leaderOf()!.deleteRecordsBefore(4)
    assert.equal(await cluster.world.complete(cluster.leaderOf()!.deleted(4, 1000)), 0)
    for (const node of cluster.nodes) node.powerLoss()
    for (const { nodeId } of cluster.nodes) await cluster.boot(nodeId)
    await cluster.settled()
    for (const node of cluster.nodes) assert.equal(node.partition().logStartOffset, 4)
  })
})
