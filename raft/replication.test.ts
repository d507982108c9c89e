import assert from 'node:assert/strict'
import type { AppendMessage, Message } from './messages.ts'
import { directoryOf, Group } from './testing/group.ts'

const termsOf = (group: Group, id: number) =>
  group
    .get(id)
    .allEntries()
    .map(({ term }) => term)

const commitOf = (group: Group, id: number) => group.get(id).core.state.log.commit

/** Raft, figure 7: logs of followers when the leader of term 8 begins. */
const LEADER_LOG = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
const FIGURE_7: Record<string, number[]> = {
  a: [1, 1, 1, 4, 4, 5, 5, 6, 6],
  b: [1, 1, 1, 4],
  c: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
  d: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
  e: [1, 1, 1, 4, 4, 4, 4],
  f: [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
}

describe('raft/replication: figure 7', () => {
  for (const [name, terms] of Object.entries(FIGURE_7)) {
    it(`log ${name} becomes the leader's`, () => {
      const logs = { 1: LEADER_LOG, 2: terms, 3: LEADER_LOG }
      const group = new Group({ voters: [1, 2, 3], logs })
      group.get(1).storage.vote = { term: 7, voted: undefined }
      group.restart(1)
      group.cut(1, 2)
      group.elect(1)
      group.heal()
      group.elapse(1000)
      assert.deepEqual(termsOf(group, 1), [...LEADER_LOG, 8])
      assert.deepEqual(termsOf(group, 2), [...LEADER_LOG, 8])
      assert.equal(commitOf(group, 2), 11)
    })
  }

  it('finds the place where logs part in as many steps as there are terms', () => {
    const long = Array.from({ length: 500 }, (_, at) => 1 + Math.floor(at / 100))
    const other = [...long.slice(0, 100), ...Array.from({ length: 900 }, () => 2)]
    const group = new Group({ voters: [1, 2, 3], logs: { 1: long, 2: other, 3: long } })
    group.get(1).storage.vote = { term: 7, voted: undefined }
    group.restart(1)
    group.elect(1)
    group.elapse(1000)
    const refused = group.trace.filter((line) => line.includes('append refused')).length
    assert.ok(refused <= 5, `${refused} steps`)
    assert.deepEqual(termsOf(group, 2), termsOf(group, 1))
  })
})

describe('raft/replication: figure 8', () => {
  it('an entry of an earlier term is not committed by counting', () => {
    // (c) of the figure: the entry of term 2 is on a majority, and the leader of term 4 is new.
    const logs = { 1: [1, 2], 2: [1, 2], 3: [1, 2], 4: [1], 5: [1, 3] }
    const group = new Group({ voters: [1, 2, 3, 4, 5], logs })
    group.get(1).storage.vote = { term: 3, voted: undefined }
    group.restart(1)
    const isOfLeader = ({ from, type }: Message) => from === 1 && type === 'append'
    group.act(1, ({ core }) => {
      core.step({
        type: 'timeout-now',
        from: 2,
        directoryId: directoryOf(2),
        to: 1,
        term: core.state.term,
      })
    })
    // All appends that bring the leader's own entry are lost; it knows that 2 and 3 have the rest.
    for (let count = 0; group.network.length > 0 && count < 100; count++) {
      group.drop(isOfLeader)
      if (group.network.length > 0) group.step(group.network.shift()!)
    }
    const { core } = group.get(1)
    assert.equal(core.role, 'leader')
    const acknowledge = (from: number) => {
      group.act(1, () =>
        core.step({
          type: 'append-response',
          from,
          directoryId: directoryOf(from),
          to: 1,
          term: core.state.term,
          isRejected: false,
          prevEnd: 2,
          match: 2,
          hintEnd: 0,
          hintTerm: 0,
        }),
      )
    }
    acknowledge(2)
    acknowledge(3)
    acknowledge(4)
    assert.equal(core.state.log.commit, 0, 'all have it, and it may still be replaced')
    group.drop()
    group.stop(1)
    // (d): the one with term 3 wins, and replaces it.
    group.elect(5)
    group.elapse(1000)
    assert.deepEqual(termsOf(group, 2).slice(0, 2), [1, 3])
  })

  it('it is committed with an entry of the own term', () => {
    const logs = { 1: [1, 2], 2: [1, 2], 3: [1], 4: [1], 5: [1] }
    const group = new Group({ voters: [1, 2, 3, 4, 5], logs })
    group.elect(1)
    group.elapse(1000)
    assert.equal(commitOf(group, 1), 3)
    group.stop(1)
    group.elapse(3000)
    assert.deepEqual(termsOf(group, group.leader().id).slice(0, 2), [1, 2])
  })
})

describe('raft/replication: what is acknowledged', () => {
  function ready(): Group {
    const group = new Group({ voters: [1, 2, 3] })
    group.elect(1)
    group.elapse(200)
    return group
  }

  it('is committed by two of three', () => {
    const group = ready()
    group.stop(3)
    group.propose(1, 'a')
    group.deliver()
    assert.deepEqual(group.get(1).applied, ['a'])
    assert.deepEqual(group.get(2).applied, ['a'])
  })

  it('is not committed by one', () => {
    const group = ready()
    group.stop(2)
    group.stop(3)
    group.propose(1, 'a')
    group.deliver()
    assert.deepEqual(group.get(1).applied, [])
  })

  it('counts on a follower only when it is durable', () => {
    const group = ready()
    group.stop(3)
    group.get(2).hold()
    group.propose(1, 'a')
    group.deliver()
    assert.deepEqual(group.get(1).applied, [])
    group.act(2, (member) => member.store())
    group.deliver()
    assert.deepEqual(group.get(1).applied, ['a'])
  })

  it('counts on the leader only when it is durable', () => {
    const group = ready()
    group.stop(3)
    group.get(1).hold()
    group.propose(1, 'a')
    group.deliver()
    assert.deepEqual(group.get(1).applied, [])
    group.act(1, (member) => member.store())
    assert.deepEqual(group.get(1).applied, ['a'])
  })

  it('is sent before it is durable on the leader', () => {
    const group = ready()
    group.get(1).hold()
    group.propose(1, 'a')
    const sent = group.network.filter(({ type }) => type === 'append')
    assert.equal(sent.length, 2)
  })

  it('one acknowledgement covers all that a sync made durable', () => {
    const group = ready()
    group.get(2).hold()
    for (const text of ['a', 'b', 'c']) group.propose(1, text)
    group.deliver()
    group.trace.length = 0
    group.act(2, (member) => member.store())
    group.deliver()
    assert.equal(group.trace.filter((line) => line.startsWith('2->1 has')).length, 1)
  })

  it('survives doubled and reordered messages', () => {
    const group = ready()
    for (let round = 0; round < 20; round++) {
      group.propose(1, `${round}`)
      if (group.network.length < 200) group.network.push(...group.network)
      if (round % 3 === 0) group.network.reverse()
      for (let left = group.network.length / 2; left > 0; left--) group.step(group.network.pop()!)
    }
    group.deliver()
    group.elapse(2000)
    const expected = Array.from({ length: 20 }, (_, at) => `${at}`)
    for (const { applied } of group.members.values()) assert.deepEqual(applied, expected)
  })

  it('survives the loss of any message', () => {
    for (let lost = 0; lost < 12; lost++) {
      const group = ready()
      let at = 0
      group.propose(1, 'a')
      group.propose(1, 'b')
      while (group.network.length > 0) {
        const message = group.network.shift()!
        if (at++ !== lost) group.step(message)
      }
      group.elapse(1500)
      for (const { applied } of group.members.values()) assert.deepEqual(applied, ['a', 'b'])
    }
  })

  it('an append of an earlier term is refused, and its leader told', () => {
    const group = ready()
    const { term, log } = group.get(2).core.state
    const late: AppendMessage = {
      type: 'append',
      from: 3,
      directoryId: directoryOf(3),
      to: 2,
      term: term - 1,
      prevEnd: 0,
      prevTerm: 0,
      commit: 9,
      entries: [],
    }
    group.act(2, ({ core }) => core.step(late))
    assert.equal(log.commit, 1)
    const told = group.network.find(({ to }) => to === 3)
    assert.equal(told?.term, term)
  })

  it('an append that is far too late changes nothing', () => {
    const group = ready()
    group.propose(1, 'a')
    const early = group.network.find(({ to, type }) => to === 2 && type === 'append')!
    group.deliver()
    group.propose(1, 'b')
    group.deliver()
    group.step(early)
    group.deliver()
    assert.deepEqual(group.get(2).applied, ['a', 'b'])
    assert.equal(group.get(2).core.state.log.endOffset, 3)
  })

  it('a commit position beyond what was verified is not believed', () => {
    const group = ready()
    const { core } = group.get(2)
    const { term, log } = core.state
    log.append({ baseOffset: 1, count: 1, term, kind: 'normal', data: Buffer.from('mine') })
    const body = { from: 1, directoryId: directoryOf(1), to: 2, term } as const
    const heard: AppendMessage = {
      ...body,
      type: 'append',
      prevEnd: 1,
      prevTerm: term,
      commit: 2,
      entries: [],
    }
    core.step(heard)
    core.ready()
    assert.equal(log.commit, 1)
  })

  it('two leaders of one term are a broken invariant', () => {
    const group = ready()
    const { core } = group.get(1)
    const body = { from: 3, directoryId: directoryOf(3), to: 1, term: core.state.term } as const
    const message = { ...body, type: 'heartbeat', commit: 0, round: 1, progress: 0 } as const
    assert.throws(() => core.step(message), /one leader a term/)
  })

  it('a follower learns of a commit without another proposal', () => {
    const group = ready()
    group.propose(1, 'a')
    group.deliver()
    assert.deepEqual([commitOf(group, 2), commitOf(group, 3)], [2, 2])
  })

  it('a restarted follower learns the commit position from a heartbeat', () => {
    const group = ready()
    group.propose(1, 'a')
    group.deliver()
    group.restart(2)
    assert.equal(commitOf(group, 2), 0)
    group.elapse(200)
    assert.deepEqual(group.get(2).applied, ['a'])
  })
})

describe('raft/replication: a member that has lost what it acknowledged', () => {
  it('is told apart, and gets it again', () => {
    const group = new Group({ voters: [1, 2, 3] })
    group.elect(1)
    for (const text of ['a', 'b', 'c']) group.propose(1, text)
    group.elapse(200)
    group.get(3).storage.truncateNow(2)
    group.restart(3)
    group.elapse(400)
    assert.deepEqual(group.get(1).losses, [3])
    assert.deepEqual(group.get(2).losses, [])
    assert.deepEqual(group.get(3).applied, ['a', 'b', 'c'])
  })
})

describe('raft/replication: limits', () => {
  const leaderOf = (timing: Record<string, number>) => {
    const group = new Group({ voters: [1, 2], timing })
    group.elect(1)
    group.elapse(200)
    return group
  }

  it('a proposal has a largest size', () => {
    const group = leaderOf({ entryBytesMax: 10 })
    assert.equal(group.propose(1, 'x'.repeat(10)), undefined)
    assert.equal(group.propose(1, 'x'.repeat(11)), 'too-large')
  })

  it('so many proposals may be under way', () => {
    const group = leaderOf({ uncommittedMax: 2 })
    assert.equal(group.propose(1, 'a'), undefined)
    assert.equal(group.propose(1, 'b'), undefined)
    assert.equal(group.propose(1, 'c'), 'too-many')
    group.deliver()
    assert.equal(group.propose(1, 'c'), undefined)
  })

  it('so many bytes may be under way, but for one that is alone', () => {
    const group = leaderOf({ uncommittedBytesMax: 10 })
    assert.equal(group.propose(1, 'x'.repeat(20)), undefined)
    assert.equal(group.propose(1, 'b'), 'too-many')
    group.deliver()
    assert.equal(group.propose(1, 'x'.repeat(5)), undefined)
    assert.equal(group.propose(1, 'x'.repeat(5)), undefined)
    assert.equal(group.propose(1, 'b'), 'too-many')
  })

  it('what is on its way to a member that does not answer is bounded', () => {
    const group = leaderOf({ windowMessages: 4, messageBytes: 1 })
    group.cut(1, 2)
    for (let count = 0; count < 50; count++) group.propose(1, `${count}`)
    assert.equal(group.network.filter(({ type }) => type === 'append').length, 4)
  })

  it('a message has about so many bytes', () => {
    const group = leaderOf({ messageBytes: 10 })
    group.stop(2)
    for (let count = 0; count < 20; count++) group.propose(1, 'xxxxx')
    group.deliver()
    group.start(2)
    group.trace.length = 0
    group.elapse(600)
    const most = Math.max(...group.trace.map((line) => line.split('xxxxx').length - 1))
    assert.equal(most, 2)
    assert.equal(group.get(2).applied.length, 20)
  })

  it('nothing is proposed before the first entry of the term is applied', () => {
    const group = new Group({ voters: [1, 2] })
    group.stop(2)
    group.start(2).hold()
    group.act(1, ({ core }) =>
      core.step({ type: 'timeout-now', from: 2, directoryId: directoryOf(2), to: 1, term: 0 }),
    )
    group.deliver()
    group.act(2, (member) => member.store())
    group.deliver()
    assert.equal(group.get(1).core.role, 'leader')
    assert.equal(group.propose(1, 'a'), 'not-established')
    group.act(2, (member) => member.store())
    group.deliver()
    assert.equal(group.propose(1, 'a'), undefined)
  })

  it('nothing is proposed to a follower', () => {
    const group = leaderOf({})
    assert.equal(group.propose(2, 'a'), 'not-leader')
  })
})

describe('raft/replication: a full disk', () => {
  it('of a new leader makes it resign', () => {
    const group = new Group({ voters: [1, 2, 3] })
    group.get(1).setFull(true)
    group.elapse(1100)
    assert.equal(group.get(1).core.role, 'follower')
    group.elapse(3000)
    assert.notEqual(group.leader().id, 1)
    assert.equal(group.leader().core.leader?.isEstablished, true)
  })

  it('of one follower does not stop the others', () => {
    const group = new Group({ voters: [1, 2, 3] })
    group.elect(1)
    group.get(3).setFull(true)
    group.propose(1, 'a')
    group.deliver()
    assert.deepEqual(group.get(2).applied, ['a'])
    assert.deepEqual(group.get(3).applied, [])
    group.get(3).setFull(false)
    group.elapse(1000)
    assert.deepEqual(group.get(3).applied, ['a'])
  })

  it('of the leader makes it hand over to a member with room', () => {
    const group = new Group({ voters: [1, 2, 3] })
    group.elect(1)
    group.get(2).setFull(true)
    group.elapse(500)
    group.get(1).setFull(true)
    group.propose(1, 'a')
    group.elapse(500)
    assert.equal(group.leader().id, 3)
    assert.equal(group.propose(3, 'b'), 'not-established', 'a majority is full')
    group.get(2).setFull(false)
    group.elapse(1000)
    group.propose(3, 'b')
    group.elapse(500)
    assert.deepEqual(group.get(3).applied, ['b'])
    assert.equal(group.leader().id, 3)
  })

  it('of the leader and all others leaves it in its place', () => {
    const group = new Group({ voters: [1, 2, 3] })
    group.elect(1)
    for (const id of [1, 2, 3]) group.get(id).setFull(true)
    group.elapse(500)
    const { term } = group.leader().core.state
    for (let i = 0; i < 20; i++) {
      group.propose(1, `a${i}`)
      group.elapse(500)
    }
    assert.equal(group.leader().id, 1)
    assert.equal(group.leader().core.state.term, term)
  })

  it('of the leader is offered to others now and then, not at each refusal', () => {
    const group = new Group({ voters: [1, 2, 3] })
    group.elect(1)
    group.elapse(500)
    group.get(1).setFull(true)
    // Whoever is asked does not hear of it.
    let asked = 0
    for (let i = 0; i < 40; i++) {
      group.propose(1, `a${i}`)
      const kept = group.network.filter(({ type }) => type !== 'timeout-now')
      asked += group.network.length - kept.length
      group.network = kept
      group.elapse(100)
    }
    assert.equal(group.leader().id, 1)
    assert.equal(asked, 1)
  })

  it('of the leader refuses proposals, and it goes on', () => {
    const group = new Group({ voters: [1, 2, 3] })
    group.elect(1)
    for (const id of [2, 3]) group.get(id).setFull(true)
    group.elapse(500)
    group.get(1).setFull(true)
    group.propose(1, 'a')
    group.propose(1, 'b')
    assert.equal(group.get(1).core.state.log.endOffset, 1)
    for (const id of [1, 2, 3]) group.get(id).setFull(false)
    group.propose(1, 'c')
    group.deliver()
    for (const { applied } of group.members.values()) assert.deepEqual(applied, ['c'])
  })

  it('of a sole voter at its start makes it try again', () => {
    const group = new Group({ voters: [1] })
    group.get(1).setFull(true)
    group.elapse(100)
    assert.equal(group.get(1).core.role, 'follower')
    group.get(1).setFull(false)
    group.elapse(3000)
    assert.equal(group.get(1).core.role, 'leader')
  })
})
