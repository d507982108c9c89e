/**
 * Wall clocks of brokers, beside the controller's: nothing here relies on them, but timestamps of
 * records, retention by time and the expiry of offsets do. Said once, and when it is over.
 */
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../base/logger.ts'

/** Beyond what a message may be under way, and a pause of either end. */
const APART_MS = 10_000
/** Not said: a heartbeat of a release that did not tell its clock. */
const UNTOLD = 0

export class ClockWatch {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #apart = new Set<number>()

  constructor(parts: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = parts.clock
    this.#logger = parts.logger
  }

  heard(broker: number, wallClockMs: number): void {
    if (wallClockMs === UNTOLD) return
    const aheadMs = wallClockMs - this.#clock.nowMs()
    const isApart = Math.abs(aheadMs) > APART_MS
    if (isApart === this.#apart.has(broker)) return
    if (isApart) {
      this.#apart.add(broker)
      const message = 'The clock of a node differs from the one here: set both by NTP.'
      this.#logger.warn(message, { broker, aheadSeconds: Math.round(aheadMs / 1000) })
    } else {
      this.#apart.delete(broker)
      this.#logger.info('The clock of a node agrees with the one here again.', { broker })
    }
  }
}
