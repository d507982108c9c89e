/**
 * One member of a group as a pure step machine: messages and the passing of time go in, `ready`
 * says what to store, send and apply, and what has been done is told back. No promises, no clock.
 *
 * Invariants: one leader a term (election safety); terms and the commit position never fall; what
 * counts for others is durable here first.
 */
import { assert } from '../base/assert.ts'
import { Election, type Founding } from './election.ts'
import { Follower } from './follower.ts'
import { Leader, type ProposalFault } from './leader.ts'
import {
  type Entry,
  type Member,
  type Message,
  NO_MEMBER_ID,
  type VoteResponseMessage,
} from './messages.ts'
import type { RaftOptions } from './options.ts'
import { ElectionEndings } from './probe.ts'
import { isVoter, voterIds } from './quorum.ts'
import type { Ready } from './ready.ts'
import { isSameSnapshot } from './sender.ts'
import { type MessageBody, RaftState } from './state.ts'
import type { Snapshot, Vote } from './storage.ts'
import { Voting } from './voting.ts'

type LeaderMessage = Extract<Message, { type: 'append' | 'heartbeat' | 'snapshot' }>

export class RaftCore {
  readonly state: RaftState
  #follower: Follower
  #election: Election | undefined = undefined
  #leader: Leader | undefined = undefined
  #deadlineMs: number
  /** The last known leader of this term. */
  #lastLeaderId = NO_MEMBER_ID
  readonly #voting: Voting
  readonly #endings: ElectionEndings
  #savingVote: Vote | undefined = undefined
  #install: Snapshot | undefined = undefined
  /** What the last round of questions in advance has brought. */
  #lastFounding: Founding | undefined = undefined

  constructor(options: RaftOptions, nowMs: number) {
    this.state = new RaftState(options, nowMs)
    this.#endings = options.endings ?? new ElectionEndings()
    this.#follower = new Follower(this.state)
    this.#voting = this.#newVoting()
    this.#deadlineMs = nowMs + this.#startPatienceMs()
  }

  get role(): 'leader' | 'candidate' | 'follower' {
    if (this.#leader !== undefined) return 'leader'
    return this.#election === undefined ? 'follower' : 'candidate'
  }

  get leader(): Leader | undefined {
    return this.#leader
  }

  get isPreCandidate(): boolean {
    return this.#election?.isPreVote ?? false
  }

  /** A voter without records, which knows no leader: whom it waits for, as of its last question. */
  get founding(): Founding | undefined {
    const { isVoter, leaderId, log } = this.state
    const isNew = isVoter && log.endOffset === 0 && leaderId === NO_MEMBER_ID
    return isNew ? this.#lastFounding : undefined
  }

  /** When `tick` has something to do. */
  get deadlineMs(): number {
    return this.#leader?.deadlineMs ?? this.#deadlineMs
  }

  /** Time has passed. Called before each step. */
  tick(nowMs: number): void {
    const { state } = this
    assert(nowMs >= state.nowMs, 'time goes forward')
    const lateMs = nowMs - this.deadlineMs
    state.nowMs = nowMs
    if (lateMs < 0) return
    if (this.#leader !== undefined) {
      // The loop stood still for so long that others may lead by now.
      const { electionTimeoutMinMs, heartbeatMs } = state.timing
      const isStalled = lateMs >= electionTimeoutMinMs - heartbeatMs && !state.isSoleVoter
      if (isStalled || !this.#leader.tick()) this.#follow(state.term, NO_MEMBER_ID)
      return
    }
    if (lateMs > state.timing.heartbeatMs && !state.isSoleVoter) {
      // This member stood still, not the leader: what it has said is still to be read.
      this.#deadlineMs = nowMs + state.timing.heartbeatMs
      return
    }
    if (state.isVoter) this.#campaign(false)
    else this.#askToFollow()
  }

  #startPatienceMs(): number {
    const { isSoleVoter, isVoter, timing, random } = this.state
    if (isSoleVoter || !isVoter) return 0
    const { startPatienceMs, electionTimeoutMinMs, electionTimeoutMaxMs } = timing
    const spreadMs = Math.min(2 * startPatienceMs, electionTimeoutMaxMs - electionTimeoutMinMs)
    return startPatienceMs + random.below(spreadMs + 1)
  }

  /** A follower's patience with a silent leader. */
  #patienceMs(): number {
    const { state } = this
    return state.isVoter ? state.electionTimeoutMs() : 3 * state.timing.heartbeatMs
  }

  #askToFollow(): void {
    const { state } = this
    if (!state.isInLease) this.#setLeader(NO_MEMBER_ID)
    const { endOffset } = state.log
    const { nodeId } = state.self
    for (const id of state.otherVoterIds()) state.send(id, { type: 'follow', nodeId, endOffset })
    this.#deadlineMs = state.nowMs + 3 * state.timing.heartbeatMs
  }

  // Roles

  #follow(term: number, leaderId: number): void {
    const { state } = this
    this.#leader?.end()
    this.#leader = undefined
    if (this.#election?.isPreVote === false) this.#endings.lost++
    this.#election = undefined
    const isNewTerm = term > state.term
    if (isNewTerm) {
      state.enterTerm(term)
      this.#lastLeaderId = NO_MEMBER_ID
    }
    assert(term === state.term, 'terms do not fall')
    if (isNewTerm || leaderId !== state.leaderId) this.#follower = new Follower(state)
    this.#setLeader(leaderId)
    this.#deadlineMs = state.nowMs + this.#patienceMs()
  }

  #setLeader(leaderId: number): void {
    this.state.leaderId = leaderId
    if (leaderId !== NO_MEMBER_ID) this.#lastLeaderId = leaderId
  }

  #campaign(isTransfer: boolean): void {
    const { state } = this
    assert(this.#leader === undefined, 'a leader needs no votes')
    if (this.#election !== undefined) this.#endings.timeout++
    this.#noteFounding()
    this.#setLeader(NO_MEMBER_ID)
    this.#elect(!isTransfer && !state.isSoleVoter, isTransfer)
  }

  #noteFounding(): void {
    if (this.#election?.isPreVote === true) this.#lastFounding = this.#election.founding
  }

  #elect(isPreVote: boolean, isTransfer: boolean): void {
    const { state } = this
    this.#election = new Election(state, { isPreVote, isTransfer })
    this.#follower = new Follower(state)
    if (!isPreVote) this.#lastLeaderId = NO_MEMBER_ID
    // A vote waits for a disk, which may be slow: to give up early would waste it.
    const patienceMs = Math.ceil(state.timing.electionTimeoutMinMs / 3)
    const waitMs = isPreVote ? this.#retryMs() : patienceMs + state.random.below(patienceMs)
    this.#deadlineMs = state.nowMs + waitMs
    this.#decide()
  }

  #retryMs(): number {
    const { random, timing, isLeaderDead } = this.state
    if (isLeaderDead) return timing.deadLeaderRetryMs / 3 + random.below(timing.deadLeaderRetryMs)
    return timing.heartbeatMs + random.below(Math.ceil(timing.electionTimeoutMinMs / 2))
  }

  #decide(): void {
    const election = this.#election
    if (election === undefined) return
    const { outcome } = election
    if (outcome === 'won') {
      if (election.isPreVote) this.#elect(false, false)
      else this.#lead()
    } else if (outcome === 'lost') {
      if (election.isPreVote) this.#endings.preVoteDenied++
      else this.#endings.lost++
      this.#noteFounding()
      // Whoever is to lead will be heard; else it asks again.
      this.#election = undefined
    }
  }

  #lead(): void {
    const { state } = this
    assert(state.isVoteDurable && state.isVoter, 'a leader has its own vote')
    assert(state.voted?.nodeId === state.self.nodeId, 'a leader has voted for itself')
    assert(state.log.truncation === undefined, 'a leader does not cut its log')
    this.#election = undefined
    this.#setLeader(state.self.nodeId)
    this.#leader = new Leader(state)
    this.#leader.tick()
  }

  // Messages

  step(message: Message): void {
    const { state } = this
    assert(message.to === state.self.nodeId, 'a message for this member')
    if (message.from === state.self.nodeId) return
    if (message.type === 'vote') this.#voting.asked(message)
    else if (message.type === 'vote-response') this.#voteResponse(message)
    else if (message.type === 'follow' || message.type === 'read') this.#request(message)
    else if (message.type === 'read-response') {
      // True whenever it comes: it was confirmed after it was asked for.
      state.reads.push({ context: message.context, offset: message.offset })
    } else if (message.term < state.term) this.#answerOld(message)
    else {
      const isOfLeader = isLeaderMessage(message)
      if (isOfLeader && this.#isFromTheDead(message)) return
      if (message.term > state.term) this.#follow(message.term, NO_MEMBER_ID)
      if (isOfLeader) this.#fromLeader(message)
      else this.#toRole(message)
    }
    if (this.#leader?.mustResign) this.#follow(state.term, NO_MEMBER_ID)
  }

  /** A leader of the past steps down when it hears of the present. */
  #answerOld(message: Message): void {
    if (!isLeaderMessage(message)) return
    const { log, loopProgress, storage } = this.state
    const body: MessageBody = {
      type: 'heartbeat-response',
      round: 0,
      endOffset: log.endOffset,
      progress: loopProgress,
      hasRoom: storage.hasRoom,
    }
    this.state.send(message.from, body)
  }

  #isFromTheDead({ from, term }: LeaderMessage): boolean {
    const { state } = this
    return state.isLeaderDead && from === state.deadLeaderId && term <= state.deadTerm
  }

  #fromLeader(message: LeaderMessage): void {
    const { state } = this
    const { from } = message
    assert(this.#leader === undefined, 'one leader a term')
    assert(state.leaderId === NO_MEMBER_ID || state.leaderId === from, 'one leader a term')
    if (this.#election !== undefined || state.leaderId !== from) this.#follow(state.term, from)
    state.leaderHeardMs = state.nowMs
    state.deadLeaderId = NO_MEMBER_ID
    this.#deadlineMs = state.nowMs + this.#patienceMs()
    if (message.type === 'append') this.#follower.append(message)
    else if (message.type === 'heartbeat') this.#follower.heartbeat(message)
    else this.#follower.snapshot(message)
  }

  #toRole(message: Message): void {
    const { state } = this
    if (message.type === 'timeout-now') {
      if (this.#leader === undefined && state.isVoter) this.#campaign(true)
    } else this.#leader?.step(message)
  }

  /** From a member that may know of no term. */
  #request(message: Extract<Message, { type: 'follow' | 'read' }>): void {
    const { state } = this
    if (this.#leader !== undefined) this.#leader.step(message)
    else if (message.type === 'read') {
      const { context } = message
      state.send(message.from, { type: 'read-response', context, offset: -1 })
    } else if (message.nodeId === message.from && state.leaderId !== NO_MEMBER_ID) {
      // The leader may be nobody that the other has heard of.
      const { nodeId, endOffset } = message
      if (nodeId !== state.leaderId)
        state.send(state.leaderId, { type: 'follow', nodeId, endOffset })
    }
  }

  #newVoting(): Voting {
    return new Voting(this.state, {
      isLeading: () => this.#leader?.hasQuorum ?? false,
      enterTerm: (term) => {
        const deadlineMs = this.#deadlineMs
        this.#follow(term, NO_MEMBER_ID)
        // Who can't win must not keep others from trying.
        this.#deadlineMs = Math.min(this.#deadlineMs, deadlineMs)
      },
      standBack: (isPreVote) => {
        const { isLeaderDead, nowMs } = this.state
        const untilMs = nowMs + (isLeaderDead ? this.#retryMs() : this.#patienceMs())
        if (!isPreVote) this.#deadlineMs = untilMs
        else if (isLeaderDead) this.#deadlineMs = Math.max(this.#deadlineMs, untilMs)
      },
    })
  }

  #voteResponse(message: VoteResponseMessage): void {
    const { state } = this
    const election = this.#election
    const isGrantedInAdvance = message.isPreVote && message.isGranted
    if (message.term > state.term && !isGrantedInAdvance) {
      this.#follow(message.term, NO_MEMBER_ID)
      this.#deadlineMs = state.nowMs + this.#retryMs()
      if (message.refusal === 'stranger') this.#askToFollow()
      return
    }
    const isAlone = this.#leader === undefined && state.leaderId === NO_MEMBER_ID
    if (message.refusal === 'stranger' && isAlone) this.#askToFollow()
    if (election === undefined || election.isPreVote !== message.isPreVote) return
    if (message.term !== (isGrantedInAdvance ? state.term + 1 : state.term)) return
    election.answered(message)
    if (message.refusal === 'voted') {
      // A split vote: no use to wait for the rest.
      this.#deadlineMs = Math.min(this.#deadlineMs, state.nowMs + this.#retryMs())
    }
    this.#decide()
  }

  /** Proof that the process under this id which led, or followed, is gone. */
  peerIsDead(nodeId: number): void {
    const { state } = this
    const { timing, random, nowMs } = state
    if (this.#leader !== undefined) {
      const progress = this.#leader.sender.get(nodeId)
      if (progress?.state === 'replicate') progress.probeAt(progress.match)
      return
    }
    if (nodeId !== this.#lastLeaderId) return
    const isKnown = state.isLeaderDead && state.deadLeaderId === nodeId
    state.deadLeaderId = nodeId
    state.deadTerm = state.term
    state.deadUntilMs = nowMs + timing.electionTimeoutMinMs
    this.#setLeader(NO_MEMBER_ID)
    if (!isKnown && state.isVoter) {
      // One after the other, so that they do not take votes from each other.
      const others = voterIds(state.log.membership).filter((id) => id !== nodeId)
      const rank = others.filter((id) => id < state.self.nodeId).length
      const waitMs = rank * timing.deadLeaderStaggerMs + random.below(10)
      this.#deadlineMs = Math.min(this.#deadlineMs, nowMs + waitMs)
    }
    this.#voting.leaderIsDead()
  }

  // What users ask

  /** Appends an entry of the state machine at the log's end. Leader only. */
  propose(count: number, data: Buffer): ProposalFault | 'not-leader' | undefined {
    return this.#leader === undefined ? 'not-leader' : this.#leader.propose(count, data)
  }

  /** The answer comes with a ready. */
  readIndex(context: number): void {
    const { state } = this
    if (this.#leader !== undefined) this.#leader.read(state.self.nodeId, context)
    else if (state.leaderId === NO_MEMBER_ID) state.reads.push({ context, offset: -1 })
    else state.send(state.leaderId, { type: 'read', context })
  }

  /** Why not; undefined when it has begun. -1: to the best voter. */
  transfer(nodeId: number): string | undefined {
    return this.#leader === undefined ? 'this member does not lead' : this.#leader.transfer(nodeId)
  }

  changeVoters(voters: readonly Member[]): string | undefined {
    if (this.#leader === undefined) return 'this member does not lead'
    return this.#leader.changeVoters(voters)
  }

  // Effects

  /** What is to be done now. Nothing is said twice. */
  ready(): Ready {
    const { state } = this
    const { log } = state
    this.#leader?.flush()
    if (this.#leader === undefined) this.#follower.flush()
    let vote: Vote | undefined
    if (!state.isVoteDurable && this.#savingVote === undefined) {
      vote = { term: state.term, voted: state.voted }
      this.#savingVote = vote
    }
    const { incoming } = this.#follower
    this.#follower.incoming = undefined
    const { reads, suspects, losses } = state
    state.reads = []
    state.suspects = []
    state.losses = []
    // What came in the same turn may have committed all of it, and more: that would be thrown away.
    const isOvertaken = this.#install !== undefined && this.#install.endOffset <= log.commit
    const install = isOvertaken ? undefined : this.#install
    this.#install = undefined
    return {
      vote,
      truncateTo: log.truncation,
      entries: log.truncation === undefined ? log.unwritten() : [],
      messages: this.#takeMessages(),
      incoming,
      install,
      reads,
      suspects,
      losses,
    }
  }

  /** A message may stand for a term or a vote: they have to be durable first. */
  #takeMessages(): Message[] {
    const { state } = this
    if (!state.isVoteDurable) return []
    const { messages } = state
    state.messages = []
    return messages
  }

  voteSaved(vote: Vote): void {
    assert(this.#savingVote === vote, 'one vote is saved at a time')
    assert(vote.term >= this.state.saved.term, 'terms do not fall')
    this.#savingVote = undefined
    this.state.saved = vote
    this.#decide()
  }

  truncated(endOffset: number): void {
    const { log } = this.state
    assert(log.truncation === endOffset, 'cut where it was asked for')
    log.truncation = undefined
  }

  /** The storage took the entries of a ready. */
  written(entries: readonly Entry[]): void {
    const { log } = this.state
    const last = entries.at(-1)
    assert(last !== undefined && entries[0]!.baseOffset === log.writtenEnd, 'in order')
    log.writtenEnd = last.baseOffset + last.count
    assert(log.writtenEnd <= log.endOffset, 'only what is there is written')
  }

  /** The storage had no room for what comes behind `writtenEnd`. */
  refused(writtenEnd: number): void {
    const { log, term } = this.state
    log.refuse(writtenEnd)
    if (this.#leader === undefined) this.#follower.refused()
    else if (!this.#leader.refused()) {
      this.#follow(term, NO_MEMBER_ID)
      // Another one, with room, had better lead.
      if (!this.state.isSoleVoter) {
        this.#deadlineMs += this.state.timing.electionTimeoutMaxMs
      }
    }
  }

  /** All below is durable. */
  synced(endOffset: number): void {
    this.state.log.durableTo(endOffset)
    this.#leader?.advance()
    if (this.#leader?.mustResign) this.#follow(this.state.term, NO_MEMBER_ID)
  }

  /** Committed entries, in order, to be applied -> `applied`. */
  toApply(limitBytes: number): Entry[] {
    return this.state.log.toApply(limitBytes)
  }

  applied(endOffset: number): void {
    this.state.log.appliedTo(endOffset)
  }

  /** The storage has so much of the snapshot. */
  received(message: Extract<Message, { type: 'snapshot' }>, position: number): void {
    const { state } = this
    const { snapshot, membership } = message
    assert(position <= snapshot.sizeBytes, 'no more than there is')
    state.send(message.from, { type: 'snapshot-response', snapshot, position })
    const isWhole = position === snapshot.sizeBytes
    if (isWhole && snapshot.endOffset > state.log.commit)
      this.#install = { ...snapshot, membership }
  }

  /** False: what was received is damaged, and was thrown away. */
  installed(snapshot: Snapshot, isWhole: boolean): void {
    const { log, leaderId } = this.state
    if (!isWhole) {
      const { membership: _, ...id } = snapshot
      if (leaderId !== NO_MEMBER_ID && this.#leader === undefined) {
        this.state.send(leaderId, { type: 'snapshot-response', snapshot: id, position: 0 })
      }
      return
    }
    assert(isSameSnapshot(this.state.storage.snapshot, snapshot), 'it is the newest now')
    log.reset(snapshot)
    this.#follower.installed()
  }

  /** A snapshot covers what is below: the log begins here. */
  dropBefore(startOffset: number): void {
    const { snapshot } = this.state.storage
    assert(snapshot !== undefined && startOffset <= snapshot.endOffset, 'nothing is lost')
    this.state.log.dropBefore(startOffset)
  }

  /** This member votes, as far as it knows. */
  get isVoter(): boolean {
    return isVoter(this.state.log.membership, this.state.self)
  }
}

function isLeaderMessage(message: Message): message is LeaderMessage {
  return message.type === 'append' || message.type === 'heartbeat' || message.type === 'snapshot'
}
