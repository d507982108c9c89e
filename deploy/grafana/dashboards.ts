/** The dashboards: cluster, node, topic, groups, quorum. Tested: their queries. */
import { type DashboardPlan, query, type Variable } from './panels.ts'

const NODE: Variable = { name: 'instance', metric: 'odradek_node_info', label: 'instance' }
const TOPIC: Variable = { name: 'topic', metric: 'odradek_topic_records_in_total', label: 'topic' }
const GROUP: Variable = { name: 'group', metric: 'odradek_group_members', label: 'group' }

const CLUSTER: DashboardPlan = {
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

const NODE_DASHBOARD: DashboardPlan = {
  uid: 'odradek-node',
  title: 'Odradek / Node',
  description: 'What one process does and what it costs.',
  variables: [NODE],
  panels: [
    {
      title: 'CPU',
      kind: 'timeseries',
      unit: 'percentunit',
      description: 'Of one core; the thread pool counts too.',
      queries: [
        query('rate(process_cpu_seconds_total{instance=~"$instance"}[1m])', '{{instance}}'),
      ],
    },
    {
      title: 'Event-loop lag p99',
      kind: 'timeseries',
      unit: 's',
      redAt: 0.2,
      description: 'Everything on a node waits so long.',
      queries: [query('nodejs_eventloop_lag_p99_seconds{instance=~"$instance"}', '{{instance}}')],
    },
    {
      title: 'Memory',
      kind: 'timeseries',
      unit: 'bytes',
      description: 'Resident, and the part of it that is the heap of JavaScript.',
      queries: [
        query('process_resident_memory_bytes{instance=~"$instance"}', '{{instance}} resident'),
        query('nodejs_heap_size_used_bytes{instance=~"$instance"}', '{{instance}} heap'),
      ],
    },
    {
      title: 'Garbage collection',
      kind: 'timeseries',
      unit: 'percentunit',
      description: 'Share of time.',
      queries: [
        query(
          'sum by (instance) (rate(nodejs_gc_duration_seconds_sum{instance=~"$instance"}[1m]))',
          '{{instance}}',
        ),
      ],
    },
    {
      title: 'Open files',
      kind: 'timeseries',
      unit: 'none',
      description: 'Sockets and segments.',
      queries: [query('process_open_fds{instance=~"$instance"}', '{{instance}}')],
    },
    {
      title: 'Sync p99',
      kind: 'timeseries',
      unit: 's',
      description: 'How long the device takes to make records durable.',
      queries: [
        query(
          'histogram_quantile(0.99, sum by (instance, le) ' +
            '(rate(odradek_log_flush_seconds_bucket{instance=~"$instance"}[5m])))',
          '{{instance}}',
        ),
      ],
    },
    {
      title: 'Leaders and replicas',
      kind: 'timeseries',
      unit: 'none',
      description: 'What this node leads and what it holds.',
      queries: [
        query('odradek_leaders{instance=~"$instance"}', '{{instance}} leads'),
        query('odradek_replicas{instance=~"$instance"}', '{{instance}} holds'),
      ],
    },
    {
      title: 'Requests that wait',
      kind: 'timeseries',
      unit: 'none',
      description: 'For replicas, for data, for the members of a group.',
      queries: [
        query('odradek_purgatory_size{instance=~"$instance"}', '{{instance}} {{operation}}'),
      ],
    },
    {
      title: 'Requests by API',
      kind: 'timeseries',
      unit: 'ops',
      description: 'Per second.',
      queries: [
        query(
          'sum by (api) (rate(odradek_requests_total{instance=~"$instance"}[1m])) > 0',
          '{{api}}',
        ),
      ],
    },
    {
      title: 'Connections that ended',
      kind: 'timeseries',
      unit: 'ops',
      description: 'By reason.',
      queries: [
        query(
          'sum by (reason) (rate(odradek_connections_closed_total{instance=~"$instance"}[5m]))',
          '{{reason}}',
        ),
      ],
    },
    {
      title: 'Clients',
      kind: 'table',
      unit: 'none',
      description: 'What they say they are (KIP-511).',
      queries: [
        query(
          'sum by (name, version) (odradek_client_software_connections{instance=~"$instance"})',
        ),
      ],
    },
    {
      title: 'Damage found',
      kind: 'timeseries',
      unit: 'none',
      redAt: 1,
      description:
        'refused: records that are not served. truncated: an unfinished write, harmless.',
      queries: [
        query(
          'sum by (instance, action) (odradek_log_corruptions_total{instance=~"$instance"})',
          '{{instance}} {{action}}',
        ),
      ],
    },
  ],
}

const TOPIC_DASHBOARD: DashboardPlan = {
  uid: 'odradek-topic',
  title: 'Odradek / Topic',
  description: 'How a topic is used, and how evenly.',
  variables: [TOPIC],
  panels: [
    {
      title: 'P_i(t): records in per second',
      kind: 'timeseries',
      unit: 'ops',
      width: 12,
      isStacked: true,
      description: 'Each partition, as its leader counts.',
      queries: [
        query(
          'sum by (topic, partition) ' +
            '(rate(odradek_partition_records_in_total{topic=~"$topic"}[1m]))',
          '{{topic}}-{{partition}}',
        ),
      ],
    },
    {
      title: 'Skew',
      kind: 'timeseries',
      unit: 'none',
      width: 12,
      description: 'The busiest partition against the mean: 1 is even.',
      queries: [
        query(
          'max by (topic) (rate(odradek_partition_records_in_total{topic=~"$topic"}[5m])) / ' +
            '(avg by (topic) (rate(odradek_partition_records_in_total{topic=~"$topic"}[5m])) > 0)',
          '{{topic}}',
        ),
      ],
    },
    {
      title: 'Size on all nodes',
      kind: 'timeseries',
      unit: 'bytes',
      isStacked: true,
      description: 'All replicas together.',
      queries: [query('sum by (topic) (odradek_log_size_bytes{topic=~"$topic"})', '{{topic}}')],
    },
    {
      title: 'Records that can be read',
      kind: 'timeseries',
      unit: 'short',
      description: 'From the start of the logs to the high watermarks.',
      queries: [
        query(
          'sum by (topic) (odradek_partition_high_watermark{topic=~"$topic"} - ' +
            'odradek_partition_log_start_offset{topic=~"$topic"})',
          '{{topic}}',
        ),
      ],
    },
    {
      title: 'Replicas in sync',
      kind: 'timeseries',
      unit: 'none',
      description: 'The fewest of all partitions.',
      queries: [query('min by (topic) (odradek_partition_isr_size{topic=~"$topic"})', '{{topic}}')],
    },
    {
      title: 'Codecs',
      kind: 'timeseries',
      unit: 'ops',
      description: 'Batches per second, by compression.',
      queries: [
        query(
          'sum by (codec) (rate(odradek_topic_batches_in_total{topic=~"$topic"}[5m]))',
          '{{codec}}',
        ),
      ],
    },
    {
      title: 'Records refused',
      kind: 'timeseries',
      unit: 'ops',
      description: 'By reason.',
      queries: [
        query(
          'sum by (topic, reason) ' +
            '(rate(odradek_topic_rejected_records_total{topic=~"$topic"}[5m]))',
          '{{topic}} {{reason}}',
        ),
      ],
    },
    {
      title: 'Bytes in and out',
      kind: 'timeseries',
      unit: 'Bps',
      description: 'By topic.',
      queries: [
        query(
          'sum by (topic) (rate(odradek_topic_bytes_in_total{topic=~"$topic"}[1m]))',
          '{{topic}} in',
        ),
        query(
          'sum by (topic) (rate(odradek_topic_bytes_out_total{topic=~"$topic"}[1m]))',
          '{{topic}} out',
        ),
      ],
    },
    {
      title: 'Segments',
      kind: 'timeseries',
      unit: 'none',
      description: 'On all nodes.',
      queries: [query('sum by (topic) (odradek_log_segments{topic=~"$topic"})', '{{topic}}')],
    },
  ],
}

const GROUPS: DashboardPlan = {
  uid: 'odradek-groups',
  title: 'Odradek / Groups',
  description: 'Who reads, and how far behind they are.',
  variables: [GROUP],
  panels: [
    {
      title: 'Lag in records',
      kind: 'timeseries',
      unit: 'short',
      width: 12,
      description: 'Committed offset against what can be read.',
      queries: [
        query(
          'sum by (group, topic) (odradek_group_lag_records{group=~"$group"})',
          '{{group}} {{topic}}',
        ),
      ],
    },
    {
      title: 'Lag in seconds',
      kind: 'timeseries',
      unit: 's',
      width: 12,
      description: 'Age of the oldest record that is not committed.',
      queries: [
        query(
          'max by (group, topic) (odradek_group_lag_seconds{group=~"$group"})',
          '{{group}} {{topic}}',
        ),
      ],
    },
    {
      title: 'Time to catch up',
      kind: 'timeseries',
      unit: 's',
      description: 'At the speed of the last ten minutes; nothing where the lag does not shrink.',
      queries: [
        query(
          'sum by (group) (odradek_group_lag_records{group=~"$group"}) / ' +
            '(-sum by (group) (deriv(odradek_group_lag_records{group=~"$group"}[10m])) > 0)',
          '{{group}}',
        ),
      ],
    },
    {
      title: 'Members',
      kind: 'timeseries',
      unit: 'none',
      description: 'By group.',
      queries: [query('sum by (group) (odradek_group_members{group=~"$group"})', '{{group}}')],
    },
    {
      title: 'Rebalances',
      kind: 'timeseries',
      unit: 'ops',
      description: 'By what made them necessary.',
      queries: [query('sum by (reason) (rate(odradek_group_rebalances_total[5m]))', '{{reason}}')],
    },
    {
      title: 'Groups by state',
      kind: 'table',
      unit: 'none',
      description: 'Of all coordinators.',
      queries: [query('sum by (state, protocol) (odradek_groups)')],
    },
    {
      title: 'Offset commits',
      kind: 'timeseries',
      unit: 'ops',
      description: 'Partitions per second, by result.',
      queries: [query('sum by (result) (rate(odradek_offset_commits_total[1m]))', '{{result}}')],
    },
    {
      title: 'Rebalance p99',
      kind: 'timeseries',
      unit: 's',
      description: 'From the first member that asked to the assignment.',
      queries: [
        query(
          'histogram_quantile(0.99, sum by (le) ' +
            '(rate(odradek_group_rebalance_seconds_bucket[10m])))',
          'p99',
        ),
      ],
    },
  ],
}

const QUORUM: DashboardPlan = {
  uid: 'odradek-quorum',
  title: 'Odradek / Quorum',
  description: 'The metadata log, and who leads it.',
  variables: [NODE],
  panels: [
    {
      title: 'Leader',
      kind: 'state-timeline',
      unit: 'none',
      width: 12,
      description: '1: this node leads.',
      queries: [query('odradek_controller_active', '{{instance}}')],
    },
    {
      title: 'Term',
      kind: 'timeseries',
      unit: 'none',
      width: 12,
      description: 'Rises by one or more with each change of the leader.',
      queries: [query('odradek_raft_term', '{{instance}}')],
    },
    {
      title: 'What each node has applied',
      kind: 'timeseries',
      unit: 'short',
      description: 'Offsets of the metadata log.',
      queries: [query('odradek_raft_applied_index', '{{instance}}')],
    },
    {
      title: 'Behind the commit index',
      kind: 'timeseries',
      unit: 'short',
      redAt: 100,
      description: 'Committed and not applied.',
      queries: [query('odradek_metadata_lag_entries', '{{instance}}')],
    },
    {
      title: 'Behind the leader',
      kind: 'timeseries',
      unit: 'short',
      description: 'As the leader sees the other voters.',
      queries: [query('odradek_raft_peer_lag_entries', 'node {{peer}}')],
    },
    {
      title: 'Changes of metadata',
      kind: 'timeseries',
      unit: 'ops',
      description: 'Records committed per second.',
      queries: [query('max(deriv(odradek_raft_commit_index[1m]))', 'records')],
    },
    {
      title: 'Nodes by state',
      kind: 'timeseries',
      unit: 'none',
      description: 'As the controller sees them.',
      queries: [query('odradek_controller_nodes', '{{state}}')],
    },
    {
      title: 'Replicas that fell behind',
      kind: 'timeseries',
      unit: 'ops',
      description: 'Changes of ISRs.',
      queries: [query('sum by (change) (rate(odradek_isr_changes_total[5m]))', '{{change}}')],
    },
    {
      title: 'Followers that have not caught up',
      kind: 'timeseries',
      unit: 's',
      description: 'The longest of their partitions.',
      queries: [query('max by (follower) (odradek_replica_lag_seconds)', 'node {{follower}}')],
    },
  ],
}

export const DASHBOARDS: readonly DashboardPlan[] = [
  CLUSTER,
  NODE_DASHBOARD,
  TOPIC_DASHBOARD,
  GROUPS,
  QUORUM,
]

function quantiles(api: string) {
  const buckets = `sum by (le) (rate(odradek_request_duration_seconds_bucket{api="${api}"}[5m]))`
  return [
    query(`histogram_quantile(0.5, ${buckets})`, 'p50'),
    query(`histogram_quantile(0.99, ${buckets})`, 'p99'),
  ]
}
