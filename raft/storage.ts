/**
 * What a member must not forget. The driver calls one operation at a time, but for `saveVote`,
 * which may run beside the others. Whatever rejects or throws is final, unless it is StorageFull.
 */
import type { Entry, Member, Membership, SnapshotId } from './messages.ts'

/** No room now. May pass. */
export class StorageFull extends Error {
  override readonly name = 'StorageFull'
  /** Where the log ends: what was to come behind is not in it. */
  readonly endOffset: number
  constructor(endOffset: number, options?: { cause?: unknown }) {
    super('the device of the log is full', options)
    this.endOffset = endOffset
  }
}

export interface Vote {
  readonly term: number
  /** undefined: none in this term. */
  readonly voted: Member | undefined
}

/** Entries from `startOffset` on are of `term`, up to the next of these. */
export interface TermStart {
  readonly term: number
  readonly startOffset: number
}

export interface MembershipAt {
  /** End of the entry that says so; 0: the settings do. */
  readonly endOffset: number
  readonly membership: Membership
}

export interface Snapshot extends SnapshotId {
  readonly membership: Membership
}

export interface StoredState {
  readonly vote: Vote
  /** The log covers [startOffset, endOffset); what is below is in the snapshot. */
  readonly startOffset: number
  /** Term at `startOffset`; 0 for a log from the beginning. */
  readonly startTerm: number
  readonly endOffset: number
  /** Oldest first. */
  readonly terms: readonly TermStart[]
  /** Of the snapshot and of the log, oldest first. Empty: the settings decide. */
  readonly memberships: readonly MembershipAt[]
  /** Known to be committed; at least the snapshot's end. */
  readonly commit: number
}

export interface RaftStorage {
  /** As it was when the storage was opened. */
  readonly state: StoredState
  /** Durable when it resolves. */
  saveVote(vote: Vote): Promise<void>
  /**
   * Appends at the end. At return the entries are written, not yet durable. Throws StorageFull.
   */
  append(entries: readonly Entry[]): void
  /** Another append is sure to find room: a member without it should not lead. */
  readonly hasRoom: boolean
  /** Resolves with the position below which all is durable. */
  sync(): Promise<number>
  /** Cuts the log back, durably. */
  truncateTo(endOffset: number): Promise<void>
  /**
   * Whole entries from the one that holds `from` on, and below `upTo`, of up to `limitBytes`
   * together, but at least one. `from` is in the log, and below `upTo`.
   */
  read(from: number, upTo: number, limitBytes: number): Entry[]

  /** The newest whole one. */
  readonly snapshot: Snapshot | undefined
  /** A part of the newest snapshot; shorter only at its end. */
  readSnapshot(id: SnapshotId, position: number, lengthBytes: number): Buffer
  /** How much of an incoming snapshot is here; 0 when it is another one than before. */
  receivedBytes(id: SnapshotId): number
  /** Takes a part at `receivedBytes`. Throws StorageFull. */
  receive(id: SnapshotId, position: number, data: Buffer): void
  /**
   * Checks what was received, makes it the newest snapshot, empties the log and lets it go on at
   * its end. Durable when it resolves. False: the content is damaged, and is gone.
   */
  install(snapshot: Snapshot): Promise<boolean>
  /** The log may begin at `startOffset` now: a snapshot covers what is below. */
  dropBefore(startOffset: number): void
}
