/*
 * What a node with much on its disk needs to come back: three nodes hold so many gigabytes each; one is
 * killed with SIGKILL in the middle of writing at full speed, stays away while a writer goes on, and is
 * started again. Printed: when it answers, when it says that it is ready, and when every replica is in
 * sync, each from the start of the process; and what the node has computed until it was ready, which
 * says more on a machine that does other things.
 *
 *   node dist/chaos-tests/hardship/large-restart.js [--gigabytes 10] [--restarts 3]
 */
import { readFileSync, rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { realClock } from '../../base/real/clock.ts'
import { realNetwork } from '../../base/real/network.ts'
import { createTopics } from '../../kafka/api/19-create-topics.ts'
import { Cluster } from '../../kafka/client/cluster.ts'
import { produceError, produceFrame, recordBatch, sampleValues } from '../cluster/frames.ts'
import { type ServerProcess, sleep } from '../cluster/processes.ts'
import { ServerGroup, waitUntilWhole } from '../cluster/server-group.ts'
import { ask } from '../cluster/wire.ts'

const TOPIC = 'large'
const PARTITIONS = 12
const REPLICAS = 3
const VALUES = 9
const VALUE_BYTES = 100_000
const LIMIT_MS = 120_000
const AWAY_MS = 2000
/** One batch to each partition, so often, while a node is away. */
const SLOW_MS = 1000
const LOOK_MS = 20
const TICK_MS = 10
const READY_GOAL_MS = 5000
const IN_SYNC_GOAL_MS = 15_000

const print = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

/** Writes to every partition at once; a batch that nobody takes is sent again to who leads then. */
class Writer {
  bytes = 0
  pauseMs = 0
  readonly #group: ServerGroup
  readonly #cluster: Cluster
  readonly #batch = recordBatch({ values: sampleValues(VALUES, VALUE_BYTES) })
  #isOver = false
  #ended: Promise<unknown> = Promise.resolve()

  constructor(group: ServerGroup, cluster: Cluster) {
    this.#group = group
    this.#cluster = cluster
  }

  start(): void {
    const all = Array.from({ length: PARTITIONS }, (_, partition) => this.#run(partition))
    this.#ended = Promise.all(all)
  }

  stop(): Promise<unknown> {
    this.#isOver = true
    return this.#ended
  }

  async #run(partition: number): Promise<void> {
    const frame = produceFrame(TOPIC, partition, this.#batch, -1)
    while (!this.#isOver) {
      const [leader] = (await this.#leaders()).slice(partition)
      const node = this.#group.nodes[(leader ?? 0) - 1]
      const answer = node === undefined ? undefined : await ask(node.ports.kafka, frame)
      if (answer !== undefined && produceError(answer, 0).error === 0) {
        this.bytes += this.#batch.length
        await sleep(this.pauseMs)
      } else await sleep(LOOK_MS)
    }
  }

  async #leaders(): Promise<number[]> {
    return await this.#cluster.leaders(TOPIC).catch(() => [])
  }
}

async function statusOf(node: ServerProcess, path: string): Promise<number> {
  try {
    const response = await fetch(`http://127.0.0.1:${node.ports.http}${path}`)
    await response.arrayBuffer()
    return response.status
  } catch {
    return 0
  }
}

async function until(sinceMs: number, isSo: () => Promise<boolean>): Promise<number> {
  while (!(await isSo())) {
    if (performance.now() - sinceMs > LIMIT_MS) throw new Error('the node did not come back')
    await sleep(LOOK_MS)
  }
  return Math.round(performance.now() - sinceMs)
}

/** Of a process so far, on Linux. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

interface Times {
  readonly cpuMs: number
  readonly answersMs: number
  readonly readyMs: number
  readonly inSyncMs: number
}

async function restart(node: ServerProcess, cluster: Cluster, writer: Writer): Promise<Times> {
  await waitUntilWhole(cluster, null, LIMIT_MS)
  writer.pauseMs = 0
  await sleep(AWAY_MS)
  await node.kill()
  writer.pauseMs = SLOW_MS
  await sleep(AWAY_MS)
  const beganMs = performance.now()
  await node.launch()
  const answersMs = await until(beganMs, async () => (await statusOf(node, '/livez')) === 200)
  const readyMs = await until(beganMs, async () => (await statusOf(node, '/readyz')) === 200)
  const computedMs = cpuMs(node.pid)
  await waitUntilWhole(cluster, null, LIMIT_MS)
  return {
    cpuMs: computedMs,
    answersMs,
    readyMs,
    inSyncMs: Math.round(performance.now() - beganMs),
  }
}

async function fill(cluster: Cluster, writer: Writer, gigabytes: number): Promise<void> {
  const topic = { name: TOPIC, numPartitions: PARTITIONS, replicationFactor: REPLICAS }
  const request = { topics: [{ ...topic, assignments: [], configs: [] }] }
  const rest = { timeoutMs: LIMIT_MS, validateOnly: false }
  await cluster.request(undefined, createTopics, { ...request, ...rest }, LIMIT_MS)
  await waitUntilWhole(cluster, [TOPIC], LIMIT_MS)
  writer.start()
  for (let told = 1; writer.bytes < gigabytes * 1e9; await sleep(LOOK_MS)) {
    if (writer.bytes < told * 1e9) continue
    print(`${told} GB`)
    told++
  }
}

/** Also when it is interrupted: it is much. The nodes have been ended before. */
function removeAtTheEnd(group: ServerGroup): void {
  process.on('exit', () => {
    for (const { directory } of group.nodes) rmSync(directory, { recursive: true, force: true })
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      gigabytes: { type: 'string', default: '10' },
      restarts: { type: 'string', default: '3' },
    },
  })
  const gigabytes = Number(values.gigabytes)
  const group = await ServerGroup.start({ peer: 'odradek', count: 3 })
  removeAtTheEnd(group)
  const bootstrap = group.nodes.map((node) => node.bootstrap)
  const parts = { network: realNetwork, clock: realClock }
  const cluster = new Cluster(parts, { bootstrap, clientId: 'large', timeoutMs: LIMIT_MS })
  const writer = new Writer(group, cluster)
  let failed = 0
  try {
    await fill(cluster, writer, gigabytes)
    for (let i = 0; i < Number(values.restarts); i++) {
      const node = group.nodes[i % group.nodes.length]!
      const { cpuMs, answersMs, readyMs, inSyncMs } = await restart(node, cluster, writer)
      const isGood = readyMs < READY_GOAL_MS && inSyncMs < IN_SYNC_GOAL_MS
      if (!isGood) failed++
      print(
        `${isGood ? '' : 'FAIL '}node ${node.options.properties?.['node.id']}, ` +
          `${(writer.bytes / 1e9).toFixed(1)} GB: answers after ${answersMs} ms, ` +
          `ready after ${readyMs} ms (${cpuMs} ms of a core), all in sync after ${inSyncMs} ms`,
      )
    }
    await writer.stop()
  } finally {
    await cluster.close()
    await Promise.all(group.nodes.map((node) => node.kill()))
    await group.remove()
  }
  print(`${Number(values.restarts) - failed} passed, ${failed} failed`)
  process.exit(failed === 0 ? 0 : 1)
}

await main()
