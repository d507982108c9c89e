/**
 * The port to the agreement on metadata: records go in, and come back on every node in the same
 * order once they are committed. A Raft group of one voter or more; nothing else may know.
 */
import type { MetadataDelta } from './apply.ts'
import type { MetadataImage } from './image.ts'
import type { MetadataRecord } from './records.ts'

/** The proposal was not, or not surely, committed: another node leads, or this one stopped. */
export class NotLeaderError extends Error {
  override readonly name = 'NotLeaderError'
}

/** The proposal is too large, or too many are under way: nothing was tried. */
export class ProposalRefusedError extends Error {
  override readonly name = 'ProposalRefusedError'
}

/** A wait or a transfer did not come to its end in time. */
export class QuorumTimeoutError extends Error {
  override readonly name = 'QuorumTimeoutError'
}

/**
 * Called in the order of the log, after the image has changed and before the promise of a local
 * proposal resolves. Must not throw. `delta` is relative to the image before.
 */
export type AppliedListener = (image: MetadataImage, delta: MetadataDelta) => void

export interface VoterState {
  readonly nodeId: number
  readonly directoryId: string
  readonly logEndOffset: number
}

export interface VoterKey {
  readonly nodeId: number
  /** 22 characters. */
  readonly directoryId: string
}

/** A voter or an observer, as the leader sees it. */
export interface ReplicaDescription extends VoterKey {
  /** -1 when not known. */
  readonly logEndOffset: number
  /** Wall clock; -1 when not known. The leader's own are "now". */
  readonly lastFetchMs: number
  readonly lastCaughtUpMs: number
}

export interface QuorumDescription {
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly highWatermark: number
  /** Only the leader knows more of the others than their ids. */
  readonly voters: readonly ReplicaDescription[]
  readonly observers: readonly ReplicaDescription[]
}

/**
 * `leads` true: this node's image has everything of earlier epochs, and proposals in `epoch` are
 * taken. False: another node leads, or none.
 */
export type LeadershipListener = (leads: boolean, epoch: number) => void

export interface MetadataQuorum {
  /** Everything committed and applied on this node. */
  readonly image: MetadataImage
  /** -1 when not known; this node only while it takes proposals. */
  readonly leaderId: number
  readonly leaderEpoch: number
  /** On the leader: the offset that the first record of the next proposal gets. */
  readonly nextOffset: number
  /** Offset below which all is committed. */
  readonly highWatermark: number
  readonly voters: readonly VoterState[]

  /** Loads what is on disk, applies it, and takes part. Resolves when the image is up to date. */
  start(): Promise<void>
  /** Rejects what is not committed. Idempotent. */
  stop(): Promise<void>
  /**
   * Appends one atomic batch. Resolves with the offset of its last record when it is committed and
   * applied on this node; rejects with NotLeaderError or the failure of the storage. Proposals are
   * ordered by their calls; a caller need not wait for one to make the next.
   */
  propose(records: readonly MetadataRecord[]): Promise<number>
  /** Returns the way to end it. */
  onApplied(listener: AppliedListener): () => void
  /** Tells at once when this node leads already. Returns the way to end it. */
  onLeadership(listener: LeadershipListener): () => void
  /**
   * An offset such that an image with it has all that was committed before the call. Rejects with
   * NotLeaderError when no leader can confirm it in time.
   */
  readIndex(): Promise<number>
  /** Resolves when the image has `offset`; rejects with QuorumTimeoutError. */
  whenApplied(offset: number, timeoutMs: number): Promise<void>
  /**
   * Leader only: makes `nodeId` leader, which has to be a voter. Resolves when this node no longer
   * leads; rejects with QuorumTimeoutError, and then it goes on leading.
   */
  transferLeadership(nodeId: number): Promise<void>
  /** DescribeQuorum. */
  describe(): QuorumDescription
  /**
   * Leader only: the voters from now on, in one step whatever their number. Those that are new have
   * to follow the log already. Resolves when the change is committed; rejects with NotLeaderError,
   * ProposalRefusedError (another change is under way, a new voter is unknown or far behind).
   */
  changeVoters(voters: readonly VoterKey[]): Promise<void>
}
