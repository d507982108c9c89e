import assert from 'node:assert/strict'
import { Group } from './testing/group.ts'

function led(options: { learners?: number[]; timing?: Record<string, number | boolean> } = {}) {
  const group = new Group({ voters: [1, 2, 3], ...options })
  group.elect(1)
  group.propose(1, 'a')
  group.elapse(700)
  return group
}

const transfer = (group: Group, id: number, to: number) =>
  group.act(id, ({ core }) => core.transfer(to))

describe('raft/leader: handing over', () => {
  it('to a member that has all: at once', () => {
    const group = led()
    const { nowMs } = group
    assert.equal(transfer(group, 1, 2), undefined)
    group.deliver()
    assert.equal(group.leader().id, 2)
    assert.equal(group.nowMs, nowMs)
  })

  it('to a member that is behind: when it has caught up', () => {
    const group = led()
    group.cut(1, 3)
    group.propose(1, 'b')
    group.deliver()
    transfer(group, 1, 3)
    group.deliver()
    assert.equal(group.leader().id, 1)
    group.heal()
    group.elapse(600)
    assert.equal(group.leader().id, 3)
    assert.deepEqual(group.get(3).applied, ['a', 'b'])
  })

  it('to whoever is best prepared', () => {
    const group = led()
    group.cut(1, 2)
    group.propose(1, 'b')
    group.deliver()
    assert.equal(transfer(group, 1, -1), undefined)
    group.deliver()
    assert.equal(group.leader().id, 3)
  })

  it('takes no proposals meanwhile, and takes them again when it fails', () => {
    const group = led()
    group.stop(2)
    transfer(group, 1, 2)
    assert.equal(group.propose(1, 'b'), 'transfer')
    group.elapse(1300)
    assert.equal(group.leader().id, 1)
    assert.equal(group.propose(1, 'c'), undefined)
    group.deliver()
    assert.deepEqual(group.get(3).applied, ['a', 'c'])
  })

  for (const [name, to, fault] of [
    ['a learner', 4, /no voter/],
    ['itself', 1, /no voter/],
    ['nobody', 9, /no voter/],
  ] as const) {
    it(`not to ${name}`, () => {
      const group = led({ learners: [4] })
      assert.match(transfer(group, 1, to)!, fault)
      assert.equal(group.propose(1, 'b'), undefined)
    })
  }

  it('not by a follower', () => {
    assert.match(transfer(led(), 2, 3)!, /does not lead/)
  })

  it('not by a sole voter', () => {
    const group = new Group({ voters: [1] })
    group.elapse(0)
    assert.match(transfer(group, 1, -1)!, /no other voter/)
  })

  it('a second wish replaces the first', () => {
    const group = led()
    group.stop(2)
    transfer(group, 1, 2)
    transfer(group, 1, 3)
    group.deliver()
    assert.equal(group.leader().id, 3)
  })

  it('a learner that is told to take over does not', () => {
    const group = led({ learners: [4] })
    const { term } = group.get(4).core.state
    const body = { from: 1, directoryId: 'dir-1', to: 4, term } as const
    group.act(4, ({ core }) => core.step({ ...body, type: 'timeout-now' }))
    assert.equal(group.get(4).core.role, 'follower')
  })
})

describe('raft/leader: proof that it is dead', () => {
  it('ends the wait of its followers', () => {
    const group = led()
    group.stop(1)
    for (const id of [2, 3]) group.act(id, ({ core }) => core.peerIsDead(1))
    group.elapse(300)
    assert.ok(group.leader().id !== 1)
  })

  it('of one follower is enough when the other has it a little later', () => {
    const group = led()
    group.stop(1)
    group.act(2, ({ core }) => core.peerIsDead(1))
    group.elapse(40)
    assert.deepEqual(group.get(3).suspects, [1])
    group.act(3, ({ core }) => core.peerIsDead(1))
    group.elapse(5)
    assert.equal(group.leader().id, 2)
  })

  it('of one follower alone changes nothing', () => {
    const group = led()
    const { term } = group.get(1).core.state
    group.act(2, ({ core }) => core.peerIsDead(1))
    group.elapse(3000)
    assert.equal(group.leader().core.state.term, term)
    assert.equal(group.get(2).core.state.leaderId, 1, 'it comes back to it')
  })

  it('what the dead one sent before is not heard', () => {
    const group = led()
    group.elapse(150, false)
    group.stop(1)
    group.act(2, ({ core }) => core.peerIsDead(1))
    group.deliver()
    assert.equal(group.get(2).core.state.leaderId, -1)
    assert.equal(group.get(3).core.state.leaderId, 1)
  })

  it('of one that does not lead changes nothing', () => {
    const group = led()
    group.act(2, ({ core }) => core.peerIsDead(3))
    assert.equal(group.get(2).core.state.leaderId, 1)
    group.act(1, ({ core }) => core.peerIsDead(3))
    assert.equal(group.leader().id, 1)
  })

  it('a new life of the dead one is heard in the next term', () => {
    const group = led()
    group.stop(1)
    for (const id of [2, 3]) group.act(id, ({ core }) => core.peerIsDead(1))
    group.elapse(500)
    group.start(1)
    group.elapse(500)
    group.elect(1)
    group.propose(1, 'b')
    group.elapse(500)
    assert.deepEqual(group.get(2).applied, ['a', 'b'])
  })

  it('a split vote is repeated soon', () => {
    const group = new Group({ voters: [1, 2, 3] })
    group.elect(1)
    group.elapse(700)
    group.stop(1)
    for (const id of [2, 3]) group.act(id, ({ core }) => core.peerIsDead(1))
    // Both ask, both have voted for themselves.
    group.elapse(30, false)
    group.deliver()
    group.elapse(400)
    assert.ok(group.leader())
  })
})

describe('raft/reads', () => {
  const read = (group: Group, id: number, context: number) =>
    group.act(id, ({ core }) => core.readIndex(context))

  it('a sole voter answers at once', () => {
    const group = new Group({ voters: [1] })
    group.elapse(0)
    read(group, 1, 1)
    assert.deepEqual(group.get(1).reads, [{ context: 1, offset: 1 }])
  })

  it('waits for a round that began later', () => {
    const group = led()
    group.elapse(150, false)
    read(group, 1, 1)
    assert.deepEqual(group.get(1).reads, [])
    group.deliver()
    assert.deepEqual(group.get(1).reads, [{ context: 1, offset: 2 }])
  })

  it('many share a round', () => {
    const group = led()
    group.act(1, ({ core }) => {
      for (let context = 0; context < 50; context++) core.readIndex(context)
    })
    assert.equal(group.network.filter(({ type }) => type === 'heartbeat').length, 2)
    group.deliver()
    assert.equal(group.get(1).reads.length, 50)
  })

  it('a follower and a learner ask the leader', () => {
    const group = led({ learners: [4] })
    for (const id of [2, 4]) {
      read(group, id, 5)
      group.deliver()
      assert.deepEqual(group.get(id).reads, [{ context: 5, offset: 2 }])
    }
  })

  it('without a leader there is no answer', () => {
    const group = new Group({ voters: [1, 2, 3] })
    read(group, 2, 5)
    assert.deepEqual(group.get(2).reads, [{ context: 5, offset: -1 }])
  })

  it('a leader that is deposed refuses', () => {
    const group = led()
    group.isolate(1)
    read(group, 1, 1)
    group.elapse(1200)
    assert.deepEqual(group.get(1).reads, [{ context: 1, offset: -1 }])
  })

  it('a member that does not lead any more says so', () => {
    const group = led()
    read(group, 2, 7)
    group.elect(3)
    group.deliver()
    assert.deepEqual(group.get(2).reads, [{ context: 7, offset: -1 }])
  })

  it('a new leader answers with nothing less than its first entry', () => {
    const group = led()
    group.elect(2)
    read(group, 2, 1)
    group.deliver()
    assert.deepEqual(group.get(2).reads, [{ context: 1, offset: 3 }])
  })

  it('never misses what was committed before, in any order of delivery', () => {
    for (let seed = 1; seed < 60; seed++) {
      const group = led()
      group.propose(1, 'b')
      group.deliver()
      read(group, 3, 9)
      let step = seed
      while (group.network.length > 0) {
        step = (step * 37 + 11) % 1009
        group.step(group.network.splice(step % group.network.length, 1)[0]!)
      }
      assert.deepEqual(group.get(3).reads, [{ context: 9, offset: 3 }])
    }
  })

  it('with leases, answers at once while the last confirmed round is young', () => {
    const group = led({ timing: { leaseReads: true } })
    read(group, 1, 1)
    assert.deepEqual(group.get(1).reads, [{ context: 1, offset: 2 }])
    group.isolate(1)
    group.elapse(850, false)
    read(group, 1, 2)
    assert.equal(group.get(1).reads.length, 1)
  })
})
