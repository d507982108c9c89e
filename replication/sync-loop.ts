/**
 * Makes durable what one replica has written (`flush=group`): one sync for all that came while the
 * last one was under way.
 *
 * Invariants: one sync is under way at most; while records are not durable one is, or its owner has
 * a turn to come in which it begins; after one that failed there is no other.
 */
import { assert } from '../base/assert.ts'
import type { Flushable, Turn } from '../base/turn.ts'
import type { PartitionLog } from '../log/partition-log.ts'

/** The replica: its `flush` calls `start`. */
export interface SyncOwner extends Flushable {
  readonly log: PartitionLog
  /** The disk failed: nothing is known of what was written. */
  onSyncFailed(error: unknown): void
}

export class SyncLoop {
  readonly #owner: SyncOwner
  readonly #turn: Turn
  #isSyncing = false
  #hasFailed = false
  #isClosed = false

  constructor(owner: SyncOwner, turn: Turn) {
    this.#owner = owner
    this.#turn = turn
  }

  /** The end of a turn, after the write. */
  start(): void {
    assert(!this.#hasFailed, 'a failed sync is never tried again')
    const { log } = this.#owner
    if (this.#isSyncing || log.config.flush !== 'group') return
    if (log.syncedOffset >= log.writtenOffset) return
    this.#isSyncing = true
    log.sync().then(
      () => {
        assert(this.#isSyncing, 'a sync that ends has begun')
        this.#isSyncing = false
        if (!this.#isClosed) this.#turn.stores(this.#owner)
      },
      (error: unknown) => {
        this.#isSyncing = false
        this.#hasFailed = true
        if (!this.#isClosed) this.#owner.onSyncFailed(error)
      },
    )
  }

  close(): void {
    this.#isClosed = true
  }
}
