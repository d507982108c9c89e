import assert from 'node:assert/strict'
import { TestCluster } from './testing/cluster.ts'
import { readAll, send } from './testing/records.ts'

describe('replication', () => {
  it('replicates acks=all to all in-sync replicas before it answers', async () => {
    const cluster = await TestCluster.start({ seed: 1 })
    const leader = cluster.leaderOf()!
    const sent = send(leader, ['a', 'b'])
    assert.equal(sent.ack, undefined)
    await cluster.world.runUntil(() => sent.ack !== undefined, 1000)
    assert.equal(sent.ack, 0)
    for (const node of cluster.nodes) assert.equal(node.partition().log.syncedOffset, 2)
    await cluster.settled()
    for (const node of cluster.nodes) {
      assert.deepEqual([...readAll(node.partition()).values()], ['a', 'b'])
      assert.equal(node.partition().highWatermark, 2)
    }
  })
})
