/** The dashboard that shows whether the cluster is well, and what flows through it. */
import { type DashboardPlan, query } from './panels.ts'

export const CLUSTER: DashboardPlan = {
  uid: 'odradek-cluster',
  title: 'Odradek / Cluster',
  description: 'Is the cluster well, and how much flows through it.',
  variables: [],
  panels: [
    {
      title: 'Nodes up',
      kind: 'stat',
      unit: 'none',
      width: 4,
      description: 'Nodes that answer.',
      queries: [query('count(odradek_node_info)')],
    },
    {
      title: 'Controllers',
      kind: 'stat',
      unit: 'none',
      width: 4,
      redAt: 2,
      description: 'Exactly one.',
      queries: [query('sum(odradek_controller_active)')],
    },
    {
      title: 'Offline partitions',
      kind: 'stat',
      unit: 'none',
      width: 4,
      redAt: 1,
      description: 'Partitions without a leader: neither written nor read.',
      queries: [query('sum(odradek_controller_offline_partitions)')],
    },
    {
      title: 'Under-replicated',
      kind: 'stat',
      unit: 'none',
      width: 4,
      redAt: 1,
      description: 'Partitions that lack a replica in sync.',
      queries: [query('sum(odradek_partitions_under_replicated)')],
    },
    {
      title: 'Below min.insync.replicas',
      kind: 'stat',
      unit: 'none',
      width: 4,
      redAt: 1,
      description: 'Partitions that refuse acks=all.',
      queries: [query('sum(odradek_partitions_under_min_isr)')],
    },
    {
      title: 'Connections',
      kind: 'stat',
      unit: 'none',
      width: 4,
      description: 'Open connections of clients.',
      queries: [query('sum(odradek_connections)')],
    },
    {
      title: 'P(t): records in per second',
      kind: 'timeseries',
      unit: 'ops',
      width: 12,
      isStacked: true,
      description: 'The throughput of the cluster: the sum of its topics.',
      queries: [query('sum by (topic) (rate(odradek_topic_records_in_total[1m]))', '{{topic}}')],
    },
    {
      title: 'Bytes in and out',
      kind: 'timeseries',
      unit: 'Bps',
      width: 12,
      description: 'What producers send and consumers get.',
      queries: [
        query('sum(rate(odradek_topic_bytes_in_total[1m]))', 'in'),
        query('sum(rate(odradek_topic_bytes_out_total[1m]))', 'out'),
      ],
    },
    {
      title: 'Bytes replicated for each byte in',
      kind: 'timeseries',
      unit: 'none',
      description: 'About the replication factor less one.',
      queries: [
        query(
          'sum(rate(odradek_replication_bytes_total{direction="sent"}[1m])) / ' +
            '(sum(rate(odradek_topic_bytes_in_total[1m])) > 0)',
          'ratio',
        ),
      ],
    },
    {
      title: 'Disk used',
      kind: 'timeseries',
      unit: 'percentunit',
      redAt: 0.85,
      description: 'When a disk is full, producers are refused there.',
      queries: [
        query('1 - odradek_disk_free_bytes / odradek_disk_size_bytes', '{{instance}} {{dir}}'),
      ],
    },
    {
      title: 'Errors',
      kind: 'timeseries',
      unit: 'ops',
      description: 'Requests that ended with an error, by its name in the protocol.',
      queries: [
        query('sum by (api, error) (rate(odradek_request_errors_total[5m]))', '{{api}} {{error}}'),
      ],
    },
    {
      title: 'Produce: p50 and p99',
      kind: 'timeseries',
      unit: 's',
      width: 12,
      description: 'From the receipt of a request to its answer.',
      queries: quantiles('Produce'),
    },
    {
      title: 'Fetch: p50 and p99',
      kind: 'timeseries',
      unit: 's',
      width: 12,
      description: 'The wait for data is part of it.',
      queries: quantiles('Fetch'),
    },
  ],
}

function quantiles(api: string) {
  const buckets = `sum by (le) (rate(odradek_request_duration_seconds_bucket{api="${api}"}[5m]))`
  return [
    query(`histogram_quantile(0.5, ${buckets})`, 'p50'),
    query(`histogram_quantile(0.99, ${buckets})`, 'p99'),
  ]
}
