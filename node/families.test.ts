import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SILENT } from '../base/logger.ts'
import { UNSCRAPED } from '../base/metrics.ts'
import { realClock } from '../base/real/clock.ts'
import { realWorld } from '../base/real/world.ts'
import { Cluster } from '../kafka/client/cluster.ts'
import { GroupMember } from '../kafka/client/group-member.ts'
import { Producer } from '../kafka/client/producer.ts'
import { ServerProbe } from '../kafka/server/probe.ts'
import { LogProbe } from '../log/probe.ts'
import { GrpcRpc } from '../proto/rpc.ts'
import { RaftProbe } from '../raft/probe.ts'
import { ReplicationProbe } from '../replication/probe.ts'
import { NodeAdmin } from './admin-source.ts'
import { loadSettings } from './config/load.ts'
import { CoordinatorProbe } from './coordinator/probe.ts'
import { FAMILIES, registerFamilies, sourceOf } from './families.ts'
import { KAFKA_FAMILIES } from './families-kafka.ts'
import type { Family, ScrapedNode, ScrapedPartition } from './families-source.ts'
import { EMPTY_IMAGE, type PartitionImage } from './metadata/image.ts'
import { PrometheusMetrics } from './metrics.ts'
import { Node } from './node.ts'
import { RpcProbe } from './peers/rpc-probe.ts'
import { parseExposition } from './testing/exposition.ts'

/** Base units, or what is counted: the last word of a name that is no counter. */
const UNITS =
  /_(seconds|bytes|records|entries|info|ratio|offset|watermark|epoch|term|id|index|size|active|state|lag)$/
const COUNTED =
  /^odradek_(controller_(nodes|topics|partitions|offline_partitions)|connections|client_software_connections|requests_in_flight|replicas|leaders|groups|group_members|producer_states|log_(segments|failed|open_files)|compaction_uncleanable_logs|disk_readonly|partition_(leader|replicas)|partitions_[a-z_]+)$/

const world = realWorld({
  logger: SILENT,
  metrics: UNSCRAPED,
  rpc: new GrpcRpc({ clock: realClock }),
})

function settingsOf(flags: Record<string, string>) {
  return loadSettings({
    profile: 'test',
    flags: {
      'process.roles': 'broker,controller',
      'node.id': '1',
      listeners: 'PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0',
      'controller.listener.names': 'CONTROLLER',
      'http.address': '',
      ...flags,
    },
  })
}

/** A node with so many partitions, each with figures of its own. */
function nodeWith(partitionCount: number, level = 'auto'): ScrapedNode {
  const partitions = Array.from({ length: partitionCount }, (_, i) => partition(i))
  const rows = partitions.map(({ index }) => image(index))
  const draft = EMPTY_IMAGE.topics.draft()
  draft.set('orders', { name: 'orders', id: 'AAAAAAAAAAAAAAAAAAAAAA', partitions: rows })
  const topics = draft.finish()
  return {
    settings: settingsOf({ 'log.dirs': '/data', 'metrics.partition.level': level }),
    identity: { clusterId: 'c' },
    state: 'running',
    partitions: {
      image: { ...EMPTY_IMAGE, topics, partitionCount },
      all: () => partitions,
      find: (_topic, index) => partitions[index],
    },
    server: { probe: new ServerProbe() },
    groups: { probe: new CoordinatorProbe(), figures: () => [] },
    store: { probe: new LogProbe(), failedLogs: () => [] },
    quorum: {
      leaderId: 1,
      leaderEpoch: 3,
      highWatermark: 8,
      nextOffset: 8,
      voters: [1, 2, 3].map((nodeId) => ({ nodeId, logEndOffset: 9 - nodeId })),
    },
    replicationProbe: new ReplicationProbe(),
    raftProbe: new RaftProbe(),
    links: { mesh: { peers: { probe: new RpcProbe() } } },
    elections: { preferred: 1, failover: 2, reassign: 0, unclean: 0 },
  }
}

function partition(index: number): ScrapedPartition {
  return {
    topic: 'orders',
    index,
    isLeader: index % 4 !== 3,
    isFailed: false,
    leaderEpoch: 5,
    isr: [1, 2, 3],
    minIsr: 2,
    recordsIn: 1_000_000 + index,
    bytesIn: 100_000_000 + index,
    recordsOut: 2_000_000 + index,
    bytesOut: 200_000_000 + index,
    batchesIn: [1, 0, 0, 2, 0],
    rejections: new Map([[10, 2]]),
    logStartOffset: 0,
    logEndOffset: 1_000_000,
    highWatermark: 999_999,
    lastStableOffset: 999_999,
    waitingProduces: 0,
    leader:
      index % 4 === 3
        ? undefined
        : {
            remotes: [
              { nodeId: 2, position: 999_990, isAtEnd: true, caughtUpMs: 0 },
              { nodeId: 3, position: -1, isAtEnd: false, caughtUpMs: 0 },
            ],
          },
    log: {
      directory: `/data/orders-${index}`,
      producerCount: 1,
      sizeBytes: () => 1000,
      segmentCount: () => 1,
      locate: () => {},
      copyAsync: () => Promise.resolve(0),
    },
  }
}

const image = (index: number): PartitionImage => ({
  index,
  replicas: [1, 2, 3],
  isr: [1, 2, 3],
  removingReplicas: [],
  addingReplicas: [],
  leader: index % 4 !== 3 ? 1 : 2,
  leaderRecoveryState: 0,
  leaderEpoch: 5,
  partitionEpoch: 5,
  directories: [],
  eligibleLeaderReplicas: [],
  lastKnownElr: [],
})

function pageOf(node: ScrapedNode, families: readonly Family[]): PrometheusMetrics {
  const metrics = new PrometheusMetrics(realClock, { hasProcess: false })
  registerFamilies(metrics, families, sourceOf(node, world))
  return metrics
}

async function scrape(metrics: PrometheusMetrics) {
  return parseExposition(Buffer.concat(await metrics.render('prometheus')).toString())
}

describe('node/families', () => {
  it('are one list of unique names with help, type and unit', () => {
    const names = FAMILIES.map(({ name }) => name)
    assert.equal(new Set(names).size, names.length)
    for (const { name, type, help } of FAMILIES) {
      assert.match(name, /^odradek_[a-z0-9_]+$/)
      assert.match(help, /^[A-Z0-9].*\.$/s, name)
      const isCounter = name.endsWith('_total')
      assert.equal(type === 'counter', isCounter, name)
      if (type === 'histogram') assert.match(name, /_(seconds|bytes)$/)
      else if (!isCounter) assert.ok(UNITS.test(name) || COUNTED.test(name), `${name}: no unit`)
    }
    const kafka = KAFKA_FAMILIES.map(({ name }) => name)
    assert.equal(new Set(kafka).size, kafka.length)
    for (const name of kafka) assert.match(name, /^kafka_[a-z0-9_]+$/)
  })

  it('give each partition a series, or each topic, or none', async () => {
    const count = async (node: ScrapedNode, name: string) =>
      (await scrape(pageOf(node, FAMILIES))).get(name)?.samples.length ?? 0
    const partitions = 'odradek_partition_records_in_total'
    const topics = 'odradek_topic_records_in_total'
    assert.equal(await count(nodeWith(2000), partitions), 1500)
    assert.equal(await count(nodeWith(2001), partitions), 0)
    assert.equal(await count(nodeWith(2001), topics), 1)
    assert.equal(await count(nodeWith(2004, 'partition'), partitions), 1503)
    assert.equal(await count(nodeWith(4, 'topic'), partitions), 0)
    assert.equal(await count(nodeWith(4, 'topic'), topics), 1)
    assert.equal(await count(nodeWith(4, 'none'), topics), 0)
    assert.equal(await count(nodeWith(4, 'none'), 'odradek_partitions_under_min_isr'), 1)
  })

  it('sum to the same for topics and partitions, counted by leaders alone', async () => {
    const families = await scrape(pageOf(nodeWith(8), FAMILIES))
    const sum = (name: string) =>
      families.get(name)!.samples.reduce((total, { value }) => total + value, 0)
    assert.equal(sum('odradek_partition_records_in_total'), 6_000_018)
    assert.equal(sum('odradek_topic_records_in_total'), 6_000_018)
    assert.equal(sum('odradek_topic_batches_in_total'), 18)
    assert.equal(sum('odradek_topic_rejected_records_total'), 12)
    assert.equal(sum('odradek_leaders'), 6)
    assert.equal(sum('odradek_replicas'), 8)
    assert.equal(sum('odradek_replica_lag_records'), 60)
    assert.equal(sum('odradek_raft_peer_lag_entries'), 3)
    const lags = families.get('odradek_replica_lag_seconds')!.samples
    assert.equal(lags.find(({ labels }) => labels === '{follower="2"}')!.value, 0)
    assert.ok(lags.find(({ labels }) => labels === '{follower="3"}')!.value > 0)
  })

  it('show calls between nodes and the rounds of the quorum', async () => {
    const node = nodeWith(1)
    const { probe } = node.links.mesh.peers
    probe.answered('cluster/forward', 2, 0.003)
    probe.failed('cluster/forward', 2, 'timeout')
    probe.failed('raft/exchange', 3, 'unavailable')
    probe.failed('raft/exchange', 3, 'unavailable')
    node.raftProbe.endings.preVoteDenied = 4
    node.raftProbe.snapshotSizeBytes = 4096
    const page = Buffer.concat(await pageOf(node, FAMILIES).render('prometheus')).toString()
    for (const line of [
      'odradek_rpc_client_seconds_count{method="cluster/forward",peer="2"} 1',
      'odradek_rpc_errors_total{method="raft/exchange",peer="3",code="unavailable"} 2',
      'odradek_raft_elections_total{result="prevote_denied"} 4',
      'odradek_raft_snapshots_total{direction="taken"} 0',
      'odradek_raft_snapshot_size_bytes 4096',
      'odradek_raft_fsync_seconds_count 0',
    ]) {
      assert.ok(page.includes(`\n${line}\n`), line)
    }
  })

  it('of a real node are a page that any scraper takes', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'odradek-metrics-'))
    const onFatal = (error: unknown) => {
      throw error
    }
    const node = await Node.start(world, settingsOf({ 'log.dirs': directory }), onFatal)
    const metrics = new PrometheusMetrics(realClock, { hasProcess: true })
    let leave = () => Promise.resolve()
    try {
      const admin = new NodeAdmin(node, world, metrics)
      leave = await use(node)
      const page = async (kind: 'metrics' | 'kafkaMetrics') =>
        parseExposition(Buffer.concat(await admin[kind]('prometheus')).toString())
      const families = await page('metrics')
      const value = (name: string, labels: string) =>
        families.get(name)?.samples.find((one) => one.labels === labels)?.value
      assert.equal(value('odradek_topic_records_in_total', '{topic="t"}'), 3)
      assert.equal(value('odradek_group_lag_records', '{group="g",topic="t",partition="0"}'), 2)
      assert.equal(value('odradek_group_members', '{group="g"}'), 1)
      // One replica, and min.insync.replicas=2: it takes writes, so it is no alert.
      assert.equal(value('odradek_partitions_under_min_isr', ''), 0)
      assert.ok(value('odradek_disk_free_bytes', `{dir="${directory}"}`) !== 0)
      assert.equal(admin.readiness().isReady, true)
      assert.equal(admin.quorum().leader, 1)
      const kafka = await page('kafkaMetrics')
      const lag = kafka.get('kafka_consumergroup_lag_sum')!.samples
      assert.deepEqual(lag, [
        { name: 'kafka_consumergroup_lag_sum', labels: '{consumergroup="g",topic="t"}', value: 2 },
      ])
    } finally {
      metrics.close()
      await leave()
      await node.stop()
      rmSync(directory, { recursive: true, force: true })
    }
  })
})

/** Three records, one of which a group has read. Returns the way to leave. */
async function use(node: Node): Promise<() => Promise<void>> {
  const cluster = new Cluster(world, {
    bootstrap: [`127.0.0.1:${node.endpoints[0]!.port}`],
    clientId: 'test',
    timeoutMs: 5000,
  })
  const values = ['a', 'b', 'c'].map((value) => ({ value: Buffer.from(value), partition: 0 }))
  await new Producer(cluster).send('t', values)
  const member = new GroupMember(cluster, { group: 'g', topics: ['t'] })
  await member.join()
  await member.commit([{ topic: 't', partition: 0, offset: 1 }])
  return async () => {
    await member.close()
    await cluster.close()
  }
}
