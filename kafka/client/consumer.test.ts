/** A consumer on simulated nodes that move their leaders, die and fall silent. */
import assert from 'node:assert/strict'
import { LEADER_EPOCH_AT, writeInt32 } from '../../log/format.ts'
import { encodeBatch } from '../../log/records.ts'
import type { Cluster } from './cluster.ts'
import { KafkaError } from './cluster.ts'
import { ClientError } from './connection.ts'
import { Consumer, type Truncation } from './consumer.ts'
import { FakeCluster } from './testing/fake-cluster.ts'

describe('kafka/client/consumer', () => {
  let fake: FakeCluster
  let cluster: Cluster
  let consumer: Consumer

  beforeEach(async () => {
    fake = await FakeCluster.start({ orders: 3, others: 1 })
    cluster = fake.client()
    consumer = new Consumer(cluster, { startAt: 'earliest', maxWaitMs: 100 })
  })

  afterEach(() => cluster.close())

  const write = (partition: number, ...values: string[]) => {
    const { log } = fake.partition('orders', partition)
    for (const value of values) {
      const batch = encodeBatch([{ timestampMs: 1, key: null, value: Buffer.from(value) }])
      writeInt32(batch, LEADER_EPOCH_AT, fake.partition('orders', partition).leaderEpoch)
      log.store(batch)
    }
    log.commit()
  }
  const assign = (...partitions: number[]) =>
    fake.world.complete(
      consumer.assign(partitions.map((partition) => ({ topic: 'orders', partition }))),
      5000,
    )
  const polled = async (limitMs = 5000) => {
    const records = await fake.world.complete(consumer.poll(), limitMs)
    return records.map(({ partition, value }) => `${partition}:${value}`)
  }
  const nowMs = () => cluster.clock.monotonicMs()

  it('reads on at a leader that an answer names', async () => {
    write(0, 'a')
    await assign(0)
    assert.deepEqual(await polled(), ['0:a'])
    const asked = fake.metadataAsked.get(1)
    fake.partition('orders', 0).moveTo(2)
    write(0, 'b')
    const startMs = nowMs()
    assert.deepEqual(await polled(), ['0:b'])
    assert.ok(nowMs() - startMs < 100)
    assert.equal(fake.metadataAsked.get(1), asked)
    assert.equal(consumer.positions()[0]!.offset, 2)
  })

  it('waits for the next leader when the only one is killed', async () => {
    write(0, 'a')
    await assign(0)
    await polled()
    fake.kill(1)
    fake.after(300, () => {
      fake.partition('orders', 0).moveTo(3)
      write(0, 'b')
    })
    const startMs = nowMs()
    assert.deepEqual(await polled(), ['0:b'])
    assert.ok(nowMs() - startMs < 400, `${nowMs() - startMs}`)
  })

  it('goes on with the next leader when one falls silent', async () => {
    write(0, 'a')
    await assign(0)
    await polled()
    fake.freeze(1)
    fake.after(300, () => {
      fake.partition('orders', 0).moveTo(3)
      write(0, 'b')
    })
    const startMs = nowMs()
    assert.deepEqual(await polled(), ['0:b'])
    assert.ok(nowMs() - startMs < 1000, `${nowMs() - startMs}`)
  })

  it('gives what other leaders have while one is missing', async () => {
    await assign(0, 1, 2)
    fake.kill(2)
    fake.partition('orders', 1).moveTo(-1)
    write(0, 'a')
    write(1, 'b')
    write(2, 'c')
    assert.deepEqual((await polled()).sort(), ['0:a', '2:c'])
    assert.deepEqual(await polled(), [])
    fake.partition('orders', 1).moveTo(1)
    assert.deepEqual(await polled(), ['1:b'])
  })

  it('is not deceived by a node that does not know yet that it was replaced', async () => {
    write(0, 'a')
    await assign(0)
    // The answer names the new leader, whose epoch is newer than what node 1 goes on telling.
    fake.cutOff(2)
    fake.cutOff(3)
    fake.partition('orders', 0).moveTo(2)
    assert.deepEqual(await polled(), ['0:a'])
    for (let i = 0; i < 5; i++) cluster.suspect('orders')
    write(0, 'b')
    assert.deepEqual(await polled(), ['0:b'])
  })

  describe('records that were read and are lost (KIP-320)', () => {
    let truncations: Truncation[]
    const truncatedAt1 = { topic: 'orders', partition: 0, fromOffset: 3, toOffset: 1 }

    beforeEach(() => {
      truncations = []
      const onTruncation = (truncation: Truncation) => truncations.push(truncation)
      consumer = new Consumer(cluster, { startAt: 'earliest', maxWaitMs: 100, onTruncation })
    })

    it('are noticed at a new leader, and what it has instead is read', async () => {
      write(0, 'a', 'b', 'c')
      await assign(0)
      assert.deepEqual(await polled(), ['0:a', '0:b', '0:c'])
      const orders = fake.partition('orders', 0)
      orders.truncate(1)
      orders.moveTo(2)
      write(0, 'B', 'C', 'D', 'E')
      assert.deepEqual(await polled(), ['0:B', '0:C', '0:D', '0:E'])
      assert.deepEqual(truncations, [truncatedAt1])
      assert.deepEqual(
        consumer.positions().map(({ offset, epoch }) => [offset, epoch]),
        [[5, 2]],
      )
    })

    it('are noticed when the new leader has no more than it kept', async () => {
      write(0, 'a', 'b', 'c')
      await assign(0)
      await polled()
      const orders = fake.partition('orders', 0)
      orders.truncate(1)
      orders.moveTo(2)
      assert.deepEqual(await polled(), [])
      write(0, 'B')
      assert.deepEqual(await polled(), ['0:B'])
      assert.deepEqual(truncations, [truncatedAt1])
    })

    it('are noticed by a leader that stayed', async () => {
      write(0, 'a', 'b', 'c')
      await assign(0)
      await polled()
      fake.partition('orders', 0).truncate(1)
      assert.deepEqual(await polled(), [])
      assert.deepEqual(truncations, [truncatedAt1])
      write(0, 'B')
      assert.deepEqual(await polled(), ['0:B'])
    })

    it('are noticed by who goes on from a commit', async () => {
      write(0, 'a', 'b', 'c')
      const orders = fake.partition('orders', 0)
      orders.truncate(1)
      orders.moveTo(2)
      write(0, 'B', 'C', 'D', 'E')
      const place = { topic: 'orders', partition: 0, offset: 3, epoch: 1 }
      await fake.world.complete(consumer.assign([place]), 1000)
      assert.deepEqual(await polled(), ['0:B', '0:C', '0:D', '0:E'])
      assert.deepEqual(truncations, [truncatedAt1])
    })

    it('are none when a leader moves and keeps all', async () => {
      write(0, 'a')
      await assign(0)
      await polled()
      for (const [leaderId, value] of [
        [2, 'b'],
        [3, 'c'],
        [1, 'd'],
      ] as const) {
        fake.partition('orders', 0).moveTo(leaderId)
        write(0, value)
        assert.deepEqual(await polled(), [`0:${value}`])
      }
      assert.deepEqual(truncations, [])
    })
  })

  it('starts again where it was told to when its offset is gone', async () => {
    write(0, 'a', 'b', 'c')
    fake.partition('orders', 0).log.logStartOffset = 2
    const place = { topic: 'orders', partition: 0, offset: 0 }
    await fake.world.complete(consumer.assign([place]), 1000)
    assert.deepEqual(await polled(), [])
    assert.deepEqual(await polled(), ['0:c'])
  })

  it('finds ends while the leader moves', async () => {
    write(0, 'a', 'b')
    await assign(0)
    fake.kill(1)
    fake.after(200, () => fake.partition('orders', 0).moveTo(2))
    assert.equal(await fake.world.complete(consumer.offset('orders', 0, 'latest'), 2000), 2)
    fake.freeze(2)
    fake.after(200, () => fake.partition('orders', 0).moveTo(3))
    assert.equal(await fake.world.complete(consumer.offset('orders', 0, 'latest'), 2000), 2)
  })

  it('gives up when no leader answers for as long as it has patience, and has lost nothing', async () => {
    write(0, 'a')
    consumer = new Consumer(cluster, { startAt: 'earliest', maxWaitMs: 100, patienceMs: 1000 })
    await assign(0)
    fake.partition('orders', 0).moveTo(-1)
    await assert.rejects(
      polled(),
      (error: unknown) => error instanceof KafkaError && error.code === 5,
    )
    for (const nodeId of fake.nodeIds) fake.kill(nodeId)
    await assert.rejects(
      polled(),
      (error: unknown) => error instanceof ClientError && error.code === 'unreachable',
    )
    await fake.boot(2)
    fake.partition('orders', 0).moveTo(2)
    assert.deepEqual(await polled(), ['0:a'])
  })

  it('fails at once on a topic or a partition that does not exist', async () => {
    const isUnknown = (error: unknown) => error instanceof KafkaError && error.code === 3
    await assert.rejects(assign(7), isUnknown)
    const place = { topic: 'nothing', partition: 0 }
    await assert.rejects(fake.world.complete(consumer.assign([place]), 20_000), isUnknown)
  })
})
