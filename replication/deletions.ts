/**
 * DeleteRecords (KIP-107) at one replica: the start of its log moves, becomes durable, and is told;
 * who asked waits until every replica that counts has said so of its own.
 *
 * Invariant: a start is told to others, and counted here, only when it is durable: neither a crash
 * nor a change of leaders brings back what was said to be deleted.
 */
import { assert } from '../base/assert.ts'
import { StorageError } from '../base/errors.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import { KAFKA_STORAGE_ERROR } from './errors.ts'
import { AckWaiters } from './waiters.ts'

export class Deletions {
  readonly #log: PartitionLog
  readonly #onSaved: () => void
  readonly #waiters = new AckWaiters()
  #isSaving = false

  /** `onSaved`: there is a start to tell, or to count. */
  constructor(log: PartitionLog, onSaved: () => void) {
    this.#log = log
    this.#onSaved = onSaved
  }

  get waiting(): number {
    return this.#waiters.size
  }

  /** A follower hears where the log of its leader begins. */
  onLeaderStart(offset: number): void {
    const log = this.#log
    if (offset > log.logStartOffset && offset <= log.logEndOffset) log.advanceLogStart(offset)
    if (log.savedLogStart < Math.min(offset, log.logStartOffset)) this.save()
  }

  /** Makes the start of the log durable. When that fails, those who wait are told. */
  save(): void {
    if (this.#isSaving) return
    this.#isSaving = true
    this.#log.saveLogStart().then(
      () => {
        this.#isSaving = false
        this.#onSaved()
      },
      (error: unknown) => {
        this.#isSaving = false
        if (!(error instanceof StorageError)) throw error
        this.#waiters.failAll(KAFKA_STORAGE_ERROR) // a full disk: once more, when there is room
      },
    )
  }

  /** Resolves with 0 when `release` has come to `offset`, or with the error that ended the wait. */
  wait(offset: number, deadlineMs: number): Promise<number> {
    assert(offset > 0, 'nothing is before the first offset')
    return new Promise((resolve) => {
      this.#waiters.add(offset - 1, deadlineMs, { onAck: (_slot, error) => resolve(error) }, 0)
    })
  }

  /** All replicas that count have deleted what is below. */
  release(lowWatermark: number): void {
    if (this.#waiters.size > 0) this.#waiters.release(lowWatermark)
  }

  expire(monotonicMs: number, error: number): void {
    this.#waiters.expire(monotonicMs, error)
  }

  failAll(error: number): void {
    this.#waiters.failAll(error)
  }
}
