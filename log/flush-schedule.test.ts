import assert from 'node:assert/strict'
import { StorageError } from '../base/errors.ts'
import { SimClock } from '../base/sim/clock.ts'
import { Scheduler } from '../base/sim/scheduler.ts'
import { type Flushable, FlushSchedule } from './flush-schedule.ts'

class FakeLog implements Flushable {
  readonly syncedAtMs: number[] = []
  readonly #scheduler: Scheduler
  readonly #latencyMs: number

  constructor(scheduler: Scheduler, latencyMs = 0) {
    this.#scheduler = scheduler
    this.#latencyMs = latencyMs
  }

  sync(): Promise<number> {
    this.syncedAtMs.push(this.#scheduler.nowMs)
    return new Promise((resolve) => {
      this.#scheduler.after(this.#latencyMs * 1000, 'sync', () => resolve(0))
    })
  }
}

function setUp() {
  const scheduler = new Scheduler()
  return { scheduler, schedule: new FlushSchedule(new SimClock(scheduler)) }
}

describe('log/flush-schedule', () => {
  it('syncs each log at its time, whatever the order in which they came', async () => {
    const { scheduler, schedule } = setUp()
    const [late, early, twice] = [0, 0, 0].map(() => new FakeLog(scheduler))
    schedule.add(late!, 900)
    schedule.add(early!, 100)
    schedule.add(twice!, 800)
    schedule.add(twice!, 300)
    schedule.add(twice!, 700)
    await scheduler.run(2000)
    assert.deepEqual(early!.syncedAtMs, [100])
    assert.deepEqual(twice!.syncedAtMs, [300])
    assert.deepEqual(late!.syncedAtMs, [900])
    assert.equal(schedule.size, 0)
  })

  it('begins a few syncs at once, and the others as those end', async () => {
    const { scheduler, schedule } = setUp()
    const logs = Array.from({ length: 100 }, () => new FakeLog(scheduler, 10))
    for (const log of logs) schedule.add(log, 50)
    await scheduler.run(55)
    const begun = logs.filter(({ syncedAtMs }) => syncedAtMs.length > 0).length
    assert.ok(begun > 0 && begun <= 16, `${begun} at once`)
    await scheduler.run(500)
    assert.ok(logs.every(({ syncedAtMs }) => syncedAtMs.length === 1))
  })

  it('goes on when a log has failed, and forgets those that are taken out', async () => {
    const { scheduler, schedule } = setUp()
    const failed = { sync: () => Promise.reject(new StorageError('EIO', '/data/t-0', 'sync')) }
    const [gone, good] = [new FakeLog(scheduler), new FakeLog(scheduler)]
    schedule.add(failed, 10)
    schedule.add(gone, 10)
    schedule.add(good, 20)
    schedule.remove(gone)
    await scheduler.run(100)
    assert.deepEqual(gone.syncedAtMs, [])
    assert.deepEqual(good.syncedAtMs, [20])
    schedule.add(good, 200)
    schedule.close()
    await scheduler.run(300)
    assert.deepEqual(good.syncedAtMs, [20])
  })
})
