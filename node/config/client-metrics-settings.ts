/** Settings of a subscription to metrics of clients (KIP-714). */
import { CLUSTER, int, list, MEDIUM, type Setting } from './definition.ts'
import { anyList } from './validators.ts'

export const CLIENT_METRICS_SETTINGS: readonly Setting[] = [
  int('interval.ms', 300_000, null, MEDIUM, CLUSTER).hasNoEffect(
    'clients are not asked for telemetry.',
  ),
  list('match', '', anyList('null', 'duplicates'), MEDIUM, CLUSTER).hasNoEffect(
    'clients are not asked for telemetry.',
  ),
  list('metrics', '', anyList('null', 'duplicates'), MEDIUM, CLUSTER).hasNoEffect(
    'clients are not asked for telemetry.',
  ),
]
