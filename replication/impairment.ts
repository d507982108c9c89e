/** What keeps a replica from having all its records, or from taking more; and the lines about it. */
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import { RepeatedLine } from '../base/repeated-line.ts'

/** Damage of which nobody knows where it begins. */
export const UNKNOWN_OFFSET = -1

export class Impairment {
  /** The lowest offset known to be damaged; UNKNOWN_OFFSET when only that there is one. */
  damagedFrom: number | undefined
  readonly #of: { readonly topic: string; readonly index: number }
  readonly #parts: { readonly clock: Clock; readonly logger: Logger }
  readonly #damageLine = new RepeatedLine()
  readonly #fullLine = new RepeatedLine()
  #fullInEpoch = -1

  constructor(
    of: { readonly topic: string; readonly index: number },
    parts: { readonly clock: Clock; readonly logger: Logger },
  ) {
    this.#of = of
    this.#parts = parts
  }

  note(offset: number): void {
    assert(offset >= UNKNOWN_OFFSET, 'an offset, or that there is one')
    this.damagedFrom = Math.min(this.damagedFrom ?? Number.POSITIVE_INFINITY, offset)
  }

  sayDamaged(error: Error): void {
    const { logger, clock } = this.#parts
    const { topic, index: partition } = this.#of
    this.#damageLine.say(clock, (leftOut) => {
      const fields = { topic, partition, error: error.message, leftOut }
      logger.error('Damaged records were found and not served.', fields)
    })
  }

  sayFull(): void {
    const { logger, clock } = this.#parts
    const { topic, index: partition } = this.#of
    this.#fullLine.say(clock, (leftOut) => {
      const message = 'Records were refused because the disk took no write: it is full.'
      logger.warn(message, { topic, partition, leftOut })
    })
  }

  /** Once an epoch: in the next one another replica may have room. */
  isFullNews(leaderEpoch: number): boolean {
    if (this.#fullInEpoch === leaderEpoch) return false
    this.#fullInEpoch = leaderEpoch
    return true
  }
}
