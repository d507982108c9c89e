import assert from 'node:assert/strict'
import { context, GroupWorld } from './group-world.ts'

describe('the group coordinator', () => {
  it('finds coordinators, and makes their topic when the first group asks', async () => {
    const w = new GroupWorld({ partitionCount: 0 })
    const request = { key: '', keyType: 0, coordinatorKeys: ['a', 'b'] }
    const found = await w.complete(w.coordinator.findCoordinator(context(6), request))
    assert.deepEqual(found.coordinators![0], {
      key: 'a',
      nodeId: 1,
      host: 'localhost',
      port: 9092,
      errorCode: 0,
      errorMessage: null,
    })
    assert.equal(found.coordinators!.length, 2)
    assert.equal(w.partitions.length, 1)
  })

  it('is not there for groups whose partition is led elsewhere', async () => {
    const w = new GroupWorld({ partitionCount: 2 })
    await w.lead()
    w.coordinator.onResignation(1)
    const codes = await Promise.all(
      ['a', 'b'].map(async (groupId) => (await w.join({ groupId })).errorCode),
    )
    assert.deepEqual(codes, [16, 79])
    assert.equal((await w.describe('a')).errorCode, 16)
    assert.equal(await w.commit(1, { groupId: 'a' }), 16)
  })

  it('lists groups of all its partitions, by state and kind', async () => {
    const w = new GroupWorld({ partitionCount: 5 })
    await w.lead()
    for (const groupId of ['a', 'b', 'c']) await w.complete(w.commit(1, { groupId }))
    await w.stable(1)
    const list = async (statesFilter: string[], typesFilter: string[] = []) => {
      const answer = await w.coordinator.listGroups(context(5), { statesFilter, typesFilter })
      return answer.groups.map(({ groupId }) => groupId).sort()
    }
    assert.deepEqual(await list([]), ['a', 'b', 'c', 'group'])
    assert.deepEqual(await list(['stable']), ['group'])
    assert.deepEqual(await list(['EMPTY', 'Stable'], ['Classic']), ['a', 'b', 'c', 'group'])
    assert.deepEqual(await list([], ['share']), [])
    const all = await w.coordinator.listGroups(context(5), { statesFilter: [], typesFilter: [] })
    const listed = all.groups.find(({ groupId }) => groupId === 'group')
    assert.deepEqual(listed, {
      groupId: 'group',
      protocolType: 'consumer',
      groupState: 'Stable',
      groupType: 'classic',
    })
    const leading = w.lead()
    const loading = await w.coordinator.listGroups(context(5), {
      statesFilter: [],
      typesFilter: [],
    })
    assert.equal(loading.errorCode, 14)
    await leading
  })

  it('shows groups with members and offsets', async () => {
    const w = new GroupWorld()
    await w.lead()
    const [one] = await w.complete(Promise.all([w.enter()]))
    // Version 0, one topic with two partitions, no user data.
    const parts = ['0000', '00000001', '0006', '6f7264657273', '00000002', '00000000', '00000001']
    const assignment = Buffer.from(`${parts.join('')}00000000`, 'hex').toString()
    await w.complete(w.sync(one!, { [one!.memberId]: assignment }))
    await w.complete(w.commit(5, { memberId: one!.memberId, generationIdOrMemberEpoch: 1 }))
    const shown = [...w.coordinator.snapshot()]
    assert.equal(shown.length, 1)
    const { members, offsets, ...group } = shown[0]!
    assert.deepEqual(group, {
      groupId: 'group',
      kind: 'classic',
      state: 'Stable',
      protocolType: 'consumer',
      protocol: 'range',
      generation: 1,
      leaderId: one!.memberId,
      coordinatorPartition: 0,
    })
    assert.equal(members[0]!.memberId, one!.memberId)
    assert.deepEqual(members[0]!.assignment, [{ topic: 'orders', partitions: [0, 1] }])
    assert.equal(offsets[0]!.offset, 5)
    assert.deepEqual(w.coordinator.groupSnapshot('group'), shown[0])
    assert.equal(w.coordinator.groupSnapshot('nobody'), undefined)
    assert.deepEqual(w.coordinator.shardCounts(), { unloaded: 0, loading: 0, active: 1, failed: 0 })
  })

  it('stops: nobody waits, no timer is left', async () => {
    const w = new GroupWorld()
    await w.lead()
    await w.stable(2)
    const entering = w.enter()
    await w.scheduler.runFor(10)
    w.coordinator.close()
    assert.equal((await w.complete(entering)).errorCode, 16)
    const before = w.scheduler.eventCount
    await w.scheduler.runFor(10_000_000)
    assert.ok(w.scheduler.eventCount - before < 10)
  })
})
