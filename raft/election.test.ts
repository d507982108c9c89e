import assert from 'node:assert/strict'
import { isAtLeastAsLong } from './election.ts'
import type { Message, VoteMessage, VoteResponseMessage } from './messages.ts'
import { directoryOf, Group } from './testing/group.ts'

/** What member 1 answers to a vote asked by member 2. */
function answer(group: Group, more: Partial<VoteMessage>): VoteResponseMessage | undefined {
  const message: VoteMessage = {
    type: 'vote',
    from: 2,
    directoryId: directoryOf(more.from ?? 2),
    to: 1,
    term: 1,
    isPreVote: false,
    endOffset: 0,
    lastTerm: 0,
    isTransfer: false,
    deadLeaderId: -1,
    ...more,
  }
  group.act(1, ({ core }) => core.step(message))
  const isAnswer = (one: Message): one is VoteResponseMessage =>
    one.type === 'vote-response' && one.from === 1
  const found = group.network.find(isAnswer)
  group.drop(isAnswer)
  return found
}

/** Whoever leads, this member thinks it follows 3. */
function underLeader(logs: Record<number, number[]> = {}): Group {
  const group = new Group({ voters: [1, 2, 3], logs })
  group.elect(3)
  return group
}

describe('raft/election: which log is at least as long', () => {
  for (const [lastTerm, endOffset, isGranted] of [
    [3, 5, true],
    [3, 6, true],
    [3, 4, false],
    [4, 1, true],
    [4, 9, true],
    [2, 9, false],
    [0, 0, false],
  ] as const) {
    const against = `${endOffset}/${lastTerm} against 5/3`
    it(`${against}: ${isGranted ? 'granted' : 'refused'}`, () => {
      assert.equal(isAtLeastAsLong({ lastTerm, endOffset }, 3, 5), isGranted)
      for (const isPreVote of [false, true]) {
        const group = new Group({ voters: [1, 2, 3], logs: { 1: [1, 1, 2, 3, 3] } })
        const found = answer(group, { term: 5, lastTerm, endOffset, isPreVote })
        assert.equal(found?.isGranted, isGranted)
        assert.equal(found?.refusal, isGranted ? '' : 'log')
      }
    })
  }
})

describe('raft/election: one vote a term', () => {
  const rows: [name: string, ask: Partial<VoteMessage>, again: Partial<VoteMessage>, string][] = [
    ['the same candidate twice: twice', { term: 2 }, { term: 2 }, ''],
    ['another one in the same term: no', { term: 2 }, { term: 2, from: 3 }, 'voted'],
    ['another one in a later term: yes', { term: 2 }, { term: 3, from: 3 }, ''],
    ['one of an earlier term: no', { term: 3 }, { term: 2, from: 3 }, 'term'],
    [
      'the same node with another log: no',
      { term: 2 },
      { term: 2, directoryId: 'new' },
      'stranger',
    ],
    ['asked in advance after a vote: yes', { term: 2 }, { term: 3, from: 3, isPreVote: true }, ''],
    ['in advance in the same term: no', { term: 2 }, { term: 2, from: 3, isPreVote: true }, 'term'],
  ]
  for (const [name, ask, again, refusal] of rows) {
    it(name, () => {
      const group = new Group({ voters: [1, 2, 3] })
      assert.equal(answer(group, ask)?.refusal, '')
      assert.equal(answer(group, again)?.refusal, refusal)
    })
  }

  it('also over a restart', () => {
    const group = new Group({ voters: [1, 2, 3] })
    assert.ok(answer(group, { term: 2 })?.isGranted)
    group.restart(1)
    assert.equal(answer(group, { term: 2, from: 3 })?.refusal, 'voted')
    assert.ok(answer(group, { term: 2 })?.isGranted)
  })

  it('not even when the power goes before the vote is durable', () => {
    const group = new Group({ voters: [1, 2, 3] })
    group.get(1).hold()
    assert.equal(answer(group, { term: 2 }), undefined, 'it does not leave')
    group.restart(1)
    assert.ok(answer(group, { term: 2, from: 3 })?.isGranted)
  })

  it('a candidate has voted for itself', () => {
    const group = new Group({ voters: [1, 2, 3], logs: { 1: [1] } })
    group.elapse(1000, false)
    group.step(group.network.find(({ to }) => to === 2)!)
    group.step(group.network.find(({ to }) => to === 1)!)
    group.drop()
    assert.equal(group.get(1).core.role, 'candidate')
    assert.equal(answer(group, { term: 2, lastTerm: 1, endOffset: 1 })?.refusal, 'voted')
  })

  it('asking in advance changes nothing', () => {
    const group = new Group({ voters: [1, 2, 3] })
    const { state } = group.get(1).core
    assert.ok(answer(group, { term: 7, isPreVote: true })?.isGranted)
    assert.deepEqual([state.term, state.voted], [0, undefined])
    assert.ok(answer(group, { term: 7, from: 3, isPreVote: true })?.isGranted, 'to anybody')
  })

  it('a log of a later term than the vote: the term is known, the vote is free', () => {
    const group = new Group({ voters: [1, 2, 3], logs: { 1: [1, 4] } })
    group.get(1).storage.vote = { term: 2, voted: { nodeId: 3, directoryId: directoryOf(3) } }
    group.restart(1)
    assert.equal(group.get(1).core.state.term, 4)
    assert.equal(answer(group, { term: 3, lastTerm: 9 })?.refusal, 'term')
    assert.ok(answer(group, { term: 4, lastTerm: 4, endOffset: 2 })?.isGranted)
  })
})

describe('raft/election: the lease of a leader', () => {
  it('refuses in advance while the leader is heard', () => {
    const group = underLeader()
    const { refusal } = answer(group, { term: 9, isPreVote: true, lastTerm: 9 })!
    assert.equal(refusal, 'lease')
  })

  it('does not even answer a vote, and does not enter its term', () => {
    const group = underLeader()
    const { term } = group.get(1).core.state
    assert.equal(answer(group, { term: 9, lastTerm: 9 }), undefined)
    assert.equal(group.get(1).core.state.term, term)
  })

  it('is over after an election timeout of silence', () => {
    const group = underLeader()
    group.isolate(3)
    group.elapse(999, false)
    group.drop()
    assert.equal(answer(group, { term: 9, isPreVote: true, lastTerm: 9 })?.refusal, 'lease')
    group.elapse(1, false)
    assert.equal(answer(group, { term: 9, isPreVote: true, lastTerm: 9 })?.refusal, '')
  })

  it('does not hold against whom the leader has asked to take over', () => {
    const group = underLeader()
    const { endOffset, lastTerm } = group.get(1).core.state.log
    assert.ok(answer(group, { term: 9, isTransfer: true, endOffset, lastTerm })?.isGranted)
  })

  it('holds for the leader itself, while it hears a quorum', () => {
    const group = new Group({ voters: [1, 2, 3] })
    group.elect(1)
    assert.equal(answer(group, { term: 9, isPreVote: true, lastTerm: 9 })?.refusal, 'lease')
    assert.equal(answer(group, { term: 9, lastTerm: 9 }), undefined)
    assert.equal(group.get(1).core.role, 'leader')
  })

  it('does not save a leader that hears nobody', () => {
    const group = new Group({ voters: [1, 2, 3] })
    group.elect(1)
    group.isolate(1)
    group.elapse(850)
    assert.equal(group.get(1).core.role, 'leader')
    group.elapse(300)
    assert.equal(group.get(1).core.role, 'follower')
  })
})

describe('raft/election: campaigns', () => {
  for (const count of [1, 2, 3, 4, 5, 7]) {
    it(`${count} voters elect one, which commits`, () => {
      const voters = Array.from({ length: count }, (_, at) => at + 1)
      const group = new Group({ voters })
      group.elapse(1600)
      const leader = group.leader()
      assert.equal(leader.id, 1, 'the least patient')
      group.propose(1, 'a')
      group.deliver()
      for (const { applied } of group.members.values()) assert.deepEqual(applied, ['a'])
    })
  }

  for (const [count, down, isElected] of [
    [3, 1, true],
    [3, 2, false],
    [4, 1, true],
    [4, 2, false],
    [5, 2, true],
    [5, 3, false],
  ] as const) {
    it(`${count} voters of which ${down} are down: ${isElected ? 'a leader' : 'none'}`, () => {
      const voters = Array.from({ length: count }, (_, at) => at + 1)
      const logs = Object.fromEntries(voters.map((id) => [id, [1]]))
      const group = new Group({ voters, logs })
      for (let id = count; id > count - down; id--) group.stop(id)
      group.elapse(4000)
      const leaders = [...group.members.values()].filter(({ core }) => core.role === 'leader')
      assert.equal(leaders.length, isElected ? 1 : 0)
      // Who can't win does not try in earnest.
      if (!isElected) assert.equal(group.get(1).core.state.term, 1)
    })
  }

  it('whose log is shorter does not win, however often it asks', () => {
    const group = new Group({ voters: [1, 2, 3], logs: { 2: [1, 1], 3: [1, 1], 1: [1] } })
    group.elapse(3000)
    assert.equal(group.leader().id, 2)
    assert.equal(group.get(1).core.state.log.endOffset, 3)
  })

  it('a candidate gives up when it hears of a leader', () => {
    const group = new Group({ voters: [1, 2, 3] })
    group.elapse(1000, false)
    group.drop()
    assert.equal(group.get(1).core.role, 'candidate')
    group.elect(3)
    assert.equal(group.get(1).core.state.leaderId, 3)
    assert.equal(group.get(1).core.role, 'follower')
  })

  it('an answer from another log than the one that votes does not count', () => {
    const group = new Group({ voters: [1, 2, 3] })
    group.wipe(3)
    group.start(3)
    group.stop(2)
    group.elapse(3000)
    assert.notEqual(group.get(1).core.role, 'leader', 'two of three, but one is a stranger')
  })

  it('a member that is no voter does not ask for votes', () => {
    const group = new Group({ voters: [1, 2, 3], learners: [4] })
    for (const id of [1, 2, 3]) group.stop(id)
    group.elapse(5000)
    assert.equal(group.get(4).core.role, 'follower')
    assert.equal(group.get(4).core.state.term, 0)
  })

  it('a split vote ends with the next campaign', () => {
    const group = new Group({ voters: [1, 2, 3, 4] })
    group.cut(1, 3)
    group.cut(1, 4)
    group.cut(2, 3)
    group.cut(2, 4)
    group.elapse(1500)
    group.heal()
    group.elapse(2000)
    assert.ok(group.leader())
  })

  it('a follower that woke late reads its mail before it campaigns', () => {
    const group = new Group({ voters: [1, 2, 3] })
    group.elect(1)
    const { nowMs } = group
    // Member 2 stood still; heartbeats wait for it.
    const late = group.get(2)
    late.core.tick(nowMs + 5000)
    assert.equal(late.core.role, 'follower')
    assert.equal(late.core.state.leaderId, 1)
    assert.ok(late.core.deadlineMs > nowMs + 5000)
  })

  it('a leader that woke late resigns: others may lead', () => {
    const group = new Group({ voters: [1, 2, 3] })
    const { core } = group.elect(1)
    core.tick(group.nowMs + 5000)
    assert.equal(core.role, 'follower')
    assert.equal(core.propose(1, Buffer.from('a')), 'not-leader')
  })

  it('a sole voter that woke late goes on', () => {
    const group = new Group({ voters: [1] })
    group.elapse(0)
    const { core } = group.leader()
    core.tick(group.nowMs + 5000)
    assert.equal(core.role, 'leader')
  })

  it('the term of a message in advance is not entered', () => {
    const group = new Group({ voters: [1, 2, 3], logs: { 1: [1], 2: [1], 3: [1] } })
    group.isolate(3)
    group.elapse(10_000)
    assert.equal(group.get(3).core.state.term, 1, 'asked some ten times')
    assert.equal(group.leader().core.state.term, 2)
  })

  it('a member of a later term that nobody follows makes the leader begin a later one', () => {
    const group = new Group({ voters: [1, 2, 3], logs: { 3: [] } })
    group.elect(1)
    group.stop(3)
    group.get(1)
    const storage = group.start(3).storage
    storage.vote = { term: 7, voted: undefined }
    group.restart(3)
    group.elapse(3000)
    assert.ok(group.leader().core.state.term > 7)
    assert.equal(group.get(3).core.state.leaderId, group.leader().id === 3 ? 3 : group.leader().id)
  })
})
