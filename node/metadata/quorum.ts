/**
 * The port to the agreement on metadata: records go in, and come back on every node in the same
 * order once they are committed. One voter today, a Raft group with more; nothing else may know.
 */
import type { MetadataDelta } from './apply.ts'
import type { MetadataImage } from './image.ts'
import type { MetadataRecord } from './records.ts'

/** The proposal was not, or not surely, committed: another node leads, or this one stopped. */
export class NotLeaderError extends Error {
  override readonly name = 'NotLeaderError'
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

export interface MetadataQuorum {
  /** Everything committed and applied on this node. */
  readonly image: MetadataImage
  /** -1 when not known. */
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
}
