/** Topics, replication, fetching, metrics. */
import {
  bool,
  CLUSTER,
  className,
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
import { anyList, atLeast } from '../validators.ts'

export const TOPICS_SETTINGS: readonly Setting[] = [
  className('alter.config.policy.class.name', null, null, LOW, FIXED).hasNoEffect(
    'classes of the JVM can not be loaded.',
  ),
  int('alter.log.dirs.replication.quota.window.num', 11, atLeast(1), LOW, FIXED).hasNoEffect(
    'this release has no quotas.',
  ),
  int(
    'alter.log.dirs.replication.quota.window.size.seconds',
    1,
    atLeast(1),
    LOW,
    FIXED,
  ).hasNoEffect('this release has no quotas.'),
  bool('auto.create.topics.enable', true, null, HIGH, FIXED).is(
    'Whether a client that asks for a topic that does not exist makes it.',
  ),
  bool('auto.leader.rebalance.enable', true, null, HIGH, FIXED).is(
    'Whether the controller gives partitions back to their preferred leaders from time to time.',
  ),
  className('client.quota.callback.class', null, null, LOW, FIXED).hasNoEffect(
    'this release has no quotas.',
  ),
  list('config.providers', '', anyList('null', 'duplicates'), LOW, CLUSTER).hasNoEffect(
    'values are read as they are written.',
  ),
  bool('controlled.shutdown.enable', true, null, MEDIUM, FIXED).is(
    'Whether a node that is told to stop moves its leaderships to other nodes first.',
  ),
  className('create.topic.policy.class.name', null, null, LOW, FIXED).hasNoEffect(
    'classes of the JVM can not be loaded.',
  ),
  int('default.replication.factor', 1, null, MEDIUM, FIXED).is(
    'Replicas of a topic that was made without saying how many.',
  ),
  int('delete.records.purgatory.purge.interval.requests', 1, null, MEDIUM, FIXED).hasNoEffect(
    'requests that wait are held in lists that need no purge.',
  ),
  bool('delete.topic.enable', true, null, HIGH, FIXED).is('Whether topics may be deleted.'),
  int('fetch.max.bytes', 57_671_680, atLeast(1024), MEDIUM, FIXED).is(
    'The largest answer to a fetch, whatever the client asks for.',
  ),
  int('fetch.purgatory.purge.interval.requests', 1000, null, MEDIUM, FIXED).hasNoEffect(
    'requests that wait are held in lists that need no purge.',
  ),
  bool('follower.fetch.last.tiered.offset.enable', false, null, MEDIUM, CLUSTER).hasNoEffect(
    'there is no tiered storage.',
  ),
  long('follower.replication.throttled.rate', LONG_MAX, atLeast(0), MEDIUM, CLUSTER).hasNoEffect(
    'this release has no quotas.',
    { isDynamicOnly: true },
  ),
  int('kafka.metrics.polling.interval.secs', 10, atLeast(1), LOW, FIXED).hasNoEffect(
    'metrics are read from /metrics on the HTTP address.',
  ),
  list('kafka.metrics.reporters', '', anyList('null', 'duplicates'), LOW, FIXED).hasNoEffect(
    'metrics are read from /metrics on the HTTP address.',
  ),
  long('leader.imbalance.check.interval.seconds', 300, atLeast(1), HIGH, FIXED).is(
    'How often partitions are given back to their preferred leaders.',
  ),
  long('leader.replication.throttled.rate', LONG_MAX, atLeast(0), MEDIUM, CLUSTER).is(
    'Bytes a second that followers which catch up with throttled replicas get from this broker.',
    { isDynamicOnly: true },
  ),
  int('max.connection.creation.rate', 2_147_483_647, atLeast(0), MEDIUM, CLUSTER).hasNoEffect(
    'accepting a connection is cheap here and bounded by max.connections.',
  ),
  int('max.connections', 2_147_483_647, atLeast(0), MEDIUM, CLUSTER).is(
    'At most this many client connections are open at a time.',
  ),
  int('max.connections.per.ip', 2_147_483_647, atLeast(0), MEDIUM, CLUSTER).is(
    'At most this many client connections are open from one address.',
  ),
  text('max.connections.per.ip.overrides', '', null, MEDIUM, CLUSTER).hasNoEffect(
    'max.connections.per.ip holds for every address.',
  ),
  int('max.incremental.fetch.session.cache.slots', 1000, atLeast(0), MEDIUM, FIXED).is(
    'Fetch sessions that are kept; a client without one sends all its partitions each ' + 'time.',
  ),
  int('max.request.partition.size.limit', 2000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'an answer describes at most 2,000 partitions.',
  ),
  list(
    'metric.reporters',
    'org.apache.kafka.common.metrics.JmxReporter',
    anyList('null', 'duplicates'),
    LOW,
    CLUSTER,
  ).hasNoEffect('metrics are read from /metrics on the HTTP address.'),
  int('metrics.num.samples', 2, atLeast(1), LOW, FIXED).hasNoEffect(
    'metrics are read from /metrics on the HTTP address.',
  ),
  text('metrics.recording.level', 'INFO', null, LOW, FIXED).hasNoEffect(
    'metrics are read from /metrics on the HTTP address.',
  ),
  long('metrics.sample.window.ms', 30_000, atLeast(1), LOW, FIXED).hasNoEffect(
    'metrics are read from /metrics on the HTTP address.',
  ),
  int('num.partitions', 1, atLeast(1), MEDIUM, FIXED).is(
    'Partitions of a topic that was made without saying how many.',
  ),
  int('num.replica.alter.log.dirs.threads', null, null, HIGH, FIXED).hasNoEffect(
    'a node is one process with one event loop; run more nodes to use more cores.',
  ),
  int('num.replica.fetchers', 1, atLeast(1), HIGH, CLUSTER).hasNoEffect(
    'a node is one process with one event loop; run more nodes to use more cores.',
  ),
  int('producer.purgatory.purge.interval.requests', 1000, null, MEDIUM, FIXED).hasNoEffect(
    'requests that wait are held in lists that need no purge.',
  ),
  int('quota.window.num', 11, atLeast(1), LOW, FIXED).hasNoEffect('this release has no quotas.'),
  int('quota.window.size.seconds', 1, atLeast(1), LOW, FIXED).hasNoEffect(
    'this release has no quotas.',
  ),
  long(
    'replica.alter.log.dirs.io.max.bytes.per.second',
    LONG_MAX,
    atLeast(0),
    MEDIUM,
    CLUSTER,
  ).hasNoEffect('replicas are not moved between directories.', { isDynamicOnly: true }),
  int('replica.fetch.backoff.ms', 1000, atLeast(0), MEDIUM, FIXED).hasNoEffect(
    'a leader sends to its followers as records arrive.',
  ),
  int('replica.fetch.max.bytes', 1_048_576, atLeast(0), MEDIUM, FIXED).hasNoEffect(
    'a leader sends to its followers as records arrive.',
  ),
  int('replica.fetch.min.bytes', 1, null, HIGH, FIXED).hasNoEffect(
    'a leader sends to its followers as records arrive.',
  ),
  int('replica.fetch.response.max.bytes', 10_485_760, atLeast(0), MEDIUM, FIXED).hasNoEffect(
    'a leader sends to its followers as records arrive.',
  ),
  int('replica.fetch.wait.max.ms', 500, null, HIGH, FIXED).hasNoEffect(
    'a leader sends to its followers as records arrive.',
  ),
  long('replica.high.watermark.checkpoint.interval.ms', 5000, null, HIGH, FIXED).hasNoEffect(
    'it is done with the other maintenance of logs.',
  ),
  long('replica.lag.time.max.ms', 30_000, null, HIGH, FIXED).is(
    'A follower that has not caught up for this long is no longer in sync.',
  ),
  text('replica.selector.class', null, null, MEDIUM, FIXED).is(
    'Set to `org.apache.kafka.common.replica.RackAwareReplicaSelector`, consumers read from a ' +
      'replica in their own rack; not set, from the leader.',
  ),
  int('replica.socket.receive.buffer.bytes', 65_536, null, HIGH, FIXED).hasNoEffect(
    'followers fetch over gRPC, with its own window.',
  ),
  int('replica.socket.timeout.ms', 30_000, null, HIGH, FIXED).hasNoEffect(
    'followers fetch over gRPC, with its own timing.',
  ),
  int('replication.quota.window.num', 11, atLeast(1), LOW, FIXED).hasNoEffect(
    'this release has no quotas.',
  ),
  int('replication.quota.window.size.seconds', 1, atLeast(1), LOW, FIXED).hasNoEffect(
    'this release has no quotas.',
  ),
  int('share.fetch.purgatory.purge.interval.requests', 1000, null, MEDIUM, FIXED).hasNoEffect(
    'requests that wait are held in lists that need no purge.',
  ),
  int('telemetry.max.bytes', 1_048_576, atLeast(1), LOW, FIXED).hasNoEffect(
    'clients are not asked for telemetry.',
  ),
  bool('unclean.leader.election.enable', false, null, HIGH, CLUSTER).is(
    'Whether a replica that may lack acknowledged records becomes leader when no other is left.',
  ),
  long('unclean.leader.election.interval.ms', 300_000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'an election is held when its reason arises.',
    { isInternal: true },
  ),
]
