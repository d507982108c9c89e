import assert from 'node:assert/strict'
import { Isr } from './isr.ts'

describe('replication/isr', () => {
  it('counts what is decided and what is proposed, until the answer is known (KIP-497)', () => {
    const isr = new Isr([1, 2], 5)
    isr.propose([1, 3])
    for (const nodeId of [1, 2, 3]) assert.equal(isr.counts(nodeId), true)
    assert.equal(isr.counts(4), false)
    assert.equal(isr.canPropose, false)
    assert.equal(isr.decided([1, 3], 6), true)
    assert.equal(isr.counts(2), false)
    assert.equal(isr.canPropose, true)
  })

  it('ignores news that is older than what it knows', () => {
    const isr = new Isr([1, 2], 5)
    isr.propose([1])
    assert.equal(isr.decided([1, 2, 3], 5), false)
    assert.deepEqual(isr.proposed, [1])
    assert.deepEqual(isr.committed, [1, 2])
  })

  it('keeps a proposal that may have been made, and drops one that was refused for what it says', () => {
    for (const [error, next, isKept] of [
      [7, 'again', true],
      [41, 'again', true],
      [95, 'image', true],
      [74, 'image', true],
      [107, 'dropped', false],
      [42, 'dropped', false],
    ] as const) {
      const isr = new Isr([1], 0)
      isr.propose([1, 2])
      assert.equal(isr.refused(error), next, `error ${error}`)
      assert.equal(isr.counts(2), isKept, `error ${error}`)
    }
  })

  it('has nothing to drop when the image came before the answer', () => {
    const isr = new Isr([1], 0)
    isr.propose([1, 2])
    isr.decided([1, 2], 1)
    assert.equal(isr.refused(95), 'dropped')
    assert.deepEqual(isr.committed, [1, 2])
  })
})
