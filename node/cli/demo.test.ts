import assert from 'node:assert/strict'
import { startCluster } from '../testing/cluster.ts'
import { Demo } from './demo.ts'
import { Tally } from './demo-tally.ts'
import { withCluster } from './session.ts'

const at = (offset: number, partition = 0) => ({ partition, offset })

describe('node/cli/demo', () => {
  it('counts an order as lost when readers have passed its place', () => {
    const tally = new Tally()
    for (let order = 0; order < 3; order++) tally.ack(order, at(order))
    tally.read(0, at(0))
    tally.passed(0, 1)
    assert.deepEqual([tally.acked, tally.consumed, tally.lag, tally.lost], [3, 1, 2, 0])
    tally.read(2, at(2))
    tally.passed(0, 3)
    assert.deepEqual([tally.consumed, tally.lag, tally.lost], [2, 1, 1])
    tally.passed(1, 100)
    assert.equal(tally.lost, 1)
  })

  it('tells an order that is there twice from one that is read twice', () => {
    const tally = new Tally()
    tally.read(0, at(0))
    tally.read(0, at(0))
    assert.deepEqual([tally.readAgain, tally.duplicated], [1, 0])
    tally.read(0, at(5))
    tally.read(0, at(0, 1))
    assert.deepEqual([tally.readAgain, tally.duplicated], [1, 2])
  })

  it('takes an order that is read before its acknowledgement as read', () => {
    const tally = new Tally()
    tally.read(0, at(0))
    tally.ack(0, at(0))
    assert.deepEqual([tally.acked, tally.consumed, tally.lag], [1, 1, 0])
  })

  it('loses and doubles nothing while a node is killed', async function () {
    this.timeout(60_000)
    await using cluster = await startCluster({ nodes: 3 })
    const shared = { bootstrap: cluster.bootstrap, output: 'text', timeout: '5000' }
    await withCluster(shared, async (client) => {
      const { signal } = new AbortController()
      const demo = new Demo(client, { rate: 200, seconds: 2, signal })
      const running = demo.run(shared)
      const untilMs = client.clock.monotonicMs() + 20_000
      while (demo.tally.consumed === 0 && client.clock.monotonicMs() < untilMs) {
        await client.pause(20)
      }
      assert.notEqual(demo.tally.consumed, 0, 'somebody reads')
      await cluster.nodes[1]!.kill()
      assert.deepEqual(await running, { lost: 0, duplicated: 0, lag: 0 })
      assert.ok(demo.tally.acked > 0 && demo.tally.consumed >= demo.tally.acked)
      await demo.remove()
    })
  })
})
