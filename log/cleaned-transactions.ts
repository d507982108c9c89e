/**
 * Which transactions a pass of the cleaner is inside of, as it reads a log from its start.
 *
 * Invariant: a marker may go only when no batch of its transaction was read before it in this
 * pass: so an aborted record that is still on disk always has its marker behind it.
 */
import { assert } from '../base/assert.ts'
import type { AbortedRange } from './cleanable.ts'
import { CONTROL_ABORT, CONTROL_COMMIT } from './format.ts'

interface OpenAborted {
  readonly range: AbortedRange
  hasBatches: boolean
}

export class CleanedTransactions {
  /** By rising first offset. */
  readonly #ranges: readonly AbortedRange[]
  #next = 0
  /** By producer id. */
  readonly #aborted = new Map<number, OpenAborted>()
  readonly #committed = new Set<number>()

  constructor(ranges: readonly AbortedRange[]) {
    this.#ranges = [...ranges].sort((a, b) => a.firstOffset - b.firstOffset)
  }

  /** Reads a data batch; true when it belongs to an aborted transaction. */
  isAborted(producerId: number, isTransactional: boolean, lastOffset: number): boolean {
    this.#openUpTo(lastOffset)
    if (!isTransactional) return false
    assert(producerId >= 0, 'a transaction has a producer')
    const open = this.#aborted.get(producerId)
    if (open === undefined) {
      this.#committed.add(producerId)
      return false
    }
    open.hasBatches = true
    return true
  }

  /**
   * Reads a control batch; true when it may go. `type` is undefined when it has no record any
   * more. `keep` is told the index entry of an abort marker that stays.
   */
  mayDropMarker(
    producerId: number,
    type: number | undefined,
    lastOffset: number,
    keep: (range: AbortedRange) => void,
  ): boolean {
    this.#openUpTo(lastOffset)
    if (type === undefined) return true
    if (type === CONTROL_COMMIT) return !this.#committed.delete(producerId)
    if (type !== CONTROL_ABORT) return false
    const open = this.#aborted.get(producerId)
    this.#aborted.delete(producerId)
    if (open === undefined || !open.hasBatches) return true
    keep(open.range)
    return false
  }

  #openUpTo(offset: number): void {
    for (;;) {
      const range = this.#ranges[this.#next]
      if (range === undefined || range.firstOffset > offset) return
      this.#next++
      if (!this.#aborted.has(range.producerId)) {
        this.#aborted.set(range.producerId, { range, hasBatches: false })
      }
    }
  }
}
