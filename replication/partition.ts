/**
 * One replica of a partition on this node: its log, its role in the leader epoch, how far it is
 * committed, and who waits for that. All calls are synchronous, apart from those that cut the log;
 * the disk's sync is the only other thing that takes time.
 *
 * Invariants: the high watermark never passes the position of an in-sync replica, and goes back only
 * when an unclean election has made the log shorter; an answer to acks=all leaves after the
 * watermark has passed its records, an answer to acks=1 after they are in the page cache; a replica
 * whose storage failed takes no write again.
 */
import { assert } from '../base/assert.ts'
import { CorruptionError, StorageError } from '../base/errors.ts'
import { attributesAt, CODEC_MASK } from '../log/format.ts'
import type { AppendContext, AppendOutcome, PartitionLog } from '../log/partition-log.ts'
import { type Admission, type Admitting, admit, checkEpochs, endOfEpoch } from './admission.ts'
import { findDamage } from './damage.ts'
import { Deletions } from './deletions.ts'
import {
  DUPLICATE_SEQUENCE_NUMBER,
  FENCED_LEADER_EPOCH,
  KAFKA_STORAGE_ERROR,
  NOT_ENOUGH_REPLICAS,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  NOT_LEADER_OR_FOLLOWER,
  REQUEST_TIMED_OUT,
  refuseAppend,
  UNKNOWN_LEADER_EPOCH,
} from './errors.ts'
import { Following } from './following.ts'
import { Impairment, UNKNOWN_OFFSET } from './impairment.ts'
import { Leader, type Led } from './leader.ts'
import { offsetForListing } from './list-offsets.ts'
import type { Subscribe } from './messages.ts'
import { Hold } from './predecessors.ts'
import { type Isolation, ReadableReplica } from './readable.ts'
import type { Feed, RemoteReplica } from './remote-replica.ts'
import {
  type FollowLink,
  type Leadership,
  NOBODY,
  type PartitionParts,
  type ProduceOptions,
} from './role.ts'
import { SyncLoop, type SyncOwner } from './sync-loop.ts'
import { LogTail } from './tail.ts'
import { type AckWaiter, AckWaiters } from './waiters.ts'

/** A controller that is being replaced answers nobody for a while: that alone proves nothing. */
const FORGOTTEN_AFTER_MS = 3000

export class Partition extends ReadableReplica implements SyncOwner, Led {
  queued = false
  minInsyncReplicas: number
  override readonly tail: LogTail
  readonly #syncs: SyncLoop
  readonly #nodeId: number
  readonly #parts: PartitionParts
  readonly #replicated = new AckWaiters()
  readonly #written = new AckWaiters()
  readonly #deletions: Deletions
  readonly #context: AppendContext
  readonly #impairment: Impairment
  #highWatermark: number
  #leadership: Leadership = NOBODY
  /** This replica leads. */
  #leader: Leader | undefined
  readonly #following = new Following()
  /** On account of those who may not know that they lead no more. */
  readonly #hold: Hold
  /** The end of the log is being cut: what the image says meanwhile waits. */
  #cutting = 0
  #isUnderMin = false
  /** The log has records of epochs that have not been: their headers are damaged. */
  #isUnfit = false
  #failure: unknown
  #isClosed = false

  constructor(options: {
    topic: string
    topicId: string
    index: number
    log: PartitionLog
    nodeId: number
    /** From the checkpoint of the last run; 0 when there is none. */
    highWatermark: number
    minInsyncReplicas: number
    parts: PartitionParts
  }) {
    super(options)
    assert(options.minInsyncReplicas >= 1, 'the leader counts itself')
    this.minInsyncReplicas = options.minInsyncReplicas
    this.#nodeId = options.nodeId
    this.#parts = options.parts
    this.#highWatermark = Math.min(
      Math.max(options.highWatermark, options.log.logStartOffset),
      options.log.logEndOffset,
    )
    this.#impairment = new Impairment(options, options.parts)
    this.#hold = new Hold(options.nodeId, options.parts)
    this.#syncs = new SyncLoop(this, options.parts.turn)
    this.#deletions = new Deletions(options.log, () => {
      if (!this.queued) this.#parts.turn.stores(this)
    })
    this.tail = new LogTail(options.parts.tails)
    for (const { fromOffset } of options.log.damage) this.#impairment.note(fromOffset)
    this.#context = { leaderEpoch: -1, nowMs: 0, origin: 'client', allowsZstd: true }
  }

  get isLeader(): boolean {
    return this.#leader !== undefined
  }

  get isFailed(): boolean {
    return this.#failure !== undefined
  }

  /** Some of its records can't be read. */
  get isDamaged(): boolean {
    return this.#impairment.damagedFrom !== undefined
  }

  /** The end of the log is being changed. */
  get isCutting(): boolean {
    return this.#cutting > 0
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  get leaderId(): number {
    return this.#leadership.leaderId
  }

  get leaderEpoch(): number {
    return this.#leadership.leaderEpoch
  }

  get replicas(): readonly number[] {
    return this.#leadership.replicas
  }

  /** A leader hears of changes before the image does. */
  get isr(): readonly number[] {
    return this.#leader?.isr.committed ?? this.#leadership.isr
  }

  get leader(): Leader | undefined {
    return this.#leader
  }

  get highWatermark(): number {
    return this.#highWatermark
  }

  /** Below the watermark, and below what is not decided of open transactions. */
  get lastStableOffset(): number {
    return this.log.lastStableOffset(this.#highWatermark)
  }

  get waitingProduces(): number {
    return this.#replicated.size + this.#written.size
  }

  /** The metadata image says who leads from now on. News older than what is known is ignored. */
  lead(next: Leadership): void {
    const known = this.#leadership
    if (this.#isClosed || next.leaderEpoch < known.leaderEpoch) return
    const isNewEpoch = next.leaderEpoch > known.leaderEpoch
    if (!isNewEpoch && next.partitionEpoch <= known.partitionEpoch) return
    this.#leadership = next
    if (isNewEpoch && known !== NOBODY) {
      this.#hold.note(known.leaderId, known.leaderEpoch, next.leaderEpoch)
    }
    if (isNewEpoch) this.#following.forgetWatermark()
    if (isNewEpoch) this.#changeRole()
    else if (this.#leader !== undefined) {
      const { replicas, isr, partitionEpoch } = next
      this.#leader.update(replicas, isr, partitionEpoch, NOT_LEADER_OR_FOLLOWER)
      this.#parts.onRole(this, this.leaderEpoch)
    } else this.#parts.onRole(this, -1)
    if (this.isDamaged) this.#onDamage()
  }

  #changeRole(): void {
    const before = this.#leader
    this.#leader = undefined
    this.tail.clear()
    before?.end(NOT_LEADER_OR_FOLLOWER)
    // While the log is being cut nobody can say where it ends: the role begins after that.
    if (this.#leadership.leaderId === this.#nodeId && this.#cutting === 0) this.#startLeading()
    if (before !== undefined && this.leaderId !== this.#nodeId) {
      this.#failWaiters(NOT_LEADER_OR_FOLLOWER)
    }
    this.#parts.onRole(this, before?.epoch ?? -1)
    this.wakeReaders()
  }

  #startLeading(): void {
    const { leaderEpoch, replicas, isr, partitionEpoch } = this.#leadership
    assert(this.#leader === undefined, 'a term begins after the one before')
    assert(this.#cutting === 0, 'a leader knows where its log ends')
    this.#context.leaderEpoch = leaderEpoch
    this.#isUnderMin = false
    // What is committed and not here any more was lost on purpose, or with damage.
    this.#highWatermark = Math.min(this.#highWatermark, this.log.logEndOffset)
    this.#isUnfit = this.log.latestEpoch > leaderEpoch
    if (this.#isUnfit) this.#impairment.note(this.log.endOffsetForEpoch(leaderEpoch).endOffset)
    const term = {
      nodeId: this.#nodeId,
      epoch: leaderEpoch,
      startOffset: this.log.logEndOffset,
      replicas,
      isr,
      partitionEpoch,
    }
    this.#leader = new Leader(term, this, this.#parts)
    this.#parts.turn.stores(this)
    if (this.#hold.check()) this.#parts.onWatch(this)
    // It can't: the controller has to hear it again.
    if (this.#failure !== undefined) this.#parts.onFailure(this, this.#failure)
  }

  /** A new leader has the watermark of its predecessor once it has passed its epoch's start (KIP-207). */
  get isWatermarkKnown(): boolean {
    return this.#leader === undefined || this.#highWatermark >= this.#leader.startOffset
  }

  isInSync(nodeId: number): boolean {
    return this.#leader?.isr.counts(nodeId) === true
  }

  /** Nobody else can have taken over without this node's knowledge. */
  get holdsLease(): boolean {
    const { leaseUntilMs, clock } = this.#parts
    if (leaseUntilMs === undefined || this.#leadership.replicas.length === 1) return true
    return clock.monotonicMs() < leaseUntilMs()
  }

  /** May this follower go on from the end of its log? */
  admit(followerId: number, subscribe: Subscribe): Admission {
    // Nor may a replica that is out of order make others cut what they have.
    const canServe = this.#failure === undefined && !this.#isUnfit
    if (this.#hold.isOn && subscribe.leaderEpoch === this.leaderEpoch) {
      this.#hold.forget(followerId)
      if (!this.queued) this.#parts.turn.stores(this)
    }
    return admit({ ...this.#roleAs(), canServe }, followerId, subscribe)
  }

  #roleAs(): Pick<Admitting, 'log' | 'leader' | 'leaderEpoch' | 'isLeading'> {
    const isLeading = this.leaderId === this.#nodeId
    return { log: this.log, leader: this.#leader, leaderEpoch: this.leaderEpoch, isLeading }
  }

  attach(remote: RemoteReplica, feed: Feed, subscribe: Subscribe, brokerEpoch: number): void {
    assert(this.#leader !== undefined, 'only a leader has followers')
    assert(this.#leader.remote(remote.nodeId) === remote, 'a follower is a replica')
    this.#leader.attach(remote, feed, subscribe, brokerEpoch)
  }

  detach(remote: RemoteReplica, feed: Feed, isFailed: boolean): void {
    this.#leader?.detach(remote, feed, isFailed)
  }

  onReplicaPosition(remote: RemoteReplica, position: number, logStartOffset: number): void {
    this.#leader?.onPosition(remote, position, logStartOffset)
  }

  onIsrOrPosition(): void {
    if (!this.queued) this.#parts.turn.stores(this)
  }

  onWatch(): void {
    this.#parts.onWatch(this)
  }

  /** Lets who lags leave the ISR, and who has caught up join it. True while that may still happen. */
  watch(nowMs: number): boolean {
    const leader = this.#leader
    if (leader === undefined) return false
    const wasHeldBack = this.#hold.isOn
    const isHeldBack = this.#hold.check()
    if (wasHeldBack && !isHeldBack && !this.queued) this.#parts.turn.stores(this)
    return leader.watch(nowMs) || isHeldBack
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
      refuseAppend(outcome, refusal)
      this.countRejection(refusal, source, start, end)
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
    // Not `refusal`: a coordinator that is told 6 ends its term, and this one may go on.
    const refusal = this.#refusal(-1)
    if (refusal !== 0) {
      refuseAppend(outcome, refusal)
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
      this.countRejection(outcome.error, source, start, end)
      if (this.log.isFailed) this.#fail(new StorageError('EIO', this.log.directory, 'append to'))
      // A full disk: the log goes on once it has been told to write again.
      else if (outcome.error === KAFKA_STORAGE_ERROR) {
        this.#onFull()
        this.#parts.turn.stores(this)
      }
      return
    }
    if (outcome.isDuplicate) {
      this.countRejection(DUPLICATE_SEQUENCE_NUMBER, source, start, end)
      return
    }
    this.batchesIn[attributesAt(source, start) & CODEC_MASK]!++
    this.#keepTail(source, start, end, outcome)
    this.recordsIn += outcome.recordCount
    this.bytesIn += outcome.sizeBytes
    if (!this.queued) this.#parts.turn.stores(this)
  }

  /** Followers will want it at the end of this turn, and readers who wait for it. */
  #keepTail(source: Buffer, start: number, end: number, outcome: AppendOutcome): void {
    const isAwaited = this.#leadership.replicas.length > 1 || this.waitingReaders > 0
    if (!isAwaited || outcome.isRewritten) return
    assert(end - start === outcome.sizeBytes, 'what was handed in is in the log')
    const { firstOffset, lastOffset } = outcome
    const { leaderEpoch } = this.#context
    assert(leaderEpoch === this.leaderEpoch, 'a leader writes in its own epoch')
    this.tail.append(source, start, end, { firstOffset, lastOffset, leaderEpoch })
  }

  /** 0, or the error with which an append of a client would end now. */
  refusal(acks: number): number {
    const refusal = this.#refusal(acks)
    if (refusal !== 0 || !this.#isForgotten) return refusal
    // With acks=all others have to agree, who would know of a later epoch; if there are any.
    return acks !== -1 || this.#isDeserted ? NOT_LEADER_OR_FOLLOWER : 0
  }

  #refusal(acks: number): number {
    if (this.#leader === undefined) return NOT_LEADER_OR_FOLLOWER
    if (this.#failure !== undefined || this.#isUnfit) return KAFKA_STORAGE_ERROR
    if (acks === -1 && this.#leader.isr.committed.length < this.minIsr) {
      this.#parts.probe.rejectedNotEnoughReplicas++
      return NOT_ENOUGH_REPLICAS
    }
    return 0
  }

  /** This node was away for so long (stopped, or cut off) that others lead by now. */
  get #isForgotten(): boolean {
    const { leaseUntilMs, clock } = this.#parts
    if (leaseUntilMs === undefined || this.#leadership.replicas.length === 1) return false
    return clock.monotonicMs() > leaseUntilMs() + FORGOTTEN_AFTER_MS
  }

  /**
   * All whom it would wait for follow somebody else, or nobody. Alone in its ISR it goes on: nobody
   * is elected in its place.
   */
  get #isDeserted(): boolean {
    return this.#leader !== undefined && this.isr.length > 1 && !this.#leader.isFollowed
  }

  /** A partition with fewer replicas than the setting asks for has what it can (KIP-966). */
  get minIsr(): number {
    return Math.min(this.minInsyncReplicas, this.#leadership.replicas.length)
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
    if (this.#written.size > 0) this.#written.release(this.log.writtenOffset)
    this.#syncs.start()
    if (this.#leader !== undefined) this.#advance(this.#leader)
    else this.#follow()
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
      this.tail.clear()
      this.#onFull()
      this.#written.failFrom(this.log.logEndOffset, KAFKA_STORAGE_ERROR)
      this.#replicated.failFrom(this.log.logEndOffset, KAFKA_STORAGE_ERROR)
      this.#following.link?.onSetBack()
    }
  }

  /** Others may have room: once an epoch the controller is asked to let them lead. */
  #onFull(): void {
    this.#impairment.sayFull()
    if (this.#leader === undefined || this.isr.length < 2) return
    if (!this.#impairment.isFullNews(this.leaderEpoch)) return
    void this.#parts.onImpairment(this, 'full')
  }

  onSyncFailed(error: unknown): void {
    this.#fail(error)
  }

  /** Where this replica stands, as far as its topic's durability asks. */
  get position(): number {
    return this.log.config.flush === 'group' ? this.log.syncedOffset : this.log.writtenOffset
  }

  #advance(leader: Leader): void {
    leader.onWritten()
    const minIsr = this.minIsr
    const next = this.#hold.check()
      ? this.#highWatermark
      : leader.watermark(this.position, minIsr, this.#highWatermark)
    if (next > this.#highWatermark) {
      assert(next <= this.log.logEndOffset, 'the watermark stays within the log')
      assert(next <= this.position, 'what is committed is safe here too')
      this.#highWatermark = next
      leader.onWatermark()
      this.wakeReaders()
    }
    const isUnderMin = leader.isr.committed.length < minIsr
    if (isUnderMin !== this.#isUnderMin) {
      this.#isUnderMin = isUnderMin
      this.#replicated.release(this.#highWatermark)
      // They may well be replicated later; who asked for them is told that it is not sure.
      if (isUnderMin) this.#replicated.failAll(NOT_ENOUGH_REPLICAS_AFTER_APPEND)
    }
    if (this.#replicated.size > 0) this.#replicated.release(this.#highWatermark)
    if (this.#deletions.waiting > 0) this.#deletions.release(this.lowWatermark)
  }

  /** As a follower. */
  #follow(): void {
    const next = this.#following.watermark(this.log.writtenOffset)
    if (next > this.#highWatermark) {
      this.#highWatermark = next
      this.wakeReaders()
    }
    this.#following.tell(this.position, this.log.savedLogStart)
  }

  /** The fetcher that brings this replica what its leader has. */
  follow(link: FollowLink): void {
    assert(this.#leader === undefined, 'a leader follows nobody')
    this.#following.begin(link, this.position, this.log.savedLogStart)
  }

  unfollow(link: FollowLink): void {
    this.#following.end(link)
  }

  /** The leader's batches in source[start, end). Throws CorruptionError, StorageError. */
  appendFetched(source: Buffer, start: number, end: number): void {
    assert(
      this.#following.link !== undefined && this.#cutting === 0,
      'only a follower takes batches as they are',
    )
    const before = this.log.logEndOffset
    checkEpochs(source, start, end, this.leaderEpoch, this.log.directory)
    try {
      this.log.appendAsFollower(source, start, end)
    } finally {
      if (this.log.isFailed) this.#fail(this.log.failure)
      if (this.log.logEndOffset > before && !this.queued) this.#parts.turn.stores(this)
    }
  }

  onLeaderState(highWatermark: number, logStartOffset: number): void {
    assert(this.#following.link !== undefined, 'only a follower has a leader')
    this.#deletions.onLeaderStart(logStartOffset)
    this.#following.onLeaderWatermark(highWatermark)
    if (!this.queued) this.#parts.turn.stores(this)
  }

  /**
   * Cuts the log of a follower where the leader's parted from it. Resolves when the log ends there,
   * or at the start of the batch that holds the offset.
   */
  async cut(offset: number): Promise<void> {
    assert(offset >= 0, 'an offset of the log')
    this.#parts.probe.truncations++
    if (offset < this.#highWatermark) this.#goBack(offset)
    else if (offset < this.log.logEndOffset) {
      this.#sayCut('The end of a log is cut: its leader has another history.', offset)
    }
    await this.#whileCutting(async () => {
      await this.log.truncateTo(Math.max(offset, this.logStartOffset))
    })
  }

  /** The leader's log begins behind the end of this one: nothing of it is of use. */
  async restartAt(offset: number): Promise<void> {
    assert(offset >= 0, 'an offset of the leader')
    this.#parts.probe.truncations++
    this.#sayCut('A log begins anew where that of its leader starts: it ends before.', offset)
    await this.#whileCutting(() => this.log.truncateFullyAndStartAt(offset))
    this.#highWatermark = Math.max(this.#highWatermark, this.log.logStartOffset)
  }

  /** Only after an unclean election. */
  #goBack(offset: number): void {
    const { topic, index: partition, leaderEpoch } = this
    const fields = { topic, partition, highWatermark: this.#highWatermark, offset, leaderEpoch }
    this.#parts.logger.warn('Committed records are cut: the leader does not have them.', fields)
    assert(offset < this.#highWatermark, 'it goes back')
    this.#highWatermark = offset
    this.#following.lowerWatermark(offset)
  }

  #sayCut(message: string, offset: number): void {
    const { topic, index: partition, leaderEpoch } = this
    const { logEndOffset: endOffset } = this.log
    this.#parts.logger.info(message, { topic, partition, endOffset, offset, leaderEpoch })
  }

  async #whileCutting(change: () => Promise<void>): Promise<void> {
    assert(this.#leader === undefined, 'a leader does not cut its log')
    this.#cutting++
    try {
      await change()
    } catch (error) {
      this.#fail(error)
      throw error
    } finally {
      this.#cutting--
    }
    if (this.#isClosed || this.#cutting > 0) return
    if (this.#leader === undefined && this.leaderId === this.#nodeId) {
      this.#startLeading()
      this.#parts.onRole(this, -1)
    } else this.#following.link?.onCut()
  }

  /** Answers produces whose time is up. True while some still wait. */
  expire(monotonicMs: number): boolean {
    const before = this.#replicated.size
    this.#replicated.expire(monotonicMs, REQUEST_TIMED_OUT)
    this.#parts.probe.producesExpired += before - this.#replicated.size
    // Clients look for the leader anew; they would ask the same node again when their time is up.
    if (this.#isForgotten && this.#isDeserted) this.#replicated.failTimed(NOT_LEADER_OR_FOLLOWER)
    this.#deletions.expire(monotonicMs, REQUEST_TIMED_OUT)
    return this.#replicated.size > 0 || this.#deletions.waiting > 0
  }

  checkReader(currentLeaderEpoch: number, mayFollow = false): number {
    if (this.#isClosed) return NOT_LEADER_OR_FOLLOWER
    if (currentLeaderEpoch >= 0) {
      if (currentLeaderEpoch < this.leaderEpoch) return FENCED_LEADER_EPOCH
      if (currentLeaderEpoch > this.leaderEpoch) return UNKNOWN_LEADER_EPOCH
    }
    if (this.#leader !== undefined) return 0
    // While it is mended, what readers have seen is not all here.
    const isWell = this.#cutting === 0 && this.#highWatermark <= this.log.writtenOffset
    // Nor may it serve what its leader has deleted while this node was away.
    const isHeard = this.#following.link?.isHeard === true && this.holdsLease
    return mayFollow && isWell && isHeard ? 0 : NOT_LEADER_OR_FOLLOWER
  }

  readLimit(isolation: Isolation): number {
    return isolation === 'committed' ? this.lastStableOffset : this.#highWatermark
  }

  endOffsetForEpoch(epoch: number) {
    const isOfLeader = this.#leader !== undefined && epoch <= this.leaderEpoch
    return isOfLeader && epoch >= 0
      ? endOfEpoch(this.log, this.leaderEpoch, epoch)
      : this.log.endOffsetForEpoch(epoch)
  }

  get certainEnd(): number {
    const isAlone = this.#leader?.isr.committed.length === 1 && this.minIsr === 1
    return isAlone && !this.#hold.check() ? this.log.logEndOffset : this.#highWatermark
  }

  listOffset(timestampMs: number, isolation: Isolation) {
    return offsetForListing(this, timestampMs, isolation)
  }

  /**
   * KIP-392: the replica in the reader's rack that is in sync, has the offset, and is furthest of
   * those; -1 when the reader should stay here.
   */
  preferredReplica(rack: string, fetchOffset: number): number {
    const { rackOf } = this.#parts
    const leader = this.#leader
    if (leader === undefined || rackOf === undefined || rack === '') return -1
    const isNear = (nodeId: number) => rackOf(nodeId) === rack
    return isNear(this.#nodeId) ? -1 : leader.furthestOf(isNear, fetchOffset)
  }

  /** Every replica that counts has deleted what is below (KIP-107); a follower knows its own. */
  get lowWatermark(): number {
    return this.#leader?.lowWatermark(this.log.savedLogStart) ?? this.logStartOffset
  }

  /** KIP-107. Below the watermark only; the caller has checked. */
  deleteRecordsBefore(offset: number): void {
    assert(offset <= this.#highWatermark, 'only committed records are deleted')
    this.log.advanceLogStart(offset)
    this.#leader?.onWatermark()
  }

  /**
   * After `deleteRecordsBefore`: resolves with 0 when no in-sync replica has the records any more,
   * durably, so that neither a crash nor a change of leaders brings them back; or with why that is
   * not known.
   */
  deleted(offset: number, timeoutMs: number): Promise<number> {
    if (this.lowWatermark >= offset) return Promise.resolve(0)
    this.#deletions.save()
    const deleted = this.#deletions.wait(offset, this.#parts.clock.monotonicMs() + timeoutMs)
    this.#parts.onWaiting(this)
    return deleted
  }

  /**
   * A reader met damage, at `offset` if that is known. The log has said so; the reader was told 56;
   * other offsets stay readable, until they are fetched again from a leader that has them whole.
   */
  onCorruption(error: unknown, offset = UNKNOWN_OFFSET): void {
    const known = error instanceof CorruptionError || error instanceof StorageError
    if (!known) throw error
    this.#impairment.sayDamaged(error)
    if (error instanceof StorageError) return // the device may read it the next time
    const isNews = !this.isDamaged
    this.#impairment.note(offset)
    if (isNews) this.#onDamage()
  }

  /** A leader asks to be followed; a follower leaves the ISR, and then mends what it has. */
  #onDamage(): void {
    if (this.#isClosed || this.#failure !== undefined) return
    if (this.#leader === undefined) this.#following.link?.onDamage()
    else if (this.isr.length > 1) void this.#parts.onImpairment(this, 'damaged')
  }

  /**
   * Drops what is behind the first damaged record, to have it from the leader again. Only when the
   * leader has said that this replica counts for nothing; the controller is told here, so that it
   * does not take it for one that has everything. False: not yet.
   */
  async mend(epoch: number): Promise<boolean> {
    assert(epoch >= 0, 'a follower knows an epoch')
    const isHeard = await this.#parts.onImpairment(this, 'damaged')
    const isStill = epoch === this.leaderEpoch && this.#leader === undefined && !this.#isClosed
    if (!isHeard || !isStill || !this.isDamaged || this.#cutting > 0) return false
    this.#parts.logger.warn('A replica with damaged records is mended from its leader.', {
      topic: this.topic,
      partition: this.index,
      leader: this.leaderId,
    })
    await this.#whileCutting(async () => {
      const known = this.#impairment.damagedFrom
      const offset = known === UNKNOWN_OFFSET ? await findDamage(this.log) : known
      this.#impairment.damagedFrom = undefined
      if (offset === undefined || this.#isClosed) return
      this.#parts.probe.repairs++
      // The watermark stays: what is committed is elsewhere, and comes back from there.
      await this.log.truncateTo(Math.max(offset, this.logStartOffset))
    })
    return true
  }

  /** Nothing is served or taken from now on; whoever waits is told so. The log is the owner's to close. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#syncs.close()
    this.tail.clear()
    const leader = this.#leader
    this.#leader = undefined
    leader?.end(NOT_LEADER_OR_FOLLOWER)
    this.#following.end(this.#following.link)
    this.#failWaiters(NOT_LEADER_OR_FOLLOWER)
    this.wakeReaders()
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.tail.clear()
    this.#parts.probe.failedReplicas++
    this.#parts.logger.error('A replica is out of service: its storage failed.', {
      topic: this.topic,
      partition: this.index,
      error: error instanceof Error ? error.message : String(error),
    })
    this.#failWaiters(KAFKA_STORAGE_ERROR)
    this.wakeReaders()
    this.#following.link?.onFailed()
    this.#parts.onFailure(this, error)
  }

  #failWaiters(error: number): void {
    this.#written.failAll(error)
    this.#replicated.failAll(error)
    this.#deletions.failAll(error)
  }
}
