// node --test docs/examples/orders.test.mjs
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Kafka, logLevel } from 'kafkajs'
import { startCluster } from 'odradek/testing'

describe('orders', () => {
  let cluster
  let kafka

  before(async () => {
    cluster = await startCluster({ nodes: 3, settings: { 'num.partitions': '1' } })
    const retry = { initialRetryTime: 50, retries: 20, maxRetryTime: 500 }
    const timeouts = { connectionTimeout: 1000, requestTimeout: 5000 }
    kafka = new Kafka({ brokers: cluster.brokers, logLevel: logLevel.NOTHING, retry, ...timeouts })
  })
  after(() => cluster.stop())

  it('are taken while one node stands still, and while another is cut off', async () => {
    const producer = kafka.producer()
    await producer.connect()
    const send = (value) => producer.send({ topic: 'orders', messages: [{ value }] })
    await send('at first')

    const admin = kafka.admin()
    await admin.connect()
    const [topic] = (await admin.fetchTopicMetadata({ topics: ['orders'] })).topics
    await admin.disconnect()
    const [leader, one, two] = topic.partitions[0].replicas.map((id) => cluster.nodes[id - 1])
    one.pause()
    await send('one stands still')
    one.resume()
    cluster.cut(leader, two)
    cluster.cut(one, two)
    await send('two is cut off')
    cluster.heal()
    await producer.disconnect()

    const values = []
    const consumer = kafka.consumer({ groupId: 'shop' })
    await consumer.connect()
    await consumer.subscribe({ topic: 'orders', fromBeginning: true })
    await new Promise((resolve) => {
      consumer.run({
        eachMessage: async ({ message }) => {
          values.push(String(message.value))
          if (values.length === 3) resolve()
        },
      })
    })
    await consumer.disconnect()
    assert.deepEqual(values, ['at first', 'one stands still', 'two is cut off'])
  })
})
