/*
 * Damage: random bytes of a node's directory are changed while it is stopped (or runs), in every
 * kind of file. What is read afterwards is true or is refused; the other partitions are whole; and
 * the node's log or its metrics say that something was found.
 *
 *   node dist/chaos-tests/durability/flips.js --flips 1000 [--seed S] [--per-start 8] [--per-log 1]
 */
import { cpSync, rmSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { produceError, produceFrame, recordBatch } from '../cluster/frames.ts'
import { prepareServer, type ServerProcess, sleep } from '../cluster/processes.ts'
import { ask, makeTopic } from '../cluster/wire.ts'
import { type Draw, drawFile, flip, kindOf, seeded } from './damage.ts'
import { readAround, type Stop } from './reading.ts'

const TOPIC = 'flips'
const PARTITIONS = 8
const BATCHES = 240
const PER_BATCH = 10
const VALUE_BYTES = 1000
const READY_LIMIT_MS = 15_000
/** A sentence of the program, or a line of the log. */
const EVIDENCE =
  /^odradek: |damage|corrupt|checksum|crc|rebuilt|made again|not be read|can't be|can not be opened|distrust|cut off|truncat|unreadable|not served|broken/im

interface Flip {
  readonly path: string
  readonly position: number
  /** Directory name of the partition; undefined for what belongs to the whole node. */
  readonly owner: string | undefined
}

interface Tally {
  readonly faults: string[]
  refusedStarts: number
  refusedReads: number
  saidStarts: number
  quietStarts: number
  readonly byKind: Map<string, number>
}

const expectedValue = (partition: number, offset: number): string =>
  `${partition}:${offset}:`.padEnd(VALUE_BYTES, `${(partition * 31 + offset * 7) % 1000} `)

async function fill(port: number): Promise<void> {
  await makeTopic(port, {
    name: TOPIC,
    partitions: PARTITIONS,
    configs: { 'segment.bytes': '1048576' },
  })
  for (let partition = 0; partition < PARTITIONS; partition++) {
    // makeTopic wrote one record of its own: offsets begin at 1.
    for (let batch = 0; batch < BATCHES; batch++) {
      const first = 1 + batch * PER_BATCH
      const values = Array.from({ length: PER_BATCH }, (_, i) =>
        Buffer.from(expectedValue(partition, first + i)),
      )
      const records = recordBatch({
        values,
        producerId: 1000 + partition,
        producerEpoch: 0,
        baseSequence: batch * PER_BATCH,
      })
      const answer = await ask(port, produceFrame(TOPIC, partition, records, -1))
      if (answer === undefined) throw new Error('a produce got no answer')
      const { error, offset } = produceError(answer, 0)
      if (error !== 0 || offset !== first) throw new Error(`produce: ${error} at ${offset}`)
    }
  }
}

interface Dose {
  readonly count: number
  /** In the files of a partition, at most; one is in those of the whole node. */
  readonly perLog: number
}

function choose(directory: string, { count, perLog }: Dose, draw: Draw): Flip[] {
  const taken = new Map<string | undefined, number>()
  const flips: Flip[] = []
  for (let tries = 0; flips.length < count && tries < 50 * count; tries++) {
    const path = drawFile(directory, draw)
    const parent = basename(dirname(path))
    const owner = parent.startsWith(`${TOPIC}-`) ? parent : undefined
    const known = taken.get(owner) ?? 0
    if (known >= (owner === undefined ? 1 : perLog)) continue
    const position = flip(path, draw)
    if (position === undefined) continue
    taken.set(owner, known + 1)
    flips.push({ path, position, owner })
  }
  return flips
}

/** Resolves true when it serves, false when the process has ended, or waits and says for what. */
async function comesUp(server: ServerProcess): Promise<boolean> {
  await server.launch()
  try {
    await Promise.race([
      server.waitUntilReady(),
      sleep(READY_LIMIT_MS).then(() => Promise.reject(new Error('late'))),
    ])
    return true
  } catch (error) {
    if ((error as Error).message !== 'late') return false
    const answer = await fetch(`http://127.0.0.1:${server.ports.http}/readyz`)
    process.stdout.write(`waits: ${(await answer.text()).replace(/\s+/g, ' ')}\n`)
    return false
  }
}

interface Outcome {
  readonly faults: string[]
  readonly refused: number
  readonly missing: number
}

/** Reads a partition to its end, around what is refused. */
async function readPartition(port: number, partition: number): Promise<Outcome> {
  const faults: string[] = []
  // makeTopic wrote one record of its own.
  const [start, count] = [1, BATCHES * PER_BATCH]
  let found = 0
  const { refused, stopped } = await readAround(port, {
    topic: TOPIC,
    partition,
    start,
    end: start + count,
    perBatch: PER_BATCH,
    onRecord: ({ offset, value }, expected) => {
      if (offset !== expected) faults.push(`partition ${partition}: a hole at ${expected}`)
      if (value.toString() !== expectedValue(partition, offset)) {
        faults.push(`partition ${partition}: offset ${offset} was served and is wrong`)
      }
      found++
    },
  })
  // A log that was cut ends early, and says so.
  if (stopped !== undefined && !(stopped.why === 'nothing' && isEnd(stopped))) {
    faults.push(`partition ${partition}: ${stopped.why} at ${stopped.offset}`)
  }
  return { faults: faults.slice(0, 3), refused, missing: count - found }
}

const isEnd = ({ offset, highWatermark }: Stop): boolean => offset >= highWatermark

async function found(http: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${http}/metrics`)
  let sum = 0
  for (const line of (await response.text()).split('\n')) {
    const isCount = /^odradek_log_(corruptions_total|failed)\b/.test(line)
    if (isCount) sum += Number(line.slice(line.lastIndexOf(' ') + 1))
  }
  return sum
}

/** One start with damage: what is served, what is said. */
async function round(parts: {
  readonly server: ServerProcess
  readonly flips: readonly Flip[]
  /** More of it, while the node runs. */
  readonly flipMore: () => readonly Flip[]
  readonly tally: Tally
}): Promise<void> {
  const { server, flips, flipMore, tally } = parts
  const where = flips
    .map(({ path, position }) => `${relative(server.dataDirectory, path)}@${position}`)
    .join(' ')
  const fault = (text: string) => tally.faults.push(`${text} (${where})`)
  const logBefore = server.logTail(1_000_000).length
  const said = () => EVIDENCE.test(server.logTail(1_000_000).slice(logBefore))
  if (!(await comesUp(server))) {
    tally.refusedStarts++
    process.stdout.write(`refused: ${server.logTail(3).trim().slice(0, 500)}\n`)
    if (flips.every(({ owner }) => owner !== undefined)) fault('the node did not start')
    else if (!said()) fault('the node did not start and did not say why')
    return
  }
  const damaged = new Set(flips.map(({ owner }) => owner))
  const readAll = async () => {
    let lost = 0
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const reading = await readPartition(server.ports.kafka, partition)
      for (const text of reading.faults) fault(text)
      tally.refusedReads += reading.refused
      lost += reading.missing
      const mayLack = damaged.has(`${TOPIC}-${partition}`)
      if (reading.missing > 0 && !mayLack) {
        fault(`partition ${partition} was not damaged and lacks ${reading.missing} records`)
      }
    }
    return lost
  }
  let missing = await readAll()
  // The same under the running node, which has files open and indexes in memory.
  const more = flipMore()
  for (const { owner } of more) damaged.add(owner)
  if (more.length > 0) missing += await readAll()
  if (!server.isRunning) fault('the node ended while it was read')
  const isSaid = said() || (await found(server.ports.http)) > 0
  if (isSaid) tally.saidStarts++
  else tally.quietStarts++
  if (missing > 0 && !isSaid) fault(`${missing} records are missing and nothing is said`)
}

function parseFlags() {
  const { values } = parseArgs({
    options: {
      flips: { type: 'string', default: '1000' },
      seed: { type: 'string' },
      'per-start': { type: 'string', default: '8' },
      'per-log': { type: 'string', default: '1' },
    },
  })
  const seed = Number(values.seed ?? Date.now() % 1_000_000)
  const [count, perLog] = [Number(values['per-start']), Number(values['per-log'])]
  return { flips: Number(values.flips), dose: { count, perLog }, seed }
}

async function main(): Promise<void> {
  const flags = parseFlags()
  const print = (line: string) => process.stdout.write(`${line}\n`)
  const server = await prepareServer({ peer: 'odradek' })
  print(`seed ${flags.seed}, ${flags.flips} flips, ${server.directory}`)
  await server.start()
  await fill(server.ports.kafka)
  // Two states to damage: after kill -9, and after a stop in order.
  const states = [join(server.directory, 'killed'), join(server.directory, 'stopped')]
  await server.kill()
  cpSync(server.dataDirectory, states[0]!, { recursive: true })
  await server.start()
  await server.stop()
  cpSync(server.dataDirectory, states[1]!, { recursive: true })
  const random = seeded(flags.seed)
  const tally: Tally = {
    faults: [],
    refusedStarts: 0,
    refusedReads: 0,
    saidStarts: 0,
    quietStarts: 0,
    byKind: new Map(),
  }
  let done = 0
  for (let start = 0; done < flags.flips; start++) {
    rmSync(server.dataDirectory, { recursive: true, force: true })
    cpSync(states[start % 2]!, server.dataDirectory, { recursive: true })
    const flips = choose(server.dataDirectory, flags.dose, random)
    for (const { path } of flips) {
      tally.byKind.set(kindOf(path), (tally.byKind.get(kindOf(path)) ?? 0) + 1)
    }
    const flipMore = () => {
      const more = choose(server.dataDirectory, { count: start % 4 < 2 ? 3 : 0, perLog: 1 }, random)
      done += more.length
      return more
    }
    await round({ server, flips, flipMore, tally })
    await server.kill()
    done += flips.length
    if (start % 10 === 9) print(`${done} flips, ${tally.faults.length} faults`)
  }
  for (const [kind, count] of [...tally.byKind].sort()) print(`  ${kind}: ${count}`)
  print(
    `${tally.saidStarts} starts said it, ${tally.quietStarts} had nothing to say, ` +
      `${tally.refusedStarts} were refused; ${tally.refusedReads} reads refused`,
  )
  for (const fault of tally.faults.slice(0, 40)) print(`FAIL ${fault}`)
  await server.remove()
  const isGood = tally.faults.length === 0
  print(`${isGood ? 1 : 0} passed, ${isGood ? 0 : 1} failed`)
  process.exit(isGood ? 0 : 1)
}

await main()
