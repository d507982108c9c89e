import assert from 'node:assert/strict'
import { StorageError } from '../base/errors.ts'
import { SILENT } from '../base/logger.ts'
import { SimClock } from '../base/sim/clock.ts'
import { SimRandom } from '../base/sim/random.ts'
import { Scheduler } from '../base/sim/scheduler.ts'
import { NotLeading, ProposalRefused, RaftDriver, WaitOver } from './driver.ts'
import type { Message } from './messages.ts'
import type { RaftTiming } from './options.ts'
import type { Snapshot } from './storage.ts'
import { memberOf } from './testing/group.ts'
import { MemoryStorage, TEXT_CODEC } from './testing/memory-storage.ts'

/** A memory storage whose operations take a moment, and can fail. */
class SlowStorage extends MemoryStorage {
  readonly scheduler: Scheduler
  syncMs = 1
  failure: Error | undefined = undefined
  underWay = 0
  overlaps = 0

  constructor(scheduler: Scheduler) {
    super()
    this.scheduler = scheduler
  }

  async #pass<T>(result: () => T): Promise<T> {
    this.underWay++
    if (this.underWay > 1) this.overlaps++
    await new Promise<void>((resolve) => {
      this.scheduler.after(this.syncMs * 1000, 'disk', resolve)
    })
    this.underWay--
    if (this.failure !== undefined) throw this.failure
    return result()
  }

  override sync(): Promise<number> {
    const { endOffset } = this
    return this.#pass(() => {
      this.syncCount++
      this.durableEnd = Math.max(this.durableEnd, Math.min(endOffset, this.endOffset))
      return endOffset
    })
  }

  override truncateTo(endOffset: number): Promise<void> {
    return this.#pass(() => this.truncateNow(endOffset))
  }

  override install(snapshot: Snapshot): Promise<boolean> {
    return this.#pass(() => this.installNow(snapshot))
  }
}

interface Node {
  readonly driver: RaftDriver
  readonly storage: SlowStorage
  readonly applied: string[]
  readonly leaderships: string[]
  readonly leaders: string[]
}

class Nodes {
  readonly scheduler = new Scheduler()
  readonly nodes = new Map<number, Node>()
  readonly fatal: unknown[] = []
  /** True: the message is lost. */
  isLost: (message: Message) => boolean = () => false
  readonly #clock = new SimClock(this.scheduler)
  readonly #random = new SimRandom(1)

  constructor(ids: readonly number[], timing: Partial<RaftTiming> = {}) {
    for (const id of ids) this.add(id, ids, timing)
  }

  add(id: number, voters: readonly number[], timing: Partial<RaftTiming> = {}): Node {
    const storage = this.nodes.get(id)?.storage ?? new SlowStorage(this.scheduler)
    const applied: string[] = []
    const leaderships: string[] = []
    const leaders: string[] = []
    const driver = new RaftDriver({
      member: memberOf(id),
      voters: voters.map(memberOf),
      clock: this.#clock,
      random: this.#random.split(`${id}`),
      logger: SILENT,
      storage,
      transport: { send: (to, message) => this.#carry(to, message) },
      machine: {
        apply: (entries) => {
          for (const { kind, data } of entries) if (kind === 'normal') applied.push(data.toString())
        },
        restore: async (snapshot) => {
          applied.push(`snapshot ${snapshot.endOffset}`)
        },
      },
      codec: TEXT_CODEC,
      timing,
      onLeadership: (leads, term) => leaderships.push(`${leads ? 'leads' : 'led'} ${term}`),
      onLeader: (leaderId, term) => leaders.push(`${leaderId}@${term}`),
      onSuspect: () => {},
      onFatal: (error) => this.fatal.push(error),
    })
    const node = { driver, storage, applied, leaderships, leaders }
    this.nodes.set(id, node)
    return node
  }

  #carry(to: number, message: Message): void {
    if (this.isLost(message)) return
    this.scheduler.after(100, 'message', () => this.nodes.get(to)?.driver.receive(message))
  }

  get(id: number): Node {
    const node = this.nodes.get(id)
    assert.ok(node)
    return node
  }

  async start(): Promise<Node> {
    for (const { driver } of this.nodes.values()) driver.start()
    return this.leader()
  }

  async leader(): Promise<Node> {
    const find = () => [...this.nodes.values()].find(({ driver }) => driver.status.isEstablished)
    await this.scheduler.runUntil(() => find() !== undefined, 10_000)
    return find()!
  }

  propose(node: Node, text: string): Promise<number> {
    return node.driver.propose(1, () => Buffer.from(text))
  }

  async stop(): Promise<void> {
    for (const { driver } of this.nodes.values()) await this.scheduler.complete(driver.stop())
  }
}

describe('raft/driver', () => {
  it('settles proposals in their order, after they are applied', async () => {
    const nodes = new Nodes([1, 2, 3])
    const leader = await nodes.start()
    const order: string[] = []
    const all = ['a', 'b', 'c'].map(async (text) => {
      const end = await nodes.propose(leader, text)
      assert.ok(leader.applied.includes(text))
      assert.ok(leader.driver.status.applied >= end)
      order.push(text)
    })
    await nodes.scheduler.complete(Promise.all(all))
    assert.deepEqual(order, ['a', 'b', 'c'])
    const { probe } = leader.driver
    assert.deepEqual([probe.proposals, probe.electionsWon, probe.elections], [3, 1, 1])
    assert.equal(
      probe.commitSeconds.counts.reduce((sum, count) => sum + count, 0),
      3,
    )
    assert.ok(probe.messagesSent > 10 && probe.appendedBytes > 3)
    await nodes.scheduler.runFor(50)
    for (const { applied } of nodes.nodes.values()) assert.deepEqual(applied, ['a', 'b', 'c'])
    await nodes.stop()
  })

  it('the proposals of one turn share a message and a sync', async () => {
    const nodes = new Nodes([1, 2, 3])
    const leader = await nodes.start()
    await nodes.scheduler.runFor(100)
    const before = leader.storage.syncCount
    const texts = Array.from({ length: 50 }, (_, at) => `${at}`)
    await nodes.scheduler.complete(Promise.all(texts.map((text) => nodes.propose(leader, text))))
    assert.ok(leader.storage.syncCount - before <= 2)
    assert.deepEqual(leader.applied, texts)
    await nodes.stop()
  })

  it('one storage operation at a time', async () => {
    const nodes = new Nodes([1, 2, 3])
    const leader = await nodes.start()
    for (let round = 0; round < 20; round++) {
      void nodes.propose(leader, `${round}`)
      await nodes.scheduler.runFor(0.3)
    }
    await nodes.scheduler.runFor(200)
    for (const { storage } of nodes.nodes.values()) assert.equal(storage.overlaps, 0)
    await nodes.stop()
  })

  it('tells who leads, once each, and when proposals are taken', async () => {
    const nodes = new Nodes([1, 2, 3])
    const leader = await nodes.start()
    await nodes.scheduler.runFor(300)
    const { term, leaderId } = leader.driver.status
    assert.deepEqual(leader.leaderships, [`leads ${term}`])
    for (const { leaders } of nodes.nodes.values())
      assert.equal(leaders.at(-1), `${leaderId}@${term}`)
    await nodes.scheduler.complete(leader.driver.transferLeadership(-1))
    const next = await nodes.leader()
    assert.notEqual(next, leader)
    assert.deepEqual(leader.leaderships, [`leads ${term}`, `led ${term}`])
    assert.equal(next.leaderships.length, 1)
    await nodes.stop()
  })

  it('refuses proposals where it does not lead', async () => {
    const nodes = new Nodes([1, 2, 3])
    const leader = await nodes.start()
    for (const node of nodes.nodes.values()) {
      if (node !== leader) await assert.rejects(nodes.propose(node, 'x'), NotLeading)
    }
    await nodes.stop()
    await assert.rejects(nodes.propose(leader, 'x'), NotLeading)
  })

  it('refuses what is too large or too much', async () => {
    const nodes = new Nodes([1, 2, 3], { entryBytesMax: 10, uncommittedMax: 2 })
    const leader = await nodes.start()
    await assert.rejects(nodes.propose(leader, 'x'.repeat(11)), ProposalRefused)
    const good = [nodes.propose(leader, 'a'), nodes.propose(leader, 'b')]
    await assert.rejects(nodes.propose(leader, 'c'), ProposalRefused)
    await nodes.scheduler.complete(Promise.all(good))
    await nodes.stop()
  })

  it('counts how elections end', async () => {
    const nodes = new Nodes([1, 2, 3])
    const leader = await nodes.start()
    const { leaderId } = leader.driver.status
    const other = [1, 2, 3].find((id) => id !== leaderId)!
    const { endings } = nodes.get(other).driver.probe
    assert.equal(leader.driver.probe.electionsWon, 1)
    // Nobody hears it: it asks, and asks again.
    nodes.isLost = ({ from, to }) => from === other || to === other
    await nodes.scheduler.runFor(5000)
    assert.ok(endings.timeout > 0)
    assert.equal(endings.preVoteDenied + endings.lost, 0)
    // The others hear it, and have a leader: they say no.
    nodes.isLost = ({ to, type }) => to === other && type !== 'vote-response'
    await nodes.scheduler.runFor(5000)
    assert.ok(endings.preVoteDenied > 0)
    await nodes.stop()
  })

  it('rejects what was not committed when it is deposed', async () => {
    const nodes = new Nodes([1, 2, 3])
    const leader = await nodes.start()
    const { leaderId } = leader.driver.status
    nodes.isLost = ({ from, to }) => from === leaderId || to === leaderId
    const lost = nodes.propose(leader, 'lost')
    await assert.rejects(nodes.scheduler.complete(lost), NotLeading)
    const next = await nodes.leader()
    assert.notEqual(next, leader)
    await nodes.scheduler.complete(nodes.propose(next, 'kept'))
    nodes.isLost = () => false
    await nodes.scheduler.runFor(1000)
    assert.deepEqual(leader.applied, ['kept'], 'its log was cut')
    await nodes.stop()
  })

  it('keeps what arrives while the log is cut', async () => {
    const nodes = new Nodes([1, 2, 3])
    const leader = await nodes.start()
    const { leaderId } = leader.driver.status
    nodes.isLost = ({ from, to }) => from === leaderId || to === leaderId
    void nodes.propose(leader, 'lost').catch(() => undefined)
    await nodes.scheduler.runFor(1200)
    const next = await nodes.leader()
    leader.storage.syncMs = 50
    nodes.isLost = () => false
    const texts = Array.from({ length: 10 }, (_, at) => `${at}`)
    for (const text of texts) {
      await nodes.scheduler.complete(nodes.propose(next, text))
      await nodes.scheduler.runFor(20)
    }
    await nodes.scheduler.runFor(1500)
    assert.deepEqual(leader.applied, texts)
    await nodes.stop()
  })

  it('a broken storage ends it, once, and everything that waits', async () => {
    const nodes = new Nodes([1])
    const leader = await nodes.start()
    leader.storage.failure = new StorageError('EIO', '/log', 'sync')
    const waits = [
      nodes.propose(leader, 'a'),
      leader.driver.whenApplied(100, 1000),
      leader.driver.changeVoters([memberOf(2)]).catch((error: unknown) => {
        throw error
      }),
    ]
    for (const one of await nodes.scheduler.complete(Promise.allSettled(waits))) {
      assert.equal(one.status, 'rejected')
    }
    assert.equal(nodes.fatal.length, 1)
    assert.equal(leader.leaderships.at(-1), 'led 1')
    assert.deepEqual(leader.applied, [])
    await nodes.stop()
  })

  it('waits have a limit', async () => {
    const nodes = new Nodes([1, 2, 3])
    const leader = await nodes.start()
    await assert.rejects(nodes.scheduler.complete(leader.driver.whenApplied(99, 20)), WaitOver)
    nodes.isLost = () => true
    await assert.rejects(nodes.scheduler.complete(leader.driver.readIndex(20)), WaitOver)
    await nodes.stop()
  })

  it('a wait for what is applied ends when it is', async () => {
    const nodes = new Nodes([1, 2, 3])
    const leader = await nodes.start()
    const { endOffset } = leader.driver.status
    const others = [...nodes.nodes.values()].map(({ driver }) =>
      driver.whenApplied(endOffset + 1, 500),
    )
    await nodes.scheduler.complete(nodes.propose(leader, 'a'))
    await nodes.scheduler.complete(Promise.all(others))
    await nodes.stop()
  })

  it('changes voters, and says when it is done or why not', async () => {
    const nodes = new Nodes([1, 2, 3])
    const leader = await nodes.start()
    nodes.add(4, [1, 2, 3]).driver.start()
    await nodes.scheduler.runFor(800)
    await assert.rejects(leader.driver.changeVoters([]), ProposalRefused)
    await nodes.scheduler.complete(leader.driver.changeVoters([1, 2, 3, 4].map(memberOf)))
    assert.equal(leader.driver.status.membership.voters.length, 4)
    assert.equal(leader.driver.replicas().filter(({ isVoter }) => isVoter).length, 3)
    await assert.rejects(nodes.get(4).driver.changeVoters([memberOf(1)]), NotLeading)
    await nodes.stop()
  })

  it('a transfer that is not possible is refused, one that does not come about fails', async () => {
    const nodes = new Nodes([1, 2, 3])
    const leader = await nodes.start()
    await nodes.scheduler.runFor(300)
    await assert.rejects(leader.driver.transferLeadership(9), ProposalRefused)
    const { leaderId } = leader.driver.status
    const to = [1, 2, 3].find((id) => id !== leaderId)!
    nodes.isLost = (message) => message.type === 'timeout-now'
    await assert.rejects(nodes.scheduler.complete(leader.driver.transferLeadership(to)))
    assert.ok(leader.driver.status.isEstablished, 'it goes on leading')
    await nodes.scheduler.complete(nodes.propose(leader, 'a'))
    await nodes.stop()
  })

  it('a member without a log gets a snapshot', async () => {
    const nodes = new Nodes([1, 2, 3], { snapshotPartBytes: 10 })
    const leader = await nodes.start()
    nodes.isLost = ({ from, to }) => from === 3 || to === 3
    for (let count = 0; count < 10; count++) {
      await nodes.scheduler.complete(nodes.propose(leader, `entry ${count}`))
    }
    const { applied } = leader.driver.status
    leader.storage.takeSnapshot(
      applied,
      leader.driver.membershipAt(applied),
      Buffer.from('all'.repeat(9)),
    )
    leader.driver.dropBefore(applied)
    assert.equal(leader.driver.status.startOffset, applied)
    nodes.isLost = () => false
    await nodes.scheduler.runFor(2000)
    assert.equal(nodes.get(3).applied[0], `snapshot ${applied}`)
    assert.equal(leader.driver.probe.snapshotsTaken, 1)
    assert.equal(leader.driver.probe.snapshotsSent, 1)
    assert.equal(leader.driver.probe.snapshotSizeBytes, 'all'.length * 9)
    assert.equal(nodes.get(3).driver.probe.snapshotSizeBytes, 'all'.length * 9)
    assert.equal(nodes.get(3).driver.probe.snapshotsInstalled, 1)
    await nodes.scheduler.complete(nodes.propose(await nodes.leader(), 'last'))
    await nodes.scheduler.runFor(100)
    assert.equal(nodes.get(3).applied.at(-1), 'last')
    await nodes.stop()
  })

  it('an idle leader sends heartbeats and nothing else; its figures are known', async () => {
    const nodes = new Nodes([1, 2, 3])
    const leader = await nodes.start()
    await nodes.scheduler.runFor(300)
    const types = new Set<string>()
    let count = 0
    nodes.isLost = ({ type }) => {
      types.add(type)
      count++
      return false
    }
    await nodes.scheduler.runFor(1500)
    assert.deepEqual([...types].sort(), ['heartbeat', 'heartbeat-response'])
    assert.ok(count >= 36 && count <= 44, `${count} messages in 1.5 s`)
    const other = [1, 2, 3].find((id) => id !== leader.driver.status.leaderId)!
    assert.ok(leader.driver.peerProgress(other) > 0)
    assert.equal(nodes.get(other).driver.peerProgress(other), -1)
    for (const replica of leader.driver.replicas()) {
      assert.equal(replica.logEndOffset, leader.driver.status.endOffset)
      assert.ok(replica.lastHeardMs > 0 && replica.lastCaughtUpMs > 0)
    }
    const { roundTrips, syncSeconds } = leader.driver.probe
    assert.equal(roundTrips.size, 2)
    for (const { counts, sum } of roundTrips.values()) {
      const answers = counts.reduce((all, one) => all + one, 0)
      // A message takes 0.1 ms, there and back.
      assert.ok(answers >= 10 && Math.abs(sum / answers - 0.0002) < 1e-6, `${sum} s of ${answers}`)
    }
    assert.equal(nodes.get(other).driver.probe.roundTrips.size, 0)
    assert.equal(
      syncSeconds.counts.reduce((all, one) => all + one, 0),
      leader.storage.syncCount,
    )
    assert.ok(Math.abs(syncSeconds.sum - 0.001 * leader.storage.syncCount) < 1e-6)
    await nodes.stop()
  })

  it('a stop is quiet and final', async () => {
    const nodes = new Nodes([1, 2, 3])
    const leader = await nodes.start()
    const waiting = nodes.propose(leader, 'a').then(
      () => 'done',
      (error: unknown) => error,
    )
    await nodes.stop()
    assert.ok((await waiting) instanceof NotLeading)
    let sent = 0
    nodes.isLost = () => ++sent > 0
    await nodes.scheduler.runFor(5000)
    assert.equal(sent, 0)
    await nodes.stop()
  })

  it('more than fits in the mailbox is dropped, and made good', async () => {
    const nodes = new Nodes([1, 2])
    const leader = await nodes.start()
    const { leaderId, term } = leader.driver.status
    const other = nodes.get(3 - leaderId)
    const data = Buffer.alloc(1024 * 1024)
    const body = { from: leaderId, directoryId: memberOf(leaderId).directoryId, term } as const
    for (let count = 0; count < 40; count++) {
      const entry = { baseOffset: 1000 + count, count: 1, term, kind: 'normal' as const, data }
      other.driver.receive({
        ...body,
        to: 3 - leaderId,
        type: 'append',
        prevEnd: 1000 + count,
        prevTerm: term,
        commit: 0,
        entries: [entry],
      })
    }
    assert.ok(other.driver.probe.messagesDropped >= 8 && other.driver.probe.messagesDropped < 20)
    await nodes.scheduler.complete(nodes.propose(leader, 'a'))
    await nodes.stop()
  })
})
