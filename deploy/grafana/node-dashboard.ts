/** The dashboard of one process: what it does and what it costs. */
import { type DashboardPlan, query, type Variable } from './panels.ts'

const NODE: Variable = { name: 'instance', metric: 'odradek_node_info', label: 'instance' }

export const NODE_DASHBOARD: DashboardPlan = {
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
