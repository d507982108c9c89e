import assert from 'node:assert/strict'
import { GroupWorld, type JoinOptions, subscription } from './group-world.ts'

async function world() {
  const made = new GroupWorld()
  await made.lead()
  return made
}

/** Static members get their ids with their first join. */
async function stableStatic(w: GroupWorld, names: readonly string[], options: JoinOptions = {}) {
  const joining = names.map((groupInstanceId) => w.join({ ...options, groupInstanceId }))
  const joined = await w.complete(Promise.all(joining))
  await w.syncAll(joined)
  return joined
}

describe('static members (KIP-345)', () => {
  it('join at once, under ids that begin with their instance', async () => {
    const w = await world()
    const [one] = await stableStatic(w, ['a', 'b'])
    assert.match(one!.memberId, /^a-/)
    assert.equal(await w.state(), 'Stable')
    assert.equal(await w.heartbeat(one!, 'a'), 0)
  })

  it('come back under a new id without a rebalance, with their assignment', async () => {
    const w = await world()
    const [leader, follower] = await stableStatic(w, ['a', 'b'])
    const again = await w.complete(w.join({ groupInstanceId: 'b' }))
    assert.notEqual(again.memberId, follower!.memberId)
    assert.deepEqual([again.errorCode, again.generationId, again.leader], [0, 1, leader!.memberId])
    assert.equal(again.skipAssignment, false)
    const synced = await w.sync({ ...again, instanceId: 'b' })
    assert.equal(synced.assignment.toString(), `work of ${follower!.memberId}`)
    assert.equal(await w.heartbeat(leader!, 'a'), 0)
    assert.equal(await w.heartbeat(follower!, 'b'), 82)
    assert.equal(await w.heartbeat(follower!), 25)
    assert.equal((await w.sync({ ...follower!, instanceId: 'b' })).errorCode, 82)
    assert.equal((await w.join({ ...joinOf(follower!), groupInstanceId: 'b' })).errorCode, 82)
  })

  it('let a leader that comes back skip the assignment (KIP-814)', async () => {
    const w = await world()
    const [leader] = await stableStatic(w, ['a', 'b'])
    const again = await w.complete(w.join({ groupInstanceId: 'a' }))
    assert.deepEqual(
      [again.skipAssignment, again.leader, again.members.length],
      [true, again.memberId, 2],
    )
    const synced = await w.sync({ ...again, instanceId: 'a' }, {})
    assert.equal(synced.assignment.toString(), `work of ${leader!.memberId}`)
  })

  it('tell an old client that its former self leads, so that it does not assign', async () => {
    const w = await world()
    const [leader] = await stableStatic(w, ['a', 'b'])
    const again = await w.complete(w.join({ groupInstanceId: 'a', apiVersion: 8 }))
    assert.deepEqual(
      [again.skipAssignment, again.leader, again.members.length],
      [false, leader!.memberId, 0],
    )
  })

  it('are replaced for good: also after a restart', async () => {
    const w = await world()
    const [, follower] = await stableStatic(w, ['a', 'b'])
    const again = await w.complete(w.join({ groupInstanceId: 'b' }))
    await w.lead()
    assert.equal(await w.heartbeat(again, 'b'), 0)
    assert.equal(await w.heartbeat(follower!, 'b'), 82)
  })

  it('stay who they were when the replacement could not be kept', async () => {
    const w = await world()
    const [, follower] = await stableStatic(w, ['a', 'b'])
    w.logs[0]!.refusalCode = 19
    const again = await w.complete(w.join({ groupInstanceId: 'b' }))
    assert.deepEqual([again.errorCode, again.memberId], [15, ''])
    assert.equal(await w.heartbeat(follower!, 'b'), 0)
    assert.equal(await w.state(), 'Stable')
  })

  it('cause a rebalance when the group would choose another protocol', async () => {
    const w = await world()
    const range = { name: 'range', metadata: subscription('orders') }
    const sticky = { name: 'sticky', metadata: subscription('orders') }
    const [leader] = await stableStatic(w, ['a', 'b'], { protocols: [range, sticky] })
    const joining = w.join({ groupInstanceId: 'b', protocols: [sticky] })
    assert.equal(await w.heartbeat(leader!, 'a'), 27)
    const protocols = [range, sticky]
    const leading = w.join({ memberId: leader!.memberId, groupInstanceId: 'a', protocols })
    const joined = await w.complete(Promise.all([leading, joining]))
    assert.ok(joined.every(({ protocolName }) => protocolName === 'sticky'))
  })

  it('end the wait of their former selves with 82', async () => {
    const w = await world()
    const joined = await w.complete(
      Promise.all(['a', 'b'].map((groupInstanceId) => w.join({ groupInstanceId }))),
    )
    const syncing = w.sync({ ...joined[1]!, instanceId: 'b' })
    const again = w.join({ groupInstanceId: 'b' })
    assert.equal((await w.complete(syncing)).errorCode, 82)
    assert.equal(await w.heartbeat(joined[0]!, 'a'), 27, 'the leader assigns to the old id')
    const third = w.join({ groupInstanceId: 'b' })
    assert.equal((await w.complete(again)).errorCode, 82)
    const leading = w.join({ ...joinOf(joined[0]!), groupInstanceId: 'a' })
    const next = await w.complete(Promise.all([leading, third]))
    assert.ok(next.every(({ generationId }) => generationId === 2))
  })

  it('stay in the group through a rebalance that they miss, until their session ends', async () => {
    const w = await world()
    const options = { sessionTimeoutMs: 60_000, rebalanceTimeoutMs: 6000 }
    const [one, two] = await stableStatic(w, ['a', 'b'], options)
    const third = w.join({ ...options, groupInstanceId: 'c' })
    const again = await w.complete(w.join({ ...options, ...joinOf(one!), groupInstanceId: 'a' }))
    assert.equal(again.generationId, 2)
    assert.equal(again.members.length, 3)
    assert.equal((await w.complete(third)).generationId, 2)
    const back = await w.join({ ...options, ...joinOf(two!), groupInstanceId: 'b' })
    assert.deepEqual([back.errorCode, back.generationId], [0, 2])
  })

  it('wait for sessions when none of them joins', async () => {
    const w = await world()
    const options = { sessionTimeoutMs: 20_000, rebalanceTimeoutMs: 1000 }
    const [one] = await stableStatic(w, ['a', 'b'], options)
    await w.leave({ memberId: '', groupInstanceId: 'b' })
    await w.scheduler.runFor(5000)
    assert.equal(await w.state(), 'PreparingRebalance')
    assert.equal(await w.heartbeat(one!, 'a'), 27)
    await w.scheduler.runFor(25_000)
    assert.equal(await w.state(), 'Empty')
  })

  it('are removed by an administrator through their instance', async () => {
    const w = await world()
    const [one, two] = await stableStatic(w, ['a', 'b'])
    const left = await w.leave(
      { memberId: '', groupInstanceId: 'b' },
      { memberId: '', groupInstanceId: 'nobody' },
      { memberId: 'other', groupInstanceId: 'a' },
    )
    assert.deepEqual(
      left.members!.map(({ errorCode }) => errorCode),
      [0, 25, 82],
    )
    assert.equal(await w.heartbeat(two!, 'b'), 25)
    assert.equal(await w.heartbeat(one!, 'a'), 27)
  })
})

function joinOf({ memberId }: { memberId: string }) {
  return { memberId }
}
