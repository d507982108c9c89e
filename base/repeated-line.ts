/** A line of the log that could come with every request: one in ten seconds is written. */
import type { Clock } from './clock.ts'

const EVERY_MS = 10_000

export class RepeatedLine {
  #dueMs = Number.NEGATIVE_INFINITY
  #leftOut = 0

  /** Calls `write` with the number of lines left out before this one, or leaves this out. */
  say(clock: Clock, write: (leftOut: number) => void): void {
    const nowMs = clock.monotonicMs()
    if (nowMs < this.#dueMs) {
      this.#leftOut++
      return
    }
    this.#dueMs = nowMs + EVERY_MS
    write(this.#leftOut)
    this.#leftOut = 0
  }
}
