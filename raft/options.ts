/** What a member is made of, and its numbers with their defaults. */
import type { Random } from '../base/random.ts'
import type { Member, Membership } from './messages.ts'
import type { ElectionEndings } from './probe.ts'
import type { RaftStorage } from './storage.ts'

export interface RaftTiming {
  readonly heartbeatMs: number
  /** A follower that hears nothing for so long, at random between the two, asks for votes. */
  readonly electionTimeoutMinMs: number
  readonly electionTimeoutMaxMs: number
  /** At the start, up to three times this: asking in advance disturbs nobody who leads. */
  readonly startPatienceMs: number
  /** Instead, with proof that the leader is dead: one voter so much after the other. */
  readonly deadLeaderStaggerMs: number
  /** And again after a third of this to four thirds. */
  readonly deadLeaderRetryMs: number
  /** A learner that was not heard for so long is forgotten. */
  readonly learnerTimeoutMs: number
  /** Entries of one message together, if there is more than one. */
  readonly messageBytes: number
  /** On the way to one member. */
  readonly windowBytes: number
  readonly windowMessages: number
  readonly snapshotPartBytes: number
  /** Entries in memory that need not be there. */
  readonly cacheBytes: number
  /** One proposal. */
  readonly entryBytesMax: number
  /** Proposals that are not committed yet. */
  readonly uncommittedBytesMax: number
  readonly uncommittedMax: number
  /** Behind the leader's end by so many offsets at most, a member may become a voter. */
  readonly promotionLagMax: number
  /**
   * A leader answers reads without asking the others while it can't have been replaced. Needs
   * clocks that run at the same rate: off.
   */
  readonly leaseReads: boolean
}

export const DEFAULT_TIMING: RaftTiming = {
  heartbeatMs: 150,
  electionTimeoutMinMs: 1000,
  electionTimeoutMaxMs: 1500,
  startPatienceMs: 150,
  deadLeaderStaggerMs: 25,
  deadLeaderRetryMs: 150,
  learnerTimeoutMs: 10_000,
  messageBytes: 256 * 1024,
  windowBytes: 2 * 1024 * 1024,
  windowMessages: 128,
  snapshotPartBytes: 256 * 1024,
  cacheBytes: 8 * 1024 * 1024,
  entryBytesMax: 16 * 1024 * 1024,
  uncommittedBytesMax: 64 * 1024 * 1024,
  uncommittedMax: 10_000,
  promotionLagMax: 1000,
  leaseReads: false,
}

/** How the entries that the core itself makes lie on disk. Each covers one offset. */
export interface EntryCodec {
  encodeLeader(baseOffset: number, term: number, leaderId: number, membership: Membership): Buffer
  encodeMembership(baseOffset: number, term: number, membership: Membership): Buffer
  decodeMembership(data: Buffer): Membership
}

export interface RaftOptions {
  readonly member: Member
  /** Of the settings; they count until the log says otherwise. Directory ids may be ''. */
  readonly voters: readonly Member[]
  /**
   * Its log was replaced by an empty one: it votes only once its directory id is in the list, not
   * where the list says that any will do.
   */
  readonly mustBeListed: boolean
  readonly random: Random
  readonly codec: EntryCodec
  readonly storage: Pick<
    RaftStorage,
    'state' | 'read' | 'readSnapshot' | 'snapshot' | 'receivedBytes' | 'hasRoom'
  >
  readonly timing: RaftTiming
  /** Where the core counts them. */
  readonly endings?: ElectionEndings
}
