/**
 * What a run does, as a list that is made before it: the swarm of options of a seed, its clients
 * and its faults. A plan can be written down, cut smaller and run again; the seed in it still
 * decides what the plan does not (delays, chunks, what a power loss keeps).
 */
import type { SimRandom } from '../../base/sim/random.ts'
import type { AdminSpec } from './admins.ts'
import type { ElectorSpec } from './electors.ts'
import type { MemberSpec } from './groups.ts'
import type { MoverSpec } from './movers.ts'
import type { PlainProducerSpec } from './plain-producers.ts'
import type { ProducerSpec } from './producers.ts'
import type { ReaderSpec, WatcherSpec } from './readers.ts'
import type { TrimmerSpec } from './trimmers.ts'

export type ActorSpec =
  | ProducerSpec
  | PlainProducerSpec
  | ReaderSpec
  | WatcherSpec
  | MemberSpec
  | AdminSpec
  | MoverSpec
  | TrimmerSpec
  | ElectorSpec

export interface Actor {
  /** The name of its machine. */
  readonly id: string
  /** After the topics were made. */
  readonly fromMs: number
  readonly spec: ActorSpec
}

export interface Topic {
  readonly name: string
  readonly partitions: number
  readonly configs: Readonly<Record<string, string>>
}

/** A node by its number, or whoever plays a part when the fault begins. */
export type Target = number | 'controller' | 'leader' | 'coordinator'

export const FAULT_NAMES = [
  'kill',
  'kill-all',
  'power-loss',
  'power-loss-all',
  'restart',
  'rolling-restart',
  'pause',
  'stall',
  'slow-node',
  'no-descriptors',
  'wipe',
  'reset',
  'reset-all',
  'cut-client',
  'cut',
  'cut-one-way',
  'isolate',
  'isolate-one-way',
  'split',
  'bridge',
  'clog',
  'bandwidth',
  'slow-links',
  'jitter',
  'loss',
  'slow-disk',
  'disk-full',
  'write-error',
  'sync-error',
  'read-error',
  'flip',
  'misdirected-write',
  'stale-read',
  'clock-jump',
  'clock-skew',
  'clock-strobe',
  'client-crash',
  'client-pause',
  'half-open',
  'late-replay',
  'slow-reader',
] as const

export type FaultName = (typeof FAULT_NAMES)[number]

export interface FaultStep {
  readonly name: FaultName
  readonly atMs: number
  readonly forMs: number
  readonly target: Target
  /** Another node, a client's number, an amount: whatever the fault needs; from 0 to 1. */
  readonly draw: number
}

export interface Plan {
  readonly seed: number
  readonly nodes: number
  readonly maybeProbability: number
  readonly settings: Readonly<Record<string, string>>
  readonly latency: 'near' | 'typical' | 'far'
  readonly disk: 'fast' | 'typical' | 'slow'
  readonly topics: readonly Topic[]
  readonly actors: readonly Actor[]
  readonly faults: readonly FaultStep[]
  /** While anything may fail. */
  readonly safetyMs: number
  /** Whether some nodes stay broken while a connected core of the others has to serve. */
  readonly isCoreOnly: boolean
  /** After the faults, until the load ends. */
  readonly livenessMs: number
}

export interface PlanOptions {
  /** Number of nodes; drawn when absent. */
  readonly nodes?: number
  /** Number of virtual seconds under faults; drawn when absent. */
  readonly safetyMs?: number
  /** The load after the time that recovery may take. */
  readonly livenessMs?: number
  /** Only these. */
  readonly faults?: readonly FaultName[]
}

/** Harm to a copy that nothing but another copy mends. */
export const DESTROYING: ReadonlySet<FaultName> = new Set<FaultName>([
  'wipe',
  'flip',
  'misdirected-write',
  'stale-read',
])

const NEEDS_SEVERAL_NODES: ReadonlySet<FaultName> = new Set<FaultName>([
  ...DESTROYING,
  'bridge',
  'cut',
  'cut-one-way',
  'isolate',
  'isolate-one-way',
  'split',
  'rolling-restart',
])

/** A change of metadata is on every node that works after this. */
const STALE_MS = 5000

const TARGETS: readonly Target[] = ['controller', 'leader', 'coordinator']

/** The plan of a seed. */
export function makePlan(seed: number, random: SimRandom, options: PlanOptions = {}): Plan {
  const swarm = random.split('swarm')
  const nodes = options.nodes ?? swarm.pick([1, 3, 3, 3, 4, 5])
  const safetyMs = options.safetyMs ?? swarm.between(5, 40) * 1000
  const topics = makeTopics(random.split('topics'), nodes)
  return {
    seed,
    nodes,
    maybeProbability: swarm.pick([0, 0, 0.01, 0.1]),
    settings: makeSettings(random.split('settings'), nodes),
    latency: swarm.pick(['near', 'typical', 'typical', 'far']),
    disk: swarm.pick(['fast', 'typical', 'typical', 'slow']),
    topics,
    actors: [
      ...makeActors(random.split('actors'), topics, nodes),
      ...makeOperators(random.split('operators'), topics, { nodes, forMs: safetyMs }),
    ],
    faults: makeFaults(random.split('faults'), { nodes, safetyMs, only: options.faults }),
    safetyMs,
    isCoreOnly: nodes > 2 && swarm.chance(0.3),
    livenessMs: options.livenessMs ?? 8000,
  }
}

function makeSettings(random: SimRandom, nodes: number): Record<string, string> {
  return {
    'min.insync.replicas': nodes > 2 ? '2' : '1',
    'offsets.topic.num.partitions': random.pick(['1', '3']),
    'group.min.session.timeout.ms': '500',
    'log.retention.check.interval.ms': random.pick(['1000', '300000']),
    'log.segment.delete.delay.ms': random.pick(['0', '60000']),
    ...(random.chance(0.5) ? { 'replica.lag.time.max.ms': random.pick(['2000', '10000']) } : {}),
  }
}

function makeTopics(random: SimRandom, nodes: number): Topic[] {
  return Array.from({ length: 1 + random.below(3) }, (_, index) => ({
    name: `t${index}`,
    partitions: 1 + random.below(nodes > 1 ? 4 : 3),
    configs: {
      ...(random.chance(0.5) ? { 'segment.bytes': random.pick(['1048576', '1100000']) } : {}),
      ...(random.chance(0.3) ? { 'segment.ms': random.pick(['1000', '5000']) } : {}),
      ...(random.chance(0.2) ? { 'message.timestamp.type': 'LogAppendTime' } : {}),
      ...(random.chance(0.2) ? { 'compression.type': random.pick(['gzip', 'lz4', 'zstd']) } : {}),
      ...(random.chance(0.3) ? { 'index.interval.bytes': '128' } : {}),
    },
  }))
}

function makeActors(random: SimRandom, topics: readonly Topic[], nodes: number): Actor[] {
  const actors: Actor[] = []
  const add = (spec: ActorSpec) => {
    actors.push({ id: `c${actors.length + 1}`, fromMs: random.below(2000), spec })
  }
  const timeoutMs = random.pick([1000, 2000, 5000])
  for (const { name: topic, partitions } of topics) {
    const common = { topic, partitions, timeoutMs }
    for (let i = 1 + random.below(3); i > 0; i--) add(makeProducer(random, common))
    if (random.chance(0.5)) add(makePlainProducer(random, common))
    for (let i = random.below(3); i > 0; i--) {
      const maxWaitMs = random.pick([50, 500])
      add({ kind: 'reader', ...common, pauseMs: random.pick([100, 500, 1500]), maxWaitMs })
    }
    if (random.chance(0.6)) add({ kind: 'watcher', ...common, pauseMs: 500 })
    if (random.chance(0.6)) {
      const sessionTimeoutMs = random.pick([1000, 3000, 6000])
      const leaveChance = random.pick([0, 0.02])
      const isStatic = random.chance(0.3)
      for (let i = 1 + random.below(3); i > 0; i--) {
        add({
          kind: 'member',
          group: `g-${topic}`,
          topic,
          pauseMs: random.pick([200, 1000]),
          timeoutMs,
          sessionTimeoutMs,
          commitChance: random.pick([0.1, 0.5, 1]),
          leaveChance,
          isStatic,
        })
      }
    }
  }
  if (random.chance(0.6)) {
    const staleMs = nodes > 1 ? STALE_MS : 0
    add({ kind: 'admin', prefix: 'a', pauseMs: 1000, timeoutMs, staleMs })
  }
  return actors
}

/** As long as that many vote, the loss of one disk is no harm. */
const VOTERS_MIN = 3

/** Those who move partitions, delete records that others use, and change who votes. */
function makeOperators(
  random: SimRandom,
  topics: readonly Topic[],
  { nodes, forMs }: { readonly nodes: number; readonly forMs: number },
): Actor[] {
  const actors: Actor[] = []
  const add = (spec: ActorSpec) => {
    actors.push({ id: `o${actors.length + 1}`, fromMs: random.below(2000), spec })
  }
  for (const { name: topic, partitions } of topics) {
    const common = { topic, partitions, timeoutMs: 2000 }
    if (nodes > 2 && random.chance(0.2)) {
      const pauseMs = random.pick([500, 3000])
      add({ kind: 'mover', ...common, nodes, replicas: 3, forMs, pauseMs })
    }
    if (random.chance(0.15)) {
      add({ kind: 'trimmer', ...common, share: random.pick([0.2, 0.8]), pauseMs: 3000 })
    }
  }
  if (nodes > VOTERS_MIN && random.chance(0.4)) {
    const pauseMs = random.pick([200, 2000])
    add({ kind: 'elector', votersMin: VOTERS_MIN, forMs, pauseMs, timeoutMs: 2000 })
  }
  return actors
}

interface Common {
  readonly topic: string
  readonly partitions: number
  readonly timeoutMs: number
}

function makeProducer(random: SimRandom, common: Common): ProducerSpec {
  return {
    kind: 'producer',
    ...common,
    isIdempotent: random.chance(0.8),
    compression: random.pick(['none', 'none', 'none', 'gzip', 'snappy', 'lz4']),
    batchMax: random.pick([1, 3, 5]),
    paddingMax: random.pick([0, 100, 2000]),
    pauseMs: random.pick([50, 300, 1500]),
    lanes: random.pick([1, 1, 3]),
    deliveryTimeoutMs: random.pick([2000, 10_000, 60_000]),
  }
}

function makePlainProducer(random: SimRandom, common: Common): PlainProducerSpec {
  return {
    kind: 'plain-producer',
    ...common,
    acks: random.pick([-1, 0, 1]),
    version: random.between(3, 12),
    batchMax: random.pick([1, 5]),
    paddingMax: random.pick([0, 100]),
    pauseMs: random.pick([100, 1000]),
  }
}

function makeFaults(
  random: SimRandom,
  options: {
    readonly nodes: number
    readonly safetyMs: number
    readonly only: readonly FaultName[] | undefined
  },
): FaultStep[] {
  const { nodes, safetyMs, only } = options
  const possible = (only ?? FAULT_NAMES).filter((name) => {
    return nodes > 2 || !NEEDS_SEVERAL_NODES.has(name)
  })
  // Which faults exist at all in this run: few kinds together find more than all at once.
  const kinds = possible.filter(() => random.chance(0.25))
  if (kinds.length === 0 && possible.length > 0) kinds.push(random.pick(possible))
  const meanGapMs = random.pick([300, 1000, 3000, 8000])
  // A disk that is wiped or damaged is always the same one: the others hold an intact copy.
  const victim = 1 + random.below(nodes)
  const faults: FaultStep[] = []
  let atMs = 0
  for (;;) {
    atMs += Math.ceil(-Math.log(1 - random.unit()) * meanGapMs)
    if (atMs >= safetyMs || kinds.length === 0) return faults
    const name = random.pick(kinds)
    const target = random.chance(0.4) ? random.pick(TARGETS) : 1 + random.below(nodes)
    faults.push({
      name,
      atMs,
      forMs: Math.ceil(-Math.log(1 - random.unit()) * random.pick([100, 1000, 4000])),
      target: DESTROYING.has(name) ? victim : target,
      draw: random.unit(),
    })
  }
}
