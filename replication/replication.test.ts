import assert from 'node:assert/strict'
import { TestCluster } from './testing/cluster.ts'
import { batchOf, readAll, type Sent, send } from './testing/records.ts'

const values = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => `value ${from + i}`)

async function acked(cluster: TestCluster, sent: Sent, limitMs = 5000): Promise<number> {
  await cluster.world.runUntil(() => sent.ack !== undefined, limitMs)
  return sent.ack!
}

/** All living replicas hold the same, and the leader has committed it. */
function checkEqual(cluster: TestCluster, expected: readonly string[], index = 0): void {
  for (const node of cluster.nodes) {
    if (!node.isRunning) continue
    assert.deepEqual([...readAll(node.partition(index)).values()], expected, `node ${node.nodeId}`)
  }
}

describe('replication', () => {
  it('replicates acks=all to all in-sync replicas before it answers', async () => {
    const cluster = await TestCluster.start({ seed: 1 })
    const leader = cluster.leaderOf()!
    const sent = send(leader, ['a', 'b'])
    assert.equal(sent.ack, undefined)
    assert.equal(await acked(cluster, sent), 0)
    for (const node of cluster.nodes) assert.equal(node.partition().log.syncedOffset, 2)
    await cluster.settled()
    checkEqual(cluster, ['a', 'b'])
    for (const node of cluster.nodes) assert.equal(node.partition().highWatermark, 2)
  })

  it('counts a position only when it is durable, and not before', async () => {
    const cluster = await TestCluster.start({ seed: 2 })
    cluster.node(2).host.disk.latencyUs = (operation) => (operation === 'sync' ? 50_000 : 0)
    const leader = cluster.leaderOf()!
    const sent = send(leader, ['a'])
    await cluster.run(20)
    assert.equal(cluster.node(2).partition().logEndOffset, 1)
    assert.equal(leader.highWatermark, 0)
    assert.equal(sent.ack, undefined)
    assert.equal(await acked(cluster, sent), 0)
    assert.equal(cluster.node(2).partition().log.syncedOffset, 1)
  })

  it('counts what is in the page cache where the topic asks for no more', async () => {
    const cluster = await TestCluster.start({ seed: 3, config: { flush: 'none' } })
    for (const { host } of cluster.nodes) host.disk.latencyUs = () => 10_000_000
    const sent = send(cluster.leaderOf()!, ['a'])
    assert.equal(await acked(cluster, sent, 50), 0)
  })

  it('takes few messages for a small record', async () => {
    const cluster = await TestCluster.start({ seed: 4 })
    const before = cluster.nodes.map(({ probe }) => ({ ...probe }))
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, ['a'])), 0)
    await cluster.run(50)
    // To each follower the record and, later, the watermark; from each follower one position.
    assert.equal(cluster.node(0).probe.sentMessages - before[0]!.sentMessages, 4)
    for (const id of [1, 2]) {
      const { acknowledgements, receivedMessages } = cluster.node(id).probe
      assert.equal(acknowledgements - before[id]!.acknowledgements, 1)
      assert.equal(receivedMessages - before[id]!.receivedMessages, 2)
    }
  })

  it('sends what followers miss in whole batches of many partitions, all equal in the end', async () => {
    const cluster = await TestCluster.start({ seed: 5, config: { segmentBytes: 100_000 } }, 8)
    const sent: Sent[] = []
    const expected = new Map<number, string[]>()
    for (let round = 0; round < 40; round++) {
      for (let index = 0; index < 8; index++) {
        const some = values(round * 10, 10).map((value) => value + 'x'.repeat(500))
        expected.set(index, [...(expected.get(index) ?? []), ...some])
        sent.push(send(cluster.leaderOf(index)!, some))
      }
      await cluster.run(1)
    }
    for (const one of sent) assert.equal(await acked(cluster, one), 0)
    for (let index = 0; index < 8; index++) {
      await cluster.settled(index)
      checkEqual(cluster, expected.get(index)!, index)
    }
  })

  it('takes a batch that is larger than a message', async () => {
    const cluster = await TestCluster.start({ seed: 6, config: { maxMessageBytes: 8_000_000 } })
    const large = ['y'.repeat(3_000_000)]
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, large)), 0)
    checkEqual(cluster, large)
  })

  it('goes on with a follower that was killed, from where it was', async () => {
    const cluster = await TestCluster.start({ seed: 7 })
    const leader = cluster.leaderOf()!
    assert.equal(await acked(cluster, send(leader, values(0, 5))), 0)
    cluster.node(2).kill()
    cluster.controller.fence(2)
    const sent = send(leader, values(5, 5))
    assert.equal(await acked(cluster, sent), 0)
    assert.deepEqual([...leader.isr].sort(), [0, 1])
    await cluster.boot(2)
    await cluster.settled()
    assert.deepEqual([...cluster.leaderOf()!.isr].sort(), [0, 1, 2])
    checkEqual(cluster, values(0, 10))
    assert.equal(cluster.node(2).probe.truncations, 0)
  })

  it('takes a silent follower out of the ISR after the lag, and in again', async () => {
    const cluster = await TestCluster.start({ seed: 8, lagMaxMs: 400 })
    const { links } = cluster.world
    links.cut('n0', 'n2')
    const sent = send(cluster.leaderOf()!, ['a'])
    await cluster.run(300)
    assert.equal(sent.ack, undefined)
    assert.equal(await acked(cluster, sent, 400), 0)
    assert.deepEqual(cluster.controller.partitions[0]!.isr, [0, 1])
    links.healAll()
    await cluster.settled()
    assert.deepEqual([...cluster.controller.partitions[0]!.isr].sort(), [0, 1, 2])
    checkEqual(cluster, ['a'])
  })

  it('does not let writers wait for long for a follower behind a cut link', async () => {
    const cluster = await TestCluster.start({ seed: 8, lagMaxMs: 60_000, minInsyncReplicas: 2 })
    cluster.world.links.cut('n0', 'n2')
    await cluster.run(10_000)
    assert.deepEqual(cluster.controller.partitions[0]!.isr, [0, 1, 2], 'nobody waits')
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, ['a']), 3000), 0)
    assert.deepEqual(cluster.controller.partitions[0]!.isr, [0, 1])
    cluster.world.links.healAll()
    await cluster.settled()
    checkEqual(cluster, ['a'])
    // Not below the minimum: that would only refuse what waits.
    cluster.world.links.cut('n0', 'n1')
    cluster.world.links.cut('n0', 'n2')
    const sent = send(cluster.leaderOf()!, ['b'])
    await cluster.run(10_000)
    assert.equal(cluster.controller.partitions[0]!.isr.length, 3)
    assert.equal(sent.ack, undefined)
    cluster.world.links.healAll()
    assert.equal(await acked(cluster, sent), 0)
  })

  it('keeps a follower in the ISR that is away while nothing is written', async () => {
    const cluster = await TestCluster.start({ seed: 9, lagMaxMs: 400 })
    await cluster.run(3000)
    assert.equal(cluster.controller.proposals.length, 0)
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, ['a']), 50), 0)
  })

  it('refuses before the append, and says after it, that there are too few replicas', async () => {
    const cluster = await TestCluster.start({ seed: 10, minInsyncReplicas: 2, lagMaxMs: 200 })
    const leader = cluster.leaderOf()!
    cluster.world.links.cut('n0', 'n1')
    cluster.world.links.cut('n0', 'n2')
    const late = send(leader, ['a'])
    assert.equal(await acked(cluster, late), 20)
    assert.deepEqual(leader.isr, [0])
    assert.equal(send(leader, ['b']).ack, 19)
    // KIP-966: below the minimum nothing is committed, so that those who were in sync have all.
    assert.equal(leader.highWatermark, 0)
    assert.equal(leader.log.syncedOffset, 1)
    cluster.world.links.healAll()
    await cluster.settled()
    assert.equal(cluster.leaderOf()!.highWatermark, 1)
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, ['c'])), 0)
  })

  it('asks again when the answer of the controller is lost', async () => {
    const cluster = await TestCluster.start({ seed: 11, lagMaxMs: 200 })
    cluster.world.links.cut('n0', 'n2')
    cluster.controller.losesAnswers = true
    const sent = send(cluster.leaderOf()!, ['a'])
    assert.equal(await acked(cluster, sent), 0)
    cluster.controller.losesAnswers = false
    cluster.controller.isReachable = false
    cluster.world.links.healAll()
    await cluster.run(1000)
    assert.deepEqual(cluster.controller.partitions[0]!.isr, [0, 1])
    // Until it hears, the watermark counts the one that it wants to add (KIP-497).
    const leader = cluster.leaderOf()!
    assert.deepEqual(leader.leader!.isr.proposed, [0, 1, 2])
    cluster.controller.isReachable = true
    await cluster.settled()
    assert.deepEqual(cluster.controller.partitions[0]!.isr, [0, 1, 2])
  })

  it('keeps waiting produces when the same node leads in a new epoch', async () => {
    const cluster = await TestCluster.start({ seed: 12 })
    cluster.node(1).host.disk.latencyUs = (operation) => (operation === 'sync' ? 30_000 : 0)
    const sent = send(cluster.leaderOf()!, ['a'])
    await cluster.run(1)
    cluster.controller.move(0, 0)
    assert.equal(await acked(cluster, sent), 0)
    assert.equal(cluster.leaderOf()!.leaderEpoch, 1)
    await cluster.settled()
    checkEqual(cluster, ['a'])
  })

  it('tells waiting produces when another node leads, and keeps what was committed', async () => {
    const cluster = await TestCluster.start({ seed: 13 })
    cluster.node(1).host.disk.latencyUs = (operation) => (operation === 'sync' ? 60_000 : 0)
    const sent = send(cluster.leaderOf()!, ['a'])
    await cluster.run(5)
    cluster.controller.move(0, 2)
    assert.equal(await acked(cluster, sent), 6)
    await cluster.settled()
    checkEqual(cluster, ['a'])
  })

  it('loses nothing that was acknowledged when all nodes lose power at once', async () => {
    const cluster = await TestCluster.start({ seed: 14, minInsyncReplicas: 2 }, 3)
    const sent: { index: number; values: string[]; sent: Sent }[] = []
    for (let round = 0; round < 50; round++) {
      for (let index = 0; index < 3; index++) {
        const some = values(round * 2, 2)
        sent.push({ index, values: some, sent: send(cluster.leaderOf(index)!, some) })
      }
      await cluster.run(cluster.world.random.unit())
    }
    for (const node of cluster.nodes) node.powerLoss()
    const acknowledged = sent.filter(({ sent: { ack } }) => ack === 0)
    assert.ok(acknowledged.length > 20, `${acknowledged.length} were acknowledged`)
    for (const { nodeId } of cluster.nodes) cluster.controller.fence(nodeId)
    for (const { nodeId } of cluster.nodes) await cluster.boot(nodeId)
    for (let index = 0; index < 3; index++) {
      const leader = await cluster.settled(index)
      const found = readAll(leader)
      for (const one of acknowledged.filter((other) => other.index === index)) {
        one.values.forEach((value, i) => {
          assert.equal(found.get(one.sent.offset + i), value)
        })
      }
      checkEqual(cluster, [...found.values()], index)
    }
  })

  it('brings a follower back that was away for long, without holding up the others', async () => {
    const config = { segmentBytes: 500_000, flush: 'none' as const }
    const cluster = await TestCluster.start({ seed: 15, config }, 2)
    cluster.node(2).kill()
    cluster.controller.fence(2)
    const leader = cluster.leaderOf(0)!
    const bulk = Array.from({ length: 100 }, (_, i) => `${i} ${'z'.repeat(1000)}`)
    for (let i = 0; i < 60; i++) {
      assert.equal(await acked(cluster, send(leader, bulk)), 0)
    }
    await cluster.boot(2)
    // While it catches up with the first partition, the second goes on as ever.
    const other = cluster.leaderOf(1)!
    let slowestMs = 0
    for (let i = 0; i < 20; i++) {
      const beganMs = cluster.world.scheduler.nowMs
      assert.equal(await acked(cluster, send(other, ['a'])), 0)
      slowestMs = Math.max(slowestMs, cluster.world.scheduler.nowMs - beganMs)
    }
    assert.ok(slowestMs < 30, `${slowestMs} ms`)
    await cluster.settled(0)
    await cluster.settled(1)
    assert.equal(cluster.node(2).partition(0).logEndOffset, 6000)
  })

  it('holds back who has to catch up, and nobody else, where it is throttled (KIP-73)', async () => {
    const cluster = await TestCluster.start({ seed: 26 })
    cluster.node(2).kill()
    cluster.controller.fence(2)
    const leader = cluster.leaderOf()!
    const bulk = Array.from({ length: 100 }, (_, i) => `${i} ${'z'.repeat(1000)}`)
    for (let i = 0; i < 20; i++) assert.equal(await acked(cluster, send(leader, bulk)), 0)
    cluster.throttleRate = 1_000_000
    await cluster.boot(2)
    const beganMs = cluster.world.scheduler.nowMs
    await cluster.run(500)
    const behind = cluster.node(2).partition().logEndOffset
    assert.ok(behind > 300 && behind < 900, `${behind} of 2000 after half a second`)
    // The follower that keeps up is not held back.
    const sentMs = cluster.world.scheduler.nowMs
    assert.equal(await acked(cluster, send(leader, ['a'])), 0)
    assert.ok(cluster.world.scheduler.nowMs - sentMs < 30)
    await cluster.settled()
    const tookMs = cluster.world.scheduler.nowMs - beganMs
    assert.ok(tookMs > 1500 && tookMs < 3000, `${tookMs} ms for 2 MB`)
  })

  it('starts a follower anew whose log ends before the leader begins', async () => {
    const cluster = await TestCluster.start({ seed: 16, config: { segmentBytes: 200 } })
    const leader = cluster.leaderOf()!
    assert.equal(await acked(cluster, send(leader, values(0, 2))), 0)
    cluster.node(2).kill()
    cluster.controller.fence(2)
    for (let i = 2; i < 30; i += 2)
      assert.equal(await acked(cluster, send(leader, values(i, 2))), 0)
    leader.deleteRecordsBefore(20)
    await cluster.boot(2)
    await cluster.settled()
    const back = cluster.node(2).partition()
    assert.equal(back.logStartOffset, 20)
    assert.deepEqual([...readAll(back).values()], values(20, 10))
  })

  it('tells followers of deleted records, and knows when all have deleted them', async () => {
    const cluster = await TestCluster.start({ seed: 17 })
    const leader = cluster.leaderOf()!
    for (let i = 0; i < 6; i += 2) assert.equal(await acked(cluster, send(leader, values(i, 2))), 0)
    leader.deleteRecordsBefore(3)
    assert.equal(leader.lowWatermark, 0)
    await cluster.world.runUntil(() => leader.lowWatermark === 3, 1000)
    for (const node of cluster.nodes) assert.equal(node.partition().logStartOffset, 3)
  })

  it('says that records are deleted when all in-sync replicas have deleted them', async () => {
    const cluster = await TestCluster.start({ seed: 22, lagMaxMs: 100_000 })
    const leader = cluster.leaderOf()!
    for (let i = 0; i < 6; i += 2) assert.equal(await acked(cluster, send(leader, values(i, 2))), 0)
    cluster.world.links.cut('n0', 'n2')
    leader.deleteRecordsBefore(4)
    assert.equal(await cluster.world.complete(leader.deleted(4, 200)), 7)
    cluster.world.links.healAll()
    assert.equal(await cluster.world.complete(leader.deleted(4, 5000)), 0)
    for (const node of cluster.nodes) assert.equal(node.partition().logStartOffset, 4)
  })

  it('lets a follower serve what it knows to be committed, and sends readers near (KIP-392)', async () => {
    const cluster = await TestCluster.start({ seed: 23 })
    cluster.racks = ['a', 'b', 'b']
    const leader = cluster.leaderOf()!
    assert.equal(await acked(cluster, send(leader, values(0, 3))), 0)
    await cluster.settled()
    assert.equal(leader.preferredReplica('a', 0), -1)
    assert.equal(leader.preferredReplica('c', 0), -1)
    assert.ok([1, 2].includes(leader.preferredReplica('b', 3)))
    assert.equal(leader.preferredReplica('b', 4), -1)
    const follower = cluster.node(1).partition()
    assert.equal(follower.checkReader(-1), 6)
    assert.equal(follower.checkReader(-1, true), 0)
    assert.equal(follower.checkReader(0, true), 0)
    assert.equal(follower.checkReader(1, true), 75)
    assert.equal(follower.readLimit('uncommitted'), 3)
    let told = 0
    follower.addDataWaiter({ onData: () => told++ })
    assert.equal(await acked(cluster, send(leader, values(3, 1))), 0)
    await cluster.run(20)
    assert.equal(told, 1)
    assert.equal(follower.readLimit('uncommitted'), 4)
    cluster.leaseUntilMs = 0
    assert.equal(follower.checkReader(-1, true), 6)
    cluster.leaseUntilMs = Number.POSITIVE_INFINITY
    cluster.world.links.cut('n0', 'n1')
    await cluster.run(2000)
    assert.equal(leader.preferredReplica('b', 0), 2)
  })

  it('lets no follower serve readers before its leader has told where the log starts', async () => {
    const cluster = await TestCluster.start({ seed: 28 })
    const leader = cluster.leaderOf()!
    assert.equal(await acked(cluster, send(leader, values(0, 3))), 0)
    await cluster.settled()
    const follower = cluster.node(1).partition()
    assert.equal(follower.checkReader(-1, true), 0)
    cluster.world.links.cut('n0', 'n1')
    await cluster.world.runUntil(() => follower.checkReader(-1, true) === 6, 5000)
    leader.deleteRecordsBefore(2)
    cluster.world.links.healAll()
    await cluster.world.runUntil(() => follower.checkReader(-1, true) === 0, 5000)
    assert.equal(follower.logStartOffset, 2)
  })

  it('does not say that it knows the latest before its watermark has passed its epoch', async () => {
    const cluster = await TestCluster.start({ seed: 24 })
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, values(0, 3))), 0)
    cluster.world.links.cut('n1', 'n2')
    cluster.controller.move(0, 1)
    await cluster.world.runUntil(() => cluster.leaderOf()?.leaderEpoch === 1, 1000)
    const leader = cluster.leaderOf()!
    assert.equal(leader.isWatermarkKnown, false)
    assert.equal((await leader.listOffset(-1, 'uncommitted')).error, 78)
    assert.equal((await leader.listOffset(0, 'uncommitted')).error, 78)
    assert.equal((await leader.listOffset(-2, 'uncommitted')).offset, 0)
    cluster.world.links.healAll()
    await cluster.world.runUntil(() => leader.isWatermarkKnown, 5000)
    assert.equal((await leader.listOffset(-1, 'uncommitted')).offset, 3)
  })

  it('tells who wrote with acks=1 to a replica without others of its own records', async () => {
    const cluster = await TestCluster.start({ seed: 27, nodes: 1 })
    cluster.node(0).host.disk.latencyUs = (operation) => (operation === 'sync' ? 20_000 : 0)
    const leader = cluster.leaderOf()!
    const written = send(leader, ['a', 'b'], 5_000, 1)
    assert.equal(await acked(cluster, written), 0)
    assert.equal(leader.highWatermark, 0)
    const asked = leader.listOffset(-1, 'uncommitted')
    await cluster.run(50)
    assert.equal((await asked).offset, 2)
    assert.equal((await leader.listOffset(-1, 'uncommitted')).offset, 2)
  })

  it('does not say what is the latest, nor takes acks=1, when others may lead by now', async () => {
    const cluster = await TestCluster.start({ seed: 25 })
    const leader = cluster.leaderOf()!
    const { clock } = cluster.node(0).world
    cluster.leaseUntilMs = clock.monotonicMs() + 50
    assert.equal((await leader.listOffset(-1, 'uncommitted')).error, 0)
    await cluster.run(100)
    assert.equal((await leader.listOffset(-1, 'uncommitted')).error, 78)
    assert.equal(leader.refusal(1), 0)
    await cluster.run(4000)
    assert.equal(leader.refusal(1), 6)
    // Those who have to agree would know better.
    assert.equal(await acked(cluster, send(leader, values(0, 1))), 0)
  })

  it('sends who writes with acks=all elsewhere when no replica follows it and others may lead', async () => {
    const cluster = await TestCluster.start({ seed: 28, lagMaxMs: 60_000 })
    const leader = cluster.leaderOf()!
    const { clock } = cluster.node(0).world
    const { links } = cluster.world
    cluster.leaseUntilMs = clock.monotonicMs() + 50
    links.cut('n0', 'n1')
    links.cut('n0', 'n2')
    const sent = send(leader, ['a'], clock.monotonicMs() + 60_000)
    const own = send(leader, ['b'])
    await cluster.run(2000)
    assert.equal(leader.refusal(-1), 0, 'others may be silent for a moment')
    assert.equal(sent.ack, undefined)
    assert.equal(await acked(cluster, sent, 3000), 6)
    assert.equal(send(leader, ['c']).ack, 6)
    assert.equal(own.ack, undefined, 'a coordinator waits until its term ends')
    links.healAll()
    await cluster.world.runUntil(() => leader.refusal(-1) === 0, 5000)
    assert.equal(await acked(cluster, send(leader, ['d'])), 0)
    assert.equal(own.ack, 0)
    await cluster.settled()
    checkEqual(cluster, ['a', 'b', 'd'])
  })

  it('goes on with acks=all when it is alone in its ISR, since nobody else is elected', async () => {
    const cluster = await TestCluster.start({ seed: 29, lagMaxMs: 200 })
    const leader = cluster.leaderOf()!
    cluster.world.links.cut('n0', 'n1')
    cluster.world.links.cut('n0', 'n2')
    assert.equal(await acked(cluster, send(leader, ['a'])), 0)
    assert.deepEqual(leader.isr, [0])
    cluster.leaseUntilMs = cluster.node(0).world.clock.monotonicMs()
    await cluster.run(4000)
    assert.equal(await acked(cluster, send(leader, ['b'])), 0)
  })

  for (const [what, end] of [
    ['hears of it', 'thaw'],
    ['has no lease any more', 'wait'],
    ['is fenced', 'fence'],
  ] as const) {
    it(`shows nothing new before the one that led ${what}`, async () => {
      const cluster = await TestCluster.start({ seed: 26 })
      const before = cluster.leaderOf()!
      assert.equal(await acked(cluster, send(before, ['a'])), 0)
      await cluster.settled()
      cluster.leaseMs = 3000
      const { host } = cluster.node(0)
      host.freeze()
      void cluster.controller.impaired(0, 0, before.leaderEpoch)
      const next = cluster.node(1).partition()
      await cluster.world.runUntil(() => next.isLeader, 1000)
      const sent = send(next, ['b'], cluster.node(1).world.clock.monotonicMs() + 60_000)
      await cluster.run(1500)
      assert.deepEqual([next.highWatermark, next.isWatermarkKnown], [1, true])
      assert.deepEqual(next.isr, [1, 2], 'the one that led is not waited for as a replica')
      if (end === 'thaw') host.thaw()
      if (end === 'fence') cluster.controller.fence(0)
      if (end === 'wait') {
        await cluster.run(1000)
        assert.equal(next.highWatermark, 1)
        await cluster.run(1000)
      } else await cluster.run(500)
      assert.equal(next.highWatermark, 2)
      assert.equal(await acked(cluster, sent), 0)
      if (end !== 'thaw') host.thaw()
      if (end !== 'fence') await cluster.settled()
    })
  }

  it('moves a sole replica: the old leader has a lease by then, and the new one waits for its end', async () => {
    const cluster = await TestCluster.start({ seed: 44, nodes: 2 })
    cluster.controller.reassign(0, [0])
    const before = await cluster.settled()
    assert.equal(await acked(cluster, send(before, ['a'])), 0)
    cluster.controller.reassign(0, [0, 1])
    await cluster.world.runUntil(() => cluster.controller.partitions[0]!.isr.length === 2, 2000)
    await cluster.settled()
    const { clock } = cluster.node(1).world
    cluster.leaseMs = 2000
    cluster.leaseUntilMs = cluster.node(0).world.clock.monotonicMs() + 1000
    cluster.controller.deaf.add(0)
    cluster.controller.finishMove(0, 1)
    const next = cluster.node(1).partition()
    await cluster.world.runUntil(() => next.isLeader, 1000)
    assert.deepEqual(next.replicas, [1])
    const sent = send(next, ['b'], clock.monotonicMs() + 60_000)
    let wasSure = false
    for (let ms = 0; ms < 2500; ms += 10) {
      await cluster.run(10)
      wasSure ||= before.isLeader && before.holdsLease
      assert.ok(next.highWatermark === 1 || !before.holdsLease, `both answer at ${ms} ms`)
    }
    assert.ok(wasSure, 'the old one went on for a while')
    assert.deepEqual([sent.ack, next.highWatermark], [0, 2])
  })

  it('hears how far a follower is that asked before the leader knew of its role', async () => {
    const cluster = await TestCluster.start({ seed: 45, lagMaxMs: 100_000 })
    cluster.node(2).host.disk.latencyUs = (operation) => (operation === 'sync' ? 50_000 : 0)
    send(cluster.leaderOf()!, ['a'])
    await cluster.run(20)
    const follower = cluster.node(2).partition()
    assert.deepEqual([follower.logEndOffset, follower.position], [1, 0])
    cluster.controller.deaf.add(1)
    cluster.controller.move(0, 1)
    await cluster.run(100)
    assert.deepEqual([follower.leaderId, follower.position], [1, 1], 'its sync ended meanwhile')
    cluster.controller.hear(1)
    const next = cluster.node(1).partition()
    await cluster.world.runUntil(() => next.highWatermark === 1, 2000)
    assert.deepEqual([next.isLeader, next.highWatermark], [true, 1])
  })

  it('expires what waits too long, and the record may still be committed', async () => {
    const cluster = await TestCluster.start({ seed: 18, lagMaxMs: 100_000 })
    cluster.world.links.cut('n0', 'n2')
    const { clock } = cluster.node(0).world
    const sent = send(cluster.leaderOf()!, ['a'], clock.monotonicMs() + 300)
    assert.equal(await acked(cluster, sent, 400), 7)
    cluster.world.links.healAll()
    await cluster.settled()
    assert.equal(cluster.leaderOf()!.highWatermark, 1)
  })

  it('adds a replica and takes another away', async () => {
    const cluster = await TestCluster.start({ seed: 19, nodes: 4 })
    cluster.controller.reassign(0, [0, 1])
    await cluster.settled()
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, values(0, 3))), 0)
    cluster.controller.reassign(0, [0, 1, 3])
    await cluster.settled()
    assert.deepEqual([...cluster.controller.partitions[0]!.isr].sort(), [0, 1, 3])
    cluster.controller.reassign(0, [0, 3])
    await cluster.run(100)
    assert.equal(cluster.node(1).partitions[0], undefined)
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, values(3, 3))), 0)
    assert.deepEqual([...readAll(cluster.node(3).partition()).values()], values(0, 6))
  })

  it('gives the batch of one node byte for byte to the others', async () => {
    const cluster = await TestCluster.start({ seed: 20 })
    assert.ok(batchOf(['a']).length > 60)
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, ['a'])), 0)
    const [first, ...others] = cluster.nodes.map(({ host }) =>
      host.disk.readFile('data/t-0/00000000000000000000.log'),
    )
    for (const other of others) assert.deepEqual(other, first)
  })
})
