/** Groups and their coordinators. */
import {
  CLUSTER,
  FIXED,
  HIGH,
  int,
  LOW,
  list,
  long,
  MEDIUM,
  type Setting,
  short,
  text,
} from '../definition.ts'
import { anyList, atLeast, between, listOf, oneOfAnyCase } from '../validators.ts'

export const GROUPS_SETTINGS: readonly Setting[] = [
  int('group.consumer.assignment.interval.ms', 1000, atLeast(0), MEDIUM, CLUSTER).hasNoEffect(
    'groups of the consumer protocol (KIP-848) are not in this release.',
  ),
  list(
    'group.consumer.assignors',
    'uniform,range',
    anyList('null', 'empty', 'duplicates'),
    MEDIUM,
    FIXED,
  ).hasNoEffect('groups of the consumer protocol (KIP-848) are not in this release.'),
  int('group.consumer.heartbeat.interval.ms', 5000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'groups of the consumer protocol (KIP-848) are not in this release.',
  ),
  int('group.consumer.max.assignment.interval.ms', 15_000, atLeast(0), MEDIUM, FIXED).hasNoEffect(
    'groups of the consumer protocol (KIP-848) are not in this release.',
  ),
  int('group.consumer.max.heartbeat.interval.ms', 15_000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'groups of the consumer protocol (KIP-848) are not in this release.',
  ),
  int('group.consumer.max.session.timeout.ms', 60_000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'groups of the consumer protocol (KIP-848) are not in this release.',
  ),
  int('group.consumer.max.size', 2_147_483_647, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'groups of the consumer protocol (KIP-848) are not in this release.',
  ),
  text(
    'group.consumer.migration.policy',
    'bidirectional',
    oneOfAnyCase('DISABLED', 'DOWNGRADE', 'UPGRADE', 'BIDIRECTIONAL'),
    MEDIUM,
    FIXED,
  ).hasNoEffect('groups of the consumer protocol (KIP-848) are not in this release.'),
  int('group.consumer.min.assignment.interval.ms', 0, atLeast(0), MEDIUM, FIXED).hasNoEffect(
    'groups of the consumer protocol (KIP-848) are not in this release.',
  ),
  int('group.consumer.min.heartbeat.interval.ms', 5000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'groups of the consumer protocol (KIP-848) are not in this release.',
  ),
  int('group.consumer.min.session.timeout.ms', 45_000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'groups of the consumer protocol (KIP-848) are not in this release.',
  ),
  int(
    'group.consumer.regex.refresh.interval.ms',
    600_000,
    atLeast(10_000),
    MEDIUM,
    FIXED,
  ).hasNoEffect('groups of the consumer protocol (KIP-848) are not in this release.', {
    isInternal: true,
  }),
  int('group.consumer.session.timeout.ms', 45_000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'groups of the consumer protocol (KIP-848) are not in this release.',
  ),
  int('group.coordinator.append.linger.ms', -1, atLeast(-1), MEDIUM, FIXED).hasNoEffect(
    'a coordinator gathers records for one turn of the loop.',
  ),
  int('group.coordinator.background.threads', 2, atLeast(1), HIGH, FIXED).hasNoEffect(
    'a node is one process with one event loop; run more nodes to use more cores.',
  ),
  int(
    'group.coordinator.cached.buffer.max.bytes',
    1_048_588,
    atLeast(524_288),
    MEDIUM,
    CLUSTER,
  ).hasNoEffect('a coordinator keeps one buffer of its own size.'),
  list(
    'group.coordinator.rebalance.protocols',
    'classic,consumer,streams',
    listOf(['consumer', 'classic', 'share', 'streams'], 'null', 'empty', 'duplicates'),
    MEDIUM,
    FIXED,
  ).hasNoEffect('this release serves classic groups.'),
  int('group.coordinator.threads', 4, atLeast(1), HIGH, FIXED).hasNoEffect(
    'a node is one process with one event loop; run more nodes to use more cores.',
  ),
  int('group.initial.rebalance.delay.ms', 3000, null, MEDIUM, FIXED).is(
    'How long the first rebalance of an empty group waits for more members.',
  ),
  int('group.max.session.timeout.ms', 1_800_000, null, MEDIUM, FIXED).is(
    'The longest session timeout that a member may ask for.',
  ),
  int('group.max.size', 2_147_483_647, atLeast(1), MEDIUM, FIXED).is(
    'At most this many members are in one group.',
  ),
  int('group.min.session.timeout.ms', 6000, null, MEDIUM, FIXED).is(
    'The shortest session timeout that a member may ask for.',
  ),
  int('group.share.assignment.interval.ms', 1000, atLeast(0), MEDIUM, CLUSTER).hasNoEffect(
    'share groups are not in this release.',
  ),
  list(
    'group.share.assignors',
    'simple',
    anyList('null', 'empty', 'duplicates'),
    MEDIUM,
    FIXED,
  ).hasNoEffect('share groups are not in this release.'),
  int('group.share.delivery.count.limit', 5, between(2, 10), MEDIUM, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
  int('group.share.heartbeat.interval.ms', 5000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
  int('group.share.initialize.retry.interval.ms', 30_000, atLeast(1), LOW, FIXED).hasNoEffect(
    'share groups are not in this release.',
    { isInternal: true },
  ),
  int('group.share.max.assignment.interval.ms', 15_000, atLeast(0), MEDIUM, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
  int('group.share.max.delivery.count.limit', 10, between(5, 25), MEDIUM, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
  int('group.share.max.heartbeat.interval.ms', 15_000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
  int(
    'group.share.max.partition.max.record.locks',
    4000,
    between(2000, 10_000),
    MEDIUM,
    FIXED,
  ).hasNoEffect('share groups are not in this release.'),
  int(
    'group.share.max.record.lock.duration.ms',
    60_000,
    between(30_000, 3_600_000),
    MEDIUM,
    FIXED,
  ).hasNoEffect('share groups are not in this release.'),
  int('group.share.max.session.timeout.ms', 60_000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
  int('group.share.max.share.sessions', 2000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
  int('group.share.max.size', 200, between(1, 1000), MEDIUM, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
  int('group.share.min.assignment.interval.ms', 0, atLeast(0), MEDIUM, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
  int('group.share.min.delivery.count.limit', 2, between(2, 5), MEDIUM, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
  int('group.share.min.heartbeat.interval.ms', 5000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
  int(
    'group.share.min.partition.max.record.locks',
    100,
    between(100, 2000),
    MEDIUM,
    FIXED,
  ).hasNoEffect('share groups are not in this release.'),
  int(
    'group.share.min.record.lock.duration.ms',
    15_000,
    between(1000, 30_000),
    MEDIUM,
    FIXED,
  ).hasNoEffect('share groups are not in this release.'),
  int('group.share.min.session.timeout.ms', 45_000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
  int(
    'group.share.partition.max.record.locks',
    2000,
    between(100, 10_000),
    MEDIUM,
    FIXED,
  ).hasNoEffect('share groups are not in this release.'),
  text(
    'group.share.persister.class.name',
    'org.apache.kafka.server.share.persister.DefaultStatePersister',
    null,
    MEDIUM,
    FIXED,
  ).hasNoEffect('share groups are not in this release.', { isInternal: true }),
  int(
    'group.share.record.lock.duration.ms',
    30_000,
    between(1000, 3_600_000),
    MEDIUM,
    FIXED,
  ).hasNoEffect('share groups are not in this release.'),
  int('group.share.session.timeout.ms', 45_000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
  int('group.streams.assignment.interval.ms', 1000, atLeast(0), MEDIUM, CLUSTER).hasNoEffect(
    'streams groups are not in this release.',
  ),
  int('group.streams.heartbeat.interval.ms', 5000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'streams groups are not in this release.',
  ),
  int('group.streams.initial.rebalance.delay.ms', 3000, atLeast(0), MEDIUM, FIXED).hasNoEffect(
    'streams groups are not in this release.',
  ),
  int('group.streams.max.assignment.interval.ms', 15_000, atLeast(0), MEDIUM, FIXED).hasNoEffect(
    'streams groups are not in this release.',
  ),
  int('group.streams.max.heartbeat.interval.ms', 15_000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'streams groups are not in this release.',
  ),
  int('group.streams.max.session.timeout.ms', 60_000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'streams groups are not in this release.',
  ),
  int('group.streams.max.size', 2_147_483_647, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'streams groups are not in this release.',
  ),
  int('group.streams.max.standby.replicas', 2, atLeast(0), MEDIUM, FIXED).hasNoEffect(
    'streams groups are not in this release.',
  ),
  int('group.streams.min.assignment.interval.ms', 0, atLeast(0), MEDIUM, FIXED).hasNoEffect(
    'streams groups are not in this release.',
  ),
  int('group.streams.min.heartbeat.interval.ms', 5000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'streams groups are not in this release.',
  ),
  int('group.streams.min.session.timeout.ms', 45_000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'streams groups are not in this release.',
  ),
  int('group.streams.num.standby.replicas', 0, atLeast(0), MEDIUM, FIXED).hasNoEffect(
    'streams groups are not in this release.',
  ),
  int('group.streams.session.timeout.ms', 45_000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'streams groups are not in this release.',
  ),
  int('offset.metadata.max.bytes', 4096, null, HIGH, FIXED).is(
    'The longest note that may be stored with a committed offset.',
  ),
  int('offsets.commit.timeout.ms', 5000, atLeast(1), HIGH, FIXED).is(
    'A commit that is not replicated within this time is answered with an error.',
  ),
  int('offsets.load.buffer.size', 5_242_880, atLeast(1), HIGH, FIXED).hasNoEffect(
    'a coordinator reads with buffers of its own size.',
  ),
  long('offsets.retention.check.interval.ms', 600_000, atLeast(1), HIGH, FIXED).is(
    'How often expired offsets are looked for.',
  ),
  int('offsets.retention.minutes', 10_080, atLeast(1), HIGH, FIXED).is(
    'Offsets of a group without members are kept for this long.',
  ),
  int('offsets.topic.compression.codec', 0, null, HIGH, FIXED).hasNoEffect(
    'coordinators write batches without compression.',
  ),
  int('offsets.topic.num.partitions', 50, atLeast(1), HIGH, FIXED).is(
    'Partitions of __consumer_offsets, when it is made.',
  ),
  short('offsets.topic.replication.factor', 3, atLeast(1), HIGH, FIXED).is(
    'Replicas of __consumer_offsets, when it is made; never more than there are brokers.',
  ),
  int('offsets.topic.segment.bytes', 104_857_600, atLeast(1), HIGH, FIXED).is(
    'Segment size of __consumer_offsets, when it is made.',
  ),
  int('share.coordinator.append.linger.ms', -1, atLeast(-1), MEDIUM, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
  int(
    'share.coordinator.cached.buffer.max.bytes',
    1_048_588,
    atLeast(524_288),
    MEDIUM,
    CLUSTER,
  ).hasNoEffect('share groups are not in this release.'),
  int(
    'share.coordinator.cold.partition.snapshot.interval.ms',
    300_000,
    atLeast(1),
    LOW,
    FIXED,
  ).hasNoEffect('share groups are not in this release.', { isInternal: true }),
  int('share.coordinator.load.buffer.size', 5_242_880, atLeast(1), HIGH, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
  int(
    'share.coordinator.snapshot.update.records.per.snapshot',
    500,
    between(0, 500),
    MEDIUM,
    FIXED,
  ).hasNoEffect('share groups are not in this release.'),
  int('share.coordinator.state.topic.compression.codec', 0, null, HIGH, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
  short('share.coordinator.state.topic.min.isr', 2, atLeast(1), HIGH, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
  int('share.coordinator.state.topic.num.partitions', 50, atLeast(1), HIGH, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
  int(
    'share.coordinator.state.topic.prune.interval.ms',
    300_000,
    atLeast(1),
    LOW,
    FIXED,
  ).hasNoEffect('share groups are not in this release.', { isInternal: true }),
  short('share.coordinator.state.topic.replication.factor', 3, atLeast(1), HIGH, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
  int(
    'share.coordinator.state.topic.segment.bytes',
    104_857_600,
    atLeast(1),
    HIGH,
    FIXED,
  ).hasNoEffect('share groups are not in this release.'),
  int('share.coordinator.threads', 1, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'a node is one process with one event loop; run more nodes to use more cores.',
  ),
  int('share.coordinator.write.timeout.ms', 5000, atLeast(1), HIGH, FIXED).hasNoEffect(
    'share groups are not in this release.',
  ),
]
