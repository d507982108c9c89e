/** What a replica is told of its role, and what it tells those who fill it. */
import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import type { Turn } from '../base/turn.ts'
import type { IsrPort } from './isr.ts'
import type { Partition } from './partition.ts'
import type { ReplicationProbe } from './probe.ts'
import type { TailMemory } from './tail.ts'

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
  /** The leader has told its state since the stream to it was made. */
  readonly isHeard: boolean
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

export interface PartitionParts {
  readonly clock: Clock
  readonly turn: Turn
  readonly logger: Logger
  readonly probe: ReplicationProbe
  readonly isr: IsrPort
  /** Of all replicas of the node. */
  readonly tails: TailMemory
  /** `replica.lag.time.max.ms`. */
  lagMaxMs(): number
  /**
   * Monotonic: until then this node can't have been fenced, so that nobody leads in its place. Later
   * it may still lead, but can't say that it knows the latest.
   */
  leaseUntilMs?(): number
  /** How long another node may lead on in ignorance, once this one knows better. */
  leaseMs?(): number
  /** The node is a broker that is not fenced. */
  isServing?(nodeId: number): boolean
  /** The rack of a node, where readers are sent to near replicas (KIP-392). */
  rackOf?(nodeId: number): string | undefined
  /** The controller would take the node into an ISR. */
  isEligible(nodeId: number): boolean
  /** The replica left service: the node reports its directory and gives up the leadership. */
  onFailure(partition: Partition, error: unknown): void
  /**
   * Records here are damaged, or there is no room for more: another replica should lead, and this
   * one leave the ISR. It goes on meanwhile. Resolves when the controller has heard: true when it
   * has, in this epoch, and will not take this replica for a leader.
   */
  onImpairment(partition: Partition, reason: 'damaged' | 'full'): Promise<boolean>
  /** Something waits: the owner of the sweep makes sure that `expire` is called now and then. */
  onWaiting(partition: Partition): void
  /** The ISR may have to change: the owner makes sure that `watch` is called now and then. */
  onWatch(partition: Partition): void
  /** The leader, its epoch or the replicas have changed; `wasLeader` of which epoch, else -1. */
  onRole(partition: Partition, ledEpoch: number): void
}

export interface ProduceOptions {
  readonly acks: -1 | 0 | 1
  readonly allowsZstd: boolean
  readonly nowMs: number
}
