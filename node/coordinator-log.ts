/**
 * A partition of `__consumer_offsets`, as its coordinator uses it in one leader epoch.
 *
 * Invariant: in another epoch nothing is appended through it, even where this node leads again: the
 * coordinator that holds it has not replayed what came in between.
 */
import { assert } from '../base/assert.ts'
import { AppendOutcome, ReadPlan } from '../log/partition-log.ts'
import {
  KAFKA_STORAGE_ERROR,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  NOT_LEADER_OR_FOLLOWER,
} from '../replication/errors.ts'
import type { Partition } from '../replication/partition.ts'
import type { AckWaiter } from '../replication/waiters.ts'
import type { AppendResult, CoordinatorLog } from './coordinator/log.ts'

interface Waiting {
  readonly lastOffset: number
  readonly callback: (error: number) => void
}

export class PartitionCoordinatorLog implements CoordinatorLog, AckWaiter {
  readonly leaderEpoch: number
  readonly #partition: Partition
  readonly #outcome = new AppendOutcome()
  /** By slot, in order. */
  readonly #waiting = new Map<number, Waiting>()
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

  get holdsLease(): boolean {
    return this.#partition.leaderEpoch === this.leaderEpoch && this.#partition.holdsLease
  }

  refusal(): number {
    if (this.#partition.leaderEpoch !== this.leaderEpoch) return NOT_LEADER_OR_FOLLOWER
    return this.#partition.refusal(-1)
  }

  append(batch: Buffer): AppendResult {
    if (this.#partition.leaderEpoch !== this.leaderEpoch) {
      return { error: NOT_LEADER_OR_FOLLOWER, lastOffset: -1 }
    }
    this.#partition.appendAsCoordinator(batch, this.#outcome)
    const { error, lastOffset } = this.#outcome
    return { error, lastOffset: error === 0 ? lastOffset : -1 }
  }

  whenReplicated(lastOffset: number, callback: (error: number) => void): void {
    const slot = this.#nextSlot
    this.#nextSlot = (slot + 1) | 0
    this.#waiting.set(slot, { lastOffset, callback })
    this.#partition.awaitReplication(lastOffset, Number.POSITIVE_INFINITY, this, slot)
  }

  onAck(slot: number, error: number): void {
    const waiting = this.#waiting.get(slot)
    assert(waiting !== undefined, 'a wait is answered once')
    if (error === NOT_ENOUGH_REPLICAS_AFTER_APPEND) {
      // The records are in the log, and count when there are enough replicas again: a coordinator
      // that forgot them now would contradict what it reads later.
      this.#partition.awaitReplication(waiting.lastOffset, Number.POSITIVE_INFINITY, this, slot)
      return
    }
    this.#waiting.delete(slot)
    waiting.callback(error)
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
