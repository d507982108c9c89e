/** What the logs of a node count: plain fields, read when somebody scrapes. */
import { Histogram, SECONDS_BUCKETS } from '../base/metrics.ts'

export class LogProbe {
  appendedBatches = 0
  appendedRecords = 0
  appendedBytes = 0
  /** Batches of idempotent producers that were answered from the cache. */
  duplicateBatches = 0
  refusedBatches = 0
  /** Calls of `write` that reached the disk. */
  writes = 0
  writtenBytes = 0
  syncs = 0
  readBatches = 0
  readBytes = 0
  /** Fetches that found their place without the index, and those that did not. */
  hintHits = 0
  hintMisses = 0
  rolledSegments = 0
  deletedSegments = 0
  /** Logs opened after an unclean stop, and the bytes that had to be scanned for it. */
  recoveredLogs = 0
  recoveredBytes = 0
  /** Damaged bytes met by a reader: never served. */
  corruptReads = 0
  /** Bytes cut off behind the recovery point after an unclean stop: an unfinished write. */
  truncatedTails = 0
  truncatedTailBytes = 0
  /** Damage below the recovery point found while opening: kept, not served. */
  corruptSegments = 0
  /** Indexes, snapshots and checkpoints that were damaged or missing, and made again. */
  rebuiltIndexes = 0
  rebuiltSnapshots = 0
  rebuiltCheckpoints = 0
  /**
   * Checkpoints of a log directory, and ids of topics, that were damaged: nothing can make them
   * again.
   */
  damagedCheckpoints = 0
  /** Look-ups that found a wrong index entry and went on without it. */
  distrustedIndexEntries = 0
  /** Logs out of service after a failed write or sync. */
  failedLogs = 0
  /** Appends refused because the disk was full. */
  fullDiskRefusals = 0
  /** Passes of compaction that came to their end, and those that gave up. */
  cleanings = 0
  abandonedCleanings = 0
  cleanedReadBytes = 0
  cleanedWrittenBytes = 0
  /** Records that compaction took away. */
  cleanedRecords = 0
  /** Gauge: dirty bytes / all bytes of the dirtiest compacted log, at the last look. */
  dirtiestRatio = 0
  /** Gauge: logs that compaction had to leave alone. */
  uncleanableLogs = 0
  openFiles = 0
  expiredProducers = 0
  readonly syncSeconds = new Histogram(SECONDS_BUCKETS)
  readonly writeSeconds = new Histogram(SECONDS_BUCKETS)
  readonly cleaningSeconds = new Histogram(SECONDS_BUCKETS)
  readonly recoverySeconds = new Histogram(SECONDS_BUCKETS)
}
