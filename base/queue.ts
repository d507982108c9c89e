/**
 * First in, first out, with a limit: a ring that grows up to it. Invariant: an item that left is
 * not kept alive by the ring.
 */
import { assert } from './assert.ts'

const FIRST_CAPACITY = 16

export class BoundedQueue<T> {
  readonly limit: number
  #ring: (T | undefined)[]
  #head = 0
  #length = 0

  constructor(limit: number) {
    assert(Number.isSafeInteger(limit) && limit > 0, 'a limit')
    this.limit = limit
    this.#ring = new Array(Math.min(FIRST_CAPACITY, limit))
  }

  get length(): number {
    return this.#length
  }

  /** False when it is full: the item was not taken. */
  push(item: T): boolean {
    if (this.#length === this.limit) return false
    if (this.#length === this.#ring.length) this.#grow()
    this.#ring[(this.#head + this.#length) % this.#ring.length] = item
    this.#length++
    return true
  }

  /** The oldest item. */
  peek(): T | undefined {
    return this.#length === 0 ? undefined : this.#ring[this.#head]
  }

  /** Takes the oldest item; undefined when there is none. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined
    const item = this.#ring[this.#head]
    this.#ring[this.#head] = undefined
    this.#head = (this.#head + 1) % this.#ring.length
    this.#length--
    return item
  }

  clear(): void {
    this.#ring.fill(undefined)
    this.#head = 0
    this.#length = 0
  }

  #grow(): void {
    const old = this.#ring
    const grown = new Array<T | undefined>(Math.min(old.length * 2, this.limit))
    for (let i = 0; i < this.#length; i++) grown[i] = old[(this.#head + i) % old.length]
    this.#ring = grown
    this.#head = 0
  }
}
