/**
 * The line about clients that asked the wrong node, or with another leader epoch than the present
 * one. It is no fault (they look for the leader and ask there), but a client that does so for ever
 * is one whose metadata does not change: the line says who.
 */
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../base/logger.ts'
import { RepeatedLine } from '../../base/repeated-line.ts'
import {
  errorName,
  FENCED_LEADER_EPOCH,
  NOT_LEADER_OR_FOLLOWER,
  UNKNOWN_LEADER_EPOCH,
} from '../wire/errors.ts'

export class Misdirected {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #line = new RepeatedLine()

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock
    this.#logger = logger
  }

  /** For each answer with an error. */
  look(error: number, apiKey: number, remote: string): void {
    const isMisdirected =
      error === NOT_LEADER_OR_FOLLOWER ||
      error === FENCED_LEADER_EPOCH ||
      error === UNKNOWN_LEADER_EPOCH
    if (!isMisdirected) return
    this.#line.say(this.#clock, (leftOut) => {
      const message = 'A client asked a node that does not lead the partition, or in another epoch.'
      this.#logger.info(message, { remote, apiKey, error: errorName(error), leftOut })
    })
  }
}
