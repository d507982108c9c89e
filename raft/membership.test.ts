import assert from 'node:assert/strict'
import {
  enterJoint,
  faultOfVoters,
  leaveJoint,
  withKnownDirectories,
  withReplacements,
} from './membership.ts'
import type { Member, Membership } from './messages.ts'
import { directoryOf, Group, memberOf } from './testing/group.ts'

const simple = (...ids: number[]): Membership => ({ voters: ids.map(memberOf), outgoing: [] })
const unknown = (nodeId: number): Member => ({ nodeId, directoryId: '' })
const idsOf = (group: Group, id: number) =>
  group.get(id).core.state.log.membership.voters.map(({ nodeId }) => nodeId)

const change = (group: Group, id: number, ...voters: number[]) =>
  group.act(id, ({ core }) => core.changeVoters(voters.map(memberOf)))

/** Three voters, of which 1 leads, and learners that have all. */
function led(...learners: number[]): Group {
  const group = new Group({ voters: [1, 2, 3], learners })
  group.elect(1)
  group.propose(1, 'a')
  group.elapse(700)
  return group
}

describe('raft/membership: the rules', () => {
  it('a change goes through both lists', () => {
    const joint = enterJoint(simple(1, 2, 3), [1, 2, 4].map(memberOf))
    assert.deepEqual(joint, { voters: [1, 2, 4].map(memberOf), outgoing: [1, 2, 3].map(memberOf) })
    assert.deepEqual(leaveJoint(joint!), simple(1, 2, 4))
  })

  it('nothing to change is no change, whatever the order', () => {
    assert.equal(enterJoint(simple(1, 2, 3), [3, 1, 2].map(memberOf)), undefined)
  })

  it('another directory of the same node is a change', () => {
    const next = [memberOf(1), { nodeId: 2, directoryId: 'new' }]
    assert.deepEqual(enterJoint(simple(1, 2), next)?.voters, next)
  })

  it('one change at a time', () => {
    const joint = enterJoint(simple(1, 2), [memberOf(1)])!
    assert.throws(() => enterJoint(joint, [memberOf(2)]))
    assert.throws(() => leaveJoint(simple(1)))
    assert.equal(
      withKnownDirectories(joint, () => 'x'),
      undefined,
    )
    assert.equal(
      withReplacements(joint, () => memberOf(9)),
      undefined,
    )
  })

  for (const [name, voters, fault] of [
    ['nobody', [], /needs a voter/],
    ['a node twice', [memberOf(1), memberOf(1)], /votes once/],
    ['a node without a directory', [unknown(1)], /directory id/],
  ] as const) {
    it(`refuses ${name}`, () => assert.match(faultOfVoters(voters)!, fault))
  }

  it('directories are filled in as they become known', () => {
    const membership = { voters: [memberOf(1), unknown(2), unknown(3)], outgoing: [] }
    const known = withKnownDirectories(membership, (id) => (id === 2 ? directoryOf(2) : ''))
    assert.deepEqual(known?.voters, [memberOf(1), memberOf(2), unknown(3)])
    assert.equal(
      withKnownDirectories(membership, () => ''),
      undefined,
    )
  })

  it('a voter is replaced by the log that its node has now', () => {
    const now = { nodeId: 2, directoryId: 'new' }
    const replaced = withReplacements(simple(1, 2), (id) => (id === 2 ? now : memberOf(id)))
    assert.deepEqual(replaced, [memberOf(1), now])
    assert.equal(withReplacements(simple(1, 2), memberOf), undefined)
  })
})

describe('raft/membership: changes', () => {
  for (const [name, voters] of [
    ['one more', [1, 2, 3, 4]],
    ['two more', [1, 2, 3, 4, 5]],
    ['one for another', [1, 2, 4]],
    ['two for two others', [1, 4, 5]],
    ['all but the leader', [1]],
    ['the leader leaves', [2, 3]],
    ['all others', [4, 5]],
  ] as const) {
    it(name, () => {
      const group = led(4, 5)
      assert.equal(change(group, 1, ...voters), undefined)
      group.elapse(3000)
      const leader = group.leader()
      assert.ok((voters as readonly number[]).includes(leader.id), `${leader.id} leads`)
      group.propose(leader.id, 'b')
      group.elapse(1000)
      for (const id of voters) {
        assert.deepEqual(idsOf(group, id), voters)
        assert.deepEqual(group.get(id).applied, ['a', 'b'])
      }
    })
  }

  it('counts both lists between the two steps', () => {
    const group = led(4)
    group.stop(2)
    group.stop(3)
    change(group, 1, 1, 4)
    group.elapse(500)
    const { log } = group.get(1).core.state
    assert.ok(log.commit < log.endOffset, 'the old voters have not agreed')
    group.start(2)
    group.elapse(1000)
    assert.deepEqual(idsOf(group, group.leader().id), [1, 4])
    assert.equal(log.membership.outgoing.length, 0)
  })

  it('goes on when the leader dies between the two steps', () => {
    const group = led(4)
    change(group, 1, 1, 2, 3, 4)
    // The first step reaches all, and the leader dies before the second.
    for (const message of group.network.splice(0)) group.step(message)
    group.drop()
    group.stop(1)
    group.elapse(4000)
    assert.deepEqual(idsOf(group, group.leader().id), [1, 2, 3, 4])
    assert.equal(group.leader().core.state.log.membership.outgoing.length, 0)
  })

  it('a new leader begins no change before it has committed in its term', () => {
    const group = led(4)
    group.cut(1, 2)
    group.cut(1, 3)
    group.act(1, ({ core }) => {
      // As after an election whose first entry is still on its way.
      assert.equal(core.changeVoters([1, 2, 3, 4].map(memberOf)), undefined)
      assert.match(core.changeVoters([memberOf(1)])!, /another change/)
    })
  })

  it('refuses a new voter that is far behind', () => {
    const group = new Group({
      voters: [1, 2, 3],
      learners: [4],
      timing: { promotionLagMax: 2 },
    })
    group.elect(1)
    group.elapse(700)
    group.cut(1, 4)
    for (let count = 0; count < 5; count++) group.propose(1, `${count}`)
    group.deliver()
    assert.match(change(group, 1, 1, 2, 3, 4)!, /far behind/)
    group.heal()
    group.elapse(1000)
    assert.equal(change(group, 1, 1, 2, 3, 4), undefined)
  })

  it('a removed member disturbs nobody', () => {
    const group = led()
    change(group, 1, 1, 2)
    group.elapse(500)
    const { term } = group.leader().core.state
    group.elapse(20_000)
    assert.equal(group.leader().core.state.term, term)
    assert.equal(group.get(3).core.role, 'follower')
  })

  it('a removed member that has not heard of it disturbs nobody', () => {
    const group = led()
    group.isolate(3)
    change(group, 1, 1, 2)
    group.elapse(2000)
    const { term } = group.leader().core.state
    group.heal()
    group.elapse(20_000)
    assert.equal(group.leader().core.state.term, term)
    assert.deepEqual(idsOf(group, 3), [1, 2], 'and it hears of it in the end')
  })

  it('a learner that was silent for long is forgotten', () => {
    const group = led(4)
    const { sender } = group.get(1).core.leader!
    assert.ok(sender.get(4))
    group.stop(4)
    group.elapse(11_000)
    assert.equal(sender.get(4), undefined)
    group.start(4)
    group.elapse(1000)
    assert.deepEqual(group.get(4).applied, ['a'])
  })

  it('a learner finds the next leader by itself', () => {
    const group = led(4)
    group.stop(1)
    group.elapse(3000)
    const leader = group.leader()
    group.propose(leader.id, 'b')
    group.elapse(500)
    assert.deepEqual(group.get(4).applied, ['a', 'b'])
    assert.equal(group.get(4).core.state.leaderId, leader.id)
  })
})

describe('raft/membership: another log under the same id', () => {
  it('has no vote, and is given one when it has caught up', () => {
    const group = led()
    group.wipe(3)
    group.propose(1, 'b')
    group.deliver()
    group.start(3)
    group.elapse(1000)
    const { voters } = group.get(1).core.state.log.membership
    assert.deepEqual(voters[2], { nodeId: 3, directoryId: directoryOf(3, 1) })
    assert.deepEqual(group.get(3).applied, ['a', 'b'])
    group.stop(2)
    group.propose(1, 'c')
    group.deliver()
    assert.deepEqual(group.get(3).applied, ['a', 'b', 'c'], 'its word counts again')
  })

  it('does not count before', () => {
    const group = led()
    group.wipe(3)
    group.stop(2)
    group.start(3)
    group.propose(1, 'b')
    group.elapse(600)
    assert.deepEqual(group.get(1).applied, ['a'], 'a majority of the voters is down')
    group.start(2)
    group.elapse(3000)
    const leader = group.leader()
    assert.equal(leader.core.state.log.membership.voters[2]!.directoryId, directoryOf(3, 1))
  })

  it('a candidate does not count the vote of a stranger', () => {
    const group = led()
    group.stop(1)
    group.wipe(3)
    group.start(3)
    group.elapse(5000)
    assert.equal(group.get(2).core.role === 'leader', false)
  })

  it('of the leader: it has to be given a vote by another', () => {
    const group = led()
    group.wipe(1)
    group.elapse(3000)
    group.start(1)
    group.elapse(2000)
    const leader = group.leader()
    assert.notEqual(leader.id, 1)
    assert.equal(leader.core.state.log.membership.voters[0]!.directoryId, directoryOf(1, 1))
  })

  it('two of three at once: no quorum is made up', () => {
    const group = led()
    group.wipe(2)
    group.wipe(3)
    group.start(2)
    group.start(3)
    group.propose(1, 'b')
    group.elapse(900)
    assert.deepEqual(group.get(1).applied, ['a'])
  })
})

describe('raft/membership: the first leader', () => {
  it('writes down the directories when it has heard all', () => {
    const group = new Group({ voters: [1, 2, 3], isBootstrap: true })
    group.elapse(1600)
    assert.deepEqual(group.get(3).core.state.log.membership.voters, [1, 2, 3].map(memberOf))
    assert.equal(group.get(1).core.state.log.endOffset, 2)
  })

  it('completes the list later, when one that was away at its election is heard', () => {
    const group = new Group({ voters: [1, 2, 3], isBootstrap: true })
    group.elapse(1000, false)
    while (group.leaderOrNone() === undefined) group.step(group.network.shift()!)
    group.stop(3)
    group.elapse(2500)
    const { log } = group.leader().core.state
    assert.deepEqual(log.membership.voters, [memberOf(1), memberOf(2), unknown(3)])
    group.start(3)
    group.elapse(1000)
    assert.deepEqual(log.membership.voters, [1, 2, 3].map(memberOf))
  })

  it('is not elected while one that may know of records is silent, however long', () => {
    const group = new Group({ voters: [1, 2, 3], isBootstrap: true })
    group.stop(3)
    group.elapse(60_000)
    assert.equal(group.leaderOrNone(), undefined)
    assert.equal(group.get(1).core.state.term, 0)
    assert.deepEqual(group.get(1).core.founding, { silentIds: [3], informedIds: [] })
    group.start(3)
    group.elapse(2000)
    assert.ok(group.leader())
    assert.equal(group.leader().core.founding, undefined)
  })

  it('is not elected by those that lost their disks, whatever the third one says', () => {
    const group = new Group({ voters: [1, 2, 3], logs: { 3: [1, 1, 1] }, isBootstrap: true })
    group.stop(3, false)
    group.elapse(10_000)
    assert.equal(group.leaderOrNone(), undefined)
    // Nothing was written down of who votes: by the settings it may lead, and they may not.
    const { storage } = group.start(3)
    group.elapse(10_000)
    assert.ok(group.get(3).core.state.log.endOffset >= storage.endOffset)
    for (const id of [1, 2]) assert.notEqual(group.get(id).core.role, 'leader')
  })

  it('is not elected by a majority that an emptied voter belongs to, of five', () => {
    const voters = [1, 2, 3, 4, 5]
    for (const informed of [4, 5]) {
      const group = new Group({ voters, logs: { [informed]: [1, 1] }, isBootstrap: true })
      const silent = informed === 4 ? 5 : 4
      group.stop(silent)
      group.elapse(10_000)
      for (const id of [1, 2, 3]) assert.notEqual(group.get(id).core.role, 'leader')
    }
  })

  it('is not one without records when another has some', () => {
    // 1 never heard of anything, 3 has lost its disk: what 2 has was acknowledged.
    const logs = { 2: [1, 1, 1] }
    const group = new Group({ voters: [1, 2, 3], logs, isBootstrap: true })
    group.elapse(5000)
    assert.equal(group.leader().id, 2)
    assert.equal(group.get(3).core.state.log.endOffset, group.get(2).core.state.log.endOffset)
  })

  it('does not have the vote of one that knows it has lost its log', () => {
    const group = new Group({ voters: [1, 2, 3], isBootstrap: true })
    group.stop(2)
    group.wipe(3, true)
    group.start(3)
    group.elapse(6000)
    assert.notEqual(group.get(1).core.role, 'leader')
    group.start(2)
    group.elapse(3000)
    group.propose(group.leader().id, 'a')
    group.elapse(1000)
    // Its directory is written down: it votes again.
    assert.ok(group.get(3).core.state.isVoter)
    assert.deepEqual(group.get(3).applied, ['a'])
  })

  it('a sole voter writes down itself', () => {
    const group = new Group({ voters: [1], isBootstrap: true })
    group.elapse(0)
    assert.deepEqual(group.get(1).core.state.log.membership.voters, [memberOf(1)])
  })
})
