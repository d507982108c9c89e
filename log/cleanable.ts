/**
 * What compaction sees of a log, and the log of compaction. PartitionLog implements it.
 *
 * Invariant: until `replace` has renamed the last file, a start after a crash finds either all
 * replaced segments or the replacement, never a mixture: `.cleaned` files are deleted at a start,
 * a `.swap` file is complete, so it is renamed to its place and what it covers is deleted.
 */
import type { LogConfig } from './config.ts'

/** A segment that takes no more writes. */
export interface CleanableSegment {
  readonly baseOffset: number
  /** Base offset of the next segment. */
  readonly nextOffset: number
  /** Bytes of the `.log` file. */
  readonly sizeBytes: number
  /** Timestamp of the first batch (its max timestamp will do); -1 when the segment is empty. */
  readonly firstTimestampMs: number
  /** Largest timestamp in the segment; -1 when it is empty. */
  readonly maxTimestampMs: number
  /** Bytes of the `.log` file, on the thread pool; fewer when it is not in the log any more. */
  readAsync(
    target: Uint8Array,
    targetStart: number,
    length: number,
    position: number,
  ): Promise<number>
}

/** A transaction of the aborted-transaction index, with all that its file holds. */
export interface AbortedRange {
  readonly producerId: number
  readonly firstOffset: number
  readonly lastOffset: number
  readonly lastStableOffset: number
}

/** A replacement in the making: `.log.cleaned` with its indexes. */
export interface CleanedSegment {
  readonly baseOffset: number
  /** Bytes appended so far. */
  readonly sizeBytes: number
  /** Whole batches in offset order, each with a right CRC; also fills offset and time index. */
  append(source: Buffer, start: number, end: number): void
  /** For the aborted-transaction index; by rising last offset. */
  appendAborted(range: AbortedRange): void
}

export interface LastOfProducer {
  readonly producerEpoch: number
  /** Last offset of its last data batch; -1 when only a marker is known. */
  readonly lastDataOffset: number
}

export interface CleanableLog {
  readonly topic: string
  readonly partition: number
  readonly directory: string
  readonly config: LogConfig
  readonly logStartOffset: number
  readonly logEndOffset: number
  /**
   * Compaction works only below this offset: the smallest of high watermark, first unstable
   * offset and base offset of the active segment.
   */
  cleanableLimit(): number
  /** All closed segments by rising base offset. The same object stands for the same files. */
  closedSegments(): readonly CleanableSegment[]
  /**
   * Entries of the aborted-transaction index that touch [fromOffset, toOffset), by first offset.
   */
  abortedRanges(fromOffset: number, toOffset: number): readonly AbortedRange[]
  /** By producer id: those whose state must survive. */
  lastOfProducers(): ReadonlyMap<number, LastOfProducer>
  /** Makes the `.cleaned` files (an older attempt's are overwritten). Throws StorageError. */
  startCleaned(baseOffset: number): CleanedSegment
  /**
   * Puts `cleaned` in the place of `replaced`, neighbours of which the first has the same base
   * offset: syncs the new files, renames them to `.swap`, syncs the directory, deletes the old
   * ones (renamed to `.deleted`, removed after `fileDeleteDelayMs`), renames `.swap` away. False,
   * and `cleaned` is removed, when one of `replaced` is not in the log any more (truncation,
   * retention, close).
   */
  replace(replaced: readonly CleanableSegment[], cleaned: CleanedSegment): Promise<boolean>
  /** Removes the files of an attempt that was given up. */
  discardCleaned(cleaned: CleanedSegment): Promise<void>
}

/**
 * `cleaner-offset-checkpoint` of a log directory: below the offset a log has been cleaned. A log
 * that is truncated below it must lower it, or what is appended there later counts as clean.
 */
export interface CleanerCheckpoint {
  firstDirtyOffset(topic: string, partition: number): number | undefined
  /** Kept in memory at once, on disk soon: an older value only means cleaning again. */
  setFirstDirtyOffset(topic: string, partition: number, offset: number): void
}
