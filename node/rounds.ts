/**
 * Looks at those that asked for it every so often, until each has had enough. One timer for all of
 * them, and none while nobody asks.
 */
import type { Clock, Timer } from '../base/clock.ts'

export interface RoundsOptions<T> {
  readonly clock: Clock
  readonly everyMs: number
  /** False: it need not be looked at any more. */
  readonly look: (item: T, nowMs: number) => boolean
}

export class Rounds<T> {
  readonly #options: RoundsOptions<T>
  readonly #items = new Set<T>()
  #timer: Timer | undefined
  #isClosed = false

  constructor(options: RoundsOptions<T>) {
    this.#options = options
  }

  add(item: T): void {
    this.#items.add(item)
    if (this.#timer === undefined && !this.#isClosed) this.#schedule()
  }

  delete(item: T): void {
    this.#items.delete(item)
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  #schedule(): void {
    const { clock, everyMs, look } = this.#options
    this.#timer = clock.after(everyMs, () => {
      this.#timer = undefined
      const nowMs = clock.monotonicMs()
      for (const item of this.#items) if (!look(item, nowMs)) this.#items.delete(item)
      if (this.#items.size > 0 && this.#timer === undefined && !this.#isClosed) this.#schedule()
    })
  }
}
