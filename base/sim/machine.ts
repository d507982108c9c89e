/**
 * Machines of a simulation, the processes on them and the links between them. A process can be
 * killed, a machine can lose its power, a link can be cut in one direction.
 */
import { assert } from '../assert.ts'
import type { Life } from './clock.ts'
import type { SimRandom } from './random.ts'
import type { Scheduler } from './scheduler.ts'

/** 'kill': the system closes what the process had open. 'power': the machine falls silent. */
export type ProcessEnd = 'kill' | 'power'

export class SimProcess implements Life {
  isAlive = true
  isFrozen = false
  readonly machine: Machine
  /** What has happened to it since it was frozen. */
  #held: (() => void)[] = []
  readonly #atEnd = new Set<(how: ProcessEnd) => void>()

  constructor(machine: Machine) {
    this.machine = machine
  }

  /** Returns the way to take `run` out again. */
  atEnd(run: (how: ProcessEnd) => void): () => void {
    assert(this.isAlive, 'only the living make plans')
    this.#atEnd.add(run)
    return () => this.#atEnd.delete(run)
  }

  /** Now; at the thaw when it is frozen; never when it has ended. */
  run(act: () => void): void {
    if (!this.isAlive) return
    if (this.isFrozen) this.#held.push(act)
    else act()
  }

  /** SIGSTOP: the machine goes on, its clock too, and what comes in waits. */
  freeze(): void {
    this.isFrozen = true
  }

  /** SIGCONT: all that waited happens now, in order, each in an event of its own. */
  thaw(scheduler: Scheduler): void {
    this.isFrozen = false
    const held = this.#held
    this.#held = []
    for (const act of held) scheduler.after(0, 'thaw', () => this.run(act))
  }

  end(how: ProcessEnd): void {
    if (!this.isAlive) return
    this.isAlive = false
    this.#held = []
    for (const run of [...this.#atEnd]) run(how)
    this.#atEnd.clear()
  }
}

export class Machine {
  readonly name: string
  isPowered = true
  constructor(name: string) {
    this.name = name
  }
}

const LOOPBACK_US = 20

export class Links {
  /** One way, in microseconds. */
  latencyUs: (random: SimRandom, from: string, to: string) => number = typicalLatencyUs
  /** Of a message between nodes: a loss breaks its stream. */
  lossProbability = 0
  /** Of each direction of each connection and stream; 0: as much as there is. */
  bytesPerSecond = 0
  readonly random: SimRandom
  readonly #cut = new Set<string>()
  readonly #onSilence: (() => void)[] = []

  constructor(random: SimRandom) {
    this.random = random
  }

  /** Nothing passes from `from` to `to` any more. */
  cutOneWay(from: string, to: string): void {
    this.#cut.add(key(from, to))
    this.silence()
  }

  cut(a: string, b: string): void {
    this.#cut.add(key(b, a))
    this.cutOneWay(a, b)
  }

  heal(a: string, b: string): void {
    this.#cut.delete(key(a, b))
    this.#cut.delete(key(b, a))
  }

  healAll(): void {
    this.#cut.clear()
  }

  isCut(from: string, to: string): boolean {
    return this.#cut.has(key(from, to))
  }

  drawDelayUs(from: string, to: string): number {
    return from === to ? LOOPBACK_US : this.latencyUs(this.random, from, to)
  }

  /** True when this message is lost. */
  drawLoss(): boolean {
    return this.lossProbability > 0 && this.random.chance(this.lossProbability)
  }

  /** `tell` is called when a link is cut, or a machine falls silent. */
  onSilence(tell: () => void): void {
    this.#onSilence.push(tell)
  }

  /** A machine has lost its power. */
  silence(): void {
    for (const tell of this.#onSilence) tell()
  }
}

const STALL_CHECK_US = 100_000

export interface WireOptions {
  readonly label: string
  /** How long a stall lasts until the sender gives up. */
  readonly giveUpUs: number
  onGiveUp(): void
}

/**
 * One direction between two machines: what is sent arrives in order, after a while, and all of it
 * or a part from the start. A cut link or a silent machine stalls it.
 */
export class Wire {
  readonly #scheduler: Scheduler
  readonly #links: Links
  readonly #from: Machine
  readonly #to: Machine
  readonly #options: WireOptions
  #items: { readonly atUs: number; readonly arrive: () => void }[] = []
  #lastAtUs = 0
  #stalledSinceUs = -1
  #isScheduled = false

  constructor(
    parts: { readonly scheduler: Scheduler; readonly links: Links },
    ends: { readonly from: Machine; readonly to: Machine },
    options: WireOptions,
  ) {
    this.#scheduler = parts.scheduler
    this.#links = parts.links
    this.#from = ends.from
    this.#to = ends.to
    this.#options = options
  }

  get isStalled(): boolean {
    return !this.#to.isPowered || this.#links.isCut(this.#from.name, this.#to.name)
  }

  send(arrive: () => void, sizeBytes = 0): void {
    const { bytesPerSecond } = this.#links
    const delayUs = this.#links.drawDelayUs(this.#from.name, this.#to.name)
    this.#lastAtUs = Math.max(this.#lastAtUs, this.#scheduler.nowUs + delayUs)
    if (bytesPerSecond > 0) this.#lastAtUs += Math.ceil((sizeBytes * 1_000_000) / bytesPerSecond)
    this.#items.push({ atUs: this.#lastAtUs, arrive })
    this.#schedule(this.#lastAtUs)
  }

  /** What is under way is lost, but for the first `keep`. */
  drop(keep = 0): void {
    this.#items.length = Math.min(this.#items.length, keep)
  }

  get underWay(): number {
    return this.#items.length
  }

  #schedule(atUs: number): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#scheduler.at(atUs, this.#options.label, () => this.#arrivals())
  }

  #arrivals(): void {
    this.#isScheduled = false
    if (this.#items.length === 0) return
    const { nowUs } = this.#scheduler
    if (this.isStalled) {
      if (this.#stalledSinceUs < 0) this.#stalledSinceUs = nowUs
      if (nowUs - this.#stalledSinceUs < this.#options.giveUpUs) {
        this.#schedule(nowUs + STALL_CHECK_US)
        return
      }
      this.drop()
      this.#options.onGiveUp()
      return
    }
    this.#stalledSinceUs = -1
    const item = this.#items[0]!
    if (item.atUs <= nowUs) {
      this.#items.shift()
      item.arrive()
    }
    const next = this.#items[0]
    if (next !== undefined) this.#schedule(next.atUs)
  }
}

function key(from: string, to: string): string {
  return `${from}>${to}`
}

/** A few hundred microseconds, now and then a few milliseconds. */
function typicalLatencyUs(random: SimRandom): number {
  const tail = random.chance(0.01) ? 5000 : 150
  return 80 + Math.floor(-Math.log(1 - random.unit()) * tail)
}
