/** A group member on simulated nodes, while its coordinator moves, dies, loads or falls silent. */
import assert from 'node:assert/strict'
import type { Cluster } from './cluster.ts'
import { KafkaError } from './cluster.ts'
import { GroupMember } from './group-member.ts'
import { FakeCluster } from './testing/fake-cluster.ts'

describe('kafka/client/group-member', () => {
  let fake: FakeCluster
  let cluster: Cluster
  let member: GroupMember

  beforeEach(async () => {
    fake = await FakeCluster.start({ orders: 3 })
    cluster = fake.client()
    member = new GroupMember(cluster, {
      group: 'g',
      topics: ['orders'],
      sessionTimeoutMs: 6000,
      heartbeatMs: 500,
    })
  })

  afterEach(async () => {
    await fake.world.complete(member.close(), 5000)
    await cluster.close()
  })

  const join = (limitMs = 5000) => fake.world.complete(member.join(), limitMs)
  const place = (partition: number, offset: number) => ({ topic: 'orders', partition, offset })
  const commit = (offset: number, limitMs = 5000) =>
    fake.world.complete(member.commit([place(0, offset)]), limitMs)
  const callsOf = (api: string) => fake.group.calls.filter((call) => call.startsWith(api))
  const nowMs = () => cluster.clock.monotonicMs()

  it('joins, and reads on where the group is', async () => {
    fake.group.committed.set('orders/1', 7)
    assert.deepEqual(await join(), [
      { topic: 'orders', partition: 0, offset: undefined, epoch: -1 },
      { topic: 'orders', partition: 1, offset: 7, epoch: -1 },
      { topic: 'orders', partition: 2, offset: undefined, epoch: -1 },
    ])
    assert.equal(member.mustRejoin, false)
    await commit(4)
    assert.equal(fake.group.committed.get('orders/0'), 4)
  })

  it('keeps the leader epoch of what was read with the offset (KIP-320)', async () => {
    await join()
    await fake.world.complete(member.commit([{ ...place(0, 4), epoch: 3 }]), 1000)
    assert.equal(fake.group.committedEpochs.get('orders/0'), 3)
    assert.deepEqual((await join())[0], { ...place(0, 4), epoch: 3 })
  })

  it('says who it is and does not leave, when it is a static member (KIP-345)', async () => {
    const options = { group: 'g', topics: ['orders'], heartbeatMs: 500, instanceId: 'one' }
    const one = new GroupMember(cluster, options)
    await fake.world.complete(one.join(), 5000)
    await fake.world.complete(one.commit([place(0, 4)]), 1000)
    await fake.world.runFor(700)
    const said = ['join one', 'sync one', 'commit one', 'heartbeat one']
    assert.deepEqual([...fake.group.instances], said)
    await fake.world.complete(one.close(), 1000)
    assert.deepEqual(callsOf('leave'), [])
    assert.equal(fake.group.members.size, 1)
  })

  it('follows a coordinator that moves, and stays the same member', async () => {
    await join()
    const { memberId, generation } = member.identity
    fake.group.coordinatorId = 2
    await commit(5, 500)
    assert.equal(fake.group.committed.get('orders/0'), 5)
    await fake.world.runFor(1100)
    assert.equal(callsOf('heartbeat').at(-1), 'heartbeat 2')
    assert.equal(member.mustRejoin, false)
    assert.deepEqual(member.identity, { memberId, generation })
  })

  it('finds by its heartbeats that the coordinator moved, soon again and not a beat later', async () => {
    await join()
    fake.group.coordinatorId = 3
    await fake.world.runFor(700)
    assert.deepEqual(callsOf('heartbeat').slice(-2), ['heartbeat 1', 'heartbeat 3'])
  })

  it('waits while the coordinator loads', async () => {
    await join()
    fake.group.isLoading = true
    fake.after(800, () => {
      fake.group.isLoading = false
    })
    const startMs = nowMs()
    await commit(5)
    assert.ok(nowMs() - startMs < 900, `${nowMs() - startMs}`)
    assert.equal(fake.group.committed.get('orders/0'), 5)
  })

  it('never takes an error for a group that has committed nothing', async () => {
    fake.group.committed.set('orders/0', 9)
    fake.group.isLoading = true
    fake.after(300, () => {
      fake.group.isLoading = false
    })
    assert.equal((await join())[0]!.offset, 9)
    // And when it moves between the join and the question.
    fake.group.coordinatorId = 2
    const joined = member.join()
    const move = () => {
      if (callsOf('sync').length === 2) fake.group.coordinatorId = 3
      else fake.after(0.1, move)
    }
    move()
    assert.equal((await fake.world.complete(joined, 5000))[0]!.offset, 9)
    assert.ok(callsOf('fetch').includes('fetch 2') && callsOf('fetch').includes('fetch 3'))
  })

  it('goes on after the coordinator is killed', async () => {
    await join()
    fake.kill(1)
    fake.after(300, () => {
      fake.group.coordinatorId = 2
    })
    const startMs = nowMs()
    await commit(5)
    assert.ok(nowMs() - startMs < 400, `${nowMs() - startMs}`)
    assert.equal(member.mustRejoin, false)
  })

  it('goes on after the coordinator falls silent', async () => {
    await join()
    fake.freeze(1)
    fake.after(300, () => {
      fake.group.coordinatorId = 2
    })
    const startMs = nowMs()
    await commit(5)
    assert.ok(nowMs() - startMs < 1500, `${nowMs() - startMs}`)
    await fake.world.runFor(1000)
    assert.equal(member.mustRejoin, false)
  })

  it('joins again when it is forgotten, or late', async () => {
    await join()
    fake.group.generation++
    await commit(5)
    assert.equal(member.mustRejoin, true)
    assert.equal(fake.group.committed.has('orders/0'), false)
    await join()
    fake.group.members.clear()
    await fake.world.runFor(1000)
    assert.equal(member.mustRejoin, true)
    await join()
    await commit(6)
    assert.equal(fake.group.committed.get('orders/0'), 6)
  })

  it('gives up when there is no coordinator for as long as it has patience', async () => {
    member = new GroupMember(cluster, { group: 'g', topics: ['orders'], patienceMs: 1000 })
    fake.group.coordinatorId = -1
    const isMissing = (error: unknown) => error instanceof KafkaError && error.code === 15
    await assert.rejects(join(), isMissing)
    fake.group.coordinatorId = 2
    await join()
    fake.group.coordinatorId = -1
    await assert.rejects(commit(5), isMissing)
  })

  it('leaves, and does not mind when nobody is there to hear it', async () => {
    await join()
    await fake.world.complete(member.close(), 1000)
    assert.deepEqual(callsOf('leave'), ['leave 1'])
    assert.equal(fake.group.members.size, 0)
    member = new GroupMember(cluster, { group: 'g', topics: ['orders'] })
    await join()
    fake.freeze(1)
    const startMs = nowMs()
    await fake.world.complete(member.close(), 5000)
    assert.ok(nowMs() - startMs < 1100)
  })
})
