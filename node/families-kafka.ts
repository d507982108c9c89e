/**
 * The families of `/metrics/kafka`: the names that dashboards for Kafka query already. Those of
 * kafka_exporter, which is one program for a whole cluster: what a partition's leader knows comes
 * from its leader, what concerns the cluster from the controller alone, so that a sum over the
 * nodes is right. And those of the JMX exporter, which every broker shows for itself.
 */
import type { MetricType } from '../base/metrics.ts'
import { type Family, type ScrapedPartition, type Source, single } from './families-source.ts'
import type { PartitionImage } from './metadata/image.ts'

type Row = readonly [partition: ScrapedPartition, image: PartitionImage]

const EXPORTER_CLUSTER: readonly Family[] = [
  {
    name: 'kafka_brokers',
    type: 'gauge',
    help: 'Brokers of the cluster.',
    collect(source, emit) {
      if (source.isController) emit({}, source.node.partitions.image.brokers.size)
    },
  },
  {
    name: 'kafka_broker_info',
    type: 'gauge',
    help: 'Brokers by id and address.',
    collect(source, emit) {
      if (!source.isController) return
      for (const { id, endpoints } of source.node.partitions.image.brokers.values()) {
        const [first] = endpoints
        if (first !== undefined) emit({ id: String(id), address: `${first.host}:${first.port}` }, 1)
      }
    },
  },
  {
    name: 'kafka_topic_partitions',
    type: 'gauge',
    help: 'Partitions of a topic.',
    collect(source, emit) {
      if (!source.isController) return
      for (const { name: topic, partitions } of source.node.partitions.image.topics.values()) {
        emit({ topic }, partitions.length)
      }
    },
  },
]

const EXPORTER_PARTITIONS: readonly Family[] = [
  atLeader('current_offset', 'Next offset of a partition.', ([one]) => one.highWatermark),
  atLeader('oldest_offset', 'First offset of a partition.', ([one]) => one.logStartOffset),
  atLeader('in_sync_replica', 'Replicas in sync.', ([, { isr }]) => isr.length),
  atLeader('leader', 'Id of the leader.', ([, { leader }]) => leader),
  atLeader('leader_is_preferred', '1 when the first replica leads.', ([, image]) =>
    image.leader === image.replicas[0] ? 1 : 0,
  ),
  atLeader('replicas', 'Replicas of a partition.', ([, { replicas }]) => replicas.length),
  atLeader(
    'under_replicated_partition',
    '1 when not all replicas are in sync.',
    ([, { isr, replicas }]) => (isr.length < replicas.length ? 1 : 0),
  ),
]

const EXPORTER_GROUPS: readonly Family[] = [
  {
    name: 'kafka_consumergroup_current_offset',
    type: 'gauge',
    help: 'Committed offset of a group.',
    collect: (source, emit) => eachCommitted(source, (labels, offset) => emit(labels, offset)),
  },
  {
    name: 'kafka_consumergroup_lag',
    type: 'gauge',
    help: 'Records that a group has not committed yet.',
    collect: (source, emit) =>
      eachCommitted(source, (labels, _offset, lag) => {
        if (lag !== undefined) emit(labels, lag)
      }),
  },
  {
    name: 'kafka_consumergroup_lag_sum',
    type: 'gauge',
    help: 'Records that a group has not committed yet, over all partitions of a topic.',
    collect(source, emit) {
      const sums = new Map<string, { labels: Record<string, string>; lag: number }>()
      eachCommitted(source, ({ consumergroup, topic }, _offset, lag) => {
        const key = `${consumergroup}\n${topic}`
        const row = sums.get(key) ?? { labels: { consumergroup, topic }, lag: 0 }
        row.lag += lag ?? 0
        sums.set(key, row)
      })
      for (const { labels, lag } of sums.values()) emit(labels, lag)
    },
  },
  {
    name: 'kafka_consumergroup_members',
    type: 'gauge',
    help: 'Members of a group.',
    collect({ node }, emit) {
      for (const { groupId, memberCount } of node.groups.figures()) {
        emit({ consumergroup: groupId }, memberCount)
      }
    },
  },
]

const REPLICA_MANAGER: readonly Family[] = [
  gauge('kafka_server_replicamanager_partitioncount', 'Replicas on this broker.', ({ node }) =>
    count(node.partitions.all(), () => true),
  ),
  gauge('kafka_server_replicamanager_leadercount', 'Partitions led by this broker.', ({ node }) =>
    count(node.partitions.all(), ({ isLeader }) => isLeader),
  ),
  gauge(
    'kafka_server_replicamanager_underreplicatedpartitions',
    'Partitions led here that have too few replicas in sync.',
    (source) => count(source.ledImages(), ({ isr, replicas }) => isr.length < replicas.length),
  ),
  gauge(
    'kafka_server_replicamanager_underminisrpartitioncount',
    'Partitions led here below min.insync.replicas.',
    ({ node }) => count(node.partitions.all(), (one) => isrMargin(one) < 0),
  ),
  gauge(
    'kafka_server_replicamanager_atminisrpartitioncount',
    'Partitions led here at min.insync.replicas.',
    ({ node }) => count(node.partitions.all(), (one) => isrMargin(one) === 0),
  ),
  gauge(
    'kafka_server_replicamanager_offlinereplicacount',
    'Replicas of this broker that are out of service.',
    ({ node }) => count(node.partitions.all(), ({ isFailed }) => isFailed),
  ),
]

const CONTROLLER: readonly Family[] = [
  gauge(
    'kafka_controller_kafkacontroller_activecontrollercount',
    '1 on the active controller.',
    ({ isController }) => (isController ? 1 : 0),
  ),
  atController('offlinepartitionscount', 'Partitions without a leader.', (source) =>
    count(partitionsOf(source), ({ leader }) => leader < 0),
  ),
  atController(
    'preferredreplicaimbalancecount',
    'Partitions that another than their first replica leads.',
    (source) => count(partitionsOf(source), ({ leader, replicas }) => leader !== replicas[0]),
  ),
  atController(
    'globaltopiccount',
    'Topics of the cluster.',
    ({ node }) => node.partitions.image.topics.size,
  ),
  atController(
    'globalpartitioncount',
    'Partitions of the cluster.',
    ({ node }) => node.partitions.image.partitionCount,
  ),
  atController('activebrokercount', 'Brokers that are not fenced.', ({ node }) =>
    count(node.partitions.image.brokers.values(), ({ isFenced }) => !isFenced),
  ),
  atController('fencedbrokercount', 'Brokers that are fenced.', ({ node }) =>
    count(node.partitions.image.brokers.values(), ({ isFenced }) => isFenced),
  ),
]

const PRODUCE = 0
const FETCH = 1

const TRAFFIC: readonly Family[] = [
  flow('messagesin', 'Records appended.', (one) => one.recordsIn),
  flow('bytesin', 'Bytes appended.', (one) => one.bytesIn),
  flow('bytesout', 'Bytes served to consumers.', (one) => one.bytesOut),
  requests(
    'totalproducerequests',
    'Produce requests.',
    PRODUCE,
    (api) => api.succeeded + api.failed,
  ),
  requests('failedproducerequests', 'Produce requests that failed.', PRODUCE, (api) => api.failed),
  requests('totalfetchrequests', 'Fetch requests.', FETCH, (api) => api.succeeded + api.failed),
  requests('failedfetchrequests', 'Fetch requests that failed.', FETCH, (api) => api.failed),
  {
    name: 'kafka_network_requestmetrics_requests_total',
    type: 'counter',
    help: 'Requests by API.',
    collect({ node }, emit) {
      for (const api of node.server.probe.apis) {
        if (api !== undefined) emit({ request: api.name }, api.succeeded + api.failed)
      }
    },
  },
]

const STORAGE: readonly Family[] = [
  perPartition('kafka_log_log_size', 'Bytes of a replica.', false, ({ log }) => log.sizeBytes()),
  perPartition(
    'kafka_cluster_partition_underminisr',
    '1 below min.insync.replicas.',
    true,
    (one) => (isrMargin(one) < 0 ? 1 : 0),
  ),
  perPartition('kafka_cluster_partition_atminisr', '1 at min.insync.replicas.', true, (one) =>
    isrMargin(one) === 0 ? 1 : 0,
  ),
]

const RAFT: readonly Family[] = [
  {
    name: 'kafka_server_raft_metrics_current_state',
    type: 'gauge',
    help: 'The part that this node has in the quorum is 1.',
    collect: (source, emit) => emit({ state: source.isController ? 'leader' : 'follower' }, 1),
  },
  gauge(
    'kafka_server_raft_metrics_current_leader',
    'Id of the leader.',
    ({ node }) => node.quorum.leaderId,
  ),
  gauge(
    'kafka_server_raft_metrics_current_epoch',
    'Epoch of the leader.',
    ({ node }) => node.quorum.leaderEpoch,
  ),
  gauge(
    'kafka_server_raft_metrics_high_watermark',
    'Committed up to here.',
    ({ node }) => node.quorum.highWatermark,
  ),
  gauge(
    'kafka_server_raft_metrics_log_end_offset',
    'Next offset of the metadata log.',
    ({ node }) => node.quorum.nextOffset,
  ),
]

export const KAFKA_FAMILIES: readonly Family[] = [
  ...EXPORTER_CLUSTER,
  ...EXPORTER_PARTITIONS,
  ...EXPORTER_GROUPS,
  ...REPLICA_MANAGER,
  ...CONTROLLER,
  ...TRAFFIC,
  ...STORAGE,
  ...RAFT,
]

function gauge(name: string, help: string, read: (source: Source) => number): Family {
  return single(name, 'gauge', help, read)
}

function atController(name: string, help: string, read: (source: Source) => number): Family {
  return {
    name: `kafka_controller_kafkacontroller_${name}`,
    type: 'gauge',
    help,
    collect(source, emit) {
      if (source.isController) emit({}, read(source))
    },
  }
}

function atLeader(name: string, help: string, read: (row: Row) => number): Family {
  return {
    name: `kafka_topic_partition_${name}`,
    type: 'gauge',
    help,
    collect(source, emit) {
      if (source.level !== 'partition') return
      const { image } = source.node.partitions
      for (const partition of source.node.partitions.all()) {
        const row = image.topics.get(partition.topic)?.partitions[partition.index]
        if (!partition.isLeader || row === undefined) continue
        emit(source.labelsOf(partition), read([partition, row]))
      }
    },
  }
}

function perPartition(
  name: string,
  help: string,
  isForLeaders: boolean,
  read: (partition: ScrapedPartition) => number,
): Family {
  return {
    name,
    type: 'gauge',
    help,
    collect(source, emit) {
      if (source.level !== 'partition') return
      for (const partition of source.node.partitions.all()) {
        if (partition.isLeader || !isForLeaders) emit(source.labelsOf(partition), read(partition))
      }
    },
  }
}

/** As in Kafka: once for the broker, once for each topic. */
function flow(name: string, help: string, read: (partition: ScrapedPartition) => number): Family {
  return {
    name: `kafka_server_brokertopicmetrics_${name}_total`,
    type: 'counter',
    help,
    collect(source, emit) {
      const sums = new Map<string, number>()
      let total = 0
      for (const partition of source.node.partitions.all()) {
        if (!partition.isLeader) continue
        total += read(partition)
        sums.set(partition.topic, (sums.get(partition.topic) ?? 0) + read(partition))
      }
      emit({}, total)
      if (source.level === 'none') return
      for (const [topic, sum] of sums) emit({ topic }, sum)
    },
  }
}

function requests(
  name: string,
  help: string,
  key: number,
  read: (api: { succeeded: number; failed: number }) => number,
): Family {
  const type: MetricType = 'counter'
  return single(`kafka_server_brokertopicmetrics_${name}_total`, type, help, ({ node }) => {
    const api = node.server.probe.apis[key]
    return api === undefined ? 0 : read(api)
  })
}

function eachCommitted(
  source: Source,
  visit: (
    labels: { consumergroup: string; topic: string; partition: string },
    offset: number,
    lag: number | undefined,
  ) => void,
): void {
  if (source.level !== 'partition') return
  const { groups, partitions } = source.node
  for (const { groupId: consumergroup, offsets } of groups.figures()) {
    for (const [topic, committed] of offsets) {
      for (const [index, { offset }] of committed) {
        const end = partitions.find(topic, index)?.lastStableOffset
        const lag = end === undefined ? undefined : Math.max(0, end - offset)
        visit({ consumergroup, topic, partition: String(index) }, offset, lag)
      }
    }
  }
}

function* partitionsOf(source: Source): Generator<PartitionImage> {
  for (const topic of source.node.partitions.image.topics.values()) yield* topic.partitions
}

/** How many replicas may leave the ISR before acks=all is refused; not a number where not led. */
function isrMargin(partition: ScrapedPartition): number {
  return partition.isLeader ? partition.isr.length - partition.minIsr : Number.NaN
}

function count<T>(all: Iterable<T>, matches: (one: T) => boolean): number {
  let found = 0
  for (const one of all) if (matches(one)) found++
  return found
}
