import assert from 'node:assert/strict'
import { ControllerFixture } from './controller-fixture.ts'

const elect = async (
  fixture: ControllerFixture,
  electionType: number,
  topicPartitions: { topic: string; partitions: number[] }[] | null,
) => {
  const request = { electionType, topicPartitions, timeoutMs: 1000 }
  const answer = await fixture.complete(fixture.controller.electLeaders(undefined, request))
  return [
    answer.errorCode,
    ...answer.replicaElectionResults.flatMap(({ topic, partitionResult }) =>
      partitionResult.map(({ partitionId, errorCode }) => `${topic}-${partitionId}:${errorCode}`),
    ),
  ]
}

/** Two partitions of which broker 1 should lead the first and lost it. */
async function unbalanced(flags: Record<string, string> = {}): Promise<ControllerFixture> {
  const fixture = await ControllerFixture.start({ brokers: 2, flags })
  await fixture.create('a', [1, 2], [2, 1])
  await fixture.kill(1)
  await fixture.join(1)
  await fixture.alterIsr('a', [1, 2], { index: 0 })
  assert.equal(fixture.partition('a', 0).leader, 2)
  return fixture
}

describe('node/metadata/elections', () => {
  it('gives partitions back to their preferred leaders by request', async () => {
    const fixture = await unbalanced()
    assert.deepEqual(await elect(fixture, 0, [{ topic: 'a', partitions: [0, 1, 2] }]), [
      0,
      'a-0:0',
      'a-1:84',
      'a-2:3',
    ])
    assert.deepEqual([fixture.partition('a').leader, fixture.partition('a').leaderEpoch], [1, 2])
    assert.deepEqual(await elect(fixture, 0, [{ topic: 'x', partitions: [0] }]), [0, 'x-0:3'])
    assert.deepEqual(await elect(fixture, 7, null), [42])
  })

  it('takes no partitions for all that need it', async () => {
    const fixture = await unbalanced()
    assert.deepEqual(await elect(fixture, 0, null), [0, 'a-0:0'])
    assert.deepEqual(await elect(fixture, 0, null), [0])
  })

  it('does not elect a preferred leader that is out of sync', async () => {
    const fixture = await unbalanced()
    await fixture.alterIsr('a', [2])
    assert.deepEqual(await elect(fixture, 0, null), [0, 'a-0:80'])
  })

  it('elects any replica by request, where there is no other leader', async () => {
    const fixture = await ControllerFixture.start({ brokers: 2 })
    await fixture.create('a', [1, 2])
    await fixture.alterIsr('a', [1])
    assert.deepEqual(await elect(fixture, 1, [{ topic: 'a', partitions: [0] }]), [0, 'a-0:84'])
    await fixture.kill(1)
    assert.equal(fixture.partition('a').leader, -1)
    assert.deepEqual(await elect(fixture, 1, [{ topic: 'a', partitions: [0] }]), [0, 'a-0:0'])
    assert.deepEqual([fixture.partition('a').leader, fixture.partition('a').isr], [2, [2]])
    await fixture.kill(2)
    assert.deepEqual(await elect(fixture, 1, null), [0, 'a-0:83'])
  })

  it('restores preferred leaders from time to time', async () => {
    const fixture = await unbalanced({ 'leader.imbalance.check.interval.seconds': '5' })
    await fixture.scheduler.runFor(6000)
    assert.equal(fixture.partition('a').leader, 1)
    const off = await unbalanced({
      'leader.imbalance.check.interval.seconds': '5',
      'auto.leader.rebalance.enable': 'false',
    })
    await off.scheduler.runFor(6000)
    assert.equal(off.partition('a').leader, 2)
  })

  it('elects as soon as a topic allows what it did not allow before', async () => {
    const fixture = await ControllerFixture.start({ brokers: 2 })
    await fixture.create('a', [1, 2])
    await fixture.alterIsr('a', [1])
    await fixture.kill(1)
    const configs = [{ name: 'unclean.leader.election.enable', configOperation: 0, value: 'true' }]
    const request = {
      resources: [{ resourceType: 2, resourceName: 'a', configs }],
      validateOnly: false,
    }
    await fixture.complete(fixture.controller.incrementalAlterConfigs(undefined, request))
    await fixture.settle()
    assert.equal(fixture.partition('a').leader, 2)
  })

  it('forgets who was eligible with the change that lets fewer acknowledge', async () => {
    const fixture = await ControllerFixture.start({ brokers: 2 })
    await fixture.createWith('a', { 'min.insync.replicas': '2' }, [1, 2])
    await fixture.alterIsr('a', [1])
    assert.deepEqual(fixture.partition('a').eligibleLeaderReplicas, [2])
    const configs = [{ name: 'min.insync.replicas', configOperation: 0, value: '1' }]
    const request = {
      resources: [{ resourceType: 2, resourceName: 'a', configs }],
      validateOnly: false,
    }
    await fixture.complete(fixture.controller.incrementalAlterConfigs(undefined, request))
    const [last] = fixture.quorum.batches.slice(-1)
    assert.deepEqual(
      last!.map(({ type }) => type),
      ['ConfigRecord', 'PartitionChangeRecord'],
      'in one batch',
    )
    assert.deepEqual(fixture.partition('a').eligibleLeaderReplicas, [])
  })

  it('counts elections by their reason', async () => {
    const fixture = await unbalanced()
    const { counts } = fixture.controller.elections
    assert.deepEqual({ ...counts }, { preferred: 0, failover: 1, reassign: 0, unclean: 0 })
    await elect(fixture, 0, null)
    assert.equal(counts.preferred, 1)
    await fixture.alterIsr('a', [1])
    await fixture.kill(1)
    await elect(fixture, 1, null)
    assert.equal(counts.unclean, 1)
    await fixture.join(3)
    await fixture.complete(
      fixture.controller.alterPartitionReassignments(undefined, {
        timeoutMs: 1000,
        allowReplicationFactorChange: true,
        topics: [{ name: 'a', partitions: [{ partitionIndex: 1, replicas: [3] }] }],
      }),
    )
    await fixture.alterIsr('a', [2, 3], { index: 1 })
    assert.deepEqual({ ...counts }, { preferred: 1, failover: 1, reassign: 1, unclean: 1 })
  })
})
