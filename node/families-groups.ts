/** Families of consumer groups whose coordinator is this node, and of their lag. */
import type { Labels } from '../base/metrics.ts'
import { errorName } from '../kafka/wire/errors.ts'
import type { GroupFigures } from './coordinator/group/group-reads.ts'
import { type Family, type Source, single } from './families-source.ts'

/** With more committed offsets than this, lag is given by topic. */
const OFFSET_SERIES_MAX = 10_000

const GROUPS: readonly Family[] = [
  {
    name: 'odradek_groups',
    type: 'gauge',
    help: 'Groups coordinated by this node, by state and protocol.',
    collect({ node }, emit) {
      const counts = new Map<string, { labels: Labels; count: number }>()
      for (const { state, kind } of node.groups.figures()) {
        const key = `${state} ${kind}`
        const row = counts.get(key) ?? { labels: { state, protocol: kind }, count: 0 }
        row.count++
        counts.set(key, row)
      }
      for (const { labels, count } of counts.values()) emit(labels, count)
    },
  },
  {
    name: 'odradek_group_members',
    type: 'gauge',
    help: 'Members of a group.',
    collect({ node }, emit) {
      for (const { groupId: group, memberCount } of node.groups.figures()) {
        emit({ group }, memberCount)
      }
    },
  },
  {
    name: 'odradek_group_rebalances_total',
    type: 'counter',
    help: 'Rebalances that were begun, by what made them necessary.',
    collect({ node }, emit) {
      for (const [reason, count] of Object.entries(node.groups.probe.rebalances)) {
        emit({ reason }, count)
      }
    },
  },
  {
    name: 'odradek_group_rebalance_seconds',
    type: 'histogram',
    help: 'From the first member that asked for a rebalance to the assignment.',
    collect: ({ node }, emit) => emit({}, node.groups.probe.rebalanceSeconds),
  },
  {
    name: 'odradek_offset_commits_total',
    type: 'counter',
    help: 'Committed partitions, by the error they were answered with.',
    collect({ node }, emit) {
      for (const [code, count] of node.groups.probe.commits) {
        emit({ result: code === 0 ? 'ok' : errorName(code) }, count)
      }
    },
  },
]

const COORDINATOR: readonly Family[] = [
  {
    name: 'odradek_coordinator_load_seconds',
    type: 'histogram',
    help: 'Time to load the groups of a partition of __consumer_offsets.',
    collect: ({ node }, emit) => emit({}, node.groups.probe.loadSeconds),
  },
  single(
    'odradek_coordinator_loads_failed_total',
    'counter',
    'Partitions of __consumer_offsets whose groups could not be loaded.',
    ({ node }) => node.groups.probe.loadsFailed,
  ),
  single(
    'odradek_coordinator_appends_failed_total',
    'counter',
    'Changes of groups that could not be written.',
    ({ node }) => node.groups.probe.appendsFailed,
  ),
  single(
    'odradek_group_offsets_expired_total',
    'counter',
    'Committed offsets that were forgotten because nobody used them.',
    ({ node }) => node.groups.probe.offsetsExpired,
  ),
]

const LAG: readonly Family[] = [
  {
    name: 'odradek_group_committed_offset',
    type: 'gauge',
    help: 'The next offset that a group will read, as it committed it.',
    collect(source, emit) {
      if (!hasPartitionSeries(source)) return
      for (const { labels, offset } of committed(source)) emit(labels, offset)
    },
  },
  {
    name: 'odradek_group_lag_records',
    type: 'gauge',
    help: 'Records that a group has not committed yet: last stable minus committed offset.',
    collect(source, emit) {
      if (source.level === 'none') return
      if (hasPartitionSeries(source)) {
        for (const { labels, lag } of committed(source)) if (lag !== undefined) emit(labels, lag)
        return
      }
      for (const [labels, lag] of sumsByTopic(source)) emit(labels, lag)
    },
  },
  {
    name: 'odradek_group_lag_seconds',
    type: 'gauge',
    help: 'Age of the oldest record that a group has not committed yet.',
    collect(source, emit) {
      if (source.level === 'none') return
      for (const group of source.node.groups.figures()) {
        for (const topic of group.offsets.keys()) {
          const ageMs = oldestMs(source, group, topic)
          if (ageMs !== undefined) emit({ group: group.groupId, topic }, ageMs / 1000)
        }
      }
    },
  },
]

export const GROUP_FAMILIES: readonly Family[] = [...GROUPS, ...COORDINATOR, ...LAG]

interface Committed {
  readonly labels: Labels
  readonly offset: number
  /** Undefined: the partition is not on this node. */
  readonly lag: number | undefined
}

function* committed({ node }: Source): Generator<Committed> {
  for (const { groupId: group, offsets } of node.groups.figures()) {
    for (const [topic, partitions] of offsets) {
      for (const [index, { offset }] of partitions) {
        const end = node.partitions.find(topic, index)?.lastStableOffset
        const labels = { group, topic, partition: String(index) }
        yield { labels, offset, lag: end === undefined ? undefined : Math.max(0, end - offset) }
      }
    }
  }
}

function hasPartitionSeries(source: Source): boolean {
  if (source.level !== 'partition') return false
  let count = 0
  for (const { offsets } of source.node.groups.figures()) {
    for (const partitions of offsets.values()) count += partitions.size
  }
  return count <= OFFSET_SERIES_MAX
}

function* sumsByTopic({ node }: Source): Generator<[Labels, number]> {
  for (const { groupId: group, offsets } of node.groups.figures()) {
    for (const [topic, partitions] of offsets) {
      let sum = 0
      for (const [index, { offset }] of partitions) {
        sum += Math.max(
          0,
          (node.partitions.find(topic, index)?.lastStableOffset ?? offset) - offset,
        )
      }
      yield [{ group, topic }, sum]
    }
  }
}

/** 0 when the group has read all; undefined when nothing is known. */
function oldestMs(
  { node, lags }: Source,
  { groupId, offsets }: GroupFigures,
  topic: string,
): number | undefined {
  let oldest: number | undefined
  for (const [index, { offset }] of offsets.get(topic) ?? []) {
    const end = node.partitions.find(topic, index)?.lastStableOffset
    if (end === undefined) continue
    const ageMs = end <= offset ? 0 : lags.ageMs(groupId, topic, index, offset)
    if (ageMs !== undefined && (oldest === undefined || ageMs > oldest)) oldest = ageMs
  }
  return oldest
}
