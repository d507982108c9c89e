/**
 * One run of a plan: safety (anything may fail), liveness (a core that is whole has to serve), then
 * all is healed, read and checked. The same plan gives the same run, to the last event.
 */
import { hashText, SimRandom } from '../../base/sim/random.ts'
import type { SimHost } from '../../base/sim/world.ts'
import { createTopics } from '../../kafka/api/19-create-topics.ts'
import { Cluster } from '../../kafka/client/cluster.ts'
import { checkAll } from '../checkers/all.ts'
import {
  type Entry,
  type Fault,
  type Send,
  serialize,
  type Violation,
} from '../checkers/history.ts'
import { runAdmin } from './admins.ts'
import { ClientContext } from './client-context.ts'
import { SimCluster, type SimNode } from './cluster.ts'
import { breakOff, pickBroken } from './core.ts'
import { batchesOf, segmentsOf, undurableAck } from './disks.ts'
import { runElector } from './electors.ts'
import { Faults } from './faults.ts'
import { readEverything } from './finale.ts'
import { runMember } from './groups.ts'
import { runMover } from './movers.ts'
import { runPlainProducer } from './plain-producers.ts'
import { type Actor, type ActorSpec, DESTROYING, type FaultName, type Plan } from './plan.ts'
import { runProducer } from './producers.ts'
import { runReader, runWatcher } from './readers.ts'
import { Recorder } from './recorder.ts'
import { KeptFrames, TappedNetwork } from './replays.ts'
import { DISKS, LATENCIES } from './shapes.ts'
import { stray } from './strays.ts'
import { runTrimmer } from './trimmers.ts'
import { Watch } from './watch.ts'

/** After the last fault: how long until every write has to be taken again. */
const RECOVERY_MS = 10_000
const DISK_LOOK_CHANCE = 0.01
/** A node on a damaged disk that is not up by then gets an empty one. */
const REPLACE_AFTER_MS = 3000
/** After all has been healed: until every replica is expected in sync. */
const CALM_MS = 10_000
const SETUP_LIMIT_MS = 60_000
const DRAIN_LIMIT_MS = 70_000
const FINALE_LIMIT_MS = 60_000

export interface RunResult {
  readonly plan: Plan
  readonly violations: readonly Violation[]
  readonly history: readonly Entry[]
  readonly traceHash: string
  readonly virtualMs: number
  readonly eventCount: number
  readonly acknowledged: number
  /** Where `world.maybe` said yes. */
  readonly maybes: readonly string[]
  /** Lines of the nodes' logs, by node. */
  readonly logs: ReadonlyMap<string, string>
}

/** Runs the plan to its end. Never throws: what the product throws is a violation. */
export async function runPlan(plan: Plan): Promise<RunResult> {
  const run = new SimRun(plan)
  return stray(
    () => run.complete(),
    (error) => run.crashed(error),
  )
}

interface Client {
  readonly actor: Actor
  context: ClientContext | undefined
  lives: number
  /** Resolves when the present life is over. */
  ended: boolean
}

class SimRun {
  readonly #plan: Plan
  readonly #cluster: SimCluster
  readonly #recorder: Recorder
  readonly #faults: Faults
  readonly #clients: Client[]
  readonly #random: SimRandom
  readonly #violations: Violation[] = []
  readonly #watch: Watch
  readonly #looks: SimRandom
  readonly #kept = new KeptFrames()
  #isLoadOver = false
  #isCalm = false

  constructor(plan: Plan) {
    this.#plan = plan
    this.#random = new SimRandom(`${plan.seed}/run`)
    this.#looks = this.#random.split('looks')
    this.#cluster = new SimCluster(plan.seed, {
      nodes: plan.nodes,
      maybeProbability: plan.maybeProbability,
      latencyUs: LATENCIES[plan.latency],
      diskLatencyUs: DISKS[plan.disk],
      settings: plan.settings,
    })
    this.#recorder = new Recorder(() => this.#cluster.nowMs)
    this.#watch = new Watch(this.#cluster, this.#recorder)
    this.#recorder.onAcknowledged = (send) => {
      this.#lookAtDisks(send)
      this.#watch.acknowledged()
    }
    this.#clients = plan.actors.map((actor) => {
      return { actor, context: undefined, lives: 0, ended: true }
    })
    this.#faults = new Faults({
      cluster: this.#cluster,
      random: this.#random.split('faults'),
      clients: {
        names: plan.actors.map(({ id }) => id),
        kept: this.#kept,
        crash: (name) => this.#endClient(name, (host) => host.kill()),
        vanish: (name) => this.#endClient(name, (host) => host.powerLoss()),
      },
    })
  }

  /** Something was thrown that nobody caught: a real process would have ended. */
  crashed(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#violations.push({ checker: 'crash', message: text })
  }

  async complete(): Promise<RunResult> {
    const { sim } = this.#cluster
    try {
      await this.#play()
    } catch (error) {
      this.crashed(error)
    }
    for (const { node, atMs, error } of this.#cluster.crashes) {
      if (isExpectedCrash(error, this.#plan)) continue
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      this.#violations.push({ checker: 'crash', message: `node ${node} at ${atMs} ms: ${text}` })
    }
    for (const { node, atMs, holdings } of this.#cluster.leaks) {
      const message = `node ${node} has stopped at ${atMs} ms and holds ${holdings.join(', ')}`
      this.#violations.push({ checker: 'leak', message })
    }
    const history = this.#recorder.entries
    sim.scheduler.note('history', hashText(serialize(history), 0))
    return {
      plan: this.#plan,
      violations: [...this.#violations, ...checkAll(history)],
      history,
      traceHash: sim.traceHash(),
      virtualMs: this.#cluster.nowMs,
      eventCount: sim.scheduler.eventCount,
      acknowledged: countAcknowledged(history),
      maybes: [...sim.maybes.reached],
      logs: new Map(this.#cluster.nodes.map((node) => [node.name, logOf(node)])),
    }
  }

  async #play(): Promise<void> {
    const { sim } = this.#cluster
    const plan = this.#plan
    for (const node of this.#cluster.nodes) this.#cluster.start(node)
    this.#watch.start()
    await sim.complete(this.#makeTopics(), SETUP_LIMIT_MS)
    const beganMs = this.#cluster.nowMs
    this.#scheduleAll()
    await sim.run(beganMs + plan.safetyMs)
    await this.#heal()
    await sim.runFor(RECOVERY_MS)
    this.#isCalm = true
    for (const { context } of this.#clients) if (context !== undefined) context.isCalm = true
    await sim.runFor(plan.livenessMs)
    this.#recorder.add(this.#marker('load ends', 0))
    this.#isLoadOver = true
    for (const { context } of this.#clients) if (context !== undefined) context.isOver = true
    await this.#expect(
      'the clients end',
      () => this.#clients.every(({ ended }) => ended),
      DRAIN_LIMIT_MS,
    )
    this.#faults.healAll()
    await sim.runFor(REPLACE_AFTER_MS)
    this.#replaceDamaged()
    let isRead = false
    const groups = new Set(
      plan.actors.flatMap(({ spec }) => (spec.kind === 'member' ? [spec.group] : [])),
    )
    const reading = readEverything(this.#contextOf('final', 'final'), plan.topics, [...groups])
    void reading.then(() => {
      isRead = true
    })
    await this.#expect('everything is read', () => isRead, FINALE_LIMIT_MS)
    this.#noteReplicas()
    this.#watch.stop()
  }

  async #expect(what: string, condition: () => boolean, limitMs: number): Promise<void> {
    const deadlineMs = this.#cluster.nowMs + limitMs
    while (!condition() && this.#cluster.nowMs < deadlineMs) await this.#cluster.sim.runFor(100)
    if (condition()) return
    const message = `not within ${limitMs} ms after all faults: ${what}`
    this.#violations.push({ checker: 'unavailable', message })
  }

  /** Now and then: are the records of this acknowledgement on enough disks? */
  #lookAtDisks(send: Send): void {
    const { topic, partition, offset, acks, values } = send
    const plan = this.#plan
    if (acks !== -1 || offset === undefined || !this.#looks.chance(DISK_LOOK_CHANCE)) return
    if (plan.faults.some(({ name }) => DESTROYING.has(name))) return
    const isDeleted = this.#recorder.entries.some((entry) => {
      const isHere = entry.op === 'trim' && entry.topic === topic && entry.partition === partition
      return isHere && entry.offset > offset
    })
    if (isDeleted) return
    const ack = { topic, partition, from: offset, to: offset + values.length }
    const wanted = Number(plan.settings['min.insync.replicas'] ?? 1)
    const complaint = undurableAck(this.#cluster, ack, wanted)
    if (complaint !== undefined) this.#violations.push(complaint)
  }

  /** What each node has of each partition, for a comparison. */
  #noteReplicas(): void {
    for (const { id, host, running } of this.#cluster.running) {
      for (const one of running!.partitions.all()) {
        const { topic, index: partition, logStartOffset, highWatermark } = one
        if (!this.#plan.topics.some(({ name }) => name === topic)) continue
        const batches = segmentsOf(host.disk, topic, partition).flatMap((path) => {
          return batchesOf(host.disk.readFile(path))
        })
        const ends = { logStartOffset, highWatermark }
        this.#recorder.add({ op: 'replica', topic, partition, node: id, ...ends, batches })
      }
    }
  }

  #scheduleAll(): void {
    const { scheduler } = this.#cluster.sim
    for (const client of this.#clients) {
      client.ended = false
      scheduler.after(client.actor.fromMs * 1000, 'client', () => this.#live(client))
    }
    for (const step of this.#plan.faults) {
      scheduler.after(step.atMs * 1000, 'fault', () => {
        const target = this.#faults.begin(step)
        const { name, forMs } = step
        this.#recorder.add({ op: 'fault', name, target, atMs: this.#cluster.nowMs, forMs })
      })
    }
  }

  /** Everywhere; then, when the plan says so, some stay broken and the others have to serve. */
  async #heal(): Promise<void> {
    const { sim } = this.#cluster
    this.#faults.healAll()
    sim.maybes.probability = 0
    this.#recorder.add(this.#marker('faults end', 0))
    if (this.#plan.isCoreOnly) {
      // Long enough for all to be in sync again: else the one that goes may be the last that was.
      await sim.runFor(REPLACE_AFTER_MS)
      this.#replaceDamaged()
      await sim.runFor(CALM_MS)
      this.#breakSome()
    } else {
      this.#cluster.sim.scheduler.after(REPLACE_AFTER_MS * 1000, 'operator', () => {
        this.#replaceDamaged()
      })
    }
    this.#recorder.add(this.#marker('healed', RECOVERY_MS))
  }

  #breakSome(): void {
    const minIsr = Number(this.#plan.settings['min.insync.replicas'] ?? 1)
    const clients = this.#clients.map(({ actor }) => actor.id)
    for (const broken of pickBroken(this.#cluster, this.#random, minIsr)) {
      this.#faults.untilHealed(breakOff(this.#cluster, broken, clients))
      const { node, way } = broken
      this.#recorder.add({ ...this.#marker(`${way} for good`, 0), target: node.name })
    }
  }

  #replaceDamaged(): void {
    const atMs = this.#cluster.nowMs
    for (const target of this.#faults.replaceDamaged()) {
      this.#recorder.add({ op: 'fault', name: 'replaced', target, atMs, forMs: 0 })
    }
  }

  #marker(name: string, forMs: number): Fault {
    return { op: 'fault', name, target: 'all', atMs: this.#cluster.nowMs, forMs }
  }

  #live(client: Client): void {
    if (this.#isLoadOver) {
      client.ended = true
      return
    }
    const { id, spec } = client.actor
    const context = this.#contextOf(id, `${id}.${++client.lives}`)
    context.isCalm = this.#isCalm
    client.context = context
    const end = () => {
      if (client.context === context) client.ended = true
    }
    RUNNERS[spec.kind](context, spec as never).then(end, (error: unknown) => {
      this.crashed(error)
      end()
    })
  }

  #endClient(name: string, end: (host: SimHost) => void): void {
    const client = this.#clients.find(({ actor }) => actor.id === name)
    if (client?.context === undefined || client.ended) return
    end(this.#cluster.sim.host(name))
    client.context = undefined
    this.#cluster.sim.scheduler.after(200_000, 'client again', () => this.#live(client))
  }

  #contextOf(host: string, name: string): ClientContext {
    const world = this.#cluster.clientWorld(host)
    return new ClientContext({
      name,
      world: { ...world, network: new TappedNetwork(world.network, this.#kept) },
      random: this.#random.split(name),
      recorder: this.#recorder,
      bootstrap: this.#cluster.bootstrap,
    })
  }

  async #makeTopics(): Promise<void> {
    const context = this.#contextOf('setup', 'setup')
    const { bootstrap } = context
    const options = { bootstrap, clientId: 'setup', timeoutMs: 2000 }
    const cluster = new Cluster(context.world, options)
    const replicationFactor = Math.min(3, this.#plan.nodes)
    for (const { name, partitions, configs } of this.#plan.topics) {
      const topic = {
        name,
        numPartitions: partitions,
        replicationFactor,
        assignments: [],
        configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
      }
      for (;;) {
        try {
          const request = { topics: [topic], timeoutMs: 2000, validateOnly: false }
          const answer = await cluster.request(undefined, createTopics, request)
          const code = answer.topics[0]?.errorCode
          if (code === 0 || code === 36) break
          if (code === 40) throw new RangeError(`bad settings of ${name}`)
        } catch (error) {
          if (error instanceof RangeError) throw error
        }
        await context.pause(100)
      }
    }
    await cluster.close()
  }
}

type Runner = (context: ClientContext, spec: never) => Promise<void>

const RUNNERS: Readonly<Record<ActorSpec['kind'], Runner>> = {
  producer: runProducer,
  'plain-producer': runPlainProducer,
  reader: runReader,
  watcher: runWatcher,
  member: runMember,
  admin: runAdmin,
  mover: runMover,
  trimmer: runTrimmer,
  elector: runElector,
}

const MAY_END_A_NODE: ReadonlySet<FaultName> = new Set<FaultName>([
  ...DESTROYING,
  'write-error',
  'sync-error',
  'read-error',
  'disk-full',
  'no-descriptors',
])

/** A node may end itself when its disk fails; and only then. */
function isExpectedCrash(error: unknown, plan: Plan): boolean {
  const name = error instanceof Error ? error.name : ''
  const mayFail = plan.faults.some(({ name: fault }) => MAY_END_A_NODE.has(fault))
  if (mayFail && (name === 'StorageError' || name === 'CorruptionError')) return true
  // A node that refuses a damaged directory says so to the person at the keyboard.
  return plan.faults.some(({ name: fault }) => DESTROYING.has(fault)) && name === 'UserError'
}

function countAcknowledged(history: readonly Entry[]): number {
  let count = 0
  for (const entry of history) {
    if (entry.op === 'send' && entry.outcome === 'ok') count += entry.values.length
  }
  return count
}

function logOf(node: SimNode): string {
  return node.host.logLines
    .map(({ atMs, level, message, fields }) => {
      return `${atMs.toFixed(3)} ${level} ${message} ${JSON.stringify(fields)}\n`
    })
    .join('')
}
