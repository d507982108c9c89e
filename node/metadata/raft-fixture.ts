/** For tests: metadata quorums of several nodes in one simulated world, over a network that errs. */
import { assert } from '../../base/assert.ts'
import { SimWorld } from '../../base/sim/world.ts'
import { type Message, sizeOf } from '../../raft/messages.ts'
import type { RaftTiming } from '../../raft/options.ts'
import type { MetadataImage } from './image.ts'
import { newUuid } from './meta-properties.ts'
import { RaftQuorum, type RaftQuorumOptions } from './raft-quorum.ts'
import { snapshotRecords } from './snapshot-records.ts'

export const RAFT_DATA = '/data'

export interface RaftClusterOptions {
  readonly voterIds?: readonly number[]
  readonly timing?: Partial<RaftTiming>
  readonly quorum?: Partial<Pick<RaftQuorumOptions, 'snapshotBytes' | 'retainedOffsets'>>
  /** How long after a process has ended the others have proof of it; undefined: never. */
  readonly proofMs?: number
}

interface Running {
  readonly quorum: RaftQuorum
  readonly directoryId: string
}

export class RaftCluster {
  readonly world: SimWorld
  readonly fatal: unknown[] = []
  readonly running = new Map<number, Running>()
  /** Kept with the disk. */
  readonly directoryIds = new Map<number, string>()
  /** What a node takes itself for a part of. */
  readonly clusterIds = new Map<number, string>()
  /** Term -> who led it. */
  readonly leaders = new Map<number, number>()
  /** controller.quorum.voters of a node, where it is not that of all. */
  readonly listed = new Map<number, readonly number[]>()
  lossProbability = 0
  doubleProbability = 0
  messageCount = 0
  /** Fatal errors are collected instead of thrown. */
  mayFail = false
  readonly #options: RaftClusterOptions
  readonly #random

  constructor(seed: number, options: RaftClusterOptions = {}) {
    this.world = new SimWorld(seed)
    this.#options = options
    this.#random = this.world.random.split('raft network')
  }

  get voterIds(): readonly number[] {
    return this.#options.voterIds ?? [1, 2, 3]
  }

  host(id: number) {
    return this.world.host(`node-${id}`)
  }

  quorum(id: number): RaftQuorum {
    const found = this.running.get(id)
    assert(found !== undefined, `node ${id} runs`)
    return found.quorum
  }

  /** Boots a node on what its disk has. */
  async start(id: number): Promise<RaftQuorum> {
    const quorum = this.boot(id)
    await this.world.complete(this.starting(id))
    return quorum
  }

  readonly #starts = new Map<number, Promise<void>>()

  starting(id: number): Promise<void> {
    return this.#starts.get(id) ?? Promise.resolve()
  }

  boot(id: number): RaftQuorum {
    const host = this.host(id)
    const { disk, clock, random, logger } = host.boot()
    let directoryId = this.directoryIds.get(id)
    if (directoryId === undefined) {
      directoryId = newUuid(random)
      this.directoryIds.set(id, directoryId)
    }
    const quorum = new RaftQuorum({
      nodeId: id,
      directoryId,
      voterIds: this.listed.get(id) ?? this.voterIds,
      directory: RAFT_DATA,
      disk,
      clock,
      random,
      logger,
      clusterId: () => this.clusterIds.get(id),
      transport: { send: (to, message) => this.#send(id, to, message) },
      timing: this.#options.timing ?? {},
      snapshotRecords,
      ...this.#options.quorum,
      onSuspect: (nodeId) => {
        if (!this.host(nodeId).isRunning) this.#prove(id, nodeId, 1)
      },
      onFatal: (error) => {
        this.fatal.push(error)
        if (!this.mayFail) throw error
      },
    })
    this.running.set(id, { quorum, directoryId })
    quorum.onLeadership((leads, epoch) => {
      if (!leads) return
      const before = this.leaders.get(epoch)
      assert(before === undefined || before === id, `one leader in epoch ${epoch}`)
      this.leaders.set(epoch, id)
    })
    const start = async () => {
      disk.makeDirectory(RAFT_DATA)
      await disk.syncDirectory('/')
      await quorum.start()
    }
    this.#starts.set(id, start())
    return quorum
  }

  async startAll(ids: readonly number[] = this.voterIds): Promise<void> {
    for (const id of ids) this.boot(id)
    for (const id of ids) await this.world.complete(this.starting(id))
  }

  kill(id: number): void {
    this.host(id).kill()
    this.#ended(id)
  }

  powerLoss(id: number): void {
    this.host(id).powerLoss()
    this.running.delete(id)
  }

  /** The disk of a node that does not run is replaced by an empty one. */
  wipe(id: number): void {
    this.host(id).wipe()
    this.directoryIds.delete(id)
  }

  async stop(id: number): Promise<void> {
    await this.world.complete(this.quorum(id).stop())
    this.host(id).kill()
    this.#ended(id)
  }

  async stopAll(): Promise<void> {
    for (const id of [...this.running.keys()]) {
      if (this.host(id).isFrozen) this.host(id).thaw()
    }
    for (const id of [...this.running.keys()]) await this.stop(id)
  }

  #ended(id: number): void {
    this.running.delete(id)
    const { proofMs } = this.#options
    if (proofMs === undefined) return
    for (const other of this.running.keys()) this.#prove(other, id, proofMs)
  }

  #prove(id: number, deadId: number, afterMs: number): void {
    const target = this.running.get(id)
    const { clock } = this.host(id).world
    clock.after(afterMs, () => {
      if (this.running.get(id) === target) target?.quorum.peerIsDead(deadId)
    })
  }

  #send(from: number, to: number, message: Message): void {
    this.messageCount++
    assert(sizeOf(message) > 0)
    const copies = this.#random.chance(this.doubleProbability) ? 2 : 1
    for (let copy = 0; copy < copies; copy++) this.#carry(from, to, message)
  }

  #carry(from: number, to: number, message: Message): void {
    const { links, scheduler } = this.world
    const isCut = () => links.isCut(`node-${from}`, `node-${to}`)
    if (isCut() || this.#random.chance(this.lossProbability)) return
    const target = this.running.get(to)
    if (target === undefined) return
    const clusterId = this.clusterIds.get(from) ?? ''
    scheduler.after(links.drawDelayUs(`node-${from}`, `node-${to}`), 'raft message', () => {
      if (isCut() || this.running.get(to) !== target) return
      this.host(to).world.clock.soon(() => target.quorum.receive(from, message, clusterId))
    })
  }

  cut(one: number, other: number): void {
    this.world.links.cut(`node-${one}`, `node-${other}`)
  }

  isolate(id: number): void {
    for (const other of this.running.keys()) if (other !== id) this.cut(id, other)
  }

  /** The established leader of the highest epoch; undefined when there is none. */
  leader(): { id: number; quorum: RaftQuorum } | undefined {
    let best: { id: number; quorum: RaftQuorum } | undefined
    for (const [id, { quorum }] of this.running) {
      if (quorum.leaderId !== id || this.host(id).isFrozen) continue
      if (best === undefined || quorum.leaderEpoch > best.quorum.leaderEpoch) best = { id, quorum }
    }
    return best
  }

  async leads(limitMs = 10_000): Promise<{ id: number; quorum: RaftQuorum }> {
    await this.world.runUntil(() => this.leader() !== undefined, limitMs)
    const found = this.leader()
    assert(found !== undefined)
    return found
  }

  /** All running nodes have the same image, with `offset` at least. */
  async converge(offset = 0, limitMs = 20_000): Promise<MetadataImage> {
    const images = () => [...this.running.values()].map(({ quorum }) => quorum.image)
    await this.world.runUntil(() => {
      const ends = images().map((image) => image.offset)
      return ends.every((end) => end >= offset && end === ends[0]) && this.leader() !== undefined
    }, limitMs)
    return images()[0]!
  }
}
