import assert from 'node:assert/strict'
import { BoundedQueue } from './queue.ts'
import { SimRandom } from './sim/random.ts'

describe('base/queue', () => {
  it('does as an array does, up to its limit', () => {
    for (const limit of [1, 2, 16, 17, 100]) {
      const random = new SimRandom(limit)
      const queue = new BoundedQueue<number>(limit)
      const model: number[] = []
      for (let step = 0; step < 3000; step++) {
        if (random.chance(step % 600 < 300 ? 0.7 : 0.3)) {
          const isTaken = queue.push(step)
          assert.equal(isTaken, model.length < limit)
          if (isTaken) model.push(step)
        } else if (random.chance(0.01)) {
          queue.clear()
          model.length = 0
        } else {
          assert.equal(queue.peek(), model[0])
          assert.equal(queue.shift(), model.shift())
        }
        assert.equal(queue.length, model.length)
      }
    }
  })
})
