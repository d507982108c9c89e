// npx mocha docs/examples/orders.mocha.mjs
import assert from 'node:assert/strict'
import { Kafka, logLevel } from 'kafkajs'
import { startCluster } from 'odradek/testing'

describe('orders', function () {
  this.timeout(30_000)
  let cluster
  let kafka

  before(async () => {
    cluster = await startCluster()
    kafka = new Kafka({ brokers: cluster.brokers, logLevel: logLevel.NOTHING })
  })
  after(() => cluster.stop())

  it('are kept when the leader of their partition is killed', async () => {
    const admin = kafka.admin()
    await admin.connect()
    await admin.createTopics({ topics: [{ topic: 'orders', replicationFactor: 3 }] })
    const [topic] = (await admin.fetchTopicMetadata({ topics: ['orders'] })).topics
    const leader = cluster.nodes[topic.partitions[0].leader - 1]

    const producer = kafka.producer()
    await producer.connect()
    await producer.send({ topic: 'orders', messages: [{ value: 'before' }] })
    await leader.kill()
    await producer.send({ topic: 'orders', messages: [{ value: 'after' }] })
    await leader.start()

    const [{ high }] = await admin.fetchTopicOffsets('orders')
    assert.equal(high, '2')
    await producer.disconnect()
    await admin.disconnect()
  })
})
