/**
 * A controller for tests of replication: decides leaders and in-sync sets by Kafka's rules for one
 * topic, and tells the nodes in order, each after a while of its own.
 */
import { assert } from '../../base/assert.ts'
import type { SimWorld } from '../../base/sim/world.ts'
import type { IsrChange, IsrVerdict } from '../isr.ts'
import type { Leadership } from '../role.ts'

const FENCED_LEADER_EPOCH = 74
const INVALID_UPDATE_VERSION = 95
const INELIGIBLE_REPLICA = 107
const REQUEST_TIMED_OUT = 7

export interface ControllerNode {
  readonly nodeId: number
  /** Counts the processes of this node. */
  readonly boots: number
  readonly isRunning: boolean
  apply(index: number, leadership: Leadership): void
}

interface Broker {
  epoch: number
  isFenced: boolean
}

export class TestController {
  readonly partitions: Leadership[] = []
  readonly brokers = new Map<number, Broker>()
  /** Largest delay of an image, and of an answer. */
  delayMs = 2
  isReachable = true
  /** Requests that were made, but whose answer is lost. */
  losesAnswers = false
  /** Nodes that hear nothing. */
  readonly deaf = new Set<number>()
  proposals: IsrChange[] = []
  readonly #world: SimWorld
  readonly #nodes = new Map<number, ControllerNode>()
  /** Virtual time at which the last news reaches a node. */
  readonly #toldUs = new Map<number, number>()
  #epochs = 0

  constructor(world: SimWorld) {
    this.#world = world
  }

  join(node: ControllerNode): void {
    this.#nodes.set(node.nodeId, node)
  }

  create(replicas: readonly number[], state: Partial<Leadership> = {}): void {
    const leaderId = replicas[0]!
    const first = { leaderId, leaderEpoch: 0, partitionEpoch: 0, replicas, isr: replicas }
    this.partitions.push({ ...first, ...state })
    this.#tell(this.partitions.length - 1)
  }

  /** A process has started: what the one before it led is led anew. Returns its broker epoch. */
  register(nodeId: number): number {
    this.fence(nodeId)
    const epoch = ++this.#epochs
    this.brokers.set(nodeId, { epoch, isFenced: false })
    this.partitions.forEach((partition, index) => {
      if (partition.leaderId < 0 && partition.isr.includes(nodeId)) {
        this.#change(index, { leaderId: nodeId })
      } else this.#tellOne(nodeId, index)
    })
    return epoch
  }

  isActive(nodeId: number): boolean {
    return this.brokers.get(nodeId)?.isFenced === false
  }

  /** It is silent: its leaderships go to others in sync, and it leaves every ISR but as the last. */
  fence(nodeId: number): void {
    const broker = this.brokers.get(nodeId)
    if (broker !== undefined) broker.isFenced = true
    this.partitions.forEach(({ isr, leaderId }, index) => {
      const others = isr.filter((id) => id !== nodeId)
      const living = others.filter((id) => this.isActive(id))
      if (!isr.includes(nodeId)) return
      if (leaderId === nodeId) {
        const next = living[0] ?? -1
        this.#change(index, { leaderId: next, ...(next < 0 ? {} : { isr: others }) })
      } else if (others.length > 0) this.#change(index, { isr: others })
    })
  }

  /** Moves the leadership, as a preferred election or a controlled shutdown does. */
  move(index: number, leaderId: number): void {
    assert(this.partitions[index]!.isr.includes(leaderId), 'leaders come from the ISR')
    this.#change(index, { leaderId })
  }

  /** An unclean election: what the new leader lacks is lost. */
  moveUnclean(index: number, leaderId: number): void {
    this.#change(index, { leaderId, isr: [leaderId] })
  }

  /** A replica says that it is damaged, or has no room: others in sync go on without it. */
  impaired(index: number, nodeId: number, leaderEpoch: number): Promise<boolean> {
    return new Promise((resolve) => {
      this.#later(() => {
        const isHeard = this.isReachable && this.#impair(index, nodeId, leaderEpoch)
        this.#later(() => resolve(isHeard && !this.losesAnswers))
      })
    })
  }

  #impair(index: number, nodeId: number, leaderEpoch: number): boolean {
    const { isr, leaderId, leaderEpoch: epoch } = this.partitions[index]!
    if (epoch !== leaderEpoch) return false
    const others = isr.filter((id) => id !== nodeId)
    const next = others.find((id) => this.isActive(id))
    if (next === undefined || !isr.includes(nodeId)) return true
    this.#change(index, leaderId === nodeId ? { leaderId: next, isr: others } : { isr: others })
    return true
  }

  reassign(index: number, replicas: readonly number[]): void {
    const { isr } = this.partitions[index]!
    this.#change(index, { replicas, isr: isr.filter((id) => replicas.includes(id)) })
  }

  /** The end of a reassignment to one node: it leads, and nobody else is a replica. */
  finishMove(index: number, nodeId: number): void {
    assert(this.partitions[index]!.isr.includes(nodeId), 'who takes over has all')
    this.#change(index, { leaderId: nodeId, replicas: [nodeId], isr: [nodeId] })
  }

  alterPartition(change: IsrChange): Promise<IsrVerdict> {
    return new Promise((resolve) => {
      this.#later(() => {
        const verdict = this.isReachable ? this.#decide(change) : refused(REQUEST_TIMED_OUT)
        const answer = this.losesAnswers ? refused(REQUEST_TIMED_OUT) : verdict
        this.#later(() => resolve(answer))
      })
    })
  }

  #decide(change: IsrChange): IsrVerdict {
    this.proposals.push(change)
    const partition = this.partitions[change.index]!
    if (change.leaderEpoch !== partition.leaderEpoch) return refused(FENCED_LEADER_EPOCH)
    if (change.partitionEpoch !== partition.partitionEpoch) return refused(INVALID_UPDATE_VERSION)
    for (const { nodeId, brokerEpoch } of change.isr) {
      if (nodeId === partition.leaderId) continue
      const isKnown = brokerEpoch === -1 || this.brokers.get(nodeId)?.epoch === brokerEpoch
      if (!this.isActive(nodeId) || !isKnown) return refused(INELIGIBLE_REPLICA)
    }
    const isr = change.isr.map(({ nodeId }) => nodeId)
    assert(isr.includes(partition.leaderId), 'a leader proposes itself too')
    const next = this.#change(change.index, { isr })
    return { error: 0, leaderEpoch: next.leaderEpoch, partitionEpoch: next.partitionEpoch, isr }
  }

  #change(index: number, target: Partial<Leadership>): Leadership {
    const before = this.partitions[index]!
    const isElection = target.leaderId !== undefined
    const next: Leadership = {
      ...before,
      ...target,
      leaderEpoch: before.leaderEpoch + (isElection ? 1 : 0),
      partitionEpoch: before.partitionEpoch + 1,
    }
    assert(next.leaderId < 0 || next.isr.includes(next.leaderId), 'a leader is in its ISR')
    this.partitions[index] = next
    this.#tell(index)
    return next
  }

  /** A node that heard nothing learns how things are now. */
  hear(nodeId: number): void {
    this.deaf.delete(nodeId)
    this.partitions.forEach((_, index) => {
      this.#tellOne(nodeId, index)
    })
  }

  #tell(index: number): void {
    for (const nodeId of this.#nodes.keys()) this.#tellOne(nodeId, index)
  }

  /** In order for each node. */
  #tellOne(nodeId: number, index: number): void {
    if (this.deaf.has(nodeId)) return
    const node = this.#nodes.get(nodeId)!
    const leadership = this.partitions[index]!
    const { boots } = node
    const { scheduler } = this.#world
    const atUs = Math.max(this.#toldUs.get(nodeId) ?? 0, scheduler.nowUs + this.#delayUs())
    this.#toldUs.set(nodeId, atUs)
    scheduler.at(atUs, 'image', () => {
      if (node.isRunning && node.boots === boots) node.apply(index, leadership)
    })
  }

  #later(run: () => void): void {
    this.#world.scheduler.after(this.#delayUs(), 'controller', run)
  }

  #delayUs(): number {
    return this.#world.links.random.below(this.delayMs * 1000 + 1)
  }
}

function refused(error: number): IsrVerdict {
  return { error, leaderEpoch: -1, partitionEpoch: -1, isr: [] }
}
