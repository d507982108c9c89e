import assert from 'node:assert/strict'
import { RepeatedLine } from './repeated-line.ts'
import { SimClock } from './sim/clock.ts'
import { Scheduler } from './sim/scheduler.ts'

describe('base/repeated-line', () => {
  it('writes one in ten seconds, and how many were left out', async () => {
    const scheduler = new Scheduler()
    const clock = new SimClock(scheduler)
    const line = new RepeatedLine()
    const written: number[] = []
    for (let i = 0; i < 5; i++) line.say(clock, (leftOut) => written.push(leftOut))
    assert.deepEqual(written, [0])
    await scheduler.runFor(10_000)
    for (let i = 0; i < 2; i++) line.say(clock, (leftOut) => written.push(leftOut))
    assert.deepEqual(written, [0, 4])
    await scheduler.runFor(10_000)
    line.say(clock, (leftOut) => written.push(leftOut))
    assert.deepEqual(written, [0, 4, 1])
  })
})
