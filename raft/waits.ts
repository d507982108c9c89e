/** Those who wait for a position to be applied, or for a read to be confirmed. Each has a limit. */
import { assert } from '../base/assert.ts'
import type { Clock, Timer } from '../base/clock.ts'
import { NotLeading } from './proposals.ts'

/** It took too long. */
export class WaitOver extends Error {
  override readonly name = 'WaitOver'
}

interface Wait<T> {
  readonly timer: Timer
  resolve(value: T): void
  reject(error: unknown): void
}

interface AppliedWait extends Wait<void> {
  readonly endOffset: number
}

export class Waits {
  readonly #clock: Clock
  readonly #reads = new Map<number, Wait<number>>()
  readonly #applied = new Set<AppliedWait>()
  #nextContext = 1

  constructor(clock: Clock) {
    this.#clock = clock
  }

  read(timeoutMs: number): { context: number; promise: Promise<number> } {
    assert(timeoutMs > 0, 'a wait has a limit')
    const context = this.#nextContext++
    const promise = new Promise<number>((resolve, reject) => {
      const timer = this.#clock.after(timeoutMs, () => {
        this.#reads.delete(context)
        reject(new WaitOver('nobody confirmed in time who leads'))
      })
      this.#reads.set(context, { timer, resolve, reject })
    })
    return { context, promise }
  }

  readAnswered(context: number, offset: number): void {
    const wait = this.#reads.get(context)
    if (wait === undefined) return
    this.#reads.delete(context)
    wait.timer.cancel()
    if (offset >= 0) wait.resolve(offset)
    else wait.reject(new NotLeading('no leader is known'))
  }

  applied(current: number, endOffset: number, timeoutMs: number): Promise<void> {
    assert(endOffset >= 0 && timeoutMs >= 0, 'an offset, and a limit')
    if (current >= endOffset) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(timeoutMs, () => {
        this.#applied.delete(wait)
        reject(new WaitOver(`offset ${endOffset} was not applied in time`))
      })
      const wait: AppliedWait = { endOffset, timer, resolve, reject }
      this.#applied.add(wait)
    })
  }

  appliedTo(endOffset: number): void {
    for (const wait of this.#applied) {
      if (wait.endOffset > endOffset) continue
      this.#applied.delete(wait)
      wait.timer.cancel()
      wait.resolve()
    }
  }

  fail(error: unknown): void {
    for (const wait of [...this.#reads.values(), ...this.#applied]) {
      wait.timer.cancel()
      wait.reject(error)
    }
    this.#reads.clear()
    this.#applied.clear()
  }
}
