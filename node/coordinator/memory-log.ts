/**
 * A CoordinatorLog in memory: for tests and simulations. It replicates what was appended after a
 * while, can refuse appends, and can lose what is not replicated, as a leader does that fails.
 */
import { assert } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import {
  BASE_OFFSET_AT,
  LEADER_EPOCH_AT,
  lastOffsetAt,
  lastOffsetDeltaAt,
  writeInt32,
  writeInt64,
} from '../../log/format.ts'
import type { AppendResult, CoordinatorLog } from './log.ts'

/** What a partition keeps while its leaders change. */
export class MemoryPartition {
  readonly batches: Buffer[] = []
  highWatermark = 0

  get endOffset(): number {
    const last = this.batches.at(-1)
    return last === undefined ? 0 : lastOffsetAt(last, 0) + 1
  }

  /** A new leader may not have what was never replicated. */
  truncateToCommitted(): void {
    while (this.endOffset > this.highWatermark) this.batches.pop()
  }
}

export class MemoryLog implements CoordinatorLog {
  readonly leaderEpoch: number
  readonly holdsLease = true
  maxBatchBytes = 1024 * 1024
  /** How long replication takes. */
  replicationMs = 1
  /** An error for each append from now on; 0 none. `refusal` tells it beforehand. */
  refusalCode = 0
  /** An error for the next append, that nothing tells beforehand. */
  nextAppendError = 0
  appends = 0
  #isLost = false
  #isHeld = false
  readonly #clock: Clock
  readonly #partition: MemoryPartition
  #waiting: { lastOffset: number; callback: (error: number) => void }[] = []

  constructor(partition: MemoryPartition, leaderEpoch: number, clock: Clock) {
    this.#partition = partition
    this.leaderEpoch = leaderEpoch
    this.#clock = clock
  }

  get logStartOffset(): number {
    return 0
  }

  get logEndOffset(): number {
    return this.#partition.endOffset
  }

  refusal(): number {
    return this.refusalCode
  }

  append(batch: Buffer): AppendResult {
    assert(batch.length <= this.maxBatchBytes, 'a batch within the limit')
    const error = this.#isLost ? 6 : this.nextAppendError
    this.nextAppendError = 0
    if (error !== 0) return { error, lastOffset: -1 }
    this.appends++
    writeInt64(batch, BASE_OFFSET_AT, this.logEndOffset)
    writeInt32(batch, LEADER_EPOCH_AT, this.leaderEpoch)
    this.#partition.batches.push(batch)
    const lastOffset = this.logEndOffset - 1
    assert(lastOffsetDeltaAt(batch, 0) >= 0)
    this.#clock.after(this.replicationMs, () => this.#replicate(lastOffset))
    return { error: 0, lastOffset }
  }

  whenReplicated(lastOffset: number, callback: (error: number) => void): void {
    this.#waiting.push({ lastOffset, callback })
    this.#clock.soon(() => this.#answer())
  }

  /** Nothing is replicated until `release`. */
  hold(): void {
    this.#isHeld = true
  }

  release(): void {
    this.#isHeld = false
    this.#replicate(this.logEndOffset - 1)
  }

  /** What is not replicated is gone, and whoever waits for it is told `error`. */
  lose(error: number): void {
    this.#partition.truncateToCommitted()
    const waiting = this.#waiting
    this.#waiting = []
    for (const { callback } of waiting) callback(error)
  }

  /** Another leads from now on: appends are refused, replication ends. */
  depose(): void {
    this.#isLost = true
    this.lose(6)
  }

  async read(offset: number, limitBytes: number): Promise<Buffer> {
    const found: Buffer[] = []
    let sizeBytes = 0
    for (const batch of this.#partition.batches) {
      if (lastOffsetAt(batch, 0) < offset) continue
      if (sizeBytes > 0 && sizeBytes + batch.length > limitBytes) break
      found.push(batch)
      sizeBytes += batch.length
    }
    await new Promise<void>((resolve) => this.#clock.after(0, resolve))
    return Buffer.concat(found)
  }

  #replicate(lastOffset: number): void {
    if (this.#isLost || this.#isHeld) return
    const partition = this.#partition
    partition.highWatermark = Math.max(
      partition.highWatermark,
      Math.min(lastOffset + 1, partition.endOffset),
    )
    this.#answer()
  }

  #answer(): void {
    if (this.#isLost) return
    for (;;) {
      const first = this.#waiting[0]
      if (first === undefined || first.lastOffset >= this.#partition.highWatermark) return
      this.#waiting.shift()
      first.callback(0)
    }
  }
}
