/**
 * A whole cluster in one process on virtual time: each node is the product itself, on a simulated
 * machine. A supervisor starts again what ended by itself, as systemd would, and counts it.
 *
 * Invariant: what happens follows from the seed and the calls; nothing here looks at a real clock.
 */
import { AssertionFailed } from '../../base/assert.ts'
import type { SimDisk } from '../../base/sim/disk.ts'
import type { SimRandom } from '../../base/sim/random.ts'
import type { SimHost, SimNodeWorld } from '../../base/sim/world.ts'
import { SimWorld } from '../../base/sim/world.ts'
import { loadSettings } from '../../node/config/load.ts'
import { Node } from '../../node/node.ts'

export const KAFKA_PORT = 9092
export const PEER_PORT = 9192
export const DATA_DIRECTORY = '/data'

const UNLIMITED_BYTES = 2 ** 40
const START_AGAIN_MS = 500
const START_AGAIN_MAX_MS = 4000

type Latency = (random: SimRandom, from: string, to: string) => number

export interface ClusterOptions {
  readonly nodes: number
  /** How often `world.maybe` says yes. */
  readonly maybeProbability: number
  readonly latencyUs?: Latency
  readonly diskLatencyUs?: SimDisk['latencyUs']
  /** Beyond what a node of a test needs. */
  readonly settings: Readonly<Record<string, string>>
  /** Of one node, in place of what it would have: asked at each start. */
  readonly settingsOf?: (nodeId: number) => Readonly<Record<string, string>>
}

/** A process that ended by itself; never expected unless its disk was at fault. */
export interface Crash {
  readonly node: number
  readonly atMs: number
  readonly error: unknown
}

/** A process that has stopped as it was asked to, and still holds something. */
export interface Leak {
  readonly node: number
  readonly atMs: number
  readonly holdings: readonly string[]
}

export class SimNode {
  readonly id: number
  readonly host: SimHost
  /** Present while it serves. */
  running: Node | undefined
  /** Processes that were started; tells one life from the next. */
  boots = 0
  /** False: held down by a fault. */
  isWanted = true
  startFailures = 0
  /** Counts what makes its disk forget: a new one, or damage. */
  diskLife = 1

  constructor(id: number, host: SimHost) {
    this.id = id
    this.host = host
  }

  get name(): string {
    return this.host.name
  }
}

/** After its stop a node holds nothing; its connections' ends may still be on their way to it. */
const SETTLED_US = 50_000

export class SimCluster {
  readonly sim: SimWorld
  readonly nodes: readonly SimNode[]
  readonly crashes: Crash[] = []
  readonly leaks: Leak[] = []
  /** Of the links, when no fault bends it. */
  readonly usualLatencyUs: Latency
  /** Of the disks; undefined: as they are made. */
  readonly usualDiskLatencyUs: SimDisk['latencyUs'] | undefined
  /** Times at which a node began to serve, for the report. */
  readonly starts: { readonly node: number; readonly atMs: number; readonly tookMs: number }[] = []
  /** Told of each node that begins to serve. */
  onStarted: (node: SimNode, running: Node) => void = () => {}
  readonly #options: ClusterOptions

  constructor(seed: number | string, options: ClusterOptions) {
    this.sim = new SimWorld(seed, { maybeProbability: options.maybeProbability })
    this.#options = options
    this.usualLatencyUs = options.latencyUs ?? this.sim.links.latencyUs
    this.sim.links.latencyUs = this.usualLatencyUs
    this.usualDiskLatencyUs = options.diskLatencyUs
    this.nodes = Array.from({ length: options.nodes }, (_, index) => {
      return new SimNode(index + 1, this.sim.host(`n${index + 1}`))
    })
    for (const node of this.nodes) this.restoreDisk(node)
  }

  get nowMs(): number {
    return this.sim.scheduler.nowMs
  }

  get bootstrap(): string[] {
    return this.nodes.map(({ name }) => `${name}:${KAFKA_PORT}`)
  }

  node(id: number): SimNode {
    const node = this.nodes[id - 1]
    if (node === undefined) throw new Error(`there is no node ${id}`)
    return node
  }

  /** Nodes that serve. */
  get running(): SimNode[] {
    return this.nodes.filter(({ running }) => running !== undefined)
  }

  /** The disk is as quick, large and sound as it was. */
  restoreDisk({ host: { disk } }: SimNode): void {
    disk.fault = () => undefined
    disk.quotaBytes = UNLIMITED_BYTES
    if (this.usualDiskLatencyUs !== undefined) disk.latencyUs = this.usualDiskLatencyUs
  }

  /** The running node that plays a part just now. */
  playing(part: 'controller' | 'leader' | 'coordinator'): SimNode | undefined {
    if (part === 'controller') return this.controller()
    return this.running.find(({ running }) => {
      for (const partition of running!.partitions.all()) {
        const isOffsets = partition.topic === '__consumer_offsets'
        if (partition.isLeader && isOffsets === (part === 'coordinator')) return true
      }
      return false
    })
  }

  /** Whoever leads the Raft group, and knows it. */
  controller(): SimNode | undefined {
    return this.running.find(({ id, running }) => running!.quorum.leaderId === id)
  }

  /**
   * Is there an intact copy elsewhere of all that this node has? As the controller knows it; not,
   * when there is none.
   */
  isCovered({ id }: SimNode): boolean {
    const image = this.controller()?.running?.quorum.image
    if (image === undefined || this.running.length < this.nodes.length) return false
    for (const { partitions } of image.topics.values()) {
      for (const { replicas, isr } of partitions) {
        if (replicas.includes(id) && !isr.some((other) => other !== id)) return false
      }
    }
    return true
  }

  /** Takes a node's process up, now. Nothing when it is up; see `stop` for one that is ending. */
  start(node: SimNode): void {
    node.isWanted = true
    if (node.host.isRunning) return
    const boot = ++node.boots
    const startedMs = this.nowMs
    const isCurrent = () => node.boots === boot && node.host.isRunning
    // Between two events, as every end: code that goes on after its process has ended would use
    // the disk of the next one.
    const onFatal = (error: unknown) => {
      this.sim.scheduler.after(0, 'fatal', () => {
        if (isCurrent()) this.#crashed(node, error)
      })
    }
    const world = node.host.boot()
    Node.start(world, this.#settings(node), onFatal).then(
      (running) => {
        if (!isCurrent()) return
        node.running = running
        this.onStarted(node, running)
        node.startFailures = 0
        this.starts.push({ node: node.id, atMs: this.nowMs, tookMs: this.nowMs - startedMs })
      },
      (error: unknown) => {
        node.startFailures++
        onFatal(error)
      },
    )
  }

  /** kill -9; it stays down until it is started. */
  kill(node: SimNode): void {
    node.isWanted = false
    this.#end(node)
    node.host.kill()
  }

  /** kill -9, and an empty disk; it stays down until it is started. */
  wipe(node: SimNode): void {
    this.kill(node)
    node.host.wipe()
    node.diskLife++
  }

  powerLoss(node: SimNode): void {
    node.isWanted = false
    this.#end(node)
    node.host.powerLoss()
  }

  /**
   * SIGTERM: what is left after `graceMs` is killed. It stays down until it is started; one that is
   * wanted again before it has ended starts when it has.
   */
  stop(node: SimNode, graceMs = 10_000): void {
    node.isWanted = false
    const { running, boots } = node
    if (running === undefined) {
      this.kill(node)
      return
    }
    const end = () => {
      if (node.boots !== boots || !node.host.isRunning) return
      const { isWanted } = node
      this.kill(node)
      if (isWanted) this.start(node)
    }
    const stopped = () => {
      // What was closed is told so in the moments after it.
      this.sim.scheduler.after(SETTLED_US, 'settled', () => {
        if (node.host.isFrozen) {
          stopped()
          return
        }
        this.#lookForLeaks(node, boots)
        end()
      })
    }
    running.stop().then(stopped, (error: unknown) => {
      if (error instanceof AssertionFailed) this.crashes.push(this.#crash(node, error))
      end()
    })
    node.running = undefined
    this.sim.scheduler.after(graceMs * 1000, 'grace', end)
  }

  /** Whatever is started is stopped: timers, connections, streams, files. */
  #lookForLeaks(node: SimNode, boots: number): void {
    if (node.boots !== boots || !node.host.isRunning) return
    const holdings = node.host.holdings()
    if (holdings.length > 0) this.leaks.push({ node: node.id, atMs: this.nowMs, holdings })
  }

  /** The world of a process of a client, on a machine of its own. */
  clientWorld(name: string): SimNodeWorld {
    return this.sim.host(name).world
  }

  #crashed(node: SimNode, error: unknown): void {
    this.crashes.push(this.#crash(node, error))
    this.#end(node)
    node.host.kill()
    const pauseMs = Math.min(
      START_AGAIN_MS * 2 ** Math.min(node.startFailures, 5),
      START_AGAIN_MAX_MS,
    )
    this.sim.scheduler.after(pauseMs * 1000, 'supervisor', () => {
      if (node.isWanted) this.start(node)
    })
  }

  #crash(node: SimNode, error: unknown): Crash {
    return { node: node.id, atMs: this.nowMs, error }
  }

  #end(node: SimNode): void {
    node.running = undefined
  }

  #settings(node: SimNode) {
    const voters = this.nodes.map(({ id, name }) => `${id}@${name}:${PEER_PORT}`).join(',')
    return loadSettings({
      profile: 'test',
      flags: {
        'process.roles': 'broker,controller',
        'node.id': String(node.id),
        listeners: `PLAINTEXT://${node.name}:${KAFKA_PORT},CONTROLLER://${node.name}:${PEER_PORT}`,
        'controller.listener.names': 'CONTROLLER',
        ...(this.nodes.length > 1 ? { 'controller.quorum.voters': voters } : {}),
        'log.dirs': DATA_DIRECTORY,
        'http.address': '',
        ...this.#options.settings,
        ...this.#options.settingsOf?.(node.id),
      },
    })
  }
}
