/** Compaction of one log at a time. */
import type { Clock } from '../base/clock.ts'
import type { CleanableLog, CleanerCheckpoint } from './cleanable.ts'

export interface CleanerOptions {
  readonly clock: Clock
  readonly checkpoint: CleanerCheckpoint
  /** Most memory that the map of the newest offsets may take. */
  readonly mapBytesMax?: number
}

/** What a pass over a log would do. */
export interface CleaningNeed {
  /** The dirty part is large enough, or too old. */
  readonly isDue: boolean
  /** Dirty bytes that may be cleaned / all bytes that may be read: the largest goes first. */
  readonly dirtyRatio: number
  readonly firstDirtyOffset: number
  /** Offset after the last record that may be cleaned. */
  readonly endOffset: number
}

export interface CleaningResult {
  /** False when the log changed under the cleaner, which then gave up; the log is unharmed. */
  readonly isComplete: boolean
  readonly readBytes: number
  readonly writtenBytes: number
  readonly keptRecords: number
  readonly droppedRecords: number
}

export class Cleaner {
  constructor(_options: CleanerOptions) {}

  /** Changes nothing; cheap (reads no file). Only for logs whose config is compacted. */
  need(log: CleanableLog, _nowMs: number): CleaningNeed {
    return { isDue: false, dirtyRatio: 0, firstDirtyOffset: log.logStartOffset, endOffset: 0 }
  }

  /** One pass. Throws StorageError or CorruptionError; the log is then as it was before. */
  clean(_log: CleanableLog, _nowMs: number): Promise<CleaningResult> {
    return Promise.resolve({
      isComplete: true,
      readBytes: 0,
      writtenBytes: 0,
      keptRecords: 0,
      droppedRecords: 0,
    })
  }
}
