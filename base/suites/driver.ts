/** How a suite waits: in simulation by running events, in reality by letting time pass. */
import type { Scheduler } from '../sim/scheduler.ts'

const LIMIT_MS = 5000
const LOOK_AGAIN_MS = 1

export interface Driver {
  complete<T>(promise: Promise<T>): Promise<T>
  /** Throws when the condition doesn't hold in time. */
  until(condition: () => boolean): Promise<void>
  /** Lets what is at hand happen. */
  pause(): Promise<void>
}

export function simDriver(scheduler: Scheduler): Driver {
  return {
    complete: (promise) => scheduler.complete(promise),
    until: (condition) => scheduler.runUntil(condition, LIMIT_MS),
    pause: () => scheduler.runFor(LOOK_AGAIN_MS),
  }
}

export const realDriver: Driver = {
  complete: (promise) => promise,
  async until(condition) {
    const limitMs = performance.now() + LIMIT_MS
    while (!condition()) {
      if (performance.now() > limitMs) throw new Error(`not within ${LIMIT_MS} ms: ${condition}`)
      await realDriver.pause()
    }
  },
  pause: () => new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS)),
}
