/** Kafka's settings of a topic. Each names the broker settings that give its default. */
import {
  bool,
  CLUSTER,
  double,
  int,
  LONG_MAX,
  list,
  long,
  MEDIUM,
  type Setting,
  text,
} from './definition.ts'
import { atLeast, between, listOf, oneOf, throttledReplicas } from './validators.ts'

const KAFKA_TOPIC_SETTINGS: readonly Setting[] = [
  list(
    'cleanup.policy',
    'delete',
    listOf(['compact', 'delete'], 'null', 'duplicates'),
    MEDIUM,
    CLUSTER,
  ).is(
    'What happens to old segments: `delete` removes them, `compact` keeps the last record ' +
      'of each key, both may be given.',
    { synonyms: ['log.cleanup.policy'] },
  ),
  int('compression.gzip.level', -1, between(1, 9, -1), MEDIUM, CLUSTER).hasNoEffect(
    'batches are recompressed at the usual level.',
    { synonyms: ['compression.gzip.level'] },
  ),
  int('compression.lz4.level', 9, between(1, 17), MEDIUM, CLUSTER).hasNoEffect(
    'batches are recompressed at the usual level.',
    { synonyms: ['compression.lz4.level'] },
  ),
  text(
    'compression.type',
    'producer',
    oneOf('uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'),
    MEDIUM,
    CLUSTER,
  ).is('Compression of stored batches; `producer` keeps that of the producer.', {
    synonyms: ['compression.type'],
  }),
  int('compression.zstd.level', 3, between(-131_072, 22), MEDIUM, CLUSTER).hasNoEffect(
    'batches are recompressed at the usual level.',
    { synonyms: ['compression.zstd.level'] },
  ),
  long('delete.retention.ms', 86_400_000, atLeast(0), MEDIUM, CLUSTER).is(
    'How long a tombstone of a compacted topic can still be read.',
    { synonyms: ['log.cleaner.delete.retention.ms'] },
  ),
  long('file.delete.delay.ms', 60_000, atLeast(0), MEDIUM, CLUSTER).is(
    'How long the file of a removed segment stays on disk.',
    { synonyms: ['log.segment.delete.delay.ms'] },
  ),
  long('flush.messages', LONG_MAX, atLeast(1), MEDIUM, CLUSTER).is(
    'A sync begins when this many records of a partition are not on the device yet.',
    { synonyms: ['log.flush.interval.messages'] },
  ),
  long('flush.ms', LONG_MAX, atLeast(0), MEDIUM, CLUSTER).is(
    'Under `flush=interval`, records are on the device after this long.',
    { synonyms: ['log.flush.interval.ms', 'log.flush.scheduler.interval.ms'] },
  ),
  list(
    'follower.replication.throttled.replicas',
    '',
    throttledReplicas,
    MEDIUM,
    CLUSTER,
  ).hasNoEffect('this release has no quotas.'),
  int('index.interval.bytes', 4096, atLeast(0), MEDIUM, CLUSTER).is(
    'An index entry is written for about every so many bytes of records.',
    { synonyms: ['log.index.interval.bytes'] },
  ),
  int('internal.segment.bytes', null, null, MEDIUM, CLUSTER).hasNoEffect('segment.bytes decides.', {
    isInternal: true,
  }),
  list('leader.replication.throttled.replicas', '', throttledReplicas, MEDIUM, CLUSTER).is(
    'Followers that catch up with these replicas are held back to ' +
      '`leader.replication.throttled.rate` of the broker: `partition:broker`, or `*` for all.',
  ),
  long('local.retention.bytes', -2, atLeast(-2), MEDIUM, CLUSTER).hasNoEffect(
    'there is no tiered storage.',
    { synonyms: ['log.local.retention.bytes'] },
  ),
  long('local.retention.ms', -2, atLeast(-2), MEDIUM, CLUSTER).hasNoEffect(
    'there is no tiered storage.',
    { synonyms: ['log.local.retention.ms'] },
  ),
  long('max.compaction.lag.ms', LONG_MAX, atLeast(1), MEDIUM, CLUSTER).is(
    'A record is considered for compaction when it is this old, at the latest.',
    { synonyms: ['log.cleaner.max.compaction.lag.ms'] },
  ),
  int('max.message.bytes', 1_048_588, atLeast(0), MEDIUM, CLUSTER).is(
    'The largest batch that is taken, as it arrives.',
    { synonyms: ['message.max.bytes'] },
  ),
  long('message.timestamp.after.max.ms', 3_600_000, atLeast(0), MEDIUM, CLUSTER).is(
    'A record whose time is further in the future than this is refused.',
    { synonyms: ['log.message.timestamp.after.max.ms'] },
  ),
  long('message.timestamp.before.max.ms', LONG_MAX, atLeast(0), MEDIUM, CLUSTER).is(
    'A record whose time is further in the past than this is refused.',
    { synonyms: ['log.message.timestamp.before.max.ms'] },
  ),
  text(
    'message.timestamp.type',
    'CreateTime',
    oneOf('CreateTime', 'LogAppendTime'),
    MEDIUM,
    CLUSTER,
  ).is(
    'Whether records keep the time of their producer (CreateTime) or get that of their ' +
      'arrival (LogAppendTime).',
    { synonyms: ['log.message.timestamp.type'] },
  ),
  double('min.cleanable.dirty.ratio', 0.5, between(0, 1), MEDIUM, CLUSTER).is(
    'Compaction begins when this share of the log has not been compacted.',
    { synonyms: ['log.cleaner.min.cleanable.ratio'] },
  ),
  long('min.compaction.lag.ms', 0, atLeast(0), MEDIUM, CLUSTER).is(
    'A record is not compacted away before it is this old.',
    { synonyms: ['log.cleaner.min.compaction.lag.ms'] },
  ),
  int('min.insync.replicas', 2, atLeast(1), MEDIUM, CLUSTER).is(
    'A write with acks=all is refused when fewer replicas than this are in sync; a topic with fewer replicas asks for all of them.',
    {
      synonyms: ['min.insync.replicas'],
      deviation: {
        kafkaDefault: '1',
        reason: 'an acknowledged record is to survive the loss of any one of three replicas',
      },
    },
  ),
  bool('preallocate', false, null, MEDIUM, CLUSTER).is(
    'Whether a new segment file gets its full size at once.',
    { synonyms: ['log.preallocate'] },
  ),
  bool('remote.log.copy.disable', false, null, MEDIUM, CLUSTER).hasNoEffect(
    'there is no tiered storage.',
  ),
  bool('remote.log.delete.on.disable', false, null, MEDIUM, CLUSTER).hasNoEffect(
    'there is no tiered storage.',
  ),
  bool('remote.storage.enable', false, null, MEDIUM, CLUSTER).is(
    'Has to stay false: there is no tiered storage.',
  ),
  long('retention.bytes', -1, null, MEDIUM, CLUSTER).is(
    'Size of a partition beyond which its oldest segments are removed; -1 is no limit.',
    { synonyms: ['log.retention.bytes'] },
  ),
  long('retention.ms', 604_800_000, atLeast(-1), MEDIUM, CLUSTER).is(
    'Records older than this are removed with their segment; -1 keeps them.',
    {
      synonyms: [
        'log.retention.ms',
        { name: 'log.retention.minutes', times: 60_000 },
        { name: 'log.retention.hours', times: 3_600_000 },
      ],
    },
  ),
  int('segment.bytes', 1_073_741_824, atLeast(1_048_576), MEDIUM, CLUSTER).is(
    'A segment file that would grow beyond this is closed and a new one begun.',
    { synonyms: ['log.segment.bytes'] },
  ),
  int('segment.index.bytes', 10_485_760, atLeast(4), MEDIUM, CLUSTER).is(
    'A segment whose offset index reaches this size is closed.',
    { synonyms: ['log.index.size.max.bytes'] },
  ),
  long('segment.jitter.ms', 0, atLeast(0), MEDIUM, CLUSTER).is(
    'At most this much is taken off segment.ms at random, so that partitions do not roll ' +
      'all at once.',
    { synonyms: ['log.roll.jitter.ms', { name: 'log.roll.jitter.hours', times: 3_600_000 }] },
  ),
  long('segment.ms', 604_800_000, atLeast(1), MEDIUM, CLUSTER).is(
    'A segment is closed when its first record is this old.',
    { synonyms: ['log.roll.ms', { name: 'log.roll.hours', times: 3_600_000 }] },
  ),
  bool('unclean.leader.election.enable', false, null, MEDIUM, CLUSTER).is(
    'Whether a replica that may lack acknowledged records becomes leader when no other is left.',
    { synonyms: ['unclean.leader.election.enable'] },
  ),
]

/** All settings of a topic: Kafka's, and ours. */
export const TOPIC_SETTINGS: readonly Setting[] = [
  ...KAFKA_TOPIC_SETTINGS,
  text('flush', 'group', oneOf('group', 'interval', 'none'), MEDIUM, CLUSTER).is(
    'When a record counts as written: `group` once it is on the device of each replica, `interval` and ' +
      '`none` once it is in the page cache.',
    { synonyms: ['flush.policy'] },
  ),
].sort((one, other) => (one.name < other.name ? -1 : 1))
