/** The dashboard of groups: who reads, and how far behind. */
import { type DashboardPlan, query, type Variable } from './panels.ts'

const GROUP: Variable = { name: 'group', metric: 'odradek_group_members', label: 'group' }

export const GROUPS: DashboardPlan = {
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
