import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Deadline, DeadlineWheel, RESOLUTION_MS } from './deadlines.ts'
import { FakeClock } from './testing/fake-clock.ts'

class Waiting extends Deadline {
  metAtMs = -1
  readonly #clock: FakeClock
  constructor(clock: FakeClock) {
    super()
    this.#clock = clock
  }
  override onDeadline(): void {
    assert.equal(this.metAtMs, -1, 'once only')
    this.metAtMs = this.#clock.monotonicMs()
  }
}

describe('kafka/server/deadlines', () => {
  it('has no timer while it is empty', () => {
    const clock = new FakeClock()
    const wheel = new DeadlineWheel(clock)
    assert.equal(clock.timerCount, 0)
    const item = new Waiting(clock)
    wheel.add(item, 20)
    assert.equal(clock.timerCount, 1)
    clock.advance(30)
    assert.equal(item.metAtMs, 20)
    assert.equal(clock.timerCount, 0)
  })

  it('meets each deadline, never early and never more than the resolution late', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ delayMs: fc.nat(9000), pauseMs: fc.nat(700), isRemoved: fc.boolean() }),
          { maxLength: 60 },
        ),
        (steps) => {
          const clock = new FakeClock(123.4)
          const wheel = new DeadlineWheel(clock)
          const items: { item: Waiting; deadlineMs: number; isRemoved: boolean }[] = []
          for (const { delayMs, pauseMs, isRemoved } of steps) {
            const item = new Waiting(clock)
            const deadlineMs = clock.monotonicMs() + delayMs
            wheel.add(item, deadlineMs)
            items.push({ item, deadlineMs, isRemoved })
            clock.advance(pauseMs)
            if (isRemoved) wheel.remove(item)
          }
          clock.advance(10000)
          for (const { item, deadlineMs, isRemoved } of items) {
            if (item.metAtMs === -1) assert.equal(isRemoved, true)
            else {
              assert.ok(item.metAtMs >= deadlineMs)
              assert.ok(item.metAtMs <= deadlineMs + 2 * RESOLUTION_MS)
            }
          }
          assert.equal(wheel.size, 0)
          assert.equal(clock.timerCount, 0)
        },
      ),
    )
  })
})
