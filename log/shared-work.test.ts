import assert from 'node:assert/strict'
import { SharedWork } from './shared-work.ts'

describe('log/shared-work', () => {
  it('runs once more for all who come while it runs', async () => {
    const ends: (() => void)[] = []
    let runs = 0
    const work = new SharedWork(() => {
      runs++
      return new Promise((resolve) => ends.push(resolve))
    })
    const first = work.request()
    const second = work.request()
    assert.equal(work.request(), second)
    assert.equal(runs, 1)
    ends[0]!()
    await first
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(runs, 2, 'what was asked meanwhile is not served by a run that began before')
    ends[1]!()
    await second
    assert.equal(work.current, undefined)
  })

  it('tells a failure to those who asked for that run only', async () => {
    let runs = 0
    const work = new SharedWork(async () => {
      if (++runs === 1) throw new Error('the first')
    })
    const first = work.request()
    const second = work.request()
    await assert.rejects(first, /the first/)
    await second
  })
})
