/*
 * The proof of durability on real processes: a node is killed with SIGKILL many times under load
 * from idempotent producers with acks=all, and opened again. At the end each acknowledged record is
 * there once, in order, at the offset that it was acknowledged with.
 *
 *   node dist/chaos-tests/durability/kill.js --kills 100 [--client raw|confluent] [--seed S]
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fetchAnswer, fetchFrame, recordValues } from '../cluster/frames.ts'
import { IdempotentProducer } from '../cluster/idempotent-producer.ts'
import {
  type Peer,
  type ServerProcess,
  sleep,
  startServer,
  temporaryDirectory,
} from '../cluster/processes.ts'
import { ask, makeTopic } from '../cluster/wire.ts'
import { COMPAT_SOURCES, prepareKafkaLibs, preparePython } from '../compat/toolchains.ts'

const TOPIC = 'durable'
const PARTITIONS = 4
const UP_MIN_MS = 30
const UP_MAX_MS = 400
const DRAIN_LIMIT_MS = 60_000

/** Acknowledged offsets by partition and record number. */
type Acked = number[][]

interface LoadOfRecords {
  /** Ends the load and gives what was acknowledged. */
  finish(): Promise<Acked>
}

/** A small generator with a seed, so that the times of a run's kills can be said again. */
function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

async function startRawLoad(server: ServerProcess): Promise<LoadOfRecords> {
  const producers = Array.from(
    { length: PARTITIONS },
    (_, partition) => new IdempotentProducer(server.ports.kafka, TOPIC, partition),
  )
  for (const producer of producers) await producer.start()
  return {
    finish: async () => {
      for (const producer of producers) producer.stop()
      const ends = Promise.all(producers.map((producer) => producer.ended))
      const late = sleep(DRAIN_LIMIT_MS).then(() => {
        throw new Error('the producers did not drain in time')
      })
      await Promise.race([ends, late])
      const failures = producers.flatMap((producer) => producer.failure ?? [])
      if (failures.length > 0) throw new Error(failures.join('\n'))
      return producers.map((producer) => producer.ackedOffsets)
    },
  }
}

/** librdkafka as the producer: a Python process that writes what was acknowledged to a file. */
async function startConfluentLoad(server: ServerProcess): Promise<LoadOfRecords> {
  const python = await preparePython()
  const file = join(temporaryDirectory('acked'), 'acked.json')
  const script = join(COMPAT_SOURCES, 'python/confluent_load.py')
  const scriptArguments = [script, server.bootstrap, TOPIC, `${PARTITIONS}`, file]
  const child = spawn(python, scriptArguments, { stdio: ['ignore', 'inherit', 'inherit'] })
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  return {
    finish: async () => {
      child.kill('SIGTERM')
      const code = await ended
      if (code !== 0) throw new Error(`the producer ended with ${code}`)
      return JSON.parse(readFileSync(file, 'utf8')) as Acked
    },
  }
}

/** Every value of a partition in order, as [offset, value]. */
async function readPartition(port: number, partition: number): Promise<[number, string][]> {
  const { frame, offsetPosition } = fetchFrame(TOPIC, partition, 1024 * 1024)
  const found: [number, string][] = []
  for (let offset = 0; ; ) {
    frame.writeBigInt64BE(BigInt(offset), offsetPosition)
    const answer = await ask(port, frame)
    if (answer === undefined) throw new Error('a fetch got no answer')
    const { error, highWatermark, recordBytes, recordsPosition } = fetchAnswer(answer, 0)
    if (error !== 0) throw new Error(`a fetch at ${offset} answered error ${error}`)
    const end = recordsPosition + recordBytes
    for (const record of recordValues(answer, recordsPosition, end)) {
      if (record.offset < offset) continue
      found.push([record.offset, record.value.toString()])
      offset = record.offset + 1
    }
    if (offset >= highWatermark) return found
  }
}

/** Faults of one partition: lost, twice, out of order, or at another offset than was said. */
function compare(partition: number, acked: number[], found: [number, string][]): string[] {
  const faults: string[] = []
  const numbers = found.filter(([, value]) => value.startsWith(`${partition}:`))
  numbers.forEach(([offset, value], i) => {
    const number = Number(value.slice(value.indexOf(':') + 1))
    if (number !== i) faults.push(`at offset ${offset} is ${value}, expected number ${i}`)
    const said = acked[number] ?? -1
    if (said >= 0 && said !== offset) {
      faults.push(`${value} is at offset ${offset}, acknowledged at ${said}`)
    }
  })
  if (numbers.length < acked.length) {
    faults.push(`${acked.length} acknowledged, ${numbers.length} found`)
  }
  return faults.slice(0, 5).map((fault) => `partition ${partition}: ${fault}`)
}

function parseFlags() {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '100' },
      client: { type: 'string', default: 'raw' },
      seed: { type: 'string' },
      peer: { type: 'string', default: 'odradek' },
    },
  })
  const seed = Number(values.seed ?? Date.now() % 1_000_000)
  return { ...values, kills: Number(values.kills), seed, peer: values.peer as Peer }
}

async function main(): Promise<void> {
  const flags = parseFlags()
  const libs = flags.peer === 'kafka' ? { kafkaLibs: await prepareKafkaLibs() } : {}
  const server = await startServer({ peer: flags.peer, ...libs })
  const print = (line: string) => process.stdout.write(`${line}\n`)
  print(`seed ${flags.seed}, ${flags.kills} kills, ${server.directory}`)
  await makeTopic(server.ports.kafka, { name: TOPIC, partitions: PARTITIONS })
  const random = seeded(flags.seed)
  const load = await (flags.client === 'confluent' ? startConfluentLoad : startRawLoad)(server)
  const startsMs: number[] = []
  for (let kill = 1; kill <= flags.kills; kill++) {
    await sleep(UP_MIN_MS + random() * (UP_MAX_MS - UP_MIN_MS))
    await server.kill()
    const begin = performance.now()
    await server.start()
    startsMs.push(performance.now() - begin)
    if (kill % 10 === 0) print(`${kill} kills`)
  }
  await sleep(UP_MAX_MS)
  const acked = await load.finish()
  const faults: string[] = []
  let count = 0
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const found = await readPartition(server.ports.kafka, partition)
    faults.push(...compare(partition, acked[partition]!, found))
    count += acked[partition]!.length
  }
  startsMs.sort((a, b) => a - b)
  const median = startsMs[startsMs.length >> 1] ?? 0
  print(`${count} records acknowledged; start after a kill: median ${median.toFixed(0)} ms`)
  for (const fault of faults) print(`FAIL ${fault}`)
  if (faults.length === 0) await server.remove()
  else await server.stop()
  print(`${faults.length === 0 ? 1 : 0} passed, ${faults.length === 0 ? 0 : 1} failed`)
  process.exit(faults.length === 0 ? 0 : 1)
}

await main()
