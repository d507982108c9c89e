import assert from 'node:assert/strict'
import { SimRandom } from '../base/sim/random.ts'
import { encodeBatch } from '../log/records.ts'
import { TestCluster, type TestNode, TOPIC, TOPIC_ID } from './testing/cluster.ts'
import { readAll, type Sent, send } from './testing/records.ts'

const LONG_MS = 60_000

/** What one leader wrote: an epoch and its batches, those of one record by that alone. */
type Chapter = readonly [epoch: number, batches: readonly (string | readonly string[])[]]

async function acked(cluster: TestCluster, sent: Sent): Promise<number> {
  await cluster.world.runUntil(() => sent.ack !== undefined, 5000)
  return sent.ack!
}

/** A log as earlier leaders have left it. */
async function write(cluster: TestCluster, node: TestNode, chapters: readonly Chapter[]) {
  const log = await cluster.world.complete(
    node.store.create({ topic: TOPIC, partition: 0, topicId: TOPIC_ID, config: cluster.config }),
  )
  for (const [leaderEpoch, batches] of chapters) {
    for (const values of batches) {
      const baseOffset = log.logEndOffset
      const records = [values].flat().map((value) => {
        return { timestampMs: 1_700_000_000_000, key: null, value: Buffer.from(value) }
      })
      const batch = encodeBatch(records, { baseOffset, leaderEpoch })
      log.appendAsFollower(batch, 0, batch.length)
    }
  }
  log.write()
  await cluster.world.complete(log.sync())
}

/** Node 0 leads in `epoch` with the first log; node 1 follows with the second. */
async function meet(
  seed: number | string,
  epoch: number,
  leader: readonly Chapter[],
  follower: readonly Chapter[],
): Promise<TestCluster> {
  const cluster = new TestCluster({ seed, nodes: 2, config: { segmentBytes: 400 } })
  for (const node of cluster.nodes) await cluster.boot(node.nodeId)
  await write(cluster, cluster.node(0), leader)
  await write(cluster, cluster.node(1), follower)
  cluster.controller.create([0, 1], { leaderEpoch: epoch, isr: [0] })
  await cluster.settled()
  return cluster
}

function checkSame(cluster: TestCluster, leader: readonly Chapter[]): void {
  const expected = leader.flatMap(([, batches]) => batches.flat())
  for (const node of cluster.nodes) {
    assert.deepEqual([...readAll(node.partition()).values()], expected, `node ${node.nodeId}`)
  }
  const [first, second] = cluster.nodes.map((node) => node.partition().log)
  for (const [epoch] of leader) {
    assert.deepEqual(second!.endOffsetForEpoch(epoch), first!.endOffsetForEpoch(epoch))
  }
}

const some = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}${i}`)

describe('replication, where logs part', () => {
  it('has the whole of a batch again of which a device left something else', async () => {
    const leader: Chapter[] = [[3, ['a', ['b', 'c', 'd'], 'e']]]
    for (const [i, batches] of [
      ['a', 'x'],
      ['a', 'x', 'y'],
      ['x', 'y'],
    ].entries()) {
      const cluster = await meet(`overwritten ${i}`, 5, leader, [[3, batches]])
      assert.deepEqual([...cluster.leaderOf()!.isr].sort(), [0, 1])
      assert.equal(cluster.node(1).partition().logEndOffset, 5)
    }
  })

  it('keeps what a follower has above its watermark when it starts again (KIP-101, story 1)', async () => {
    const cluster = await TestCluster.start({ seed: 1, nodes: 2 })
    const sent = send(cluster.leaderOf()!, ['m1'])
    assert.equal(await acked(cluster, sent), 0)
    // It has not heard of the watermark yet when the leader is killed, and starts again itself.
    assert.equal(cluster.node(1).partition().highWatermark, 0)
    cluster.node(0).kill()
    cluster.controller.fence(0)
    cluster.node(1).kill()
    cluster.controller.fence(1)
    await cluster.boot(1)
    await cluster.world.runUntil(() => cluster.leaderOf() !== undefined, 1000)
    assert.deepEqual([...readAll(cluster.leaderOf()!).values()], ['m1'])
    await cluster.boot(0)
    await cluster.settled()
    assert.deepEqual([...readAll(cluster.node(0).partition()).values()], ['m1'])
  })

  it('cuts what a dead leader alone had, although offsets are equal (KIP-101, story 2)', async () => {
    const cluster = await TestCluster.start({ seed: 2, nodes: 2 })
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, ['m1'])), 0)
    cluster.world.links.cut('n0', 'n1')
    const lost = send(cluster.leaderOf()!, ['m2'])
    await cluster.run(10)
    assert.equal(cluster.node(0).partition().log.syncedOffset, 2)
    cluster.node(0).kill()
    cluster.node(1).kill()
    cluster.controller.fence(0)
    cluster.controller.fence(1)
    cluster.world.links.healAll()
    await cluster.boot(1)
    await cluster.world.runUntil(() => cluster.leaderOf() !== undefined, 1000)
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, ['m3'])), 0)
    await cluster.boot(0)
    await cluster.settled()
    for (const node of cluster.nodes) {
      assert.deepEqual([...readAll(node.partition()).values()], ['m1', 'm3'])
    }
    assert.equal(lost.ack, undefined)
  })

  const stories: readonly [name: string, epoch: number, leader: Chapter[], follower: Chapter[]][] =
    [
      ['an empty follower', 3, [[1, some('a', 9)]], []],
      ['a follower with a part', 3, [[1, some('a', 9)]], [[1, some('a', 4)]]],
      ['a follower with more of the last epoch', 3, [[1, some('a', 4)]], [[1, some('a', 9)]]],
      [
        'a follower with an epoch that the leader has not (KIP-279)',
        4,
        [
          [1, some('a', 10)],
          [3, some('c', 5)],
        ],
        [
          [1, some('a', 10)],
          [2, some('b', 11)],
        ],
      ],
      [
        'a follower with two epochs that the leader has not',
        9,
        [
          [1, some('a', 10)],
          [4, some('d', 5)],
        ],
        [
          [1, some('a', 10)],
          [2, some('b', 6)],
          [3, some('c', 4)],
        ],
      ],
      [
        'a follower whose last epoch is above all of the leader, which wrote nothing in its own',
        5,
        [
          [1, some('a', 10)],
          [2, some('b', 2)],
          [3, some('c', 3)],
        ],
        [
          [1, some('a', 10)],
          [4, some('d', 3)],
        ],
      ],
      [
        'epochs that alternate, so that more than one cut is needed',
        9,
        [
          [1, some('a', 4)],
          [3, some('c', 4)],
          [5, some('e', 4)],
          [7, some('g', 4)],
        ],
        [
          [1, some('a', 9)],
          [2, some('b', 2)],
          [4, some('d', 2)],
          [6, some('f', 2)],
        ],
      ],
      ['a leader without a record', 3, [], [[1, some('a', 3)]]],
      ['logs that have nothing in common', 3, [[2, some('b', 3)]], [[1, some('a', 7)]]],
    ]
  for (const [name, epoch, leader, follower] of stories) {
    it(`makes equal ${name}`, async () => {
      const cluster = await meet(name, epoch, leader, follower)
      checkSame(cluster, leader)
      assert.equal(await acked(cluster, send(cluster.leaderOf()!, ['next'])), 0)
      await cluster.settled()
      checkSame(cluster, [...leader, [epoch, ['next']]])
    })
  }

  it('a leader whose log was emptied, and knows no epoch, is followed by logs that retention emptied', async () => {
    const cluster = new TestCluster({ seed: 9, nodes: 3, minInsyncReplicas: 2 })
    for (const node of cluster.nodes) {
      await cluster.boot(node.nodeId)
      await write(cluster, node, [[1, some('old', 6)]])
    }
    cluster.controller.create([1, 0, 2], { leaderEpoch: 1, isr: [0, 1, 2] })
    await cluster.settled()
    // All records are too old; the disk of node 0 was lost meanwhile, and the second one starts empty.
    for (const { nodeId } of cluster.nodes) cluster.node(nodeId).partition().log.advanceLogStart(6)
    const { log } = cluster.node(0).partition()
    await cluster.world.complete(log.truncateFullyAndStartAt(6))
    assert.equal(log.latestEpoch, -1)
    cluster.controller.move(0, 0)
    await cluster.world.runUntil(() => cluster.leaderOf(0) !== undefined, 1000)
    await cluster.world.runFor(LONG_MS) // a replica that is behind leaves the ISR meanwhile
    assert.equal(await acked(cluster, send(cluster.leaderOf()!, ['new'])), 0)
    await cluster.settled()
    const cuts = cluster.node(1).probe.truncations
    assert.ok(cuts < 3, `${cuts} cuts of an empty log`)
    assert.deepEqual([...cluster.leaderOf()!.isr].sort(), [0, 1, 2])
  })

  it('makes equal whatever earlier leaders have left', async function () {
    this.timeout(20_000)
    for (let seed = 1; seed <= 60; seed++) {
      const [leader, follower] = history(new SimRandom(seed))
      const cluster = await meet(`histories ${seed}`, 20, leader, follower)
      try {
        checkSame(cluster, leader)
      } catch (cause) {
        const logs = `seed ${seed}: ${JSON.stringify({ leader, follower })}`
        throw new Error(logs, { cause })
      }
    }
  })
})

/**
 * Two logs that leaders of rising epochs have written to one or both, each cut before it goes on:
 * one leader an epoch, so that what both have of an epoch is the same.
 */
function history(random: SimRandom): [Chapter[], Chapter[]] {
  const logs: [epoch: number, value: string][][] = [[], []]
  let count = 0
  for (let epoch = 1; epoch < 12; epoch++) {
    const leader = random.below(2)
    const other = 1 - leader
    const own = logs[leader]!
    // A follower that is reached is cut to the leader's log, and gets a part of it.
    if (random.below(3) === 0) logs[other] = own.slice(0, random.below(own.length + 1))
    for (let i = random.below(4); i > 0; i--) own.push([epoch, `${epoch}-${count++}`])
    if (random.below(3) === 0) logs[other] = own.slice(0, random.below(own.length + 1))
  }
  return [chaptersOf(logs[0]!), chaptersOf(logs[1]!)]
}

function chaptersOf(log: readonly (readonly [epoch: number, value: string])[]): Chapter[] {
  const chapters: [number, string[]][] = []
  for (const [epoch, value] of log) {
    const last = chapters.at(-1)
    if (last?.[0] === epoch) last[1].push(value)
    else chapters.push([epoch, [value]])
  }
  return chapters
}
