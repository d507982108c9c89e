import assert from 'node:assert/strict'
import { Group } from './testing/group.ts'

/** 3 is away while the log moves on behind a snapshot. */
function away(options: { timing?: Record<string, number>; keep?: number } = {}): Group {
  const group = new Group({ voters: [1, 2, 3], timing: options.timing ?? {} })
  group.elect(1)
  group.elapse(200)
  group.stop(3)
  for (const text of ['a', 'b', 'c']) group.propose(1, text)
  group.deliver()
  group.act(1, (member) => member.snapshot(options.keep ?? 0))
  return group
}

describe('raft/snapshot', () => {
  it('brings a member back that was away for longer than the log reaches', () => {
    const group = away()
    group.propose(1, 'd')
    group.start(3)
    group.elapse(1000)
    assert.deepEqual(group.get(3).applied, ['snapshot 4', 'd'])
  })

  it('is not sent to who is within what the log keeps', () => {
    const group = away({ keep: 10 })
    group.start(3)
    group.elapse(1000)
    assert.deepEqual(group.get(3).applied, ['a', 'b', 'c'])
  })

  for (const bytes of [1, 2, 3, 7, 100]) {
    it(`comes in parts of ${bytes} bytes`, () => {
      const group = away({ timing: { snapshotPartBytes: bytes } })
      group.start(3)
      group.elapse(1000)
      assert.deepEqual(group.get(3).applied, ['snapshot 4'])
      assert.deepEqual(group.get(3).storage.content, group.get(1).storage.content)
    })
  }

  it('survives lost, doubled and reordered parts', () => {
    for (let seed = 0; seed < 10; seed++) {
      const group = away({ timing: { snapshotPartBytes: 2 } })
      group.start(3)
      let step = seed
      for (let round = 0; round < 40; round++) {
        group.elapse(150, false)
        for (let count = 0; group.network.length > 0 && count < 50; count++) {
          step = (step * 31 + 7) % 101
          const message = group.network.splice(step % group.network.length, 1)[0]!
          if (step % 7 === 0) continue
          group.step(message)
          if (step % 5 === 0) group.network.push(message)
        }
      }
      group.drop()
      group.elapse(1500)
      assert.equal(group.get(3).applied[0], 'snapshot 4', `seed ${seed}`)
    }
  })

  it('is begun again when the receiver was restarted', () => {
    const group = away({ timing: { snapshotPartBytes: 2 } })
    group.start(3)
    group.elapse(300, false)
    for (let count = 0; count < 12; count++) group.step(group.network.shift()!)
    group.restart(3)
    group.elapse(2000)
    assert.deepEqual(group.get(3).applied, ['snapshot 4'])
  })

  it('a newer one replaces one that is on its way', () => {
    const group = away({ timing: { snapshotPartBytes: 1 } })
    group.start(3)
    group.elapse(300, false)
    for (let count = 0; count < 8 && group.network.length > 0; count++) {
      group.step(group.network.shift()!)
    }
    group.propose(1, 'd')
    for (;;) {
      const at = group.network.findIndex(({ to }) => to !== 3)
      if (at < 0) break
      group.step(group.network.splice(at, 1)[0]!)
    }
    group.act(1, (member) => member.snapshot())
    group.elapse(2000)
    assert.deepEqual(group.get(3).applied, ['snapshot 5'])
  })

  it('carries who votes', () => {
    const group = new Group({ voters: [1, 2, 3], isBootstrap: true })
    group.elect(1)
    group.stop(3)
    group.elapse(4500)
    group.propose(1, 'a')
    group.deliver()
    group.act(1, (member) => member.snapshot())
    group.start(3)
    group.elapse(1000)
    const { log } = group.get(3).core.state
    assert.equal(log.startOffset, 3)
    assert.ok(log.membership.voters.every(({ directoryId }) => directoryId !== ''))
  })

  it('replaces a log that differs', () => {
    const logs = { 1: [1, 2, 2, 2], 2: [1, 2, 2, 2], 3: [1, 1, 1, 1, 1, 1] }
    const group = new Group({ voters: [1, 2, 3], logs })
    group.stop(3, false)
    group.elect(1)
    group.elapse(200)
    group.act(1, (member) => member.snapshot())
    group.start(3)
    group.elapse(1000)
    assert.equal(group.get(3).applied[0], 'snapshot 5')
    assert.equal(group.get(3).core.state.log.startOffset, 5)
  })

  it('an old one is answered by what is committed', () => {
    const group = away()
    group.start(3)
    group.elapse(1000)
    const old = { type: 'snapshot', from: 1, directoryId: 'dir-1', to: 3 } as const
    const { snapshot } = group.get(1).storage
    const { term } = group.get(1).core.state
    const { membership, ...id } = snapshot!
    group.act(3, ({ core }) =>
      core.step({ ...old, term, snapshot: id, membership, position: 0, data: Buffer.alloc(0) }),
    )
    assert.equal(group.network.at(-1)?.type, 'append-response')
    assert.deepEqual(group.get(3).applied, ['snapshot 4'])
  })

  it('that the log overtakes in the same turn is not put in force', () => {
    const group = away({ keep: 10 })
    group.propose(1, 'd')
    group.deliver()
    const { snapshot, content } = group.get(1).storage
    const { term } = group.get(1).core.state
    const { membership, ...id } = snapshot!
    const { length } = content
    group.start(3)
    group.act(3, ({ core }) => {
      const head = { from: 1, directoryId: 'dir-1', to: 3, term } as const
      const entries = group.get(1).allEntries().slice(1)
      core.step({ ...head, type: 'append', prevEnd: 1, prevTerm: term, commit: 5, entries })
      const part = { snapshot: id, membership, position: 0, data: content.subarray(0, length) }
      core.step({ ...head, type: 'snapshot', ...part })
    })
    assert.deepEqual(group.get(3).applied, ['a', 'b', 'c', 'd'])
    assert.equal(group.get(3).core.state.log.endOffset, 5)
    group.elapse(1000)
    assert.deepEqual(group.get(3).applied, ['a', 'b', 'c', 'd'])
  })

  it('of a member whose disk is full waits for room', () => {
    const group = away()
    group.start(3)
    group.get(3).storage.isFull = true
    group.elapse(600)
    assert.deepEqual(group.get(3).applied, [])
    group.get(3).storage.isFull = false
    group.elapse(1000)
    assert.deepEqual(group.get(3).applied, ['snapshot 4'])
  })

  it('a restart begins with it', () => {
    const group = away()
    group.restart(1)
    assert.deepEqual(group.get(1).applied, ['snapshot 4'])
    const { log } = group.get(1).core.state
    assert.deepEqual([log.startOffset, log.commit, log.applied], [4, 4, 4])
    group.elapse(3000)
    assert.ok(group.leader())
  })

  it('is not taken of what is not applied', () => {
    const group = away()
    group.propose(1, 'd')
    assert.throws(() => group.get(1).core.dropBefore(5))
  })
})
