import assert from 'node:assert/strict'
import { RpcError } from '../base/rpc.ts'
import { SimWorld } from '../base/sim/world.ts'
import { Cluster } from '../kafka/client/cluster.ts'
import { Producer } from '../kafka/client/producer.ts'
import { throughputRequest } from '../proto/codecs.ts'
import { ClusterThroughput, type ThroughputOfCluster } from './cluster-throughput.ts'
import { loadSettings } from './config/load.ts'
import { EMPTY_IMAGE, type MetadataImage } from './metadata/image.ts'
import { Node } from './node.ts'
import { helloOf, type SelfIdentity } from './peers/hello.ts'
import { type Flow, ThroughputMeter } from './throughput.ts'

const SEED = 41
const IDS = [1, 2, 3]
const VOTERS = IDS.map((id) => `${id}@node-${id}:9093`).join(',')

const selfOf = (nodeId: number, clusterId = 'c'): SelfIdentity => ({
  nodeId,
  directoryId: `directory-${nodeId}`,
  incarnationId: `${nodeId}.1`,
  clusterId: () => clusterId,
})

/** Of one topic, whose partition k is led by node k + 1. */
function image(): MetadataImage {
  const topics = EMPTY_IMAGE.topics.draft()
  const partitions = IDS.map((leader) => ({ index: leader - 1, leader }))
  topics.set('t', { name: 't', id: 'AAAAAAAAAAAAAAAAAAAAAA', partitions: partitions as never })
  const brokers = new Map(IDS.map((id) => [id, { id, isFenced: false }]))
  return { ...EMPTY_IMAGE, topics: topics.finish(), brokers: brokers as never }
}

/** So many records a second for 20 s into each partition. */
function meterOf(nodeId: number, rates: Readonly<Record<number, number>>): ThroughputMeter {
  const meter = new ThroughputMeter(nodeId)
  const flows = Object.keys(rates).map((index) => {
    return { topic: 't', index: Number(index), recordsIn: 0, bytesIn: 0 }
  })
  for (let second = 0; second < 20; second++) {
    meter.sample(flows as Flow[], second * 1000, second * 1000)
    for (const flow of flows) {
      flow.recordsIn += rates[flow.index]!
      flow.bytesIn += 10 * rates[flow.index]!
    }
  }
  return meter
}

/** Node 1 of three, which reaches those that are not `away`. */
function cluster(meters: readonly ThroughputMeter[], away: readonly number[]) {
  const nodes: ClusterThroughput[] = []
  for (const [at, meter] of meters.entries()) {
    nodes.push(
      new ClusterThroughput({
        self: selfOf(at + 1),
        meter,
        image,
        peer: (id) => ({
          call: (_method, request) =>
            away.includes(id)
              ? Promise.reject(new RpcError('unavailable', 'away'))
              : nodes[id - 1]!.answer(Buffer.from(request)).then((bytes) => Buffer.from(bytes)),
          stream: () => assert.fail('calls only'),
          close() {},
        }),
      }),
    )
  }
  return nodes[0]!
}

const ratesOf = ({ partitions }: ThroughputOfCluster) =>
  partitions.map(({ partition, leader, recordsPerSecond }) => [partition, leader, recordsPerSecond])

describe('node/cluster-throughput', () => {
  it('is the sum of the partitions of all nodes', async () => {
    const meters = [meterOf(1, { 0: 100 }), meterOf(2, { 1: 50 }), meterOf(3, { 2: 7 })]
    const found = await cluster(meters, []).read()
    assert.deepEqual(ratesOf(found), [
      [0, 1, 100],
      [1, 2, 50],
      [2, 3, 7],
    ])
    assert.deepEqual(found.total, { recordsPerSecond: 157, bytesPerSecond: 1570 })
    assert.equal(found.history.at(-1)?.recordsPerSecond, 157)
    assert.equal(found.history.length, 20)
    assert.deepEqual(found.unheard, [])
  })

  it('names who did not answer', async () => {
    const meters = [meterOf(1, { 0: 100 }), meterOf(2, { 1: 50 }), meterOf(3, { 2: 7 })]
    const found = await cluster(meters, [3]).read()
    assert.deepEqual(found.unheard, [3])
    assert.equal(found.total.recordsPerSecond, 150)
  })

  it('counts a partition that has just moved once, at its leader', async () => {
    const meters = [meterOf(1, { 0: 100, 1: 30 }), meterOf(2, { 1: 50 }), meterOf(3, {})]
    const found = await cluster(meters, []).read()
    assert.deepEqual(ratesOf(found), [
      [0, 1, 100],
      [1, 2, 50],
    ])
    assert.equal(found.total.recordsPerSecond, 150)
  })

  it('is not told to nodes of another cluster', async () => {
    const stranger = { hello: helloOf(selfOf(9, 'another'), 1) }
    const asked = cluster([meterOf(1, { 0: 1 })], []).answer(throughputRequest.encode(stranger))
    await assert.rejects(asked, (error) => error instanceof RpcError && error.code === 'denied')
  })

  it('of three nodes is the same wherever it is asked for', async () => {
    const world = new SimWorld(SEED)
    const starts = IDS.map((id) =>
      Node.start(world.host(`node-${id}`).boot(), settingsOf(id), (error) => {
        throw error
      }),
    )
    const nodes = await world.complete(Promise.all(starts), 60_000)
    const outside = world.host('outside').world
    const bootstrap = ['node-1:9092']
    const client = new Cluster(outside, { bootstrap, clientId: 'test', timeoutMs: 5000 })
    const producer = new Producer(client)
    for (let round = 0; round < 15; round++) {
      const records = Array.from({ length: 60 }, (_, at) => {
        return { value: Buffer.from('x'), partition: at % 3 }
      })
      await world.complete(producer.send('t', records), 10_000)
      await world.runFor(1000)
    }
    for (const node of nodes) {
      const { total, partitions, unheard } = await world.complete(node.throughput.read(), 5000)
      assert.deepEqual(unheard, [])
      assert.equal(new Set(partitions.map(({ leader }) => leader)).size, 3)
      const sum = partitions.reduce((all, one) => all + one.recordsPerSecond, 0)
      assert.equal(total.recordsPerSecond, sum)
      assert.ok(Math.abs(sum - 60) < 6, `${sum} records/s of 60`)
    }
    await world.complete(client.close(), 1000)
    for (const id of IDS) world.host(`node-${id}`).kill()
  })
})

function settingsOf(id: number) {
  return loadSettings({
    profile: 'test',
    flags: {
      'process.roles': 'broker,controller',
      'node.id': String(id),
      listeners: `PLAINTEXT://node-${id}:9092,CONTROLLER://node-${id}:9093`,
      'controller.listener.names': 'CONTROLLER',
      'controller.quorum.voters': VOTERS,
      'log.dirs': '/data',
      'num.partitions': '3',
      'http.address': '',
    },
  })
}
