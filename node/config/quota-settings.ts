/** Quotas of users, clients and addresses. */
import { CLUSTER, double, int, LONG_MAX, long, MEDIUM, type Setting } from './definition.ts'
import { atLeast } from './validators.ts'

export const QUOTA_SETTINGS: readonly Setting[] = [
  int('connection_creation_rate', 2_147_483_647, atLeast(0), MEDIUM, CLUSTER).hasNoEffect(
    'this release has no quotas.',
  ),
  long('consumer_byte_rate', LONG_MAX, null, MEDIUM, CLUSTER).hasNoEffect(
    'this release has no quotas.',
  ),
  double('controller_mutation_rate', '2.147483647E9', null, MEDIUM, CLUSTER).hasNoEffect(
    'this release has no quotas.',
  ),
  long('producer_byte_rate', LONG_MAX, null, MEDIUM, CLUSTER).hasNoEffect(
    'this release has no quotas.',
  ),
  double('request_percentage', '2.147483647E9', null, MEDIUM, CLUSTER).hasNoEffect(
    'this release has no quotas.',
  ),
]
