import assert from 'node:assert/strict'
import { LogProbe } from '../../log/probe.ts'
import { forceQuorum } from './forced-quorum.ts'
import { topicById } from './image.ts'
import { ProposalRefusedError, QuorumTimeoutError } from './quorum.ts'
import { QUORUM_STATE } from './quorum-state.ts'
import { RAFT_DATA, RaftCluster } from './raft-fixture.ts'
import { METADATA_LOG } from './raft-log.ts'
import type { MetadataRecord } from './records.ts'
import { idOf, partitionRecord, topicRecord } from './testing.ts'
import { VOTER_ID } from './voter-identity.ts'

const topic = (number: number): MetadataRecord[] => [
  topicRecord(`topic-${number}`, idOf(number)),
  partitionRecord(idOf(number), 0),
]

const middle = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!

/** Three nodes that agree on one topic. */
async function agreed(seed: number, options: ConstructorParameters<typeof RaftCluster>[1] = {}) {
  const cluster = new RaftCluster(seed, { proofMs: 2, ...options })
  await cluster.startAll()
  const { quorum } = await cluster.leads()
  const offset = await cluster.world.complete(quorum.propose(topic(1)))
  await cluster.converge(offset)
  // Everybody's directory is in the list of voters.
  await cluster.world.runFor(1500)
  return cluster
}

/** A byte in the middle of a file, on a node that does not run. */
function damage(cluster: RaftCluster, id: number, path: string, at?: number): void {
  const { disk } = cluster.host(id)
  const file = disk.open(path, 'write')
  const position = at ?? Math.floor(file.size() / 2)
  const byte = Buffer.alloc(1)
  file.read(byte, 0, 1, position)
  byte[0]! ^= 0xff
  file.write(byte, 0, 1, position)
  file.close()
}

const LOG_FILE = `${RAFT_DATA}/${METADATA_LOG}/00000000000000000000.log`
const LOG_HEAD = 70

describe('node/metadata/raft-quorum: failover', function () {
  this.timeout(30_000)

  it('a killed leader is replaced in well under 0.3 s', async () => {
    const gaps: number[] = []
    for (let seed = 0; seed < 20; seed++) {
      const cluster = await agreed(seed)
      const { world } = cluster
      const { id } = await cluster.leads()
      await world.runFor(seed * 7)
      cluster.kill(id)
      const killedMs = world.scheduler.nowMs
      const next = await cluster.leads()
      await world.complete(next.quorum.propose(topic(2)))
      gaps.push(world.scheduler.nowMs - killedMs)
      await cluster.stopAll()
    }
    assert.ok(middle(gaps) < 60, `median ${middle(gaps)} ms`)
    assert.ok(Math.max(...gaps) < 600, `most ${Math.max(...gaps)} ms`)
  })

  it('a silent leader is replaced in about an election timeout', async () => {
    const gaps: number[] = []
    for (let seed = 0; seed < 20; seed++) {
      const cluster = await agreed(seed)
      const { world } = cluster
      const { id } = await cluster.leads()
      await world.runFor(seed * 7)
      if (seed % 2 === 0) cluster.host(id).freeze()
      else cluster.isolate(id)
      const silentMs = world.scheduler.nowMs
      const others = () => [...cluster.running].filter(([one]) => one !== id)
      const isLed = () => others().some(([one, { quorum }]) => quorum.leaderId === one)
      await world.runUntil(isLed, 10_000)
      gaps.push(world.scheduler.nowMs - silentMs)
      world.links.healAll()
      if (seed % 2 === 0) cluster.host(id).thaw()
      const { quorum } = await cluster.leads()
      await world.runFor(100)
      await cluster.converge(await world.complete(quorum.propose(topic(2))))
      await cluster.stopAll()
    }
    assert.ok(middle(gaps) < 1400, `median ${middle(gaps)} ms`)
    assert.ok(Math.max(...gaps) < 2500, `most ${Math.max(...gaps)} ms`)
  })

  it('a leader that was frozen commits nothing in its old epoch when it wakes', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const cluster = await agreed(seed)
      const { world } = cluster
      const { id, quorum } = await cluster.leads()
      const epoch = quorum.leaderEpoch
      const late = quorum.propose(topic(7)).then(
        () => 'committed',
        () => 'refused',
      )
      cluster.host(id).freeze()
      await world.runFor(5000)
      const next = await cluster.leads()
      assert.ok(next.quorum.leaderEpoch > epoch)
      cluster.host(id).thaw()
      const outcome = await world.complete(late)
      await world.runFor(500)
      const has = topicById(next.quorum.image, idOf(7)) !== undefined
      if (outcome === 'committed') assert.ok(has)
      await assert.rejects(quorum.propose(topic(8)))
      await cluster.stopAll()
    }
  })

  it('a stop hands over before it ends', async () => {
    for (let seed = 0; seed < 10; seed++) {
      const cluster = await agreed(seed, { proofMs: 10_000 })
      const { id } = await cluster.leads()
      await cluster.stop(id)
      const stoppedMs = cluster.world.scheduler.nowMs
      await cluster.leads()
      assert.ok(cluster.world.scheduler.nowMs - stoppedMs < 50, `seed ${seed}`)
      await cluster.stopAll()
    }
  })

  it('one link that is cut costs an election at most', async () => {
    for (let seed = 0; seed < 12; seed++) {
      const cluster = await agreed(seed)
      const { world } = cluster
      const { id } = await cluster.leads()
      const other = cluster.voterIds.find((one) => one !== id)!
      if (seed % 2 === 0) cluster.cut(id, other)
      else world.links.cutOneWay(`node-${id}`, `node-${other}`)
      const before = cluster.leaders.size
      await world.runFor(5000)
      const leader = cluster.leader()
      assert.ok(leader, `seed ${seed}: somebody leads`)
      const { leaderEpoch } = leader.quorum
      await world.runFor(10_000)
      assert.equal(cluster.leader()?.quorum.leaderEpoch, leaderEpoch, `seed ${seed}: it is stable`)
      assert.ok(cluster.leaders.size - before <= 1, `seed ${seed}: elections`)
      world.links.healAll()
      await cluster.stopAll()
    }
  })
})

describe('node/metadata/raft-quorum: reading and describing', () => {
  it('a read on any node sees what was committed before', async () => {
    const cluster = await agreed(1)
    const { world } = cluster
    for (let number = 2; number < 12; number++) {
      const { quorum } = await cluster.leads()
      await world.complete(quorum.propose(topic(number)))
      for (const one of cluster.running.values()) {
        const offset = await world.complete(one.quorum.readIndex())
        await world.complete(one.quorum.whenApplied(offset, 1000))
        assert.ok(topicById(one.quorum.image, idOf(number)))
      }
    }
    const { quorum } = await cluster.leads()
    const never = quorum.whenApplied(1_000_000, 50)
    await assert.rejects(world.complete(never), QuorumTimeoutError)
    await cluster.stopAll()
  })

  it('the leader says how far each is', async () => {
    const cluster = await agreed(2)
    const { world } = cluster
    const { id, quorum } = await cluster.leads()
    const other = cluster.voterIds.find((one) => one !== id)!
    cluster.isolate(other)
    await world.complete(quorum.propose(topic(2)))
    await world.runFor(500)
    const { voters, leaderId, observers, highWatermark } = quorum.describe()
    assert.equal(leaderId, id)
    assert.deepEqual(observers, [])
    assert.equal(voters.length, 3)
    const late = voters.find(({ nodeId }) => nodeId === other)!
    assert.equal(highWatermark - late.logEndOffset, 2)
    assert.ok(voters.every(({ directoryId }) => directoryId.length === 22))
    const own = voters.find(({ nodeId }) => nodeId === id)!
    assert.ok(own.lastCaughtUpMs - late.lastCaughtUpMs >= 400)
    const follower = cluster.quorum(cluster.voterIds.find((one) => one !== id && one !== other)!)
    assert.equal(follower.describe().leaderId, id)
    await cluster.stopAll()
  })

  it('hands over on demand, and says when it can not', async () => {
    const cluster = await agreed(3)
    const { world } = cluster
    for (const to of [1, 2, 3, 1]) {
      const { id, quorum } = await cluster.leads()
      if (id === to) continue
      await world.complete(quorum.transferLeadership(to))
      assert.equal((await cluster.leads()).id, to)
    }
    const { quorum } = await cluster.leads()
    await assert.rejects(world.complete(quorum.transferLeadership(9)), ProposalRefusedError)
    await cluster.stopAll()
  })

  it('goes on leading when the other one does not take over', async () => {
    const cluster = await agreed(4)
    const { world } = cluster
    const { id, quorum } = await cluster.leads()
    const other = id === 1 ? 2 : 1
    cluster.kill(other)
    await assert.rejects(world.complete(quorum.transferLeadership(other)), QuorumTimeoutError)
    assert.equal((await cluster.leads()).id, id)
    await cluster.stopAll()
  })
})

describe('node/metadata/raft-quorum: growing, shrinking, replacing', function () {
  this.timeout(20_000)

  it('a node that only follows has the image, and can become a voter', async () => {
    const cluster = await agreed(4)
    const { world } = cluster
    await cluster.start(4)
    await world.runFor(1500)
    const { quorum, id } = await cluster.leads()
    assert.deepEqual(
      quorum.describe().observers.map(({ nodeId }) => nodeId),
      [4],
    )
    assert.equal(cluster.quorum(4).image.offset, quorum.image.offset)
    const keys = [1, 2, 3, 4].map((nodeId) => {
      return { nodeId, directoryId: cluster.directoryIds.get(nodeId)! }
    })
    await world.complete(quorum.changeVoters(keys))
    assert.equal(quorum.describe().voters.length, 4)
    // And one leaves; the leader itself too.
    const left = keys.filter(({ nodeId }) => nodeId !== id)
    await world.complete(quorum.changeVoters(left)).catch(() => undefined)
    await world.runFor(1000)
    const next = await cluster.leads()
    assert.notEqual(next.id, id)
    assert.deepEqual(
      next.quorum.describe().voters.map(({ nodeId }) => nodeId),
      left.map(({ nodeId }) => nodeId),
    )
    await cluster.converge(await world.complete(next.quorum.propose(topic(2))))
    await cluster.stopAll()
  })

  it('a node with a wiped disk comes back by itself, and votes again', async () => {
    const cluster = await agreed(5, { quorum: { snapshotBytes: 500, retainedOffsets: 0 } })
    const { world } = cluster
    const { id, quorum } = await cluster.leads()
    const lost = cluster.voterIds.find((one) => one !== id)!
    cluster.kill(lost)
    cluster.wipe(lost)
    for (let number = 2; number < 30; number++) {
      await world.complete(quorum.propose(topic(number)))
    }
    await cluster.start(lost)
    const image = await cluster.converge(quorum.image.offset)
    assert.equal(image.topics.size, 29)
    await world.runFor(2000)
    const voter = quorum.describe().voters.find(({ nodeId }) => nodeId === lost)!
    assert.equal(voter.directoryId, cluster.directoryIds.get(lost))
    // The group can lose another now.
    const third = cluster.voterIds.find((one) => one !== id && one !== lost)!
    cluster.kill(third)
    await world.complete(quorum.propose(topic(99)))
    await cluster.stopAll()
  })

  it('a person makes the one that kept its metadata the only voter, when the others are emptied', async () => {
    const cluster = await agreed(7)
    const { world } = cluster
    const { id, quorum } = await cluster.leads()
    const { offset } = quorum.image
    for (const one of cluster.voterIds) {
      cluster.kill(one)
      if (one !== id) cluster.wipe(one)
    }

    const force = (nodeId: number) => {
      const { disk, clock, logger } = cluster.host(nodeId).boot()
      disk.makeDirectory(RAFT_DATA)
      const directoryId = cluster.directoryIds.get(id)!
      const probe = new LogProbe()
      const options = { disk, clock, logger, probe, maybe: () => false, directory: RAFT_DATA }
      return forceQuorum({ ...options, nodeId, directoryId })
    }
    const forced = await world.complete(force(id))
    assert.deepEqual([...forced.votersBefore].sort(), [1, 2, 3])
    assert.ok(forced.endOffset > offset)
    cluster.kill(id)
    cluster.leaders.clear()
    const alone = await cluster.start(id)
    assert.ok(topicById(alone.image, idOf(1)) !== undefined, 'it has what it had')
    assert.deepEqual(
      alone.describe().voters.map(({ nodeId }) => nodeId),
      [id],
    )
    await world.complete(alone.propose(topic(2)))
    // A directory without metadata is nothing to go on with.
    const other = cluster.voterIds.find((one) => one !== id)!
    await assert.rejects(world.complete(force(other)), /has no metadata of a cluster/)
    await cluster.stopAll()
  })

  it('snapshots are taken, the log begins behind them, and a start uses them', async () => {
    const cluster = await agreed(6, { quorum: { snapshotBytes: 2000, retainedOffsets: 5 } })
    const { world } = cluster
    const { quorum } = await cluster.leads()
    for (let number = 2; number < 60; number++) {
      await world.complete(quorum.propose(topic(number)))
    }
    await cluster.converge(quorum.image.offset)
    await world.runFor(200)
    for (const id of cluster.voterIds) {
      const names = cluster.host(id).disk.list(`${RAFT_DATA}/${METADATA_LOG}`)
      const checkpoints = names.filter(({ name }) => name.endsWith('.checkpoint'))
      assert.equal(checkpoints.length, 1, `on node ${id}`)
      assert.ok(cluster.quorum(id).log!.logStartOffset > 50)
    }
    for (const id of cluster.voterIds) cluster.powerLoss(id)
    await cluster.startAll()
    const image = await cluster.converge(quorum.image.offset)
    assert.equal(image.topics.size, 59)
    await cluster.stopAll()
  })
})

describe('node/metadata/raft-quorum: bad days', function () {
  this.timeout(20_000)

  for (const [name, path, at] of [
    ['the vote', `${RAFT_DATA}/${QUORUM_STATE}`, undefined],
    ['the log', LOG_FILE, LOG_HEAD],
  ] as const) {
    it(`${name} is damaged: the node begins anew without a vote, and gets one`, async () => {
      const cluster = await agreed(7)
      const { world } = cluster
      const { id, quorum } = await cluster.leads()
      const hurt = cluster.voterIds.find((one) => one !== id)!
      cluster.kill(hurt)
      if (name === 'the vote')
        for (const slot of [100, 4196]) damage(cluster, hurt, path, slot - 80)
      else damage(cluster, hurt, path, at)
      await cluster.start(hurt)
      await cluster.converge(quorum.image.offset)
      await world.runFor(2000)
      const { disk, logLines } = cluster.host(hurt)
      assert.ok(disk.exists(`${RAFT_DATA}/${VOTER_ID}`))
      assert.ok(disk.exists(`${RAFT_DATA}/${METADATA_LOG}.damaged`))
      assert.ok(logLines.some(({ message }) => message.includes('gives up its vote')))
      const voter = quorum.describe().voters.find(({ nodeId }) => nodeId === hurt)!
      const before = cluster.directoryIds.get(hurt)
      assert.notEqual(voter.directoryId, before)
      // The new identity lasts.
      cluster.kill(hurt)
      await cluster.start(hurt)
      await world.runFor(2000)
      const again = quorum.describe().voters.find(({ nodeId }) => nodeId === hurt)!
      assert.equal(again.directoryId, voter.directoryId)
      assert.ok(again.logEndOffset >= quorum.image.offset)
      await cluster.stopAll()
    })
  }

  it('the log can not be read for a while: the node does not start, and keeps its vote', async () => {
    const cluster = await agreed(9)
    const { id } = await cluster.leads()
    const hurt = cluster.voterIds.find((one) => one !== id)!
    cluster.kill(hurt)
    const { disk } = cluster.host(hurt)
    let isWhole = false
    for (let whole = 0; !isWhole && whole < 200; whole++) {
      let reads = 0
      disk.fault = (operation, path) => {
        const isLog = path.startsWith(`${RAFT_DATA}/`)
        return operation === 'read' && isLog && reads++ >= whole ? 'EIO' : undefined
      }
      const start = cluster.start(hurt).then(
        () => 'started',
        (error: unknown) => (error as Error).name,
      )
      const outcome = await start
      disk.fault = () => undefined
      assert.ok(!disk.exists(`${RAFT_DATA}/${VOTER_ID}`), `gave up its vote at read ${whole}`)
      assert.ok(outcome === 'started' || outcome === 'StorageError', outcome)
      isWhole = outcome === 'started'
      cluster.kill(hurt)
    }
    assert.ok(isWhole, 'with all reads it starts')
    await cluster.start(hurt)
    await cluster.stopAll()
  })

  it('of a sole voter: it does not start', async () => {
    const cluster = new RaftCluster(8, { voterIds: [1] })
    const quorum = await cluster.start(1)
    await cluster.world.complete(quorum.propose(topic(1)))
    await cluster.stop(1)
    damage(cluster, 1, LOG_FILE, LOG_HEAD)
    await assert.rejects(cluster.start(1), /CorruptionError|it ends at/)
  })

  it('a damaged snapshot of one node is fetched anew', async () => {
    const cluster = await agreed(9, { quorum: { snapshotBytes: 1000, retainedOffsets: 0 } })
    const { world } = cluster
    const { id, quorum } = await cluster.leads()
    for (let number = 2; number < 40; number++) {
      await world.complete(quorum.propose(topic(number)))
    }
    await world.runFor(200)
    const hurt = cluster.voterIds.find((one) => one !== id)!
    cluster.kill(hurt)
    const directory = `${RAFT_DATA}/${METADATA_LOG}`
    const file = cluster
      .host(hurt)
      .disk.list(directory)
      .find(({ name }) => name.endsWith('.checkpoint'))!
    damage(cluster, hurt, `${directory}/${file.name}`)
    await cluster.start(hurt)
    const image = await cluster.converge(quorum.image.offset)
    assert.equal(image.topics.size, 39)
    await cluster.stopAll()
  })

  it('a snapshot that is damaged where it is sent from is written anew', async () => {
    const cluster = await agreed(13, { quorum: { snapshotBytes: 1000, retainedOffsets: 0 } })
    const { world } = cluster
    const { id, quorum } = await cluster.leads()
    const away = cluster.voterIds.find((one) => one !== id)!
    cluster.kill(away)
    for (let number = 2; number < 40; number++) {
      await world.complete(quorum.propose(topic(number)))
    }
    await world.runFor(200)
    const directory = `${RAFT_DATA}/${METADATA_LOG}`
    for (const one of cluster.running.keys()) {
      const { disk } = cluster.host(one)
      const file = disk.list(directory).find(({ name }) => name.endsWith('.checkpoint'))!
      damage(cluster, one, `${directory}/${file.name}`)
    }
    await cluster.start(away)
    const image = await cluster.converge(quorum.image.offset)
    assert.equal(image.topics.size, 39)
    const lines = [...cluster.running.keys()].flatMap((one) => cluster.host(one).logLines)
    assert.ok(lines.some(({ message }) => message.includes('written anew')))
    await cluster.stopAll()
  })

  it('a full disk of one node: the others go on, and it catches up', async () => {
    for (const isLeader of [false, true]) {
      const cluster = await agreed(10)
      const { world } = cluster
      const { id } = await cluster.leads()
      const full = isLeader ? id : cluster.voterIds.find((one) => one !== id)!
      const { disk } = cluster.host(full)
      disk.fault = (operation, path) =>
        operation === 'write' && path.endsWith('.log') ? 'ENOSPC' : undefined
      let number = 2
      for (let round = 0; round < 20; round++) {
        await world.runFor(300)
        const proposal = cluster.leader()?.quorum.propose(topic(number++))
        await world.complete(Promise.allSettled([proposal]))
      }
      disk.fault = () => undefined
      await world.runFor(3000)
      const { quorum } = await cluster.leads()
      const last = await world.complete(quorum.propose(topic(number)))
      const image = await cluster.converge(last)
      assert.ok(image.topics.size > 1)
      assert.deepEqual(cluster.fatal, [])
      await cluster.stopAll()
    }
  })

  it('a failing sync ends one node, and the others go on', async () => {
    const cluster = await agreed(11)
    cluster.mayFail = true
    const { world } = cluster
    const { id, quorum } = await cluster.leads()
    cluster.host(id).disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined)
    await world.complete(quorum.propose(topic(2)).catch(() => undefined))
    await world.runFor(200)
    assert.equal(cluster.fatal.length, 1)
    cluster.host(id).disk.fault = () => undefined
    cluster.kill(id)
    const next = await cluster.leads()
    await world.complete(next.quorum.propose(topic(3)))
    await cluster.stopAll()
  })

  it('two that lost their disks found no cluster of their own while the third is away', async () => {
    for (let seed = 0; seed < 10; seed++) {
      const cluster = await agreed(seed)
      const { world } = cluster
      const { offset } = (await cluster.leads()).quorum.image
      const kept = 1 + (seed % 3)
      const others = cluster.voterIds.filter((one) => one !== kept)
      for (const one of cluster.voterIds) cluster.kill(one)
      for (const one of others) cluster.wipe(one)
      for (const one of others) await cluster.start(one)
      // At a first start this is more than enough to be a cluster.
      await world.runFor(20_000)
      assert.equal(cluster.leader(), undefined, `seed ${seed}`)
      const why = cluster.quorum(others[0]!).waitsToFound
      assert.match(why!, new RegExp(`all of controller.quorum.voters .* start node ${kept}, or`))

      const quorum = await cluster.start(kept)
      await world.runFor(5000)
      assert.equal(
        cluster.leader(),
        undefined,
        'what it has was promised by a majority that is lost',
      )
      assert.ok(quorum.nextOffset > offset, 'and is there, for who recovers it')
      assert.match(cluster.quorum(others[1]!).waitsToFound!, new RegExp(`node ${kept} of .* has:`))
      await cluster.stopAll()
    }
  })

  for (const other of ['', 'founded-anew']) {
    const name = other === '' ? 'that names no cluster' : 'of another cluster'
    it(`takes no entries from a leader ${name}`, async () => {
      const cluster = await agreed(4)
      const { world, clusterIds } = cluster
      for (const one of cluster.voterIds) clusterIds.set(one, 'the-cluster')
      await world.runFor(1000)
      const { offset } = cluster.quorum(3).image
      for (const one of cluster.voterIds) cluster.kill(one)
      cluster.leaders.clear()
      for (const one of [1, 2]) {
        cluster.wipe(one)
        clusterIds.set(one, other)
        cluster.listed.set(one, [1, 2])
        cluster.boot(one)
      }
      const { quorum: leader } = await cluster.leads()
      await world.complete(leader.propose(topic(9)))
      const survivor = await cluster.start(3)
      await world.runFor(10_000)
      assert.ok(survivor.nextOffset > offset, 'its log is as it was')
      assert.equal(topicById(survivor.image, idOf(9)), undefined)
      const { logLines } = cluster.host(3)
      const said = logLines.filter(({ message }) => message.includes('There are two clusters'))
      assert.equal(said.length, 1)
      await cluster.stopAll()
    })
  }

  it('follows a voter of its log that does not know its cluster yet', async () => {
    const cluster = await agreed(4)
    const { world, clusterIds } = cluster
    for (const one of [2, 3]) clusterIds.set(one, 'the-cluster')
    await world.runFor(5000)
    const { quorum } = await cluster.leads()
    await world.complete(quorum.transferLeadership(1))
    await world.runUntil(() => cluster.leader()?.id === 1, 2000)
    await world.complete(cluster.quorum(1).propose(topic(2)))
    await cluster.converge()
    await cluster.stopAll()
  })

  it('two clusters that were made apart do not mix their records', async () => {
    const cluster = await agreed(12)
    const { world } = cluster
    // Two empty nodes under the names of voters: they may not outvote the one that has records.
    const { id, quorum } = await cluster.leads()
    const others = cluster.voterIds.filter((one) => one !== id)
    const { offset } = quorum.image
    cluster.mayFail = true
    for (const one of others) {
      cluster.kill(one)
      cluster.wipe(one)
    }
    for (const one of others) await cluster.start(one)
    await world.runFor(5000)
    assert.ok(quorum.image.offset >= offset)
    assert.ok(topicById(quorum.image, idOf(1)), 'what was committed is there')
  })
})
