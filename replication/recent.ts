/**
 * What was read, and checked, for one follower is not read again for the next: records in messages
 * that were just made, by log.
 *
 * Invariant: a message's buffer is used again only when its follower has dealt with something, and
 * then all is forgotten here (`clear`); so what is found here is as it was read.
 */
import { assert } from '../base/assert.ts'
import type { PartitionLog } from '../log/partition-log.ts'

/** Less is read again. */
const SMALLEST_BYTES = 8 * 1024

export interface RecentRecords {
  readonly offset: number
  readonly nextOffset: number
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
}

export class RecentReads {
  readonly #byLog = new Map<PartitionLog, RecentRecords>()

  note(log: PartitionLog, records: RecentRecords): void {
    assert(records.nextOffset > records.offset, 'records lead on')
    assert(records.end <= records.buffer.length, 'records are in their message')
    if (records.end - records.start >= SMALLEST_BYTES) this.#byLog.set(log, records)
  }

  /** From `offset` on, and at most so many bytes. */
  find(log: PartitionLog, offset: number, limitBytes: number): RecentRecords | undefined {
    const recent = this.#byLog.get(log)
    if (recent?.offset !== offset || recent.end - recent.start > limitBytes) return undefined
    return recent
  }

  clear(): void {
    this.#byLog.clear()
  }
}
