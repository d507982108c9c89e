import assert from 'node:assert/strict'
import { baseOffsetAt, leaderEpochAt } from '../log/format.ts'
import { type PartitionLog, ReadPlan } from '../log/partition-log.ts'
import { decodeBatches } from '../log/records.ts'
import { OFFSET_OUT_OF_RANGE } from './errors.ts'
import type { Partition } from './partition.ts'
import { LogTail, TailMemory } from './tail.ts'
import { TestCluster } from './testing/cluster.ts'
import { batchOf, readAll, send } from './testing/records.ts'

const KB = 1024
const large = (name: string, sizeBytes = 20 * KB) => batchOf([name.padEnd(sizeBytes, 'x')])

function put(tail: LogTail, offset: number, batch: Buffer, leaderEpoch = 3): void {
  tail.append(batch, 0, batch.length, { firstOffset: offset, lastOffset: offset, leaderEpoch })
}

function copied(
  from: Partition | PartitionLog,
  upTo: number,
  plan: ReadPlan,
  limit = 1 << 20,
): Buffer {
  const target = Buffer.alloc(limit)
  return target.subarray(0, from.copy(plan, upTo, target, 0, limit))
}

/** Of a replica, as consumers read it, or of its log. */
function read(
  from: Partition | PartitionLog,
  offset: number,
  upTo: number,
  plan = new ReadPlan(),
  limit = 1 << 20,
): Buffer {
  from.locate(offset, upTo, plan)
  return copied(from, upTo, plan, limit)
}

describe('LogTail', () => {
  it('gives batches back with their offsets and epoch, as many as fit and are written', () => {
    const tail = new LogTail(new TailMemory())
    const batches = ['a', 'b', 'c'].map((name) => large(name))
    batches.forEach((batch, i) => {
      put(tail, 100 + i, batch)
    })
    const size = batches[0]!.length
    assert.equal(tail.bytesFrom(100, 103, 10 * size), 3 * size)
    assert.equal(tail.bytesFrom(100, 102, 10 * size), 2 * size, 'what is not written is not sent')
    assert.equal(tail.bytesFrom(100, 103, 2 * size + 1), 2 * size)
    assert.equal(tail.bytesFrom(101, 103, 1), size, 'the first one whatever its size')
    assert.equal(tail.bytesFrom(99, 103, 10 * size), 0)
    assert.equal(tail.bytesFrom(103, 103, 10 * size), 0)
    const target = Buffer.alloc(10 + 2 * size)
    assert.equal(tail.copy(101, 2 * size, target, 10), 103)
    const records = decodeBatches(target, 10)
    assert.deepEqual(
      records.map(({ offset, value }) => [offset, String(value)[0]]),
      [
        [101, 'b'],
        [102, 'c'],
      ],
    )
    assert.equal(leaderEpochAt(target, 10), 3)
    assert.equal(baseOffsetAt(target, 10 + size), 102)
  })

  it('begins anew where a batch is missing, small, or the log went back', () => {
    const tail = new LogTail(new TailMemory())
    const batch = large('a')
    put(tail, 0, batch)
    put(tail, 5, batch)
    assert.equal(tail.bytesFrom(0, 10, 1 << 20), 0)
    assert.equal(tail.bytesFrom(5, 10, 1 << 20), batch.length)
    put(tail, 5, batch)
    assert.equal(tail.bytesFrom(5, 10, 1 << 20), batch.length)
    put(tail, 6, batchOf(['small']))
    put(tail, 7, batch)
    assert.equal(tail.bytesFrom(5, 10, 1 << 20), 0)
    assert.equal(tail.bytesFrom(7, 10, 1 << 20), batch.length)
    tail.clear()
    assert.equal(tail.bytesFrom(7, 10, 1 << 20), 0)
  })

  it('forgets what others have written over, at every size', () => {
    const memory = new TailMemory()
    const tails = [new LogTail(memory), new LogTail(memory)]
    const sizes = [9, 70, 333, 900].map((kilobytes) => kilobytes * KB)
    for (let i = 0; i < 60; i++) {
      const offset = i >> 1
      const batch = large(`batch ${i} `, sizes[(i * 7) % sizes.length])
      const tail = tails[i % 2]!
      put(tail, offset, batch)
      for (let from = 0; from <= offset; from++) {
        const bytes = tail.bytesFrom(from, offset + 1, 1)
        if (from === offset) assert.equal(bytes, batch.length)
        if (bytes === 0) continue
        const target = Buffer.alloc(bytes)
        tail.copy(from, bytes, target, 0)
        const value = String(decodeBatches(target)[0]!.value!.subarray(0, 20))
        assert.ok(value.startsWith(`batch ${2 * from + (i % 2)} `), value)
      }
    }
    const held = tails.flatMap((tail) =>
      Array.from({ length: 30 }, (_, offset) => tail.bytesFrom(offset, 30, 1)),
    )
    const heldBytes = held.reduce((sum, bytes) => sum + bytes, 0)
    assert.ok(heldBytes > 1024 * KB && heldBytes <= 4096 * KB, `${heldBytes} bytes`)
    assert.equal(tails[0]!.bytesFrom(0, 30, 1), 0)
  })
})

describe('the tail of a leader', () => {
  it('feeds followers that keep up without a read of the disk', async () => {
    const cluster = await TestCluster.start({ seed: 41 })
    const leader = cluster.leaderOf()!
    const { host, probe } = cluster.node(leader.leaderId)
    let reads = 0
    host.disk.fault = (operation) => {
      if (operation === 'read') reads++
      return undefined
    }
    const sent = Array.from({ length: 20 }, (_, i) => send(leader, [`${i}`.padEnd(40 * KB, 'y')]))
    await cluster.settled()
    assert.ok(sent.every(({ ack }) => ack === 0))
    assert.equal(reads, 0)
    assert.ok(probe.sentTailBytes > 2 * 20 * 40 * KB)
    for (const node of cluster.nodes) assert.equal(readAll(node.partition()).size, 20)
  })

  it('feeds consumers that keep up without a read of the disk', async () => {
    const cluster = await TestCluster.start({ seed: 47 })
    const leader = cluster.leaderOf()!
    for (let i = 0; i < 6; i++) send(leader, [`${i}`.padEnd(40 * KB, 'z')])
    await cluster.settled()
    const fromFile = read(leader.log, 2, 5)
    let reads = 0
    cluster.node(leader.leaderId).host.disk.fault = (operation) => {
      if (operation === 'read') reads++
      return undefined
    }
    const plan = new ReadPlan()
    const fromMemory = read(leader, 2, 5, plan)
    assert.equal(plan.nextOffset, 5)
    assert.ok(fromMemory.equals(fromFile), 'what is in memory is what is in the log')
    assert.equal(reads, 0)
    assert.ok(
      read(leader, 2, 5, plan, 90 * KB).equals(fromFile.subarray(0, (2 * fromFile.length) / 3)),
    )
    assert.equal(plan.nextOffset, 4, 'whole batches within the limit')
    assert.equal(read(leader, 2, 5, plan, KB).length, 0, 'not even the first has room')
    leader.locate(2, 5, plan)
    leader.tail.clear()
    assert.ok(copied(leader, 5, plan).equals(fromFile), 'what has left the memory is read')
    assert.ok(reads > 0)
  })

  it('is kept for nobody, and for a consumer that waits', async () => {
    const cluster = await TestCluster.start({ seed: 48, nodes: 1 })
    const leader = cluster.leaderOf()!
    send(leader, ['a'.padEnd(20 * KB, 'a')])
    await cluster.settled()
    assert.equal(leader.tail.bytesFrom(0, 1, 1 << 20), 0)
    leader.addDataWaiter({ onData() {} })
    send(leader, ['b'.padEnd(20 * KB, 'b')])
    await cluster.settled()
    assert.ok(leader.tail.bytesFrom(1, 2, 1 << 20) > 0)
    const plan = new ReadPlan()
    assert.ok(read(leader, 1, 2, plan).equals(read(leader.log, 1, 2)))
    assert.ok(read(leader, 0, 2, plan).equals(read(leader.log, 0, 2)), 'half of it is in memory')
    leader.log.advanceLogStart(2)
    leader.locate(1, 2, plan)
    assert.equal(plan.error, OFFSET_OUT_OF_RANGE)
  })

  it('has nothing of a write that failed, nor of an epoch that is over', async () => {
    const cluster = await TestCluster.start({ seed: 42 })
    const leader = cluster.leaderOf()!
    const { disk } = cluster.node(leader.leaderId).host
    const first = send(leader, ['kept'.padEnd(20 * KB, 'k')])
    await cluster.settled()
    disk.fault = (operation) => (operation === 'write' ? 'ENOSPC' : undefined)
    const lost = send(leader, ['lost'.padEnd(20 * KB, 'l')])
    await cluster.run(5)
    disk.fault = () => undefined
    assert.notEqual(lost.ack, 0)
    await cluster.run(500)
    const next = cluster.leaderOf()!
    const second = send(next, ['then'.padEnd(20 * KB, 't')])
    await cluster.settled()
    assert.deepEqual([first.ack, second.ack], [0, 0])
    assert.equal(leader.tail.bytesFrom(0, 1, 1 << 20), next === leader ? first.offset : 0)
    for (const node of cluster.nodes) {
      const starts = [...readAll(node.partition()).values()].map((value) => value.slice(0, 4))
      assert.deepEqual(starts, ['kept', 'then'])
    }
  })

  it('is not what was cut meanwhile, when a node leads again', async () => {
    const cluster = await TestCluster.start({ seed: 46, hasSmallTail: true })
    const { controller, world } = cluster
    const leader = cluster.node(0).partition()
    assert.equal(cluster.leaderOf(), leader)
    send(leader, ['kept'])
    await cluster.settled()
    cluster.node(2).kill()
    controller.fence(2)
    world.links.cut('n0', 'n1')
    send(leader, ['gone'])
    await cluster.run(20)
    assert.ok(leader.tail.bytesFrom(1, 2, 1) > 0)
    controller.moveUnclean(0, 1)
    await world.runUntil(() => cluster.node(1).partition().isLeader, 1000)
    send(cluster.node(1).partition(), ['here'])
    world.links.healAll()
    await world.runUntil(() => controller.partitions[0]!.isr.includes(0), 5000)
    controller.move(0, 0)
    await cluster.settled()
    await cluster.boot(2)
    await cluster.settled()
    for (const node of cluster.nodes) {
      assert.deepEqual([...readAll(node.partition()).values()], ['kept', 'here'])
    }
  })

  it('goes back with the log of a leader that stays', async () => {
    const cluster = await TestCluster.start({ seed: 45 })
    const leader = cluster.leaderOf()!
    for (const id of [1, 2]) {
      cluster.node(id).kill()
      cluster.controller.fence(id)
    }
    const { disk } = cluster.node(leader.leaderId).host
    disk.fault = (operation) => (operation === 'write' ? 'ENOSPC' : undefined)
    const lost = send(leader, ['lost'.padEnd(20 * KB, 'l')])
    await cluster.run(50)
    disk.fault = () => undefined
    assert.notEqual(lost.ack ?? 0, 0)
    await cluster.run(500)
    assert.ok(leader.isLeader)
    send(leader, ['good'.padEnd(20 * KB, 'g')])
    for (const id of [1, 2]) await cluster.boot(id)
    await cluster.settled()
    for (const node of cluster.nodes) {
      const starts = [...readAll(node.partition()).values()].map((value) => value.slice(0, 4))
      assert.deepEqual(starts, ['good'])
    }
    assert.ok(cluster.node(leader.leaderId).probe.sentTailBytes > 0)
  })

  it('is empty when leadership has moved', async () => {
    const cluster = await TestCluster.start({ seed: 43 })
    const leader = cluster.leaderOf()!
    send(leader, ['a'.padEnd(20 * KB, 'a')])
    await cluster.settled()
    assert.ok(leader.tail.bytesFrom(0, 1, 1 << 20) > 0)
    cluster.controller.move(0, (leader.leaderId + 1) % 3)
    await cluster.settled()
    assert.equal(leader.tail.bytesFrom(0, 1, 1 << 20), 0)
    send(cluster.leaderOf()!, ['b'.padEnd(20 * KB, 'b')])
    await cluster.settled()
    for (const node of cluster.nodes) assert.equal(readAll(node.partition()).size, 2)
  })
})
