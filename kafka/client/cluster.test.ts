import assert from 'node:assert/strict'
import { ClientError } from './connection.ts'
import { splitAddress } from './nodes.ts'
import { persist } from './retry.ts'
import { FakeCluster } from './testing/fake-cluster.ts'

describe('kafka/client/cluster', () => {
  it('takes the first bootstrap address that answers', async () => {
    const fake = await FakeCluster.start({ orders: 3 })
    fake.kill(1)
    const client = fake.client({ bootstrap: ['nowhere:1', 'node-1:9092', 'node-2:9092'] })
    const answer = await fake.world.complete(client.metadata(null), 5000)
    assert.deepEqual(
      answer.brokers.map(({ nodeId }) => nodeId),
      [1, 2, 3],
    )
    await client.close()
  })

  it('says at once that nobody answers, also to those who persist', async () => {
    const fake = await FakeCluster.start({ orders: 3 })
    for (const nodeId of fake.nodeIds) fake.kill(nodeId)
    const client = fake.client()
    const startMs = client.clock.monotonicMs()
    const ask = () => client.topic('orders')
    const asked = persist(client, startMs + 60_000, ask).catch((error: unknown) => error)
    const error = await fake.world.complete(asked, 5000)
    assert.ok(error instanceof ClientError)
    assert.equal(error.code, 'unreachable')
    assert.match(error.message, /no broker answers at node-1:9092, node-2:9092, node-3:9092/)
    assert.ok(client.clock.monotonicMs() - startMs < 100)
    await client.close()
  })

  it('asks another node when one dies, or says nothing', async () => {
    const fake = await FakeCluster.start({ orders: 3 })
    const client = fake.client()
    await fake.world.complete(client.metadata(null), 1000)
    fake.freeze(1)
    const startMs = client.clock.monotonicMs()
    await fake.world.complete(client.refresh('orders'), 5000)
    const silentMs = client.clock.monotonicMs() - startMs
    assert.ok(silentMs > 500 && silentMs < 1500, `${silentMs}`)
    fake.kill(2)
    await fake.world.complete(client.refresh('orders'), 100)
    await client.close()
  })

  it('gives a node that is slow more time with each attempt', async () => {
    const fake = await FakeCluster.start({ orders: 3 }, { nodeCount: 1 })
    const client = fake.client({ timeoutMs: 20_000 })
    await fake.world.complete(client.metadata(null), 1000)
    fake.world.links.latencyUs = () => 900_000
    await fake.world.complete(client.refresh('orders'), 20_000)
    await client.close()
  })

  it('asks another node for leaders after each error', async () => {
    const fake = await FakeCluster.start({ orders: 3 })
    const client = fake.client()
    assert.equal((await fake.world.complete(client.leader('orders', 1), 1000)).leaderId, 2)
    // Node 1, which was asked, hears of nothing any more.
    fake.cutOff(1)
    fake.partition('orders', 1).moveTo(3)
    assert.equal((await fake.world.complete(client.leader('orders', 1), 1000)).leaderId, 2)
    client.suspect('orders')
    assert.equal((await fake.world.complete(client.leader('orders', 1), 1000)).leaderId, 3)
    // An older epoch is not believed later.
    client.suspect('orders')
    client.suspect('orders')
    client.suspect('orders')
    assert.equal((await fake.world.complete(client.leader('orders', 1), 1000)).leaderId, 3)
    await client.close()
  })

  it('asks once for all who need the same topic', async () => {
    const fake = await FakeCluster.start({ orders: 3 })
    const client = fake.client()
    const asked = Array.from({ length: 20 }, (_, i) => client.leader('orders', i % 3))
    await fake.world.complete(Promise.all(asked), 1000)
    assert.equal(fake.metadataAsked.get(1), 1)
    await client.close()
  })

  it('ends pauses when it is closed', async () => {
    const fake = await FakeCluster.start({})
    const client = fake.client()
    const paused = client.pause(60_000)
    await client.close()
    await fake.world.complete(paused, 1)
    await client.pause(60_000)
    await assert.rejects(client.any(), /the client is closed|no broker answers/)
  })

  it('reads addresses', () => {
    assert.deepEqual(splitAddress('[::1]:9'), { host: '::1', port: 9 })
    assert.deepEqual(splitAddress('host:65535'), { host: 'host', port: 65_535 })
    for (const address of ['host', 'host:0', 'host:70000', ':1', 'a:b:1', '']) {
      assert.throws(() => splitAddress(address), /is not an address: write HOST:PORT/)
    }
  })
})
