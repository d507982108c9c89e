/** Time as the rest of the code sees it. */

export interface Timer {
  /** Idempotent. After it, `run` is not called. */
  cancel(): void
}

export interface Clock {
  /** Wall clock, whole milliseconds since 1970; may jump. Never subtract two of these. */
  nowMs(): number
  /** For durations: milliseconds with a fraction, never goes back. */
  monotonicMs(): number
  /** Runs once, not before `delayMs` of monotonic time. Never runs synchronously. */
  after(delayMs: number, run: () => void): Timer
  /**
   * Runs once when the events at hand have been handled (the end of this turn of the loop), in the
   * order of the calls. No time passes in between.
   */
  soon(run: () => void): void
}

/** A promise that resolves after `delayMs`. For the edge only: the heart has no promises. */
export function delay(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve)
  })
}
