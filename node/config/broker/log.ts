/** Logs on disk, and the defaults of topics. */
import {
  bool,
  CLUSTER,
  double,
  FIXED,
  HIGH,
  int,
  LONG_MAX,
  LOW,
  list,
  long,
  MEDIUM,
  PER_BROKER,
  type Setting,
  text,
} from '../definition.ts'
import { anyList, atLeast, between, listOf, oneOf } from '../validators.ts'

export const LOG_SETTINGS: readonly Setting[] = [
  int('compression.gzip.level', -1, between(1, 9, -1), MEDIUM, CLUSTER).hasNoEffect(
    'batches are recompressed at the usual level.',
  ),
  int('compression.lz4.level', 9, between(1, 17), MEDIUM, CLUSTER).hasNoEffect(
    'batches are recompressed at the usual level.',
  ),
  text(
    'compression.type',
    'producer',
    oneOf('uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'),
    HIGH,
    CLUSTER,
  ).is('Compression of stored batches; `producer` keeps that of the producer.'),
  int('compression.zstd.level', 3, between(-131_072, 22), MEDIUM, CLUSTER).hasNoEffect(
    'batches are recompressed at the usual level.',
  ),
  list('cordoned.log.dirs', '', anyList('duplicates'), MEDIUM, PER_BROKER).hasNoEffect(
    'new replicas go where the fewest are.',
  ),
  long('log.cleaner.backoff.ms', 15_000, atLeast(0), MEDIUM, CLUSTER).is(
    'How often compaction looks for work; read at the start.',
  ),
  long('log.cleaner.dedupe.buffer.size', 134_217_728, null, MEDIUM, CLUSTER).is(
    'The most memory for the table of keys of one compaction; read at the start.',
  ),
  long('log.cleaner.delete.retention.ms', 86_400_000, atLeast(0), MEDIUM, CLUSTER).is(
    'How long a tombstone of a compacted partition can still be read.',
  ),
  bool('log.cleaner.enable', true, null, MEDIUM, FIXED).is(
    'Whether topics with cleanup.policy=compact are compacted.',
  ),
  double('log.cleaner.io.buffer.load.factor', 0.9, null, MEDIUM, CLUSTER).hasNoEffect(
    'the table of keys sizes itself within log.cleaner.dedupe.buffer.size.',
  ),
  int('log.cleaner.io.buffer.size', 524_288, atLeast(0), MEDIUM, CLUSTER).hasNoEffect(
    'compaction works with buffers of its own size.',
  ),
  double(
    'log.cleaner.io.max.bytes.per.second',
    '1.7976931348623157E308',
    null,
    MEDIUM,
    CLUSTER,
  ).hasNoEffect('compaction yields to everything else.'),
  long('log.cleaner.max.compaction.lag.ms', LONG_MAX, atLeast(1), MEDIUM, CLUSTER).is(
    'A record is considered for compaction when it is this old, at the latest.',
  ),
  double('log.cleaner.min.cleanable.ratio', 0.5, between(0, 1), MEDIUM, CLUSTER).is(
    'Compaction begins when this share of the log has not been compacted.',
  ),
  long('log.cleaner.min.compaction.lag.ms', 0, atLeast(0), MEDIUM, CLUSTER).is(
    'A record is not compacted away before it is this old.',
  ),
  int('log.cleaner.threads', 1, atLeast(0), MEDIUM, CLUSTER).hasNoEffect(
    'a node is one process with one event loop; run more nodes to use more cores.',
  ),
  list(
    'log.cleanup.policy',
    'delete',
    listOf(['compact', 'delete'], 'null', 'duplicates'),
    MEDIUM,
    CLUSTER,
  ).is(
    'What happens to old segments: `delete` removes them, `compact` keeps the last record ' +
      'of each key.',
  ),
  list('log.dir', '.odradek', anyList('null', 'empty', 'duplicates'), HIGH, FIXED).is(
    'Directory for all data when `log.dirs` is not set.',
    {
      deviation: {
        kafkaDefault: '/tmp/kafka-logs',
        reason: 'what lies in /tmp does not survive a restart of the machine',
      },
    },
  ),
  long('log.dir.failure.timeout.ms', 30_000, atLeast(1), LOW, FIXED).hasNoEffect(
    'a replica whose disk fails is reported at once.',
  ),
  list('log.dirs', null, anyList('empty', 'duplicates'), HIGH, FIXED).is(
    'Directories for the data of this node, separated by commas; new replicas go where ' +
      'the fewest are.',
  ),
  long('log.flush.interval.messages', LONG_MAX, atLeast(1), HIGH, CLUSTER).is(
    'A sync begins when this many records of a partition are not on the device yet.',
  ),
  long('log.flush.interval.ms', null, null, HIGH, CLUSTER).is(
    'Under `flush.policy=interval`, records are on the device after this long. When not ' +
      'set, log.flush.scheduler.interval.ms counts.',
  ),
  int('log.flush.offset.checkpoint.interval.ms', 60_000, atLeast(0), HIGH, FIXED).hasNoEffect(
    'it is done with the other maintenance of logs.',
  ),
  long('log.flush.scheduler.interval.ms', LONG_MAX, null, HIGH, FIXED).is(
    'As log.flush.interval.ms, which is preferred.',
  ),
  int('log.flush.start.offset.checkpoint.interval.ms', 60_000, atLeast(0), HIGH, FIXED).hasNoEffect(
    'it is done with the other maintenance of logs.',
  ),
  int('log.index.interval.bytes', 4096, atLeast(0), MEDIUM, CLUSTER).is(
    'An index entry is written for about every so many bytes of records.',
  ),
  int('log.index.size.max.bytes', 10_485_760, atLeast(4), MEDIUM, CLUSTER).is(
    'A segment whose offset index reaches this size is closed.',
  ),
  long('log.initial.task.delay.ms', 30_000, atLeast(0), LOW, FIXED).hasNoEffect(
    'background work begins when the node is up.',
    { isInternal: true },
  ),
  long('log.local.retention.bytes', -2, atLeast(-2), MEDIUM, CLUSTER).hasNoEffect(
    'there is no tiered storage.',
  ),
  long('log.local.retention.ms', -2, atLeast(-2), MEDIUM, CLUSTER).hasNoEffect(
    'there is no tiered storage.',
  ),
  long('log.message.timestamp.after.max.ms', 3_600_000, atLeast(0), MEDIUM, CLUSTER).is(
    'A record whose time is further in the future than this is refused.',
  ),
  long('log.message.timestamp.before.max.ms', LONG_MAX, atLeast(0), MEDIUM, CLUSTER).is(
    'A record whose time is further in the past than this is refused.',
  ),
  text(
    'log.message.timestamp.type',
    'CreateTime',
    oneOf('CreateTime', 'LogAppendTime'),
    MEDIUM,
    CLUSTER,
  ).is(
    'Whether records keep the time of their producer (CreateTime) or get that of their ' +
      'arrival (LogAppendTime).',
  ),
  bool('log.preallocate', false, null, MEDIUM, CLUSTER).is(
    'Whether a new segment file gets its full size at once.',
  ),
  long('log.retention.bytes', -1, null, HIGH, CLUSTER).is(
    'Size of a partition beyond which its oldest segments are removed; -1 is no limit.',
  ),
  long('log.retention.check.interval.ms', 300_000, atLeast(1), MEDIUM, FIXED).is(
    'How often segments are looked at for removal.',
  ),
  int('log.retention.hours', 168, null, HIGH, FIXED).is(
    'As log.retention.ms, in hours; used when neither milliseconds nor minutes are set.',
  ),
  int('log.retention.minutes', null, null, HIGH, FIXED).is(
    'As log.retention.ms, in minutes; used when that is not set.',
  ),
  long('log.retention.ms', null, null, HIGH, CLUSTER).is(
    'Records older than this are removed with their segment; -1 keeps them. When not set, ' +
      'log.retention.minutes counts.',
  ),
  int('log.roll.hours', 168, atLeast(1), HIGH, FIXED).is('As log.roll.ms, in hours.'),
  int('log.roll.jitter.hours', 0, atLeast(0), HIGH, FIXED).is('As log.roll.jitter.ms, in hours.'),
  long('log.roll.jitter.ms', null, null, HIGH, CLUSTER).is(
    'At most this much is taken off log.roll.ms at random, so that partitions do not roll ' +
      'all at once.',
  ),
  long('log.roll.ms', null, null, HIGH, CLUSTER).is(
    'A segment is closed when its first record is this old. When not set, log.roll.hours ' +
      'counts.',
  ),
  int('log.segment.bytes', 1_073_741_824, atLeast(1_048_576), HIGH, CLUSTER).is(
    'A segment file that would grow beyond this is closed and a new one begun.',
  ),
  long('log.segment.delete.delay.ms', 60_000, atLeast(0), HIGH, CLUSTER).is(
    'How long the file of a removed segment stays on disk.',
  ),
  int('message.max.bytes', 1_048_588, atLeast(0), HIGH, CLUSTER).is(
    'The largest batch that is taken, as it arrives.',
  ),
  int('min.insync.replicas', 2, atLeast(1), HIGH, CLUSTER).is(
    'A write with acks=all is refused when fewer replicas than this are in sync; a topic with fewer replicas asks for all of them.',
    {
      deviation: {
        kafkaDefault: '1',
        reason: 'an acknowledged record is to survive the loss of any one of three replicas',
      },
    },
  ),
  int('num.recovery.threads.per.data.dir', 2, atLeast(1), HIGH, CLUSTER).hasNoEffect(
    'a node is one process with one event loop; run more nodes to use more cores.',
  ),
]
