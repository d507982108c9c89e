/**
 * One run against real nodes: a workload of clients, ours and one that is not, one fault after the
 * other, and a reading of everything at the end. What happened is in `recorder`, in the format of the
 * checkers; what was done to the nodes is in `schedule`.
 */
import { realClock } from '../../base/real/clock.ts'
import { realNetwork } from '../../base/real/network.ts'
import { SimRandom } from '../../base/sim/random.ts'
import { createTopics } from '../../kafka/api/19-create-topics.ts'
import { Cluster } from '../../kafka/client/cluster.ts'
import { lookUpCoordinator } from '../../kafka/client/coordinator.ts'
import { ClientContext } from '../sim/client-context.ts'
import { readEverything } from '../sim/finale.ts'
import { type MemberSpec, runMember } from '../sim/groups.ts'
import { type ProducerSpec, runProducer } from '../sim/producers.ts'
import { type ReaderSpec, runReader } from '../sim/readers.ts'
import { Recorder } from '../sim/recorder.ts'
import type { ClientKind } from './link-mesh.ts'
import type { LoopDisk } from './machine.ts'
import { Deck } from './presets.ts'
import { type ServerProcess, sleep } from './processes.ts'
import { type ServerGroup, waitUntilWhole } from './server-group.ts'
import type { ClusterFault, Stage } from './stage.ts'
import { runStranger } from './stranger.ts'

export const TARGETS = ['leader', 'follower', 'controller', 'coordinator', 'any'] as const
export type Target = (typeof TARGETS)[number]

export interface RunOptions {
  readonly seed: number
  readonly faults: readonly ClusterFault[]
  readonly targets: readonly Target[]
  readonly minutes: number
  /** Faults at most. */
  readonly count: number
  readonly groups: number
  readonly hasStranger: boolean
  /** Of each node, where faults need them. */
  readonly disks: ReadonlyMap<ServerProcess, LoopDisk>
  /** Told while it runs. */
  onProgress(line: string): void
}

export interface Inflicted {
  readonly name: string
  readonly target: string
  atMs: number
  forMs: number
  /** Until every replica was in sync again, from the end of the fault. */
  wholeAfterMs?: number
  readonly notes: string[]
}

const TOPIC = 'chaos'
const STRANGER_TOPIC = 'chaos-stranger'
const PARTITIONS = 6
const STRANGER_PARTITIONS = 2
const GROUP = 'chaos-group'
const MEMBERS = 2
const REPLICAS = 3
const BETWEEN_MIN_MS = 500
const BETWEEN_MAX_MS = 3000
const WHOLE_WITHIN_MS = 60_000
const READ_WITHIN_MS = 120_000
const STOPPED_WITHIN_MS = 90_000
const TIMEOUT_MS = 1000
const LOOK_MS = 250

export class ClusterRun {
  readonly recorder: Recorder
  readonly schedule: Inflicted[] = []
  readonly #group: ServerGroup
  readonly #options: RunOptions
  readonly #random: SimRandom
  readonly #actors: { readonly context: ClientContext; readonly ended: Promise<void> }[] = []
  readonly #observer: Cluster
  readonly #leaders = new Set<string>()
  #isOver = false

  /** The group is linked. */
  constructor(group: ServerGroup, options: RunOptions) {
    const beganMs = performance.now()
    this.#group = group
    this.#options = options
    this.#random = new SimRandom(options.seed)
    this.recorder = new Recorder(() => performance.now() - beganMs)
    const client = { bootstrap: this.#bootstrap, clientId: 'observer', timeoutMs: TIMEOUT_MS }
    this.#observer = new Cluster({ network: realNetwork, clock: realClock }, client)
  }

  get #bootstrap(): string[] {
    return this.#group.nodes.map((node) => node.bootstrap)
  }

  /** Faults until the time is over. A failure of the run itself is a fault found: it is thrown. */
  async play(): Promise<void> {
    const { minutes, faults, count } = this.#options
    const deck = new Deck(faults, this.#random)
    const untilMs = performance.now() + minutes * 60_000
    await this.#makeTopics()
    this.#startWorkload()
    const watching = this.#watch()
    try {
      while (performance.now() < untilMs && this.schedule.length < count) {
        await this.#whole()
        await sleep(BETWEEN_MIN_MS + this.#random.below(BETWEEN_MAX_MS - BETWEEN_MIN_MS))
        await this.#inflict(deck.draw())
      }
      await this.#whole()
      await this.#stopWorkload()
    } finally {
      this.#isOver = true
      for (const { context } of this.#actors) context.isOver = true
      await watching
    }
    await this.#readAll()
  }

  async close(): Promise<void> {
    await this.#observer.close()
  }

  async #inflict(fault: ClusterFault): Promise<void> {
    const { recorder } = this
    const entry: Inflicted = {
      name: fault.name,
      target: '',
      atMs: recorder.nowMs,
      forMs: 0,
      notes: [],
    }
    const names: string[] = []
    this.schedule.push(entry)
    try {
      await fault.inflict(this.#stage(entry, names))
    } finally {
      if (entry.forMs === 0) entry.forMs = Math.round(recorder.nowMs - entry.atMs)
      const target = names.join(', ') || 'all'
      Object.assign(entry, { target })
      const { name, atMs, forMs } = entry
      recorder.add({ op: 'fault', name, target, atMs, forMs })
    }
    this.#options.onProgress(`${fault.name} of ${entry.target}, ${entry.forMs} ms`)
  }

  #stage(entry: Inflicted, names: string[]): Stage {
    const { nodes, mesh } = this.#group
    return {
      nodes,
      mesh: mesh!,
      random: this.#random,
      diskOf: (node) => this.#options.disks.get(node),
      target: async () => {
        const target = this.#random.pick(this.#options.targets)
        const node = await this.#find(target)
        names.push(`${target} (node ${nodes.indexOf(node) + 1})`)
        return node
      },
      begins: () => {
        entry.atMs = this.recorder.nowMs
      },
      ends: () => {
        entry.forMs = Math.round(this.recorder.nowMs - entry.atMs)
      },
      say: (what) => entry.notes.push(what),
    }
  }

  async #find(target: Target): Promise<ServerProcess> {
    const { nodes } = this.#group
    const id = await this.#idOf(target).catch(() => undefined)
    return nodes[(id ?? 0) - 1] ?? this.#random.pick(nodes)
  }

  async #idOf(target: Target): Promise<number | undefined> {
    const partition = this.#random.below(PARTITIONS)
    if (target === 'leader') return (await this.#observer.leaders(TOPIC))[partition]
    if (target === 'follower') {
      const { topics } = await this.#observer.metadata([TOPIC])
      const { leaderId, replicaNodes } = topics[0]!.partitions[partition]!
      return this.#random.pick(replicaNodes.filter((id) => id !== leaderId))
    }
    if (target === 'controller') return (await this.#quorum())?.leader
    if (target === 'coordinator') return (await lookUpCoordinator(this.#observer, GROUP)).nodeId
    return undefined
  }

  /** As a node that answers sees it. */
  async #quorum(): Promise<{ leader: number; epoch: number } | undefined> {
    for (const node of this.#group.nodes) {
      try {
        const response = await fetch(`http://127.0.0.1:${node.ports.http}/api/v1/quorum`, {
          signal: AbortSignal.timeout(LOOK_MS),
        })
        return (await response.json()) as { leader: number; epoch: number }
      } catch {
        // The next one knows.
      }
    }
    return undefined
  }

  async #whole(): Promise<void> {
    const beganMs = performance.now()
    await waitUntilWhole(this.#observer, null, WHOLE_WITHIN_MS)
    const last = this.schedule.at(-1)
    if (last !== undefined) last.wholeAfterMs ??= Math.round(performance.now() - beganMs)
  }

  async #makeTopics(): Promise<void> {
    const replicationFactor = Math.min(REPLICAS, this.#group.nodes.length)
    const counts = new Map([
      [TOPIC, PARTITIONS],
      [STRANGER_TOPIC, STRANGER_PARTITIONS],
    ])
    const answer = await this.#observer.request(
      undefined,
      createTopics,
      {
        topics: [...counts].map(([name, numPartitions]) => {
          return { name, numPartitions, replicationFactor, assignments: [], configs: [] }
        }),
        timeoutMs: WHOLE_WITHIN_MS,
        validateOnly: false,
      },
      WHOLE_WITHIN_MS,
    )
    const failed = answer.topics.find(({ errorCode }) => errorCode !== 0)
    if (failed !== undefined) {
      throw new Error(`${failed.name} could not be made: error ${failed.errorCode}`)
    }
  }

  #startWorkload(): void {
    const common = { topic: TOPIC, partitions: PARTITIONS, timeoutMs: TIMEOUT_MS }
    const producer: ProducerSpec = {
      kind: 'producer',
      ...common,
      isIdempotent: true,
      compression: 'none',
      batchMax: 40,
      paddingMax: 200,
      pauseMs: 3,
      lanes: PARTITIONS,
      deliveryTimeoutMs: WHOLE_WITHIN_MS,
    }
    const reader: ReaderSpec = { kind: 'reader', ...common, pauseMs: 20, maxWaitMs: 100 }
    for (let i = 0; i < 2; i++) {
      this.#start(`producer-${i}`, 'writers', (one) => runProducer(one, producer))
    }
    for (const [at, group] of this.#groups().entries()) {
      const spec = memberOf(group)
      for (let i = 0; i < MEMBERS; i++) {
        this.#start(`member-${at}-${i}`, 'readers', (one) => runMember(one, spec))
      }
    }
    this.#start('reader', 'readers', (one) => runReader(one, reader))
    if (!this.#options.hasStranger) return
    const { mesh } = this.#group
    this.#start('stranger', 'readers', (one) => {
      return runStranger(one, {
        topic: STRANGER_TOPIC,
        partitions: STRANGER_PARTITIONS,
        pauseMs: 20,
        group: 'stranger-group',
        portOf: (port) => mesh!.portOf('readers', port),
      })
    })
  }

  #groups(): string[] {
    const { groups } = this.#options
    return Array.from({ length: groups }, (_, at) => (at === 0 ? GROUP : `${GROUP}-${at}`))
  }

  #start(name: string, kind: ClientKind, run: (context: ClientContext) => Promise<void>): void {
    const context = this.#context(name, kind)
    const ended = run(context)
    ended.catch(() => undefined) // asked for when the workload is stopped
    this.#actors.push({ context, ended })
  }

  #context(name: string, kind: ClientKind): ClientContext {
    return new ClientContext({
      name,
      world: { network: this.#group.mesh!.networkOf(kind, realNetwork), clock: realClock },
      random: this.#random.split(name),
      recorder: this.recorder,
      bootstrap: this.#bootstrap,
    })
  }

  async #stopWorkload(): Promise<void> {
    for (const { context } of this.#actors) context.isOver = true
    const all = Promise.all(this.#actors.map(({ ended }) => ended))
    await within(all, STOPPED_WITHIN_MS, 'the workload did not end')
  }

  async #readAll(): Promise<void> {
    const topics = [
      { name: TOPIC, partitions: PARTITIONS },
      ...(this.#options.hasStranger
        ? [{ name: STRANGER_TOPIC, partitions: STRANGER_PARTITIONS }]
        : []),
    ] as unknown as Parameters<typeof readEverything>[1]
    const reading = readEverything(this.#context('finale', 'readers'), topics, this.#groups())
    await within(reading, READ_WITHIN_MS, 'the final reading did not end')
  }

  /** Who leads what, as the metadata and the quorum tell. */
  async #watch(): Promise<void> {
    const client = { bootstrap: this.#bootstrap, clientId: 'watch', timeoutMs: TIMEOUT_MS }
    const cluster = new Cluster({ network: realNetwork, clock: realClock }, client)
    while (!this.#isOver) {
      try {
        const quorum = await this.#quorum()
        if (quorum !== undefined && quorum.leader > 0) {
          this.#leads('raft', quorum.epoch, quorum.leader)
        }
        const { topics } = await cluster.metadata([TOPIC])
        for (const { partitionIndex, leaderEpoch, leaderId } of topics[0]?.partitions ?? []) {
          if (leaderId > 0) this.#leads(`${TOPIC}-${partitionIndex}`, leaderEpoch, leaderId)
        }
      } catch {
        // Nobody answers for the moment.
      }
      await sleep(LOOK_MS)
    }
    await cluster.close()
  }

  #leads(scope: string, epoch: number, node: number): void {
    const key = `${scope}/${epoch}/${node}`
    if (this.#leaders.has(key)) return
    this.#leaders.add(key)
    this.recorder.add({ op: 'leader', scope, epoch, node, atMs: this.recorder.nowMs })
  }
}

const memberOf = (group: string): MemberSpec => ({
  kind: 'member',
  group,
  topic: TOPIC,
  pauseMs: 50,
  timeoutMs: TIMEOUT_MS,
  sessionTimeoutMs: 6000,
  commitChance: 0.5,
  leaveChance: 0.002,
})

async function within(work: Promise<unknown>, limitMs: number, sentence: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${sentence} within ${limitMs} ms`)), limitMs)
  })
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
