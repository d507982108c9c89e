import assert from 'node:assert/strict'
import { Lock } from './lock.ts'

describe('log/lock', () => {
  it('lets one operation run at a time, also of many that waited for the same', async () => {
    const lock = new Lock()
    let running = 0
    const order: number[] = []
    const operation = (i: number) => async () => {
      assert.equal(++running, 1)
      for (let turn = 0; turn < i; turn++) await Promise.resolve()
      order.push(i)
      running--
      if (i === 3) throw new Error('three')
      return i
    }
    const all = [5, 1, 3, 0, 4].map((i) => lock.run(operation(i)))
    const results = await Promise.allSettled(all)
    assert.deepEqual(
      results.map((result) => (result.status === 'fulfilled' ? result.value : 'failed')),
      [5, 1, 'failed', 0, 4],
    )
    assert.deepEqual(order.toSorted(), [0, 1, 3, 4, 5])
    await lock.settled()
    assert.ok(!lock.isBusy)
  })
})
