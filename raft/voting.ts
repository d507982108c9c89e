/**
 * Giving votes: the answer to whoever asks for one. Somebody who asks with proof that the leader is
 * dead waits for the answer until this member has looked for itself.
 */
import { assert } from '../base/assert.ts'
import { isStranger, judgeVote } from './election.ts'
import type { VoteMessage, VoteRefusal } from './messages.ts'
import type { RaftState } from './state.ts'

/** How long a vote waits for a proof of the receiver's own. */
const DEFERRED_MS = 300
const DEFERRED_MAX = 8

/** What a vote does to the role of the member that gives it. */
export interface Voter {
  /** It leads, and hears a quorum. */
  isLeading(): boolean
  /** Enters a later term, without putting off its own campaign. */
  enterTerm(term: number): void
  /** Does not campaign before another has had its chance. */
  standBack(isPreVote: boolean): void
}

interface DeferredVote {
  readonly message: VoteMessage
  readonly untilMs: number
}

export class Voting {
  readonly #state: RaftState
  readonly #voter: Voter
  #deferred: DeferredVote[] = []

  constructor(state: RaftState, voter: Voter) {
    this.#state = state
    this.#voter = voter
  }

  asked(message: VoteMessage): void {
    const state = this.#state
    const isLeading = this.#voter.isLeading()
    const refusal = judgeVote(state, message, isLeading)
    if (refusal === 'lease') {
      if (!isLeading && message.deadLeaderId === state.leaderId) this.#defer(message)
      else if (message.isPreVote) this.#answer(message, refusal)
      return
    }
    if (!message.isPreVote && message.term > state.term) this.#voter.enterTerm(message.term)
    if (refusal === '') {
      assert(message.isPreVote || message.term === state.term, 'a vote is given in its own term')
      if (!message.isPreVote) {
        state.voteFor({ nodeId: message.from, directoryId: message.directoryId })
      }
      this.#voter.standBack(message.isPreVote)
    }
    this.#answer(message, refusal)
  }

  #answer(message: VoteMessage, reason: VoteRefusal): void {
    const { isPreVote, from } = message
    const isGranted = reason === ''
    const refusal = !isGranted && isStranger(this.#state, message) ? 'stranger' : reason
    const term = isGranted ? message.term : this.#state.term
    const votedId = this.#state.voted?.nodeId
    assert(!isGranted || isPreVote || votedId === from, 'what is promised was decided')
    this.#state.send(from, { type: 'vote-response', isPreVote, isGranted, refusal }, term)
  }

  /** Somebody has proof that the leader is dead, this member has not: it looks for itself. */
  #defer(message: VoteMessage): void {
    const { suspects, nowMs } = this.#state
    suspects.push(message.deadLeaderId)
    this.#deferred = this.#deferred.filter((other) => {
      return other.untilMs > nowMs && other.message.from !== message.from
    })
    if (this.#deferred.length >= DEFERRED_MAX) return
    this.#deferred.push({ message, untilMs: nowMs + DEFERRED_MS })
  }

  /** The leader is dead to this member too: who has waited gets an answer. */
  leaderIsDead(): void {
    const due = this.#deferred.filter(({ untilMs }) => untilMs > this.#state.nowMs)
    this.#deferred = []
    for (const { message } of due) this.asked(message)
  }
}
