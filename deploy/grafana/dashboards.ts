/** The dashboards: cluster, node, topic, groups, quorum. Tested: their queries. */
import { CLUSTER } from './cluster-dashboard.ts'
import { GROUPS } from './groups-dashboard.ts'
import { NODE_DASHBOARD } from './node-dashboard.ts'
import type { DashboardPlan } from './panels.ts'
import { QUORUM } from './quorum-dashboard.ts'
import { TOPIC_DASHBOARD } from './topic-dashboard.ts'

export const DASHBOARDS: readonly DashboardPlan[] = [
  CLUSTER,
  NODE_DASHBOARD,
  TOPIC_DASHBOARD,
  GROUPS,
  QUORUM,
]
