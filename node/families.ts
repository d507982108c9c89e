/** The families of `/metrics`: plain counters of the parts, read when somebody scrapes. */
import type { Labels, Metrics, MetricType } from '../base/metrics.ts'
import type { Partition } from '../replication/partition.ts'
import type { Node } from './node.ts'
import { VERSION } from './version.ts'

/** Above this many partitions on a node, series are given by topic only. */
const PARTITION_SERIES_MAX = 2000

export function registerMetrics(metrics: Metrics, node: Node): void {
  registerNode(metrics, node)
  registerPartitions(metrics, node)
}

function registerNode(metrics: Metrics, node: Node): void {
  const { settings, identity } = node
  const single = (
    name: string,
    type: MetricType,
    help: string,
    read: () => number,
    labels: Labels = {},
  ) => metrics.register({ name, type, help, collect: (emit) => emit(labels, read()) })
  single('odradek_build_info', 'gauge', 'The release that runs.', () => 1, {
    version: VERSION,
    node_version: process.versions.node,
  })
  single('odradek_node_info', 'gauge', 'Which node this is.', () => 1, {
    node_id: String(settings.nodeId),
    cluster_id: identity.clusterId,
    rack: settings.optionalText('broker.rack') ?? '',
    roles: settings.list('process.roles').join(','),
  })
  metrics.register({
    name: 'odradek_node_state',
    type: 'gauge',
    help: 'The state that the node is in is 1.',
    collect: (emit) => {
      for (const state of ['starting', 'recovering', 'fenced', 'running', 'draining']) {
        emit({ state }, node.state === state ? 1 : 0)
      }
    },
  })
  single(
    'odradek_connections',
    'gauge',
    'Connections of clients.',
    () => node.server.connectionCount,
  )
  single('odradek_controller_active', 'gauge', '1 on the node that is the controller.', () =>
    node.quorum.leaderId === settings.nodeId ? 1 : 0,
  )
  single('odradek_replicas', 'gauge', 'Partition replicas on this node.', () =>
    count(node, () => true),
  )
  single('odradek_leaders', 'gauge', 'Partitions that this node leads.', () =>
    count(node, (partition) => partition.isLeader),
  )
  single('odradek_purgatory_size', 'gauge', 'Requests that wait.', () => waiting(node), {
    operation: 'produce',
  })
}

function count(node: Node, matches: (partition: Partition) => boolean): number {
  let found = 0
  for (const partition of node.partitions.all()) if (matches(partition)) found++
  return found
}

function waiting(node: Node): number {
  let found = 0
  for (const partition of node.partitions.all()) found += partition.waitingProduces
  return found
}

type Reading = readonly [
  name: string,
  type: MetricType,
  help: string,
  read: (partition: Partition) => number,
]

const FLOWS: readonly Reading[] = [
  ['records_in_total', 'counter', 'Records appended by the leader.', (one) => one.recordsIn],
  ['bytes_in_total', 'counter', 'Bytes appended by the leader.', (one) => one.bytesIn],
  ['records_out_total', 'counter', 'Records served to consumers.', (one) => one.recordsOut],
  ['bytes_out_total', 'counter', 'Bytes served to consumers.', (one) => one.bytesOut],
]

const STATES: readonly Reading[] = [
  ['log_start_offset', 'gauge', 'First offset, at the leader.', (one) => one.logStartOffset],
  ['log_end_offset', 'gauge', 'Next offset, at the leader.', (one) => one.logEndOffset],
  ['high_watermark', 'gauge', 'Committed up to here.', (one) => one.highWatermark],
  ['last_stable_offset', 'gauge', 'Stable up to here.', (one) => one.lastStableOffset],
  ['leader', 'gauge', '1 at the leader.', () => 1],
  ['leader_epoch', 'gauge', 'Epoch of the leader.', (one) => one.leaderEpoch],
  ['isr_size', 'gauge', 'Replicas in sync.', (one) => one.isr.length],
]

function registerPartitions(metrics: Metrics, node: Node): void {
  for (const [name, type, help, read] of [...FLOWS, ...STATES]) {
    metrics.register({
      name: `odradek_partition_${name}`,
      type,
      help,
      collect: (emit) => {
        if (count(node, () => true) > PARTITION_SERIES_MAX) return
        for (const partition of node.partitions.all()) {
          if (!partition.isLeader) continue
          emit({ topic: partition.topic, partition: String(partition.index) }, read(partition))
        }
      },
    })
  }
  for (const [name, type, help, read] of FLOWS) {
    metrics.register({
      name: `odradek_topic_${name}`,
      type,
      help,
      collect: (emit) => {
        const sums = new Map<string, number>()
        for (const partition of node.partitions.all()) {
          if (!partition.isLeader) continue
          sums.set(partition.topic, (sums.get(partition.topic) ?? 0) + read(partition))
        }
        for (const [topic, sum] of sums) emit({ topic }, sum)
      },
    })
  }
}
