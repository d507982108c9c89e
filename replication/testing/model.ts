/**
 * A random history of a cluster of replicas: producers with acks=all, ends of processes, power
 * losses of one or all machines, cut links, leaderships that move, a controller that answers late or
 * loses its answer. Everything follows from the seed.
 *
 * Checked after each step: watermarks never go back within a process; the watermark of the leader by
 * the controller's word is never beyond what an in-sync replica has durably; there is one leader an
 * epoch. Checked at the end, when all is well again: what was acknowledged is where it was said to
 * be, and the replicas are equal, byte for byte.
 */
import { assert } from '../../base/assert.ts'
import { CorruptionError } from '../../base/errors.ts'
import { SimRandom } from '../../base/sim/random.ts'
import { ReadPlan } from '../../log/partition-log.ts'
import type { Partition } from '../partition.ts'
import { TestCluster, type TestNode } from './cluster.ts'
import { readAll, type Sent, send } from './records.ts'

export interface ModelOptions {
  readonly seed: number
  readonly flush: 'group' | 'none'
  readonly steps?: number
}

type Step = readonly [weight: number, run: () => Promise<void> | void]

interface Write {
  readonly partition: number
  readonly values: readonly string[]
  readonly sent: Sent
}

const PARTITIONS = 3

export class ReplicationModel {
  readonly #options: ModelOptions
  readonly #random: SimRandom
  cluster!: TestCluster
  readonly #writes: Write[] = []
  /** By partition object. */
  readonly #watermarks = new Map<Partition, number>()
  readonly #leaders = new Map<string, number>()
  #nextValue = 0

  constructor(options: ModelOptions) {
    this.#options = options
    this.#random = new SimRandom(`model ${options.seed}`)
  }

  async run(): Promise<void> {
    const { seed, flush, steps = 120 } = this.#options
    this.cluster = await TestCluster.start(
      {
        seed,
        nodes: 3,
        minInsyncReplicas: 1 + this.#random.below(2),
        lagMaxMs: 300,
        hasSmallTail: seed % 3 !== 0,
        config: { flush, segmentBytes: 2000 },
      },
      PARTITIONS,
    )
    const cluster = this.cluster
    cluster.controller.delayMs = 1 + this.#random.below(20)
    for (let step = 0; step < steps; step++) {
      await this.#step()
      await cluster.run(this.#pauseMs())
      this.check()
    }
    await this.#heal()
    this.#checkEnd()
  }

  /** Mostly so short that the next step meets what the last one has begun. */
  #pauseMs(): number {
    switch (this.#random.below(4)) {
      case 0:
        return this.#random.below(100)
      case 1:
        return this.#random.below(5)
      default:
        return this.#random.unit()
    }
  }

  async #step(): Promise<void> {
    const steps: readonly Step[] = [
      [60, () => this.#produce()],
      [5, () => this.#end('kill')],
      [5, () => this.#end('power')],
      [1, () => this.#powerLossOfAll()],
      [12, () => this.#bootOne()],
      [8, () => this.#moveLeader()],
      [3, () => this.#cut()],
      [5, () => this.cluster.world.links.healAll()],
      [2, () => this.#controllerMood()],
      [2, () => this.#damage()],
      [1, () => this.#fillDisk()],
      [2, () => this.#makeRoom()],
    ]
    let draw = this.#random.below(steps.reduce((sum, [weight]) => sum + weight, 0))
    for (const [weight, run] of steps) {
      draw -= weight
      if (draw < 0) return run()
    }
  }

  #produce(): void {
    for (let burst = 1 + this.#random.below(4); burst > 0; burst--) {
      const index = this.#random.below(PARTITIONS)
      // Now and then to one that has not heard that it leads no longer.
      const stale = this.cluster.node(this.#random.below(3)).partitions[index]
      const isStale = this.#random.below(4) === 0 && stale?.isLeader === true
      const leader = isStale ? stale : this.cluster.leaderOf(index)
      if (leader === undefined) continue
      if (!this.cluster.nodes.some((node) => node.isRunning && node.partitions[index] === leader)) {
        continue
      }
      const count = 1 + this.#random.below(3)
      const values = Array.from({ length: count }, () => this.#value())
      const deadlineMs = Number.POSITIVE_INFINITY
      this.#writes.push({ partition: index, values, sent: send(leader, values, deadlineMs) })
    }
  }

  #value(): string {
    const length = this.#random.below(10) === 0 ? 600 : this.#random.below(30)
    return `${this.#nextValue++}-${'x'.repeat(length)}`
  }

  #running(): TestNode[] {
    return this.cluster.nodes.filter((node) => node.isRunning && node.brokerEpoch >= 0)
  }

  #end(how: 'kill' | 'power'): void {
    const running = this.#running()
    if (running.length === 0) return
    const node = running[this.#random.below(running.length)]!
    if (how === 'kill') node.kill()
    else node.powerLoss()
    this.#fenceLater(node)
  }

  /** As a controller would: after a silence, or at once. */
  #fenceLater(node: TestNode): void {
    const { boots, nodeId } = node
    const delayMs = this.#random.below(3) === 0 ? 0 : this.#random.below(300)
    this.cluster.world.scheduler.after(delayMs * 1000, 'fence', () => {
      if (node.boots === boots && !node.isRunning) this.cluster.controller.fence(nodeId)
    })
  }

  #powerLossOfAll(): void {
    for (const node of this.cluster.nodes) {
      if (!node.isRunning) continue
      node.powerLoss()
      this.#fenceLater(node)
    }
  }

  async #bootOne(): Promise<void> {
    const node = this.cluster.nodes.find(({ isRunning }) => !isRunning)
    if (node === undefined) return
    node.host.disk.fault = () => undefined
    await this.cluster.boot(node.nodeId)
  }

  #moveLeader(): void {
    const { controller } = this.cluster
    const index = this.#random.below(PARTITIONS)
    const { isr } = controller.partitions[index]!
    const living = isr.filter((id) => controller.isActive(id))
    const next = living[this.#random.below(Math.max(1, living.length))]
    if (next !== undefined) controller.move(index, next)
  }

  #cut(): void {
    const from = this.#random.below(3)
    const to = (from + 1 + this.#random.below(2)) % 3
    const { links } = this.cluster.world
    if (this.#random.below(2) === 0) links.cut(`n${from}`, `n${to}`)
    else links.cutOneWay(`n${from}`, `n${to}`)
  }

  /**
   * One node's records may be damaged at a time, and not while others are away or behind: a record
   * of which the only copy is damaged is lost, whatever anybody does.
   */
  #damage(): void {
    const { nodes, controller } = this.cluster
    const index = this.#random.below(PARTITIONS)
    const { isr } = controller.partitions[index]!
    if (isr.length < 3 || nodes.some((node) => !node.isRunning)) return
    const all = nodes.map(({ partitions }) => partitions[index])
    if (all.some((one) => one === undefined || one.isDamaged || one.isFailed)) return
    const victim = nodes[this.#random.below(3)]!
    const { log, highWatermark } = victim.partition(index)
    const offset = log.logStartOffset + this.#random.below(Math.max(1, log.syncedOffset))
    if (offset >= Math.min(log.syncedOffset, highWatermark)) return
    const segments = victim.host.disk
      .list(log.directory)
      .filter(({ name }) => name.endsWith('.log') && Number.parseInt(name, 10) <= offset)
    const path = `${log.directory}/${segments.at(-1)!.name}`
    const sizeBytes = victim.host.disk.sizeOf(path)
    if (sizeBytes < 100) return
    victim.host.disk.flip(path, 80 + this.#random.below(sizeBytes - 90))
    this.#scrub(victim.partition(index))
  }

  /** Reads all, and tells the partition of damage. A process that ends forgets what it was told. */
  #scrub(partition: Partition): void {
    try {
      readAll(partition)
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error
      partition.onCorruption(error)
    }
  }

  #scrubAll(): void {
    for (const node of this.cluster.nodes) {
      for (const partition of node.partitions) this.#scrub(partition!)
    }
  }

  #fillDisk(): void {
    const { disk } = this.cluster.node(this.#random.below(3)).host
    disk.fault = (operation) => (operation === 'write' ? 'ENOSPC' : undefined)
  }

  #makeRoom(): void {
    for (const { host } of this.cluster.nodes) host.disk.fault = () => undefined
  }

  #controllerMood(): void {
    const { controller } = this.cluster
    controller.isReachable = this.#random.below(2) === 0
    controller.losesAnswers = this.#random.below(4) === 0
  }

  /** What the history had in it. */
  stats() {
    const { nodes, controller } = this.cluster
    const acks = new Map<string, number>()
    for (const { sent } of this.#writes) {
      const key = String(sent.ack)
      acks.set(key, (acks.get(key) ?? 0) + 1)
    }
    return {
      acks: Object.fromEntries(acks),
      boots: nodes.map(({ boots }) => boots),
      sentTailBytes: nodes.reduce((sum, { probe }) => sum + probe.sentTailBytes, 0),
      truncations: nodes.reduce((sum, { probe }) => sum + probe.truncations, 0),
      proposals: controller.proposals.length,
      epochs: controller.partitions.map(({ leaderEpoch }) => leaderEpoch),
    }
  }

  check(): void {
    const { controller, nodes } = this.cluster
    for (const node of nodes) {
      if (!node.isRunning) continue
      for (const partition of node.partitions) {
        if (partition === undefined) continue
        assert(
          partition.highWatermark >= (this.#watermarks.get(partition) ?? 0),
          'a watermark does not go back',
        )
        this.#watermarks.set(partition, partition.highWatermark)
        if (!partition.isLeader) continue
        const key = `${partition.index}/${partition.leaderEpoch}`
        assert((this.#leaders.get(key) ?? node.nodeId) === node.nodeId, 'one leader an epoch')
        this.#leaders.set(key, node.nodeId)
      }
    }
    controller.partitions.forEach((partition, index) => {
      const leader = this.cluster.leaderOf(index)
      if (leader === undefined || this.#options.flush !== 'group') return
      for (const id of partition.isr) {
        const replica = nodes[id]!.isRunning ? nodes[id]!.partitions[index] : undefined
        assert(
          replica === undefined || replica.log.syncedOffset >= leader.highWatermark,
          'an in-sync replica has durably what is committed',
        )
      }
    })
  }

  async #heal(): Promise<void> {
    const { controller, world, nodes } = this.cluster
    world.links.healAll()
    this.#makeRoom()
    controller.isReachable = true
    controller.losesAnswers = false
    for (const node of nodes) {
      // A disk that was full while a log was cut: the log is out of service until a restart.
      if (node.isRunning && node.partitions.some((one) => one?.isFailed === true)) {
        node.kill()
        controller.fence(node.nodeId)
      }
      if (!node.isRunning) await this.cluster.boot(node.nodeId)
    }
    // Whoever was cut off, and fenced by nobody, is in sync again after this.
    for (let index = 0; index < PARTITIONS; index++) await this.cluster.settled(index)
    this.#scrubAll()
    for (let index = 0; index < PARTITIONS; index++) await this.cluster.settled(index)
    for (let index = 0; index < PARTITIONS; index++) {
      const leader = this.cluster.leaderOf(index)!
      const sent = send(leader, ['last'])
      await world.runUntil(() => sent.ack !== undefined, 5000)
      assert(sent.ack === 0, 'a healthy cluster takes a record')
      this.#writes.push({ partition: index, values: ['last'], sent })
    }
    for (let index = 0; index < PARTITIONS; index++) await this.cluster.settled(index)
    this.check()
  }

  #checkEnd(): void {
    for (let index = 0; index < PARTITIONS; index++) {
      const leader = this.cluster.leaderOf(index)!
      const expected = bytesOf(leader)
      for (const node of this.cluster.nodes) {
        assert(bytesOf(node.partition(index)).equals(expected), 'replicas are equal')
        for (const epoch of Array.from({ length: leader.leaderEpoch + 1 }, (_, i) => i)) {
          const own = node.partition(index).log.endOffsetForEpoch(epoch).endOffset
          assert(own === leader.log.endOffsetForEpoch(epoch).endOffset, 'epochs are equal')
        }
      }
      this.#checkAcked(index, expected.toString('latin1'), leader)
    }
  }

  #checkAcked(index: number, text: string, leader: Partition): void {
    const acked = this.#writes.filter(
      ({ partition, sent }) => partition === index && sent.ack === 0,
    )
    assert(acked.length > 0, 'something was acknowledged')
    for (const { values, sent } of acked) {
      assert(
        sent.offset + values.length <= leader.highWatermark,
        'what is acknowledged is committed',
      )
      for (const value of values) assert(text.includes(value), `${value} is not lost`)
    }
  }
}

function bytesOf(partition: Partition): Buffer {
  const plan = new ReadPlan()
  const upTo = partition.highWatermark
  const target = Buffer.alloc(4 << 20)
  let at = 0
  for (let offset = partition.logStartOffset; offset < upTo; ) {
    partition.locate(offset, upTo, plan)
    assert(plan.error === 0, 'the log can be read')
    const bytes = partition.copy(plan, upTo, target, at, target.length - at)
    assert(bytes > 0, 'the log has what is committed')
    at += bytes
    offset = plan.nextOffset
  }
  return target.subarray(0, at)
}
