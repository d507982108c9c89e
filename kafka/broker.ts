/**
 * What request handlers may ask of a broker. `node/` implements it. The data plane (this part) is
 * called for each Produce and Fetch: no promise, no closure, no object per request; outcomes are
 * written into objects that the caller owns and uses again.
 */
import type { AppendOutcome, ReadPlan } from '../log/partition-log.ts'
import type {
  AdminPort,
  ClusterPort,
  ConfigsPort,
  GroupsPort,
  ProducersPort,
  TopicsPort,
} from './control.ts'

/** Waits for an append to be replicated. One object may wait in several slots. */
export interface AckWaiter {
  /** Called once per slot: `error` 0 when all in-sync replicas have it (and it is durable). */
  onAck(slot: number, error: number): void
}

/** Waits for a partition to have something new for a reader. */
export interface DataWaiter {
  /** The watermark moved, leadership changed, or the partition went. Called at most once per turn. */
  onData(): void
}

export type Isolation = 'uncommitted' | 'committed'

/** One partition as a leader (or follower) on this node. Stays valid after it goes: it then answers with errors. */
export interface PartitionPort {
  readonly topic: string
  readonly topicId: string
  readonly index: number
  /** -1 when there is none. */
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly logStartOffset: number
  readonly logEndOffset: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  /** False on a new leader that may be behind what its predecessor had committed (KIP-207). */
  readonly isWatermarkKnown: boolean
  /** Counted by the answering side. */
  recordsOut: number
  bytesOut: number

  /**
   * Leader append of the single batch in source[start, end). Errors as Kafka: 6, 56, 19, 2, 87, 10,
   * 45, 47, ... The outcome is filled. `acks` is -1, 0 or 1. Nothing of `source` is kept.
   */
  append(
    source: Buffer,
    start: number,
    end: number,
    options: ProduceOptions,
    outcome: AppendOutcome,
  ): void
  /** After an append with acks=-1: is `lastOffset` below the watermark already? */
  isReplicated(lastOffset: number): boolean
  /**
   * Tells `waiter` once `lastOffset` is below the watermark, or the partition failed (56), lost
   * leadership (6), or `deadlineMs` (monotonic) passed (7). Never synchronously.
   */
  awaitReplication(lastOffset: number, deadlineMs: number, waiter: AckWaiter, slot: number): void

  /**
   * The answer to acks=1: tells `waiter` at the end of this turn, once the records are in the page
   * cache, or that they could not be written (56). Stores flush before connections, so the answer
   * still leaves in this turn.
   */
  awaitWrite(lastOffset: number, waiter: AckWaiter, slot: number): void

  /**
   * 0, or why this node does not serve this reader: 6 (not leader), 74/75 (epochs), 56 (failed).
   * `currentLeaderEpoch` -1 = not given. `mayFollow`: a follower serves it too (KIP-392), up to its
   * own watermark.
   */
  checkReader(currentLeaderEpoch: number, mayFollow?: boolean): number
  /**
   * KIP-392: the node whose replica a reader in `rack` should rather ask: it is in that rack, in
   * sync, and has `fetchOffset` in its log. -1: none is nearer, or this node does not lead.
   */
  preferredReplica(rack: string, fetchOffset: number): number
  /** Reads end here for this isolation: watermark or last stable offset. */
  readLimit(isolation: Isolation): number
  /** See PartitionLog.locate: `upTo` from readLimit. */
  locate(fromOffset: number, upTo: number, plan: ReadPlan): void
  copy(plan: ReadPlan, upTo: number, target: Buffer, at: number, limitBytes: number): number
  copyAsync(
    plan: ReadPlan,
    upTo: number,
    target: Buffer,
    at: number,
    limitBytes: number,
  ): Promise<number>
  abortedTransactions(
    fromOffset: number,
    toOffset: number,
  ): readonly { producerId: number; firstOffset: number }[]
  /** The same waiter added twice waits once. */
  addDataWaiter(waiter: DataWaiter): void
  removeDataWaiter(waiter: DataWaiter): void
  /** A reader's copy met damaged bytes: repair, hand over or fence; the reader is told 56. */
  onCorruption(error: unknown): void

  /** KIP-320. -1, -1 when unknown. */
  endOffsetForEpoch(epoch: number): { readonly epoch: number; readonly endOffset: number }
  epochForOffset(offset: number): number
  /**
   * ListOffsets. `timestampMs` >= 0 a time; -1 latest, -2 earliest, -3 max timestamp, -4 earliest
   * local, -5 latest tiered, -6 earliest pending upload. offset -1 when there is none. `error` 78
   * (OFFSET_NOT_AVAILABLE): a new leader that does not know its watermark yet (KIP-207).
   */
  listOffset(
    timestampMs: number,
    isolation: Isolation,
  ): Promise<{ error: number; offset: number; timestampMs: number; leaderEpoch: number }>
}

export interface ProduceOptions {
  acks: -1 | 0 | 1
  /** Produce 7+. */
  allowsZstd: boolean
  nowMs: number
}

/** A topic of the metadata image. `partitions[i]` is undefined when this node hosts no replica of it. */
export interface TopicPort {
  readonly name: string
  /** 22 characters, base64url. */
  readonly id: string
  readonly isInternal: boolean
  readonly partitionCount: number
  readonly partitions: readonly (PartitionPort | undefined)[]
}

export interface LeaderHint {
  /** -1 unknown. */
  readonly leaderId: number
  readonly leaderEpoch: number
}

/** The data plane. Look-ups are plain map reads. */
export interface DataPort {
  topic(name: string): TopicPort | undefined
  topicById(id: string): TopicPort | undefined
  /** KIP-951: where a partition is led now, by this node's metadata. */
  leader(topic: TopicPort, index: number): LeaderHint
  /** The endpoint of a node on the listener of the connection. */
  endpoint(nodeId: number, listener: string): NodeEndpoint | undefined
}

export interface NodeEndpoint {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

/** Everything that handlers may ask: the data plane above, and the control plane (control.ts). */
export interface Broker {
  readonly data: DataPort
  readonly cluster: ClusterPort
  readonly topics: TopicsPort
  readonly configs: ConfigsPort
  readonly groups: GroupsPort
  readonly producers: ProducersPort
  readonly admin: AdminPort
}
