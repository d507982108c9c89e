import assert from 'node:assert/strict'
import { ZERO_UUID } from '../../../kafka/wire/schema.ts'
import { context, GroupWorld } from './group-world.ts'

const DAY_MS = 86_400_000

async function world(options: ConstructorParameters<typeof GroupWorld>[0] = {}) {
  const made = new GroupWorld(options)
  await made.lead()
  return made
}

const member = ({
  memberId,
  generationId = -1,
}: {
  memberId: string
  generationId?: number | undefined
}) => ({
  memberId,
  generationIdOrMemberEpoch: generationId,
})

describe('committed offsets', () => {
  it('of a consumer without a group are kept, and read after a restart', async () => {
    const w = await world()
    assert.equal(await w.complete(w.commit(42)), 0)
    assert.equal(await w.complete(w.commit(7, { topic: 'clicks', partition: 3 })), 0)
    assert.deepEqual(await w.complete(w.offsets()), { 'orders/0': 42, 'clicks/3': 7 })
    await w.lead()
    assert.deepEqual(await w.complete(w.offsets()), { 'orders/0': 42, 'clicks/3': 7 })
    assert.equal(await w.state(), 'Empty')
  })

  it('may go back when the committer says so', async () => {
    const w = await world()
    await w.complete(w.commit(42))
    await w.complete(w.commit(5))
    assert.deepEqual(await w.complete(w.offsets()), { 'orders/0': 5 })
  })

  it('are taken from members of the generation only', async () => {
    const w = await world()
    const joined = await w.complete(Promise.all([w.enter(), w.enter()]))
    const [one] = joined
    assert.equal(await w.commit(1, member(one!)), 27, 'before the assignment')
    await w.syncAll(joined)
    assert.equal(await w.complete(w.commit(1, member(one!))), 0)
    assert.equal(await w.commit(1), 25, 'not a member')
    assert.equal(await w.commit(1, { memberId: 'x', generationIdOrMemberEpoch: 1 }), 25)
    assert.equal(await w.commit(1, { ...member(one!), generationIdOrMemberEpoch: 2 }), 22)
    assert.equal(await w.commit(1, { ...member(one!), groupInstanceId: 'a' }), 25)
    const entering = w.enter()
    await w.scheduler.runFor(10)
    assert.equal(await w.complete(w.commit(2, member(one!))), 0, 'while others join')
    w.coordinator.onResignation(0)
    assert.equal((await w.complete(entering)).errorCode, 16)
  })

  it('in a group that does not exist are refused: 69, or 22 before version 9', async () => {
    const w = await world()
    const ghost = { memberId: 'x', generationIdOrMemberEpoch: 4 }
    assert.equal(await w.commit(1, { ...ghost, apiVersion: 9 }), 69)
    assert.equal(await w.commit(1, { ...ghost, apiVersion: 8 }), 22)
  })

  it('count as a sign of life', async () => {
    const w = await world()
    const [one] = await w.stable(1)
    for (let i = 0; i < 5; i++) {
      await w.scheduler.runFor(6000)
      assert.equal(await w.complete(w.commit(i, member(one!))), 0)
    }
    assert.equal(await w.state(), 'Stable')
  })

  it('have metadata within a limit, which concerns only their partition', async () => {
    const w = await world()
    assert.equal(await w.complete(w.commit(1, { metadata: 'x'.repeat(4096) })), 0)
    assert.equal(await w.commit(2, { metadata: 'x'.repeat(4097) }), 12)
    assert.deepEqual(await w.complete(w.offsets()), { 'orders/0': 1 })
    assert.equal(w.coordinator.probe.commits.get(0), 1)
    assert.equal(w.coordinator.probe.commits.get(12), 1)
  })

  it('come with leader epoch and metadata, and -1 where there is none', async () => {
    const w = await world()
    await w.complete(w.commit(9, { metadata: 'by hand' }))
    const { groups } = await w.complete(
      w.coordinator.offsetFetch(context(8), {
        groupId: '',
        topics: null,
        requireStable: false,
        groups: [
          {
            groupId: 'group',
            memberId: null,
            memberEpoch: -1,
            topics: [{ name: 'orders', topicId: ZERO_UUID, partitionIndexes: [0, 1] }],
          },
          { groupId: 'nobody', memberId: null, memberEpoch: -1, topics: null },
        ],
      }),
    )
    const partition = { committedLeaderEpoch: -1, errorCode: 0 }
    assert.deepEqual(groups![0]!.topics[0]!.partitions, [
      { ...partition, partitionIndex: 0, committedOffset: 9, metadata: 'by hand' },
      { ...partition, partitionIndex: 1, committedOffset: -1, metadata: '' },
    ])
    assert.deepEqual(groups![1], { groupId: 'nobody', topics: [], errorCode: 0 })
  })

  it('are not those of a topic that was made anew under the same name', async () => {
    const w = await world()
    await w.complete(w.commit(9))
    w.topics.delete('orders')
    assert.deepEqual(await w.complete(w.offsets()), { 'orders/0': 9 })
    w.addTopic('orders')
    w.addTopic('orders')
    assert.deepEqual(await w.complete(w.offsets()), {})
  })

  it('go with their topic, also when the coordinator is loading at that time', async () => {
    const w = await world()
    const topicId = w.topics.get('orders')!.id
    await w.complete(w.commit(9))
    await w.complete(w.commit(7, { topic: 'clicks' }))
    const leading = w.lead()
    w.coordinator.onTopicsDeleted([{ name: 'orders', topicId }])
    await leading
    assert.deepEqual(await w.complete(w.offsets()), { 'clicks/0': 7 })
    w.coordinator.onTopicsDeleted([{ name: 'clicks', topicId: 'another one' }])
    await w.lead()
    assert.deepEqual(await w.complete(w.offsets()), { 'clicks/0': 7 })
  })

  it('are never shown before they are replicated', async () => {
    const w = await world()
    await w.complete(w.commit(1))
    w.logs[0]!.hold()
    const committing = w.commit(2)
    const reading = w.offsets()
    await w.scheduler.runFor(100)
    await w.lead()
    assert.equal(await w.complete(committing), 16)
    assert.deepEqual(await w.complete(reading), {})
    assert.deepEqual(await w.complete(w.offsets()), { 'orders/0': 1 })
  })

  it('cost one batch for all that come in a turn', async () => {
    const w = await world()
    const commits = Array.from({ length: 5000 }, (_, i) =>
      w.commit(i, { groupId: `group-${i % 100}`, partition: i }),
    )
    const errors = await w.complete(Promise.all(commits))
    assert.ok(errors.every((error) => error === 0))
    assert.equal(w.logs[0]!.appends, 1)
  })
})

describe('deleting', () => {
  it('groups: only empty ones, with all that they committed', async () => {
    const w = await world()
    const [one] = await w.stable(1)
    await w.complete(w.commit(3, member(one!)))
    const remove = (...groupsNames: string[]) =>
      w.complete(w.coordinator.deleteGroups(context(2), { groupsNames }))
    const codes = (answer: Awaited<ReturnType<typeof remove>>) =>
      answer.results.map(({ errorCode }) => errorCode)
    assert.deepEqual(codes(await remove('group', 'nobody')), [68, 69])
    await w.complete(w.leave(one!))
    assert.deepEqual(codes(await remove('group')), [0])
    assert.equal(await w.state(), 'Dead')
    assert.equal((await w.describe()).errorCode, 69)
    await w.lead()
    assert.deepEqual(await w.complete(w.offsets()), {})
    assert.equal(await w.state(), 'Dead')
    assert.deepEqual(codes(await remove('group')), [69])
    assert.deepEqual(codes(await remove('nobody', 'nobody')), [69])
  })

  it('offsets: not of topics that the group reads', async () => {
    const w = await world()
    const [one] = await w.stable(1)
    await w.complete(w.commit(3, member(one!)))
    await w.complete(w.commit(4, { ...member(one!), topic: 'clicks' }))
    const remove = (groupId = 'group') =>
      w.complete(
        w.coordinator.offsetDelete(context(0), {
          groupId,
          topics: ['orders', 'clicks'].map((name) => ({
            name,
            partitions: [{ partitionIndex: 0 }, { partitionIndex: 1 }],
          })),
        }),
      )
    const errors = (answer: Awaited<ReturnType<typeof remove>>) =>
      answer.topics.map(({ partitions }) => partitions.map(({ errorCode }) => errorCode))
    assert.deepEqual(errors(await remove()), [
      [86, 86],
      [0, 0],
    ])
    assert.deepEqual(await w.complete(w.offsets()), { 'orders/0': 3 })
    await w.complete(w.leave(one!))
    assert.deepEqual(errors(await remove()), [
      [0, 0],
      [0, 0],
    ])
    assert.deepEqual(await w.complete(w.offsets()), {})
    assert.equal((await remove('nobody')).errorCode, 69)
    assert.equal((await remove('')).errorCode, 24)
  })

  it('offsets of a group that does not speak of topics: 68 while it has members', async () => {
    const w = await world()
    const joining = w.enter({ groupId: 'workers', protocolType: 'connect' })
    assert.equal((await w.complete(joining)).errorCode, 0)
    const request = { groupId: 'workers', topics: [] }
    assert.equal((await w.coordinator.offsetDelete(context(0), request)).errorCode, 68)
  })
})

describe('expiry of offsets', () => {
  it('counts from the commit for consumers without a group', async () => {
    const w = await world()
    await w.complete(w.commit(1))
    await w.scheduler.runFor(6 * DAY_MS)
    await w.complete(w.commit(2, { partition: 1 }))
    await w.scheduler.runFor(1.5 * DAY_MS)
    assert.deepEqual(await w.complete(w.offsets()), { 'orders/1': 2 })
    await w.scheduler.runFor(6 * DAY_MS)
    assert.equal(await w.state(), 'Dead')
    await w.lead()
    assert.equal(await w.state(), 'Dead')
    assert.equal(w.coordinator.probe.offsetsExpired, 2)
  })

  it('counts from when the group became empty', async () => {
    const w = await world()
    const [one] = await w.stable(1, { sessionTimeoutMs: 1_800_000 })
    await w.complete(w.commit(1, member(one!)))
    for (let day = 0; day < 10 * 48; day++) {
      await w.scheduler.runFor(DAY_MS / 48)
      assert.equal(await w.heartbeat(one!), 0)
    }
    await w.complete(w.leave(one!))
    await w.scheduler.runFor(6.9 * DAY_MS)
    assert.deepEqual(await w.complete(w.offsets()), { 'orders/0': 1 })
    await w.scheduler.runFor(0.2 * DAY_MS)
    assert.deepEqual(await w.complete(w.offsets()), {})
  })

  it('takes topics that a group at work does not read any more', async () => {
    const w = await world({ offsetsRetentionMs: 60_000, offsetsRetentionCheckMs: 1000 })
    const [one] = await w.stable(1, { sessionTimeoutMs: 1_800_000 })
    await w.complete(w.commit(1, member(one!)))
    await w.complete(w.commit(2, { ...member(one!), topic: 'clicks' }))
    await w.scheduler.runFor(62_000)
    assert.deepEqual(await w.complete(w.offsets()), { 'orders/0': 1 })
  })

  it('follows the time that an old client gave', async () => {
    const w = await world({ offsetsRetentionCheckMs: 1000 })
    await w.complete(w.commit(1, { retentionTimeMs: 30_000, apiVersion: 4 }))
    await w.lead()
    await w.scheduler.runFor(29_000)
    assert.deepEqual(await w.complete(w.offsets()), { 'orders/0': 1 })
    await w.scheduler.runFor(3000)
    assert.deepEqual(await w.complete(w.offsets()), {})
  })
})
