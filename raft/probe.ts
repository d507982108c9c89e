/** What a member counts: plain fields, read by whoever exposes them. */
import { Histogram, SECONDS_BUCKETS } from '../base/metrics.ts'

/** How campaigns ended that were not won. The core counts them. */
export class ElectionEndings {
  /** In earnest: refused, or somebody else leads. */
  lost = 0
  /** Nobody said enough in time. */
  timeout = 0
  /** Only asked what would be, and a quorum said no. */
  preVoteDenied = 0
}

export class RaftProbe {
  readonly endings = new ElectionEndings()
  /** Campaigns in earnest, and those that were won. */
  elections = 0
  electionsWon = 0
  /** Changes of the leader that this member knows of, and of its term. */
  leaderChanges = 0
  proposals = 0
  proposalsRefused = 0
  /** From a proposal to its being applied. */
  readonly commitSeconds = new Histogram(SECONDS_BUCKETS)
  /** A sync of the log. */
  readonly syncSeconds = new Histogram(SECONDS_BUCKETS)
  /** From a heartbeat to its answer, by the node that answers. */
  readonly roundTrips = new Map<number, Histogram>()
  appendedEntries = 0
  appendedBytes = 0
  appliedEntries = 0
  truncations = 0
  snapshotsInstalled = 0
  /** Written by this member of what it has applied. */
  snapshotsTaken = 0
  /** To a member that lacks what the log no longer has: with the last part. */
  snapshotsSent = 0
  /** Of the newest snapshot that this member has; 0 while it has none. */
  snapshotSizeBytes = 0
  messagesSent = 0
  messagesReceived = 0
  /** Did not fit into the mailbox. */
  messagesDropped = 0
}
