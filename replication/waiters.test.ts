import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type AckWaiter, AckWaiters } from './waiters.ts'

function recorder(): AckWaiter & { answers: [number, number][] } {
  const answers: [number, number][] = []
  return { answers, onAck: (slot, error) => answers.push([slot, error]) }
}

describe('replication/waiters', () => {
  it('answers in order up to the watermark', () => {
    const waiters = new AckWaiters()
    const seen = recorder()
    for (let i = 0; i < 40; i++) waiters.add(i, 1000, seen, i)
    waiters.release(10)
    assert.equal(seen.answers.length, 10)
    assert.deepEqual(seen.answers.at(-1), [9, 0])
    waiters.release(1000)
    assert.equal(waiters.size, 0)
    assert.equal(seen.answers.length, 40)
  })

  it('expires only those whose deadline has passed, and keeps the others in order', () => {
    const waiters = new AckWaiters()
    const seen = recorder()
    waiters.add(1, 50, seen, 1)
    waiters.add(2, 10, seen, 2)
    waiters.add(3, 50, seen, 3)
    waiters.expire(20, 7)
    assert.deepEqual(seen.answers, [[2, 7]])
    waiters.release(4)
    assert.deepEqual(seen.answers, [
      [2, 7],
      [1, 0],
      [3, 0],
    ])
  })

  it('fails what lies at or above an offset', () => {
    const waiters = new AckWaiters()
    const seen = recorder()
    for (let i = 0; i < 4; i++) waiters.add(i, 50, seen, i)
    waiters.failFrom(2, 56)
    assert.deepEqual(seen.answers, [
      [2, 56],
      [3, 56],
    ])
    assert.equal(waiters.size, 2)
  })

  it('answers each waiter exactly once whatever the order of events', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            kind: fc.constantFrom('add', 'add', 'release', 'expire', 'failFrom'),
            amount: fc.nat(20),
          }),
          { maxLength: 200 },
        ),
        (events) => {
          const waiters = new AckWaiters()
          const seen = recorder()
          let added = 0
          for (const { kind, amount } of events) {
            if (kind === 'add') waiters.add(added, amount, seen, added++)
            else if (kind === 'release') waiters.release(added - amount)
            else if (kind === 'expire') waiters.expire(amount, 7)
            else waiters.failFrom(added - amount, 56)
          }
          waiters.failAll(6)
          assert.equal(seen.answers.length, added)
          assert.equal(new Set(seen.answers.map(([slot]) => slot)).size, added)
        },
      ),
    )
  })
})
