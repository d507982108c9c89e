import assert from 'node:assert/strict'
import { Predecessors, UNKNOWN_LEADER } from './predecessors.ts'

describe('replication/predecessors', () => {
  const everybody = () => true

  it('may answer until the latest of their leases is over', () => {
    const predecessors = new Predecessors()
    predecessors.add(1, 100)
    predecessors.add(2, 200)
    predecessors.add(1, 150)
    assert.equal(predecessors.mayAnswer(199, everybody), true)
    assert.equal(predecessors.mayAnswer(200, everybody), false)
  })

  it('may not once all know of the new epoch, or are fenced; fenced once is enough', () => {
    const predecessors = new Predecessors()
    predecessors.add(1, 100)
    predecessors.add(2, 100)
    predecessors.remove(1)
    assert.equal(predecessors.mayAnswer(50, everybody), true)
    assert.equal(
      predecessors.mayAnswer(51, (id) => id !== 2),
      false,
    )
    assert.equal(predecessors.mayAnswer(52, everybody), false)
  })

  it('waits out one that is not known: nobody can tell that it is fenced', () => {
    const predecessors = new Predecessors()
    predecessors.add(UNKNOWN_LEADER, 100)
    assert.equal(
      predecessors.mayAnswer(99, () => false),
      true,
    )
    assert.equal(predecessors.mayAnswer(100, everybody), false)
  })
})
