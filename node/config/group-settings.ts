/** Settings of a group; the broker settings of the same meaning give the defaults. */
import { bool, CLUSTER, int, MEDIUM, type Setting, text } from './definition.ts'
import { atLeast, oneOf, shareOffsetReset } from './validators.ts'

export const GROUP_SETTINGS: readonly Setting[] = [
  int('consumer.assignment.interval.ms', 1000, atLeast(0), MEDIUM, CLUSTER).hasNoEffect(
    'groups of the consumer protocol (KIP-848) are not in this release.',
    { synonyms: ['group.consumer.assignment.interval.ms'] },
  ),
  int('consumer.heartbeat.interval.ms', 5000, atLeast(1), MEDIUM, CLUSTER).hasNoEffect(
    'groups of the consumer protocol (KIP-848) are not in this release.',
    { synonyms: ['group.consumer.heartbeat.interval.ms'] },
  ),
  int('consumer.session.timeout.ms', 45_000, atLeast(1), MEDIUM, CLUSTER).hasNoEffect(
    'groups of the consumer protocol (KIP-848) are not in this release.',
    { synonyms: ['group.consumer.session.timeout.ms'] },
  ),
  int('share.assignment.interval.ms', 1000, atLeast(0), MEDIUM, CLUSTER).hasNoEffect(
    'share groups are not in this release.',
    { synonyms: ['group.share.assignment.interval.ms'] },
  ),
  text('share.auto.offset.reset', 'latest', shareOffsetReset, MEDIUM, CLUSTER).hasNoEffect(
    'share groups are not in this release.',
  ),
  int('share.delivery.count.limit', 5, atLeast(2), MEDIUM, CLUSTER).hasNoEffect(
    'share groups are not in this release.',
    { synonyms: ['group.share.delivery.count.limit'] },
  ),
  int('share.heartbeat.interval.ms', 5000, atLeast(1), MEDIUM, CLUSTER).hasNoEffect(
    'share groups are not in this release.',
    { synonyms: ['group.share.heartbeat.interval.ms'] },
  ),
  text(
    'share.isolation.level',
    'read_uncommitted',
    oneOf('read_committed', 'read_uncommitted'),
    MEDIUM,
    CLUSTER,
  ).hasNoEffect('share groups are not in this release.'),
  int('share.partition.max.record.locks', 2000, atLeast(100), MEDIUM, CLUSTER).hasNoEffect(
    'share groups are not in this release.',
    { synonyms: ['group.share.partition.max.record.locks'] },
  ),
  int('share.record.lock.duration.ms', 30_000, atLeast(1000), MEDIUM, CLUSTER).hasNoEffect(
    'share groups are not in this release.',
    { synonyms: ['group.share.record.lock.duration.ms'] },
  ),
  bool('share.renew.acknowledge.enable', true, null, MEDIUM, CLUSTER).hasNoEffect(
    'share groups are not in this release.',
  ),
  int('share.session.timeout.ms', 45_000, atLeast(1), MEDIUM, CLUSTER).hasNoEffect(
    'share groups are not in this release.',
    { synonyms: ['group.share.session.timeout.ms'] },
  ),
  int('streams.assignment.interval.ms', 1000, atLeast(0), MEDIUM, CLUSTER).hasNoEffect(
    'streams groups are not in this release.',
    { synonyms: ['group.streams.assignment.interval.ms'] },
  ),
  int('streams.heartbeat.interval.ms', 5000, atLeast(1), MEDIUM, CLUSTER).hasNoEffect(
    'streams groups are not in this release.',
    { synonyms: ['group.streams.heartbeat.interval.ms'] },
  ),
  int('streams.initial.rebalance.delay.ms', 3000, atLeast(0), MEDIUM, CLUSTER).hasNoEffect(
    'streams groups are not in this release.',
    { synonyms: ['group.streams.initial.rebalance.delay.ms'] },
  ),
  int('streams.num.standby.replicas', 0, atLeast(0), MEDIUM, CLUSTER).hasNoEffect(
    'streams groups are not in this release.',
    { synonyms: ['group.streams.num.standby.replicas'] },
  ),
  int('streams.session.timeout.ms', 45_000, atLeast(1), MEDIUM, CLUSTER).hasNoEffect(
    'streams groups are not in this release.',
    { synonyms: ['group.streams.session.timeout.ms'] },
  ),
]
