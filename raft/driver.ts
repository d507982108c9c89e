/**
 * The loop around the core: mailbox -> core -> storage -> transport -> state machine. One pass
 * handles all that came in a turn.
 */
import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import type { Random } from '../base/random.ts'
import type { EntryCodec, RaftTiming } from './core.ts'
import type { Entry, Member, Membership, Message } from './messages.ts'
import type { RaftStorage, Snapshot } from './storage.ts'
import type { RaftTransport } from './transport.ts'

/** The proposal was not, or not surely, committed: another member leads, or this one stopped. */
export class NotLeading extends Error {
  override readonly name = 'NotLeading'
}

/** Never tried: too large, or too much is under way. */
export class ProposalRefused extends Error {
  override readonly name = 'ProposalRefused'
}

export interface StateMachine {
  /** Committed entries in the order of the log, each once. Must not throw. */
  apply(entries: readonly Entry[]): void
  /** Replaces everything by the storage's newest snapshot. */
  restore(snapshot: Snapshot): Promise<void>
}

export interface DriverOptions {
  readonly member: Member
  /** Of the settings; counts until the log says otherwise. Directory ids may be ''. */
  readonly voters: readonly Member[]
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly storage: RaftStorage
  readonly transport: RaftTransport
  readonly machine: StateMachine
  readonly codec: EntryCodec
  readonly timing?: Partial<RaftTiming>
  /** `leads` true: everything of earlier terms is applied here, and proposals are taken. */
  readonly onLeadership: (leads: boolean, term: number) => void
  /** The leader or the term that this member knows of has changed. -1: none. */
  readonly onLeader: (leaderId: number, term: number) => void
  /** A voter has proof that the leader is dead and asks for votes: look for yourself. */
  readonly onSuspect: (nodeId: number) => void
  /** The storage failed: end the node. */
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
  readonly isEstablished: boolean
  readonly startOffset: number
  readonly endOffset: number
  readonly commit: number
  readonly applied: number
  readonly membership: Membership
}

/** What others may do with a member of a group. `RaftDriver` is the one implementation. */
export interface RaftMember {
  readonly status: DriverStatus
  start(): Promise<void>
  stop(): Promise<void>
  receive(from: number, message: Message): void
  /** Proof that the process which led under this id is gone: do not wait for its silence. */
  peerIsDead(nodeId: number): void
  propose(count: number, encode: (baseOffset: number, term: number) => Buffer): Promise<number>
  readIndex(timeoutMs: number): Promise<number>
  whenApplied(endOffset: number, timeoutMs: number): Promise<void>
  transferLeadership(nodeId: number): Promise<void>
  changeVoters(voters: readonly Member[], timeoutMs: number): Promise<void>
  /** Leader only; empty elsewhere. */
  replicas(): ReplicaState[]
}
