/**
 * Makes durable what was written to one log, and knows how long records have waited for it.
 *
 * Invariants: `syncedOffset` moves only behind a sync that began after the records were written.
 * While records wait, either their owner syncs (`flush=group`) or the log is in the schedule.
 */
import { assert } from '../base/assert.ts'
import type { Flushable } from './flush-schedule.ts'
import type { LogState } from './log-state.ts'
import type { Segment } from './segment.ts'
import { makeGapsDurable } from './segment-files.ts'

/** Write-back is kept flowing: a sync in the background per so many bytes, whatever the policy. */
const BACKGROUND_SYNC_BYTES = 16_777_216
/** No record waits longer than this for a sync, whatever the policy. */
const SYNC_AT_LEAST_MS = 60_000

export class Syncer {
  readonly #state: LogState
  readonly #log: Flushable
  #unsyncedSinceMs = -1

  constructor(state: LogState, log: Flushable) {
    this.#state = state
    this.#log = log
  }

  /** After a write. True when so much waits that a sync should begin now. */
  noteWritten(): boolean {
    const { active, config, parts, syncedOffset, writtenOffset } = this.#state
    if (syncedOffset === writtenOffset) return false
    if (this.#unsyncedSinceMs < 0) {
      this.#unsyncedSinceMs = parts.clock.monotonicMs()
      this.schedule()
    }
    const isLong = active.writtenBytes - active.syncedBytes >= BACKGROUND_SYNC_BYTES
    return isLong || writtenOffset - syncedOffset >= config.flushMessages
  }

  /** Puts the log in the schedule when records wait. Also when the settings changed. */
  schedule(): void {
    if (this.#unsyncedSinceMs < 0 || this.#state.config.flush === 'group') return
    this.#state.shared.flushes?.add(this.#log, this.#unsyncedSinceMs + this.#limitMs)
  }

  get #limitMs(): number {
    const { flush, flushMs } = this.#state.config
    return flush === 'interval' ? Math.min(flushMs, SYNC_AT_LEAST_MS) : SYNC_AT_LEAST_MS
  }

  /** For logs that are in no schedule. */
  isDue(): boolean {
    if (this.#unsyncedSinceMs < 0) return false
    return this.#state.parts.clock.monotonicMs() - this.#unsyncedSinceMs >= this.#limitMs
  }

  /** One at a time, beside no change of the log's end. Rejects with StorageError: then it is never
   * tried again.
   */
  async sync(): Promise<void> {
    const state = this.#state
    const { clock, probe } = state.parts
    const target = state.writtenOffset
    if (target === state.syncedOffset && state.areNamesDurable) {
      this.#unsyncedSinceMs = -1 // the end may have been cut
      return
    }
    const startedMs = clock.monotonicMs()
    const work: Promise<void>[] = []
    try {
      for (let i = state.segments.length - 1; i >= 0; i--) {
        const segment = state.segments[i]!
        if (segment.writtenBytes > segment.syncedBytes) {
          work.push(syncSegment(segment))
          const areGapsNews = segment.hasGaps && !segment.areGapsDurable
          if (areGapsNews) work.push(makeGapsDurable(state, segment))
        } else if (segment.nextOffset <= state.syncedOffset) break
      }
      if (!state.areNamesDurable) work.push(state.settleNames())
      await Promise.all(work)
    } catch (error) {
      await Promise.allSettled(work)
      throw error
    }
    assert(target >= state.syncedOffset && target <= state.writtenOffset, 'syncs go forward')
    state.syncedOffset = target
    this.#unsyncedSinceMs = target === state.writtenOffset ? -1 : startedMs
    this.schedule()
    probe.syncs++
    probe.syncSeconds.observe((clock.monotonicMs() - startedMs) / 1000)
  }
}

async function syncSegment(segment: Segment): Promise<void> {
  const bytes = segment.writtenBytes
  const file = segment.file.pin()
  try {
    await file.sync()
  } finally {
    segment.file.unpin()
  }
  segment.syncedBytes = Math.max(segment.syncedBytes, bytes)
  if (segment.syncedBytes === segment.writtenBytes) segment.file.isDirty = false
}
