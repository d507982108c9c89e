import assert from 'node:assert/strict'
import { context, GroupWorld, subscription } from './group-world.ts'

const other = [{ name: 'roundrobin', metadata: subscription('orders') }]

async function world(options: ConstructorParameters<typeof GroupWorld>[0] = {}) {
  const made = new GroupWorld(options)
  await made.lead()
  return made
}

describe('a classic group', () => {
  it('gives a new member an id first, from version 4 on', async () => {
    const w = await world()
    const first = await w.join({ apiVersion: 4 })
    assert.equal(first.errorCode, 79)
    assert.match(first.memberId, /^client-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-/)
    const old = await w.complete(w.join({ apiVersion: 3, groupId: 'old' }))
    assert.equal(old.errorCode, 0)
    assert.equal(old.generationId, 1)
  })

  it('forms a generation, with the first member as its leader', async () => {
    const w = await world()
    const joined = await w.complete(Promise.all([w.enter(), w.enter(), w.enter()]))
    const [leader, ...followers] = joined
    assert.ok(joined.every(({ errorCode, generationId }) => errorCode === 0 && generationId === 1))
    assert.ok(joined.every((each) => each.leader === leader!.memberId))
    assert.deepEqual(
      leader!.members.map(({ memberId }) => memberId),
      joined.map(({ memberId }) => memberId),
    )
    assert.ok(followers.every(({ members }) => members.length === 0))
    assert.equal(await w.state(), 'CompletingRebalance')
    const synced = await w.syncAll(joined)
    assert.deepEqual(
      synced.map(({ assignment }) => assignment.toString()),
      joined.map(({ memberId }) => `work of ${memberId}`),
    )
    assert.equal(await w.state(), 'Stable')
    assert.equal(synced[0]!.protocolName, 'range')
  })

  it('waits for more members at first, and longer while they come', async () => {
    const w = await world({ initialRebalanceDelayMs: 3000 })
    const joining = [w.enter()]
    await w.scheduler.runFor(2000)
    joining.push(w.enter())
    await w.scheduler.runFor(2000)
    joining.push(w.enter())
    const startedMs = w.scheduler.nowMs
    const joined = await w.complete(Promise.all(joining))
    assert.equal(joined[0]!.members.length, 3)
    // Looked at 3 s and 6 s: somebody had come; at 9 s nobody had.
    assert.equal(w.scheduler.nowMs - startedMs, 5000)
  })

  it('never waits longer at first than the rebalance timeout', async () => {
    const w = await world({ initialRebalanceDelayMs: 3000 })
    const joining = [w.enter({ rebalanceTimeoutMs: 5000 })]
    for (let i = 0; i < 4; i++) {
      await w.scheduler.runFor(1200)
      joining.push(w.enter({ rebalanceTimeoutMs: 5000 }))
    }
    await w.scheduler.runFor(300)
    const joined = await w.complete(Promise.all(joining), 100)
    assert.equal(joined.length, 5)
  })

  it('refuses what does not fit, in this order: 24, 26, 25, 81, 23', async () => {
    const w = await world({ sizeMax: 1 })
    assert.equal((await w.join({ groupId: '', sessionTimeoutMs: 1 })).errorCode, 24)
    assert.equal((await w.join({ sessionTimeoutMs: 5999, memberId: 'x' })).errorCode, 26)
    assert.equal((await w.join({ sessionTimeoutMs: 1_800_001 })).errorCode, 26)
    assert.equal((await w.join({ memberId: 'x', protocolType: '' })).errorCode, 25)
    assert.equal((await w.join({ protocolType: '' })).errorCode, 23)
    assert.equal((await w.join({ protocols: [] })).errorCode, 23)
    assert.equal(w.coordinator.groupSnapshot('group'), undefined, 'nothing was made')
    await w.stable(1)
    assert.equal((await w.join({ protocols: other })).errorCode, 81)
    const single = await world()
    await single.stable(1)
    assert.equal((await single.join({ protocols: other })).errorCode, 23)
    assert.equal((await single.join({ protocolType: 'connect' })).errorCode, 23)
  })

  it('refuses members beyond its size', async () => {
    const w = await world({ sizeMax: 2 })
    await w.stable(2)
    const late = await w.join()
    assert.deepEqual([late.errorCode, late.memberId], [81, ''])
    assert.equal(await w.state(), 'Stable')
  })

  it('answers old versions with an empty protocol name where newer ones have null', async () => {
    const w = await world()
    assert.equal((await w.join({ apiVersion: 6 })).protocolName, '')
    assert.equal((await w.join({ apiVersion: 7 })).protocolName, null)
  })

  it('selects the protocol that all know and most prefer', async () => {
    const w = await world()
    const a = { name: 'a', metadata: subscription() }
    const b = { name: 'b', metadata: subscription() }
    const c = { name: 'c', metadata: subscription() }
    const joined = await w.complete(
      Promise.all([
        w.enter({ protocols: [c, a, b] }),
        w.enter({ protocols: [a, b] }),
        w.enter({ protocols: [b, a, c] }),
        w.enter({ protocols: [a, b, c] }),
      ]),
    )
    assert.ok(joined.every(({ protocolName }) => protocolName === 'a'))
  })

  it('tells members of a rebalance by their heartbeats, and takes them along', async () => {
    const w = await world()
    const [one, two] = await w.stable(2)
    assert.equal(await w.heartbeat(one!), 0)
    const third = w.enter()
    await w.scheduler.runFor(10)
    assert.equal(await w.heartbeat(one!), 27)
    assert.equal(await w.state(), 'PreparingRebalance')
    const again = [one!, two!].map(({ memberId }) => w.join({ memberId }))
    const joined = await w.complete(Promise.all([...again, third]))
    assert.ok(joined.every(({ generationId }) => generationId === 2))
    assert.equal(await w.heartbeat(one!), 22)
    assert.equal((await w.sync(one!)).errorCode, 22)
    await w.syncAll(joined)
    assert.equal(await w.heartbeat(joined[2]!), 0)
    assert.equal(w.coordinator.probe.rebalances['member-joined'], 2)
  })

  it('goes on without members that do not join in time', async () => {
    const w = await world()
    const [one, two] = await w.stable(2, { rebalanceTimeoutMs: 7000 })
    const startedMs = w.scheduler.nowMs
    const joined = await w.complete(w.join({ memberId: one!.memberId, rebalanceTimeoutMs: 7000 }))
    assert.equal(joined.members.length, 1)
    assert.ok(w.scheduler.nowMs - startedMs >= 7000)
    assert.equal(await w.heartbeat(two!), 25)
  })

  it('chooses another leader when its leader does not join', async () => {
    const w = await world()
    const [leader, follower] = await w.stable(2, { rebalanceTimeoutMs: 7000 })
    const third = w.enter({ rebalanceTimeoutMs: 7000 })
    await w.scheduler.runFor(10)
    const again = w.join({ memberId: follower!.memberId, rebalanceTimeoutMs: 7000 })
    const joined = await w.complete(again)
    assert.equal(joined.leader, follower!.memberId)
    assert.equal((await w.complete(third)).leader, follower!.memberId)
    assert.equal(await w.heartbeat(leader!), 25)
  })

  it('removes members that go silent', async () => {
    const w = await world()
    const [one, two] = await w.stable(2)
    for (let i = 0; i < 4; i++) {
      await w.scheduler.runFor(3000)
      await w.heartbeat(one!)
    }
    assert.equal(await w.heartbeat(two!), 25)
    assert.equal(await w.heartbeat(one!), 27)
    assert.equal(w.coordinator.probe.rebalances['member-expired'], 1)
    const joined = await w.complete(w.join({ memberId: one!.memberId }))
    assert.equal(joined.generationId, 2)
    await w.syncAll([joined])
    await w.scheduler.runFor(15_000)
    assert.equal(await w.state(), 'Empty')
  })

  it('keeps a session while its member waits for others', async () => {
    const w = await world()
    const [one, two] = await w.stable(2, { sessionTimeoutMs: 6000, rebalanceTimeoutMs: 60_000 })
    const joining = w.join({ memberId: one!.memberId, rebalanceTimeoutMs: 60_000 })
    for (let i = 0; i < 10; i++) {
      await w.scheduler.runFor(2000)
      assert.equal(await w.heartbeat(two!), 27)
    }
    const rejoined = w.join({ memberId: two!.memberId, rebalanceTimeoutMs: 60_000 })
    const joined = await w.complete(Promise.all([joining, rejoined]))
    assert.ok(joined.every(({ errorCode }) => errorCode === 0))
  })

  it('forgets ids whose owners never came back', async () => {
    const w = await world()
    const [one] = await w.stable(1)
    const { memberId } = await w.join()
    const joining = w.join({ memberId: one!.memberId })
    await w.scheduler.runFor(5000)
    assert.equal(await w.state(), 'PreparingRebalance')
    await w.scheduler.runFor(6000)
    assert.equal((await w.complete(joining)).generationId, 2)
    assert.equal((await w.join({ memberId })).errorCode, 25)
  })

  it('takes back an id whose owner waits while all members leave', async () => {
    const w = await world()
    const [one] = await w.stable(1)
    const { memberId } = await w.join()
    await w.complete(w.leave(one!))
    assert.equal(await w.state(), 'PreparingRebalance')
    const joined = await w.complete(w.join({ memberId }))
    assert.deepEqual([joined.errorCode, joined.generationId, joined.leader], [0, 2, memberId])
  })

  it('removes members that joined and never sync', async () => {
    const w = await world()
    const joined = await w.complete(Promise.all([w.enter(), w.enter()]))
    const syncing = w.sync(joined[0]!, {})
    assert.equal((await w.complete(syncing)).errorCode, 0)
    for (let i = 0; i < 7; i++) {
      await w.scheduler.runFor(5000)
      await w.heartbeat(joined[0]!)
      await w.heartbeat(joined[1]!)
    }
    assert.equal(await w.heartbeat(joined[1]!), 25)
    assert.equal(await w.heartbeat(joined[0]!), 27)
    assert.equal(w.coordinator.probe.rebalances['sync-expired'], 1)
  })

  it('lets members leave, one or many', async () => {
    const w = await world()
    const joined = await w.stable(3)
    const left = await w.leave(joined[0]!, joined[1]!, { memberId: 'nobody' })
    assert.deepEqual(
      left.members!.map(({ errorCode }) => errorCode),
      [0, 0, 25],
    )
    assert.equal(await w.heartbeat(joined[2]!), 27)
    const again = await w.complete(w.join({ memberId: joined[2]!.memberId }))
    assert.equal(again.leader, joined[2]!.memberId)
    await w.syncAll([again])
    await w.complete(w.leave(again))
    assert.equal(await w.state(), 'Empty')
    const unknown = await w.leave({ memberId: 'x' })
    assert.deepEqual([unknown.errorCode, unknown.members![0]!.errorCode], [0, 25])
  })

  it('lets those leave that have only an id, or wait for their join', async () => {
    const w = await world()
    const [one] = await w.stable(1)
    const { memberId } = await w.join()
    assert.equal((await w.leave({ memberId })).members![0]!.errorCode, 0)
    const entering = w.enter()
    await w.scheduler.runFor(10)
    const waiting = (await w.describe()).members.find((each) => each.memberId !== one!.memberId)!
    await w.leave(waiting)
    assert.equal((await w.complete(entering)).errorCode, 25)
  })

  it('answers a follower that asks again with the same, without a rebalance', async () => {
    const w = await world()
    const [leader, follower] = await w.stable(2)
    const again = await w.join({ memberId: follower!.memberId })
    assert.deepEqual([again.errorCode, again.generationId, again.members.length], [0, 1, 0])
    const synced = await w.sync(again)
    assert.equal(synced.assignment.toString(), `work of ${follower!.memberId}`)
    const changed = { memberId: follower!.memberId, protocols: otherTopics() }
    const joining = w.join(changed)
    assert.equal(await w.heartbeat(leader!), 27)
    const joined = await w.complete(Promise.all([w.join({ memberId: leader!.memberId }), joining]))
    assert.equal(joined[0]!.generationId, 2)
    assert.deepEqual(joined[0]!.members[1]!.metadata, subscription('clicks'))
  })

  it('rebalances when its leader joins again, or a member changes before the sync', async () => {
    const w = await world()
    const [leader, follower] = await w.stable(2)
    const leading = w.join({ memberId: leader!.memberId })
    assert.equal(await w.heartbeat(follower!), 27)
    await w.complete(Promise.all([leading, w.join({ memberId: follower!.memberId })]))
    const same = await w.join({ memberId: leader!.memberId })
    assert.deepEqual([same.generationId, same.members.length], [2, 2])
    const pending = w.sync({ memberId: follower!.memberId, generationId: 2 })
    const changed = w.join({ memberId: leader!.memberId, protocols: otherTopics() })
    assert.equal((await w.complete(pending)).errorCode, 27)
    const again = w.join({ memberId: follower!.memberId })
    assert.equal((await w.complete(changed)).generationId, 3)
    assert.equal((await w.complete(again)).generationId, 3)
  })

  it('checks who syncs and with what', async () => {
    const w = await world()
    const joined = await w.complete(Promise.all([w.enter(), w.enter()]))
    assert.equal((await w.sync({ memberId: 'x', generationId: 1 })).errorCode, 25)
    assert.equal((await w.sync({ memberId: joined[0]!.memberId, generationId: 7 })).errorCode, 22)
    assert.equal(await w.heartbeat({ memberId: 'x', generationId: 1 }), 25)
    const first = w.sync(joined[1]!)
    const second = w.sync(joined[1]!)
    assert.equal((await w.complete(first)).errorCode, 27, 'superseded by the second')
    await w.complete(w.sync(joined[0]!, { [joined[1]!.memberId]: 'all' }))
    assert.equal((await w.complete(second)).assignment.toString(), 'all')
  })

  it('rebalances anew when an assignment could not be kept', async () => {
    const w = await world()
    const joined = await w.complete(Promise.all([w.enter(), w.enter()]))
    w.logs[0]!.refusalCode = 19
    const syncs = await w.complete(Promise.all(joined.map((each) => w.sync(each))))
    assert.deepEqual(
      syncs.map(({ errorCode }) => errorCode),
      [15, 27],
    )
    w.logs[0]!.refusalCode = 0
    assert.equal(await w.state(), 'PreparingRebalance')
    const again = await w.complete(Promise.all(joined.map(({ memberId }) => w.join({ memberId }))))
    await w.syncAll(again)
    assert.equal(await w.state(), 'Stable')
  })

  it('goes on after a restart of its coordinator', async () => {
    const w = await world()
    const joined = await w.stable(3)
    await w.lead()
    assert.equal(await w.state(), 'Stable')
    for (const each of joined) assert.equal(await w.heartbeat(each), 0)
    const synced = await w.sync(joined[1]!)
    assert.equal(synced.assignment.toString(), `work of ${joined[1]!.memberId}`)
    const described = await w.describe()
    assert.equal(described.protocolData, 'range')
    assert.deepEqual(
      described.members.map(({ clientId, clientHost }) => [clientId, clientHost]),
      Array.from({ length: 3 }, () => ['client', '/10.0.0.1']),
    )
    await w.scheduler.runFor(11_000)
    await w.scheduler.runFor(31_000)
    assert.equal(await w.state(), 'Empty')
    await w.lead()
    assert.equal(await w.state(), 'Empty')
    assert.equal(w.coordinator.groupSnapshot('group')!.generation, 2)
  })

  it('tells whoever waits when its coordinator goes', async () => {
    const w = await world()
    await w.stable(1)
    const entering = w.enter()
    await w.scheduler.runFor(10)
    const joined = await w.complete(
      Promise.all([w.enter({ groupId: 'b' }), w.enter({ groupId: 'b' })]),
    )
    const pending = w.coordinator.syncGroup(context(5), {
      groupId: 'b',
      generationId: 1,
      memberId: joined[1]!.memberId,
      groupInstanceId: null,
      protocolType: null,
      protocolName: null,
      assignments: [],
    })
    w.coordinator.onResignation(0)
    assert.equal((await w.complete(entering)).errorCode, 16)
    assert.equal((await w.complete(pending)).errorCode, 16)
    assert.equal(await w.heartbeat(joined[0]!), 16)
  })

  it('answers heartbeats while it loads', async () => {
    const w = await world()
    const [one] = await w.stable(1)
    const leading = w.lead()
    assert.equal(await w.heartbeat(one!), 0)
    assert.equal((await w.join({ memberId: one!.memberId })).errorCode, 14)
    assert.equal(await w.commit(5), 14)
    await leading
  })

  it('shrinks after its size limit was lowered', async () => {
    const w = await world()
    await w.stable(3)
    const smaller = new GroupWorld({ sizeMax: 2 })
    smaller.partitions[0] = w.partitions[0]!
    await smaller.lead()
    await smaller.scheduler.runFor(10)
    assert.equal(await smaller.state(), 'PreparingRebalance')
    const { members } = await smaller.describe()
    const joining = members.map(({ memberId }) => smaller.join({ memberId }))
    const joined = await smaller.complete(Promise.all(joining))
    assert.deepEqual(
      joined.map(({ errorCode }) => errorCode),
      [0, 0, 81],
    )
  })
})

function otherTopics() {
  return [{ name: 'range', metadata: subscription('clicks') }]
}
