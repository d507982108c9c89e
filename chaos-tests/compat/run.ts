/*
 * The interop suite: real clients in five languages against real nodes. It prepares what each
 * client needs, runs the clients' drivers a few at a time, then lets each client read what every
 * other one wrote. See `--help` for the flags.
 */
import { spawn } from 'node:child_process'
import { createWriteStream, existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { temporaryDirectory } from '../cluster/processes.ts'
import { ServerGroup } from '../cluster/server-group.ts'
import { runDifferential } from './differential/run-differential.ts'
import type { CrossSource, DriverLine } from './driver.ts'
import { print, Report } from './report.ts'
import { runSuite, SUITES } from './suites/run-suite.ts'
import {
  COMPAT_SOURCES,
  prepareGo,
  prepareJava,
  prepareKafkaLibs,
  prepareKcat,
  prepareNode22,
  prepareOlderJava,
  preparePython,
  Unavailable,
} from './toolchains.ts'

const HELP = `npm run interop -- [flags]
  --bootstrap HOST:PORT   test a node that runs already
  --data DIRECTORY        its log directory, for the check with DumpLogSegments
  --peer kafka            start Apache Kafka from its published jars instead of Odradek
  --nodes N               number of nodes (1); from 3 on, topics have 3 replicas
  --only NAME,NAME        some clients: CLIENTS
  --fast                  leave out the stories of groups, which wait for session time-outs
  --transactions refused|supported   what to expect of a transactional id
  --jobs N                drivers at once (3)
  --differential          ask Apache Kafka and a node of ours the same and compare the answers
  --suite NAME --checkout DIRECTORY   the client's own test suite instead: SUITES
  --filter TEXT           part of that suite in the words of its runner, or of the differential`
const DRIVER_LIMIT_MS = 5 * 60_000
/** Three brokers on a busy machine take a while. */
const READY_LIMIT_MS = 3 * 60_000
const BASE_TIMESTAMP_MS = Date.now() - 3_600_000

interface Settings {
  bootstrap: string
  replicas: number
  dataDirectory: string | undefined
  isFast: boolean
  hasTransactions: boolean
  logDirectory: string
  kafkaLibs: string | undefined
}

/** A client's driver: how to prepare it, and the command that prepare gives. */
interface Client {
  name: string
  prepare: () => Promise<string[]>
  hasCross: boolean
}

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const python = (script: string) => async () => [
  await preparePython(),
  join(COMPAT_SOURCES, 'python', script),
]

const JAVA_FLAGS = ['-Xmx512M', '-XX:TieredStopAtLevel=1']
const olderJava = (version: string): Client => {
  const name = `java-${version.slice(0, version.lastIndexOf('.'))}`
  return {
    name,
    prepare: async () => {
      const flags = [...JAVA_FLAGS, `-Dinterop.client=${name}`]
      return ['java', ...flags, '-cp', await prepareOlderJava(version), 'InteropOlder']
    },
    hasCross: true,
  }
}

const CLIENTS: readonly Client[] = [
  { name: 'issue', prepare: python('issue_program.py'), hasCross: false },
  {
    name: 'java',
    prepare: async () => {
      const flags = [...JAVA_FLAGS, '-Dlog4j2.level=OFF']
      return ['java', ...flags, '-cp', await prepareJava(), 'Interop']
    },
    hasCross: true,
  },
  olderJava('3.9.1'),
  olderJava('2.8.2'),
  { name: 'kafkajs', prepare: async () => [process.execPath, here('kafkajs.js')], hasCross: true },
  { name: 'kafka-python', prepare: python('kafka_python_driver.py'), hasCross: true },
  { name: 'confluent-kafka', prepare: python('confluent_driver.py'), hasCross: true },
  { name: 'aiokafka', prepare: python('aiokafka_driver.py'), hasCross: true },
  {
    name: 'kcat',
    prepare: async () => {
      await prepareKcat()
      return [process.execPath, here('kcat.js')]
    },
    hasCross: true,
  },
  { name: 'franz-go', prepare: async () => [await prepareGo()], hasCross: true },
  {
    name: 'platformatic',
    prepare: async () => {
      const { node, directory } = await prepareNode22()
      return [node, join(directory, 'driver.mjs')]
    },
    hasCross: true,
  },
]

/** One driver process. It ends its own checks with `produced`, then waits for the others' list. */
class Driver {
  readonly client: Client
  produced: CrossSource | undefined
  readonly ownChecksDone: Promise<void>
  readonly ended: Promise<void>
  readonly #stdin: NodeJS.WritableStream

  constructor(client: Client, command: readonly string[], settings: Settings, report: Report) {
    this.client = client
    const child = spawn(command[0]!, command.slice(1), {
      cwd: settings.logDirectory,
      env: { ...process.env, ...driverEnvironment(settings) },
    })
    this.#stdin = child.stdin
    child.stdin.on('error', () => {})
    child.stderr.pipe(createWriteStream(join(settings.logDirectory, `${client.name}.log`)))
    const timer = setTimeout(() => child.kill('SIGKILL'), DRIVER_LIMIT_MS)
    const lines = createInterface({ input: child.stdout })
    const hasProduced = new Promise<void>((resolve) => {
      lines.on('line', (text) => {
        const line = parseLine(text)
        if (line === undefined) return
        if (line.check !== undefined) report.add(client.name, line)
        if (line.produced === undefined) return
        this.produced = line.produced
        resolve()
      })
    })
    this.ended = new Promise((resolve) => {
      child.once('error', () => resolve())
      child.once('close', (code, signal) => {
        clearTimeout(timer)
        if (code !== 0) report.fail(client.name, 'the driver ends', `${code ?? signal}`)
        else if (client.hasCross && this.produced === undefined) {
          report.fail(client.name, 'the driver writes for the others', 'it ended before')
        }
        resolve()
      })
    })
    this.ownChecksDone = Promise.race([hasProduced, this.ended])
  }

  async readOthers(sources: readonly CrossSource[]): Promise<void> {
    this.#stdin.end(`${JSON.stringify({ cross: sources })}\n`)
    await this.ended
  }
}

function parseLine(text: string): DriverLine | undefined {
  if (!text.startsWith('{')) return undefined
  try {
    return JSON.parse(text) as DriverLine
  } catch {
    return undefined
  }
}

function driverEnvironment(settings: Settings): NodeJS.ProcessEnv {
  return {
    INTEROP_BOOTSTRAP: settings.bootstrap,
    INTEROP_REPLICAS: `${settings.replicas}`,
    INTEROP_RUN: `r${Date.now().toString(36)}`,
    INTEROP_TRANSACTIONS: settings.hasTransactions ? 'supported' : 'refused',
    INTEROP_FAST: settings.isFast ? '1' : '0',
    INTEROP_BASE_TIMESTAMP_MS: `${BASE_TIMESTAMP_MS}`,
    INTEROP_DATA_DIRECTORY: settings.dataDirectory ?? '',
    INTEROP_LOG_DIRECTORY: settings.logDirectory,
    JAVA_TOOL_OPTIONS: '',
    PYTHONDONTWRITEBYTECODE: '1',
  }
}

/** Runs `work` on each item, at most `limit` at once, in order of the items. */
async function eachLimited<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items]
  const lane = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: limit }, lane))
}

async function runClients(
  clients: readonly Client[],
  jobs: number,
  settings: Settings,
  report: Report,
): Promise<void> {
  const drivers: Driver[] = []
  await eachLimited(clients, jobs, async (client) => {
    let command: string[]
    try {
      command = await client.prepare()
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      return report.skip(client.name, 'all checks', error.message)
    }
    const driver = new Driver(client, command, settings, report)
    drivers.push(driver)
    await driver.ownChecksDone
  })
  const sources = drivers.flatMap((driver) => driver.produced ?? [])
  await eachLimited(drivers, jobs, (driver) => driver.readOthers(sources))
}

function parseFlags() {
  const { values } = parseArgs({
    options: {
      bootstrap: { type: 'string' },
      data: { type: 'string' },
      peer: { type: 'string' },
      nodes: { type: 'string', default: '1' },
      only: { type: 'string' },
      fast: { type: 'boolean' },
      transactions: { type: 'string' },
      jobs: { type: 'string', default: '3' },
      suite: { type: 'string' },
      checkout: { type: 'string' },
      differential: { type: 'boolean' },
      filter: { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  if (values.help === true) {
    const help = HELP.replace('CLIENTS', CLIENTS.map((client) => client.name).join(','))
    print(help.replace('SUITES', SUITES.map((suite) => suite.name).join(', ')))
    process.exit(0)
  }
  const names = values.only?.split(',')
  const unknown = names?.filter((name) => !CLIENTS.some((client) => client.name === name)) ?? []
  if (unknown.length > 0) {
    print(`there is no client ${unknown.join(', ')}; see --help`)
    process.exit(2)
  }
  return { ...values, clients: CLIENTS.filter((client) => names?.includes(client.name) ?? true) }
}

async function main(): Promise<void> {
  const flags = parseFlags()
  const isKafka = flags.peer === 'kafka'
  if (flags.differential === true) process.exit(await runDifferential(flags.filter))
  if (flags.suite !== undefined) {
    const { suite, checkout = '.', filter } = flags
    const peer = isKafka ? 'kafka' : 'odradek'
    process.exit(await runSuite({ suite, checkout, nodes: Number(flags.nodes), peer, filter }))
  }
  const logDirectory = temporaryDirectory('interop')
  const kafkaLibs = isKafka ? await prepareKafkaLibs() : undefined
  const count = Number(flags.nodes)
  let group: ServerGroup | undefined
  if (flags.bootstrap === undefined) {
    group = await ServerGroup.start({
      count,
      peer: isKafka ? 'kafka' : 'odradek',
      readyTimeoutMs: READY_LIMIT_MS,
      ...(kafkaLibs === undefined ? {} : { kafkaLibs }),
      properties: {
        'group.initial.rebalance.delay.ms': '0',
        'offsets.topic.num.partitions': '8',
        'transaction.state.log.num.partitions': '8',
      },
    })
  }
  const bootstrap = flags.bootstrap ?? group!.bootstrap
  // With as many replicas as nodes, each node has every partition.
  const dataDirectory = flags.data ?? group?.nodes.at(0)?.dataDirectory
  const replicas = Math.min(3, count)
  const hasTransactions =
    (flags.transactions ?? (isKafka ? 'supported' : 'refused')) === 'supported'
  print(`${isKafka ? 'Apache Kafka' : 'Odradek'} at ${bootstrap}`)
  const settings = { bootstrap, replicas, dataDirectory, hasTransactions, logDirectory, kafkaLibs }
  const report = new Report(logDirectory)
  try {
    const isFast = flags.fast === true
    await runClients(flags.clients, Number(flags.jobs), { ...settings, isFast }, report)
    for (const node of group?.nodes ?? []) {
      if (!node.isRunning) report.fail('node', 'it lives to the end', node.logTail(100))
    }
  } finally {
    await group?.stop()
  }
  report.finish()
  const hasFailed = report.failedCount > 0
  if (hasFailed) for (const node of group?.nodes ?? []) print(`a node's log is ${node.logFile}`)
  if (!hasFailed) {
    await group?.remove()
    if (existsSync(logDirectory)) await rm(logDirectory, { recursive: true })
  }
  process.exit(hasFailed ? 1 : 0)
}

await main()
