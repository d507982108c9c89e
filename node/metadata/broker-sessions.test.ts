import assert from 'node:assert/strict'
import { StorageError } from '../../base/errors.ts'
import { ControllerFixture } from './controller-fixture.ts'
import { NotLeaderError } from './quorum.ts'
import { idOf } from './testing.ts'

const leadership = (fixture: ControllerFixture, name: string, index = 0) => {
  const { leader, leaderEpoch, isr } = fixture.partition(name, index)
  return { leader, leaderEpoch, isr: [...isr].sort() }
}

describe('node/metadata/broker-sessions', () => {
  it('gives a cluster its id and features with the first leader', async () => {
    const { image } = await ControllerFixture.start()
    assert.equal(image.clusterId, 'the-cluster')
    assert.equal(image.features.get('metadata.version'), 30)
    assert.equal(image.features.get('eligible.leader.replicas.version'), 1)
  })

  it('registers a broker fenced, under the offset of its record, and once an incarnation', async () => {
    const fixture = await ControllerFixture.start({ brokers: 1 })
    const before = fixture.quorum.nextOffset
    assert.equal(await fixture.register(2), 0)
    const broker = fixture.image.brokers.get(2)!
    assert.deepEqual([broker.epoch, broker.isFenced], [before, true])
    assert.equal(await fixture.register(2, { incarnationId: broker.incarnationId }), 0)
    assert.equal(fixture.broker(2).epoch, broker.epoch)
    assert.equal(fixture.quorum.nextOffset, before + 1)
  })

  it('unfences a broker when it has applied its own registration, not before', async () => {
    const fixture = await ControllerFixture.start({ brokers: 1 })
    await fixture.register(2)
    const { epoch } = fixture.broker(2)
    const early = await fixture.beat(2, { currentMetadataOffset: epoch - 1 })
    assert.deepEqual([early.isCaughtUp, early.isFenced], [false, true])
    const waiting = await fixture.beat(2, { wantFence: true })
    assert.deepEqual([waiting.isCaughtUp, waiting.isFenced], [true, true])
    const late = await fixture.beat(2)
    assert.deepEqual([late.isCaughtUp, late.isFenced], [true, false])
    const stale = await fixture.beat(2, { brokerEpoch: epoch - 1 })
    assert.equal(stale.errorCode, 77)
  })

  it('refuses who does not belong to the cluster, or takes the place of one that lives', async () => {
    const fixture = await ControllerFixture.start({ brokers: 2 })
    assert.equal(await fixture.register(3, { clusterId: 'another' }), 104)
    assert.equal(await fixture.register(3, { directoryIds: [idOf(101)] }), 119)
    assert.equal(await fixture.register(3, { directoryIds: [] }), 119)
    // Started twice, with other directories.
    const twin = { incarnationId: idOf(5), directoryIds: [idOf(55)] }
    assert.equal(await fixture.register(2, twin), 101)
    fixture.silence(2)
    await fixture.scheduler.runFor(1500)
    assert.equal(await fixture.register(2, twin), 0)
  })

  it('takes a restart for what it is, also within the session', async () => {
    const fixture = await ControllerFixture.start({ brokers: 3 })
    await fixture.create('a', [2, 1, 3])
    await fixture.join(2)
    assert.deepEqual(leadership(fixture, 'a'), { leader: 1, leaderEpoch: 1, isr: [1, 3] })
  })

  it('fences who is silent for 1.2 seconds, and moves what it led', async () => {
    const fixture = await ControllerFixture.start({ brokers: 3 })
    await fixture.create('a', [2, 3, 1], [1, 2, 3])
    await fixture.create('sole', [2])
    fixture.silence(2)
    await fixture.scheduler.runFor(950)
    assert.equal(fixture.image.brokers.get(2)!.isFenced, false)
    await fixture.scheduler.runFor(400)
    assert.equal(fixture.image.brokers.get(2)!.isFenced, true)
    assert.deepEqual(leadership(fixture, 'a', 0), { leader: 3, leaderEpoch: 1, isr: [1, 3] })
    assert.deepEqual(leadership(fixture, 'a', 1), { leader: 1, leaderEpoch: 0, isr: [1, 3] })
    // Nobody else could lead it: nothing is written, and it leads on when it is back.
    assert.deepEqual(leadership(fixture, 'sole'), { leader: 2, leaderEpoch: 0, isr: [2] })
  })

  it('does not believe a heartbeat of a loop that stands still', async () => {
    const fixture = await ControllerFixture.start({ brokers: 2 })
    fixture.silence(2)
    const broker = fixture.broker(2)
    for (let beat = 0; beat < 10; beat++) {
      broker.progress--
      await fixture.beat(2)
      await fixture.scheduler.runFor(150)
    }
    assert.equal(fixture.image.brokers.get(2)!.isFenced, true)
  })

  it('fences at once on proof of death, and forgets the proof with the next registration', async () => {
    const fixture = await ControllerFixture.start({ brokers: 3 })
    await fixture.create('a', [2, 3, 1])
    const atMs = fixture.scheduler.nowMs
    await fixture.kill(2)
    assert.ok(fixture.scheduler.nowMs - atMs < 100)
    assert.deepEqual(leadership(fixture, 'a'), { leader: 3, leaderEpoch: 1, isr: [1, 3] })
    await fixture.join(2)
    assert.equal(fixture.image.brokers.get(2)!.isFenced, false)
    assert.equal((await fixture.alterIsr('a', [1, 2, 3])).errorCode, 0)
  })

  it('gives each broker a whole session when it takes over, but not the dead', async () => {
    const fixture = await ControllerFixture.start({ brokers: 3 })
    await fixture.create('a', [2, 3, 1], [3, 2, 1])
    fixture.quorum.resign()
    await assert.rejects(fixture.beat(2), NotLeaderError)
    fixture.silence(2)
    fixture.silence(3)
    fixture.controller.nodeIsDead(3)
    await fixture.scheduler.runFor(5000)
    fixture.quorum.lead()
    await fixture.settle()
    assert.equal(fixture.image.brokers.get(3)!.isFenced, true, 'it was known to be dead')
    assert.equal(fixture.image.brokers.get(2)!.isFenced, false)
    await fixture.scheduler.runFor(1400)
    assert.equal(fixture.image.brokers.get(2)!.isFenced, true)
  })

  it('finishes what the controller before it left undone', async () => {
    const fixture = await ControllerFixture.start({ brokers: 3 })
    await fixture.create('a', [2, 3, 1])
    const { epoch } = fixture.image.brokers.get(2)!
    fixture.silence(2)
    // Fenced, and the controller is gone before the change of the partition is written.
    await fixture.complete(fixture.quorum.propose([{ type: 'FenceBrokerRecord', id: 2, epoch }]))
    fixture.quorum.resign()
    fixture.quorum.lead()
    await fixture.settle()
    assert.deepEqual(leadership(fixture, 'a'), { leader: 3, leaderEpoch: 1, isr: [1, 3] })
  })

  it('tries again what the disk did not take', async () => {
    const fixture = new ControllerFixture({ seed: 3 })
    let refusals = 2
    fixture.quorum.onPropose = () => {
      if (refusals-- > 0) throw new StorageError('ENOSPC', '/data', 'write')
    }
    fixture.controller.start()
    fixture.quorum.lead()
    await fixture.scheduler.runFor(500)
    assert.equal(fixture.image.clusterId, 'the-cluster')
    for (const id of [1, 2, 3]) await fixture.join(id)
    await fixture.create('a', [2, 3, 1])
    refusals = 3
    await fixture.kill(2)
    await fixture.scheduler.runFor(500)
    assert.deepEqual(leadership(fixture, 'a'), { leader: 3, leaderEpoch: 1, isr: [1, 3] })
  })

  it('moves the leaderships of a broker that goes, then lets it', async () => {
    const fixture = await ControllerFixture.start({ brokers: 3 })
    await fixture.create('a', [2, 3, 1], [1, 2, 3])
    fixture.broker(2).wantsShutdown = true
    const answer = await fixture.beat(2)
    assert.equal(answer.shouldShutDown, false, 'the others have to know first')
    assert.deepEqual(leadership(fixture, 'a', 0), { leader: 3, leaderEpoch: 1, isr: [1, 3] })
    assert.deepEqual(leadership(fixture, 'a', 1), { leader: 1, leaderEpoch: 0, isr: [1, 3] })
    assert.equal(fixture.image.brokers.get(2)!.isFenced, false, 'clients still reach it')
    assert.equal((await fixture.alterIsr('a', [1, 2, 3])).errorCode, 107)
    await fixture.scheduler.runUntil(() => fixture.broker(2).mayShutDown, 1000)
    assert.equal(fixture.image.brokers.get(2)!.isFenced, true)
    await fixture.join(2)
    assert.equal(fixture.image.brokers.get(2)!.isInControlledShutdown, false)
  })

  it('lets no broker go that may still answer for what it led', async () => {
    const fixture = await ControllerFixture.start({ brokers: 3 })
    await fixture.create('a', [2, 3])
    fixture.silence(2)
    const { offset } = fixture.image
    const leave = (currentMetadataOffset: number) =>
      fixture.beat(2, { wantShutDown: true, currentMetadataOffset })
    await leave(offset)
    assert.equal(leadership(fixture, 'a').leader, 3)
    for (let turn = 0; turn < 10; turn++) {
      await fixture.scheduler.runFor(100)
      const answer = await leave(offset)
      assert.equal(answer.shouldShutDown, false, 'its image still says that it leads')
      assert.equal(answer.isFenced, false, 'or its successor would not wait for its lease')
    }
    const answer = await leave(fixture.image.offset)
    assert.deepEqual([answer.shouldShutDown, answer.isFenced], [true, true])
  })

  it('keeps a broker that goes until somebody can take over', async () => {
    const fixture = await ControllerFixture.start({ brokers: 2 })
    await fixture.create('a', [2, 1])
    assert.equal((await fixture.alterIsr('a', [2])).errorCode, 0)
    fixture.broker(2).wantsShutdown = true
    await fixture.beat(2)
    await fixture.scheduler.runFor(2000)
    assert.equal(fixture.broker(2).mayShutDown, false)
    assert.equal(leadership(fixture, 'a').leader, 2)
    // The follower has caught up: it takes over with the change of the ISR.
    assert.equal((await fixture.alterIsr('a', [1, 2])).errorCode, 108)
    assert.deepEqual(leadership(fixture, 'a'), { leader: 1, leaderEpoch: 1, isr: [1] })
    await fixture.scheduler.runUntil(() => fixture.broker(2).mayShutDown, 1000)
  })

  it('keeps a broker that goes in an ISR that would be too small without it', async () => {
    const flags = { 'min.insync.replicas': '2' }
    const fixture = await ControllerFixture.start({ brokers: 3, flags })
    await fixture.create('a', [1, 2, 3])
    await fixture.kill(3)
    await fixture.join(3)
    assert.deepEqual(leadership(fixture, 'a').isr, [1, 2])
    fixture.broker(2).wantsShutdown = true
    await fixture.beat(2)
    await fixture.scheduler.runFor(1000)
    assert.deepEqual(leadership(fixture, 'a').isr, [1, 2])
    assert.equal(fixture.broker(2).mayShutDown, false, 'broker 3 may be in sync soon')
    assert.equal((await fixture.alterIsr('a', [1, 2, 3])).errorCode, 0)
    assert.deepEqual(leadership(fixture, 'a').isr, [1, 3])
    await fixture.scheduler.runUntil(() => fixture.broker(2).mayShutDown, 1000)
    // Nobody else can come: there is nothing to wait for.
    fixture.broker(1).wantsShutdown = true
    await fixture.beat(1)
    await fixture.scheduler.runUntil(() => fixture.broker(1).mayShutDown, 1000)
  })

  it('lets the last broker go without a word', async () => {
    const fixture = await ControllerFixture.start({ brokers: 1 })
    await fixture.create('a', [1])
    const { offset } = fixture.image
    const answer = await fixture.beat(1, { wantShutDown: true })
    assert.equal(answer.shouldShutDown, true)
    assert.equal(fixture.image.offset, offset)
  })

  it('writes nothing for partitions when a broker that is alone starts again', async () => {
    const fixture = await ControllerFixture.start({ brokers: 1 })
    await fixture.create('a', ...Array.from({ length: 50 }, () => [1]))
    const { offset } = fixture.image
    await fixture.join(1)
    assert.equal(fixture.image.offset, offset + 2, 'a registration and the end of its fence')
    assert.deepEqual(leadership(fixture, 'a', 7), { leader: 1, leaderEpoch: 0, isr: [1] })
  })

  it('gives a new epoch where a restart may have lost what consumers saw', async () => {
    const fixture = await ControllerFixture.start({ brokers: 1 })
    await fixture.createWith('a', { flush: 'none' }, [1])
    await fixture.join(1)
    assert.equal(leadership(fixture, 'a').leader, 1)
    assert.ok(leadership(fixture, 'a').leaderEpoch > 0)
  })

  it('does not elect a replica whose directory is gone', async () => {
    const fixture = await ControllerFixture.start({ brokers: 2 })
    await fixture.create('a', [2])
    await fixture.create('b', [1, 2])
    await fixture.kill(2)
    await fixture.join(2, { directoryIds: [idOf(222)] })
    const { leader, isr, eligibleLeaderReplicas, directories } = fixture.partition('a')
    assert.deepEqual([leader, isr, eligibleLeaderReplicas], [-1, [], []])
    assert.deepEqual(directories, [idOf(222)])
    assert.deepEqual(leadership(fixture, 'b').isr, [1])
    const elected = await fixture.complete(
      fixture.controller.electLeaders(undefined, {
        electionType: 1,
        topicPartitions: [{ topic: 'a', partitions: [0] }],
        timeoutMs: 1000,
      }),
    )
    assert.equal(elected.replicaElectionResults[0]!.partitionResult[0]!.errorCode, 0)
    assert.equal(fixture.partition('a').leaderRecoveryState, 1)
  })

  it('unregisters a broker', async () => {
    const fixture = await ControllerFixture.start({ brokers: 3 })
    await fixture.create('a', [3, 1, 2])
    await fixture.kill(3)
    const remove = () =>
      fixture.complete(fixture.controller.unregisterBroker(undefined, { brokerId: 3 }))
    assert.equal((await remove()).errorCode, 0)
    assert.equal(fixture.image.brokers.has(3), false)
    assert.deepEqual(await remove(), {
      errorCode: 102,
      errorMessage: 'There is no broker 3',
    })
  })

  it('fences, elects and registers thousands of partitions in portions', async () => {
    const fixture = await ControllerFixture.start({ brokers: 3 })
    const assignments = Array.from({ length: 9_000 }, (_, at) => (at % 2 ? [2, 1] : [2, 3]))
    await fixture.create('a', ...assignments)
    await fixture.kill(2)
    await fixture.scheduler.runFor(200)
    for (const { leader, isr } of fixture.image.topics.get('a')!.partitions) {
      assert.ok(leader === 1 || leader === 3)
      assert.deepEqual(isr, [leader])
    }
    for (const batch of fixture.quorum.batches.slice(-3)) assert.ok(batch.length <= 9_001)
    await fixture.join(2)
    assert.equal(fixture.image.brokers.get(2)!.isFenced, false)
  })
})
