/**
 * The loop around the core: mailbox -> core -> storage -> transport -> state machine. One pass
 * handles all that came in a turn; the disk works beside it.
 *
 * Invariants: while the log is cut or replaced nothing is handled, only kept; promises of proposals
 * are settled in the order of the log, after the state machine has applied them.
 */
import { assert } from '../base/assert.ts'
import type { Clock, Timer } from '../base/clock.ts'
import { StorageError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { Random } from '../base/random.ts'
import { RaftCore } from './core.ts'
import { RaftDisk } from './disk.ts'
import type { Founding } from './election.ts'
import { Handovers } from './handovers.ts'
import {
  type Entry,
  endOf,
  type Member,
  type Membership,
  type Message,
  NO_MEMBER_ID,
  sizeOf,
} from './messages.ts'
import { DEFAULT_TIMING, type EntryCodec, type RaftTiming } from './options.ts'
import { RaftProbe } from './probe.ts'
import { NotLeading, Proposals } from './proposals.ts'
import { isVoter } from './quorum.ts'
import { isEmpty, type Ready } from './ready.ts'
import { RoundTrips } from './round-trips.ts'
import type { RaftStorage, Snapshot } from './storage.ts'
import type { RaftTransport } from './transport.ts'
import { VotersLine } from './voters-line.ts'
import { Waits } from './waits.ts'

export { NotLeading, ProposalRefused } from './proposals.ts'
export { WaitOver } from './waits.ts'

export interface StateMachine {
  /** Committed entries in the order of the log, each once. Must not throw. */
  apply(entries: readonly Entry[]): void
  /** Replaces everything by the storage's newest snapshot. */
  restore(snapshot: Snapshot): Promise<void>
}

export interface DriverOptions {
  readonly member: Member
  /** Of the settings; they count until the log says otherwise. Directory ids may be ''. */
  readonly voters: readonly Member[]
  /** Its log was replaced by an empty one: it votes only once its directory id is in the list. */
  readonly mustBeListed?: boolean
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly storage: RaftStorage
  readonly transport: RaftTransport
  readonly machine: StateMachine
  readonly codec: EntryCodec
  readonly timing?: Partial<RaftTiming>
  readonly probe?: RaftProbe
  /** `leads` true: everything of earlier terms is applied here, and proposals are taken. */
  readonly onLeadership: (leads: boolean, term: number) => void
  /** The leader or the term that this member knows of has changed. -1: none. */
  readonly onLeader: (leaderId: number, term: number) => void
  /** Somebody says that this node is dead: look for yourself, and say so by `peerIsDead`. */
  readonly onSuspect: (nodeId: number) => void
  /** The storage failed, or an invariant is broken: end the node. */
  readonly onFatal: (error: unknown) => void
}

export interface ReplicaState {
  readonly member: Member
  readonly isVoter: boolean
  /** Durable end; -1 when nothing is known. */
  readonly logEndOffset: number
  /** Monotonic milliseconds; -1 never. */
  readonly lastHeardMs: number
  readonly lastCaughtUpMs: number
}

export interface DriverStatus {
  readonly leaderId: number
  readonly term: number
  readonly role: 'leader' | 'candidate' | 'follower'
  /** It leads, and takes proposals. */
  readonly isEstablished: boolean
  readonly startOffset: number
  readonly endOffset: number
  readonly commit: number
  readonly applied: number
  readonly membership: Membership
  /** It has no records, and found no cluster: whom that waits for. */
  readonly founding: Founding | undefined
}

const APPLY_BYTES = 1024 * 1024
const MAILBOX_BYTES_MAX = 32 * 1024 * 1024

export class RaftDriver {
  readonly #options: DriverOptions
  readonly #timing: RaftTiming
  readonly #core: RaftCore
  readonly #disk: RaftDisk
  readonly #proposals = new Proposals()
  readonly #waits: Waits
  #mailbox: Message[] = []
  #mailboxBytes = 0
  readonly probe: RaftProbe
  #isScheduled = false
  #isRunning = false
  #isStopped = false
  #timer: Timer | undefined = undefined
  #timerMs = 0
  #announced = { leads: false, term: -1, leaderId: NO_MEMBER_ID, leaderTerm: -1 }
  readonly #handovers = new Handovers()
  readonly #roundTrips: RoundTrips
  readonly #votersLine: VotersLine

  constructor(options: DriverOptions) {
    this.#options = options
    const { member, voters, random, codec, storage, clock } = options
    this.#timing = { ...DEFAULT_TIMING, ...options.timing }
    const { mustBeListed = false } = options
    const core = { member, voters, mustBeListed, random, codec, storage, timing: this.#timing }
    this.probe = options.probe ?? new RaftProbe()
    const { endings } = this.probe
    this.#core = new RaftCore({ ...core, endings }, clock.monotonicMs())
    this.#disk = this.#newDisk()
    this.#waits = new Waits(clock)
    this.#roundTrips = new RoundTrips(this.probe)
    this.#votersLine = new VotersLine(options, this.#core.state.log.membership)
    this.probe.snapshotSizeBytes = storage.snapshot?.sizeBytes ?? 0
  }

  #newDisk(): RaftDisk {
    const { storage, clock, logger, machine } = this.#options
    return new RaftDisk({
      core: this.#core,
      storage,
      clock,
      logger,
      probe: this.probe,
      restore: (snapshot) => machine.restore(snapshot),
      onDone: () => this.#run(),
      onLost: (endOffset, error) => this.#proposals.lost(endOffset, error),
      onRestored: (endOffset) => this.#waits.appliedTo(endOffset),
      onFailed: (error) => this.#fail(error),
    })
  }

  get status(): DriverStatus {
    const { state, role, leader } = this.#core
    const { log } = state
    return {
      leaderId: state.leaderId,
      term: state.term,
      role,
      isEstablished: leader?.isEstablished ?? false,
      startOffset: log.startOffset,
      endOffset: log.endOffset,
      commit: log.commit,
      applied: log.applied,
      membership: log.membership,
      founding: this.#core.founding,
    }
  }

  /** Who voted at a position of the log that is still known. */
  membershipAt(position: number): Membership {
    return this.#core.state.log.membershipAt(position)
  }

  /** Begins to take part. */
  start(): void {
    this.#run()
  }

  /** Ends without a word to the others. Resolves when the storage is at rest. Idempotent. */
  async stop(): Promise<void> {
    this.#halt(new NotLeading('the node stopped'))
    await this.#disk.settled()
  }

  receive(message: Message): void {
    if (this.#isStopped) return
    const bytes = sizeOf(message)
    // Messages may be lost: better than memory without limit.
    if (this.#mailboxBytes + bytes > MAILBOX_BYTES_MAX && this.#mailbox.length > 0) {
      this.probe.messagesDropped++
      return
    }
    this.#mailbox.push(message)
    this.#mailboxBytes += bytes
    this.#schedule()
  }

  /** Proof that the process which led under this id is gone: do not wait for its silence. */
  peerIsDead(nodeId: number): void {
    if (this.#isStopped) return
    this.#core.peerIsDead(nodeId)
    this.#schedule()
  }

  /**
   * Leader only. `encode` is called at once, and gives the entry as it lies on disk. Resolves with
   * the end of the entry when it is committed and applied here; rejects with NotLeading,
   * ProposalRefused or the failure of the storage.
   */
  propose(count: number, encode: (baseOffset: number, term: number) => Buffer): Promise<number> {
    this.#tick()
    const { state, leader } = this.#core
    if (this.#isStopped || leader === undefined) {
      return Promise.reject(new NotLeading('this node does not lead the quorum'))
    }
    const { term, log } = state
    const fault = this.#core.propose(count, encode(log.endOffset, term))
    if (fault !== undefined) {
      this.probe.proposalsRefused++
      return Promise.reject(Proposals.refusal(fault))
    }
    this.probe.proposals++
    this.#schedule()
    return this.#proposals.add(log.endOffset, term, this.#options.clock.monotonicMs())
  }

  /** A position such that what is applied up to it has all that was committed before the call. */
  readIndex(timeoutMs: number): Promise<number> {
    if (this.#isStopped) return Promise.reject(new NotLeading('the node stopped'))
    this.#tick()
    const { context, promise } = this.#waits.read(timeoutMs)
    this.#core.readIndex(context)
    this.#schedule()
    return promise
  }

  whenApplied(endOffset: number, timeoutMs: number): Promise<void> {
    if (this.#isStopped) return Promise.reject(new NotLeading('the node stopped'))
    return this.#waits.applied(this.#core.state.log.applied, endOffset, timeoutMs)
  }

  /** -1: to the voter that is best prepared. Rejects when it was not done in time. */
  transferLeadership(nodeId: number): Promise<void> {
    const fault = this.#isStopped ? 'the node stopped' : this.#core.transfer(nodeId)
    if (fault !== undefined) return Promise.reject(Proposals.refusal('transfer', fault))
    this.#schedule()
    return this.#handovers.transfer()
  }

  /** Resolves when the new voters are committed. */
  changeVoters(voters: readonly Member[]): Promise<void> {
    if (this.#isStopped || this.#core.leader === undefined) {
      return Promise.reject(new NotLeading('this node does not lead the quorum'))
    }
    const fault = this.#core.changeVoters(voters)
    if (fault !== undefined) return Promise.reject(Proposals.refusal('voters', fault))
    this.#schedule()
    return this.#handovers.change(this.#core.state.term)
  }

  /** On the leader: the others as it sees them. */
  replicas(): ReplicaState[] {
    const { leader, state } = this.#core
    if (leader === undefined) return []
    return Array.from(leader.sender.values(), (progress) => {
      const { member, lastHeardMs, lastCaughtUpMs } = progress
      const isKnown = member.directoryId !== ''
      return {
        member,
        isVoter: isVoter(state.log.membership, member),
        logEndOffset: isKnown ? progress.match : -1,
        lastHeardMs: isKnown ? lastHeardMs : -1,
        lastCaughtUpMs,
      }
    })
  }

  /** Turns of the event loop that the other has counted, as its last answer says; -1 unknown. */
  peerProgress(nodeId: number): number {
    return this.#core.leader?.sender.get(nodeId)?.loopProgress ?? -1
  }

  /** The storage has a new snapshot: the log may begin at `startOffset`, at its end or before. */
  dropBefore(startOffset: number): void {
    this.probe.snapshotsTaken++
    this.probe.snapshotSizeBytes = this.#options.storage.snapshot?.sizeBytes ?? 0
    const { log } = this.#core.state
    if (this.#isStopped || this.#disk.isBlocked || startOffset <= log.startOffset) return
    assert(startOffset <= log.applied, 'a snapshot covers what is dropped')
    const least = Math.min(startOffset, log.durableEnd)
    const boundary = log.boundaryAt(least)
    if (boundary <= log.startOffset) return
    this.#core.dropBefore(boundary)
    this.#options.storage.dropBefore(boundary)
  }

  // The loop

  #schedule(): void {
    if (this.#isScheduled || this.#isStopped || this.#disk.isBlocked) return
    this.#isScheduled = true
    this.#options.clock.soon(() => {
      this.#isScheduled = false
      this.#run()
    })
  }

  #tick(): void {
    if (this.#isRunning || this.#disk.isBlocked || this.#isStopped) return
    this.#core.tick(this.#options.clock.monotonicMs())
  }

  #run(): void {
    if (this.#isStopped || this.#disk.isBlocked || this.#isRunning) return
    this.#isRunning = true
    try {
      const core = this.#core
      core.state.loopProgress++
      core.tick(this.#options.clock.monotonicMs())
      const mailbox = this.#mailbox
      this.#mailbox = []
      this.#mailboxBytes = 0
      this.probe.messagesReceived += mailbox.length
      for (const message of mailbox) {
        this.#roundTrips.received(message, core.state.nowMs)
        core.step(message)
      }
      this.#work()
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#isRunning = false
    }
    if (!this.#isStopped) this.#arm()
  }

  #work(): void {
    const core = this.#core
    for (;;) {
      const ready = core.ready()
      const entries = core.toApply(APPLY_BYTES)
      if (isEmpty(ready) && entries.length === 0) break
      this.#handle(ready)
      if (entries.length > 0) this.#apply(entries)
      this.#announce()
      if (this.#disk.isBlocked || this.#isStopped) break
    }
    this.#announce()
    this.#disk.sync()
  }

  #handle(ready: Ready): void {
    const { transport, onSuspect, logger } = this.#options
    const { nodeId } = this.#options.member
    if (ready.vote?.voted?.nodeId === nodeId) this.probe.elections++
    this.probe.messagesSent += ready.messages.length
    for (const message of ready.messages) {
      transport.send(message.to, message)
      this.#roundTrips.sent(message, this.#core.state.nowMs)
    }
    for (const { context, offset } of ready.reads) this.#waits.readAnswered(context, offset)
    for (const nodeId of ready.suspects) onSuspect(nodeId)
    for (const nodeId of ready.losses) {
      logger.error('A node has lost metadata that it had acknowledged: it is sent again.', {
        peer: nodeId,
      })
    }
    this.#disk.handle(ready)
  }

  #apply(entries: readonly Entry[]): void {
    this.#options.machine.apply(entries)
    const applied = endOf(entries.at(-1)!)
    assert(applied <= this.#core.state.log.commit, 'only what is committed is applied')
    assert(entries[0]!.baseOffset === this.#core.state.log.applied, 'nothing is skipped')
    this.#core.applied(applied)
    // What was proposed by an earlier leadership is told by `announce`, which knows no more.
    this.probe.appliedEntries += entries.length
    if (this.#core.leader !== undefined) {
      const nowMs = this.#options.clock.monotonicMs()
      this.#proposals.applied(applied, this.#core.state.term, (sinceMs) =>
        this.probe.commitSeconds.observe((nowMs - sinceMs) / 1000),
      )
    }
    this.#waits.appliedTo(applied)
  }

  // Who leads

  #announce(): void {
    const { state, leader } = this.#core
    const { onLeadership, onLeader } = this.#options
    const before = this.#announced
    const leads = leader?.isEstablished ?? false
    const { term, leaderId } = state
    assert(term >= before.term && term >= before.leaderTerm, 'terms do not fall')
    this.#announced = { leads, term, leaderId, leaderTerm: term }
    if (before.leads && (!leads || before.term !== term)) onLeadership(false, before.term)
    if (leader === undefined) this.#proposals.failBefore(Infinity, 'another node may lead now')
    else this.#proposals.failBefore(term, 'another node led meanwhile')
    if (before.leaderId !== leaderId || before.leaderTerm !== term) {
      this.probe.leaderChanges++
      onLeader(leaderId, term)
    }
    if (leads && (!before.leads || before.term !== term)) {
      this.probe.electionsWon++
      onLeadership(true, term)
    }
    this.#handovers.settle(this.#core)
    this.#votersLine.look(state.log.membership)
  }

  #arm(): void {
    const { clock } = this.#options
    const atMs = this.#core.deadlineMs
    // One that fires early does no harm.
    if (this.#timer !== undefined && this.#timerMs <= atMs) return
    this.#timer?.cancel()
    this.#timerMs = atMs
    this.#timer = clock.after(Math.max(0, atMs - clock.monotonicMs()), () => {
      this.#timer = undefined
      this.#run()
    })
  }

  #fail(error: unknown): void {
    if (this.#isStopped) return
    const { logger, onFatal } = this.#options
    const why = error instanceof StorageError ? 'its storage failed' : 'it met what can not be'
    logger.error(`The quorum ends on this node: ${why}.`, { error: String(error) })
    this.#halt(error)
    onFatal(error)
  }

  #halt(error: unknown): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#disk.stop()
    this.#timer?.cancel()
    this.#mailbox = []
    const { leads, term } = this.#announced
    this.#announced = { leads: false, term, leaderId: NO_MEMBER_ID, leaderTerm: term }
    if (leads) this.#options.onLeadership(false, term)
    this.#options.onLeader(NO_MEMBER_ID, term)
    this.#proposals.fail(error)
    this.#waits.fail(error)
    this.#handovers.fail(error)
  }
}
