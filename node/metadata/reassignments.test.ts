import assert from 'node:assert/strict'
import { ControllerFixture } from './controller-fixture.ts'

const move = async (
  fixture: ControllerFixture,
  replicas: number[] | null,
  more: { name?: string; index?: number; mayResize?: boolean } = {},
) => {
  const answer = await fixture.complete(
    fixture.controller.alterPartitionReassignments(undefined, {
      timeoutMs: 1000,
      allowReplicationFactorChange: more.mayResize ?? true,
      topics: [
        {
          name: more.name ?? 'a',
          partitions: [{ partitionIndex: more.index ?? 0, replicas }],
        },
      ],
    }),
  )
  return answer.responses[0]!.partitions[0]!.errorCode
}

const underWay = async (fixture: ControllerFixture, name?: string, indexes: number[] = [0]) => {
  const topics = name === undefined ? null : [{ name, partitionIndexes: indexes }]
  const request = { timeoutMs: 1000, topics }
  const { listPartitionReassignments: list } = fixture.controller
  const answer = await fixture.complete(list.call(fixture.controller, undefined, request))
  return answer.topics.flatMap(({ partitions }) =>
    partitions.map(
      (one) => `${one.replicas} adding ${one.addingReplicas} removing ${one.removingReplicas}`,
    ),
  )
}

async function cluster(): Promise<ControllerFixture> {
  const fixture = await ControllerFixture.start({ brokers: 5 })
  await fixture.create('a', [1, 2, 3])
  return fixture
}

describe('node/metadata/reassignments', () => {
  it('adds, waits until they are in sync, then removes', async () => {
    const fixture = await cluster()
    assert.equal(await move(fixture, [4, 5, 3]), 0)
    assert.deepEqual(await underWay(fixture), ['4,5,3,1,2 adding 4,5 removing 1,2'])
    assert.deepEqual(await underWay(fixture, 'a'), ['4,5,3,1,2 adding 4,5 removing 1,2'])
    assert.deepEqual(await underWay(fixture, 'a', [1]), [])
    assert.deepEqual(await underWay(fixture, 'b'), [])
    assert.deepEqual([fixture.partition('a').leader, fixture.partition('a').leaderEpoch], [1, 0])
    assert.equal((await fixture.alterIsr('a', [1, 2, 3, 4])).errorCode, 0)
    const last = await fixture.alterIsr('a', [1, 2, 3, 4, 5])
    assert.equal(last.errorCode, 108, 'another leads from now on')
    const { replicas, isr, leader, leaderEpoch } = fixture.partition('a')
    assert.deepEqual([replicas, [...isr].sort(), leader, leaderEpoch], [[4, 5, 3], [3, 4, 5], 4, 1])
    assert.deepEqual(await underWay(fixture), [])
  })

  it('changes the order, and the number of replicas', async () => {
    const fixture = await cluster()
    assert.equal(await move(fixture, [3, 2, 1]), 0)
    assert.deepEqual(fixture.partition('a').replicas, [3, 2, 1])
    assert.equal(fixture.partition('a').leader, 1, 'an election is another request')
    assert.equal(await move(fixture, [1]), 0)
    const { replicas, isr, leaderEpoch } = fixture.partition('a')
    assert.deepEqual([replicas, isr, leaderEpoch], [[1], [1], 1])
    assert.equal(await move(fixture, [1, 2], { mayResize: false }), 38)
    assert.equal(await move(fixture, [1, 2]), 0)
    assert.deepEqual(await underWay(fixture), ['1,2 adding 2 removing '])
  })

  it('cancels, and begins anew from the replicas that were there', async () => {
    const fixture = await cluster()
    assert.equal(await move(fixture, null), 85)
    await move(fixture, [4, 5, 3])
    await fixture.alterIsr('a', [1, 2, 3, 4])
    assert.equal(await move(fixture, null), 0)
    const { replicas, isr } = fixture.partition('a')
    assert.deepEqual(
      [[...replicas].sort(), [...isr].sort()],
      [
        [1, 2, 3],
        [1, 2, 3],
      ],
    )
    assert.deepEqual(await underWay(fixture), [])
    await move(fixture, [4, 5, 3])
    assert.equal(await move(fixture, [1, 2, 5]), 0)
    assert.deepEqual(await underWay(fixture), ['1,2,5,3 adding 5 removing 3'])
  })

  it('does not cancel when none of those before could lead', async () => {
    const fixture = await cluster()
    await move(fixture, [4, 5])
    await fixture.alterIsr('a', [1, 4])
    await fixture.kill(1)
    await fixture.kill(2)
    await fixture.kill(3)
    assert.equal(fixture.partition('a').leader, 4)
    assert.equal(await move(fixture, null), 39)
    assert.equal(fixture.partition('a').leader, 4)
  })

  it('refuses what can not be', async () => {
    const fixture = await cluster()
    assert.equal(await move(fixture, [1, 2], { name: 'x' }), 3)
    assert.equal(await move(fixture, [1, 2], { index: 1 }), 3)
    assert.equal(await move(fixture, []), 39)
    assert.equal(await move(fixture, [1, 1]), 39)
    assert.equal(await move(fixture, [1, 9]), 39)
    assert.equal(await move(fixture, [1, -2]), 39)
  })
})
