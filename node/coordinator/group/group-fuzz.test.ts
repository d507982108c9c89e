import assert from 'node:assert/strict'
import { SimRandom } from '../../../base/sim/random.ts'
import { context, GroupWorld, subscription } from './group-world.ts'

const ROUNDS = 1500

/** Requests that no sane client sends, in any order, with ids that it learned of others. */
async function torment(seed: number): Promise<void> {
  const random = new SimRandom(`group fuzz ${seed}`)
  const w = new GroupWorld({ sizeMax: 4, seed: `fuzz ${seed}`, newMemberTimeoutMs: 20_000 })
  await w.lead()
  const ids = new Set([''])
  const answers: Promise<unknown>[] = []
  const pick = <T>(from: readonly T[]): T => from[random.below(from.length)]!
  const groupId = () => pick(['group', 'group', 'other', ''])
  const memberId = () => pick([...ids, 'nobody'])
  const instanceId = () => pick([null, null, 'i1', 'i2'])
  const version = () => random.below(10)
  const generation = () =>
    pick([-1, 0, 1, 2, w.coordinator.groupSnapshot('group')?.generation ?? 3])
  const protocols = () =>
    pick([['a'], ['a', 'b'], ['b', 'a'], ['c'], []]).map((name) => ({
      name,
      metadata: pick([subscription('orders'), random.bytes(5)]),
    }))
  const requests: (() => Promise<unknown>)[] = [
    async () => {
      const joined = await w.join({
        groupId: groupId(),
        memberId: memberId(),
        groupInstanceId: instanceId(),
        protocolType: pick(['consumer', 'consumer', 'connect', '']),
        protocols: protocols(),
        sessionTimeoutMs: pick([6000, 10_000, 5]),
        rebalanceTimeoutMs: pick([-1, 0, 5000]),
        apiVersion: version(),
      })
      ids.add(joined.memberId)
    },
    () =>
      w.coordinator.syncGroup(context(5), {
        groupId: groupId(),
        generationId: generation(),
        memberId: memberId(),
        groupInstanceId: instanceId(),
        protocolType: pick([null, 'consumer']),
        protocolName: pick([null, 'a', 'b']),
        assignments: [{ memberId: memberId(), assignment: random.bytes(4) }],
      }),
    () =>
      w.coordinator.heartbeat(context(4), {
        groupId: groupId(),
        generationId: generation(),
        memberId: memberId(),
        groupInstanceId: instanceId(),
      }),
    () => w.leave({ memberId: memberId(), groupInstanceId: instanceId() }),
    () =>
      w.commit(random.below(100), {
        groupId: groupId(),
        memberId: memberId(),
        groupInstanceId: instanceId(),
        generationIdOrMemberEpoch: generation(),
        topic: pick(['orders', 'clicks']),
      }),
    () => w.offsets(groupId()),
    async () => {
      const { members } = await w.describe()
      for (const member of members) ids.add(member.memberId)
    },
    () => w.coordinator.deleteGroups(context(2), { groupsNames: [groupId(), groupId()] }),
    () =>
      w.coordinator.offsetDelete(context(0), {
        groupId: groupId(),
        topics: [{ name: 'orders', partitions: [{ partitionIndex: 0 }] }],
      }),
  ]
  for (let round = 0; round < ROUNDS; round++) {
    answers.push(pick(requests)())
    if (random.below(4) === 0) await w.scheduler.runFor(random.below(2000))
    if (random.below(200) === 0) await w.lead()
    if (random.below(100) === 0) w.logs[0]!.nextAppendError = 56
  }
  await w.scheduler.runFor(100_000)
  await w.scheduler.complete(Promise.all(answers), 1)
  const group = w.coordinator.groupSnapshot('group')
  assert.ok(group === undefined || group.members.length === 0, 'all are timed out')
}

describe('a group among clients that do what they like', () => {
  for (let seed = 1; seed <= 12; seed++) {
    it(`answers every request, with seed ${seed}`, () => torment(seed))
  }
})
