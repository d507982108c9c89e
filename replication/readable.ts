/**
 * What readers of a replica need of its log, who waits for more of it, and what is counted. Nothing
 * here knows of roles. Readers that keep up are served from memory, where the batch was checked when
 * it was appended; all others from the file, where it is checked again.
 */
import { RECORDS_AT, recordCountAt } from '../log/format.ts'
import type { PartitionLog, ReadPlan } from '../log/partition-log.ts'
import type { LogTail } from './tail.ts'

export interface DataWaiter {
  onData(): void
}

export type Isolation = 'uncommitted' | 'committed'

export interface ReplicaIdentity {
  readonly topic: string
  readonly topicId: string
  readonly index: number
  readonly log: PartitionLog
}

export abstract class ReadableReplica implements ReplicaIdentity {
  readonly topic: string
  readonly topicId: string
  readonly index: number
  readonly log: PartitionLog
  /** What it has appended last, as a leader, when somebody was there to read it. */
  abstract readonly tail: LogTail
  recordsIn = 0
  bytesIn = 0
  recordsOut = 0
  bytesOut = 0
  /** By codec, in the order of the bits in a batch's attributes. */
  readonly batchesIn: number[] = [0, 0, 0, 0, 0]
  /** Records that were refused, by error code; 46 stands for duplicates, which are no error. */
  rejections: Map<number, number> | undefined = undefined
  readonly #readers = new Set<DataWaiter>()

  constructor({ topic, topicId, index, log }: ReplicaIdentity) {
    this.topic = topic
    this.topicId = topicId
    this.index = index
    this.log = log
  }

  get logStartOffset(): number {
    return this.log.logStartOffset
  }

  get logEndOffset(): number {
    return this.log.logEndOffset
  }

  get waitingReaders(): number {
    return this.#readers.size
  }

  locate(fromOffset: number, upTo: number, plan: ReadPlan): void {
    if (!this.#locateInTail(fromOffset, upTo, plan)) this.log.locate(fromOffset, upTo, plan)
  }

  #locateInTail(fromOffset: number, upTo: number, plan: ReadPlan): boolean {
    const { log, tail } = this
    const limit = Math.min(upTo, log.writtenOffset)
    if (fromOffset < log.logStartOffset || fromOffset >= limit) return false
    const firstBatchBytes = tail.bytesFrom(fromOffset, limit, 0)
    if (firstBatchBytes === 0) return false
    plan.error = 0
    plan.segment = undefined
    plan.isCold = false
    plan.isInTail = true
    plan.firstBatchBytes = firstBatchBytes
    plan.availableBytes = tail.bytesFrom(fromOffset, limit, Number.MAX_SAFE_INTEGER)
    plan.nextOffset = fromOffset
    return true
  }

  copy(plan: ReadPlan, upTo: number, target: Buffer, at: number, limitBytes: number): number {
    const { log, tail } = this
    if (plan.isInTail) {
      const bytes = tail.bytesFrom(plan.nextOffset, Math.min(upTo, log.writtenOffset), limitBytes)
      if (bytes > 0 && bytes <= limitBytes) {
        plan.nextOffset = tail.copy(plan.nextOffset, bytes, target, at)
        return bytes
      }
      // It was there when it was located.
      if (log.isClosed) return 0
      log.locate(plan.nextOffset, upTo, plan)
      if (plan.error !== 0 || plan.firstBatchBytes > limitBytes) return 0
    }
    return log.copy(plan, upTo, target, at, limitBytes)
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

  epochForOffset(offset: number): number {
    return this.log.epochForOffset(offset)
  }

  /** There is more to read, or the replica's role has changed. */
  protected wakeReaders(): void {
    if (this.#readers.size === 0) return
    // A reader may take itself out, or in again, while it is told.
    for (const reader of [...this.#readers]) reader.onData()
  }

  /** The number of records is the batch's own word; a batch that can't be counted counts as one. */
  protected countRejection(error: number, source: Buffer, start: number, end: number): void {
    const said = end - start >= RECORDS_AT ? recordCountAt(source, start) : 1
    const count = said > 0 && said <= end - start ? said : 1
    this.rejections ??= new Map()
    this.rejections.set(error, (this.rejections.get(error) ?? 0) + count)
  }
}
