/*
 * The benchmark: rows of load and stories against one Odradek node, with Apache Kafka beside it on
 * request. Prints a table and writes everything as JSON. Figures carry the machine's state: a
 * calibration loop before and after, and the time stolen in each run.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  type Peer,
  type ServerOptions,
  type ServerProcess,
  startServer,
} from '../chaos-tests/cluster/processes.ts'
import { prepareKafkaLibs } from '../chaos-tests/compat/toolchains.ts'
import { calibrate, spread } from './measure.ts'
import { fillPageCache } from './page-cache.ts'
import { type Figures, ROWS, type Row, type RowContext } from './rows.ts'

const HELP = `npm run bench -- [ROW or prefix...] [flags]
  --peer kafka     measure Apache Kafka from its published jars beside, in turn
  --only-peer      measure the peer alone
  --seconds S      measured seconds of one load (4)
  --runs N         repetitions of a load (3)
  --faults N       of a failover row (20 or 10; the goals are for 100)
  --warm S         seconds of warm-up of Kafka before the first row (30); 10 for Odradek
  --fresh-memory   do not fill the page cache first
  --short          a few seconds a row, one run: shows that the bench works
  --output FILE    the JSON (default: a file in the temporary directory)
rows: ROWS`

const ODRADEK_WARM_SECONDS = 10

interface Measured {
  row: string
  peer: Peer
  figures: Record<string, { median: number; min: number; max: number }>
  error?: string
}

const print = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

function parseFlags() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      peer: { type: 'string' },
      'only-peer': { type: 'boolean' },
      seconds: { type: 'string', default: '4' },
      runs: { type: 'string', default: '3' },
      faults: { type: 'string' },
      warm: { type: 'string', default: '30' },
      'fresh-memory': { type: 'boolean' },
      short: { type: 'boolean' },
      output: { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  if (values.help === true) {
    print(HELP.replace('ROWS', ROWS.map((row) => row.name).join(' ')))
    process.exit(0)
  }
  const isShort = values.short === true
  const isWanted = (row: Row) =>
    positionals.length === 0
      ? !isShort || row.inShort
      : positionals.some((name) => row.name.startsWith(name))
  return {
    peers: peersOf(values.peer, values['only-peer'] === true),
    rows: ROWS.filter(isWanted),
    seconds: isShort ? 1 : Number(values.seconds),
    warmSeconds: isShort ? 0.5 : 1.5,
    runs: isShort ? 1 : Number(values.runs),
    warmUpSeconds: {
      kafka: isShort ? 2 : Number(values.warm),
      odradek: isShort ? 0 : ODRADEK_WARM_SECONDS,
    },
    fillsPageCache: !isShort && values['fresh-memory'] !== true && process.platform === 'linux',
    faults: values.faults === undefined ? undefined : Number(values.faults),
    output: values.output,
  }
}

function peersOf(peer: string | undefined, isAlone: boolean): Peer[] {
  if (peer === undefined) return ['odradek']
  if (peer !== 'kafka') throw new Error(`there is no peer ${peer}; kafka is one`)
  return isAlone ? ['kafka'] : ['odradek', 'kafka']
}

async function optionsOf(peer: Peer): Promise<ServerOptions> {
  const properties = { 'log.retention.check.interval.ms': '2000' }
  if (peer === 'odradek') return { peer, properties }
  return { peer, properties, kafkaLibs: await prepareKafkaLibs() }
}

/** Repeats a row on one peer; an error ends the row, not the benchmark. */
async function measure(row: Row, context: RowContext, runs: number): Promise<Measured> {
  const { peer } = context.target.options
  const seen: Figures[] = []
  const count = row.isStory ? Math.min(runs, row.runs ?? 1) : runs
  try {
    for (let i = 0; i < count; i++) seen.push(await row.run(context))
  } catch (error) {
    return { row: row.name, peer, figures: {}, error: String(error) }
  }
  const names = Object.keys(seen[0] ?? {})
  const figures = Object.fromEntries(
    names.map((name) => [name, spread(seen.map((run) => run[name]!))]),
  )
  return { row: row.name, peer, figures }
}

function show(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en-US')
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toPrecision(2)
}

function printMeasured({ row, peer, figures, error }: Measured): void {
  if (error !== undefined) {
    print(`${row.padEnd(20)} ${peer.padEnd(8)} failed: ${error}`)
    return
  }
  const cells = Object.entries(figures).map(([name, { median, min, max }]) => {
    const range = min === max ? '' : ` (${show(min)} to ${show(max)})`
    return `${name} ${show(median)}${range}`
  })
  print(`${row.padEnd(20)} ${peer.padEnd(8)} ${cells.join(', ')}`)
}

async function printCalibration(when: string): Promise<unknown> {
  const result = await calibrate()
  const crc = show(result.crcMegabytesPerSecond)
  print(`calibration ${when}: CRC-32C ${crc} MB/s, ${show(result.echoesPerSecond)} echoes/s`)
  return result
}

/** A JVM gets faster for minutes, V8 for seconds; the same requests as the rows send. */
const WARM_UP = ['produce-100b-8x5', 'produce-64k-6', 'produce-64k-6-lz4', 'fetch-cached']

async function warmUp(context: RowContext, seconds: number): Promise<void> {
  if (seconds === 0) return
  const share = { ...context, seconds: seconds / WARM_UP.length, warmSeconds: 0 }
  for (const name of WARM_UP) {
    const row = ROWS.find((one) => one.name === name)
    await row?.run(share)
  }
}

async function main(): Promise<void> {
  const flags = parseFlags()
  const needsServer = flags.rows.some((row) => !row.isStory)
  const servers: ServerProcess[] = []
  const contexts: RowContext[] = []
  for (const peer of flags.peers) {
    const options = await optionsOf(peer)
    const server = needsServer ? await startServer(options) : undefined
    if (server !== undefined) servers.push(server)
    const target = { options, port: server?.ports.kafka ?? 0, pid: server?.pid ?? 0 }
    const { seconds, warmSeconds, faults } = flags
    contexts.push({ target, seconds, warmSeconds, ...(faults === undefined ? {} : { faults }) })
  }
  print(`${cpus().length} cores, ${cpus()[0]?.model ?? ''}, Node ${process.version}`)
  const filled = flags.fillsPageCache ? fillPageCache() : undefined
  if (filled !== undefined) {
    print(`page cache filled: ${show(filled.bytes / 1e9)} GB in ${show(filled.seconds)} s`)
  }
  const before = await printCalibration('before')
  const results: Measured[] = []
  try {
    for (const context of contexts) {
      if (needsServer) await warmUp(context, flags.warmUpSeconds[context.target.options.peer])
    }
    for (const row of flags.rows) {
      for (const context of contexts) {
        const measured = await measure(row, context, flags.runs)
        printMeasured(measured)
        results.push(measured)
      }
    }
  } finally {
    for (const server of servers) await server.remove()
    filled?.remove()
  }
  const after = await printCalibration('after')
  const file = flags.output ?? join(tmpdir(), `odradek-bench-${Date.now()}.json`)
  mkdirSync(join(file, '..'), { recursive: true })
  const machine = { cores: cpus().length, model: cpus()[0]?.model, node: process.version }
  const calibration = { before, after }
  writeFileSync(file, `${JSON.stringify({ machine, calibration, results }, undefined, 2)}\n`)
  print(`written to ${file}`)
  const failed = results.filter((result) => result.error !== undefined).length
  print(`${results.length - failed} passed, ${failed} failed`)
  process.exit(failed > 0 ? 1 : 0)
}

await main()
