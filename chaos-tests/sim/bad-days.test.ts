/**
 * Bad input and bad days, one at a time: what each does, and what the log says of it. Nothing that
 * was acknowledged is lost on any of them (bad-day.ts looks).
 */
import assert from 'node:assert/strict'
import { fetch } from '../../kafka/api/01-fetch.ts'
import { listOffsets } from '../../kafka/api/02-list-offsets.ts'
import { unregisterBroker } from '../../kafka/api/64-unregister-broker.ts'
import { removeRaftVoter } from '../../kafka/api/81-remove-raft-voter.ts'
import { BadDay, type BadDayOptions, TOPIC } from './bad-day.ts'
import { PEER_PORT, type SimNode } from './cluster.ts'
import { filesBelow } from './damage.ts'
import { segmentsOf } from './disks.ts'

const DAY_MS = 86_400_000
const NOT_LEADER_OR_FOLLOWER = 6
const FENCED_LEADER_EPOCH = 74
const UNKNOWN_LEADER_EPOCH = 75

/** A ListOffsets request. */
const LOOK = {
  replicaId: -1,
  isolationLevel: 0,
  topics: [{ name: TOPIC, partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
  timeoutMs: 1000,
}

function day(name: string, story: (day: BadDay) => Promise<void>, options?: BadDayOptions): void {
  it(name, async function () {
    this.timeout(60_000)
    await BadDay.play(name, story, options)
  })
}

const voters = (...ids: number[]): Readonly<Record<string, string>> => ({
  'controller.quorum.voters': ids.map((id) => `${id}@n${id}:${PEER_PORT}`).join(','),
})

async function leavesAndReturns(day: BadDay, node: SimNode, mend: () => void): Promise<void> {
  await day.until('it is out of the ISR', () => !day.partition.isr.includes(node.id))
  await day.goesOn()
  mend()
  await day.until('it is in the ISR again', () => day.partition.isr.includes(node.id))
}

describe('chaos-tests/sim: bad requests', () => {
  day('at a node that does not lead: refused, with the name of the leader', async (day) => {
    const node = day.followers[0]!
    for (const acks of [-1, 1]) {
      const { errorCode, currentLeader } = await day.ask(day.produceAt(node, acks))
      assert.equal(errorCode, NOT_LEADER_OR_FOLLOWER)
      const { leader: leaderId, leaderEpoch } = day.partition
      assert.deepEqual(currentLeader, { leaderId, leaderEpoch })
    }
    const offsets = await day.ask(day.client.request(node.id, listOffsets, LOOK))
    assert.equal(offsets.topics[0]!.partitions[0]!.errorCode, NOT_LEADER_OR_FOLLOWER)
    await day.says(node, /^info A client asked a node that does not lead.*NOT_LEADER_OR_FOLLOWER/)
  })

  day('with an old leader epoch, or one that has not been: refused (KIP-320)', async (day) => {
    const first = day.leader
    day.cluster.stop(first)
    await day.until('another leads', () => day.partition.leaderEpoch > 0 && day.leader !== first)
    const { leader: node, partition } = day
    for (const [epoch, error] of [
      [partition.leaderEpoch - 1, FENCED_LEADER_EPOCH],
      [partition.leaderEpoch + 1, UNKNOWN_LEADER_EPOCH],
    ] as const) {
      const asked = { partition: 0, currentLeaderEpoch: epoch, fetchOffset: 0 }
      const partitions = [{ ...asked, partitionMaxBytes: 1000 }]
      const topics = [{ topic: TOPIC, topicId: day.topicId, partitions }]
      const rest = { forgottenTopicsData: [], rackId: '', isolationLevel: 0, sessionId: 0 }
      const body = { ...rest, maxWaitMs: 0, minBytes: 1, topics }
      const answer = await day.ask(day.client.request(node.id, fetch, body))
      assert.equal(answer.responses[0]!.partitions[0]!.errorCode, error)
    }
    await day.says(node, /^info A client asked a node.*in another epoch.*_LEADER_EPOCH/)
    day.cluster.start(first)
  })

  day('with a stale broker epoch: the broker registers again', async (day) => {
    const node = day.followers.find((one) => one !== day.cluster.controller())!
    const epoch = () => day.cluster.controller()?.running?.quorum.image.brokers.get(node.id)?.epoch
    const before = epoch()
    const answer = await day.ask(
      day.client.request(undefined, unregisterBroker, { brokerId: node.id }),
    )
    assert.equal(answer.errorCode, 0)
    await day.says(node, /^warn the controller has forgotten this broker: it registers again/)
    await day.until('it has a new epoch', () => (epoch() ?? -1) > before!)
  })
})

describe('chaos-tests/sim: bad days of identity', () => {
  day('a directory that is gone: its replica counts for nothing until it has all', async (day) => {
    const node = day.followers[0]!
    day.cluster.wipe(node)
    await leavesAndReturns(day, node, () => day.cluster.start(node))
    const controller = day.cluster.controller()!
    await day.says(controller, /^warn A broker came back without directories that it had/)
    await day.says(node, /^warn This node is among the voters.*it follows without a vote/)
    await day.until('it votes again', () => {
      return /voters of the metadata.*these from now on/.test(day.lines(node).join())
    })
  })

  day(
    'a node started twice: the second comes to nothing, and the others say why',
    async (day) => {
      const [, second, third, twin] = day.cluster.nodes
      day.cluster.start(twin!)
      const sentence = /^warn a node runs twice .*called as node 1 too: change the node.id/
      await day.says(second!, sentence)
      await day.says(third!, sentence)
      await day.says(twin!, /^warn Waiting for a majority of controller.quorum.voters/)
      await day.goesOn()
      day.cluster.kill(twin!)
    },
    {
      nodes: 4,
      startIds: [1, 2, 3],
      settingsOf: (id) => ({ ...voters(1, 2, 3), ...(id === 4 ? { 'node.id': '1' } : {}) }),
      strangerIds: [4],
    },
  )

  let isMoved = false
  day(
    'two clusters that meet: they do not mix, and both say so',
    async (day) => {
      const [first, , , other] = day.cluster.nodes
      day.cluster.start(other!)
      await day.until('the other cluster is founded', () => other!.running !== undefined)
      isMoved = true
      day.restart(other!)
      const sentence = /^warn a node was refused .*is of cluster .*controller.quorum.voters, or the/
      await day.says(other!, sentence)
      await day.says(first!, sentence)
      await day.goesOn()
      day.cluster.kill(other!)
    },
    {
      nodes: 4,
      startIds: [1, 2, 3],
      settingsOf: (id) => {
        if (id !== 4) return voters(1, 2, 3)
        return isMoved ? voters(1, 2, 3, 4) : voters(4)
      },
      strangerIds: [4],
    },
  )

  let isOther = false
  day(
    'a voter list that disagrees: both say so, and the list in the log counts',
    async (day) => {
      const [first, , third] = day.cluster.nodes
      isOther = true
      day.restart(third!)
      const sentence = /^warn the lists of voters differ .*make controller.quorum.voters the same/
      await day.says(first!, sentence)
      await day.says(third!, sentence)
      await day.goesOn()
      const { voters: listed } = third!.running!.quorum
      assert.deepEqual(listed.map(({ nodeId }) => nodeId).sort(), [1, 2, 3])
    },
    { settingsOf: (id) => (id === 3 && isOther ? voters(1, 3) : voters(1, 2, 3)) },
  )

  day(
    'a removed voter that comes back with its old list: it has no vote, and disturbs nobody',
    async (day) => {
      const fourth = day.cluster.node(4)
      const quorum = () => day.cluster.controller()!.running!.quorum
      await day.until('all vote', () => {
        return quorum().voters.every(({ directoryId }) => directoryId !== '')
      })
      const { directoryId } = quorum().voters.find(({ nodeId }) => nodeId === 4)!
      day.cluster.kill(fourth)
      await day.until('somebody else leads', () => day.cluster.controller() !== undefined)
      const gone = { clusterId: null, voterId: 4, voterDirectoryId: directoryId }
      const answer = await day.ask(day.client.request(undefined, removeRaftVoter, gone))
      assert.equal(answer.errorCode, 0, answer.errorMessage ?? '')
      await day.says(day.cluster.controller()!, /^info The voters of the metadata quorum are these/)
      const term = quorum().leaderEpoch
      day.cluster.start(fourth)
      await day.says(fourth, /^warn This node is among the voters.*it follows without a vote/)
      await day.runFor(10_000)
      assert.equal(quorum().leaderEpoch, term)
      assert.deepEqual(
        quorum()
          .voters.map(({ nodeId }) => nodeId)
          .sort(),
        [1, 2, 3],
      )
    },
    { nodes: 4 },
  )
})

describe('chaos-tests/sim: bad days of time', () => {
  day('clocks a day apart: nothing goes by them, and the log says whose', async (day) => {
    const [first, second] = day.cluster.nodes
    first!.host.setClock(DAY_MS)
    second!.host.setClock(2 * DAY_MS)
    for (const node of day.cluster.nodes) {
      await day.until('all are in sync', () => day.partition.isr.length === 3)
      day.restart(node)
      await day.until('it serves', () => node.running !== undefined)
      await day.goesOn()
    }
    await day.says(day.cluster.controller()!, /^warn The clock of a node differs.*86400/)
  })

  day(
    'a leader that stood still for 5 s: it acknowledges nothing in its old epoch',
    async (day) => {
      const { leader: node } = day
      // Its connection is open, and what is sent lies in its socket until it wakes.
      await day.ask(day.client.request(node.id, listOffsets, LOOK))
      node.host.freeze()
      const sent = [-1, 1].map((acks) => day.produceAt(node, acks, 20_000))
      await day.until('another leads', () => day.leader !== node)
      await day.runFor(5000)
      node.host.thaw()
      for (const answer of sent) {
        assert.equal((await day.ask(answer)).errorCode, NOT_LEADER_OR_FOLLOWER)
      }
      await day.says(node, /^warn This process stood still: it may have been replaced/)
    },
  )
})

describe('chaos-tests/sim: bad days of disks and logs', () => {
  day('a follower whose log ends beyond its leader’s: the end is cut', async (day) => {
    const { leader: node } = day
    for (const { name } of day.cluster.nodes) {
      if (name === node.name) continue
      day.cluster.sim.links.cutOneWay(node.name, name)
      day.cluster.sim.links.cutOneWay(name, node.name)
    }
    // acks=1: nobody else has them, and they may be lost.
    for (let i = 0; i < 20; i++) void day.produceAt(node, 1).catch(() => {})
    await day.until('another leads', () => day.partition.leader > 0 && day.leader !== node)
    await day.runFor(2000)
    day.cluster.sim.links.healAll()
    await day.says(node, /^info The end of a log is cut: its leader has another history/)
  })

  day('a full disk of a follower: it leaves the ISR, and comes back with room', async (day) => {
    const node = day.followers[0]!
    node.host.disk.quotaBytes = 0
    await leavesAndReturns(day, node, () => day.cluster.restoreDisk(node))
    await day.says(node, /^warn Records were refused because the disk took no write: it is full/)
  })

  day('a full disk of a leader, which is the controller: another leads both', async (day) => {
    const { leader: node } = day
    if (day.cluster.controller() !== node) await day.giveControl(node)
    // The others have made a reserve for a full disk by then.
    await day.runFor(2000)
    node.host.disk.quotaBytes = 0
    await day.until('another leads', () => day.leader !== node)
    await day.says(node, /^warn Records were refused because the disk took no write: it is full/)
    assert.notEqual(day.cluster.controller(), node)
    await day.says(node, /^warn The disk of the metadata is full: nothing is appended/)
    await day.goesOn()
    day.cluster.restoreDisk(node)
  })

  for (const who of ['follower', 'leader'] as const) {
    day(`a failing sync of a ${who}: it takes nothing until it is started anew`, async (day) => {
      const node = who === 'leader' ? day.leader : day.followers[0]!
      node.host.disk.fault = (operation, path) => {
        return operation.startsWith('sync') && path.includes(`/${TOPIC}-0/`) ? 'EIO' : undefined
      }
      const sentence = /^error A replica is out of service: its storage failed.*EIO/
      await day.says(node, sentence)
      day.cluster.restoreDisk(node)
      await day.runFor(5000)
      assert.equal(day.partition.isr.includes(node.id), false, 'no second try')
      await leavesAndReturns(day, node, () => day.restart(node))
      assert.equal(day.lines(node).filter((line) => sentence.test(line)).length, 1)
    })

    day(`a damaged segment of a ${who}: it is mended from the others`, async (day) => {
      const node = who === 'leader' ? day.leader : day.followers[0]!
      const { disk } = node.host
      await day.until('a segment is closed', () => segmentsOf(disk, TOPIC, 0).length > 1)
      disk.flip(segmentsOf(disk, TOPIC, 0)[0]!, 100)
      // Whoever reads from the start finds it: a client at the leader, or the scrubber.
      if (who === 'leader') void day.readFromStart()
      await day.says(node, /^error Damaged records were found and not served/)
      if (who === 'leader') await day.until('another leads', () => day.leader !== node)
      await day.says(node, /^warn A replica with damaged records is mended from its leader/)
    })
  }

  day(
    'a damaged metadata log of one node: it begins anew, without a vote at first',
    async (day) => {
      const node = day.followers[0]!
      const { disk } = node.host
      // What became durable in the last second may look like an unfinished write.
      await day.runFor(1500)
      day.cluster.kill(node)
      const path = filesBelow(disk, '/data').find((one) =>
        /__cluster_metadata-0.*\.log$/.test(one),
      )!
      for (let at = 100; at < disk.sizeOf(path); at += 100) disk.flip(path, at)
      day.cluster.start(node)
      await day.says(node, /^error .*metadata/)
      await day.says(node, /^warn This node is among the voters.*it follows without a vote/)
    },
  )
})
