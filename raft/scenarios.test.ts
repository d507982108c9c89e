/** Meetings of two things at once, each of which is tested alone beside its own file. */
import assert from 'node:assert/strict'
import { SimRandom } from '../base/sim/random.ts'
import { RaftCore } from './core.ts'
import type { Message } from './messages.ts'
import { DEFAULT_TIMING } from './options.ts'
import { directoryOf, Group, memberOf } from './testing/group.ts'
import { MemoryStorage, TEXT_CODEC } from './testing/memory-storage.ts'

const transfer = (group: Group, id: number, to: number) =>
  group.act(id, ({ core }) => core.transfer(to))
const change = (group: Group, id: number, ...voters: number[]) =>
  group.act(id, ({ core }) => core.changeVoters(voters.map(memberOf)))
const read = (group: Group, id: number, context: number) =>
  group.act(id, ({ core }) => core.readIndex(context))
const votersOf = (group: Group, id: number): number[] =>
  group.get(id).core.state.log.membership.voters.map(({ nodeId }) => nodeId)

function led(...learners: number[]): Group {
  const group = new Group({ voters: [1, 2, 3], learners })
  group.elect(1)
  group.propose(1, 'a')
  group.elapse(700)
  return group
}

describe('raft: a late disk meets an election', () => {
  it('a vote for itself that is durable after the election is lost makes no leader', () => {
    const group = new Group({ voters: [1, 2, 3] })
    group.get(1).hold()
    group.elapse(1100)
    assert.equal(group.get(1).core.role, 'candidate')
    group.elect(3)
    assert.equal(group.get(1).core.state.leaderId, 3)
    const { term } = group.leader().core.state
    group.get(1).isHeld = false
    group.act(1, (member) => member.store())
    group.elapse(500)
    assert.equal(group.get(1).core.role, 'follower')
    assert.equal(group.leader().core.state.term, term)
  })

  it('a leader commits what its followers have before its own disk has it', () => {
    const group = led()
    group.get(1).hold()
    group.propose(1, 'b')
    group.deliver()
    for (const id of [2, 3]) assert.deepEqual(group.get(id).applied, ['a', 'b'])
    assert.deepEqual(group.get(1).applied, ['a', 'b'])
    assert.ok(group.get(1).core.state.log.durableEnd < group.get(1).core.state.log.commit)
  })

  it('a leader that loses what was committed without its disk gets it from the next', () => {
    const group = led()
    group.get(1).hold()
    group.propose(1, 'b')
    group.deliver()
    group.restart(1)
    group.elapse(4000)
    assert.notEqual(group.leader().id, 1)
    assert.deepEqual(group.get(1).applied, ['a', 'b'])
  })
})

describe('raft: elections', () => {
  it('candidates need both lists between the two steps of a change', () => {
    const group = led(4, 5)
    change(group, 1, 1, 4, 5)
    for (const message of group.network.splice(0)) group.step(message)
    group.drop()
    // All have the first step; those of the new list alone elect nobody.
    for (const id of [1, 2, 3]) group.stop(id)
    group.elapse(5000)
    assert.equal(group.leaderOrNone(), undefined)
    group.start(2)
    group.elapse(4000)
    assert.equal(group.leaderOrNone(), undefined, 'one of three of the old list')
    group.start(3)
    group.elapse(6000)
    assert.ok(group.leader())
  })

  it('a learner of a later term costs one election, and the group goes on', () => {
    const group = led(4)
    group.stop(4)
    group.start(4).storage.vote = { term: 9, voted: undefined }
    group.restart(4)
    const terms = new Set<number>()
    for (let i = 0; i < 100; i++) {
      group.elapse(100)
      const leader = group.leaderOrNone()
      if (leader !== undefined) terms.add(leader.core.state.term)
    }
    terms.delete(1)
    assert.deepEqual([...terms], [10])
    group.propose(group.leader().id, 'b')
    group.elapse(1000)
    assert.deepEqual(group.get(4).applied, ['a', 'b'])
  })

  it('patience lies between the two timeouts, and is spread over all of that', () => {
    const { electionTimeoutMinMs: min, electionTimeoutMaxMs: max } = DEFAULT_TIMING
    const tenths = new Set<number>()
    const voters = [1, 2, 3].map(memberOf)
    for (let seed = 0; seed < 200; seed++) {
      const core = new RaftCore(
        {
          member: memberOf(2),
          voters,
          mustBeListed: false,
          random: new SimRandom(seed),
          codec: TEXT_CODEC,
          storage: new MemoryStorage(),
          timing: DEFAULT_TIMING,
        },
        0,
      )
      const { nodeId: from, directoryId } = memberOf(1)
      const head = { from, directoryId, to: 2, term: 1 }
      core.step({ ...head, type: 'heartbeat', commit: 0, round: 1, progress: 1 })
      const waitMs = core.deadlineMs
      assert.ok(waitMs >= min && waitMs <= max, `${waitMs} ms`)
      tenths.add(Math.floor((10 * (waitMs - min)) / (max - min + 1)))
    }
    assert.equal(tenths.size, 10)
  })

  it('a vote that is asked for twice is given twice, to the same', () => {
    const group = new Group({ voters: [1, 2, 3] })
    const ask = (from: number): Message => ({
      type: 'vote',
      from,
      directoryId: directoryOf(from),
      to: 1,
      term: 3,
      isPreVote: false,
      endOffset: 0,
      lastTerm: 0,
      isTransfer: false,
      deadLeaderId: -1,
    })
    for (const from of [2, 2, 3, 2]) group.act(1, ({ core }) => core.step(ask(from)))
    const answers = group.network.filter((one) => one.type === 'vote-response')
    const granted = answers.map((one) => one.type === 'vote-response' && one.isGranted)
    assert.deepEqual(granted, [true, true, false, true])
  })
})

describe('raft: handing over meets something else', () => {
  it('to a member that needs a snapshot first', () => {
    const group = led()
    group.isolate(3)
    for (const text of ['b', 'c', 'd']) group.propose(1, text)
    group.elapse(500)
    group.act(1, (member) => member.snapshot())
    group.heal()
    assert.equal(transfer(group, 1, 3), undefined)
    group.elapse(900)
    assert.equal(group.leader().id, 3)
    assert.match(group.get(3).applied.at(-1)!, /^snapshot/)
  })

  it('no change of voters begins meanwhile, and one under way is finished by the next', () => {
    const group = led(4)
    group.stop(2)
    transfer(group, 1, 2)
    assert.equal(change(group, 1, 1, 3), 'the leader is not ready')
    group.elapse(1300)
    group.start(2)
    group.elapse(1000)
    const { id } = group.leader()
    assert.equal(change(group, id, 1, 2, 3, 4), undefined)
    transfer(group, id, id === 3 ? 2 : 3)
    group.elapse(3000)
    assert.notEqual(group.leader().id, id)
    assert.deepEqual(votersOf(group, group.leader().id), [1, 2, 3, 4])
    assert.equal(group.leader().core.state.log.membership.outgoing.length, 0)
  })

  it('ends with the term: a leader that is elected again takes proposals', () => {
    const group = led()
    group.cut(1, 3)
    group.propose(1, 'b')
    group.deliver()
    transfer(group, 1, 3)
    group.elect(2)
    group.heal()
    group.elapse(500)
    group.elect(1)
    assert.equal(group.propose(1, 'c'), undefined)
    group.elapse(500)
    assert.deepEqual(group.get(1).applied, ['a', 'b', 'c'])
  })

  it('there and back', () => {
    const group = led()
    for (const [from, to] of [
      [1, 2],
      [2, 1],
      [1, 3],
    ] as const) {
      transfer(group, from, to)
      group.elapse(500)
      assert.equal(group.leader().id, to)
    }
    assert.equal(group.leader().core.state.term, 4)
  })

  it('a call to take over that comes late, to a member that follows another, harms nobody', () => {
    const group = led()
    const late: Message = {
      type: 'timeout-now',
      from: 1,
      directoryId: directoryOf(1),
      to: 2,
      term: 1,
    }
    group.elect(3)
    const { term } = group.leader().core.state
    for (let i = 0; i < 3; i++) group.step(late)
    group.elapse(500)
    assert.equal(group.leader().id, 3)
    assert.equal(group.leader().core.state.term, term)
  })
})

describe('raft: changes of voters meet something else', () => {
  it('what waited for a voter that goes is committed by those that stay', () => {
    const group = new Group({ voters: [1, 2] })
    group.elect(1)
    group.elapse(700)
    change(group, 1, 1)
    group.propose(1, 'a')
    group.elapse(700)
    group.stop(2)
    group.propose(1, 'b')
    group.elapse(100)
    assert.deepEqual(group.get(1).applied, ['a', 'b'])
    assert.deepEqual(votersOf(group, 1), [1])
  })

  it('a change that its leader could not spread is undone by the next', () => {
    const group = led(4)
    group.isolate(1)
    change(group, 1, 1, 4)
    assert.equal(group.get(1).core.state.log.membership.outgoing.length, 3)
    group.elapse(3000)
    group.heal()
    group.elapse(3000)
    for (const id of [1, 2, 3]) {
      assert.deepEqual(votersOf(group, id), [1, 2, 3])
      assert.equal(group.get(id).core.state.log.membership.outgoing.length, 0)
    }
  })

  it('a snapshot of the middle of a change brings both lists', () => {
    const group = led(4, 5)
    change(group, 1, 1, 4, 5)
    for (let i = 0; i < 3; i++) for (const one of group.network.splice(0)) group.step(one)
    group.elapse(1500)
    group.act(group.leader().id, (member) => member.snapshot())
    group.wipe(2, true)
    group.start(2)
    group.elapse(3000)
    assert.deepEqual(votersOf(group, group.leader().id), [1, 4, 5])
    group.propose(group.leader().id, 'b')
    group.elapse(500)
    assert.deepEqual(group.get(4).applied.at(-1), 'b')
  })
})

describe('raft: reads and limits meet something else', () => {
  it('a read needs a quorum, not all: one follower that answers is enough', () => {
    const group = led()
    group.cut(1, 3)
    read(group, 1, 1)
    group.deliver()
    assert.deepEqual(group.get(1).reads, [{ context: 1, offset: 2 }])
  })

  it('a read whose question or answer is lost is answered never, not wrongly', () => {
    const group = led()
    read(group, 2, 1)
    group.drop()
    group.propose(1, 'b')
    group.deliver()
    read(group, 2, 2)
    group.deliver()
    assert.deepEqual(group.get(2).reads, [{ context: 2, offset: 3 }])
  })

  it('a read between the two steps of a change needs both lists', () => {
    const group = led(4, 5)
    change(group, 1, 1, 4, 5)
    for (const message of group.network.splice(0)) group.step(message)
    group.drop()
    group.cut(1, 2)
    group.cut(1, 3)
    read(group, 1, 1)
    group.deliver()
    assert.deepEqual(group.get(1).reads, [], 'the old list has not answered')
  })

  it('what an earlier leader left uncommitted does not count against the limit of the next', () => {
    const group = new Group({ voters: [1, 2, 3], timing: { uncommittedMax: 4 } })
    group.elect(1)
    group.elapse(300)
    group.cut(1, 3)
    for (const text of ['a', 'b', 'c', 'd']) assert.equal(group.propose(1, text), undefined)
    assert.equal(group.propose(1, 'e'), 'too-many')
    group.get(2).hold()
    group.deliver()
    group.stop(1)
    group.get(2).isHeld = false
    group.act(2, (member) => member.store())
    group.elect(2)
    for (const text of ['f', 'g', 'h', 'i']) assert.equal(group.propose(2, text), undefined)
    group.elapse(500)
    assert.deepEqual(group.get(3).applied, ['a', 'b', 'c', 'd', 'f', 'g', 'h', 'i'])
  })

  it('what is committed is applied in portions, in order, each once, also after a restart', () => {
    const group = led()
    for (const text of ['b', 'c', 'd', 'e']) group.propose(1, text)
    group.elapse(500)
    const { core } = group.restart(2)
    // It learns the commit position of the leader, and gives out an entry at a time.
    const append: Message = {
      type: 'heartbeat',
      from: 1,
      directoryId: directoryOf(1),
      to: 2,
      term: 1,
      commit: core.state.log.endOffset,
      round: 100,
      progress: 1,
    }
    core.tick(group.nowMs)
    core.step(append)
    core.ready()
    const given: string[] = []
    for (let entries = core.toApply(1); entries.length > 0; entries = core.toApply(1)) {
      assert.equal(entries.length, 1)
      const { baseOffset, count, kind, data } = entries[0]!
      if (kind === 'normal') given.push(data.toString())
      core.applied(baseOffset + count)
    }
    assert.deepEqual(given, ['a', 'b', 'c', 'd', 'e'])
  })
})
