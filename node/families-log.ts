/** Families of the logs on this node's disks. */
import type { Histogram } from '../base/metrics.ts'
import { type Family, type Source, single } from './families-source.ts'

const SIZES: readonly Family[] = [
  {
    name: 'odradek_log_size_bytes',
    type: 'gauge',
    help: 'Bytes of records on this node, by topic.',
    collect: (source, emit) => perTopic(source, emit, (log) => log.sizeBytes()),
  },
  {
    name: 'odradek_log_segments',
    type: 'gauge',
    help: 'Segments on this node, by topic.',
    collect: (source, emit) => perTopic(source, emit, (log) => log.segmentCount()),
  },
  single(
    'odradek_producer_states',
    'gauge',
    'Idempotent producers that the logs of this node remember.',
    ({ node }) => {
      let count = 0
      for (const { log } of node.partitions.all()) count += log.producerCount
      return count
    },
  ),
  single(
    'odradek_log_open_files',
    'gauge',
    'Segment files that are open.',
    ({ node }) => node.store.probe.openFiles,
  ),
]

const WORK: readonly Family[] = [
  perDirectory(
    'odradek_log_append_seconds',
    'Time of a write to the page cache.',
    (source) => source.node.store.probe.writeSeconds,
  ),
  perDirectory(
    'odradek_log_flush_seconds',
    'Time of a sync to the device.',
    (source) => source.node.store.probe.syncSeconds,
  ),
  single(
    'odradek_log_rolled_segments_total',
    'counter',
    'Segments that were closed because they were full or old.',
    ({ node }) => node.store.probe.rolledSegments,
  ),
  {
    name: 'odradek_log_segments_deleted_total',
    type: 'counter',
    help: 'Segments that went because they were too old, too many, or below the start of the log.',
    collect: ({ node }, emit) => emit({ reason: 'retention' }, node.store.probe.deletedSegments),
  },
]

const TROUBLE: readonly Family[] = [
  {
    name: 'odradek_log_corruptions_total',
    type: 'counter',
    help:
      'Damage that was found. refused: records that are not served; truncated: an unfinished ' +
      'write cut off after an unclean stop; rebuilt: an index, snapshot or checkpoint made again; ' +
      'distrusted: a wrong index entry passed over; lost: a checkpoint that can not be made again.',
    collect({ node: { store } }, emit) {
      const { probe } = store
      emit({ action: 'refused' }, probe.corruptReads + probe.corruptSegments)
      emit({ action: 'truncated' }, probe.truncatedTails)
      emit(
        { action: 'rebuilt' },
        probe.rebuiltIndexes + probe.rebuiltSnapshots + probe.rebuiltCheckpoints,
      )
      emit({ action: 'distrusted' }, probe.distrustedIndexEntries)
      emit({ action: 'lost' }, probe.damagedCheckpoints)
    },
  },
  single(
    'odradek_log_recovery_seconds',
    'gauge',
    'Time spent at the last start on logs that were not closed, summed over them.',
    ({ node }) => node.store.probe.recoverySeconds.sum,
  ),
  single(
    'odradek_log_recovered_bytes',
    'gauge',
    'Bytes that the last start had to read and check.',
    ({ node }) => node.store.probe.recoveredBytes,
  ),
  single(
    'odradek_log_failed',
    'gauge',
    'Logs that are out of service: they could not be opened, written or synced.',
    ({ node }) => {
      let count = node.store.failedLogs().length
      for (const partition of node.partitions.all()) if (partition.isFailed) count++
      return count
    },
  ),
  single(
    'odradek_log_full_disk_refusals_total',
    'counter',
    'Appends that were refused because the disk was full.',
    ({ node }) => node.store.probe.fullDiskRefusals,
  ),
]

const COMPACTION: readonly Family[] = [
  {
    name: 'odradek_compaction_seconds',
    type: 'histogram',
    help: 'Time of a pass of compaction over one log.',
    collect: ({ node }, emit) => emit({}, node.store.probe.cleaningSeconds),
  },
  {
    name: 'odradek_compaction_passes_total',
    type: 'counter',
    help: 'Passes of compaction, by how they ended.',
    collect({ node: { store } }, emit) {
      emit({ result: 'done' }, store.probe.cleanings)
      emit({ result: 'abandoned' }, store.probe.abandonedCleanings)
    },
  },
  single(
    'odradek_compaction_reclaimed_bytes_total',
    'counter',
    'Bytes that compaction took away: what it read less what it wrote.',
    ({ node: { store } }) =>
      Math.max(0, store.probe.cleanedReadBytes - store.probe.cleanedWrittenBytes),
  ),
  single(
    'odradek_compaction_removed_records_total',
    'counter',
    'Records that compaction took away.',
    ({ node }) => node.store.probe.cleanedRecords,
  ),
  single(
    'odradek_compaction_dirty_ratio',
    'gauge',
    'Dirty bytes by all bytes of the dirtiest compacted log, at the last look.',
    ({ node }) => node.store.probe.dirtiestRatio,
  ),
  single(
    'odradek_compaction_uncleanable_logs',
    'gauge',
    'Logs that compaction has to leave alone because a pass over them failed.',
    ({ node }) => node.store.probe.uncleanableLogs,
  ),
]

export const LOG_FAMILIES: readonly Family[] = [...SIZES, ...WORK, ...COMPACTION, ...TROUBLE]

type ScrapedLog = { sizeBytes(): number; segmentCount(): number }

function perTopic(
  source: Source,
  emit: (labels: { topic: string }, value: number) => void,
  read: (log: ScrapedLog) => number,
): void {
  if (source.level === 'none') return
  const sums = new Map<string, number>()
  for (const { topic, log } of source.node.partitions.all()) {
    sums.set(topic, (sums.get(topic) ?? 0) + read(log))
  }
  for (const [topic, sum] of sums) emit({ topic }, sum)
}

/** The logs of all directories share their counters: with several, `dir` says so. */
function perDirectory(name: string, help: string, read: (source: Source) => Histogram): Family {
  return {
    name,
    type: 'histogram',
    help,
    collect(source, emit) {
      const directories = source.node.settings.logDirectories
      emit({ dir: directories.length === 1 ? directories[0]! : 'all' }, read(source))
    },
  }
}
