/**
 * Produce requests that wait for their records to be replicated or written. Kept as a ring of
 * parallel columns, so that waiting costs no object. Offsets are added in rising order, apart from
 * duplicates of earlier batches, which are answered with the first entry at or above them.
 */
import { assert } from '../base/assert.ts'

export interface AckWaiter {
  /** `error` 0 when the wait ended well. */
  onAck(slot: number, error: number): void
}

const FIRST_CAPACITY = 16

export class AckWaiters {
  #offsets = new Float64Array(0)
  #deadlines = new Float64Array(0)
  #slots = new Int32Array(0)
  #waiters: (AckWaiter | undefined)[] = []
  #head = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  add(lastOffset: number, deadlineMs: number, waiter: AckWaiter, slot: number): void {
    if (this.#size === this.#offsets.length) this.#grow()
    const at = (this.#head + this.#size) & (this.#offsets.length - 1)
    this.#offsets[at] = lastOffset
    this.#deadlines[at] = deadlineMs
    this.#slots[at] = slot
    this.#waiters[at] = waiter
    this.#size++
  }

  /** Answers all whose last offset is below `limit`, up to the first that is not. */
  release(limit: number): void {
    while (this.#size > 0 && this.#offsets[this.#head]! < limit) this.#answerFirst(0)
  }

  /** Answers all with `error`. */
  failAll(error: number): void {
    assert(error !== 0, 'a failure has a code')
    for (let left = this.#size; left > 0; left--) this.#answerFirst(error)
  }

  /** Answers those at or above `offset` with `error`, keeps the others in order. */
  failFrom(offset: number, error: number): void {
    this.#filter((at) => (this.#offsets[at]! >= offset ? error : 0))
  }

  /** Answers those whose deadline has passed with `error`. */
  expire(monotonicMs: number, error: number): void {
    this.#filter((at) => (this.#deadlines[at]! <= monotonicMs ? error : 0))
  }

  /** Answers those that would not wait for ever with `error`. */
  failTimed(error: number): void {
    assert(error !== 0, 'a failure has a code')
    this.#filter((at) => (this.#deadlines[at] === Number.POSITIVE_INFINITY ? 0 : error))
  }

  #filter(verdict: (at: number) => number): void {
    for (let left = this.#size; left > 0; left--) {
      const at = this.#head
      const error = verdict(at)
      if (error !== 0) {
        this.#answerFirst(error)
        continue
      }
      const waiter = this.#waiters[at]!
      const [offset, deadline, slot] = [this.#offsets[at]!, this.#deadlines[at]!, this.#slots[at]!]
      this.#dropFirst()
      this.add(offset, deadline, waiter, slot)
    }
  }

  #answerFirst(error: number): void {
    const waiter = this.#waiters[this.#head]
    const slot = this.#slots[this.#head]!
    assert(waiter !== undefined, 'a used entry has a waiter')
    this.#dropFirst()
    waiter.onAck(slot, error)
  }

  #dropFirst(): void {
    assert(this.#size > 0)
    this.#waiters[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#offsets.length - 1)
    this.#size--
  }

  #grow(): void {
    const capacity = Math.max(FIRST_CAPACITY, this.#offsets.length * 2)
    const offsets = new Float64Array(capacity)
    const deadlines = new Float64Array(capacity)
    const slots = new Int32Array(capacity)
    const waiters: (AckWaiter | undefined)[] = new Array(capacity)
    for (let i = 0; i < this.#size; i++) {
      const at = (this.#head + i) & (this.#offsets.length - 1)
      offsets[i] = this.#offsets[at]!
      deadlines[i] = this.#deadlines[at]!
      slots[i] = this.#slots[at]!
      waiters[i] = this.#waiters[at]
    }
    this.#offsets = offsets
    this.#deadlines = deadlines
    this.#slots = slots
    this.#waiters = waiters
    this.#head = 0
  }
}
