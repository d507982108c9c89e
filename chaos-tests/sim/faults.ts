/**
 * What can be done to a cluster, by name. Each fault acts on a target, lasts for a while and is
 * undone; whatever is left of it, `healAll` ends.
 */
import { assert } from '../../base/assert.ts'
import type { StorageCode } from '../../base/errors.ts'
import type { DiskOperation } from '../../base/sim/disk.ts'
import type { SimRandom } from '../../base/sim/random.ts'
import { KAFKA_PORT, type SimCluster, type SimNode } from './cluster.ts'
import { flipBits, makeStale, misdirect } from './damage.ts'
import { DESTROYING, type FaultName, type FaultStep, type Target } from './plan.ts'
import { type KeptFrames, replay } from './replays.ts'

/** The clients, as far as faults reach them. */
export interface ClientMachines {
  readonly names: readonly string[]
  /** What they sent. */
  readonly kept: KeptFrames
  /** Ends the client's process and starts it anew. */
  crash(name: string): void
  /** Its machine falls silent without a word, and comes back after a while. */
  vanish(name: string): void
}

export interface FaultParts {
  readonly cluster: SimCluster
  readonly clients: ClientMachines
  readonly random: SimRandom
}

/** How a fault is undone. */
type Undo = () => void

type DiskFaultRule = (operation: DiskOperation, path: string) => StorageCode | undefined

const FREE_BYTES_WHEN_FULL = 2000
/** From SIGTERM to SIGKILL. */
const GRACE_MS = 5000
const ROLL_LOOK_US = 500_000
/** Of a slow node: how long it runs and stands still by turns. */
const RUNS_US = 10_000
const STANDS_US = 60_000
/** What is on its way stays there when the faults end: not for long. */
const CLOG_MAX_MS = 2000
/** Whoever sends again what he overheard. */
const REPLAYER = 'replayer'

export class Faults {
  readonly #cluster: SimCluster
  readonly #clients: ClientMachines
  readonly #random: SimRandom
  readonly #active = new Set<Undo>()
  /** Nodes whose disk refused something: an operator starts them again. */
  readonly #suspects = new Set<SimNode>()
  /** Nodes with flipped bits. */
  readonly #damaged = new Set<SimNode>()

  constructor(parts: FaultParts) {
    this.#cluster = parts.cluster
    this.#clients = parts.clients
    this.#random = parts.random
  }

  /** Begins a fault now; it ends by itself. Returns whom it hit, for the history. */
  begin(step: FaultStep): string {
    const node = this.#resolve(step.target)
    // The fault atlas: what is destroyed is intact elsewhere, so that recovery is a duty.
    if (DESTROYING.has(step.name) && !this.#cluster.isCovered(node)) return `${node.name} (spared)`
    const undo = this.#apply(step, node)
    if (undo === undefined) return node.name
    this.#active.add(undo)
    this.#cluster.sim.scheduler.after(step.forMs * 1000, 'fault ends', () => this.#undo(undo))
    return node.name
  }

  /** For what only the end of all ends. */
  untilHealed(undo: Undo): void {
    this.#active.add(undo)
  }

  /** Ends all faults, and starts all nodes; those whose disk failed anew. */
  healAll(): void {
    for (const undo of [...this.#active]) this.#undo(undo)
    this.#cluster.sim.links.healAll()
    for (const node of this.#cluster.nodes) {
      if (this.#suspects.delete(node)) this.#cluster.kill(node)
      this.#cluster.start(node)
    }
  }

  /**
   * What an operator does with a node that does not come up on a damaged disk while the others are
   * whole: an empty disk in its place. Returns whom.
   */
  replaceDamaged(): string[] {
    const replaced: string[] = []
    for (const node of this.#damaged) {
      if (node.running !== undefined || !node.isWanted) continue
      this.#cluster.wipe(node)
      this.#cluster.start(node)
      replaced.push(node.name)
    }
    this.#damaged.clear()
    return replaced
  }

  #undo(undo: Undo): void {
    if (this.#active.delete(undo)) undo()
  }

  #resolve(target: Target): SimNode {
    if (typeof target === 'number') return this.#cluster.node(target)
    return this.#cluster.playing(target) ?? this.#random.pick(this.#cluster.nodes)
  }

  #apply(step: FaultStep, node: SimNode): Undo | undefined {
    const act = ACTIONS[step.name]
    return act({
      cluster: this.#cluster,
      clients: this.#clients,
      random: this.#random,
      suspects: this.#suspects,
      damaged: this.#damaged,
      untilHealed: (undo) => this.#active.add(undo),
      node,
      step,
    })
  }
}

interface Act {
  readonly cluster: SimCluster
  readonly clients: ClientMachines
  readonly random: SimRandom
  readonly suspects: Set<SimNode>
  readonly damaged: Set<SimNode>
  /** For what does not end after the step's time. */
  untilHealed(undo: Undo): void
  readonly node: SimNode
  readonly step: FaultStep
}

type Action = (act: Act) => Undo | undefined

const ACTIONS: Readonly<Record<FaultName, Action>> = {
  kill: ({ cluster, node }) => {
    cluster.kill(node)
    return () => cluster.start(node)
  },
  'kill-all': ({ cluster }) => {
    for (const node of cluster.nodes) cluster.kill(node)
    return () => startAll(cluster)
  },
  'power-loss': ({ cluster, node }) => {
    cluster.powerLoss(node)
    return () => cluster.start(node)
  },
  'power-loss-all': ({ cluster }) => {
    for (const node of cluster.nodes) cluster.powerLoss(node)
    return () => startAll(cluster)
  },
  restart: ({ cluster, node }) => {
    cluster.stop(node, GRACE_MS)
    return () => {
      if (node.host.isRunning) cluster.kill(node)
      cluster.start(node)
    }
  },
  'rolling-restart': ({ cluster, untilHealed }) => {
    const waiting = [...cluster.nodes]
    let isOver = false
    const next = () => {
      const node = isOver ? undefined : waiting.shift()
      if (node === undefined) return
      cluster.stop(node, GRACE_MS)
      const look = () => {
        if (isOver) return
        if (!node.host.isRunning) cluster.start(node)
        const isBack = node.running !== undefined
        cluster.sim.scheduler.after(ROLL_LOOK_US, 'rolling restart', isBack ? next : look)
      }
      look()
    }
    next()
    untilHealed(() => {
      isOver = true
    })
    return undefined
  },
  pause: ({ node }) => {
    node.host.freeze()
    return () => node.host.thaw()
  },
  stall: ({ cluster, node, step, untilHealed }) => {
    node.host.freeze()
    const stallUs = 500_000 + Math.floor(step.draw * 9_500_000)
    cluster.sim.scheduler.after(stallUs, 'stall ends', () => node.host.thaw())
    untilHealed(() => node.host.thaw())
    return undefined
  },
  wipe: ({ cluster, node }) => {
    cluster.wipe(node)
    return () => cluster.start(node)
  },
  'slow-node': ({ cluster, node }) => {
    const { scheduler } = cluster.sim
    let isOver = false
    const stand = () => {
      if (isOver) return
      node.host.freeze()
      scheduler.after(STANDS_US, 'slow node', run)
    }
    const run = () => {
      node.host.thaw()
      scheduler.after(RUNS_US, 'slow node', stand)
    }
    stand()
    return () => {
      isOver = true
      node.host.thaw()
    }
  },
  'no-descriptors': (act) =>
    failing(act, (operation) => (operation === 'open' ? 'EMFILE' : undefined)),
  reset: ({ cluster, clients, node, random }) => {
    cluster.sim.reset(random.pick(clients.names), node.name)
    return undefined
  },
  'reset-all': ({ cluster, clients, node }) => {
    for (const name of [...clients.names, ...others(cluster, node)]) {
      cluster.sim.reset(name, node.name)
    }
    return undefined
  },
  'cut-client': ({ cluster, clients, node, random }) => {
    return cut(cluster, [random.pick(clients.names)], [node.name], 'both')
  },
  cut: ({ cluster, node, step }) => {
    return cut(cluster, [node.name], [otherOf(cluster, node, step)], 'both')
  },
  'cut-one-way': ({ cluster, node, step }) => {
    return cut(cluster, [node.name], [otherOf(cluster, node, step)], 'from')
  },
  isolate: ({ cluster, node }) => cut(cluster, [node.name], others(cluster, node), 'both'),
  'isolate-one-way': ({ cluster, node, step }) => {
    return cut(cluster, [node.name], others(cluster, node), step.draw < 0.5 ? 'from' : 'to')
  },
  split: ({ cluster, random }) => {
    const left = cluster.nodes.filter(() => random.chance(0.5)).map(({ name }) => name)
    const right = cluster.nodes.map(({ name }) => name).filter((name) => !left.includes(name))
    return cut(cluster, left, right, 'both')
  },
  bridge: ({ cluster, node, random }) => {
    // Two halves that don't see each other; one node sees all.
    const rest = others(cluster, node)
    const left = rest.filter((_, index) => index % 2 === (random.chance(0.5) ? 0 : 1))
    const right = rest.filter((name) => !left.includes(name))
    return cut(cluster, left, right, 'both')
  },
  clog: ({ cluster, node, step }) => {
    // What is sent to it arrives, all at once, when the link is free again.
    const freeUs = cluster.sim.scheduler.nowUs + Math.min(step.forMs, CLOG_MAX_MS) * 1000
    return withLatency(cluster, (usual, _, to) => {
      const leftUs = to === node.name ? freeUs - cluster.sim.scheduler.nowUs : 0
      return usual + Math.max(0, leftUs)
    })
  },
  bandwidth: ({ cluster, step }) => {
    const { links } = cluster.sim
    links.bytesPerSecond = Math.ceil(20_000 + step.draw * 500_000)
    return () => {
      links.bytesPerSecond = 0
    }
  },
  'slow-links': ({ cluster, step }) => {
    const extraUs = Math.floor(step.draw * 200_000)
    return withLatency(cluster, (usual) => usual + extraUs)
  },
  jitter: ({ cluster, random, step }) => {
    const mostUs = Math.ceil(1000 + step.draw * 500_000)
    return withLatency(cluster, (usual) => (random.chance(0.2) ? random.below(mostUs) : usual))
  },
  loss: ({ cluster, step }) => {
    const { links } = cluster.sim
    links.lossProbability = step.draw * 0.2
    return () => {
      links.lossProbability = 0
    }
  },
  'slow-disk': ({ cluster, node, step, random }) => {
    const mostUs = Math.ceil(10_000 + step.draw * 2_000_000)
    node.host.disk.latencyUs = () => random.below(mostUs)
    return () => cluster.restoreDisk(node)
  },
  'disk-full': ({ cluster, node }) => {
    const { disk } = node.host
    disk.quotaBytes = disk.usedBytes() + FREE_BYTES_WHEN_FULL
    return () => cluster.restoreDisk(node)
  },
  'write-error': (act) => failing(act, (operation) => (operation === 'write' ? 'EIO' : undefined)),
  'sync-error': (act) =>
    failing(act, (operation) => {
      return operation === 'sync' || operation === 'syncDirectory' ? 'EIO' : undefined
    }),
  'read-error': (act) => failing(act, (operation) => (operation === 'read' ? 'EIO' : undefined)),
  flip: ({ node, random, suspects, damaged }) => {
    return damage({ node, suspects, damaged }, () => flipBits(node.host.disk, random))
  },
  'misdirected-write': ({ node, random, suspects, damaged }) => {
    return damage({ node, suspects, damaged }, () => misdirect(node.host.disk, random))
  },
  'stale-read': ({ node, random, suspects, damaged }) => {
    return damage({ node, suspects, damaged }, () => makeStale(node.host.disk, random))
  },
  'clock-jump': ({ node, step }) => {
    node.host.setClock(Math.floor((step.draw - 0.5) * 2 * 86_400_000))
    return () => node.host.setClock(0)
  },
  'clock-skew': ({ node, step }) => {
    node.host.setClock(0, (step.draw - 0.5) * 400)
    return () => node.host.setClock(0)
  },
  'clock-strobe': ({ cluster, node, random }) => {
    let isOver = false
    const strobe = () => {
      if (isOver) return
      node.host.setClock(random.between(-2000, 2000))
      cluster.sim.scheduler.after(20_000, 'strobe', strobe)
    }
    strobe()
    return () => {
      isOver = true
      node.host.setClock(0)
    }
  },
  'client-crash': ({ clients, random }) => {
    clients.crash(random.pick(clients.names))
    return undefined
  },
  'half-open': ({ clients, random }) => {
    clients.vanish(random.pick(clients.names))
    return undefined
  },
  'late-replay': ({ cluster, clients, node, random }) => {
    const { kept } = clients
    const frames = Array.from({ length: 1 + random.below(5) }, () => {
      return kept.at(random.below(Math.max(1, kept.count)))
    }).filter((frame) => frame !== undefined)
    if (frames.length === 0) return undefined
    const to = { host: node.name, port: KAFKA_PORT }
    const sending = replay(cluster.clientWorld(REPLAYER).network, to, frames)
    return () => {
      void sending.then((connection) => connection?.destroy())
    }
  },
  'client-pause': ({ cluster, clients, random }) => {
    const host = cluster.sim.host(random.pick(clients.names))
    host.freeze()
    return () => host.thaw()
  },
  'slow-reader': ({ cluster, clients, random }) => {
    const name = random.pick(clients.names)
    return withLatency(cluster, (usual, from, to) =>
      from === name || to === name ? usual + 150_000 : usual,
    )
  },
}

/** Whatever is done to the disk: the node is to prove that it is whole, and may get another. */
function damage(
  { node, suspects, damaged }: Pick<Act, 'node' | 'suspects' | 'damaged'>,
  act: () => void,
): undefined {
  act()
  node.diskLife++
  suspects.add(node)
  damaged.add(node)
}

function startAll(cluster: SimCluster): void {
  for (const node of cluster.nodes) cluster.start(node)
}

function others(cluster: SimCluster, node: SimNode): string[] {
  return cluster.nodes.filter((other) => other !== node).map(({ name }) => name)
}

function otherOf(cluster: SimCluster, node: SimNode, step: FaultStep): string {
  const names = others(cluster, node)
  assert(names.length > 0, 'a fault between nodes needs two')
  return names[Math.floor(step.draw * names.length)]!
}

function cut(
  cluster: SimCluster,
  left: readonly string[],
  right: readonly string[],
  direction: 'both' | 'from' | 'to',
): Undo {
  const { links } = cluster.sim
  const pairs = left.flatMap((a) => right.map((b) => [a, b] as const))
  for (const [a, b] of pairs) {
    if (direction !== 'to') links.cutOneWay(a, b)
    if (direction !== 'from') links.cutOneWay(b, a)
  }
  return () => {
    for (const [a, b] of pairs) links.heal(a, b)
  }
}

function withLatency(
  cluster: SimCluster,
  change: (usualUs: number, from: string, to: string) => number,
): Undo {
  const { links } = cluster.sim
  const usual = cluster.usualLatencyUs
  links.latencyUs = (random, from, to) => change(usual(random, from, to), from, to)
  return () => {
    links.latencyUs = usual
  }
}

/** Some of the operations on some of the files fail. */
function failing({ cluster, node, random, step, suspects }: Act, rule: DiskFaultRule): Undo {
  const { disk } = node.host
  const chance = step.draw < 0.3 ? 1 : step.draw * 0.2
  const isInData = step.draw < 0.7
  suspects.add(node)
  disk.fault = (operation, path) => {
    if (isInData && operation !== 'open' && !/\.(log|index|timeindex)$/.test(path)) return undefined
    return random.chance(chance) ? rule(operation, path) : undefined
  }
  return () => cluster.restoreDisk(node)
}
