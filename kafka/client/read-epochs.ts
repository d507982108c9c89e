/**
 * KIP-320 for a reader: the leader epochs of what was read from a partition, so that a log which
 * lost some of it (an unclean election, a wiped disk) is noticed, and where the two parted is found.
 *
 * Invariant: epochs and their first offsets rise.
 */
import { assert } from '../../base/assert.ts'

/** A leader's answer: the end of the newest epoch that it has and that is not above the asked one. */
export interface EpochEnd {
  readonly epoch: number
  readonly endOffset: number
}

interface ReadEpoch {
  readonly epoch: number
  readonly startOffset: number
}

/** Older ones matter to a reader only after as many elections that each lost records. */
const EPOCHS_MAX = 64

export class ReadEpochs {
  readonly #epochs: ReadEpoch[] = []

  /** `epoch` -1: unknown, as is everything before `offset`. */
  constructor(epoch: number, offset: number) {
    if (epoch >= 0) this.#epochs.push({ epoch, startOffset: offset })
  }

  /** Of the last batch that was read; -1 unknown. */
  get last(): number {
    return this.#epochs.at(-1)?.epoch ?? -1
  }

  /** A batch was read. Batches of leaders that say no epoch end what is known. */
  onRead(epoch: number, baseOffset: number): void {
    if (epoch < this.last) this.#epochs.length = 0
    if (epoch < 0 || epoch === this.last) return
    this.#epochs.push({ epoch, startOffset: baseOffset })
    if (this.#epochs.length > EPOCHS_MAX) this.#epochs.shift()
  }

  /** Is `offset`, behind what was read, no place in the leader's log any more? */
  hasParted({ epoch, endOffset }: EpochEnd, offset: number): boolean {
    return epoch < this.last || endOffset < offset
  }

  /** Forgets what the leader does not have; returns where to read on. */
  rewind({ epoch, endOffset }: EpochEnd, offset: number): number {
    assert(epoch >= 0 && endOffset >= 0, 'the leader knows where the logs parted')
    let next = Math.min(offset, endOffset)
    for (;;) {
      const last = this.#epochs.at(-1)
      if (last === undefined || (last.epoch <= epoch && last.startOffset < endOffset)) break
      next = Math.min(next, last.startOffset)
      this.#epochs.pop()
    }
    // What is in front of `next` is the same in both logs, as far as is known.
    if (this.last === -1) this.#epochs.push({ epoch, startOffset: next })
    return next
  }
}
