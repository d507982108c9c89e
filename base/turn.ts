/**
 * The end of a turn: work that many events of one turn of the loop share is done once. Two rows, in
 * this order: stores write what was appended, then connections write what was answered. A row may
 * add to a later row, or to its own, which then runs in the same pass.
 */
import { assert } from './assert.ts'
import type { Clock } from './clock.ts'

export interface Flushable {
  /** True while it waits in a row. Only Turn writes it. */
  queued: boolean
  /** Must not throw: an owner handles its own failures. */
  flush(): void
}

export class Turn {
  readonly #clock: Clock
  readonly #stores: Flushable[] = []
  readonly #connections: Flushable[] = []
  readonly #run = () => this.#pass()
  #scheduled = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `item.flush()` runs once at the end of this turn, before any connection's. */
  stores(item: Flushable): void {
    this.#add(this.#stores, item)
  }

  /** `item.flush()` runs once at the end of this turn, after all stores'. */
  connections(item: Flushable): void {
    this.#add(this.#connections, item)
  }

  #add(row: Flushable[], item: Flushable): void {
    if (item.queued) return
    item.queued = true
    row.push(item)
    if (this.#scheduled) return
    this.#scheduled = true
    this.#clock.soon(this.#run)
  }

  #pass(): void {
    assert(this.#scheduled)
    // A store that completes answers; an answer may be for a connection that appends again. The
    // loop ends because only new input makes new work, and input is read between turns.
    while (this.#stores.length > 0 || this.#connections.length > 0) {
      this.#drain(this.#stores)
      this.#drain(this.#connections)
    }
    this.#scheduled = false
  }

  #drain(row: Flushable[]): void {
    for (let i = 0; i < row.length; i++) {
      const item = row[i]!
      item.queued = false
      item.flush()
    }
    row.length = 0
  }
}
