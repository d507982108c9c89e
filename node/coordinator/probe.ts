/** What the coordinators count; `node/metrics.ts` and the admin pages read it. */
import { Histogram, SECONDS_BUCKETS } from '../../base/metrics.ts'

/** Why a classic group began a rebalance. */
export const REBALANCE_REASONS = [
  'member-joined',
  'member-rejoined',
  'member-left',
  'member-expired',
  'sync-expired',
  'static-member-replaced',
  'assignment-lost',
  'over-capacity',
] as const
export type RebalanceReason = (typeof REBALANCE_REASONS)[number]

export class CoordinatorProbe {
  readonly rebalances: Record<RebalanceReason, number>
  /** From the first member that asked for it to the assignment. */
  readonly rebalanceSeconds = new Histogram(SECONDS_BUCKETS)
  /** Partitions in OffsetCommit answers, by error code. */
  readonly commits = new Map<number, number>()
  offsetsExpired = 0
  offsetsDeleted = 0
  batchesAppended = 0
  recordsAppended = 0
  appendsFailed = 0
  loads = 0
  loadsFailed = 0
  recordsLoaded = 0
  recordsSkipped = 0
  readonly loadSeconds = new Histogram(SECONDS_BUCKETS)

  constructor() {
    const rebalances = {} as Record<RebalanceReason, number>
    for (const reason of REBALANCE_REASONS) rebalances[reason] = 0
    this.rebalances = rebalances
  }

  committed(error: number, partitions = 1): void {
    this.commits.set(error, (this.commits.get(error) ?? 0) + partitions)
  }
}
