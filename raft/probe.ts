/** What a member counts: plain fields, read by whoever exposes them. */
import { Histogram, SECONDS_BUCKETS } from '../base/metrics.ts'

export class RaftProbe {
  /** Campaigns in earnest, and those that were won. */
  elections = 0
  electionsWon = 0
  /** Changes of the leader that this member knows of, and of its term. */
  leaderChanges = 0
  proposals = 0
  proposalsRefused = 0
  /** From a proposal to its being applied. */
  readonly commitSeconds = new Histogram(SECONDS_BUCKETS)
  appendedEntries = 0
  appendedBytes = 0
  appliedEntries = 0
  truncations = 0
  snapshotsInstalled = 0
  messagesSent = 0
  messagesReceived = 0
  /** Did not fit into the mailbox. */
  messagesDropped = 0
}
