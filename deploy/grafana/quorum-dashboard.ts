/** The dashboard of the metadata log, of who leads it, and of calls between nodes. */
import { type DashboardPlan, query, type Variable } from './panels.ts'

const NODE: Variable = { name: 'instance', metric: 'odradek_node_info', label: 'instance' }

export const QUORUM: DashboardPlan = {
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
    {
      title: 'Round trip p99',
      kind: 'timeseries',
      unit: 's',
      description: "From a heartbeat of the leader to the other voter's answer.",
      queries: [quantile('odradek_raft_peer_rtt_seconds', 'peer', 'node {{peer}}')],
    },
    {
      title: 'Sync of the metadata log p99',
      kind: 'timeseries',
      unit: 's',
      description: 'What each change of metadata waits for, on a majority.',
      queries: [quantile('odradek_raft_fsync_seconds', 'instance', '{{instance}}')],
    },
    {
      title: 'Proposals p99',
      kind: 'timeseries',
      unit: 's',
      description: 'From a change that is proposed until it is applied, where it is proposed.',
      queries: [quantile('odradek_raft_proposal_seconds', 'instance', '{{instance}}')],
    },
    {
      title: 'Elections',
      kind: 'timeseries',
      unit: 'none',
      description: 'How those ended in which a node stood.',
      queries: [
        query('sum by (result) (increase(odradek_raft_elections_total[5m]))', '{{result}}'),
      ],
    },
    {
      title: 'Snapshots',
      kind: 'timeseries',
      unit: 'none',
      description: 'Of the metadata: written here, sent to others, put in force.',
      queries: [
        query('sum by (direction) (increase(odradek_raft_snapshots_total[1h]))', '{{direction}}'),
      ],
    },
    {
      title: 'Calls between nodes p99',
      kind: 'timeseries',
      unit: 's',
      description: 'By method, until they are answered or fail.',
      queries: [quantile('odradek_rpc_client_seconds', 'method', '{{method}}')],
    },
    {
      title: 'Failed calls between nodes',
      kind: 'timeseries',
      unit: 'ops',
      description: 'Calls and streams that ended with an error, by method and code.',
      queries: [
        query('sum by (method, code) (rate(odradek_rpc_errors_total[5m]))', '{{method}}: {{code}}'),
      ],
    },
  ],
}

function quantile(metric: string, by: string, legend: string) {
  const rates = `sum by (${by}, le) (rate(${metric}_bucket[5m]))`
  return query(`histogram_quantile(0.99, ${rates})`, legend)
}
