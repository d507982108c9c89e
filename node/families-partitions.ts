/**
 * Families of partitions. What flows is counted by the leader alone, so a plain sum over the nodes
 * is right at any replication factor: P(t) = sum of P_i(t).
 */
import type { MetricType } from '../base/metrics.ts'
import {
  CORRUPT_MESSAGE,
  DUPLICATE_SEQUENCE_NUMBER,
  FENCED_LEADER_EPOCH,
  INVALID_PRODUCER_EPOCH,
  MESSAGE_TOO_LARGE,
  NOT_ENOUGH_REPLICAS,
  NOT_LEADER_OR_FOLLOWER,
  RECORD_LIST_TOO_LARGE,
} from '../kafka/wire/errors.ts'
import { type Family, type ScrapedPartition, type Source, single } from './families-source.ts'

type Reading = readonly [
  name: string,
  type: MetricType,
  help: string,
  read: (partition: ScrapedPartition) => number,
]

const FLOWS: readonly Reading[] = [
  ['records_in_total', 'counter', 'Records appended by the leader.', (one) => one.recordsIn],
  ['bytes_in_total', 'counter', 'Bytes appended by the leader.', (one) => one.bytesIn],
  ['records_out_total', 'counter', 'Records served to consumers.', (one) => one.recordsOut],
  ['bytes_out_total', 'counter', 'Bytes served to consumers.', (one) => one.bytesOut],
]

const STATES: readonly Reading[] = [
  ['log_start_offset', 'gauge', 'First offset, at the leader.', (one) => one.logStartOffset],
  ['log_end_offset', 'gauge', 'Next offset, at the leader.', (one) => one.logEndOffset],
  ['high_watermark', 'gauge', 'Committed up to here, at the leader.', (one) => one.highWatermark],
  [
    'last_stable_offset',
    'gauge',
    'Committed and free of open transactions up to here, at the leader.',
    (one) => one.lastStableOffset,
  ],
  ['leader', 'gauge', '1 at the leader.', () => 1],
  ['leader_epoch', 'gauge', 'Epoch of the leader.', (one) => one.leaderEpoch],
  ['isr_size', 'gauge', 'Replicas in sync.', (one) => one.isr.length],
]

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

const REASONS: ReadonlyMap<number, string> = new Map([
  [MESSAGE_TOO_LARGE, 'too_large'],
  [RECORD_LIST_TOO_LARGE, 'too_large'],
  [CORRUPT_MESSAGE, 'corrupt'],
  [NOT_ENOUGH_REPLICAS, 'not_enough_replicas'],
  [DUPLICATE_SEQUENCE_NUMBER, 'duplicate'],
  [NOT_LEADER_OR_FOLLOWER, 'fenced'],
  [FENCED_LEADER_EPOCH, 'fenced'],
  [INVALID_PRODUCER_EPOCH, 'fenced'],
])

const PER_TOPIC: readonly Family[] = [
  ...FLOWS.map(
    ([name, type, help, read]): Family => ({
      name: `odradek_topic_${name}`,
      type,
      help,
      collect(source, emit) {
        if (source.level === 'none') return
        const sums = new Map<string, number>()
        for (const one of led(source)) sums.set(one.topic, (sums.get(one.topic) ?? 0) + read(one))
        for (const [topic, sum] of sums) emit({ topic }, sum)
      },
    }),
  ),
  {
    name: 'odradek_topic_batches_in_total',
    type: 'counter',
    help: 'Batches appended by the leader, by compression codec.',
    collect(source, emit) {
      if (source.level === 'none') return
      const sums = new Map<string, number[]>()
      for (const { topic, batchesIn } of led(source)) {
        const sum = sums.get(topic) ?? CODECS.map(() => 0)
        CODECS.forEach((_codec, at) => {
          sum[at]! += batchesIn[at]!
        })
        sums.set(topic, sum)
      }
      for (const [topic, sum] of sums) {
        CODECS.forEach((codec, at) => {
          if (sum[at]! > 0) emit({ topic, codec }, sum[at]!)
        })
      }
    },
  },
  {
    name: 'odradek_topic_rejected_records_total',
    type: 'counter',
    help: 'Records that the leader did not append, by reason.',
    collect(source, emit) {
      if (source.level === 'none') return
      const sums = new Map<string, Map<string, number>>()
      for (const { topic, rejections } of led(source)) {
        if (rejections === undefined) continue
        const sum = sums.get(topic) ?? new Map<string, number>()
        for (const [code, count] of rejections) {
          const reason = REASONS.get(code) ?? 'other'
          sum.set(reason, (sum.get(reason) ?? 0) + count)
        }
        sums.set(topic, sum)
      }
      for (const [topic, sum] of sums) {
        for (const [reason, count] of sum) emit({ topic, reason }, count)
      }
    },
  },
]

const PER_PARTITION: readonly Family[] = [
  ...[...FLOWS, ...STATES].map(
    ([name, type, help, read]): Family => ({
      name: `odradek_partition_${name}`,
      type,
      help,
      collect(source, emit) {
        if (source.level !== 'partition') return
        for (const partition of led(source)) emit(source.labelsOf(partition), read(partition))
      },
    }),
  ),
  {
    name: 'odradek_partition_replicas',
    type: 'gauge',
    help: 'Replicas that the partition should have, at the leader.',
    collect(source, emit) {
      if (source.level !== 'partition') return
      const { image } = source.node.partitions
      for (const partition of led(source)) {
        const row = image.topics.get(partition.topic)?.partitions[partition.index]
        if (row !== undefined) emit(source.labelsOf(partition), row.replicas.length)
      }
    },
  },
]

/** What this node leads or hosts, in numbers. */
const COUNTS: readonly Family[] = [
  single('odradek_replicas', 'gauge', 'Partition replicas on this node.', ({ node }) =>
    count(node.partitions.all(), () => true),
  ),
  single('odradek_leaders', 'gauge', 'Partitions that this node leads.', ({ node }) =>
    count(node.partitions.all(), ({ isLeader }) => isLeader),
  ),
  single(
    'odradek_partitions_under_replicated',
    'gauge',
    'Partitions led here with fewer replicas in sync than they should have.',
    (source) => count(source.ledImages(), ({ isr, replicas }) => isr.length < replicas.length),
  ),
  single(
    'odradek_partitions_under_min_isr',
    'gauge',
    'Partitions led here that refuse acks=all: fewer replicas in sync than min.insync.replicas.',
    ({ node }) =>
      count(node.partitions.all(), (one) => one.isLeader && one.isr.length < one.minIsr),
  ),
  single(
    'odradek_partitions_at_min_isr',
    'gauge',
    'Partitions led here that refuse acks=all when one more replica goes.',
    ({ node }) =>
      count(node.partitions.all(), (one) => one.isLeader && one.isr.length === one.minIsr),
  ),
  single(
    'odradek_partitions_reassigning',
    'gauge',
    'Partitions led here whose replicas are on the move.',
    (source) =>
      count(
        source.ledImages(),
        ({ addingReplicas, removingReplicas }) =>
          addingReplicas.length + removingReplicas.length > 0,
      ),
  ),
  single(
    'odradek_replicas_failed_total',
    'counter',
    'Replicas that left service because their storage failed.',
    ({ node }) => node.replicationProbe.failedReplicas,
  ),
  single(
    'odradek_produces_expired_total',
    'counter',
    'Partitions of produce requests that were not replicated in time.',
    ({ node }) => node.replicationProbe.producesExpired,
  ),
]

export const PARTITION_FAMILIES: readonly Family[] = [...COUNTS, ...PER_TOPIC, ...PER_PARTITION]

function* led({ node }: Source): Generator<ScrapedPartition> {
  for (const partition of node.partitions.all()) if (partition.isLeader) yield partition
}

function count<T>(all: Iterable<T>, matches: (one: T) => boolean): number {
  let found = 0
  for (const one of all) if (matches(one)) found++
  return found
}
