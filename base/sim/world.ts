/**
 * A whole simulation from one seed: machines with disks and clocks, processes on them, links
 * between them. The same seed and the same calls give the same run, to the last event.
 */
import { assert } from '../assert.ts'
import type { World } from '../world.ts'
import { SimClock } from './clock.ts'
import { SimDisk } from './disk.ts'
import { SimKvStores } from './kv.ts'
import { SimLogger, type SimLogLine } from './logger.ts'
import { Links, Machine, type ProcessEnd, SimProcess } from './machine.ts'
import { SimMetrics } from './metrics.ts'
import { Fabric, SimNetwork } from './network.ts'
import { SimRandom } from './random.ts'
import { RpcFabric, SimRpc } from './rpc.ts'
import { Scheduler } from './scheduler.ts'

/** Where `world.maybe` is asked, and how often the answer is yes. */
export class Maybes {
  probability: number
  /** Names of the places that were told yes. */
  readonly reached = new Set<string>()

  constructor(probability: number) {
    this.probability = probability
  }

  ask(name: string, random: SimRandom): boolean {
    if (this.probability === 0 || !random.chance(this.probability)) return false
    this.reached.add(name)
    return true
  }
}

export interface SimWorldOptions {
  /** How often `world.maybe` says yes. */
  readonly maybeProbability?: number
}

/** What a process on a simulated machine is given. */
export interface SimNodeWorld extends World {
  readonly clock: SimClock
  readonly metrics: SimMetrics
}

export class SimWorld {
  readonly seed: number | string
  readonly scheduler = new Scheduler()
  readonly random: SimRandom
  readonly links: Links
  readonly #fabric: Fabric
  readonly #rpc: RpcFabric
  readonly #hosts = new Map<string, SimHost>()
  readonly maybes: Maybes

  constructor(seed: number | string, options: SimWorldOptions = {}) {
    this.seed = seed
    this.random = new SimRandom(seed)
    this.links = new Links(this.random.split('links'))
    this.#fabric = new Fabric(this.scheduler, this.links)
    this.#rpc = new RpcFabric(this.#fabric)
    this.maybes = new Maybes(options.maybeProbability ?? 0)
  }

  /** The machine of this name; made at the first call. Its name is its address. */
  host(name: string): SimHost {
    let host = this.#hosts.get(name)
    if (host === undefined) {
      const machine = new Machine(name)
      this.#fabric.machines.set(name, machine)
      host = new SimHost(machine, {
        scheduler: this.scheduler,
        random: this.random.split(name),
        links: this.links,
        fabric: this.#fabric,
        rpc: this.#rpc,
        maybes: this.maybes,
      })
      this.#hosts.set(name, host)
    }
    return host
  }

  /** Breaks the connections between two machines, with a part of the bytes delivered. */
  reset(a: string, b: string): void {
    this.#fabric.reset(a, b)
  }

  run(untilMs: number): Promise<void> {
    return this.scheduler.run(untilMs)
  }

  runFor(durationMs: number): Promise<void> {
    return this.scheduler.runFor(durationMs)
  }

  runUntil(condition: () => boolean, limitMs: number): Promise<void> {
    return this.scheduler.runUntil(condition, limitMs)
  }

  complete<T>(promise: Promise<T>, limitMs?: number): Promise<T> {
    return this.scheduler.complete(promise, limitMs)
  }

  traceHash(): string {
    return this.scheduler.traceHash()
  }
}

interface HostParts {
  readonly scheduler: Scheduler
  readonly random: SimRandom
  readonly links: Links
  readonly fabric: Fabric
  readonly rpc: RpcFabric
  readonly maybes: Maybes
}

/** One machine: its disk outlives its processes, of which one runs at a time. */
export class SimHost {
  readonly disk: SimDisk
  readonly kv: SimKvStores
  /** Lines of all processes of this machine. */
  readonly logLines: SimLogLine[] = []
  readonly #machine: Machine
  readonly #parts: HostParts
  #process: SimProcess | undefined
  #world: SimNodeWorld | undefined
  #bootCount = 0
  #clockOffsetMs = 0
  #clockSkew = 0

  constructor(machine: Machine, parts: HostParts) {
    this.#machine = machine
    this.#parts = parts
    const { random, scheduler } = parts
    this.disk = new SimDisk({
      random: random.split('disk'),
      scheduler,
      nowMs: () => this.#newClock().nowMs(),
    })
    this.kv = new SimKvStores(random.split('kv'), scheduler)
    const tell = (settle: () => void) => this.#process?.run(settle)
    this.disk.tell = tell
    this.kv.tell = tell
  }

  get name(): string {
    return this.#machine.name
  }

  get isRunning(): boolean {
    return this.#process?.isAlive === true
  }

  /** The world of the process that runs; starts one when none does. */
  get world(): SimNodeWorld {
    if (this.isRunning && this.#world !== undefined) return this.#world
    return this.boot()
  }

  /** Starts a process, on a machine whose power is on from then. */
  boot(): SimNodeWorld {
    assert(!this.isRunning, 'one process at a time')
    this.#machine.isPowered = true
    this.disk.beginProcess()
    const process = new SimProcess(this.#machine)
    const random = this.#parts.random.split(`process ${this.#bootCount++}`)
    const maybes = random.split('maybe')
    const clock = this.#newClock(process)
    this.#process = process
    this.#world = {
      clock,
      random: random.split('node'),
      disk: this.disk,
      kv: this.kv,
      network: new SimNetwork(this.#parts.fabric, process),
      rpc: new SimRpc(this.#parts.rpc, process),
      logger: new SimLogger(() => this.#parts.scheduler.nowMs, {}, this.logLines),
      metrics: new SimMetrics(),
      maybe: (name) => this.#parts.maybes.ask(name, maybes),
    }
    return this.#world
  }

  /** What the running process holds: empty after a clean stop. For checkers. */
  holdings(): string[] {
    const process = this.#process
    if (process === undefined || this.#world === undefined) return []
    const { fabric, rpc } = this.#parts
    const { pendingTimers } = this.#world.clock
    const connections = [...fabric.endpoints].filter((end) => end.isOf(process)).length
    const streams = [...rpc.ends].filter((end) => end.isOf(process)).length
    return [
      ...(pendingTimers > 0 ? [`${pendingTimers} timers`] : []),
      ...(connections > 0 ? [`${connections} connections`] : []),
      ...(streams > 0 ? [`${streams} streams`] : []),
      ...this.disk.openPaths(),
    ]
  }

  get isFrozen(): boolean {
    return this.#process?.isFrozen === true
  }

  /** SIGSTOP. Nothing when no process runs. */
  freeze(): void {
    this.#process?.freeze()
    this.#parts.links.silence()
  }

  /** SIGCONT. */
  thaw(): void {
    this.#process?.thaw(this.#parts.scheduler)
  }

  /** The machine gets an empty disk. */
  wipe(): void {
    assert(!this.isRunning, 'a disk in use stays')
    this.disk.wipe()
    this.kv.wipe()
  }

  /** kill -9: the operating system closes what was open and keeps what was written. */
  kill(): void {
    this.#end('kill')
    this.disk.killProcess()
    this.kv.killProcess()
  }

  /** The machine falls silent, and what was not synced is kept, lost or torn. */
  powerLoss(): void {
    this.#machine.isPowered = false
    this.#end('power')
    this.disk.powerLoss()
    this.kv.powerLoss()
    this.#parts.links.silence()
  }

  /** The wall clock: an offset, and milliseconds gained per second. Timers are not moved. */
  setClock(offsetMs: number, skewMsPerSecond = 0): void {
    this.#clockOffsetMs = offsetMs
    this.#clockSkew = skewMsPerSecond
    if (this.#world !== undefined) this.#apply(this.#world.clock)
  }

  #end(how: ProcessEnd): void {
    this.#process?.end(how)
    this.#process = undefined
    this.#world = undefined
  }

  #newClock(process?: SimProcess): SimClock {
    const clock = new SimClock(this.#parts.scheduler, process, this.name)
    this.#apply(clock)
    return clock
  }

  #apply(clock: SimClock): void {
    clock.offsetMs = this.#clockOffsetMs
    clock.skewMsPerSecond = this.#clockSkew
  }
}
