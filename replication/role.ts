/** What a replica is told of its role, and what it tells those who fill it. */

/** Who leads, as the metadata image says. */
export interface Leadership {
  /** -1: nobody. */
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly partitionEpoch: number
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
}

/** What a follower's fetcher hears of its replica, at the end of a turn. */
export interface FollowLink {
  /** The position or the log's start has moved. */
  onProgress(): void
  /** The end of the log has been cut, and can be told again. */
  onCut(): void
  /** The disk is full: the end of the log went back to what is written. */
  onSetBack(): void
  /** Records are damaged: out of the ISR first, then they are fetched again. */
  onDamage(): void
  onFailed(): void
}

export const NOBODY: Leadership = {
  leaderId: -1,
  leaderEpoch: -1,
  partitionEpoch: -1,
  replicas: [],
  isr: [],
}
