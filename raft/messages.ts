/**
 * What members of a group say to each other, and the entries that they agree on.
 *
 * Positions are those of Kafka's log: an entry covers `count` offsets from `baseOffset`, and a
 * position in the log is an *end offset* (exclusive). An empty log ends at 0, in term 0. "The term
 * at a position" is the term of the last entry below it.
 *
 * A message may be lost, doubled, late, or overtaken by another: nothing here relies on delivery.
 */

/** 'leader' begins a term; 'membership' says who votes; 'normal' is for the state machine. */
export type EntryKind = 'normal' | 'leader' | 'membership'

export interface Entry {
  readonly baseOffset: number
  /** Offsets that it covers; at least 1. */
  readonly count: number
  readonly term: number
  readonly kind: EntryKind
  /** As it lies on disk. Never changed. */
  readonly data: Buffer
}

export const endOf = (entry: Entry): number => entry.baseOffset + entry.count

export const NO_MEMBER_ID = -1

/** A node with one log. The same node with a wiped or renewed log is another member. */
export interface Member {
  readonly nodeId: number
  /** 22 characters; '' in a list of voters: not known yet, any will do. */
  readonly directoryId: string
}

export interface Membership {
  readonly voters: readonly Member[]
  /** The voters before, while a change is under way (joint consensus); else empty. */
  readonly outgoing: readonly Member[]
}

/** Names the content of a snapshot: all below `endOffset`, whose last entry was of `term`. */
export interface SnapshotId {
  readonly endOffset: number
  readonly term: number
  readonly sizeBytes: number
  /** CRC-32C of the whole. */
  readonly checksum: number
}

interface Addressed {
  readonly from: number
  /** Of the sender's log. */
  readonly directoryId: string
  readonly to: number
  /** The sender's; of a vote that is only asked for in advance, the one that it would begin. */
  readonly term: number
}

export interface VoteMessage extends Addressed {
  readonly type: 'vote'
  /** Pre-vote (thesis 9.6): would you vote for me? Changes nothing. */
  readonly isPreVote: boolean
  /** Of the sender's log. */
  readonly endOffset: number
  readonly lastTerm: number
  /** The leader asked for it: do not defend its lease. */
  readonly isTransfer: boolean
  /** A leader that the sender has proof is dead; -1 none. The receiver looks for itself. */
  readonly deadLeaderId: number
}

/** Why a vote was refused, for people and traces. */
export type VoteRefusal = '' | 'lease' | 'log' | 'voted' | 'term' | 'stranger' | 'mute'

export interface VoteResponseMessage extends Addressed {
  readonly type: 'vote-response'
  readonly isPreVote: boolean
  readonly isGranted: boolean
  readonly refusal: VoteRefusal
}

export interface AppendMessage extends Addressed {
  readonly type: 'append'
  /** The entries follow this position, whose term is `prevTerm`. */
  readonly prevEnd: number
  readonly prevTerm: number
  /** The leader's. */
  readonly commit: number
  readonly entries: readonly Entry[]
}

export interface AppendResponseMessage extends Addressed {
  readonly type: 'append-response'
  readonly isRejected: boolean
  /** Of the request that is rejected; else unused. */
  readonly prevEnd: number
  /** Durable on the sender, and the same as the leader's. Unused when rejected. */
  readonly match: number
  /** When rejected: the last position of the sender's log that may match, and its term. */
  readonly hintEnd: number
  readonly hintTerm: number
}

export interface HeartbeatMessage extends Addressed {
  readonly type: 'heartbeat'
  /** Never beyond what the receiver has acknowledged. */
  readonly commit: number
  /** Confirms leadership for reads: comes back as it is. */
  readonly round: number
  /** Grows while the sender's event loop turns. */
  readonly progress: number
}

export interface HeartbeatResponseMessage extends Addressed {
  readonly type: 'heartbeat-response'
  readonly round: number
  /** End of the sender's log. */
  readonly endOffset: number
  readonly progress: number
  /** Its log would take an entry. */
  readonly hasRoom: boolean
}

/** A part of a snapshot. */
export interface SnapshotMessage extends Addressed {
  readonly type: 'snapshot'
  readonly snapshot: SnapshotId
  readonly membership: Membership
  readonly position: number
  readonly data: Buffer
}

export interface SnapshotResponseMessage extends Addressed {
  readonly type: 'snapshot-response'
  readonly snapshot: SnapshotId
  /** Bytes that the sender has; the next part begins there. */
  readonly position: number
}

/** Leader to the one that shall follow it: campaign now (thesis 3.10). */
export interface TimeoutNowMessage extends Addressed {
  readonly type: 'timeout-now'
}

/** A learner that the leader may not know of asks for the log. To all voters it knows. */
export interface FollowMessage extends Addressed {
  readonly type: 'follow'
  /** Who asks: the sender, or a node that the sender passes on to the leader. */
  readonly nodeId: number
  readonly endOffset: number
}

/** A follower asks for a position up to which a read is up to date (thesis 6.4). */
export interface ReadMessage extends Addressed {
  readonly type: 'read'
  readonly context: number
}

export interface ReadResponseMessage extends Addressed {
  readonly type: 'read-response'
  readonly context: number
  /** -1: the sender can't say. */
  readonly offset: number
}

export type Message =
  | VoteMessage
  | VoteResponseMessage
  | AppendMessage
  | AppendResponseMessage
  | HeartbeatMessage
  | HeartbeatResponseMessage
  | SnapshotMessage
  | SnapshotResponseMessage
  | TimeoutNowMessage
  | FollowMessage
  | ReadMessage
  | ReadResponseMessage

export type MessageType = Message['type']

/** What a message takes in memory and, about, on the wire. */
export function sizeOf(message: Message): number {
  let bytes = 64
  if (message.type === 'append') {
    for (const entry of message.entries) bytes += 32 + entry.data.length
  } else if (message.type === 'snapshot') {
    bytes += message.data.length + 32 * message.membership.voters.length
  }
  return bytes
}
