/** What every Clock promises. */
import assert from 'node:assert/strict'
import { type Clock, delay } from '../clock.ts'
import { type Flushable, Turn } from '../turn.ts'
import type { Driver } from './driver.ts'

export interface ClockUnderTest extends Driver {
  readonly clock: Clock
}

export function clockSuite(name: string, start: () => ClockUnderTest): void {
  describe(`base/clock ${name}`, () => {
    let clock: Clock
    let driver: Driver
    beforeEach(() => {
      const parts = start()
      clock = parts.clock
      driver = parts
    })

    it('tells the wall clock in whole milliseconds of this age', () => {
      assert.ok(Number.isSafeInteger(clock.nowMs()))
      assert.ok(clock.nowMs() > Date.UTC(2024, 0))
    })

    it('runs timers once, not early, in the order of their time', async () => {
      const startMs = clock.monotonicMs()
      const ran: { delayMs: number; atMs: number }[] = []
      for (const delayMs of [30, 10, 20, 0]) {
        clock.after(delayMs, () => ran.push({ delayMs, atMs: clock.monotonicMs() }))
      }
      assert.equal(ran.length, 0, 'never synchronously')
      await driver.until(() => ran.length === 4)
      assert.deepEqual(
        ran.map(({ delayMs }) => delayMs),
        [0, 10, 20, 30],
      )
      for (const { delayMs, atMs } of ran) assert.ok(atMs - startMs >= delayMs)
    })

    it('does not run what was cancelled', async () => {
      let count = 0
      const timer = clock.after(1, () => count++)
      timer.cancel()
      timer.cancel()
      clock.after(2 ** 40, () => count++).cancel()
      const late = clock.after(1, () => count++)
      await driver.complete(delay(clock, 10))
      late.cancel()
      assert.equal(count, 1)
    })

    it('does not run a timer of many years at once', async () => {
      let count = 0
      const timer = clock.after(2 ** 40, () => count++)
      await driver.complete(delay(clock, 10))
      timer.cancel()
      assert.equal(count, 0)
    })

    it('runs what comes soon in order, when promises have settled', async () => {
      const order: string[] = []
      clock.soon(() => order.push('a'))
      clock.soon(() => {
        order.push('b')
        clock.soon(() => order.push('d'))
      })
      void Promise.resolve().then(() => order.push('promise'))
      clock.soon(() => order.push('c'))
      order.push('now')
      await driver.until(() => order.length === 6)
      assert.equal(order.join(' '), 'now promise a b c d')
    })

    it('lets a turn flush stores before connections, once', async () => {
      const turn = new Turn(clock)
      const order: string[] = []
      const item = (name: string, then: () => void = () => {}): Flushable => ({
        queued: false,
        flush() {
          order.push(name)
          then()
        },
      })
      const connection = item('connection')
      const store = item('store', () => turn.connections(connection))
      turn.connections(connection)
      turn.stores(store)
      turn.stores(store)
      assert.deepEqual(order, [])
      await driver.until(() => order.length > 0)
      assert.deepEqual(order, ['store', 'connection'])
      turn.stores(store)
      await driver.until(() => order.length === 4)
      assert.deepEqual(order.slice(2), ['store', 'connection'])
    })
  })
}
