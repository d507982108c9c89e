/**
 * One partition as one node of a FakeCluster serves it. The log is shared, so nothing is lost but
 * what a test takes away.
 */
import { baseOffsetAt, lastOffsetDeltaAt, leaderEpochAt } from '../../../log/format.ts'
import type { AppendOutcome, ReadPlan } from '../../../log/partition-log.ts'
import type {
  AckWaiter,
  DataWaiter,
  Isolation,
  PartitionPort,
  ProduceOptions,
} from '../../broker.ts'
import { FakePartition } from '../../server/testing/fake-partition.ts'

const PRODUCER_ID_AT = 43
const BASE_SEQUENCE_AT = 53

/** What all nodes agree on. */
export class SharedPartition {
  readonly log: FakePartition
  /** -1 none. */
  leaderId = 1
  leaderEpoch = 1
  /** First offset by producer id and sequence. */
  readonly written = new Map<string, number>()
  /** Appended, and the answer lost: the next batch that a leader gets. */
  losesAnswer = false

  constructor(topic: string, topicId: string, index: number) {
    this.log = new FakePartition(topic, topicId, index)
  }

  moveTo(leaderId: number): void {
    this.leaderId = leaderId
    this.leaderEpoch++
    for (const reader of [...this.log.readers]) reader.onData()
  }

  /** Records from `offset` on are lost, as by an unclean election. */
  truncate(offset: number): void {
    const { log } = this
    while (log.batches.length > 0 && baseOffsetAt(log.batches.at(-1)!, 0) >= offset) {
      log.batches.pop()
    }
    log.logEndOffset = offset
    log.highWatermark = offset
  }

  endOffsetForEpoch(asked: number): { epoch: number; endOffset: number } {
    let epoch = -1
    for (const batch of this.log.batches) {
      if (leaderEpochAt(batch, 0) > asked) return { epoch, endOffset: baseOffsetAt(batch, 0) }
      epoch = leaderEpochAt(batch, 0)
    }
    return { epoch, endOffset: this.log.logEndOffset }
  }
}

export class PartitionView implements PartitionPort {
  readonly #nodeId: number
  readonly #shared: SharedPartition
  /** The answer never leaves: the node fails with the append. */
  readonly #onLostAnswer: () => void
  recordsOut = 0
  bytesOut = 0

  constructor(nodeId: number, shared: SharedPartition, onLostAnswer: () => void) {
    this.#nodeId = nodeId
    this.#shared = shared
    this.#onLostAnswer = onLostAnswer
  }

  get topic(): string {
    return this.#shared.log.topic
  }
  get topicId(): string {
    return this.#shared.log.topicId
  }
  get index(): number {
    return this.#shared.log.index
  }
  get isWatermarkKnown(): boolean {
    return true
  }
  get leaderId(): number {
    return this.#shared.leaderId
  }
  get leaderEpoch(): number {
    return this.#shared.leaderEpoch
  }
  get logStartOffset(): number {
    return this.#shared.log.logStartOffset
  }
  get logEndOffset(): number {
    return this.#shared.log.logEndOffset
  }
  get highWatermark(): number {
    return this.#shared.log.highWatermark
  }
  get lastStableOffset(): number {
    return this.#shared.log.lastStableOffset
  }

  append(
    source: Buffer,
    start: number,
    end: number,
    options: ProduceOptions,
    outcome: AppendOutcome,
  ): void {
    const { log, written, leaderId } = this.#shared
    log.refusal = leaderId === this.#nodeId ? undefined : { error: 6 }
    const key = `${source.readBigInt64BE(start + PRODUCER_ID_AT)}/${source.readInt32BE(start + BASE_SEQUENCE_AT)}`
    const known = key.startsWith('-1/') ? undefined : written.get(key)
    log.append(source, start, end, options, outcome)
    if (outcome.error !== 0) return
    const batch = log.batches.at(-1)!
    if (known !== undefined) {
      log.batches.pop()
      log.logEndOffset = baseOffsetAt(batch, 0)
      outcome.firstOffset = known
      outcome.lastOffset = known + lastOffsetDeltaAt(batch, 0)
      outcome.isDuplicate = true
    } else written.set(key, outcome.firstOffset)
    log.commit()
    if (!this.#shared.losesAnswer) return
    this.#shared.losesAnswer = false
    this.#onLostAnswer()
  }

  isReplicated(lastOffset: number): boolean {
    return this.#shared.log.isReplicated(lastOffset)
  }

  awaitReplication(lastOffset: number, deadlineMs: number, waiter: AckWaiter, slot: number): void {
    this.#shared.log.awaitReplication(lastOffset, deadlineMs, waiter, slot)
  }

  awaitWrite(lastOffset: number, waiter: AckWaiter, slot: number): void {
    this.#shared.log.awaitWrite(lastOffset, waiter, slot)
    this.#shared.log.commit()
  }

  checkReader(currentLeaderEpoch: number): number {
    const { leaderId, leaderEpoch } = this.#shared
    if (currentLeaderEpoch > leaderEpoch) return 75
    if (currentLeaderEpoch >= 0 && currentLeaderEpoch < leaderEpoch) return 74
    return leaderId === this.#nodeId ? 0 : 6
  }

  preferredReplica(): number {
    return -1
  }

  readLimit(isolation: Isolation): number {
    return this.#shared.log.readLimit(isolation)
  }

  locate(fromOffset: number, upTo: number, plan: ReadPlan): void {
    this.#shared.log.locate(fromOffset, upTo, plan)
  }

  copy(plan: ReadPlan, upTo: number, target: Buffer, at: number, limitBytes: number): number {
    return this.#shared.log.copy(plan, upTo, target, at, limitBytes)
  }

  copyAsync(
    plan: ReadPlan,
    upTo: number,
    target: Buffer,
    at: number,
    limitBytes: number,
  ): Promise<number> {
    return this.#shared.log.copyAsync(plan, upTo, target, at, limitBytes)
  }

  abortedTransactions() {
    return []
  }

  addDataWaiter(waiter: DataWaiter): void {
    this.#shared.log.addDataWaiter(waiter)
  }

  removeDataWaiter(waiter: DataWaiter): void {
    this.#shared.log.removeDataWaiter(waiter)
  }

  onCorruption(error: unknown): void {
    this.#shared.log.onCorruption(error)
  }

  endOffsetForEpoch(epoch: number) {
    return this.#shared.endOffsetForEpoch(epoch)
  }

  epochForOffset(): number {
    return this.#shared.leaderEpoch
  }

  async listOffset(timestampMs: number) {
    const { log, leaderEpoch } = this.#shared
    const offset = timestampMs === -2 ? log.logStartOffset : log.highWatermark
    return { error: 0, offset, timestampMs: -1, leaderEpoch }
  }
}
