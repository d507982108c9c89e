/*
 * The rows of the benchmark: loads on a warm server, and stories of a server of their own (start,
 * idle, many partitions). A row gives named numbers; run.ts repeats and prints them.
 */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { prepareServer, type ServerOptions, sleep } from '../chaos-tests/cluster/processes.ts'
import { ServerGroup } from '../chaos-tests/cluster/server-group.ts'
import {
  createTopics,
  makeTopic,
  type NewTopic,
  waitUntilWritable,
} from '../chaos-tests/cluster/wire.ts'
import { catchUpRow, controllerRow } from './bystanders.ts'
import { connectionsRow } from './connections.ts'
import { copyRow } from './copy.ts'
import { countingRow } from './counting.ts'
import { type Fault, failoverRow, groupStartRow, makeReplicatedTopic } from './failover.ts'
import type { LoadJob } from './load.ts'
import {
  cpuSeconds,
  peakResidentBytes,
  type Run,
  residentBytes,
  runLoadProcess,
} from './measure.ts'
import { pacedRow } from './paced.ts'
import { scrapeRow } from './scrape.ts'
import { timelineRow } from './timeline.ts'

export interface Target {
  options: ServerOptions
  port: number
  pid: number
}

export interface RowContext {
  target: Target
  seconds: number
  warmSeconds: number
  /** Of a failover row; as many as it has by itself when absent. */
  faults?: number
}

export type Figures = Record<string, number>

export interface Row {
  name: string
  /** Whether the row starts servers of its own. */
  isStory: boolean
  /** How often a story is repeated; loads are repeated by the flag. */
  runs?: number
  inShort: boolean
  run: (context: RowContext) => Promise<Figures>
}

const LOAD: Omit<LoadJob, 'port' | 'topic' | 'seconds' | 'warmSeconds'> = {
  kind: 'produce',
  partitions: 1,
  connections: 1,
  inFlight: 5,
  recordCount: 1,
  valueBytes: 100,
  codec: 'none',
  acks: 1,
  fromOffset: 0,
  toOffset: 0,
  isOnce: false,
}
const LARGE = { recordCount: 64, valueBytes: 1000 }
/** Segments are rolled and deleted during a run, so that pages are reused. */
const SHORT_LIVED = { 'segment.bytes': '268435456', 'retention.bytes': '536870912' }
let topicNumber = 0

function nextTopic(): string {
  topicNumber++
  return `bench-${topicNumber}-${Date.now().toString(36)}`
}

function figuresOf(run: Run, isBytes: boolean): Figures {
  if (run.error !== undefined) throw new Error(run.error)
  const rate: Figures = isBytes
    ? {
        'MB/s': run.bytes / 1e6 / run.seconds,
        'CPU s/GB': run.cpuSeconds / (run.bytes / 1e9),
      }
    : {
        'requests/s': run.requests / run.seconds,
        'CPU us': (run.cpuSeconds * 1e6) / run.requests,
      }
  return {
    ...rate,
    'p50 ms': run.p50Ms,
    'p99 ms': run.p99Ms,
    'p99.9 ms': run.p999Ms,
    'peak MB': run.peakBytes / 1e6,
    'steal s': run.stealSeconds,
  }
}

async function load(
  { target, seconds, warmSeconds }: RowContext,
  part: Partial<LoadJob>,
): Promise<Run> {
  const { port, pid } = target
  const topic = part.topic ?? ''
  return await runLoadProcess({ ...LOAD, port, topic, seconds, warmSeconds, ...part }, [pid])
}

function produceRow(
  name: string,
  part: Partial<LoadJob>,
  configs: Record<string, string> = SHORT_LIVED,
  inShort = true,
): Row {
  const isBytes = (part.recordCount ?? 1) > 1
  return {
    name,
    isStory: false,
    inShort,
    run: async (context) => {
      const topic = nextTopic()
      const isKafka = context.target.options.peer === 'kafka'
      const wanted = Object.entries(configs).filter(([key]) => isKafka || key !== 'flush.messages')
      const partitions = part.partitions ?? 1
      await makeTopic(context.target.port, {
        name: topic,
        partitions,
        configs: Object.fromEntries(wanted),
      })
      return figuresOf(await load(context, { topic, ...part }), isBytes)
    },
  }
}

/** Fills a topic of six partitions and gives the offset behind the last batch of each. */
async function fill(context: RowContext, topic: string, batches: number): Promise<number> {
  const partitions = 6
  await makeTopic(context.target.port, { name: topic, partitions })
  // waitUntilWritable left one record; then `batches` batches of the measured size.
  const { port, pid } = context.target
  const perPartition = { ...LARGE, partitions, connections: 6, inFlight: 5, isOnce: false }
  const seconds = batches / 2000
  const job = { ...LOAD, ...perPartition, port, topic, seconds, warmSeconds: 0 }
  const run = await runLoadProcess(job, [pid])
  if (run.error !== undefined) throw new Error(run.error)
  const low = Math.floor(run.requests / partitions / 2)
  return 1 + low * LARGE.recordCount
}

function fetchRow(name: string, isCold: boolean, isTail: boolean): Row {
  return {
    name,
    isStory: false,
    inShort: !isCold,
    run: async (context) => {
      const topic = nextTopic()
      const end = await fill(context, topic, isTail ? 1000 : 4000)
      const fromOffset = isTail ? Math.max(1, end - 16 * LARGE.recordCount) : 1
      if (isCold) dropPageCache()
      const common = { ...LARGE, topic, partitions: 6, connections: 6, inFlight: 1 }
      const part = { ...common, kind: 'fetch' as const, fromOffset, toOffset: end, isOnce: isCold }
      const limits = isCold ? { seconds: 60, warmSeconds: 0 } : {}
      return figuresOf(await load({ ...context, ...limits }, part), true)
    },
  }
}

/** Written pages are synced first, then clean pages are dropped; needs root. */
function dropPageCache(): void {
  spawnSync('sync')
  writeFileSync('/proc/sys/vm/drop_caches', '1')
}

/** Seconds from the start of the process to the first acknowledged record. */
async function startRow({ target }: RowContext): Promise<Figures> {
  const server = await prepareServer({ ...target.options, readyTimeoutMs: 120_000 })
  const topic = { name: 'first', partitions: 1 }
  try {
    await server.format()
    const begin = performance.now()
    await server.launch()
    while ((await createTopics(server.ports.kafka, [topic]))?.[0] !== 0) await sleep(2)
    await waitUntilWritable(server.ports.kafka, [topic])
    const fresh = performance.now() - begin
    await server.stop()
    const again = performance.now()
    await server.launch()
    await waitUntilWritable(server.ports.kafka, [topic])
    return { 'fresh s': fresh / 1000, 'restart s': (performance.now() - again) / 1000 }
  } finally {
    await server.remove()
  }
}

async function idleRow({ target, seconds }: RowContext): Promise<Figures> {
  const server = await prepareServer(target.options)
  try {
    await server.start()
    await sleep(3000)
    const before = cpuSeconds(server.pid)
    await sleep(seconds * 2000)
    const percent = ((cpuSeconds(server.pid) - before) / (seconds * 2)) * 100
    return { 'memory MB': residentBytes(server.pid) / 1e6, 'CPU %': percent }
  } finally {
    await server.remove()
  }
}

function manyRow(name: string, topics: readonly NewTopic[], inShort: boolean): Row {
  return {
    name,
    isStory: true,
    runs: 1,
    inShort,
    run: async ({ target }) => {
      const server = await prepareServer({ ...target.options, readyTimeoutMs: 180_000 })
      try {
        await server.start()
        const begin = performance.now()
        const errors = await createTopics(server.ports.kafka, topics)
        const created = performance.now() - begin
        const bad = errors?.find((error) => error !== 0) ?? (errors === undefined ? -1 : 0)
        if (bad !== 0) throw new Error(`creation answered ${bad}`)
        await waitUntilWritable(server.ports.kafka, topics)
        const writable = performance.now() - begin
        const memory = residentBytes(server.pid)
        await server.stop()
        const again = performance.now()
        await server.launch()
        await waitUntilWritable(server.ports.kafka, topics)
        const restart = performance.now() - again
        return {
          'created s': created / 1000,
          'writable s': writable / 1000,
          'memory MB': memory / 1e6,
          'restart s': restart / 1000,
          'restart peak MB': peakResidentBytes(server.pid) / 1e6,
        }
      } finally {
        await server.remove()
      }
    },
  }
}

/** What starts with the row has compiled nothing: half of its first seconds would be V8's own. */
const FRESH_WARM_SECONDS = 8

/** All partitions are led by the first node, so one port takes the load; three nodes keep it. */
function replicatedRow(name: string, part: Partial<LoadJob>, configs = SHORT_LIVED): Row {
  return {
    name,
    isStory: true,
    runs: 2,
    inShort: false,
    run: async ({ target, seconds }) => {
      const group = await ServerGroup.start({ ...target.options, count: 3 })
      try {
        const topic = nextTopic()
        const warmSeconds = FRESH_WARM_SECONDS
        const job = { ...LOAD, acks: -1, ...part, topic, seconds, warmSeconds }
        await makeReplicatedTopic(group, topic, { partitions: job.partitions, configs })
        const pids = group.nodes.map((node) => node.pid)
        const run = await runLoadProcess({ ...job, port: group.nodes[0]!.ports.kafka }, pids)
        return figuresOf(run, job.recordCount > 1)
      } finally {
        await group.remove()
      }
    },
  }
}

const failover = (fault: Fault, count: number): Row => ({
  name: `failover-${fault}`,
  isStory: true,
  runs: 1,
  inShort: false,
  run: (context) => failoverRow(context, fault, context.faults ?? count),
})

const DURABLE = { acks: -1, connections: 50, inFlight: 5 }
const SYNCED = { ...SHORT_LIVED, 'flush.messages': '1' }
const thousand = Array.from({ length: 1000 }, (_, i) => ({ name: `many-${i}`, partitions: 1 }))
const tenThousand = Array.from({ length: 100 }, (_, i) => ({ name: `many-${i}`, partitions: 100 }))

export const ROWS: readonly Row[] = [
  produceRow('produce-64k-6', { ...LARGE, partitions: 6, connections: 6 }),
  produceRow('produce-64k-1', { ...LARGE, connections: 2, inFlight: 15 }),
  produceRow('produce-64k-6-lz4', { ...LARGE, partitions: 6, connections: 6, codec: 'lz4' }),
  produceRow(
    'produce-64k-1-lz4',
    { ...LARGE, connections: 2, inFlight: 15, codec: 'lz4' },
    SHORT_LIVED,
    false,
  ),
  produceRow('produce-100b-8x5', { partitions: 6, connections: 8 }),
  produceRow('produce-100b-1x5', {}),
  produceRow('produce-100b-50x5', { partitions: 6, connections: 50 }, SHORT_LIVED, false),
  produceRow('produce-100b-1x1', { inFlight: 1 }),
  fetchRow('fetch-tail', false, true),
  fetchRow('fetch-cached', false, false),
  fetchRow('fetch-cold', true, false),
  produceRow('durable-250-1', { ...DURABLE }, SYNCED),
  produceRow('durable-250-50', { ...DURABLE, partitions: 50 }, SYNCED, false),
  { name: 'start', isStory: true, runs: 3, inShort: true, run: startRow },
  { name: 'idle', isStory: true, runs: 1, inShort: false, run: idleRow },
  replicatedRow('replicated-64k-6', { ...LARGE, partitions: 6, connections: 6 }),
  {
    name: 'replication-grpc',
    isStory: true,
    runs: 2,
    inShort: false,
    run: (context) => copyRow(context, { ...LOAD, ...LARGE, partitions: 6, connections: 6 }),
  },
  replicatedRow('replicated-durable-250', { connections: 50, inFlight: 5 }, SYNCED),
  replicatedRow('replicated-100b-1x1', { inFlight: 1 }),
  { name: 'paced-10mb', isStory: true, runs: 2, inShort: false, run: pacedRow },
  { name: 'timeline', isStory: true, runs: 1, inShort: false, run: timelineRow },
  { name: 'start-3', isStory: true, runs: 3, inShort: false, run: groupStartRow },
  { name: 'controller-kill', isStory: true, runs: 1, inShort: false, run: controllerRow },
  {
    name: 'catch-up',
    isStory: true,
    runs: 1,
    inShort: false,
    run: (context) => catchUpRow(context, { ...LOAD, ...LARGE, partitions: 6, connections: 6 }),
  },
  { name: 'connections-5000', isStory: true, runs: 1, inShort: false, run: connectionsRow },
  failover('kill', 20),
  failover('stop', 10),
  failover('restart', 10),
  {
    name: 'counting',
    isStory: true,
    runs: 2,
    inShort: false,
    run: (context) => countingRow(context, { ...LOAD, partitions: 6, connections: 8 }),
  },
  { name: 'scrape-2000', isStory: true, runs: 1, inShort: false, run: scrapeRow },
  manyRow('topics-1000', thousand, false),
  manyRow('partitions-10000', tenThousand, false),
]
