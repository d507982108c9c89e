/** Nodes, controllers, the metadata quorum. */
import {
  bool,
  FIXED,
  HIGH,
  int,
  LONG_MAX,
  LOW,
  list,
  long,
  MEDIUM,
  type Setting,
  text,
} from '../definition.ts'
import { anyList, atLeast, listOf } from '../validators.ts'

export const CLUSTER_SETTINGS: readonly Setting[] = [
  int('broker.heartbeat.interval.ms', 200, atLeast(10), MEDIUM, FIXED).is(
    'How often a broker tells the controller that it lives.',
    {
      deviation: {
        kafkaDefault: '2000',
        reason: 'six heartbeats fit into a session, so that one that is late fences nobody',
      },
    },
  ),
  int('broker.id', -1, null, HIGH, FIXED).is(
    'An old name of node.id; if both are set they must agree.',
  ),
  text('broker.rack', null, null, MEDIUM, FIXED).is(
    'Where this node stands; replicas of a partition are spread over racks.',
  ),
  int('broker.session.timeout.ms', 1200, atLeast(50), MEDIUM, FIXED).is(
    'A broker that was silent for this long is fenced: it leads nothing until it is heard again.',
    {
      deviation: {
        kafkaDefault: '9000',
        reason: 'a new leader is to answer in under 1.5 s when a node falls silent',
      },
    },
  ),
  long(
    'controller.performance.always.log.threshold.ms',
    2000,
    atLeast(0),
    MEDIUM,
    FIXED,
  ).hasNoEffect('the figures of the controller are metrics.', { isInternal: true }),
  long('controller.performance.sample.period.ms', 60_000, atLeast(100), MEDIUM, FIXED).hasNoEffect(
    'the figures of the controller are metrics.',
    { isInternal: true },
  ),
  int('controller.quorum.append.linger.ms', 25, atLeast(0), MEDIUM, FIXED).hasNoEffect(
    'records that arrive while a sync runs share the next one.',
  ),
  bool('controller.quorum.auto.join.enable', false, null, LOW, FIXED).hasNoEffect(
    'voters are listed in controller.quorum.voters.',
  ),
  list(
    'controller.quorum.bootstrap.servers',
    '',
    anyList('null', 'duplicates'),
    HIGH,
    FIXED,
  ).hasNoEffect('voters are listed in controller.quorum.voters.'),
  int('controller.quorum.election.backoff.max.ms', 1000, atLeast(0), HIGH, FIXED).hasNoEffect(
    'a pre-vote comes before each election, so elections do not disturb each other.',
  ),
  int('controller.quorum.election.timeout.ms', 1000, atLeast(0), HIGH, FIXED).hasNoEffect(
    'a follower that hears nothing of a leader asks for an election after 1 to 1.5 s.',
  ),
  int('controller.quorum.fetch.max.bytes', 1_048_576, atLeast(1), LOW, FIXED).hasNoEffect(
    'the leader sends metadata to its followers.',
  ),
  int('controller.quorum.fetch.snapshot.max.bytes', 1_048_576, atLeast(1), LOW, FIXED).hasNoEffect(
    'the leader sends metadata to its followers.',
  ),
  int('controller.quorum.fetch.timeout.ms', 2000, atLeast(0), HIGH, FIXED).hasNoEffect(
    'the leader sends metadata to its followers.',
  ),
  int('controller.quorum.request.timeout.ms', 2000, atLeast(0), MEDIUM, FIXED).hasNoEffect(
    'messages of the quorum travel on long-lived streams.',
  ),
  int('controller.quorum.retry.backoff.ms', 20, atLeast(0), LOW, FIXED).hasNoEffect(
    'messages of the quorum travel on long-lived streams.',
  ),
  list('controller.quorum.voters', '', anyList('null', 'duplicates'), HIGH, FIXED).is(
    'All voters of the metadata, as id@host:port separated by commas. When not set, this ' +
      'node votes alone.',
  ),
  int('controller.quota.window.num', 11, atLeast(1), LOW, FIXED).hasNoEffect(
    'this release has no quotas.',
  ),
  int('controller.quota.window.size.seconds', 1, atLeast(1), LOW, FIXED).hasNoEffect(
    'this release has no quotas.',
  ),
  int('controller.socket.timeout.ms', 30_000, null, MEDIUM, FIXED).hasNoEffect(
    'nodes talk to the controller on long-lived streams.',
  ),
  int('initial.broker.registration.timeout.ms', 60_000, null, MEDIUM, FIXED).is(
    'A starting broker that no controller has let in after this long ends.',
  ),
  long('internal.metadata.delete.delay.millis', 60_000, null, LOW, FIXED).hasNoEffect(
    'the metadata log is kept whole in this release.',
    { isInternal: true },
  ),
  int('internal.metadata.log.segment.bytes', null, null, LOW, FIXED).hasNoEffect(
    'metadata.log.segment.bytes decides.',
    { isInternal: true },
  ),
  int('internal.metadata.max.batch.size.in.bytes', 8_388_608, null, LOW, FIXED).hasNoEffect(
    'one change of metadata is one batch.',
    { isInternal: true },
  ),
  text('metadata.log.dir', null, null, HIGH, FIXED).is(
    'Directory of the metadata log; when not set, the first of log.dirs.',
  ),
  long(
    'metadata.log.max.record.bytes.between.snapshots',
    20_971_520,
    atLeast(1),
    HIGH,
    FIXED,
  ).hasNoEffect('the metadata log is read whole at each start, without snapshots.'),
  long('metadata.log.max.snapshot.interval.ms', 3_600_000, atLeast(0), HIGH, FIXED).hasNoEffect(
    'the metadata log is read whole at each start, without snapshots.',
  ),
  int('metadata.log.segment.bytes', 1_073_741_824, atLeast(8_388_608), HIGH, FIXED).hasNoEffect(
    'the metadata log is kept whole in this release.',
  ),
  long('metadata.log.segment.ms', 604_800_000, null, HIGH, FIXED).hasNoEffect(
    'the metadata log is kept whole in this release.',
  ),
  int('metadata.max.idle.interval.ms', 500, atLeast(0), LOW, FIXED).hasNoEffect(
    'an idle metadata log needs no records; heartbeats show that its leader lives.',
  ),
  long('metadata.max.retention.bytes', 104_857_600, null, HIGH, FIXED).hasNoEffect(
    'the metadata log is kept whole in this release.',
  ),
  long('metadata.max.retention.ms', 604_800_000, null, HIGH, FIXED).hasNoEffect(
    'the metadata log is kept whole in this release.',
  ),
  int('node.id', null, atLeast(0), HIGH, FIXED).is(
    'The number of this node, unique in the cluster and the same for ever.',
  ),
  list(
    'process.roles',
    'broker,controller',
    listOf(['broker', 'controller'], 'null', 'empty', 'duplicates'),
    HIGH,
    FIXED,
  ).is('What this node is: `broker` serves clients, `controller` votes on metadata.', {
    deviation: { kafkaDefault: null, reason: 'a node that runs alone needs no more' },
  }),
  long('server.max.startup.time.ms', LONG_MAX, atLeast(0), MEDIUM, FIXED).hasNoEffect(
    'a start that hangs is for the supervisor to end.',
    { isInternal: true },
  ),
]
