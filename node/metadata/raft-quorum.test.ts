import assert from 'node:assert/strict'
import type { SimRandom } from '../../base/sim/random.ts'
import { type MetadataImage, topicById } from './image.ts'
import { NotLeaderError } from './quorum.ts'
import { RaftCluster } from './raft-fixture.ts'
import type { MetadataRecord } from './records.ts'
import { idOf, partitionRecord, topicRecord } from './testing.ts'

const topic = (number: number): MetadataRecord[] => [
  topicRecord(`topic-${number}`, idOf(number)),
  partitionRecord(idOf(number), 0),
]

const contentOf = (image: MetadataImage) =>
  [...image.topics.values()].sort((one, other) => (one.name < other.name ? -1 : 1))

describe('node/metadata/raft-quorum: one voter', () => {
  it('commits, applies, tells, and remembers', async () => {
    const cluster = new RaftCluster(1, { voterIds: [1] })
    const quorum = await cluster.start(1)
    assert.deepEqual([quorum.leaderId, quorum.leaderEpoch], [1, 1])
    assert.ok(cluster.world.scheduler.nowMs < 50, 'it does not wait for anybody')
    const heard: string[] = []
    const end = quorum.onApplied((image, delta) => {
      assert.equal(image, quorum.image)
      heard.push(...delta.createdTopics.map(({ name }) => name))
    })
    const before = quorum.nextOffset
    const last = await cluster.world.complete(quorum.propose(topic(1)))
    assert.equal(last, before + 1)
    assert.equal(quorum.image.offset, last)
    assert.deepEqual(heard, ['topic-1'])
    end()
    await cluster.world.complete(quorum.propose(topic(2)))
    assert.deepEqual(heard, ['topic-1'])
    await cluster.stop(1)
    assert.equal(quorum.leaderId, -1)
    const again = await cluster.start(1)
    assert.equal(again.leaderEpoch, 2)
    assert.deepEqual(contentOf(again.image), contentOf(quorum.image))
    await cluster.stop(1)
  })

  it('keeps the order of proposals, and gives many one sync', async () => {
    const cluster = new RaftCluster(2, { voterIds: [1] })
    const quorum = await cluster.start(1)
    await cluster.world.runFor(50)
    const { disk } = cluster.host(1)
    const order: number[] = []
    const syncs = disk.syncCount
    const proposals = Array.from({ length: 100 }, (_, number) =>
      quorum.propose(topic(number)).then((offset) => order.push(offset)),
    )
    await cluster.world.complete(Promise.all(proposals))
    const sorted = [...order].sort((one, other) => one - other)
    assert.deepEqual(order, sorted)
    assert.equal(quorum.image.topics.size, 100)
    assert.ok(disk.syncCount - syncs <= 4, 'they share syncs')
    await cluster.stop(1)
  })

  it('loses nothing that was acknowledged when the power goes', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const cluster = new RaftCluster(seed, { voterIds: [1] })
      const acknowledged = new Set<number>()
      let number = 1
      for (let life = 0; life < 3; life++) {
        const quorum = await cluster.start(1)
        assert.ok(quorum.leaderEpoch > life)
        for (const one of acknowledged) {
          assert.ok(topicById(quorum.image, idOf(one)), `seed ${seed}: topic ${one}`)
        }
        for (let round = 0; round < 5; round++) {
          const one = number++
          const proposal = quorum.propose(topic(one)).then(() => acknowledged.add(one))
          // In the last round the power goes before the sync has ended.
          if (round < 4) await cluster.world.complete(proposal)
          else proposal.catch(() => undefined)
        }
        cluster.powerLoss(1)
      }
      assert.ok(acknowledged.size >= 12)
    }
  })

  it('refuses proposals when it does not lead', async () => {
    const cluster = new RaftCluster(3, { voterIds: [1] })
    const quorum = await cluster.start(1)
    const late = quorum.propose(topic(1))
    const stopped = quorum.stop()
    await cluster.world.complete(late)
    await cluster.world.complete(stopped)
    await assert.rejects(quorum.propose(topic(2)), NotLeaderError)
    await cluster.world.complete(quorum.stop())
  })

  it('refuses proposals while the disk is full, and goes on when it is not', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const cluster = new RaftCluster(seed, { voterIds: [1] })
      const quorum = await cluster.start(1)
      const { world } = cluster
      const { disk } = cluster.host(1)
      const good = await world.complete(quorum.propose(topic(1)))
      disk.fault = (operation) => (operation === 'write' ? 'ENOSPC' : undefined)
      const large = Array.from({ length: 1000 }, (_, index) => partitionRecord(idOf(4), index))
      const proposals = [
        quorum.propose(topic(2)),
        ...(seed % 2 === 0 ? [quorum.propose([topicRecord('large', idOf(4)), ...large])] : []),
        quorum.propose(topic(3)),
      ]
      for (const one of await world.complete(Promise.allSettled(proposals))) {
        assert.equal(one.status, 'rejected')
      }
      assert.equal(quorum.image.offset, good)
      assert.equal(quorum.leaderId, 1, 'it goes on leading')
      disk.fault = () => undefined
      // The log repairs itself when it is written to again: one refusal more is allowed.
      const retry = () => world.complete(quorum.propose(topic(2)))
      await retry().catch(async () => {
        await world.runFor(1000)
        await retry()
      })
      assert.deepEqual([...quorum.image.topics.keys()].sort(), ['topic-1', 'topic-2'])
      await cluster.stop(1)
      const again = await cluster.start(1)
      assert.deepEqual(contentOf(again.image), contentOf(quorum.image))
      await cluster.stop(1)
    }
  })

  it('ends the node when a sync fails', async () => {
    const cluster = new RaftCluster(4, { voterIds: [1] })
    cluster.mayFail = true
    const quorum = await cluster.start(1)
    await cluster.world.runFor(50)
    cluster.host(1).disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined)
    await assert.rejects(cluster.world.complete(quorum.propose(topic(1))))
    assert.equal(cluster.fatal.length, 1)
    assert.equal(quorum.image.topics.size, 0, 'what is not durable is not applied')
    await assert.rejects(quorum.propose(topic(2)), NotLeaderError)
    assert.equal(quorum.leaderId, -1)
  })

  it('reads ten thousand partitions in well under a second', async function () {
    this.timeout(20_000)
    const cluster = new RaftCluster(5, { voterIds: [1] })
    const quorum = await cluster.start(1)
    for (let number = 0; number < 100; number++) {
      const id = idOf(number)
      const records = [topicRecord(`topic-${number}`, id)]
      for (let index = 0; index < 100; index++) records.push(partitionRecord(id, index))
      await cluster.world.complete(quorum.propose(records))
    }
    await cluster.stop(1)
    const again = await cluster.start(1)
    assert.equal(again.image.partitionCount, 10_000)
    await cluster.stop(1)
  })
})

describe('node/metadata/raft-quorum: three voters', () => {
  it('elects, commits on all, and survives the loss of each', async () => {
    const cluster = new RaftCluster(2, { proofMs: 2 })
    await cluster.startAll()
    const first = await cluster.leads()
    const offset = await cluster.world.complete(first.quorum.propose(topic(1)))
    const image = await cluster.converge(offset)
    assert.ok(topicById(image, idOf(1)))
    cluster.kill(first.id)
    const diedMs = cluster.world.scheduler.nowMs
    const second = await cluster.leads()
    assert.notEqual(second.id, first.id)
    assert.ok(cluster.world.scheduler.nowMs - diedMs < 300, 'a proof is as good as a timeout')
    const next = await cluster.world.complete(second.quorum.propose(topic(2)))
    await cluster.start(first.id)
    const all = await cluster.converge(next)
    assert.equal(all.topics.size, 2)
    for (const { quorum } of cluster.running.values()) {
      if (quorum !== second.quorum) {
        await assert.rejects(quorum.propose(topic(3)), NotLeaderError)
      }
    }
    await cluster.stopAll()
  })

  it('keeps every acknowledged record through kills, power losses and cuts', async function () {
    this.timeout(60_000)
    let acknowledged = 0
    for (let seed = 0; seed < 15; seed++) acknowledged += await storm(seed)
    assert.ok(acknowledged > 150, `${acknowledged} are enough to lose some`)
  })
})

describe('node/metadata/raft-quorum: voters come and go', () => {
  it('and nothing that was acknowledged is lost', async function () {
    this.timeout(60_000)
    let acknowledged = 0
    for (let seed = 0; seed < 6; seed++) acknowledged += await storm(seed, [1, 2, 3, 4, 5])
    assert.ok(acknowledged > 50, `${acknowledged} are enough to lose some`)
  })
})

/** One history of random misfortune; afterwards all is well, and everything that was promised is there. */
async function storm(seed: number, ids: readonly number[] = [1, 2, 3]): Promise<number> {
  const cluster = new RaftCluster(seed, {
    proofMs: 2,
    quorum: { snapshotBytes: 3000, retainedOffsets: seed % 3 === 0 ? 0 : 20 },
  })
  const { world } = cluster
  const random = world.random.split('storm')
  cluster.lossProbability = random.pick([0, 0.01, 0.1])
  cluster.doubleProbability = random.pick([0, 0.05])
  await cluster.startAll(ids)
  const acknowledged = new Set<number>()
  let number = 1
  let lastOffset = 0
  for (let step = 0; step < 40; step++) {
    const leader = cluster.leader()
    for (let count = random.below(4); leader !== undefined && count > 0; count--) {
      const one = number++
      leader.quorum.propose(topic(one)).then(
        (offset) => {
          acknowledged.add(one)
          lastOffset = Math.max(lastOffset, offset)
        },
        () => undefined,
      )
    }
    await misfortune(cluster, ids, random)
    if (ids.length > 3 && random.chance(0.3)) changeVoters(cluster, ids, random)
    await world.runFor(random.pick([1, 5, 50, 400, 1500]))
  }
  world.links.healAll()
  cluster.lossProbability = 0
  for (const id of ids) {
    if (!cluster.running.has(id)) cluster.boot(id)
    else if (cluster.host(id).isFrozen) cluster.host(id).thaw()
  }
  for (const id of ids) await world.complete(cluster.starting(id))
  await world.runFor(3000)
  const { quorum } = await cluster.leads()
  await world.complete(quorum.propose(topic(number)))
  const image = await cluster.converge(lastOffset)
  for (const one of acknowledged) {
    assert.ok(topicById(image, idOf(one)), `seed ${seed}: topic ${one} is lost`)
  }
  const contents = [...cluster.running.values()].map((one) => contentOf(one.quorum.image))
  for (const content of contents) assert.deepEqual(content, contents[0], `seed ${seed}`)
  await cluster.stopAll()
  return acknowledged.size
}

/** Any of the nodes vote from now on, if the leader agrees. */
function changeVoters(cluster: RaftCluster, ids: readonly number[], random: SimRandom): void {
  const chosen = ids.filter(() => random.chance(0.6))
  const keys = chosen.map((nodeId) => {
    return { nodeId, directoryId: cluster.directoryIds.get(nodeId)! }
  })
  cluster
    .leader()
    ?.quorum.changeVoters(keys)
    .catch(() => undefined)
}

async function misfortune(
  cluster: RaftCluster,
  ids: readonly number[],
  random: SimRandom,
): Promise<void> {
  const id = random.pick(ids)
  const other = random.pick(ids.filter((one) => one !== id))
  const isRunning = cluster.running.has(id)
  switch (random.below(12)) {
    case 0:
      if (isRunning) cluster.kill(id)
      break
    case 1:
      if (isRunning) cluster.powerLoss(id)
      break
    case 2:
      for (const one of ids) if (cluster.running.has(one)) cluster.powerLoss(one)
      break
    case 3:
      cluster.cut(id, other)
      break
    case 4:
      cluster.world.links.cutOneWay(`node-${id}`, `node-${other}`)
      break
    case 5:
      cluster.isolate(id)
      break
    case 6:
      if (isRunning && !cluster.host(id).isFrozen) {
        cluster.host(id).freeze()
        await cluster.world.runFor(random.below(3000))
        cluster.host(id).thaw()
      }
      break
    case 7:
      cluster
        .leader()
        ?.quorum.transferLeadership(id)
        .catch(() => undefined)
      break
    case 8:
    case 9:
      cluster.world.links.healAll()
      break
    default:
      for (const one of ids) if (!cluster.running.has(one)) cluster.boot(one)
  }
}
