/** Producers and transactions. */
import { bool, CLUSTER, FIXED, HIGH, int, LOW, type Setting, short } from '../definition.ts'
import { atLeast } from '../validators.ts'

export const TRANSACTIONS_SETTINGS: readonly Setting[] = [
  int('add.partitions.to.txn.retry.backoff.max.ms', 100, atLeast(0), HIGH, FIXED).hasNoEffect(
    'transactions are not in this release.',
  ),
  int('add.partitions.to.txn.retry.backoff.ms', 20, atLeast(1), HIGH, FIXED).hasNoEffect(
    'transactions are not in this release.',
  ),
  int('producer.id.expiration.check.interval.ms', 600_000, atLeast(1), LOW, FIXED).hasNoEffect(
    'it is done with the other maintenance of logs.',
    { isInternal: true },
  ),
  int('producer.id.expiration.ms', 86_400_000, atLeast(1), LOW, CLUSTER).is(
    'What is known of an idempotent producer is forgotten after it was silent for this ' + 'long.',
  ),
  int(
    'transaction.abort.timed.out.transaction.cleanup.interval.ms',
    10_000,
    atLeast(1),
    LOW,
    FIXED,
  ).hasNoEffect('transactions are not in this release.'),
  int('transaction.max.timeout.ms', 900_000, atLeast(1), HIGH, FIXED).hasNoEffect(
    'transactions are not in this release.',
  ),
  bool('transaction.partition.verification.enable', true, null, LOW, CLUSTER).hasNoEffect(
    'transactions are not in this release.',
  ),
  int(
    'transaction.remove.expired.transaction.cleanup.interval.ms',
    3_600_000,
    atLeast(1),
    LOW,
    FIXED,
  ).hasNoEffect('transactions are not in this release.'),
  int('transaction.state.log.load.buffer.size', 5_242_880, atLeast(1), HIGH, FIXED).hasNoEffect(
    'transactions are not in this release.',
  ),
  int('transaction.state.log.min.isr', 2, atLeast(1), HIGH, FIXED).hasNoEffect(
    'transactions are not in this release.',
  ),
  int('transaction.state.log.num.partitions', 50, atLeast(1), HIGH, FIXED).hasNoEffect(
    'transactions are not in this release.',
  ),
  short('transaction.state.log.replication.factor', 3, atLeast(1), HIGH, FIXED).hasNoEffect(
    'transactions are not in this release.',
  ),
  int('transaction.state.log.segment.bytes', 104_857_600, atLeast(1), HIGH, FIXED).hasNoEffect(
    'transactions are not in this release.',
  ),
  bool('transaction.two.phase.commit.enable', false, null, LOW, FIXED).hasNoEffect(
    'transactions are not in this release.',
  ),
  int('transactional.id.expiration.ms', 604_800_000, atLeast(1), HIGH, FIXED).hasNoEffect(
    'transactions are not in this release.',
  ),
]
