/** Nodes of a simulated cluster that hold replicas and nothing else, for tests of replication. */
import { assert } from '../../base/assert.ts'
import type { RpcPeer, RpcServer, RpcStream, RpcStreamHandler } from '../../base/rpc.ts'
import { RpcError } from '../../base/rpc.ts'
import { type SimHost, SimWorld } from '../../base/sim/world.ts'
import { Turn } from '../../base/turn.ts'
import type { World } from '../../base/world.ts'
import { DEFAULT_LOG_CONFIG, type LogConfig } from '../../log/config.ts'
import { LogStore } from '../../log/store.ts'
import { Fetchers } from '../fetchers.ts'
import { Partition } from '../partition.ts'
import { ReplicationProbe } from '../probe.ts'
import type { Leadership } from '../role.ts'
import { ReplicaService } from '../service.ts'
import { TailMemory } from '../tail.ts'
import { REPLICATION_METHOD, RpcReplicaTransport } from '../transport.ts'
import { TestController } from './controller.ts'

export const TOPIC = 't'
export const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAQ'
const PORT = 7000
const UPKEEP_MS = 20

export interface ClusterOptions {
  readonly seed: number | string
  readonly nodes?: number
  readonly config?: Partial<LogConfig>
  readonly minInsyncReplicas?: number
  readonly lagMaxMs?: number
  /** Also small batches are sent from memory, of which there is little. */
  readonly hasSmallTail?: boolean
}

export class TestNode {
  readonly nodeId: number
  readonly host: SimHost
  readonly partitions: (Partition | undefined)[] = []
  boots = 0
  brokerEpoch = -1
  probe = new ReplicationProbe()
  service!: ReplicaService
  fetchers!: Fetchers
  store!: LogStore
  failures: Partition[] = []
  readonly #cluster: TestCluster
  #world!: World
  #turn!: Turn
  #tails!: TailMemory
  #server: RpcServer | undefined
  #peers = new Map<number, RpcPeer>()
  readonly #watched = new Set<Partition>()
  readonly #waiting = new Set<Partition>()
  readonly #opening = new Map<number, Leadership>()

  constructor(cluster: TestCluster, nodeId: number) {
    this.#cluster = cluster
    this.nodeId = nodeId
    this.host = cluster.world.host(`n${nodeId}`)
  }

  get isRunning(): boolean {
    return this.host.isRunning
  }

  get world(): World {
    return this.#world
  }

  partition(index = 0): Partition {
    const partition = this.partitions[index]
    assert(partition !== undefined, `node ${this.nodeId} holds partition ${index}`)
    return partition
  }

  /** A new process. Resolves when it has opened its logs and is registered. */
  async boot(): Promise<void> {
    const { controller, options } = this.#cluster
    this.boots++
    const { boots } = this
    this.#world = this.host.boot()
    const { clock, disk, random, logger, rpc } = this.#world
    this.#reset()
    this.#turn = new Turn(clock)
    const small = { smallestBytes: 1, capacityBytes: 16_384 }
    this.#tails = new TailMemory(options.hasSmallTail === true ? small : {})
    this.store = await LogStore.open({
      directories: ['data'],
      parts: { disk, clock, random, logger, maybe: () => false },
      checkpointMs: 200,
    })
    await this.store.openLogs(() => this.#cluster.config)
    if (!this.isRunning || this.boots !== boots) return
    const find = (topicId: string, index: number) =>
      topicId === TOPIC_ID ? this.partitions[index] : undefined
    const parts = { clock, turn: this.#turn, logger, probe: this.probe }
    this.service = new ReplicaService({
      ...parts,
      find,
      throttleRate: () => this.#cluster.throttleRate,
      isThrottled: () => this.#cluster.throttleRate !== undefined,
    })
    this.fetchers = new Fetchers({
      ...parts,
      nodeId: this.nodeId,
      transport: new RpcReplicaTransport((nodeId) => this.#peerOf(nodeId)),
      brokerEpoch: () => this.brokerEpoch,
    })
    this.#server = await rpc.serve(
      { host: this.host.name, port: PORT },
      {
        onStream: (method, stream) => this.#accept(method, stream),
        onCall: () => Promise.reject(new RpcError('denied', 'no calls')),
      },
    )
    if (!this.isRunning || this.boots !== boots) return
    this.store.startMaintenance((log) => this.partitions[log.partition]?.highWatermark ?? 0)
    this.brokerEpoch = controller.register(this.nodeId)
    assert(options.nodes === undefined || this.nodeId < options.nodes, 'a node of the cluster')
    this.#upkeep()
  }

  #reset(): void {
    this.partitions.length = 0
    this.brokerEpoch = -1
    this.probe = new ReplicationProbe()
    this.failures = []
    this.#peers = new Map()
    this.#watched.clear()
    this.#waiting.clear()
    this.#opening.clear()
  }

  #accept(method: string, stream: RpcStream): RpcStreamHandler {
    if (method !== REPLICATION_METHOD) throw new RpcError('denied', method)
    return this.service.accept(stream)
  }

  #peerOf(nodeId: number): RpcPeer {
    let peer = this.#peers.get(nodeId)
    if (peer === undefined) {
      peer = this.#world.rpc.peer({ host: `n${nodeId}`, port: PORT })
      this.#peers.set(nodeId, peer)
    }
    return peer
  }

  #upkeep(): void {
    this.#world.clock.after(UPKEEP_MS, () => {
      const nowMs = this.#world.clock.monotonicMs()
      for (const one of this.#watched) if (!one.watch(nowMs)) this.#watched.delete(one)
      for (const one of this.#waiting) if (!one.expire(nowMs)) this.#waiting.delete(one)
      this.#upkeep()
    })
  }

  /** What the image says of one partition. */
  apply(index: number, leadership: Leadership): void {
    if (this.brokerEpoch < 0) return // it is told all when it is registered
    if (!leadership.replicas.includes(this.nodeId)) {
      void this.#drop(index)
      return
    }
    const partition = this.partitions[index]
    if (partition !== undefined) {
      partition.lead(leadership)
      return
    }
    const isOpening = this.#opening.has(index)
    this.#opening.set(index, leadership)
    if (!isOpening) void this.#open(index)
  }

  async #open(index: number): Promise<void> {
    const { boots } = this
    const log =
      this.store.get(TOPIC, index) ??
      (await this.store.create({
        topic: TOPIC,
        partition: index,
        topicId: TOPIC_ID,
        config: this.#cluster.config,
      }))
    if (!this.isRunning || this.boots !== boots) return
    const { clock, logger } = this.#world
    const partition = new Partition({
      topic: TOPIC,
      topicId: TOPIC_ID,
      index,
      nodeId: this.nodeId,
      log,
      highWatermark: this.store.checkpointedWatermark(TOPIC, index),
      minInsyncReplicas: this.#cluster.options.minInsyncReplicas ?? 1,
      parts: {
        clock,
        turn: this.#turn,
        logger,
        probe: this.probe,
        isr: this.#cluster.controller,
        tails: this.#tails,
        lagMaxMs: () => this.#cluster.options.lagMaxMs ?? 1000,
        leaseUntilMs: () => this.#cluster.leaseUntilMs,
        leaseMs: () => this.#cluster.leaseMs,
        isServing: (nodeId) => this.#cluster.controller.isActive(nodeId),
        rackOf: (nodeId) => this.#cluster.racks[nodeId],
        isEligible: (nodeId) => this.#cluster.controller.isActive(nodeId),
        onFailure: (failed) => {
          this.failures.push(failed)
          this.fetchers.update(failed)
          void this.#cluster.controller.impaired(failed.index, this.nodeId, failed.leaderEpoch)
        },
        onImpairment: (one) =>
          this.#cluster.controller.impaired(one.index, this.nodeId, one.leaderEpoch),
        onWaiting: (one) => this.#waiting.add(one),
        onWatch: (one) => this.#watched.add(one),
        onRole: (one) => {
          this.fetchers.update(one)
          this.service.reconsider(one)
        },
      },
    })
    this.partitions[index] = partition
    const leadership = this.#opening.get(index)!
    this.#opening.delete(index)
    partition.lead(leadership)
  }

  async #drop(index: number): Promise<void> {
    const partition = this.partitions[index]
    if (partition === undefined) return
    this.partitions[index] = undefined
    this.fetchers.remove(partition)
    this.service.reconsider(partition)
    partition.close()
    await this.store.delete(TOPIC, index)
  }

  kill(): void {
    this.host.kill()
  }

  powerLoss(): void {
    this.host.powerLoss()
  }

  /** Ends the process in good order. */
  async stop(): Promise<void> {
    this.fetchers.close()
    this.service.close()
    await this.#server?.close()
    for (const partition of this.partitions) partition?.close()
    await this.store.close()
    this.host.kill()
  }
}

export class TestCluster {
  readonly world: SimWorld
  readonly options: ClusterOptions
  readonly controller: TestController
  readonly nodes: TestNode[] = []
  /** By node id. */
  racks: readonly string[] = []
  /** Bytes a second for those who catch up. */
  throttleRate: number | undefined
  /** Of all nodes; monotonic. */
  leaseUntilMs = Number.POSITIVE_INFINITY
  /** How long one leads on that has not heard of another. */
  leaseMs = 0
  readonly config: LogConfig

  constructor(options: ClusterOptions) {
    this.options = options
    this.world = new SimWorld(options.seed)
    this.controller = new TestController(this.world)
    // A full disk calls for maintenance, and records of a test may be old.
    const kept = { ...DEFAULT_LOG_CONFIG, retentionMs: -1 }
    this.config = { ...kept, fileDeleteDelayMs: 10, ...options.config }
    for (let nodeId = 0; nodeId < (options.nodes ?? 3); nodeId++) {
      const node = new TestNode(this, nodeId)
      this.nodes.push(node)
      this.controller.join(node)
    }
  }

  /** All nodes run, and `partitions` partitions have their leaders and whole in-sync sets. */
  static async start(options: ClusterOptions, partitions = 1): Promise<TestCluster> {
    const cluster = new TestCluster(options)
    for (const node of cluster.nodes) await cluster.world.complete(node.boot())
    const ids = cluster.nodes.map(({ nodeId }) => nodeId)
    for (let index = 0; index < partitions; index++) {
      const shift = index % ids.length
      cluster.controller.create([...ids.slice(shift), ...ids.slice(0, shift)])
    }
    for (let index = 0; index < partitions; index++) await cluster.settled(index)
    return cluster
  }

  node(nodeId: number): TestNode {
    return this.nodes[nodeId]!
  }

  async boot(nodeId: number): Promise<void> {
    await this.world.complete(this.node(nodeId).boot())
  }

  /** The node that leads by the controller's word; undefined when it does not know yet. */
  leaderOf(index = 0): Partition | undefined {
    const { leaderId, leaderEpoch } = this.controller.partitions[index]!
    const node = this.nodes[leaderId]
    if (node?.isRunning !== true) return undefined
    const partition = node.partitions[index]
    return partition?.isLeader === true && partition.leaderEpoch === leaderEpoch
      ? partition
      : undefined
  }

  /** Until all living replicas are in sync and have all that the leader has. */
  async settled(index = 0, limitMs = 20_000): Promise<Partition> {
    await this.world.runUntil(() => this.#isSettled(index), limitMs)
    return this.leaderOf(index)!
  }

  #isSettled(index: number): boolean {
    const leader = this.leaderOf(index)
    if (leader === undefined) return false
    const { replicas, isr } = this.controller.partitions[index]!
    if (leader.highWatermark !== leader.logEndOffset || leader.isr.length !== isr.length) {
      return false
    }
    return replicas.every((id) => {
      const node = this.node(id)
      if (!node.isRunning) return true
      const partition = node.partitions[index]
      if (partition === undefined || !isr.includes(id) || partition.isDamaged) return false
      return (
        partition.leaderEpoch === leader.leaderEpoch &&
        partition.logEndOffset === leader.logEndOffset &&
        partition.highWatermark === leader.highWatermark
      )
    })
  }

  run(durationMs: number): Promise<void> {
    return this.world.runFor(durationMs)
  }
}
