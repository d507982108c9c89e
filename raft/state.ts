/**
 * What all roles share: the term and the vote, the log, the clock's hand, and the messages that
 * wait to leave.
 *
 * Invariants: the term never falls; one vote a term; no message leaves before the term and the
 * vote that it stands for are durable.
 */
import { assert } from '../base/assert.ts'
import type { Random } from '../base/random.ts'
import { EntryLog } from './entries.ts'
import { type Member, type Membership, type Message, NO_MEMBER_ID } from './messages.ts'
import type { EntryCodec, RaftOptions, RaftTiming } from './options.ts'
import { isListed, isVoter, voterIds } from './quorum.ts'
import type { Vote } from './storage.ts'

type WithoutAddress<M> = M extends Message ? Omit<M, 'from' | 'directoryId' | 'to' | 'term'> : never
/** A message without what `send` fills in. */
export type MessageBody = WithoutAddress<Message>

export interface ReadAnswer {
  readonly context: number
  /** -1: nobody could say. */
  readonly offset: number
}

export class RaftState {
  readonly self: Member
  readonly timing: RaftTiming
  readonly codec: EntryCodec
  readonly random: Random
  readonly storage: RaftOptions['storage']
  readonly log: EntryLog
  nowMs: number
  term: number
  voted: Member | undefined
  /** What the storage has confirmed. */
  saved: Vote
  leaderId = NO_MEMBER_ID
  /** When the leader was last heard. */
  leaderHeardMs = Number.NEGATIVE_INFINITY
  /** The leader of `deadTerm` is dead: what it sent before is not heard until `deadUntilMs`. */
  deadLeaderId = NO_MEMBER_ID
  deadTerm = -1
  deadUntilMs = -1
  /** This member's disk is full, and leadership was offered to another: not again before. */
  offerAgainMs = -1
  /** Grows while the event loop turns; goes out with heartbeats. */
  loopProgress = 0
  messages: Message[] = []
  reads: ReadAnswer[] = []
  /** Nodes that somebody else has proof are dead. */
  suspects: number[] = []
  /** Members that have lost what they had acknowledged. */
  losses: number[] = []
  readonly #bootstrapIds: readonly number[]
  readonly #mustBeListed: boolean

  constructor(options: RaftOptions, nowMs: number) {
    this.nowMs = nowMs
    const { member, storage, voters } = options
    this.self = member
    this.timing = options.timing
    this.codec = options.codec
    this.random = options.random
    this.storage = storage
    this.log = new EntryLog({
      storage,
      state: storage.state,
      bootstrap: { voters, outgoing: [] },
      decodeMembership: (data) => options.codec.decodeMembership(data),
      cacheBytes: options.timing.cacheBytes,
    })
    this.#mustBeListed = options.mustBeListed
    this.#bootstrapIds = voters.map(({ nodeId }) => nodeId)
    this.saved = storage.state.vote
    // A log of a later term than the vote: the term was heard of, and no vote given in it.
    const isLater = this.log.lastTerm > this.saved.term
    this.term = isLater ? this.log.lastTerm : this.saved.term
    this.voted = isLater ? undefined : this.saved.voted
    assert(this.term >= this.log.lastTerm, 'no entry is of a term to come')
    assert(this.log.commit <= this.log.durableEnd, 'what was committed survives a restart')
  }

  /**
   * This member takes part in votes, as far as it knows. One that is to leave still does until that
   * is committed: it may be the only one that can commit it (thesis 4.2.2).
   */
  get isVoter(): boolean {
    const { log } = this
    return this.#votesIn(log.membership) || this.#votesIn(log.membershipAt(log.commit))
  }

  #votesIn(membership: Membership): boolean {
    if (!isVoter(membership, this.self)) return false
    return !this.#mustBeListed || isListed(membership, this.self)
  }

  /** It may not say yes to anybody: it has lost what it knew, and is no voter again yet. */
  get isMute(): boolean {
    return this.#mustBeListed && !isListed(this.log.membership, this.self)
  }

  get isSoleVoter(): boolean {
    const ids = voterIds(this.log.membership)
    return ids.length === 1 && ids[0] === this.self.nodeId && this.isVoter
  }

  /** All nodes that vote, or did by the settings, but for this one. */
  otherVoterIds(): number[] {
    const ids = new Set([...voterIds(this.log.membership), ...this.#bootstrapIds])
    ids.delete(this.self.nodeId)
    return [...ids]
  }

  get isVoteDurable(): boolean {
    const { saved, term, voted } = this
    return (
      saved.term === term &&
      saved.voted?.nodeId === voted?.nodeId &&
      saved.voted?.directoryId === voted?.directoryId
    )
  }

  enterTerm(term: number): void {
    assert(Number.isSafeInteger(term), 'a term is a number')
    assert(term > this.term, 'terms go forward')
    this.term = term
    this.voted = undefined
  }

  voteFor(member: Member): void {
    const { voted } = this
    assert(voted === undefined || voted.nodeId === member.nodeId, 'one vote a term')
    assert(voted === undefined || voted.directoryId === member.directoryId, 'and for one log')
    this.voted = member
  }

  send(to: number, body: MessageBody, term = this.term): void {
    assert(to !== this.self.nodeId, 'no message to itself')
    assert(term >= this.term, 'nothing is said for a term that is over')
    const isVote = body.type === 'vote' || body.type === 'vote-response'
    assert(term === this.term || isVote, 'only votes speak of a term to come')
    const { nodeId, directoryId } = this.self
    this.messages.push({ ...body, from: nodeId, directoryId, to, term } as Message)
  }

  /** The leader is known to be dead, and no other has been heard. */
  get isLeaderDead(): boolean {
    return this.deadLeaderId !== NO_MEMBER_ID && this.nowMs < this.deadUntilMs
  }

  /** A leader is there, as far as this follower can tell. */
  get isInLease(): boolean {
    if (this.leaderId === NO_MEMBER_ID) return false
    return this.nowMs - this.leaderHeardMs < this.timing.electionTimeoutMinMs
  }

  electionTimeoutMs(): number {
    const { electionTimeoutMinMs, electionTimeoutMaxMs } = this.timing
    return electionTimeoutMinMs + this.random.below(electionTimeoutMaxMs - electionTimeoutMinMs + 1)
  }
}
