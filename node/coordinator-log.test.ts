import assert from 'node:assert/strict'
import { decodeBatches } from '../log/records.ts'
import { TestCluster } from '../replication/testing/cluster.ts'
import { batchOf } from '../replication/testing/records.ts'
import { PartitionCoordinatorLog } from './coordinator-log.ts'

describe('node/coordinator-log', () => {
  it('appends, tells when it is replicated, and reads', async () => {
    const cluster = await TestCluster.start({ seed: 1 })
    const log = new PartitionCoordinatorLog(cluster.leaderOf()!)
    const { error, lastOffset } = log.append(batchOf(['a', 'b']))
    assert.deepEqual([error, lastOffset], [0, 1])
    let told: number | undefined
    log.whenReplicated(lastOffset, (code) => {
      told = code
    })
    await cluster.world.runUntil(() => told !== undefined, 1000)
    assert.equal(told, 0)
    const bytes = await cluster.world.complete(log.read(0, 1000))
    assert.deepEqual(
      decodeBatches(bytes).map(({ value }) => String(value)),
      ['a', 'b'],
    )
  })

  it('takes nothing in another epoch, even where the same node leads in it', async () => {
    const cluster = await TestCluster.start({ seed: 2 })
    const log = new PartitionCoordinatorLog(cluster.leaderOf()!)
    assert.equal(log.refusal(), 0)
    assert.equal(log.holdsLease, true)
    cluster.controller.move(0, 0)
    await cluster.world.runUntil(() => cluster.leaderOf()?.leaderEpoch === 1, 1000)
    assert.equal(log.refusal(), 6)
    assert.equal(log.append(batchOf(['a'])).error, 6)
    assert.equal(log.holdsLease, false)
    assert.equal(cluster.leaderOf()!.logEndOffset, 0)
  })

  it('tells of a lost leadership', async () => {
    const cluster = await TestCluster.start({ seed: 3 })
    cluster.node(1).host.disk.latencyUs = (operation) => (operation === 'sync' ? 50_000 : 0)
    const log = new PartitionCoordinatorLog(cluster.leaderOf()!)
    let told: number | undefined
    log.whenReplicated(log.append(batchOf(['a'])).lastOffset, (code) => {
      told = code
    })
    cluster.controller.move(0, 2)
    await cluster.world.runUntil(() => told !== undefined, 1000)
    assert.equal(told, 6)
  })

  it('waits on, in order, while there are too few replicas', async () => {
    const cluster = await TestCluster.start({ seed: 4, minInsyncReplicas: 2, lagMaxMs: 200 })
    const log = new PartitionCoordinatorLog(cluster.leaderOf()!)
    cluster.world.links.cut('n0', 'n1')
    cluster.world.links.cut('n0', 'n2')
    const told: string[] = []
    for (const name of ['first', 'second']) {
      const { lastOffset } = log.append(batchOf([name]))
      log.whenReplicated(lastOffset, (code) => told.push(`${name} ${code}`))
    }
    await cluster.world.runUntil(() => log.refusal() === 19, 5000)
    await cluster.run(1000)
    assert.deepEqual(told, [])
    cluster.world.links.healAll()
    await cluster.world.runUntil(() => told.length === 2, 10_000)
    assert.deepEqual(told, ['first 0', 'second 0'])
  })

  it('may not answer for what others may know better', async () => {
    const cluster = await TestCluster.start({ seed: 5 })
    const log = new PartitionCoordinatorLog(cluster.leaderOf()!)
    cluster.leaseUntilMs = 0
    await cluster.run(10)
    assert.equal(log.holdsLease, false)
  })
})
