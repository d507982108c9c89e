/**
 * A cluster for tests of programs that use one: the real nodes, in this process, with disks in memory
 * (or in a directory) and links that can be cut, behind real TCP ports for any Kafka client. It is the simulation of
 * `base/sim`, which follows the real clock here.
 *
 *     import { startCluster } from 'odradek/testing'
 *     await using cluster = await startCluster({ nodes: 3 })
 *     const kafka = new Kafka({ brokers: cluster.brokers })
 *     await cluster.nodes[0].kill()
 */
import { assert } from '../../base/assert.ts'
import { realClock } from '../../base/real/clock.ts'
import { RealDisk } from '../../base/real/disk.ts'
import { realNetwork } from '../../base/real/network.ts'
import { type SimHost, SimWorld } from '../../base/sim/world.ts'
import { loadSettings } from '../config/load.ts'
import { Node } from '../node.ts'
import { Bridge } from './bridge.ts'
import { FolderDisk } from './folder-disk.ts'
import { Pump } from './pump.ts'

export interface TestClusterOptions {
  /** 3 */
  readonly nodes?: number
  /** Of every node, by their names in a properties file. */
  readonly settings?: Readonly<Record<string, string>>
  /** Decides elections, latencies and the like. 1 */
  readonly seed?: number
  /** Where the nodes keep their files; made when it is missing. In memory when it is not given. */
  readonly directory?: string
}

const KAFKA_PORT = 9092
const CLUSTER_PORT = 9093
const READY_WITHIN_MS = 60_000
const DATA = '/data'

/** Resolves when all nodes serve. Throws UserError for settings that are wrong. */
export async function startCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const cluster = new TestCluster(options)
  await cluster.start()
  return cluster
}

export class TestCluster {
  readonly nodes: readonly TestNode[]
  readonly #world: SimWorld
  readonly #pump: Pump
  readonly #isOnDisk: boolean

  /** Use `startCluster`. */
  constructor(options: TestClusterOptions) {
    const count = options.nodes ?? 3
    assert(Number.isInteger(count) && count >= 1 && count <= 9, 'one to nine nodes')
    this.#world = new SimWorld(options.seed ?? 1)
    this.#pump = new Pump(this.#world.scheduler, realClock)
    const { directory } = options
    this.#isOnDisk = directory !== undefined
    const names = Array.from({ length: count }, (_, at) => `node-${at + 1}`)
    const voters = names.map((name, at) => `${at + 1}@${name}:${CLUSTER_PORT}`).join(',')
    const settings = { 'controller.quorum.voters': voters, ...options.settings }
    this.nodes = names.map((name, at) => {
      const parts = { id: at + 1, name, world: this.#world, pump: this.#pump, settings }
      return new TestNode({ ...parts, folder: directory && `${directory}/${name}` })
    })
  }

  /** Addresses for clients: 'host:port' of each node. */
  get brokers(): string[] {
    return this.nodes.map((node) => node.bootstrap)
  }

  /** The same in one text, with commas. */
  get bootstrap(): string {
    return this.brokers.join(',')
  }

  async start(): Promise<void> {
    for (const node of this.nodes) await node.listen()
    const starts = Promise.all(this.nodes.map((node) => node.boot()))
    // Nobody is connected yet: time may fly, where no real disk has to follow.
    if (!this.#isOnDisk) await this.#world.complete(starts, READY_WITHIN_MS)
    const { nowMs } = this.#world.scheduler
    for (const node of this.nodes) node.setClock(realClock.nowMs(), nowMs)
    this.#pump.start()
    await starts
  }

  /** The two nodes don't reach each other any more; clients reach both. */
  cut(a: TestNode, b: TestNode): void {
    this.#world.links.cut(a.name, b.name)
    this.#world.links.cut(b.name, a.name)
    this.#pump.wake()
  }

  /** Mends all links between nodes. */
  heal(): void {
    for (const a of this.nodes) {
      for (const b of this.nodes) if (a !== b) this.#world.links.heal(a.name, b.name)
    }
    this.#pump.wake()
  }

  /** Ends all nodes; what they held is gone. Idempotent. */
  async stop(): Promise<void> {
    for (const node of this.nodes) if (node.isRunning) await node.kill()
    await this.#pump.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

interface TestNodeParts {
  readonly id: number
  readonly name: string
  readonly world: SimWorld
  readonly pump: Pump
  readonly settings: Readonly<Record<string, string>>
  /** Its disk; in memory when undefined. */
  readonly folder: string | undefined
}

export class TestNode {
  readonly id: number
  readonly name: string
  readonly #parts: TestNodeParts
  readonly #host: SimHost
  readonly #bridge: Bridge
  /** Of the process that runs. */
  #folderDisk: FolderDisk | undefined
  #failure: unknown

  constructor(parts: TestNodeParts) {
    const { id, name, world, pump } = parts
    this.id = id
    this.name = name
    this.#parts = parts
    this.#host = world.host(name)
    this.#bridge = new Bridge({
      real: realNetwork,
      inside: world.host('outside').world.network,
      target: { host: name, port: KAFKA_PORT },
      wake: () => pump.wake(),
    })
  }

  get bootstrap(): string {
    return `127.0.0.1:${this.#bridge.port}`
  }

  get isRunning(): boolean {
    return this.#host.isRunning
  }

  /**
   * As `kill -9`, no goodbye; a disk in memory loses its power too, and with it the bytes that were
   * not synced.
   */
  async kill(): Promise<void> {
    this.#host.kill()
    this.#host.disk.powerLoss()
    const disk = this.#folderDisk
    this.#folderDisk = undefined
    await disk?.end()
    await this.#bridge.close()
    this.#parts.pump.wake()
  }

  /** Starts a node again that was killed, on what its disk kept. Resolves when it serves. */
  async start(): Promise<void> {
    assert(!this.isRunning, 'a node runs once')
    await this.#bridge.open()
    const serves = this.boot()
    this.#parts.pump.wake()
    await serves
  }

  /** Stands still, as under SIGSTOP: its connections stay open, and nothing is answered. */
  pause(): void {
    this.#host.freeze()
  }

  resume(): void {
    this.#host.thaw()
    this.#parts.pump.wake()
  }

  /** The lines of the node's log so far, as text. */
  log(): string[] {
    return this.#host.logLines.map(({ level, message, fields }) => {
      return `${level} ${message} ${JSON.stringify(fields)}`
    })
  }

  /** For the cluster: its port, before anything runs. */
  listen(): Promise<void> {
    return this.#bridge.open()
  }

  /** For the cluster: a new process. Resolves when it serves. */
  async boot(): Promise<void> {
    this.#failure = undefined
    const world = this.#host.boot()
    const disk = this.#makeDisk()
    this.#folderDisk = disk
    const onFatal = (error: unknown) => {
      if (this.#folderDisk !== disk) return // a process that was killed meanwhile
      this.#failure = error
      this.#host.kill()
      void disk?.end()
    }
    await Node.start(disk === undefined ? world : { ...world, disk }, this.#settings(), onFatal)
    if (this.#failure !== undefined) throw this.#failure
  }

  /** For the cluster: the wall clock shows `wallMs` at the virtual time `virtualMs`. */
  setClock(wallMs: number, virtualMs: number): void {
    const { clock } = this.#host.world
    this.#host.setClock(
      wallMs - (clock.nowMs() - clock.offsetMs) - (virtualMs - clock.monotonicMs()),
    )
  }

  #makeDisk(): FolderDisk | undefined {
    const { folder, pump } = this.#parts
    if (folder === undefined) return undefined
    const tell = (settle: () => void) => {
      this.#host.disk.tell(settle) // later, while the process is frozen
      pump.wake()
    }
    return new FolderDisk({ disk: new RealDisk(), folder, tell })
  }

  #settings() {
    const { id, name, settings } = this.#parts
    return loadSettings({
      profile: 'test',
      flags: {
        'process.roles': 'broker,controller',
        'node.id': String(id),
        listeners: `PLAINTEXT://:${KAFKA_PORT},CONTROLLER://${name}:${CLUSTER_PORT}`,
        'advertised.listeners': `PLAINTEXT://${this.bootstrap}`,
        'controller.listener.names': 'CONTROLLER',
        'log.dirs': DATA,
        'http.address': '',
        ...settings,
      },
    })
  }
}
