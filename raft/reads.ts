/**
 * Reads that are up to date without an entry in the log (thesis 6.4): the commit position of the
 * moment, once a round of heartbeats that began later has come back from a quorum.
 */
import { assert } from '../base/assert.ts'

interface Read {
  readonly from: number
  readonly context: number
  readonly offset: number
  /** Of heartbeats; -1: not begun. */
  round: number
}

export const READS_MAX = 10_000

export class Reads {
  #waiting: Read[] = []
  #answer: (from: number, context: number, offset: number) => void

  constructor(answer: (from: number, context: number, offset: number) => void) {
    this.#answer = answer
  }

  /** `offset`: all that is committed now. */
  add(from: number, context: number, offset: number): void {
    assert(offset >= 0, 'a read has an offset')
    if (this.#waiting.length >= READS_MAX) this.#answer(from, context, -1)
    else this.#waiting.push({ from, context, offset, round: -1 })
  }

  /** Some read has no round yet. */
  get needsRound(): boolean {
    return this.#waiting.at(-1)?.round === -1
  }

  begin(round: number): void {
    assert(round > 0, 'rounds are counted from 1')
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      const read = this.#waiting[i]!
      if (read.round >= 0) break
      read.round = round
    }
  }

  /** A quorum has answered this round. */
  confirm(round: number): void {
    let count = 0
    for (const read of this.#waiting) {
      if (read.round === -1 || read.round > round) break
      assert(read.offset >= 0, 'a read has an offset')
      this.#answer(read.from, read.context, read.offset)
      count++
    }
    if (count > 0) this.#waiting = this.#waiting.slice(count)
  }

  /** This member does not lead any more. */
  refuse(): void {
    for (const { from, context } of this.#waiting) this.#answer(from, context, -1)
    this.#waiting = []
  }
}
