/**
 * A member while it leads one term.
 *
 * Invariants: it appends and never cuts its log; a position is committed when a quorum has it
 * durably and its entry is of this term (Raft 5.4.2, figure 8); without the word of a quorum within
 * an election timeout it resigns.
 */
import { assert } from '../base/assert.ts'
import {
  enterJoint,
  faultOfVoters,
  leaveJoint,
  withKnownDirectories,
  withReplacements,
} from './membership.ts'
import {
  type Entry,
  type EntryKind,
  type Member,
  type Membership,
  type Message,
  NO_MEMBER_ID,
} from './messages.ts'
import type { Progress } from './progress.ts'
import { isJoint, isSameMember, isVoter, reachedByQuorum, voterIds } from './quorum.ts'
import { Reads } from './reads.ts'
import { Sender } from './sender.ts'
import type { RaftState } from './state.ts'

/** A leader whose disk is full waits so many of the longest timeouts between offers to others. */
const OFFER_AGAIN_TIMEOUTS = 5

export type ProposalFault = 'too-large' | 'too-many' | 'transfer' | 'not-established'

interface Uncommitted {
  readonly endOffset: number
  readonly bytes: number
}

export class Leader {
  readonly sender: Sender
  /** Where the leader that is to follow may take over; -1: no transfer is under way. */
  transferTo = NO_MEMBER_ID
  readonly #state: RaftState
  readonly #sinceMs: number
  /** End of the entry that began this term. */
  readonly #termEnd: number
  readonly #reads: Reads
  readonly #uncommitted: Uncommitted[] = []
  #uncommittedBytes = 0
  #transferDeadlineMs = -1
  #nextHeartbeatMs: number
  #round = 0
  /** When each round left, from the last one that a quorum has answered. */
  #rounds: { readonly round: number; readonly sentMs: number }[] = []
  /** Voters that are new but were asked for: progress is kept for them. */
  #mustResign = false

  constructor(state: RaftState) {
    this.#state = state
    const { log, nowMs, self } = state
    assert(log.lastTerm < state.term, 'a term has one leader, once')
    this.#sinceMs = nowMs
    this.sender = new Sender(state)
    this.#reads = new Reads((from, context, offset) => this.#answerRead(from, context, offset))
    for (const id of voterIds(log.membership)) if (id !== self.nodeId) this.sender.add(id)
    this.#nextHeartbeatMs = nowMs
    const { membership } = log
    const data = state.codec.encodeLeader(log.endOffset, state.term, self.nodeId, membership)
    this.#append('leader', 1, data)
    this.#termEnd = log.endOffset
  }

  /** Everything of earlier terms is committed, and so is the first entry of this one. */
  get isTermCommitted(): boolean {
    return this.#state.log.commit >= this.#termEnd
  }

  /** And it is applied: the state machine is up to date. */
  get isEstablished(): boolean {
    return this.#state.log.applied >= this.#termEnd
  }

  get deadlineMs(): number {
    return this.#nextHeartbeatMs
  }

  /** When a quorum was last heard. */
  get quorumHeardMs(): number {
    const { log, self, nowMs } = this.#state
    return reachedByQuorum(log.membership, (voter) => {
      if (voter.nodeId === self.nodeId) return nowMs
      const progress = this.sender.get(voter.nodeId)
      if (progress === undefined) return Number.NEGATIVE_INFINITY
      const isOther = progress.directoryId !== '' && !isSameMember(voter, progress.member)
      return isOther ? Number.NEGATIVE_INFINITY : progress.lastHeardMs
    })
  }

  get hasQuorum(): boolean {
    const { nowMs, timing } = this.#state
    return nowMs - this.quorumHeardMs < timing.electionTimeoutMinMs
  }

  /** False: it has to resign. */
  tick(): boolean {
    const { nowMs, timing } = this.#state
    if (this.#mustResign) return false
    if (this.transferTo !== NO_MEMBER_ID && nowMs >= this.#transferDeadlineMs) {
      this.transferTo = NO_MEMBER_ID
    }
    if (nowMs < this.#nextHeartbeatMs) return true
    if (!this.hasQuorum) return false
    this.#nextHeartbeatMs = nowMs + timing.heartbeatMs
    this.#forgetSilentLearners()
    this.#sendRound()
    this.maintain()
    return !this.#mustResign
  }

  #forgetSilentLearners(): void {
    const { log, nowMs, timing } = this.#state
    const ids = voterIds(log.membership)
    for (const progress of this.sender.values()) {
      const isSilent = nowMs - progress.lastHeardMs > timing.learnerTimeoutMs
      if (isSilent && !ids.includes(progress.nodeId)) this.sender.remove(progress.nodeId)
    }
  }

  #sendRound(): void {
    this.#round++
    assert(this.#round > (this.#rounds.at(-1)?.round ?? 0), 'rounds are counted')
    this.#rounds.push({ round: this.#round, sentMs: this.#state.nowMs })
    this.#reads.begin(this.#round)
    this.sender.heartbeats(this.#round)
    this.#confirmRounds()
  }

  /** Takes an entry of the state machine. `data` lies at the log's end, in this term. */
  propose(count: number, data: Buffer): ProposalFault | undefined {
    const { timing } = this.#state
    if (!this.isEstablished) return 'not-established'
    if (this.transferTo !== NO_MEMBER_ID) return 'transfer'
    if (data.length > timing.entryBytesMax) return 'too-large'
    const isFull =
      this.#uncommitted.length >= timing.uncommittedMax ||
      (this.#uncommitted.length > 0 &&
        this.#uncommittedBytes + data.length > timing.uncommittedBytesMax)
    if (isFull) return 'too-many'
    this.#append('normal', count, data)
    return undefined
  }

  #append(kind: EntryKind, count: number, data: Buffer): void {
    const { log, term } = this.#state
    assert(log.truncation === undefined, 'a leader does not cut its log')
    assert(data.length > 0, 'an entry has bytes')
    const entry: Entry = { baseOffset: log.endOffset, count, term, kind, data }
    log.append(entry)
    this.#uncommitted.push({ endOffset: log.endOffset, bytes: data.length })
    this.#uncommittedBytes += data.length
  }

  /** The storage had no room for what is behind the log's end. False: it has to resign. */
  refused(): boolean {
    const { log } = this.#state
    while ((this.#uncommitted.at(-1)?.endOffset ?? -1) > log.endOffset) {
      this.#uncommittedBytes -= this.#uncommitted.pop()!.bytes
    }
    if (log.endOffset < this.#termEnd) return false
    this.#offer()
    return true
  }

  /**
   * Somebody with room should lead: nothing can be agreed on here. Who has none would resign at its
   * first entry, so where all disks are full this member goes on, for the sake of reads and leases.
   */
  #offer(): void {
    const { nowMs, timing } = this.#state
    if (this.transferTo !== NO_MEMBER_ID || nowMs < this.#state.offerAgainMs) return
    const best = this.#bestVoter((progress) => progress.hasRoom)
    if (best === undefined) return
    this.#state.offerAgainMs = nowMs + OFFER_AGAIN_TIMEOUTS * timing.electionTimeoutMaxMs
    const fault = this.transfer(best.nodeId)
    assert(fault === undefined, 'a voter can take over')
  }

  step(message: Message): void {
    switch (message.type) {
      case 'append-response': {
        const progress = this.sender.heard(message)
        if (this.sender.appended(progress, message)) this.advance()
        this.#continueTransfer()
        break
      }
      case 'heartbeat-response':
        if (!this.sender.heartbeatReturned(this.sender.heard(message), message)) {
          this.#state.losses.push(message.from)
        }
        this.#confirmRounds()
        break
      case 'snapshot-response':
        this.sender.snapshotReceived(this.sender.heard(message), message)
        break
      case 'follow':
        if (message.nodeId === message.from) this.sender.heard(message).isPaused = false
        else if (message.nodeId !== this.#state.self.nodeId) this.sender.add(message.nodeId)
        break
      case 'read':
        this.read(message.from, message.context)
        break
      default:
        break
    }
  }

  /** Commits what a quorum has. */
  advance(): void {
    const { log, self, term } = this.#state
    const reached = reachedByQuorum(log.membership, (voter) => {
      if (voter.nodeId === self.nodeId) return log.durableEnd
      const progress = this.sender.get(voter.nodeId)
      const counts = progress !== undefined && progress.directoryId !== ''
      return counts && isSameMember(voter, progress.member) ? progress.match : 0
    })
    assert(reached <= log.endOffset, 'nobody has what the leader has not')
    if (reached <= log.commit || log.termAt(reached) !== term) return
    log.commitTo(reached)
    assert(log.commit >= this.#termEnd, 'the first entry of a term is committed with it or before')
    while (this.#uncommitted.length > 0 && this.#uncommitted[0]!.endOffset <= reached) {
      this.#uncommittedBytes -= this.#uncommitted.shift()!.bytes
    }
    assert(this.#uncommittedBytes >= 0, 'bytes are counted once')
    this.maintain()
  }

  // Who votes

  /** Goes on with changes of the voters, one at a time. */
  maintain(): void {
    const { log, self, nowMs, timing } = this.#state
    if (!this.isTermCommitted || log.membershipEnd > log.commit) return
    const { membership } = log
    if (isJoint(membership)) {
      this.#setMembership(leaveJoint(membership))
      return
    }
    if (!isVoter(membership, self)) {
      this.#leave()
      return
    }
    const known = withKnownDirectories(membership, (id) => this.#directoryOf(id))
    const isWaitOver = nowMs - this.#sinceMs >= timing.electionTimeoutMinMs
    const isWhole = known?.voters.every(({ directoryId }) => directoryId !== '') ?? false
    if (known !== undefined && (isWhole || isWaitOver)) {
      this.#setMembership(known)
      return
    }
    const replaced = withReplacements(membership, (id) => this.#fitMember(id))
    const next = replaced === undefined ? undefined : enterJoint(membership, replaced)
    if (next !== undefined) this.#setMembership(next)
  }

  #directoryOf(nodeId: number): string {
    const { self } = this.#state
    return nodeId === self.nodeId ? self.directoryId : (this.sender.get(nodeId)?.directoryId ?? '')
  }

  /** The log that answers under this id, when it is close enough to vote. */
  #fitMember(nodeId: number): Member | undefined {
    const { self, nowMs, timing } = this.#state
    if (nodeId === self.nodeId) return self
    const progress = this.sender.get(nodeId)
    if (progress === undefined || progress.directoryId === '') return undefined
    const isHeard = nowMs - progress.lastHeardMs < timing.electionTimeoutMinMs
    return isHeard && this.#isClose(progress) ? progress.member : undefined
  }

  #isClose(progress: Progress): boolean {
    const { log, timing } = this.#state
    if (progress.state !== 'replicate') return false
    return log.endOffset - progress.match <= timing.promotionLagMax
  }

  /** Why not; undefined when the change has begun, or there is nothing to change. */
  changeVoters(voters: readonly Member[]): string | undefined {
    const { log } = this.#state
    if (!this.isTermCommitted || this.transferTo !== NO_MEMBER_ID) return 'the leader is not ready'
    if (log.membershipEnd > log.commit || isJoint(log.membership)) {
      return 'another change of the voters is under way'
    }
    const fault = faultOfVoters(voters)
    if (fault !== undefined) return fault
    for (const voter of voters) {
      if (isVoter(log.membership, voter)) continue
      const fit = this.#fitMember(voter.nodeId)
      if (fit === undefined || !isSameMember(voter, fit)) {
        return `node ${voter.nodeId} with this directory does not follow, or is far behind`
      }
    }
    const next = enterJoint(log.membership, voters)
    if (next !== undefined) this.#setMembership(next)
    return undefined
  }

  #setMembership(membership: Membership): void {
    const { log, codec, term, self } = this.#state
    assert(this.isTermCommitted, 'the leader has committed in its term')
    assert(log.membershipEnd <= log.commit, 'one change at a time')
    assert(!isJoint(membership) || !isJoint(log.membership), 'a change has two steps')
    assert(membership.voters.length > 0, 'somebody votes')
    this.#append('membership', 1, codec.encodeMembership(log.endOffset, term, membership))
    for (const id of voterIds(membership)) if (id !== self.nodeId) this.sender.add(id)
  }

  /** It is no voter any more: the best of those that are takes over. */
  #leave(): void {
    const best = this.#bestVoter()
    if (best !== undefined) this.#state.send(best.nodeId, { type: 'timeout-now' })
    this.#mustResign = true
  }

  get mustResign(): boolean {
    return this.#mustResign
  }

  #bestVoter(isFit: (progress: Progress) => boolean = () => true): Progress | undefined {
    const { membership } = this.#state.log
    let best: Progress | undefined
    for (const progress of this.sender.values()) {
      if (!isVoter(membership, progress.member) || progress.directoryId === '') continue
      if (!isFit(progress)) continue
      if (best === undefined || progress.match > best.match) best = progress
    }
    return best
  }

  // Handing over (thesis 3.10)

  /** -1: to the best. Why not; undefined when it has begun. */
  transfer(nodeId: number): string | undefined {
    const { log, nowMs, timing } = this.#state
    const progress = nodeId === NO_MEMBER_ID ? this.#bestVoter() : this.sender.get(nodeId)
    if (progress === undefined || !isVoter(log.membership, progress.member)) {
      return nodeId === NO_MEMBER_ID ? 'no other voter is there' : `node ${nodeId} is no voter`
    }
    assert(progress.nodeId !== this.#state.self.nodeId, 'to another')
    this.transferTo = progress.nodeId
    this.#transferDeadlineMs = nowMs + timing.electionTimeoutMinMs
    this.#continueTransfer()
    return undefined
  }

  #continueTransfer(): void {
    if (this.transferTo === NO_MEMBER_ID) return
    const match = this.sender.get(this.transferTo)?.match ?? -1
    if (match === this.#state.log.endOffset)
      this.#state.send(this.transferTo, { type: 'timeout-now' })
  }

  // Reads

  read(from: number, context: number): void {
    const { log } = this.#state
    // Before the first entry of the term is committed, others may have committed more.
    const offset = Math.max(log.commit, this.#termEnd)
    assert(offset <= log.endOffset, 'what is committed is here')
    if (this.#hasLease) this.#answerRead(from, context, log.commit)
    else this.#reads.add(from, context, offset)
  }

  get #hasLease(): boolean {
    const { timing, nowMs } = this.#state
    const sentMs = this.#rounds[0]?.sentMs
    if (!timing.leaseReads || !this.isTermCommitted || sentMs === undefined) return false
    const isConfirmed = this.#rounds[0]!.round <= this.#quorumRound
    // A tenth for clocks of a different rate.
    return isConfirmed && nowMs - sentMs < timing.electionTimeoutMinMs * 0.9
  }

  get #quorumRound(): number {
    const { log, self } = this.#state
    return reachedByQuorum(log.membership, (voter) => {
      if (voter.nodeId === self.nodeId) return this.#round
      const progress = this.sender.get(voter.nodeId)
      return progress !== undefined && isSameMember(voter, progress.member) ? progress.round : 0
    })
  }

  #confirmRounds(): void {
    const confirmed = this.#quorumRound
    while (this.#rounds.length > 1 && this.#rounds[1]!.round <= confirmed) this.#rounds.shift()
    if (this.#rounds.length > 1000) this.#rounds.splice(1, 500)
    this.#reads.confirm(confirmed)
  }

  #answerRead(from: number, context: number, offset: number): void {
    const { self, reads } = this.#state
    if (from === self.nodeId) reads.push({ context, offset })
    else this.#state.send(from, { type: 'read-response', context, offset })
  }

  /** All that can go out now. */
  flush(): void {
    if (this.#reads.needsRound) this.#sendRound()
    this.sender.flush()
  }

  /** The last call: another term has begun, or no quorum answers. */
  end(): void {
    this.#reads.refuse()
  }
}
