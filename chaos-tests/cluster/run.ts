/*
 * Real nodes under real faults: three processes, a workload of producers, readers and groups, and
 * one fault after the other. At the end everything is read, and the checkers of the simulation look
 * at the same kind of history.
 *
 *   npm run chaos:cluster -- --minutes 5 --faults kill,pause,restart [--seed S] [--nodes N]
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { realClock } from '../../base/real/clock.ts'
import { realNetwork } from '../../base/real/network.ts'
import { SimRandom } from '../../base/sim/random.ts'
import { createTopics } from '../../kafka/api/19-create-topics.ts'
import { Cluster } from '../../kafka/client/cluster.ts'
import { checkAll } from '../checkers/all.ts'
import { entriesOf, type Send, serialize } from '../checkers/history.ts'
import { ClientContext } from '../sim/client-context.ts'
import { readEverything } from '../sim/finale.ts'
import { type MemberSpec, runMember } from '../sim/groups.ts'
import { type ProducerSpec, runProducer } from '../sim/producers.ts'
import { type ReaderSpec, runReader } from '../sim/readers.ts'
import { Recorder } from '../sim/recorder.ts'
import { type ServerProcess, sleep, temporaryDirectory } from './processes.ts'
import { ServerGroup, waitUntilWhole } from './server-group.ts'

const FAULTS = ['kill', 'pause', 'restart', 'kill-all'] as const
type Fault = (typeof FAULTS)[number]
const TARGETS = ['leader', 'controller', 'any'] as const

const TOPIC = 'chaos'
const PARTITIONS = 6
const GROUP = 'chaos-group'
const REPLICAS = 3
const BETWEEN_MIN_MS = 1000
const BETWEEN_MAX_MS = 5000
/** A paused node is silent for so long: below, at and above the time after which it is fenced. */
const PAUSES_MS = [300, 1000, 2000, 5000]
const DOWN_MAX_MS = 3000
const WHOLE_WITHIN_MS = 60_000
const READ_WITHIN_MS = 120_000
const TIMEOUT_MS = 1000

const print = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

function parseFlags() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '1' },
      faults: { type: 'string', default: 'kill,pause,restart' },
      nodes: { type: 'string', default: '3' },
      seed: { type: 'string' },
    },
  })
  const faults = values.faults.split(',').map((name) => {
    const found = FAULTS.find((fault) => fault === name)
    if (found === undefined) throw new Error(`there is no fault ${name}; known: ${FAULTS.join()}`)
    return found
  })
  return {
    faults,
    minutes: Number(values.minutes),
    nodes: Number(values.nodes),
    seed: Number(values.seed ?? Date.now() % 1_000_000),
  }
}

class ClusterRun {
  readonly group: ServerGroup
  readonly recorder: Recorder
  readonly random: SimRandom
  readonly #actors: { readonly context: ClientContext; readonly ended: Promise<void> }[] = []
  readonly #observer: Cluster
  readonly #counts = new Map<string, number>()

  constructor(group: ServerGroup, seed: number) {
    const beganMs = performance.now()
    this.group = group
    this.random = new SimRandom(seed)
    this.recorder = new Recorder(() => performance.now() - beganMs)
    const options = { bootstrap: this.bootstrap, clientId: 'observer', timeoutMs: TIMEOUT_MS }
    this.#observer = new Cluster({ network: realNetwork, clock: realClock }, options)
  }

  get bootstrap(): string[] {
    return this.group.nodes.map((node) => node.bootstrap)
  }

  get faultsDone(): string {
    return [...this.#counts].map(([name, count]) => `${count} x ${name}`).join(', ')
  }

  async makeTopic(): Promise<void> {
    const answer = await this.#observer.request(undefined, createTopics, {
      topics: [
        {
          name: TOPIC,
          numPartitions: PARTITIONS,
          replicationFactor: Math.min(REPLICAS, this.group.nodes.length),
          assignments: [],
          configs: [],
        },
      ],
      timeoutMs: 30_000,
      validateOnly: false,
    })
    const code = answer.topics[0]?.errorCode
    if (code !== 0) throw new Error(`the topic could not be made: error ${code}`)
  }

  startWorkload(): void {
    const common = { topic: TOPIC, partitions: PARTITIONS, timeoutMs: TIMEOUT_MS }
    const producer: ProducerSpec = {
      kind: 'producer',
      ...common,
      isIdempotent: true,
      compression: 'none',
      batchMax: 20,
      paddingMax: 500,
      pauseMs: 3,
      lanes: PARTITIONS,
      deliveryTimeoutMs: WHOLE_WITHIN_MS,
    }
    const member: MemberSpec = {
      kind: 'member',
      group: GROUP,
      topic: TOPIC,
      pauseMs: 50,
      timeoutMs: TIMEOUT_MS,
      sessionTimeoutMs: 6000,
      commitChance: 0.5,
      leaveChance: 0.002,
    }
    const reader: ReaderSpec = { kind: 'reader', ...common, pauseMs: 20, maxWaitMs: 100 }
    for (let i = 0; i < 2; i++) this.#start(`producer-${i}`, (one) => runProducer(one, producer))
    for (let i = 0; i < 3; i++) this.#start(`member-${i}`, (one) => runMember(one, member))
    this.#start('reader', (one) => runReader(one, reader))
  }

  #start(name: string, run: (context: ClientContext) => Promise<void>): void {
    const context = this.#context(name)
    this.#actors.push({ context, ended: run(context) })
  }

  #context(name: string): ClientContext {
    return new ClientContext({
      name,
      world: { network: realNetwork, clock: realClock },
      random: this.random.split(name),
      recorder: this.recorder,
      bootstrap: this.bootstrap,
    })
  }

  async stopWorkload(): Promise<void> {
    for (const { context } of this.#actors) context.isOver = true
    await Promise.all(this.#actors.map(({ ended }) => ended))
  }

  async inflict(fault: Fault): Promise<void> {
    const { random } = this
    const target = random.pick(TARGETS)
    const name = fault === 'kill-all' ? fault : `${fault} ${target}`
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
    if (fault === 'kill-all') {
      await Promise.all(this.group.nodes.map((node) => node.kill()))
      await this.group.start()
      return
    }
    const node = await this.#find(target)
    const downMs = random.below(DOWN_MAX_MS)
    if (fault === 'pause') {
      node.signal('SIGSTOP')
      await sleep(random.pick(PAUSES_MS))
      node.signal('SIGCONT')
      return
    }
    if (fault === 'kill') await node.kill()
    else await node.stop()
    await sleep(downMs)
    await node.start()
  }

  async #find(target: (typeof TARGETS)[number]): Promise<ServerProcess> {
    const { nodes } = this.group
    const partition = this.random.below(PARTITIONS)
    let id: number | undefined
    if (target === 'leader') id = (await this.#observer.leaders(TOPIC))[partition]
    if (target === 'controller') {
      const response = await fetch(`http://127.0.0.1:${nodes[0]!.ports.http}/api/v1/cluster`)
      id = ((await response.json()) as { controller: number }).controller
    }
    return nodes[(id ?? 0) - 1] ?? this.random.pick(nodes)
  }

  waitUntilWhole(): Promise<void> {
    return waitUntilWhole(this.#observer, null, WHOLE_WITHIN_MS)
  }

  async readAll(): Promise<void> {
    const topic = { name: TOPIC, partitions: PARTITIONS } as Parameters<typeof readEverything>[1][0]
    const reading = readEverything(this.#context('finale'), [topic], [GROUP])
    const late = sleep(READ_WITHIN_MS).then(() => {
      throw new Error('the final reading did not end in time')
    })
    await Promise.race([reading, late])
    await this.#observer.close()
  }
}

/** Faults until the time is over; a failure of the run itself is a fault found. */
async function play(run: ClusterRun, faults: readonly Fault[], minutes: number): Promise<string[]> {
  const untilMs = performance.now() + minutes * 60_000
  try {
    await run.makeTopic()
    run.startWorkload()
    while (performance.now() < untilMs) {
      await run.waitUntilWhole()
      await sleep(BETWEEN_MIN_MS + run.random.below(BETWEEN_MAX_MS - BETWEEN_MIN_MS))
      await run.inflict(run.random.pick(faults))
    }
    await run.waitUntilWhole()
    await run.stopWorkload()
    await run.readAll()
    return []
  } catch (error) {
    return [error instanceof Error ? (error.stack ?? error.message) : String(error)]
  }
}

async function main(): Promise<void> {
  const flags = parseFlags()
  const group = await ServerGroup.start({ count: flags.nodes, peer: 'odradek' })
  const run = new ClusterRun(group, flags.seed)
  print(
    `seed ${flags.seed}, ${flags.nodes} nodes, ${flags.minutes} min of ${flags.faults.join(', ')}`,
  )
  const failures = await play(run, flags.faults, flags.minutes)
  const { entries } = run.recorder
  const violations = failures.length > 0 ? [] : checkAll(entries)
  const sends = entriesOf(entries, 'send').filter((send: Send) => send.outcome === 'ok')
  const records = sends.reduce((sum, send) => sum + send.values.length, 0)
  print(`${run.faultsDone}; ${records} records acknowledged in ${sends.length} batches`)
  for (const failure of failures) print(`FAIL ${failure}`)
  for (const { checker, message } of violations.slice(0, 20)) print(`FAIL ${checker}: ${message}`)
  const isGood = failures.length === 0 && violations.length === 0
  if (isGood) await group.remove()
  else {
    await group.stop()
    const folder = temporaryDirectory('chaos')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'history.jsonl'), serialize(entries))
    print(`history ${folder}; logs of the nodes:`)
    for (const node of group.nodes) print(`  ${node.logFile}`)
  }
  print(`${isGood ? 1 : 0} passed, ${isGood ? 0 : 1} failed`)
  process.exit(isGood ? 0 : 1)
}

await main()
