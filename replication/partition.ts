/**
 * One replica of a partition on this node: its log, who leads it, how far it is committed, and who
 * waits for that. All calls are synchronous; the disk's sync is the only thing that takes time.
 *
 * Invariants: the high watermark never passes the position of an in-sync replica, and never goes
 * back; an answer to acks=all leaves after the watermark has passed its records, an answer to acks=1
 * after they are in the page cache; a replica whose storage failed takes no write again.
 */
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { CorruptionError, StorageError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { Flushable, Turn } from '../base/turn.ts'
import { attributesAt, CODEC_MASK, RECORDS_AT, recordCountAt } from '../log/format.ts'
import type { AppendContext, AppendOutcome, PartitionLog, ReadPlan } from '../log/partition-log.ts'
import { highWatermark } from './high-watermark.ts'
import { offsetForListing } from './list-offsets.ts'
import type { ReplicationProbe } from './probe.ts'
import { type AckWaiter, AckWaiters } from './waiters.ts'

export const NOT_LEADER_OR_FOLLOWER = 6
export const REQUEST_TIMED_OUT = 7
export const NOT_ENOUGH_REPLICAS = 19
const DUPLICATE_SEQUENCE_NUMBER = 46
export const KAFKA_STORAGE_ERROR = 56
export const FENCED_LEADER_EPOCH = 74
export const UNKNOWN_LEADER_EPOCH = 75

export interface DataWaiter {
  onData(): void
}

export type Isolation = 'uncommitted' | 'committed'

/** Who leads, as the metadata image says. */
export interface Leadership {
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly isr: readonly number[]
}

export interface PartitionParts {
  readonly clock: Clock
  readonly turn: Turn
  readonly logger: Logger
  readonly probe: ReplicationProbe
  /** The replica left service: the node reports its directory and gives up the leadership. */
  onFailure(partition: Partition, error: unknown): void
  /** Something waits: the owner of the sweep makes sure that `expire` is called now and then. */
  onWaiting(partition: Partition): void
}

export interface ProduceOptions {
  readonly acks: -1 | 0 | 1
  readonly allowsZstd: boolean
  readonly nowMs: number
}

export class Partition implements Flushable {
  readonly topic: string
  readonly topicId: string
  readonly index: number
  readonly log: PartitionLog
  queued = false
  leaderId = -1
  leaderEpoch = -1
  isr: readonly number[] = []
  minInsyncReplicas: number
  recordsIn = 0
  bytesIn = 0
  recordsOut = 0
  bytesOut = 0
  /** By codec, in the order of the bits in a batch's attributes. */
  readonly batchesIn: number[] = [0, 0, 0, 0, 0]
  /** Records that were refused, by error code; 46 stands for duplicates, which are no error. */
  rejections: Map<number, number> | undefined = undefined
  readonly #nodeId: number
  readonly #parts: PartitionParts
  readonly #replicated = new AckWaiters()
  readonly #written = new AckWaiters()
  readonly #readers = new Set<DataWaiter>()
  readonly #context: AppendContext
  #highWatermark: number
  #isSyncing = false
  #failure: unknown
  #isClosed = false

  constructor(options: {
    topic: string
    topicId: string
    index: number
    nodeId: number
    log: PartitionLog
    /** From the checkpoint of the last run; 0 when there is none. */
    highWatermark: number
    minInsyncReplicas: number
    parts: PartitionParts
  }) {
    assert(options.minInsyncReplicas >= 1, 'the leader counts itself')
    this.topic = options.topic
    this.topicId = options.topicId
    this.index = options.index
    this.log = options.log
    this.minInsyncReplicas = options.minInsyncReplicas
    this.#nodeId = options.nodeId
    this.#parts = options.parts
    this.#highWatermark = Math.min(
      Math.max(options.highWatermark, options.log.logStartOffset),
      options.log.logEndOffset,
    )
    this.#context = { leaderEpoch: -1, nowMs: 0, origin: 'client', allowsZstd: true }
  }

  get isLeader(): boolean {
    return this.leaderId === this.#nodeId && !this.#isClosed
  }

  get isFailed(): boolean {
    return this.#failure !== undefined
  }

  get logStartOffset(): number {
    return this.log.logStartOffset
  }

  get logEndOffset(): number {
    return this.log.logEndOffset
  }

  get highWatermark(): number {
    return this.#highWatermark
  }

  /** Below the watermark and below the first record of the oldest open transaction. */
  get lastStableOffset(): number {
    const unstable = this.log.firstUnstableOffset
    return unstable === undefined ? this.#highWatermark : Math.min(unstable, this.#highWatermark)
  }

  get waitingProduces(): number {
    return this.#replicated.size + this.#written.size
  }

  get waitingReaders(): number {
    return this.#readers.size
  }

  /** The metadata image says who leads from now on. An older epoch than the known one is ignored. */
  lead(leadership: Leadership): void {
    if (leadership.leaderEpoch < this.leaderEpoch || this.#isClosed) return
    const wasLeader = this.isLeader
    const isNewEpoch = leadership.leaderEpoch > this.leaderEpoch
    this.leaderId = leadership.leaderId
    this.leaderEpoch = leadership.leaderEpoch
    this.isr = leadership.isr
    this.#context.leaderEpoch = leadership.leaderEpoch
    if (this.isLeader) {
      assert(this.isr.includes(this.#nodeId), 'a leader is in its ISR')
      this.#parts.turn.stores(this)
    }
    if (isNewEpoch && wasLeader && !this.isLeader) this.#failWaiters(NOT_LEADER_OR_FOLLOWER)
    if (isNewEpoch) this.#wakeReaders()
  }

  append(
    source: Buffer,
    start: number,
    end: number,
    options: ProduceOptions,
    outcome: AppendOutcome,
  ): void {
    const refusal = this.refusal(options.acks)
    if (refusal !== 0) {
      refuse(outcome, refusal)
      this.#countRejection(refusal, source, start, end)
      return
    }
    const context = this.#context
    context.nowMs = options.nowMs
    context.allowsZstd = options.allowsZstd
    context.origin = 'client'
    this.#append(source, start, end, outcome)
  }

  /** A batch of this node's own coordinators: markers and internal records are allowed. */
  appendAsCoordinator(batch: Buffer, outcome: AppendOutcome): void {
    const refusal = this.refusal(-1)
    if (refusal !== 0) {
      refuse(outcome, refusal)
      return
    }
    const context = this.#context
    context.nowMs = this.#parts.clock.nowMs()
    context.allowsZstd = true
    context.origin = 'coordinator'
    this.#append(batch, 0, batch.length, outcome)
  }

  #append(source: Buffer, start: number, end: number, outcome: AppendOutcome): void {
    this.log.append(source, start, end, this.#context, outcome)
    if (outcome.error !== 0) {
      this.#countRejection(outcome.error, source, start, end)
      if (this.log.isFailed) this.#fail(new StorageError('EIO', this.log.directory, 'append to'))
      // A full disk: the log goes on once it has been told to write again.
      else if (outcome.error === KAFKA_STORAGE_ERROR) this.#parts.turn.stores(this)
      return
    }
    if (outcome.isDuplicate) {
      this.#countRejection(DUPLICATE_SEQUENCE_NUMBER, source, start, end)
      return
    }
    this.batchesIn[attributesAt(source, start) & CODEC_MASK]!++
    this.recordsIn += outcome.recordCount
    this.bytesIn += outcome.sizeBytes
    if (!this.queued) this.#parts.turn.stores(this)
  }

  /** The number of records is the batch's own word; a batch that can't be counted counts as one. */
  #countRejection(error: number, source: Buffer, start: number, end: number): void {
    const said = end - start >= RECORDS_AT ? recordCountAt(source, start) : 1
    const count = said > 0 && said <= end - start ? said : 1
    this.rejections ??= new Map()
    this.rejections.set(error, (this.rejections.get(error) ?? 0) + count)
  }

  /** 0, or the error with which an append would end now. */
  refusal(acks: number): number {
    if (!this.isLeader) return NOT_LEADER_OR_FOLLOWER
    if (this.#failure !== undefined) return KAFKA_STORAGE_ERROR
    if (acks === -1 && this.isr.length < this.minInsyncReplicas) {
      this.#parts.probe.rejectedNotEnoughReplicas++
      return NOT_ENOUGH_REPLICAS
    }
    return 0
  }

  isReplicated(lastOffset: number): boolean {
    return lastOffset < this.#highWatermark
  }

  awaitReplication(lastOffset: number, deadlineMs: number, waiter: AckWaiter, slot: number): void {
    this.#replicated.add(lastOffset, deadlineMs, waiter, slot)
    this.#parts.onWaiting(this)
    if (!this.queued) this.#parts.turn.stores(this)
  }

  /** Resolves when everything below `offset` is committed, or can't be (in time). */
  committed(offset: number, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const deadlineMs = this.#parts.clock.monotonicMs() + timeoutMs
      this.awaitReplication(offset - 1, deadlineMs, { onAck: () => resolve() }, 0)
    })
  }

  /** The answer to acks=1: tells `waiter` at the end of this turn, when the page cache has it (or 56). */
  awaitWrite(lastOffset: number, waiter: AckWaiter, slot: number): void {
    this.#written.add(lastOffset, Number.POSITIVE_INFINITY, waiter, slot)
    if (!this.queued) this.#parts.turn.stores(this)
  }

  /** The end of the turn: one write, one sync under way, the watermark, the answers. */
  flush(): void {
    if (this.#isClosed || this.#failure !== undefined) {
      this.#failWaiters(this.#isClosed ? NOT_LEADER_OR_FOLLOWER : KAFKA_STORAGE_ERROR)
      return
    }
    this.#write()
    if (this.#failure !== undefined) return
    this.#written.release(this.log.writtenOffset)
    this.#startSync()
    this.#advance()
  }

  #write(): void {
    try {
      this.log.write()
    } catch (error) {
      if (!(error instanceof StorageError)) throw error
      if (this.log.isFailed) {
        this.#fail(error)
        return
      }
      // The disk is full: what was gathered in this turn is gone from the log again.
      this.#parts.logger.warn('Records were refused because the disk took no write.', {
        topic: this.topic,
        partition: this.index,
        code: error.code,
      })
      this.#written.failFrom(this.log.logEndOffset, KAFKA_STORAGE_ERROR)
      this.#replicated.failFrom(this.log.logEndOffset, KAFKA_STORAGE_ERROR)
    }
  }

  #startSync(): void {
    const log = this.log
    if (this.#isSyncing || log.config.flush !== 'group' || log.syncedOffset >= log.writtenOffset) {
      return
    }
    this.#isSyncing = true
    log.sync().then(
      () => {
        this.#isSyncing = false
        if (!this.#isClosed) this.#parts.turn.stores(this)
      },
      (error: unknown) => {
        this.#isSyncing = false
        if (!this.#isClosed) this.#fail(error)
      },
    )
  }

  /** Where this replica stands, as far as its topic's durability asks. */
  get position(): number {
    return this.log.config.flush === 'group' ? this.log.syncedOffset : this.log.writtenOffset
  }

  #advance(): void {
    if (!this.isLeader) return
    const next = highWatermark([this.position])
    if (next > this.#highWatermark) {
      assert(next <= this.log.logEndOffset, 'the watermark stays within the log')
      this.#highWatermark = next
      this.#wakeReaders()
    }
    this.#replicated.release(this.#highWatermark)
  }

  /** Answers produces whose time is up. True while some still wait. */
  expire(monotonicMs: number): boolean {
    const before = this.#replicated.size
    this.#replicated.expire(monotonicMs, REQUEST_TIMED_OUT)
    this.#parts.probe.producesExpired += before - this.#replicated.size
    return this.#replicated.size > 0
  }

  checkReader(currentLeaderEpoch: number): number {
    if (this.#isClosed) return NOT_LEADER_OR_FOLLOWER
    if (currentLeaderEpoch >= 0) {
      if (currentLeaderEpoch < this.leaderEpoch) return FENCED_LEADER_EPOCH
      if (currentLeaderEpoch > this.leaderEpoch) return UNKNOWN_LEADER_EPOCH
    }
    if (!this.isLeader) return NOT_LEADER_OR_FOLLOWER
    return 0
  }

  preferredReplica(_rack: string, _fetchOffset: number): number {
    return -1
  }

  readLimit(isolation: Isolation): number {
    return isolation === 'committed' ? this.lastStableOffset : this.#highWatermark
  }

  locate(fromOffset: number, upTo: number, plan: ReadPlan): void {
    this.log.locate(fromOffset, upTo, plan)
  }

  copy(plan: ReadPlan, upTo: number, target: Buffer, at: number, limitBytes: number): number {
    return this.log.copy(plan, upTo, target, at, limitBytes)
  }

  copyAsync(
    plan: ReadPlan,
    upTo: number,
    target: Buffer,
    at: number,
    limitBytes: number,
  ): Promise<number> {
    return this.log.copyAsync(plan, upTo, target, at, limitBytes)
  }

  abortedTransactions(fromOffset: number, toOffset: number) {
    return this.log.abortedTransactions(fromOffset, toOffset)
  }

  addDataWaiter(waiter: DataWaiter): void {
    this.#readers.add(waiter)
  }

  removeDataWaiter(waiter: DataWaiter): void {
    this.#readers.delete(waiter)
  }

  endOffsetForEpoch(epoch: number) {
    return this.log.endOffsetForEpoch(epoch)
  }

  epochForOffset(offset: number): number {
    return this.log.epochForOffset(offset)
  }

  listOffset(timestampMs: number, isolation: Isolation) {
    return offsetForListing(this, timestampMs, isolation)
  }

  /** KIP-107. Below the watermark only; the caller has checked. */
  deleteRecordsBefore(offset: number): void {
    assert(offset <= this.#highWatermark, 'only committed records are deleted')
    this.log.advanceLogStart(offset)
  }

  /** A reader met damage. The log has said so; the reader was told 56; other offsets stay readable. */
  onCorruption(error: unknown): void {
    const known = error instanceof CorruptionError || error instanceof StorageError
    if (!known) throw error
    this.#parts.logger.error('Damaged records were found and not served.', {
      topic: this.topic,
      partition: this.index,
      error: error.message,
    })
  }

  /** Nothing is served or taken from now on; whoever waits is told so. The log is the owner's to close. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#failWaiters(NOT_LEADER_OR_FOLLOWER)
    this.#wakeReaders()
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#parts.probe.failedReplicas++
    this.#parts.logger.error('A replica is out of service: its storage failed.', {
      topic: this.topic,
      partition: this.index,
      error: error instanceof Error ? error.message : String(error),
    })
    this.#failWaiters(KAFKA_STORAGE_ERROR)
    this.#wakeReaders()
    this.#parts.onFailure(this, error)
  }

  #failWaiters(error: number): void {
    this.#written.failAll(error)
    this.#replicated.failAll(error)
  }

  #wakeReaders(): void {
    if (this.#readers.size === 0) return
    // A reader may take itself out, or in again, while it is told.
    for (const reader of [...this.#readers]) reader.onData()
  }
}

function refuse(outcome: AppendOutcome, error: number): void {
  outcome.error = error
  outcome.message = undefined
  outcome.recordErrors = []
  outcome.firstOffset = -1
  outcome.lastOffset = -1
  outcome.logAppendTimeMs = -1
  outcome.logStartOffset = -1
  outcome.isDuplicate = false
  outcome.recordCount = 0
  outcome.sizeBytes = 0
}
