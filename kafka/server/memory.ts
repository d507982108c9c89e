/**
 * The memory that connections use: frames that are being gathered and answers that have not left.
 * One accountant for all of them, and one pool of buffers that go round.
 *
 * Invariants: `usedBytes` is the sum of all buffers lent and not given back; a buffer that was
 * given back is nobody's; at most one waiter at a time may go over the budget, so that somebody
 * always gets on.
 */
import { assert } from '../../base/assert.ts'
import type { Flushable, Turn } from '../../base/turn.ts'

/** Waits for memory to be given back. */
export interface MemoryWaiter {
  /** There may be room now: try again. Called at the end of a turn. */
  onMemory(): void
}

/** Answers may use this much of the budget, so that requests can always be received. */
const ANSWER_SHARE = 0.75

export class MemoryAccountant implements Flushable {
  queued = false
  readonly budgetBytes: number
  usedBytes = 0
  readonly #turn: Turn
  readonly #waiters = new Set<MemoryWaiter>()
  #overdrawn: MemoryWaiter | undefined

  constructor(turn: Turn, budgetBytes: number) {
    assert(budgetBytes > 0)
    this.#turn = turn
    this.budgetBytes = budgetBytes
  }

  get waiterCount(): number {
    return this.#waiters.size
  }

  /** More than half is used: buffers should not grow ahead of what they hold. */
  get isTight(): boolean {
    return this.usedBytes * 2 > this.budgetBytes
  }

  /** Is there room for an answer of this size? One is always let through when nothing is used. */
  hasRoomForAnswer(sizeBytes: number): boolean {
    return this.usedBytes === 0 || this.usedBytes + sizeBytes <= this.budgetBytes * ANSWER_SHARE
  }

  /**
   * May `who` go on receiving? Within the budget everybody; beyond it one at a time, until
   * `settle(who)`.
   */
  mayReceive(who: MemoryWaiter): boolean {
    if (this.usedBytes <= this.budgetBytes) return true
    if (this.#overdrawn === undefined) this.#overdrawn = who
    return this.#overdrawn === who
  }

  /** `who` holds nothing any more that it took over the budget. */
  settle(who: MemoryWaiter): void {
    if (this.#overdrawn !== who) return
    this.#overdrawn = undefined
    this.#wake()
  }

  wait(waiter: MemoryWaiter): void {
    this.#waiters.add(waiter)
  }

  forget(waiter: MemoryWaiter): void {
    this.#waiters.delete(waiter)
    this.settle(waiter)
  }

  take(sizeBytes: number): void {
    this.usedBytes += sizeBytes
  }

  release(sizeBytes: number): void {
    this.usedBytes -= sizeBytes
    assert(this.usedBytes >= 0, 'no more is given back than was taken')
    this.#wake()
  }

  #wake(): void {
    if (this.#waiters.size > 0 && !this.queued) this.#turn.connections(this)
  }

  flush(): void {
    // Whoever finds no room adds itself again: only those of this round are told.
    const waiters = [...this.#waiters]
    this.#waiters.clear()
    for (const waiter of waiters) waiter.onMemory()
  }
}

const SMALLEST_BYTES = 4096
/** Buffers above this are made to measure, and not kept. */
const LARGEST_KEPT_BYTES = 4 * 1024 * 1024
const MEASURE_BYTES = 1024 * 1024
/** Powers of two and the sizes half-way between: an answer is often a little over one. */
const CLASSES = 2 * Math.log2(LARGEST_KEPT_BYTES / SMALLEST_BYTES) + 1
const POISON = 0xdb

export class BufferPool {
  readonly memory: MemoryAccountant
  /** Free buffers, kept for the next one. Not counted as used. */
  freeBytes = 0
  readonly #freeBytesMax: number
  readonly #poisons: boolean
  readonly #free: Buffer[][] = Array.from({ length: CLASSES }, () => [])

  /** `poisons`: overwrite what comes back, so that tests see a use after it. */
  constructor(memory: MemoryAccountant, options: { freeBytesMax: number; poisons: boolean }) {
    this.memory = memory
    this.#freeBytesMax = options.freeBytesMax
    this.#poisons = options.poisons
  }

  /** A buffer of at least `sizeBytes`, with anything in it. */
  lend(sizeBytes: number): Buffer {
    const lentBytes = roundUp(sizeBytes)
    this.memory.take(lentBytes)
    if (lentBytes <= LARGEST_KEPT_BYTES) {
      const free = this.#free[classOf(lentBytes)]!.pop()
      if (free !== undefined) {
        this.freeBytes -= lentBytes
        return free
      }
    }
    return Buffer.allocUnsafeSlow(lentBytes)
  }

  giveBack(buffer: Buffer): void {
    const sizeBytes = buffer.length
    this.memory.release(sizeBytes)
    if (this.#poisons) buffer.fill(POISON)
    if (sizeBytes > LARGEST_KEPT_BYTES || this.freeBytes + sizeBytes > this.#freeBytesMax) return
    this.freeBytes += sizeBytes
    this.#free[classOf(sizeBytes)]!.push(buffer)
  }
}

/** The size of the buffer that is lent for `sizeBytes`. */
export function roundUp(sizeBytes: number): number {
  if (sizeBytes <= SMALLEST_BYTES) return SMALLEST_BYTES
  if (sizeBytes > LARGEST_KEPT_BYTES) return Math.ceil(sizeBytes / MEASURE_BYTES) * MEASURE_BYTES
  const power = 2 ** (32 - Math.clz32(sizeBytes - 1))
  return sizeBytes <= power * 0.75 ? power * 0.75 : power
}

function classOf(lentBytes: number): number {
  const power = 31 - Math.clz32(lentBytes / SMALLEST_BYTES)
  return lentBytes === SMALLEST_BYTES * 2 ** power ? 2 * power : 2 * power + 1
}
