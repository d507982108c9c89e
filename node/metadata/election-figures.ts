/** Counts the elections that this controller held, by their reason, and says those that may lose records. */
import type { Logger } from '../../base/logger.ts'
import { isActive, type MetadataImage, topicById } from './image.ts'
import { RECOVERING } from './partition-change.ts'
import type { MetadataRecord, RecordOf } from './records.ts'

export type ElectionKind = 'preferred' | 'failover' | 'reassign' | 'unclean'

export class ElectionFigures {
  /** Since the node started. */
  readonly counts: Readonly<Record<ElectionKind, number>>
  readonly #counts = { preferred: 0, failover: 0, reassign: 0, unclean: 0 }
  readonly #logger: Logger

  constructor(logger: Logger) {
    this.#logger = logger
    this.counts = this.#counts
  }

  /** `records` are committed; `before` is the image in which they were decided. */
  committed(records: readonly MetadataRecord[], before: MetadataImage): void {
    for (const record of records) {
      if (record.type !== 'PartitionChangeRecord' || record.leader < 0) continue
      const kind = kindOf(record, before)
      if (kind === undefined) continue
      this.#counts[kind]++
      if (kind !== 'unclean') continue
      this.#logger.warn('A leader was elected that may lack acknowledged records.', {
        topic: before.topicNames.get(record.topicId) ?? record.topicId,
        partition: record.partitionId,
        leader: record.leader,
      })
    }
  }
}

function kindOf(
  record: RecordOf<'PartitionChangeRecord'>,
  before: MetadataImage,
): ElectionKind | undefined {
  const partition = topicById(before, record.topicId)?.partitions[record.partitionId]
  if (partition === undefined) return undefined
  if (record.leaderRecoveryState === RECOVERING) return 'unclean'
  if (record.leader === partition.leader) return undefined
  if (record.replicas !== null) return 'reassign'
  const isRestored = record.leader === partition.replicas[0] && isActive(before, partition.leader)
  return isRestored ? 'preferred' : 'failover'
}
