/**
 * Subscriptions of one stream that wait for their turn, first come, first served. Invariant: both
 * ends cost the same however long the row is, and an empty row keeps nothing alive.
 */
import { assert } from '../base/assert.ts'
import type { Subscription } from './subscription.ts'

export class Row {
  readonly #items: Subscription[] = []
  #head = 0

  get size(): number {
    return this.#items.length - this.#head
  }

  push(item: Subscription): void {
    this.#items.push(item)
  }

  /** Undefined when nobody waits. */
  shift(): Subscription | undefined {
    if (this.size === 0) return undefined
    const item = this.#items[this.#head++]
    assert(item !== undefined, 'who waits is there')
    if (this.#head === this.#items.length) {
      this.#items.length = 0
      this.#head = 0
    }
    return item
  }
}
