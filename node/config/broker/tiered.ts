/** Tiered storage, which does not exist here. */
import {
  bool,
  CLUSTER,
  double,
  FIXED,
  int,
  LONG_MAX,
  LOW,
  long,
  MEDIUM,
  type Setting,
  text,
} from '../definition.ts'
import { atLeast, between, nonEmptyText } from '../validators.ts'

export const TIERED_SETTINGS: readonly Setting[] = [
  int('remote.fetch.max.wait.ms', 500, atLeast(1), MEDIUM, CLUSTER).hasNoEffect(
    'there is no tiered storage.',
  ),
  long('remote.list.offsets.request.timeout.ms', 30_000, atLeast(1), MEDIUM, CLUSTER).hasNoEffect(
    'there is no tiered storage.',
  ),
  long(
    'remote.log.index.file.cache.total.size.bytes',
    1_073_741_824,
    atLeast(1),
    LOW,
    CLUSTER,
  ).hasNoEffect('there is no tiered storage.'),
  long('remote.log.index.file.cache.ttl.ms', 900_000, atLeast(-1), LOW, FIXED).hasNoEffect(
    'there is no tiered storage.',
    { isInternal: true },
  ),
  int('remote.log.manager.copier.thread.pool.size', 10, atLeast(1), MEDIUM, CLUSTER).hasNoEffect(
    'there is no tiered storage.',
  ),
  long(
    'remote.log.manager.copy.max.bytes.per.second',
    LONG_MAX,
    atLeast(1),
    MEDIUM,
    CLUSTER,
  ).hasNoEffect('there is no tiered storage.'),
  int('remote.log.manager.copy.quota.window.num', 11, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'there is no tiered storage.',
  ),
  int(
    'remote.log.manager.copy.quota.window.size.seconds',
    1,
    atLeast(1),
    MEDIUM,
    FIXED,
  ).hasNoEffect('there is no tiered storage.'),
  int(
    'remote.log.manager.expiration.thread.pool.size',
    10,
    atLeast(1),
    MEDIUM,
    CLUSTER,
  ).hasNoEffect('there is no tiered storage.'),
  long(
    'remote.log.manager.fetch.max.bytes.per.second',
    LONG_MAX,
    atLeast(1),
    MEDIUM,
    CLUSTER,
  ).hasNoEffect('there is no tiered storage.'),
  int('remote.log.manager.fetch.quota.window.num', 11, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'there is no tiered storage.',
  ),
  int(
    'remote.log.manager.fetch.quota.window.size.seconds',
    1,
    atLeast(1),
    MEDIUM,
    FIXED,
  ).hasNoEffect('there is no tiered storage.'),
  int('remote.log.manager.follower.thread.pool.size', 2, atLeast(1), MEDIUM, CLUSTER).hasNoEffect(
    'there is no tiered storage.',
  ),
  long('remote.log.manager.task.interval.ms', 30_000, atLeast(1), LOW, FIXED).hasNoEffect(
    'there is no tiered storage.',
  ),
  long('remote.log.manager.task.retry.backoff.max.ms', 30_000, atLeast(1), LOW, FIXED).hasNoEffect(
    'there is no tiered storage.',
    { isInternal: true },
  ),
  long('remote.log.manager.task.retry.backoff.ms', 500, atLeast(1), LOW, FIXED).hasNoEffect(
    'there is no tiered storage.',
    { isInternal: true },
  ),
  double('remote.log.manager.task.retry.jitter', 0.2, between(0, 0.5), LOW, FIXED).hasNoEffect(
    'there is no tiered storage.',
    { isInternal: true },
  ),
  int('remote.log.manager.thread.pool.size', 2, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'there is no tiered storage.',
  ),
  int('remote.log.metadata.custom.metadata.max.bytes', 128, atLeast(0), LOW, FIXED).hasNoEffect(
    'there is no tiered storage.',
  ),
  text(
    'remote.log.metadata.manager.class.name',
    'org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager',
    nonEmptyText,
    MEDIUM,
    FIXED,
  ).hasNoEffect('there is no tiered storage.'),
  text('remote.log.metadata.manager.class.path', null, null, MEDIUM, FIXED).hasNoEffect(
    'there is no tiered storage.',
  ),
  text(
    'remote.log.metadata.manager.impl.prefix',
    'rlmm.config.',
    nonEmptyText,
    MEDIUM,
    FIXED,
  ).hasNoEffect('there is no tiered storage.'),
  text('remote.log.metadata.manager.listener.name', null, nonEmptyText, MEDIUM, FIXED).hasNoEffect(
    'there is no tiered storage.',
  ),
  int('remote.log.reader.max.pending.tasks', 100, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'there is no tiered storage.',
  ),
  int('remote.log.reader.threads', 10, atLeast(1), MEDIUM, CLUSTER).hasNoEffect(
    'there is no tiered storage.',
  ),
  text('remote.log.storage.manager.class.name', null, nonEmptyText, MEDIUM, FIXED).hasNoEffect(
    'there is no tiered storage.',
  ),
  text('remote.log.storage.manager.class.path', null, null, MEDIUM, FIXED).hasNoEffect(
    'there is no tiered storage.',
  ),
  text(
    'remote.log.storage.manager.impl.prefix',
    'rsm.config.',
    nonEmptyText,
    MEDIUM,
    FIXED,
  ).hasNoEffect('there is no tiered storage.'),
  bool('remote.log.storage.system.enable', false, null, MEDIUM, FIXED).hasNoEffect(
    'there is no tiered storage.',
  ),
]
