/** A clock for tests of one component: time moves when the test says so. */
import type { Clock, Timer } from '../../../base/clock.ts'

export class FakeClock implements Clock {
  #nowMs: number
  #order = 0
  readonly #timers = new Set<{ dueMs: number; order: number; run: () => void }>()
  readonly #soon: (() => void)[] = []

  constructor(startMs = 0) {
    this.#nowMs = startMs
  }

  get timerCount(): number {
    return this.#timers.size
  }

  nowMs(): number {
    return 1_700_000_000_000 + Math.floor(this.#nowMs)
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): Timer {
    const timer = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run }
    this.#timers.add(timer)
    return { cancel: () => this.#timers.delete(timer) }
  }

  soon(run: () => void): void {
    this.#soon.push(run)
  }

  /** Runs what `soon` has collected: the end of a turn. */
  endTurn(): void {
    while (this.#soon.length > 0) for (const run of this.#soon.splice(0)) run()
  }

  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs
    this.endTurn()
    for (;;) {
      let first: { dueMs: number; order: number; run: () => void } | undefined
      for (const timer of this.#timers) {
        if (timer.dueMs > untilMs) continue
        if (
          first === undefined ||
          timer.dueMs < first.dueMs ||
          (timer.dueMs === first.dueMs && timer.order < first.order)
        ) {
          first = timer
        }
      }
      if (first === undefined) break
      this.#timers.delete(first)
      this.#nowMs = Math.max(this.#nowMs, first.dueMs)
      first.run()
      this.endTurn()
    }
    this.#nowMs = untilMs
    this.endTurn()
  }
}
