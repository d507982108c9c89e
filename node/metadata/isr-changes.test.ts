import assert from 'node:assert/strict'
import { ControllerFixture } from './controller-fixture.ts'
import { idOf } from './testing.ts'

describe('node/metadata/isr-changes', () => {
  it('takes an ISR from the leader, in its epochs', async () => {
    const fixture = await ControllerFixture.start({ brokers: 3 })
    await fixture.create('a', [1, 2, 3])
    const answer = await fixture.alterIsr('a', [1, 2])
    assert.deepEqual(answer, {
      partitionIndex: 0,
      errorCode: 0,
      leaderId: 1,
      leaderEpoch: 0,
      isr: [1, 2],
      leaderRecoveryState: 0,
      partitionEpoch: 1,
    })
    assert.deepEqual(fixture.partition('a').isr, [1, 2])
    const same = await fixture.alterIsr('a', [1, 2])
    assert.deepEqual([same.errorCode, same.partitionEpoch], [0, 1], 'nothing is written')
  })

  it('refuses what comes from elsewhere, or another time', async () => {
    const fixture = await ControllerFixture.start({ brokers: 4 })
    await fixture.create('a', [1, 2, 3])
    await fixture.alterIsr('a', [1, 2])
    const error = async (...args: Parameters<typeof fixture.alterIsr>) =>
      (await fixture.alterIsr(...args)).errorCode
    assert.equal(await error('a', [1, 2, 3], { from: 2 }), 42)
    assert.equal(await error('a', [1, 2, 3], { leaderEpoch: 1 }), 41, 'newer than ours')
    assert.equal(await error('a', [1, 2, 3], { leaderEpoch: -1 }), 74)
    assert.equal(await error('a', [1, 2, 3], { partitionEpoch: 0 }), 95)
    assert.equal(await error('a', [1, 2, 3], { partitionEpoch: 2 }), 41)
    assert.equal(await error('a', [2, 3]), 42, 'without the leader')
    assert.equal(await error('a', [1, 4]), 42, 'no replica')
    assert.equal(await error('a', [1, 2, 2]), 42)
    assert.deepEqual(fixture.partition('a').isr, [1, 2])
    const stale = await fixture.complete(
      fixture.controller.alterPartition({ brokerId: 1, brokerEpoch: 1, topics: [] }),
    )
    assert.equal(stale.errorCode, 77)
  })

  it('lets nobody in who is fenced, about to go, or an earlier life of itself', async () => {
    const fixture = await ControllerFixture.start({ brokers: 3 })
    await fixture.create('a', [1, 2, 3])
    await fixture.kill(3)
    assert.equal((await fixture.alterIsr('a', [1, 2, 3])).errorCode, 107)
    await fixture.join(3)
    const { id } = fixture.image.topics.get('a')!
    const { leaderEpoch, partitionEpoch } = fixture.partition('a')
    const propose = (brokerEpoch: number) =>
      fixture.complete(
        fixture.controller.alterPartition({
          brokerId: 1,
          brokerEpoch: fixture.broker(1).epoch,
          topics: [
            {
              topicId: id,
              partitions: [
                {
                  partitionIndex: 0,
                  leaderEpoch,
                  partitionEpoch,
                  newIsr: [],
                  newIsrWithEpochs: [
                    { brokerId: 1, brokerEpoch: -1 },
                    { brokerId: 2, brokerEpoch: -1 },
                    { brokerId: 3, brokerEpoch },
                  ],
                  leaderRecoveryState: 0,
                },
                { ...NOTHING, partitionIndex: 7 },
              ],
            },
            { topicId: 'AAAAAAAAAAAAAAAAAAAAAB', partitions: [NOTHING] },
          ],
        }),
      )
    const early = await propose(fixture.broker(3).epoch - 1)
    assert.deepEqual(
      early.topics.map(({ partitions }) => partitions.map(({ errorCode }) => errorCode)),
      [[107, 3], [100]],
    )
    const now = await propose(fixture.broker(3).epoch)
    assert.equal(now.topics[0]!.partitions[0]!.errorCode, 0)
    assert.deepEqual(fixture.partition('a').isr, [1, 2, 3])
  })

  it('ends the recovery after an unclean election when the leader says so', async () => {
    const fixture = await ControllerFixture.start({ brokers: 2 })
    await fixture.createWith('a', { 'unclean.leader.election.enable': 'true' }, [1, 2])
    await fixture.alterIsr('a', [1])
    await fixture.kill(1)
    const { leader, isr, leaderRecoveryState } = fixture.partition('a')
    assert.deepEqual([leader, isr, leaderRecoveryState], [2, [2], 1])
    assert.equal((await fixture.alterIsr('a', [2])).leaderRecoveryState, 0)
  })
})

const NOTHING = {
  partitionIndex: 0,
  leaderEpoch: 0,
  partitionEpoch: 0,
  newIsr: [],
  newIsrWithEpochs: [],
  leaderRecoveryState: 0,
}

describe('node/metadata/failed-replicas', () => {
  const report = (
    fixture: ControllerFixture,
    brokerId: number,
    reason: 'storage' | 'damaged',
    leaderEpoch = fixture.partition('a').leaderEpoch,
  ) =>
    fixture.complete(
      fixture.controller.reportFailedReplica({
        brokerId,
        brokerEpoch: fixture.broker(brokerId).epoch,
        topicId: fixture.image.topics.get('a')!.id,
        partitionIndex: 0,
        leaderEpoch,
        reason,
      }),
    )

  it('moves a leader whose disk failed, and leaves it out until it registers or catches up', async () => {
    const fixture = await ControllerFixture.start({ brokers: 3 })
    await fixture.create('a', [1, 2, 3])
    assert.equal(await report(fixture, 1, 'storage'), 0)
    assert.deepEqual([fixture.partition('a').leader, fixture.partition('a').isr], [2, [2, 3]])
    await fixture.alterIsr('a', [2])
    await fixture.kill(2)
    await fixture.kill(3)
    assert.equal(fixture.partition('a').leader, -1, 'its broker lives, its replica does not')
    await fixture.join(3)
    assert.equal(fixture.partition('a').leader, -1)
    await fixture.join(2)
    assert.equal(fixture.partition('a').leader, 2)
    assert.equal((await fixture.alterIsr('a', [2, 1])).errorCode, 0)
    await fixture.kill(2)
    assert.equal(fixture.partition('a').leader, 1, 'it had caught up')
  })

  for (const [flush, leader] of [
    ['group', 1],
    ['none', -1],
  ] as const) {
    it(`two disks fail, one after the other, with flush=${flush}: ${leader} leads`, async () => {
      const fixture = await ControllerFixture.start({
        brokers: 3,
        flags: { 'min.insync.replicas': '2', 'flush.policy': flush },
      })
      await fixture.create('a', [1, 2, 3])
      await fixture.alterIsr('a', [1, 2])
      assert.equal(await report(fixture, 1, 'storage'), 0)
      assert.deepEqual([fixture.partition('a').leader, fixture.partition('a').isr], [2, [2]])
      await fixture.kill(1)
      await fixture.join(1)
      assert.equal(fixture.partition('a').leader, 2)
      assert.equal(await report(fixture, 2, 'storage'), 0)
      assert.equal(fixture.partition('a').leader, leader, 'it had all that was acknowledged')
      assert.ok(!fixture.partition('a').eligibleLeaderReplicas.includes(3))
    })
  }

  it('lets a replica whose start cut its end lead when the others are wiped, and not before', async () => {
    const flags = { 'min.insync.replicas': '2' }
    const fixture = await ControllerFixture.start({ brokers: 4, flags })
    await fixture.create('a', [2, 3, 4])
    for (const id of [2, 3, 4]) await fixture.kill(id)
    assert.equal(await fixture.register(3), 0)
    assert.equal(await report(fixture, 3, 'damaged', -1), 0)
    await fixture.unfence(3)
    assert.equal(fixture.partition('a').leader, -1, 'the others have everything')
    await fixture.join(2, { directoryIds: [idOf(902)] })
    assert.equal(fixture.partition('a').leader, -1, 'one of them is left')
    await fixture.join(4, { directoryIds: [idOf(904)] })
    const { leader, isr, leaderRecoveryState } = fixture.partition('a')
    assert.deepEqual(
      { leader, isr, leaderRecoveryState },
      { leader: 3, isr: [3], leaderRecoveryState: 1 },
    )
    assert.equal(fixture.controller.elections.counts.unclean, 1, 'it is told')
  })

  it('keeps the last replica that had everything eligible when its disk fails', async () => {
    const fixture = await ControllerFixture.start({ brokers: 2 })
    await fixture.create('a', [1, 2])
    await fixture.alterIsr('a', [1])
    assert.equal(await report(fixture, 1, 'storage'), 0)
    assert.equal(fixture.partition('a').leader, -1)
    await fixture.join(1)
    assert.equal(fixture.partition('a').leader, 1)
  })

  it('moves a leader with damaged bytes only to one that is in sync', async () => {
    const fixture = await ControllerFixture.start({ brokers: 2 })
    await fixture.create('a', [1, 2])
    assert.equal(await report(fixture, 1, 'damaged'), 0)
    assert.deepEqual([fixture.partition('a').leader, fixture.partition('a').isr], [2, [2]])
    assert.equal(await report(fixture, 2, 'damaged'), 0)
    assert.deepEqual([fixture.partition('a').leader, fixture.partition('a').isr], [2, [2]])
    assert.equal(await report(fixture, 1, 'damaged', 0), 74)
    assert.equal(await report(fixture, 1, 'damaged', 9), 41)
    assert.equal(await report(fixture, 1, 'damaged', -1), 0, 'in whatever epoch')
    assert.equal((await fixture.alterIsr('a', [1, 2])).errorCode, 0, 'repaired')
  })

  it('does not elect one that says it is damaged before one that had everything is back', async () => {
    const fixture = await ControllerFixture.start({
      brokers: 3,
      flags: { 'min.insync.replicas': '2' },
    })
    await fixture.create('a', [1, 2, 3])
    for (const id of [3, 1, 2]) await fixture.kill(id)
    const { leader, eligibleLeaderReplicas } = fixture.partition('a')
    assert.deepEqual([leader, [...eligibleLeaderReplicas].sort()], [-1, [1, 2]])
    await fixture.register(1)
    assert.equal(await report(fixture, 1, 'damaged'), 0)
    await fixture.unfence(1)
    assert.equal(fixture.partition('a').leader, -1)
    await fixture.register(2)
    assert.equal(await report(fixture, 2, 'damaged'), 0, 'heard, and still the best there is')
    await fixture.unfence(2)
    assert.equal(fixture.partition('a').leader, 2)
  })

  it('takes all replicas of a failed directory out of service', async () => {
    const fixture = await ControllerFixture.start({ brokers: 3 })
    await fixture.create('a', [1, 2, 3], [2, 1, 3], [3, 2, 1])
    await fixture.beat(2, { offlineLogDirs: fixture.broker(2).registration.directoryIds.slice() })
    for (const index of [0, 1, 2]) {
      const { leader, isr } = fixture.partition('a', index)
      assert.deepEqual([leader !== 2, [...isr].sort()], [true, [1, 3]])
    }
    const { offset } = fixture.image
    await fixture.beat(2, { offlineLogDirs: fixture.broker(2).registration.directoryIds.slice() })
    assert.equal(fixture.image.offset, offset, 'said once is enough')
  })
})
