/** What the replicas of a node count: plain fields, read when somebody scrapes. */

export class ReplicationProbe {
  /** Partitions of this node that were taken out of service after a storage failure. */
  failedReplicas = 0
  producesExpired = 0
  rejectedNotEnoughReplicas = 0
}
