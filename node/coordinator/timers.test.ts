import assert from 'node:assert/strict'
import { SimClock } from '../../base/sim/clock.ts'
import { SimRandom } from '../../base/sim/random.ts'
import { Scheduler } from '../../base/sim/scheduler.ts'
import { Deadline, Timers } from './timers.ts'

describe('timers', () => {
  const setUp = () => {
    const scheduler = new Scheduler()
    const timers = new Timers(new SimClock(scheduler))
    return { scheduler, timers }
  }

  it('runs each once, in the order of their deadlines', async () => {
    const { scheduler, timers } = setUp()
    const ran: string[] = []
    const make = (name: string) => new Deadline(() => ran.push(`${name} ${scheduler.nowMs}`))
    timers.set(make('late'), 300)
    timers.set(make('early'), 100)
    timers.set(make('now'), 0)
    await scheduler.run(1000)
    assert.deepEqual(ran, ['now 0', 'early 100', 'late 300'])
    assert.equal(timers.size, 0)
  })

  it('forgets what is cancelled or set again', async () => {
    const { scheduler, timers } = setUp()
    const ran: number[] = []
    const moved = new Deadline(() => ran.push(scheduler.nowMs))
    const cancelled = new Deadline(() => ran.push(-1))
    timers.set(moved, 100)
    timers.set(cancelled, 50)
    timers.set(moved, 400)
    timers.cancel(cancelled)
    await scheduler.run(300)
    assert.deepEqual(ran, [])
    timers.set(moved, 10)
    await scheduler.run(1000)
    assert.deepEqual(ran, [310])
  })

  it('lets heartbeats of ten thousand members cost one timer', async () => {
    const { scheduler, timers } = setUp()
    let expired = 0
    const members = Array.from({ length: 10_000 }, () => new Deadline(() => expired++))
    for (let round = 0; round < 20; round++) {
      for (const member of members) timers.set(member, 45_000)
      await scheduler.run((round + 1) * 3000)
    }
    assert.equal(expired, 0)
    assert.equal(timers.size, 10_000)
    const before = scheduler.eventCount
    assert.ok(before < 100, `${before} events`)
    await scheduler.runFor(45_100)
    assert.equal(expired, 10_000)
  })

  it('does nothing after it is closed', async () => {
    const { scheduler, timers } = setUp()
    const never = new Deadline(() => assert.fail('ran'))
    timers.set(never, 10)
    timers.close()
    timers.set(never, 10)
    await scheduler.run(100)
    assert.equal(never.isSet, false)
  })

  it('agrees with a plain list, at random', async () => {
    const seed = 20261125
    const random = new SimRandom(seed)
    const { scheduler, timers } = setUp()
    const due = new Map<number, number>()
    const deadlines = Array.from(
      { length: 50 },
      (_, i) =>
        new Deadline(() => {
          const atMs = due.get(i)
          due.delete(i)
          assert.ok(atMs !== undefined && scheduler.nowMs >= atMs, `seed ${seed}`)
          assert.ok(scheduler.nowMs - atMs <= 50, `seed ${seed}: late`)
        }),
    )
    for (let step = 0; step < 5000; step++) {
      const i = random.below(deadlines.length)
      if (random.below(4) === 0) {
        timers.cancel(deadlines[i]!)
        due.delete(i)
      } else {
        const delayMs = random.below(3000)
        timers.set(deadlines[i]!, delayMs)
        due.set(i, scheduler.nowMs + delayMs)
      }
      if (random.below(3) === 0) await scheduler.runFor(random.below(40))
    }
    await scheduler.runFor(4000)
    assert.equal(due.size, 0, `seed ${seed}`)
  })
})
