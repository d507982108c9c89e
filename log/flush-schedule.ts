/**
 * When logs are synced whose owners don't wait for it: `flush=interval` after its `flushMs`, any
 * other after a minute. One timer for all logs of a node.
 *
 * Invariant: a log with unsynced records is in the schedule, or its sync is under way.
 */
import { assert } from '../base/assert.ts'
import type { Clock, Timer } from '../base/clock.ts'
import { StorageError } from '../base/errors.ts'

const PARALLEL_MAX = 16

export interface Flushable {
  sync(): Promise<number>
}

export class FlushSchedule {
  readonly #clock: Clock
  readonly #dueMs = new Map<Flushable, number>()
  #timer: Timer | undefined = undefined
  #timerMs = Number.POSITIVE_INFINITY
  #running = 0
  #isClosed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#dueMs.size
  }

  /** `dueMs` is monotonic time. A log that is there already keeps the earlier of the two. */
  add(log: Flushable, dueMs: number): void {
    if (this.#isClosed) return
    const earlier = Math.min(dueMs, this.#dueMs.get(log) ?? dueMs)
    this.#dueMs.set(log, earlier)
    if (earlier < this.#timerMs) this.#arm(earlier)
  }

  remove(log: Flushable): void {
    this.#dueMs.delete(log)
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#dueMs.clear()
  }

  #arm(dueMs: number): void {
    this.#timer?.cancel()
    this.#timerMs = dueMs
    const delayMs = Math.max(0, dueMs - this.#clock.monotonicMs())
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = undefined
      this.#timerMs = Number.POSITIVE_INFINITY
      this.#startDue()
    })
  }

  /** A few at once; each that ends starts the next. */
  #startDue(): void {
    if (this.#isClosed) return
    const nowMs = this.#clock.monotonicMs()
    let nextMs = Number.POSITIVE_INFINITY
    for (const [log, dueMs] of this.#dueMs) {
      if (dueMs > nowMs) {
        nextMs = Math.min(nextMs, dueMs)
        continue
      }
      if (this.#running === PARALLEL_MAX) return
      this.#dueMs.delete(log)
      this.#start(log)
    }
    if (nextMs < this.#timerMs) this.#arm(nextMs)
  }

  #start(log: Flushable): void {
    this.#running++
    assert(this.#running <= PARALLEL_MAX, 'few syncs at once')
    log.sync().then(
      () => this.#onEnd(),
      (error: unknown) => {
        this.#onEnd()
        if (!(error instanceof StorageError)) throw error // a failed log has said so itself
      },
    )
  }

  #onEnd(): void {
    this.#running--
    this.#startDue()
  }
}
