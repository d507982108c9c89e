/** What the rules of groups depend on: settings by Kafka's names, and the parts of the world. */
import type { Clock } from '../../../base/clock.ts'
import type { Logger } from '../../../base/logger.ts'
import type { Random } from '../../../base/random.ts'
import type { CoordinatorProbe } from '../probe.ts'

export interface GroupOptions {
  /** group.min.session.timeout.ms, group.max.session.timeout.ms */
  readonly minSessionTimeoutMs: number
  readonly maxSessionTimeoutMs: number
  /** group.max.size */
  readonly sizeMax: number
  /** group.initial.rebalance.delay.ms */
  readonly initialRebalanceDelayMs: number
  /** A new member that does not come for its answer counts as dead after this. */
  readonly newMemberTimeoutMs: number
  /** offset.metadata.max.bytes */
  readonly offsetMetadataMax: number
  /** offsets.retention.minutes, in milliseconds. */
  readonly offsetsRetentionMs: number
  /** offsets.retention.check.interval.ms */
  readonly offsetsRetentionCheckMs: number
  /** offsets.commit.timeout.ms */
  readonly commitTimeoutMs: number
}

/** Kafka's. */
export const DEFAULT_GROUP_OPTIONS: GroupOptions = {
  minSessionTimeoutMs: 6000,
  maxSessionTimeoutMs: 1_800_000,
  sizeMax: 2_147_483_647,
  initialRebalanceDelayMs: 3000,
  newMemberTimeoutMs: 300_000,
  offsetMetadataMax: 4096,
  offsetsRetentionMs: 10_080 * 60_000,
  offsetsRetentionCheckMs: 600_000,
  commitTimeoutMs: 5000,
}

export interface GroupParts {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly probe: CoordinatorProbe
  readonly options: GroupOptions
}

/** What a group needs to know of who asks. */
export interface Client {
  readonly clientId: string | null
  readonly clientHost: string
  readonly apiVersion: number
}
