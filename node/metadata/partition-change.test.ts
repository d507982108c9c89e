import assert from 'node:assert/strict'
import type { PartitionImage } from './image.ts'
import {
  changedPartition,
  changePartition,
  type PartitionRules,
  type PartitionTarget,
} from './partition-change.ts'

const partition = (more: Partial<PartitionImage> = {}): PartitionImage => ({
  index: 0,
  replicas: [1, 2, 3],
  isr: [1, 2, 3],
  removingReplicas: [],
  addingReplicas: [],
  leader: 1,
  leaderRecoveryState: 0,
  leaderEpoch: 5,
  partitionEpoch: 9,
  directories: ['d1', 'd2', 'd3'],
  eligibleLeaderReplicas: [],
  lastKnownElr: [],
  ...more,
})

interface Rules extends Partial<PartitionRules> {
  readonly active?: readonly number[]
  /** Serving, but not active. */
  readonly leaving?: readonly number[]
}

const after = (before: PartitionImage, target: PartitionTarget, more: Rules = {}) => {
  const { active = [1, 2, 3, 4, 5], leaving = [], ...rest } = more
  const record = changePartition('id', before, target, {
    isActive: (_partition, id) => active.includes(id),
    isServing: (_partition, id) => active.includes(id) || leaving.includes(id),
    directoryOf: (id) => `d${id}`,
    isElrEnabled: true,
    minInsyncReplicas: 2,
    isUncleanAllowed: false,
    isDurable: true,
    isRegistered: () => true,
    ...rest,
  })
  return record === undefined ? before : changedPartition(before, record)
}

const brief = ({
  leader,
  isr,
  eligibleLeaderReplicas,
  lastKnownElr,
  leaderEpoch,
}: PartitionImage) =>
  `leader ${leader}.${leaderEpoch} isr ${isr} elr ${eligibleLeaderReplicas} last ${lastKnownElr}`

describe('node/metadata/partition-change', () => {
  it('changes nothing where all is well', () => {
    const before = partition()
    assert.equal(after(before, {}), before)
    assert.equal(after(before, { isr: [3, 2, 1] }), before, 'an ISR has no order')
  })

  it('elects from the ISR, in the order of the replicas', () => {
    const before = partition({ replicas: [1, 3, 2] })
    assert.equal(brief(after(before, {}, { active: [2, 3] })), 'leader 3.6 isr 2,3 elr  last ')
    assert.equal(brief(after(before, {}, { active: [2] })), 'leader 2.6 isr 2 elr 1,3 last ')
  })

  it('shrinks and grows the ISR without a new leader epoch', () => {
    const shrunk = after(partition(), { isr: [1, 2] })
    assert.equal(brief(shrunk), 'leader 1.5 isr 1,2 elr  last ')
    assert.equal(shrunk.partitionEpoch, 10)
    assert.equal(brief(after(shrunk, { isr: [1, 2, 3] })), 'leader 1.5 isr 1,2,3 elr  last ')
  })

  it('keeps eligible who leaves an ISR that gets too small (KIP-966)', () => {
    const one = after(partition(), { isr: [1] })
    assert.equal(brief(one), 'leader 1.5 isr 1 elr 2,3 last ')
    const none = after(one, {}, { active: [] })
    assert.equal(brief(none), 'leader -1.6 isr  elr 2,3,1 last 1')
    const elected = after(none, {}, { active: [3] })
    assert.equal(brief(elected), 'leader 3.7 isr 3 elr 2,1 last ')
    const whole = after(elected, { isr: [3, 2] })
    assert.equal(brief(whole), 'leader 3.7 isr 3,2 elr  last ')
    // At the least size that producers accept, those outside may lack acknowledged records.
    const two = after(partition(), { isr: [1, 2] })
    assert.equal(brief(after(two, { isr: [1] })), 'leader 1.5 isr 1 elr 2 last ')
  })

  it('forgets an ELR when the one elected from it suffices', () => {
    const rules = { minInsyncReplicas: 1 }
    const none = partition({ isr: [], leader: -1, eligibleLeaderReplicas: [1, 2] })
    const elected = after(none, {}, { ...rules, active: [2] })
    assert.equal(brief(elected), 'leader 2.6 isr 2 elr  last ')
  })

  it('forgets an ELR when a smaller ISR suffices', () => {
    const one = after(partition(), { isr: [1] })
    const lowered = after(one, {}, { minInsyncReplicas: 1 })
    assert.equal(brief(lowered), 'leader 1.5 isr 1 elr  last ')
  })

  it('keeps the last of the ISR where there is no ELR', () => {
    const none = after(partition(), {}, { active: [], isElrEnabled: false })
    assert.equal(brief(none), 'leader -1.6 isr 1,2,3 elr  last ')
    const back = after(none, {}, { active: [2], isElrEnabled: false })
    assert.equal(brief(back), 'leader 2.7 isr 2 elr  last ')
  })

  it('keeps the leader of a partition with one replica, whatever becomes of its broker', () => {
    const sole = partition({ replicas: [1], isr: [1], directories: ['d1'] })
    assert.equal(after(sole, {}, { active: [] }), sole)
    const unsafe = after(sole, {}, { active: [], isDurable: false })
    assert.equal(brief(unsafe), 'leader -1.6 isr  elr 1 last 1')
    const back = after(unsafe, {}, { active: [1], isDurable: false })
    assert.equal(brief(back), 'leader 1.7 isr 1 elr  last ')
  })

  it('keeps a leader that is about to go until there is another', () => {
    const alone = after(partition(), { isr: [1] }, { active: [2, 3], leaving: [1] })
    assert.equal(brief(alone), 'leader 1.5 isr 1 elr 2,3 last ')
    const caught = after(alone, { isr: [1, 3] }, { active: [2, 3], leaving: [1] })
    assert.equal(brief(caught), 'leader 3.6 isr 1,3 elr  last ', 'one alone would not suffice')
    const enough = after(caught, { isr: [1, 3, 2] }, { active: [2, 3], leaving: [1] })
    assert.equal(brief(enough), 'leader 3.6 isr 3,2 elr  last ')
    const gone = after(caught, {}, { active: [2, 3] })
    assert.equal(brief(gone), 'leader 3.6 isr 3 elr 1 last ')
  })

  it('elects any replica only where that is allowed, and marks it', () => {
    const dead = partition({ isr: [1], leader: 1 })
    const none = after(dead, {}, { active: [2, 3], minInsyncReplicas: 1 })
    assert.equal(brief(none), 'leader -1.6 isr  elr 1 last 1')
    const unclean = after(none, {}, { active: [2, 3], isUncleanAllowed: true })
    assert.equal(brief(unclean), 'leader 2.7 isr 2 elr  last ')
    assert.equal(unclean.leaderRecoveryState, 1)
    const asked = after(none, { election: 'unclean' }, { active: [3] })
    assert.equal(brief(asked), 'leader 3.7 isr 3 elr  last ')
    assert.equal(after(asked, { leaderRecoveryState: 0 }).leaderRecoveryState, 0)
  })

  it('takes out who may have lost something, and lets the last leader lead again', () => {
    const uncertain = (id: number) => ({ uncertain: new Set([id]) })
    const one = after(partition(), { isr: [1] })
    const down = after(one, {}, { active: [] })
    const less = after(after(down, uncertain(2), { active: [] }), uncertain(3), { active: [] })
    assert.equal(brief(less), 'leader -1.6 isr  elr 1 last 1')
    const nobody = after(less, uncertain(1), { active: [] })
    assert.equal(brief(nobody), 'leader -1.6 isr  elr  last 1')
    assert.equal(after(nobody, {}, { active: [2, 3] }), nobody)
    const back = after(nobody, {}, { active: [1, 2, 3] })
    assert.equal(brief(back), 'leader 1.7 isr 1 elr  last ')
    assert.equal(back.leaderRecoveryState, 1)
    const lost = after(nobody, { lost: new Set([1]) }, { active: [] })
    assert.equal(brief(lost), 'leader -1.6 isr  elr  last ')
    assert.equal(after(lost, {}, { active: [1, 2, 3] }), lost)
  })

  it('has who is in doubt as a last resort, when all others are lost', () => {
    const doubtful = (id: number) => ({ doubtful: new Set([id]) })
    const lost = (id: number) => ({ lost: new Set([id]) })
    const down = after(partition({ leader: 2 }), {}, { active: [] })
    assert.equal(brief(down), 'leader -1.6 isr  elr 1,2,3 last 2')
    const torn = after(down, doubtful(1), { active: [] })
    assert.equal(brief(torn), 'leader -1.6 isr  elr 2,3 last 2,1')
    assert.equal(after(torn, {}, { active: [1] }), torn, 'those who have everything may come back')
    const one = after(torn, lost(2), { active: [1] })
    assert.equal(brief(one), 'leader -1.6 isr  elr 3 last 1')
    const resort = after(one, lost(3), { active: [1, 2, 3] })
    assert.equal(brief(resort), 'leader 1.7 isr 1 elr  last ')
    assert.equal(resort.leaderRecoveryState, 1, 'and it is told')
  })

  it('waits for who led last, and for the first of those in doubt', () => {
    const doubtful = (id: number) => ({ doubtful: new Set([id]) })
    const lost = (id: number) => ({ lost: new Set([id]) })
    const none = partition({ leader: -1, isr: [], eligibleLeaderReplicas: [1, 2, 3] })
    const two = after(after(none, doubtful(3), { active: [] }), doubtful(1), { active: [] })
    const gone = after(two, lost(2), { active: [1] })
    assert.equal(brief(gone), 'leader -1.5 isr  elr  last 3,1')
    assert.equal(brief(after(gone, {}, { active: [1, 3] })), 'leader 3.6 isr 3 elr  last 1')
    assert.equal(brief(after(gone, lost(3), { active: [1] })), 'leader 1.6 isr 1 elr  last ')
    const asked = after(gone, { election: 'unclean' }, { active: [1, 2] })
    assert.equal(brief(asked), 'leader 1.6 isr 1 elr  last ', 'better than one that is empty')
  })

  it('keeps the last resort while nobody acknowledges, no longer', () => {
    const doubtful = { doubtful: new Set([1]) }
    const none = partition({ leader: -1, isr: [], eligibleLeaderReplicas: [1, 2, 3] })
    const torn = after(none, doubtful, { active: [] })
    const led = after(torn, {}, { active: [1, 2] })
    assert.equal(brief(led), 'leader 2.6 isr 2 elr 3 last 1')
    const wiped = after(after(led, { lost: new Set([3]) }), { lost: new Set([2]) })
    assert.equal(brief(wiped), 'leader 1.7 isr 1 elr  last ')
    assert.equal(brief(after(led, { isr: [2, 3] })), 'leader 2.6 isr 2,3 elr  last ')
    const lowered = after(led, {}, { active: [1, 2], minInsyncReplicas: 1 })
    assert.equal(brief(lowered), 'leader 2.6 isr 2 elr  last ')
    assert.equal(brief(after(led, { isr: [2, 1] })), 'leader 2.6 isr 2,1 elr  last ')
  })

  it('elects the preferred leader when it is in sync', () => {
    const away = partition({ leader: 2 })
    const preferred = { election: 'preferred' } as const
    assert.equal(brief(after(away, preferred)), 'leader 1.6 isr 1,2,3 elr  last ')
    const out = partition({ leader: 2, isr: [2, 3] })
    assert.equal(after(out, preferred), out)
  })

  it('completes a reassignment with the last replica in sync', () => {
    const target = { replicas: [4, 5, 1, 2, 3], adding: [4, 5], removing: [1, 2, 3] }
    const begun = after(partition(), target)
    assert.deepEqual(begun.directories, ['d4', 'd5', 'd1', 'd2', 'd3'])
    assert.equal(brief(begun), 'leader 1.5 isr 1,2,3 elr  last ')
    const half = after(begun, { isr: [1, 2, 3, 4] })
    assert.equal(half.replicas.length, 5)
    const done = after(half, { isr: [1, 2, 3, 4, 5] })
    assert.equal(brief(done), 'leader 4.6 isr 4,5 elr  last ')
    assert.deepEqual([done.replicas, done.addingReplicas, done.removingReplicas], [[4, 5], [], []])
    assert.deepEqual(done.directories, ['d4', 'd5'])
  })

  it('gives a new epoch when a replica is removed, though the leader stays', () => {
    const less = after(partition(), { replicas: [1, 2, 3], removing: [3] })
    assert.equal(brief(less), 'leader 1.6 isr 1,2 elr  last ')
    assert.deepEqual(less.replicas, [1, 2])
  })

  it('waits with a removal while nobody who stays could lead', () => {
    const moving = partition({ isr: [3], leader: 3 })
    const wanted = { replicas: [1, 2, 3], removing: [3] }
    const waiting = after(moving, wanted)
    assert.deepEqual([waiting.replicas, waiting.removingReplicas], [[1, 2, 3], [3]])
    const done = after(waiting, { isr: [3, 1] })
    assert.equal(brief(done), 'leader 1.6 isr 1 elr  last ')
  })
})
