/** A partition that keeps its batches in memory; a test decides what is written and replicated. */
import { CorruptionError } from '../../../base/errors.ts'
import { type AppendRules, BatchVerdict, checkBatch } from '../../../log/batch.ts'
import {
  baseOffsetAt,
  batchSizeAt,
  lastOffsetAt,
  lastOffsetDeltaAt,
  writeInt64,
} from '../../../log/format.ts'
import type { AppendOutcome, ReadPlan } from '../../../log/partition-log.ts'
import type {
  AckWaiter,
  DataWaiter,
  Isolation,
  PartitionPort,
  ProduceOptions,
} from '../../broker.ts'

interface Waiting {
  readonly lastOffset: number
  readonly deadlineMs: number
  readonly waiter: AckWaiter
  readonly slot: number
}

const RULES: AppendRules = {
  maxMessageBytes: 1024 * 1024,
  timestampType: 'CreateTime',
  timestampBeforeMaxMs: Number.MAX_SAFE_INTEGER,
  timestampAfterMaxMs: Number.MAX_SAFE_INTEGER,
  requiresKey: false,
  compressionType: 'producer',
  allowsZstd: true,
  isClient: true,
}

export class FakePartition implements PartitionPort {
  readonly topic: string
  readonly topicId: string
  readonly index: number
  leaderId = 1
  leaderEpoch = 5
  logStartOffset = 0
  logEndOffset = 0
  highWatermark = 0
  isWatermarkKnown = true
  firstUnstableOffset = Number.POSITIVE_INFINITY
  recordsOut = 0
  bytesOut = 0
  /** Set: `append` refuses. */
  refusal: Partial<AppendOutcome> | undefined
  /** Acknowledges and commits by itself at once when `settle` is called. */
  readonly written: Waiting[] = []
  readonly replicated: Waiting[] = []
  readonly readers = new Set<DataWaiter>()
  readonly batches: Buffer[] = []
  readonly corruptions: unknown[] = []
  readonly aborted: { producerId: number; firstOffset: number; lastOffset: number }[] = []
  readonly epochEnds = new Map<number, { epoch: number; endOffset: number }>()
  lastOptions: ProduceOptions | undefined
  readonly #verdict = new BatchVerdict()
  isCold = false
  isDamaged = false
  readerError = 0
  isFollower = false
  /** By rack: the replica there for an offset. */
  readonly nearer = new Map<string, (fetchOffset: number) => number>()
  /** Cold reads that wait for `finishReads`. */
  readonly reads: (() => void)[] = []

  constructor(topic: string, topicId: string, index: number) {
    this.topic = topic
    this.topicId = topicId
    this.index = index
  }

  get lastStableOffset(): number {
    return Math.min(this.firstUnstableOffset, this.highWatermark)
  }

  append(
    source: Buffer,
    start: number,
    end: number,
    options: ProduceOptions,
    outcome: AppendOutcome,
  ): void {
    this.lastOptions = { ...options }
    Object.assign(outcome, {
      error: 0,
      message: undefined,
      recordErrors: [],
      firstOffset: -1,
      lastOffset: -1,
      logAppendTimeMs: -1,
      logStartOffset: -1,
      isDuplicate: false,
    })
    if (this.refusal !== undefined) {
      Object.assign(outcome, this.refusal)
      return
    }
    checkBatch(source, start, end, RULES, options.nowMs, this.#verdict)
    if (this.#verdict.error !== 0) {
      outcome.error = this.#verdict.error
      return
    }
    const batch = Buffer.from(source.subarray(start, end))
    outcome.firstOffset = this.logEndOffset
    outcome.logStartOffset = this.logStartOffset
    this.store(batch)
    outcome.lastOffset = this.logEndOffset - 1
  }

  /** Appends without a request. */
  store(batch: Buffer): void {
    writeInt64(batch, 0, this.logEndOffset)
    this.logEndOffset += lastOffsetDeltaAt(batch, 0) + 1
    this.batches.push(batch)
  }

  /** All that was appended is committed; readers and producers are told. */
  commit(): void {
    this.highWatermark = this.logEndOffset
    for (const { waiter, slot } of this.written.splice(0)) waiter.onAck(slot, 0)
    for (const { waiter, slot } of this.replicated.splice(0)) waiter.onAck(slot, 0)
    for (const reader of [...this.readers]) reader.onData()
  }

  isReplicated(lastOffset: number): boolean {
    return lastOffset < this.highWatermark
  }

  awaitReplication(lastOffset: number, deadlineMs: number, waiter: AckWaiter, slot: number): void {
    this.replicated.push({ lastOffset, deadlineMs, waiter, slot })
  }

  awaitWrite(lastOffset: number, waiter: AckWaiter, slot: number): void {
    this.written.push({ lastOffset, deadlineMs: Number.POSITIVE_INFINITY, waiter, slot })
  }

  checkReader(currentLeaderEpoch: number, mayFollow = false): number {
    if (this.readerError !== 0) return this.readerError
    if (this.isFollower && !mayFollow) return 6
    if (currentLeaderEpoch === -1 || currentLeaderEpoch === this.leaderEpoch) return 0
    return currentLeaderEpoch < this.leaderEpoch ? 74 : 75
  }

  preferredReplica(rack: string, fetchOffset: number): number {
    return this.nearer.get(rack)?.(fetchOffset) ?? -1
  }

  readLimit(isolation: Isolation): number {
    return isolation === 'committed' ? this.lastStableOffset : this.highWatermark
  }

  locate(fromOffset: number, upTo: number, plan: ReadPlan): void {
    plan.error = 0
    plan.availableBytes = 0
    plan.firstBatchBytes = 0
    plan.isCold = this.isCold
    if (fromOffset < this.logStartOffset || fromOffset > this.logEndOffset) {
      plan.error = 1
      return
    }
    plan.position = this.batches.findIndex((batch) => lastOffsetAt(batch, 0) >= fromOffset)
    if (plan.position === -1) return
    for (let i = plan.position; i < this.batches.length; i++) {
      const batch = this.batches[i]!
      if (baseOffsetAt(batch, 0) >= upTo) break
      if (plan.firstBatchBytes === 0) plan.firstBatchBytes = batchSizeAt(batch, 0)
      plan.availableBytes += batch.length
    }
  }

  copy(plan: ReadPlan, upTo: number, target: Buffer, at: number, limitBytes: number): number {
    if (this.isDamaged) throw new CorruptionError('fake', 'wrong CRC')
    let bytes = 0
    for (let i = plan.position; i < this.batches.length; i++) {
      const batch = this.batches[i]!
      if (baseOffsetAt(batch, 0) >= upTo || bytes + batch.length > limitBytes) break
      batch.copy(target, at + bytes)
      bytes += batch.length
      plan.nextOffset = lastOffsetAt(batch, 0) + 1
    }
    return bytes
  }

  copyAsync(
    plan: ReadPlan,
    upTo: number,
    target: Buffer,
    at: number,
    limitBytes: number,
  ): Promise<number> {
    return new Promise((resolve, reject) => {
      this.reads.push(() => {
        try {
          resolve(this.copy(plan, upTo, target, at, limitBytes))
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  finishReads(): void {
    for (const read of this.reads.splice(0)) read()
  }

  abortedTransactions(fromOffset: number, toOffset: number) {
    return this.aborted.filter(
      (each) => each.lastOffset >= fromOffset && each.firstOffset < toOffset,
    )
  }

  addDataWaiter(waiter: DataWaiter): void {
    this.readers.add(waiter)
  }

  removeDataWaiter(waiter: DataWaiter): void {
    this.readers.delete(waiter)
  }

  onCorruption(error: unknown): void {
    this.corruptions.push(error)
  }

  endOffsetForEpoch(epoch: number) {
    return this.epochEnds.get(epoch) ?? { epoch: -1, endOffset: -1 }
  }

  epochForOffset(): number {
    return this.leaderEpoch
  }

  listOffset() {
    return Promise.resolve({ error: 0, offset: 0, timestampMs: -1, leaderEpoch: 0 })
  }
}
