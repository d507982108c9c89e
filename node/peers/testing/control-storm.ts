/**
 * For tests: random faults over the control planes of three nodes, while topics are made. At every
 * moment nobody is fenced who has a lease; in the end all nodes know each other, serve, and have
 * every topic that was acknowledged.
 */
import assert from 'node:assert/strict'
import type { SimRandom } from '../../../base/sim/random.ts'
import type { SimHost, SimWorld } from '../../../base/sim/world.ts'
import { ControlCluster, ControlNode } from './control-cluster.ts'

const IDS: readonly number[] = [1, 2, 3]
const STEPS = 25
const STEP_MS_MAX = 900
const LOOK_EVERY_MS = 10
const HEALED_WITHIN_MS = 20_000
const LOSS_PROBABILITY = 0.003

export class ControlStorm {
  readonly acknowledged: string[] = []
  readonly #cluster: ControlCluster
  readonly #world: SimWorld
  readonly #random: SimRandom
  #topicCount = 0

  constructor(seed: number) {
    this.#cluster = new ControlCluster(seed)
    this.#world = this.#cluster.world
    this.#random = this.#world.random.split('storm')
    if (seed % 3 === 0) this.#world.links.lossProbability = LOSS_PROBABILITY
  }

  /** Throws AssertionError, or what the scheduler says when the cluster does not come together. */
  async run(): Promise<void> {
    for (const id of IDS) this.#boot(id)
    for (let step = 0; step < STEPS; step++) {
      const untilMs = this.#world.scheduler.nowMs + this.#random.below(STEP_MS_MAX)
      while (this.#world.scheduler.nowMs < untilMs) {
        await this.#world.runFor(LOOK_EVERY_MS)
        this.#checkLeases()
      }
      this.#fault()
      for (const node of this.#cluster.nodes.values()) this.#createTopic(node)
    }
    this.#heal()
    await this.#world.runUntil(() => this.#isWell(), HEALED_WITHIN_MS)
  }

  #host(id: number): SimHost {
    return this.#world.host(`node-${id}`)
  }

  #boot(id: number): void {
    const { nodes } = this.#cluster
    void ControlNode.start(this.#world, id).then((node) => {
      if (this.#host(id).isRunning) nodes.set(id, node)
    })
  }

  #fault(): void {
    const id = 1 + this.#random.below(IDS.length)
    const host = this.#host(id)
    switch (this.#random.below(9)) {
      case 0:
        if (host.isRunning) host.kill()
        break
      case 1:
        if (host.isRunning) host.powerLoss()
        break
      case 2:
        if (!host.isFrozen) host.freeze()
        break
      case 3:
        if (host.isFrozen) host.thaw()
        break
      case 4:
        this.#world.links.cutOneWay(host.name, this.#host(1 + (id % IDS.length)).name)
        break
      case 5:
        this.#world.links.healAll()
        break
      default:
        this.#bootAll()
    }
    for (const one of IDS) if (!this.#host(one).isRunning) this.#cluster.nodes.delete(one)
  }

  #bootAll(): void {
    for (const id of IDS) if (!this.#host(id).isRunning) this.#boot(id)
  }

  #heal(): void {
    this.#world.links.healAll()
    this.#world.links.lossProbability = 0
    for (const id of IDS) if (this.#host(id).isFrozen) this.#host(id).thaw()
    this.#bootAll()
  }

  #createTopic(node: ControlNode): void {
    const name = `topic-${this.#topicCount++}`
    node.createTopic(name).then(
      ({ topics }) => {
        if (topics[0]?.errorCode === 0) this.acknowledged.push(name)
      },
      () => {}, // no controller in time
    )
  }

  /** By the newest image that there is. */
  #checkLeases(): void {
    const nodes = [...this.#cluster.nodes.values()]
    const newest = nodes.reduce<ControlNode | undefined>((found, node) => {
      const isNewer = node.quorum.image.offset > (found?.quorum.image.offset ?? -1)
      return isNewer ? node : found
    }, undefined)
    for (const { id, session } of nodes) {
      if (this.#host(id).isFrozen) continue
      if (session.lease.untilMs <= this.#world.scheduler.nowMs) continue
      const broker = newest?.quorum.image.brokers.get(id)
      const isFenced = broker?.isFenced === true && broker.epoch === session.brokerEpoch
      assert.ok(!isFenced, `node ${id} is fenced, and has a lease`)
    }
  }

  #isWell(): boolean {
    return IDS.every((id) => {
      const node = this.#cluster.nodes.get(id)
      if (node === undefined || node.session.isFenced || node.quorum.leaderId < 0) return false
      const { brokers, topics } = node.quorum.image
      return (
        IDS.every((other) => other === id || node.mesh.peers.isUp(other)) &&
        IDS.every((other) => brokers.get(other)?.isFenced === false) &&
        this.acknowledged.every((name) => topics.has(name))
      )
    })
  }
}
