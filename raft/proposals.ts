/** Proposals under way on a leader, in the order of the log. */
import { assert } from '../base/assert.ts'
import type { ProposalFault } from './leader.ts'

/** The proposal was not, or not surely, committed: another member leads, or this one stopped. */
export class NotLeading extends Error {
  override readonly name = 'NotLeading'
}

/** Never tried: too large, or too much is under way. */
export class ProposalRefused extends Error {
  override readonly name = 'ProposalRefused'
}

interface Proposal {
  readonly endOffset: number
  readonly term: number
  readonly sinceMs: number
  resolve(endOffset: number): void
  reject(error: unknown): void
}

const SENTENCES: Record<Exclude<ProposalFault, 'transfer' | 'not-established'>, string> = {
  'too-large': 'the proposal is too large for one entry of the log',
  'too-many': 'too many proposals are under way',
}

export class Proposals {
  #waiting: Proposal[] = []

  static refusal(fault: ProposalFault | 'not-leader' | 'voters', sentence?: string): Error {
    if (sentence !== undefined) return new ProposalRefused(sentence)
    if (fault === 'too-large' || fault === 'too-many') return new ProposalRefused(SENTENCES[fault])
    return new NotLeading('this node is about to lead, or to hand over')
  }

  add(endOffset: number, term: number, sinceMs: number): Promise<number> {
    const last = this.#waiting.at(-1)
    assert(endOffset > (last?.endOffset ?? -1), 'proposals follow each other')
    assert(term >= (last?.term ?? 0), 'terms do not fall')
    return new Promise((resolve, reject) => {
      this.#waiting.push({ endOffset, term, sinceMs, resolve, reject })
    })
  }

  /** Applied, in a term that this member leads. */
  applied(endOffset: number, term: number, observe: (sinceMs: number) => void): void {
    let count = 0
    for (const proposal of this.#waiting) {
      if (proposal.endOffset > endOffset || proposal.term !== term) break
      observe(proposal.sinceMs)
      proposal.resolve(proposal.endOffset)
      count++
    }
    if (count > 0) this.#waiting = this.#waiting.slice(count)
  }

  /** The log ends here again. */
  lost(endOffset: number, error: unknown): void {
    while ((this.#waiting.at(-1)?.endOffset ?? -1) > endOffset) this.#waiting.pop()!.reject(error)
  }

  /** Asked after every event: no error is made when nobody waits for it. */
  failBefore(term: number, sentence: string): void {
    let count = 0
    while (count < this.#waiting.length && this.#waiting[count]!.term < term) count++
    if (count === 0) return
    const error = new NotLeading(sentence)
    for (const proposal of this.#waiting.splice(0, count)) proposal.reject(error)
  }

  fail(error: unknown): void {
    for (const proposal of this.#waiting.splice(0)) proposal.reject(error)
  }
}
