/**
 * The families of `/metrics`: one list, read when somebody scrapes. A name here is an interface:
 * dashboards, rules and alerts of other people rely on it.
 */
import type { Clock } from '../base/clock.ts'
import type { Disk } from '../base/disk.ts'
import type { Metrics } from '../base/metrics.ts'
import { GROUP_FAMILIES } from './families-groups.ts'
import { LOG_FAMILIES } from './families-log.ts'
import { NODE_FAMILIES } from './families-node.ts'
import { PARTITION_FAMILIES } from './families-partitions.ts'
import { RAFT_FAMILIES } from './families-raft.ts'
import { REPLICATION_FAMILIES } from './families-replication.ts'
import { SERVER_FAMILIES } from './families-server.ts'
import { type Family, type ScrapedNode, Source } from './families-source.ts'
import { GroupLags } from './group-lags.ts'

/** In the order of the page. Families of a new part of the node join with a list of their own. */
export const FAMILIES: readonly Family[] = [
  ...NODE_FAMILIES,
  ...SERVER_FAMILIES,
  ...PARTITION_FAMILIES,
  ...REPLICATION_FAMILIES,
  ...RAFT_FAMILIES,
  ...LOG_FAMILIES,
  ...GROUP_FAMILIES,
]

/** What the lists of families read of this node. */
export function sourceOf(node: ScrapedNode, parts: { clock: Clock; disk: Disk }): Source {
  const lags = new GroupLags({
    clock: parts.clock,
    groups: () => node.groups.figures(),
    find: (topic, index) => node.partitions.find(topic, index),
  })
  return new Source(node, { ...parts, lags })
}

/** Shows each family of a list on this page. */
export function registerFamilies(
  metrics: Metrics,
  families: readonly Family[],
  source: Source,
): void {
  for (const { name, type, help, collect } of families) {
    metrics.register({ name, type, help, collect: (emit) => collect(source, emit) })
  }
}
