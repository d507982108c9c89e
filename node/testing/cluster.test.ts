import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Admin, Kafka, logLevel, Partitioners } from 'kafkajs'
import { startCluster, type TestCluster, type TestNode } from './cluster.ts'

function kafkaOf(nodes: readonly TestNode[]): Kafka {
  return new Kafka({
    brokers: nodes.map((node) => node.bootstrap),
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 50, retries: 20, maxRetryTime: 500 },
    requestTimeout: 1000,
    connectionTimeout: 1000,
  })
}

async function makeTopic(admin: Admin): Promise<void> {
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: 't', numPartitions: 1, replicationFactor: 3 }] })
}

describe('node/testing', function () {
  this.timeout(30_000)
  let cluster: TestCluster

  beforeEach(async () => {
    cluster = await startCluster()
  })

  afterEach(() => cluster.stop())

  it('keeps what was acknowledged when nodes are killed, and goes on', async () => {
    const kafka = kafkaOf(cluster.nodes)
    const admin = kafka.admin()
    await makeTopic(admin)
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
    await producer.connect()
    const send = (value: string) => producer.send({ topic: 't', messages: [{ value }] })
    await send('before')
    const { topics } = await admin.fetchTopicMetadata({ topics: ['t'] })
    const leader = cluster.nodes[topics[0]!.partitions[0]!.leader - 1]!
    await leader.kill()
    assert.equal(leader.isRunning, false)
    await send('without')
    await leader.start()
    await send('again')
    await producer.disconnect()
    await admin.disconnect()

    const consumer = kafka.consumer({ groupId: 'g' })
    await consumer.connect()
    await consumer.subscribe({ topic: 't', fromBeginning: true })
    const values: string[] = []
    await new Promise<void>((resolve) => {
      void consumer.run({
        eachMessage: async ({ message }) => {
          values.push(String(message.value))
          if (values.length === 3) resolve()
        },
      })
    })
    await consumer.disconnect()
    assert.deepEqual(values, ['before', 'without', 'again'])
  })

  it('elects another leader when one stands still', async () => {
    const kafka = kafkaOf(cluster.nodes)
    const admin = kafka.admin()
    await makeTopic(admin)
    const leaderOf = async () => {
      const { topics } = await admin.fetchTopicMetadata({ topics: ['t'] })
      return topics[0]!.partitions[0]!.leader
    }
    const first = cluster.nodes[(await leaderOf()) - 1]!
    first.pause()
    const until = async (isDone: () => Promise<boolean>) => {
      const limitMs = performance.now() + 8000
      while (!(await isDone().catch(() => false))) assert.ok(performance.now() < limitMs)
    }
    const other = kafkaOf(cluster.nodes.filter((node) => node !== first)).admin()
    await other.connect()
    await until(async () => {
      const { topics } = await other.fetchTopicMetadata({ topics: ['t'] })
      return topics[0]!.partitions[0]!.leader !== first.id
    })
    first.resume()
    await other.disconnect()
    await admin.disconnect()
  })
})

describe('node/testing in a directory', function () {
  this.timeout(60_000)

  it('keeps its records over a kill, and over a new cluster', async () => {
    const directory = mkdtempSync(fileURLToPath(new URL('data-', import.meta.url)))
    const sendTo = async (cluster: TestCluster, value: string) => {
      const producer = kafkaOf(cluster.nodes).producer({
        createPartitioner: Partitioners.DefaultPartitioner,
      })
      await producer.connect()
      const [answer] = await producer.send({ topic: 't', messages: [{ value }] })
      await producer.disconnect()
      return Number(answer?.baseOffset)
    }
    try {
      {
        await using cluster = await startCluster({ directory })
        const admin = kafkaOf(cluster.nodes).admin()
        await makeTopic(admin)
        await admin.disconnect()
        assert.equal(await sendTo(cluster, 'one'), 0)
        await cluster.nodes[0]!.kill()
        assert.equal(await sendTo(cluster, 'two'), 1)
        await cluster.nodes[0]!.start()
      }
      await using cluster = await startCluster({ directory })
      assert.equal(await sendTo(cluster, 'three'), 2)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})
