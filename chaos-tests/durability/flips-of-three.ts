/*
 * Damage in one node of three: random bytes are changed in every kind of its files, while it is
 * killed, stopped in order, or running. What any node serves is true, nothing that was acknowledged
 * is lost, and within 30 s the damaged node has byte for byte what the others have.
 *
 *   node dist/chaos-tests/durability/flips-of-three.js --flips 10000 [--seed S] [--minutes M]
 *
 * Ends after so many flips, or when the time is over; says how many there were.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { realClock } from '../../base/real/clock.ts'
import { realNetwork } from '../../base/real/network.ts'
import { createTopics } from '../../kafka/api/19-create-topics.ts'
import { Cluster } from '../../kafka/client/cluster.ts'
import { produceError, produceFrame, recordBatch } from '../cluster/frames.ts'
import { type ServerProcess, sleep } from '../cluster/processes.ts'
import { ServerGroup, waitUntilWhole } from '../cluster/server-group.ts'
import { ask } from '../cluster/wire.ts'
import { type Draw, drawFile, filesOf, flip, kindOf, seeded } from './damage.ts'
import { readAround } from './reading.ts'

const TOPIC = 'flips'
const PARTITIONS = 6
const BATCHES = 60
const PER_BATCH = 10
const VALUE_BYTES = 4000
const SEGMENT_BYTES = 1_048_576
const REPAIR_LIMIT_MS = 30_000
const WRITE_LIMIT_MS = 30_000
const START_LIMIT_MS = 45_000
/** Of a request that was repeated, on a busy machine. */
const TOPIC_ALREADY_EXISTS = 36
const STATES = ['killed', 'stopped', 'running'] as const
/** Refusals: it does not lead, it is behind, nobody leads yet. */
const REFUSALS: ReadonlySet<number> = new Set([1, 3, 5, 6, 9, 74, 75, 76])

interface Flip {
  readonly path: string
  readonly position: number
}

class Tally {
  flips = 0
  rounds = 0
  refusedReads = 0
  refusedStarts = 0
  readonly repairMs: number[] = []
  readonly faults: string[] = []
  readonly byKind = new Map<string, number>()
}

const textOf = (partition: number, number: number): string =>
  `${partition}:${number}:`.padEnd(VALUE_BYTES, `${(partition * 31 + number * 7) % 1000} `)

/** Of every partition, what was acknowledged: number of the value by offset. */
class Acknowledged {
  readonly byOffset = Array.from({ length: PARTITIONS }, () => new Map<number, number>())
  #next = 0

  take(): number {
    return this.#next++
  }
}

class Run {
  readonly #group: ServerGroup
  readonly #cluster: Cluster
  readonly #draw: Draw
  readonly #acked = new Acknowledged()
  readonly tally = new Tally()

  constructor(group: ServerGroup, draw: Draw) {
    this.#group = group
    this.#draw = draw
    const bootstrap = group.nodes.map((node) => node.bootstrap)
    const parts = { network: realNetwork, clock: realClock }
    this.#cluster = new Cluster(parts, { bootstrap, clientId: 'flips', timeoutMs: 20_000 })
  }

  async fill(): Promise<void> {
    const config = { name: 'segment.bytes', value: String(SEGMENT_BYTES) }
    const { topics } = await this.#cluster.askAny(createTopics, () => ({
      topics: [
        {
          name: TOPIC,
          numPartitions: PARTITIONS,
          replicationFactor: 3,
          assignments: [],
          configs: [config],
        },
      ],
      timeoutMs: 20_000,
      validateOnly: false,
    }))
    if (![0, TOPIC_ALREADY_EXISTS].includes(topics[0]?.errorCode ?? -1))
      throw new Error(`the topic was not made: ${topics[0]?.errorCode}`)
    await waitUntilWhole(this.#cluster, [TOPIC], 30_000)
    for (let batch = 0; batch < BATCHES; batch++) await this.write()
  }

  async close(): Promise<void> {
    await this.#cluster.close()
  }

  /** One batch to each partition, acknowledged by all replicas in sync. */
  async write(): Promise<void> {
    const all = Array.from({ length: PARTITIONS }, (_, partition) => this.#writeTo(partition))
    await Promise.all(all)
  }

  async #writeTo(partition: number): Promise<void> {
    const numbers = Array.from({ length: PER_BATCH }, () => this.#acked.take())
    const values = numbers.map((number) => Buffer.from(textOf(partition, number)))
    const untilMs = performance.now() + WRITE_LIMIT_MS
    for (;;) {
      const port = await this.#leaderPort(partition)
      const frame = produceFrame(TOPIC, partition, recordBatch({ values }), -1)
      const answer = port === undefined ? undefined : await ask(port, frame)
      const said = answer === undefined ? { error: -1, offset: -1 } : produceError(answer, 0)
      if (said.error === 0) {
        const { byOffset } = this.#acked
        for (const [i, number] of numbers.entries())
          byOffset[partition]!.set(said.offset + i, number)
        return
      }
      if (performance.now() > untilMs) {
        this.tally.faults.push(`partition ${partition} takes no write (error ${said.error})`)
        return
      }
      await sleep(50)
    }
  }

  async #leaderPort(partition: number): Promise<number | undefined> {
    try {
      const { topics } = await this.#cluster.metadata([TOPIC])
      const found = topics[0]?.partitions.find((one) => one.partitionIndex === partition)
      return this.#group.nodes[(found?.leaderId ?? 0) - 1]?.ports.kafka
    } catch {
      return undefined
    }
  }

  /** One damaged node, from the damage to the end of the repair. */
  async round(number: number, count: number): Promise<void> {
    const node = this.#group.nodes[number % 3]!
    const state = STATES[Math.floor(number / 3) % STATES.length]!
    if (state === 'killed') await node.kill()
    if (state === 'stopped') await node.stop()
    const copy = join(node.directory, 'before')
    const flips = this.#flip(node, count, copy)
    const where = flips.map(({ path, position }) => {
      return `${relative(node.dataDirectory, path)}@${position}`
    })
    const known = this.tally.faults.length
    if (state !== 'running') await this.#start(node, copy)
    const startedMs = performance.now()
    await Promise.all([this.write(), this.#readAll()])
    await this.#untilWhole(node, startedMs)
    if (state === 'running') {
      // What only a start would find: the next node may be damaged only when this one is not.
      await node.kill()
      await this.#start(node, copy)
      await this.#untilWhole(node, performance.now())
    }
    for (const lost of await this.#lost()) this.tally.faults.push(lost)
    for (let i = known; i < this.tally.faults.length; i++) {
      this.tally.faults[i] += ` (node ${(number % 3) + 1} ${state}: ${where.join(' ')})`
    }
    rmSync(copy, { recursive: true, force: true })
    this.tally.rounds++
  }

  #flip(node: ServerProcess, count: number, copy: string): Flip[] {
    const flips: Flip[] = []
    keepNodeFiles(node.dataDirectory, copy)
    for (let tries = 0; flips.length < count && tries < 10 * count; tries++) {
      const path = drawFile(node.dataDirectory, this.#draw)
      // A person has to mend those: now and then, and not two in one file.
      const isOfNode = NODE_FILES.test(basename(path))
      if (isOfNode && (this.#draw(8) > 0 || flips.some((one) => one.path === path))) continue
      const position = flip(path, this.#draw)
      if (position === undefined) continue
      flips.push({ path, position })
      const { byKind } = this.tally
      byKind.set(kindOf(path), (byKind.get(kindOf(path)) ?? 0) + 1)
    }
    this.tally.flips += flips.length
    return flips
  }

  /** A node that does not start says why; then a person puts its own files right. */
  async #start(node: ServerProcess, copy: string): Promise<void> {
    if (await comesUp(node)) return
    await node.kill()
    if (!WHY.test(node.logTail(20))) {
      this.tally.faults.push(`a node did not start: ${node.logTail(5)}`)
    }
    this.tally.refusedStarts++
    process.stdout.write(`refused: ${node.logTail(3).trim().slice(0, 300)}\n`)
    restoreNodeFiles(node.dataDirectory, copy)
    if (!(await comesUp(node))) throw new Error(`a node does not start: ${node.logTail(20)}`)
  }

  /** From every node, all partitions at once. */
  async #readAll(): Promise<void> {
    for (const node of this.#group.nodes) {
      const all = Array.from({ length: PARTITIONS }, (_, partition) => this.#read(node, partition))
      await Promise.all(all)
    }
  }

  /** Numbers by offset, as this node serves them; what it refuses is passed over. */
  async #read(node: ServerProcess, partition: number): Promise<Map<number, number>> {
    const found = new Map<number, number>()
    const { refused, stopped } = await readAround(node.ports.kafka, {
      topic: TOPIC,
      partition,
      start: 0,
      end: Math.max(...this.#acked.byOffset[partition]!.keys()) + 1,
      perBatch: PER_BATCH,
      onRecord: ({ offset, value }) => {
        const number = Number(value.toString().split(':')[1])
        const acked = this.#acked.byOffset[partition]!.get(offset)
        const isTrue = value.toString() === textOf(partition, number)
        if (!isTrue || (acked !== undefined && acked !== number)) {
          const of = `node ${this.#group.nodes.indexOf(node) + 1}, partition ${partition}`
          this.tally.faults.push(`wrong bytes were served: ${of}, offset ${offset}`)
        }
        found.set(offset, number)
      },
    })
    this.tally.refusedReads += refused
    if (typeof stopped?.why === 'number') {
      this.tally.refusedReads++
      if (!REFUSALS.has(stopped.why)) {
        this.tally.faults.push(`a fetch was answered with ${stopped.why}`)
      }
    }
    return found
  }

  /** In sync, and byte for byte as the others on disk. */
  async #untilWhole(node: ServerProcess, sinceMs: number): Promise<void> {
    for (;;) {
      const difference = await this.#difference(node)
      const tookMs = performance.now() - sinceMs
      if (difference === undefined) {
        this.tally.repairMs.push(tookMs)
        return
      }
      if (tookMs > REPAIR_LIMIT_MS) {
        this.tally.faults.push(`not repaired in ${REPAIR_LIMIT_MS} ms: ${difference}`)
        return
      }
      await sleep(200)
      await this.#readAll()
    }
  }

  async #difference(node: ServerProcess): Promise<string | undefined> {
    try {
      await waitUntilWhole(this.#cluster, null, 1000)
    } catch {
      return 'not all replicas are in sync'
    }
    const other = this.#group.nodes.find((one) => one !== node)!
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const own = recordsOf(node, partition)
      if (!own.equals(recordsOf(other, partition))) return `partition ${partition} differs`
    }
    return undefined
  }

  /** Acknowledged and not there, at whoever leads. */
  async #lost(): Promise<string[]> {
    const lost: string[] = []
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const port = await this.#leaderPort(partition)
      const leader = this.#group.nodes.find((one) => one.ports.kafka === port)
      const found = leader === undefined ? undefined : await this.#read(leader, partition)
      let missing = 0
      for (const [offset, number] of this.#acked.byOffset[partition]!) {
        if (found?.get(offset) !== number) missing++
      }
      if (missing > 0)
        lost.push(`${missing} acknowledged records of partition ${partition} are lost`)
    }
    return lost
  }
}

function recordsOf(node: ServerProcess, partition: number): Buffer {
  const directory = join(node.dataDirectory, `${TOPIC}-${partition}`)
  const names = readdirSync(directory).filter((name) => /^\d{20}\.log$/.test(name))
  return Buffer.concat(names.sort().map((name) => readFileSync(join(directory, name))))
}

/** Why a node does not start, or what it waits for. */
const WHY = /^odradek: |a node was refused/m
/** Files without which a node does not know who it is. */
const NODE_FILES = /^(meta\.properties|quorum-state|bootstrap\.checkpoint)/

function keepNodeFiles(directory: string, copy: string): void {
  for (const path of filesOf(directory)) {
    if (!NODE_FILES.test(basename(path))) continue
    const target = join(copy, relative(directory, path))
    mkdirSync(dirname(target), { recursive: true })
    copyFileSync(path, target)
  }
}

function restoreNodeFiles(directory: string, copy: string): void {
  for (const path of filesOf(copy)) copyFileSync(path, join(directory, relative(copy, path)))
}

async function comesUp(node: ServerProcess): Promise<boolean> {
  await node.launch()
  try {
    await Promise.race([
      node.waitUntilReady(),
      sleep(START_LIMIT_MS).then(() => Promise.reject(new Error('late'))),
    ])
    return true
  } catch {
    return false
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      flips: { type: 'string', default: '1000' },
      seed: { type: 'string' },
      minutes: { type: 'string', default: '7' },
      'per-round': { type: 'string', default: '40' },
    },
  })
  const seed = Number(values.seed ?? Date.now() % 1_000_000)
  const endMs = performance.now() + Number(values.minutes) * 60_000
  const print = (line: string) => process.stdout.write(`${line}\n`)
  const properties = { 'log.scrub.bytes.per.second': '50000000', 'log.scrub.interval.ms': '5000' }
  const group = await ServerGroup.start({ peer: 'odradek', count: 3, properties })
  const run = new Run(group, seeded(seed))
  const { tally } = run
  try {
    print(`seed ${seed}, at most ${values.flips} flips`)
    await run.fill()
    for (let round = 0; tally.flips < Number(values.flips) && performance.now() < endMs; round++) {
      const known = tally.faults.length
      await run.round(round, Number(values['per-round']))
      for (const fault of tally.faults.slice(known)) print(`FAIL ${fault}`)
      const repairMs = Math.round(tally.repairMs.at(-1) ?? 0)
      print(`${tally.flips} flips, ${tally.faults.length} faults, whole after ${repairMs} ms`)
      if (tally.faults.length > 20) break
    }
  } finally {
    await run.close()
    await group.remove()
  }
  for (const [kind, count] of [...tally.byKind].sort()) print(`  ${kind}: ${count}`)
  const slowestMs = Math.round(Math.max(...tally.repairMs))
  print(
    `${tally.flips} flips in ${tally.rounds} rounds; the slowest repair took ${slowestMs} ms; ` +
      `${tally.refusedReads} reads and ${tally.refusedStarts} starts were refused`,
  )
  process.exitCode = tally.faults.length === 0 ? 0 : 1
}

await main()
