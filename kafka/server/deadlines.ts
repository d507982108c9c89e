/**
 * A wheel of deadlines for requests that wait: adding and removing one costs no timer and no
 * object. Deadlines are met up to RESOLUTION_MS late, never early.
 *
 * Invariant: the timer is set for the first row that has anything in it, or earlier; there is none
 * while the wheel is empty.
 */
import { assert } from '../../base/assert.ts'
import type { Clock, Timer } from '../../base/clock.ts'

/** What waits carries its own links: it can be in one wheel only. */
export class Deadline {
  deadlineMs = 0
  /** -1 while it waits for nothing. */
  row = -1
  previous: Deadline | undefined = undefined
  next: Deadline | undefined = undefined

  /** Overridden: the time is up. It is in no wheel any more. */
  onDeadline(): void {
    assert(false, 'a deadline has somebody who waits for it')
  }
}

export const RESOLUTION_MS = 5
const ROWS = 512

export class DeadlineWheel {
  readonly #clock: Clock
  readonly #rows: (Deadline | undefined)[] = new Array(ROWS).fill(undefined)
  readonly #tick = () => this.#advance()
  #timer: Timer | undefined
  /** The tick that the timer is set for. */
  #armedTick = 0
  /** All ticks up to this one are done. */
  #doneTick: number
  #size = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#doneTick = Math.floor(clock.monotonicMs() / RESOLUTION_MS)
  }

  get size(): number {
    return this.#size
  }

  /** Calls `item.onDeadline()` once `deadlineMs` (monotonic) has passed. */
  add(item: Deadline, deadlineMs: number): void {
    assert(item.row === -1, 'it waits in one row only')
    const tick = Math.max(this.#doneTick + 1, Math.ceil(deadlineMs / RESOLUTION_MS))
    const row = tick % ROWS
    const first = this.#rows[row]
    item.deadlineMs = deadlineMs
    item.row = row
    item.previous = undefined
    item.next = first
    if (first !== undefined) first.previous = item
    this.#rows[row] = item
    this.#size++
    if (this.#timer === undefined || tick < this.#armedTick) this.#arm(tick)
  }

  /** Idempotent. */
  remove(item: Deadline): void {
    if (item.row === -1) return
    if (item.previous === undefined) this.#rows[item.row] = item.next
    else item.previous.next = item.next
    if (item.next !== undefined) item.next.previous = item.previous
    item.row = -1
    item.previous = undefined
    item.next = undefined
    this.#size--
  }

  /** No deadline is met from now on. */
  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #arm(tick: number): void {
    this.#timer?.cancel()
    this.#armedTick = tick
    const delayMs = Math.max(0, tick * RESOLUTION_MS - this.#clock.monotonicMs())
    this.#timer = this.#clock.after(delayMs, this.#tick)
  }

  #advance(): void {
    this.#timer = undefined
    const nowMs = this.#clock.monotonicMs()
    const nowTick = Math.floor(nowMs / RESOLUTION_MS)
    const first = Math.max(this.#doneTick + 1, nowTick - ROWS + 1)
    this.#doneTick = Math.max(this.#doneTick, nowTick)
    for (let tick = first; tick <= nowTick; tick++) this.#expire(tick % ROWS, nowMs)
    if (this.#size === 0) return
    // One that was added meanwhile may have set the timer, but others may be due before it.
    const next = this.#firstUsedTick()
    if (this.#timer === undefined || next < this.#armedTick) this.#arm(next)
  }

  /** Items of later rounds stay. */
  #expire(row: number, nowMs: number): void {
    let item = this.#rows[row]
    const due: Deadline[] = []
    while (item !== undefined) {
      if (item.deadlineMs <= nowMs) due.push(item)
      item = item.next
    }
    for (const each of due) {
      if (each.row !== row) continue // an earlier one took it out
      this.remove(each)
      each.onDeadline()
    }
  }

  #firstUsedTick(): number {
    let tick = this.#doneTick + 1
    while (this.#rows[tick % ROWS] === undefined) {
      tick++
      assert(tick <= this.#doneTick + ROWS, 'a wheel that is not empty has a used row')
    }
    return tick
  }
}
