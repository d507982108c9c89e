/**
 * How long the oldest record that a group has not consumed has been waiting: the timestamp of the
 * batch at its committed offset. Batches are read in the background, few at a time, and only for
 * offsets that moved; a page of metrics shows what is known by then.
 */
import type { Clock } from '../base/clock.ts'
import { CorruptionError, StorageError } from '../base/errors.ts'
import { baseOffsetAt, baseTimestampAt, maxTimestampAt } from '../log/format.ts'
import { type PartitionLog, ReadPlan } from '../log/partition-log.ts'
import type { Partition } from '../replication/partition.ts'
import type { GroupFigures } from './coordinator/group/group-reads.ts'

/** The oldest look is at most this old when a page is made at once. */
const KEPT_MS = 10_000
/** Batches read in one round; the others keep their place for the next. */
const READS_MAX = 500
const BATCH_BYTES_MAX = 1024 * 1024

export type LagPartition = Pick<Partition, 'lastStableOffset' | 'logStartOffset'> & {
  readonly log: Pick<PartitionLog, 'locate' | 'copyAsync'>
}

interface Sight {
  readonly offset: number
  readonly timestampMs: number
  round: number
}

export class GroupLags {
  readonly #clock: Clock
  readonly #groups: () => Iterable<GroupFigures>
  readonly #find: (topic: string, index: number) => LagPartition | undefined
  readonly #sights = new Map<string, Sight>()
  #round = 0
  #lookedMs = Number.NEGATIVE_INFINITY
  #isLooking = false

  constructor(parts: {
    clock: Clock
    groups: () => Iterable<GroupFigures>
    find: (topic: string, index: number) => LagPartition | undefined
  }) {
    this.#clock = parts.clock
    this.#groups = parts.groups
    this.#find = parts.find
  }

  /** Milliseconds since the first record at or behind `offset` was made; undefined: not known yet. */
  ageMs(group: string, topic: string, index: number, offset: number): number | undefined {
    const nowMs = this.#clock.monotonicMs()
    if (!this.#isLooking && nowMs - this.#lookedMs > KEPT_MS) void this.look()
    const sight = this.#sights.get(keyOf(group, topic, index))
    if (sight === undefined || sight.offset > offset) return undefined
    return Math.max(0, this.#clock.nowMs() - sight.timestampMs)
  }

  /** One round. Resolves when all that it may read is read. */
  async look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    this.#lookedMs = this.#clock.monotonicMs()
    this.#round++
    try {
      await this.#lookAtGroups()
    } finally {
      this.#isLooking = false
    }
    for (const [key, { round }] of this.#sights) {
      if (round !== this.#round) this.#sights.delete(key)
    }
  }

  async #lookAtGroups(): Promise<void> {
    let reads = 0
    for (const { groupId, offsets } of [...this.#groups()]) {
      for (const [topic, partitions] of offsets) {
        for (const [index, { offset }] of partitions) {
          const key = keyOf(groupId, topic, index)
          const known = this.#sights.get(key)
          if (known !== undefined) known.round = this.#round
          if (known?.offset === offset || reads >= READS_MAX) continue
          const partition = this.#find(topic, index)
          if (partition === undefined || offset >= partition.lastStableOffset) continue
          reads++
          const timestampMs = await timestampAt(partition, offset)
          if (timestampMs === undefined) continue
          this.#sights.set(key, { offset, timestampMs, round: this.#round })
        }
      }
    }
  }
}

const keyOf = (group: string, topic: string, index: number): string =>
  `${group}\n${topic}\n${index}`

/** Of the batch that holds `offset`, or the first behind it. */
async function timestampAt(partition: LagPartition, offset: number): Promise<number | undefined> {
  const { log } = partition
  const plan = new ReadPlan()
  const from = Math.max(offset, partition.logStartOffset)
  const upTo = partition.lastStableOffset
  if (from >= upTo) return undefined
  try {
    log.locate(from, upTo, plan)
    if (plan.error !== 0 || plan.firstBatchBytes === 0) return undefined
    if (plan.firstBatchBytes > BATCH_BYTES_MAX) return undefined
    const buffer = Buffer.allocUnsafe(plan.firstBatchBytes)
    const bytes = await log.copyAsync(plan, upTo, buffer, 0, buffer.length)
    if (bytes === 0) return undefined
    return baseOffsetAt(buffer, 0) >= from ? baseTimestampAt(buffer, 0) : maxTimestampAt(buffer, 0)
  } catch (error) {
    // Damage, or a log that went meanwhile: no figure. Readers are told elsewhere.
    if (error instanceof CorruptionError || error instanceof StorageError) return undefined
    throw error
  }
}
