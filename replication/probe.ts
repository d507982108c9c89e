/** What the replicas of a node count: plain fields, read when somebody scrapes. */

export class ReplicationProbe {
  /** Partitions of this node that were taken out of service after a storage failure. */
  failedReplicas = 0
  producesExpired = 0
  rejectedNotEnoughReplicas = 0
  /** Proposals of this node's leaders. */
  isrShrinks = 0
  isrExpansions = 0
  isrUpdatesFailed = 0
  /** As leader: bytes of records and messages sent to followers. */
  sentBytes = 0
  sentMessages = 0
  /** Of records that were sent from memory. */
  sentTailBytes = 0
  /** As follower. */
  receivedBytes = 0
  receivedMessages = 0
  acknowledgements = 0
  truncations = 0
  /** Replicas whose damaged records were dropped, to be fetched again. */
  repairs = 0
  fetchErrors = 0
}
