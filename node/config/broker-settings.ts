/** All settings of a broker: Kafka's, by subject, and ours. */
import { CLUSTER_SETTINGS } from './broker/cluster.ts'
import { GROUPS_SETTINGS } from './broker/groups.ts'
import { LOG_SETTINGS } from './broker/log.ts'
import { NETWORK_SETTINGS } from './broker/network.ts'
import { OWN_SETTINGS } from './broker/own.ts'
import { SECURITY_SETTINGS } from './broker/security.ts'
import { TIERED_SETTINGS } from './broker/tiered.ts'
import { TOPICS_SETTINGS } from './broker/topics.ts'
import { TRANSACTIONS_SETTINGS } from './broker/transactions.ts'
import type { Setting } from './definition.ts'

const byName = (one: Setting, other: Setting) => (one.name < other.name ? -1 : 1)

/** By name. */
export const BROKER_SETTINGS: readonly Setting[] = [
  ...CLUSTER_SETTINGS,
  ...GROUPS_SETTINGS,
  ...LOG_SETTINGS,
  ...NETWORK_SETTINGS,
  ...OWN_SETTINGS,
  ...SECURITY_SETTINGS,
  ...TIERED_SETTINGS,
  ...TOPICS_SETTINGS,
  ...TRANSACTIONS_SETTINGS,
].sort(byName)

/** Names of one thing in several units, the preferred first. */
const FAMILIES: readonly (readonly string[])[] = [
  ['log.retention.ms', 'log.retention.minutes', 'log.retention.hours'],
  ['log.roll.ms', 'log.roll.hours'],
  ['log.roll.jitter.ms', 'log.roll.jitter.hours'],
]

const FLUSH_FAMILY = ['log.flush.interval.ms', 'log.flush.scheduler.interval.ms']

/** The names under which DescribeConfigs looks for a broker setting, its own included. */
export function brokerSynonyms(name: string): readonly string[] {
  if (name === FLUSH_FAMILY[0]) return FLUSH_FAMILY
  return FAMILIES.find((family) => family.includes(name)) ?? [name]
}
