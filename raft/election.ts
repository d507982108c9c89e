/**
 * Asking for votes, and giving them.
 *
 * Invariants: one vote a term, for a member whose log has at least what the own one has (Raft
 * 5.4.1); nobody is deposed whom the quorum still hears (thesis 9.6, 6.4).
 */
import { assert } from '../base/assert.ts'
import type { Member, VoteMessage, VoteRefusal, VoteResponseMessage } from './messages.ts'
import { countVotes, isSameMember, isVoter, type VoteOutcome, voterIds } from './quorum.ts'
import type { RaftState } from './state.ts'

/** Of those who refuse: they have records, or hear a leader, who has. */
const KNOWS_RECORDS: ReadonlySet<VoteRefusal> = new Set(['log', 'stranger', 'lease'])

/** What a member without records has heard of the other voters. */
export interface Founding {
  readonly silentIds: readonly number[]
  /** They have records, so there is a cluster already. */
  readonly informedIds: readonly number[]
}

interface Answer {
  readonly member: Member
  readonly isGranted: boolean
  readonly refusal: VoteRefusal
}

export class Election {
  readonly isPreVote: boolean
  readonly #state: RaftState
  readonly #answers = new Map<number, Answer>()

  /** Begins a term, unless it only asks what would be. */
  constructor(state: RaftState, options: { isPreVote: boolean; isTransfer: boolean }) {
    assert(state.isVoter, 'only a voter asks for votes')
    this.#state = state
    this.isPreVote = options.isPreVote
    if (!this.isPreVote) {
      state.enterTerm(state.term + 1)
      state.voteFor(state.self)
    }
    const term = this.isPreVote ? state.term + 1 : state.term
    const { log } = state
    assert(log.lastTerm < term, 'nobody has written in a term that is only asked for')
    for (const nodeId of voterIds(log.membership)) {
      if (nodeId === state.self.nodeId) continue
      const body = {
        type: 'vote',
        isPreVote: this.isPreVote,
        endOffset: log.endOffset,
        lastTerm: log.lastTerm,
        isTransfer: options.isTransfer,
        deadLeaderId: state.isLeaderDead ? state.deadLeaderId : -1,
      } as const
      state.send(nodeId, body, term)
    }
  }

  answered(response: VoteResponseMessage): void {
    assert(response.isPreVote === this.isPreVote, 'an answer to what was asked')
    const { from, directoryId, isGranted, refusal } = response
    assert(from !== this.#state.self.nodeId, 'nobody answers itself')
    assert(isGranted === (refusal === ''), 'a refusal has a reason')
    if (this.#answers.get(from)?.isGranted === true) return
    this.#answers.set(from, { member: { nodeId: from, directoryId }, isGranted, refusal })
  }

  get outcome(): VoteOutcome {
    return this.isPreVote && this.#state.log.endOffset === 0 ? this.#firstOutcome : this.#outcome
  }

  /** Who keeps a member without records from being the first leader. */
  get founding(): Founding {
    const answers = this.#answers
    const { log, self } = this.#state
    const others = voterIds(log.membership).filter((id) => id !== self.nodeId)
    return {
      silentIds: others.filter((id) => !answers.has(id)),
      informedIds: others.filter((id) => KNOWS_RECORDS.has(answers.get(id)?.refusal ?? '')),
    }
  }

  /**
   * Without a record this may be the first start of all, or that of a few who lost their disks: a
   * majority of those would found another cluster. So everybody is asked, whoever knows of records
   * says no, and nobody is passed over.
   */
  get #firstOutcome(): VoteOutcome {
    const { silentIds, informedIds } = this.founding
    if (informedIds.length > 0) return 'lost'
    const outcome = this.#outcome
    return outcome === 'won' && silentIds.length > 0 ? 'open' : outcome
  }

  get #outcome(): VoteOutcome {
    const { log, self, isVoteDurable } = this.#state
    return countVotes(log.membership, (voter) => {
      if (voter.nodeId === self.nodeId) {
        if (!isSameMember(voter, self)) return undefined
        return this.isPreVote || isVoteDurable ? true : undefined
      }
      const answer = this.#answers.get(voter.nodeId)
      if (answer === undefined || !isSameMember(voter, answer.member)) return undefined
      return answer.isGranted
    })
  }
}

/** '' when the vote may be given. Changes nothing. */
export function judgeVote(state: RaftState, message: VoteMessage, isLeading: boolean): VoteRefusal {
  if (message.term < state.term || (message.isPreVote && message.term === state.term)) return 'term'
  if (!message.isTransfer && (isLeading || state.isInLease)) return 'lease'
  if (state.isMute) return 'mute'
  const { log, voted } = state
  const candidate: Member = { nodeId: message.from, directoryId: message.directoryId }
  if (!isAtLeastAsLong(message, log.lastTerm, log.endOffset)) return 'log'
  const hasVoted = message.term === state.term && voted !== undefined
  if (!message.isPreVote && hasVoted) {
    const isSame = voted.nodeId === candidate.nodeId && voted.directoryId === candidate.directoryId
    if (!isSame) return 'voted'
  }
  return ''
}

/**
 * Who asks is no voter as far as this member knows. No reason to refuse, since it may know less
 * than the other; but when there is one, the other had better ask to follow.
 */
export function isStranger(state: RaftState, message: VoteMessage): boolean {
  const { log } = state
  const candidate: Member = { nodeId: message.from, directoryId: message.directoryId }
  return !isVoter(log.membership, candidate)
}

/** Raft 5.4.1. */
export function isAtLeastAsLong(
  log: { readonly lastTerm: number; readonly endOffset: number },
  lastTerm: number,
  endOffset: number,
): boolean {
  return log.lastTerm > lastTerm || (log.lastTerm === lastTerm && log.endOffset >= endOffset)
}
