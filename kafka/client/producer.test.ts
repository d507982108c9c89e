/** A producer on simulated nodes that move their leaders, die, fall silent, and lose answers. */
import assert from 'node:assert/strict'
import { decodeBatches } from '../../log/records.ts'
import type { Cluster } from './cluster.ts'
import { KafkaError } from './cluster.ts'
import { type Delivered, Producer, type ProducerOptions } from './producer.ts'
import { FakeCluster } from './testing/fake-cluster.ts'

const QUICK_FAILOVER_MS = 100

describe('kafka/client/producer', () => {
  let fake: FakeCluster
  let cluster: Cluster
  let producer: Producer

  beforeEach(async () => {
    fake = await FakeCluster.start({ orders: 3 })
    open()
  })

  afterEach(() => cluster.close())

  const open = (options: ProducerOptions = {}) => {
    cluster = fake.client()
    producer = new Producer(cluster, options)
  }
  const send = (value: string, partition?: number) =>
    producer.send('orders', [
      { value: Buffer.from(value), ...(partition !== undefined && { partition }) },
    ])
  const sent = (value: string, partition?: number, limitMs = 5000) =>
    fake.world.complete(send(value, partition), limitMs)
  const valuesOf = (partition: number) => {
    const bytes = Buffer.concat(fake.partition('orders', partition).log.batches)
    return decodeBatches(bytes).map(({ value }) => value?.toString())
  }
  const nowMs = () => cluster.clock.monotonicMs()
  /** How long a send takes during which `spoil` happens. */
  const gapMs = async (value: string, limitMs: number) => {
    const startMs = nowMs()
    await sent(value, 0, limitMs)
    return nowMs() - startMs
  }

  it('follows a leader that an answer names, without asking for metadata', async () => {
    await sent('a', 0)
    const asked = fake.metadataAsked.get(1)
    fake.partition('orders', 0).moveTo(2)
    assert.ok((await gapMs('b', 1000)) < 20)
    assert.deepEqual(valuesOf(0), ['a', 'b'])
    assert.equal(fake.metadataAsked.get(1), asked)
  })

  it('goes on with the next leader when one is killed', async () => {
    await sent('a', 0)
    fake.kill(1)
    fake.after(QUICK_FAILOVER_MS, () => fake.partition('orders', 0).moveTo(3))
    const gap = await gapMs('b', 2000)
    assert.ok(gap >= QUICK_FAILOVER_MS && gap < QUICK_FAILOVER_MS + 50, `${gap} ms`)
    assert.deepEqual(valuesOf(0), ['a', 'b'])
  })

  it('goes on with the next leader when one falls silent', async () => {
    await sent('a', 0)
    fake.freeze(1)
    fake.after(500, () => fake.partition('orders', 0).moveTo(3))
    const gap = await gapMs('b', 5000)
    assert.ok(gap >= 500 && gap < 1600, `${gap} ms`)
    assert.deepEqual(valuesOf(0), ['a', 'b'])
  })

  it('writes a batch once when its answer is lost', async () => {
    await sent('a', 0)
    fake.partition('orders', 0).losesAnswer = true
    fake.after(100, () => fake.partition('orders', 0).moveTo(2))
    const [delivered] = (await sent('b', 0)) as [Delivered]
    assert.deepEqual(delivered, { partition: 0, offset: 1 })
    assert.equal((await sent('c', 0))[0]!.offset, 2)
    assert.deepEqual(valuesOf(0), ['a', 'b', 'c'])
  })

  it('keeps the order of what is sent at once, through it all', async () => {
    const values = Array.from({ length: 30 }, (_, i) => `v${i}`)
    const all = Promise.all(values.map((value) => send(value, 0)))
    await fake.world.runFor(4)
    for (const [delayMs, leaderId] of [
      [1, 2],
      [3, 1],
      [6, 3],
    ] as const) {
      fake.after(delayMs, () => fake.partition('orders', 0).moveTo(leaderId))
    }
    fake.after(8, () => fake.kill(3))
    fake.after(60, () => fake.partition('orders', 0).moveTo(2))
    const offsets = (await fake.world.complete(all, 10_000)).map(([one]) => one!.offset)
    assert.deepEqual(
      offsets,
      values.map((_, i) => i),
    )
    assert.deepEqual(valuesOf(0), values)
  })

  it('does not wait for a partition that it does not write to', async () => {
    fake.partition('orders', 1).moveTo(-1)
    await sent('a', 0, 100)
    // Without a key there is a choice.
    for (let i = 0; i < 6; i++) assert.notEqual((await sent('x', undefined, 100))[0]!.partition, 1)
    const waiting = send('b', 1)
    fake.after(300, () => fake.partition('orders', 1).moveTo(2))
    assert.equal((await fake.world.complete(waiting, 1000))[0]!.partition, 1)
  })

  it('waits while no node can be reached, once one was', async () => {
    await sent('a', 0)
    for (const nodeId of fake.nodeIds) fake.kill(nodeId)
    const waiting = send('b', 0)
    await fake.world.runFor(3000)
    await fake.boot(1)
    assert.equal((await fake.world.complete(waiting, 3000))[0]!.offset, 1)
  })

  it('gives up at its delivery timeout, and goes on under another producer id', async () => {
    await cluster.close()
    open({ deliveryTimeoutMs: 2000 })
    await sent('a', 0)
    fake.partition('orders', 0).moveTo(-1)
    const startMs = nowMs()
    const results = Promise.allSettled([send('b', 0), send('c', 0)])
    const [first, second] = await fake.world.complete(results, 5000)
    // Both were sent at the same time, and wait no longer one behind the other.
    assert.ok(nowMs() - startMs < 2200)
    for (const result of [first, second]) {
      assert.ok(result.status === 'rejected' && result.reason instanceof KafkaError)
      assert.equal(result.reason.code, 5)
    }
    fake.partition('orders', 0).moveTo(2)
    assert.equal((await sent('d', 0))[0]!.offset, 1)
    const [before, after] = [...fake.partition('orders', 0).written.keys()]
    assert.equal(before, '1000/0')
    assert.ok(after?.endsWith('/0') && after !== before, after)
  })

  it('fails at once on what does not pass', async () => {
    await assert.rejects(
      fake.world.complete(send('a', 3), 1000),
      (error: unknown) => error instanceof KafkaError && error.code === 3,
    )
    const large = producer.send('orders', [{ value: Buffer.alloc(2 * 1024 * 1024), partition: 0 }])
    await assert.rejects(
      fake.world.complete(large, 1000),
      (error: unknown) => error instanceof KafkaError && error.code === 10,
    )
    assert.equal((await sent('b', 0))[0]!.offset, 0)
  })
})
