/** A partition of `__consumer_offsets`, as its coordinator uses it. */
import { assert } from '../base/assert.ts'
import { AppendOutcome, ReadPlan } from '../log/partition-log.ts'
import { KAFKA_STORAGE_ERROR, type Partition } from '../replication/partition.ts'
import type { AckWaiter } from '../replication/waiters.ts'
import type { AppendResult, CoordinatorLog } from './coordinator/log.ts'

export class PartitionCoordinatorLog implements CoordinatorLog, AckWaiter {
  readonly leaderEpoch: number
  readonly #partition: Partition
  readonly #outcome = new AppendOutcome()
  /** Callbacks by slot, in order; answered ones are undefined. */
  readonly #callbacks = new Map<number, (error: number) => void>()
  #nextSlot = 0

  constructor(partition: Partition) {
    assert(partition.isLeader, 'a coordinator runs where its partition is led')
    this.#partition = partition
    this.leaderEpoch = partition.leaderEpoch
  }

  get logStartOffset(): number {
    return this.#partition.logStartOffset
  }

  get logEndOffset(): number {
    return this.#partition.logEndOffset
  }

  get maxBatchBytes(): number {
    return this.#partition.log.config.maxMessageBytes
  }

  refusal(): number {
    return this.#partition.refusal(-1)
  }

  append(batch: Buffer): AppendResult {
    this.#partition.appendAsCoordinator(batch, this.#outcome)
    const { error, lastOffset } = this.#outcome
    return { error, lastOffset: error === 0 ? lastOffset : -1 }
  }

  whenReplicated(lastOffset: number, callback: (error: number) => void): void {
    const slot = this.#nextSlot
    this.#nextSlot = (slot + 1) | 0
    this.#callbacks.set(slot, callback)
    this.#partition.awaitReplication(lastOffset, Number.POSITIVE_INFINITY, this, slot)
  }

  onAck(slot: number, error: number): void {
    const callback = this.#callbacks.get(slot)
    assert(callback !== undefined, 'a wait is answered once')
    this.#callbacks.delete(slot)
    callback(error)
  }

  async read(offset: number, limitBytes: number): Promise<Buffer> {
    const plan = new ReadPlan()
    const { log } = this.#partition
    const upTo = log.writtenOffset
    if (offset >= upTo) return Buffer.alloc(0)
    log.locate(offset, upTo, plan)
    if (plan.error !== 0) throw new CoordinatorReadError(plan.error, offset)
    const target = Buffer.allocUnsafe(Math.max(limitBytes, plan.firstBatchBytes))
    const sizeBytes = await log.copyAsync(plan, upTo, target, 0, target.length)
    return target.subarray(0, sizeBytes)
  }
}

/** The partition's log can't be read at the offset; `code` is Kafka's. */
export class CoordinatorReadError extends Error {
  override readonly name = 'CoordinatorReadError'
  readonly code: number
  constructor(code: number, offset: number) {
    super(`the coordinator's log can't be read at offset ${offset} (error ${code})`)
    this.code = code === 0 ? KAFKA_STORAGE_ERROR : code
  }
}
