/**
 * A real node under `kill -9`: an idempotent producer with acks=all writes all the time, the node is
 * killed at random moments and started again, and at the end each acknowledged record is there once,
 * in order. `node dist/chaos-tests/durability/kill.js --kills 100`
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { realClock } from '../../base/real/clock.ts'
import { realNetwork } from '../../base/real/network.ts'
import { createTopics } from '../../kafka/api/19-create-topics.ts'
import { Cluster } from '../../kafka/client/cluster.ts'
import { Consumer } from '../../kafka/client/consumer.ts'
import { Producer } from '../../kafka/client/producer.ts'

const PARTITIONS = 3
const RUN_MS_MAX = 700
const BATCH_RECORDS = 20
const TOPIC = 'durable'
const MAIN = fileURLToPath(new URL('../../node/main.js', import.meta.url))

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        resolve(typeof address === 'object' && address !== null ? address.port : 0),
      )
    })
  })
}

function startNode(file: string): ChildProcess {
  return spawn(
    process.execPath,
    [MAIN, 'start', file, '--profile', 'dev', '--log-level', 'error'],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  )
}

async function ready(httpPort: number): Promise<void> {
  const deadlineMs = Date.now() + 30_000
  while (Date.now() < deadlineMs) {
    try {
      if ((await fetch(`http://127.0.0.1:${httpPort}/readyz`)).status === 200) return
    } catch {
      // Not listening yet.
    }
    await pause(10)
  }
  throw new Error('the node is not ready after 30 s')
}

function gone(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve()
    else child.once('exit', () => resolve())
  })
}

interface Acked {
  readonly partition: number
  readonly offset: number
  readonly value: string
}

/** Writes until told to stop; keeps what was acknowledged. */
async function write(producer: Producer, acked: Acked[], isOver: () => boolean): Promise<void> {
  for (let next = 0; !isOver(); ) {
    const records = Array.from({ length: BATCH_RECORDS }, () => {
      const number = next++
      return { value: Buffer.from(String(number)), partition: number % PARTITIONS }
    })
    const delivered = await producer.send(TOPIC, records)
    delivered.forEach(({ partition, offset }, at) => {
      acked.push({ partition, offset, value: records[at]!.value.toString() })
    })
  }
}

/** All records by partition, in order. */
async function readAll(
  cluster: Cluster,
): Promise<Map<number, { offset: number; value: string }[]>> {
  const consumer = new Consumer(cluster, { startAt: 'earliest', maxWaitMs: 300 })
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition)
  await consumer.assign(partitions.map((partition) => ({ topic: TOPIC, partition })))
  const found = new Map<number, { offset: number; value: string }[]>(
    partitions.map((partition) => [partition, []]),
  )
  for (;;) {
    const records = await consumer.poll()
    if (records.length === 0) return found
    for (const { partition, offset, value } of records) {
      found.get(partition)!.push({ offset, value: value!.toString() })
    }
  }
}

function check(acked: Acked[], found: Map<number, { offset: number; value: string }[]>): string[] {
  const faults: string[] = []
  for (const [partition, records] of found) {
    const numbers = records.map(({ value }) => Number(value))
    const isRising = numbers.every((number, at) => at === 0 || number > numbers[at - 1]!)
    if (!isRising) faults.push(`partition ${partition}: a record is twice there or out of order`)
    const byOffset = new Map(records.map(({ offset, value }) => [offset, value]))
    for (const record of acked) {
      if (record.partition !== partition || byOffset.get(record.offset) === record.value) continue
      faults.push(`partition ${partition}: ${record.value} is not at offset ${record.offset}`)
    }
  }
  return faults
}

async function main(): Promise<void> {
  const at = process.argv.indexOf('--kills')
  const kills = at < 0 ? 100 : Number(process.argv[at + 1])
  const directory = mkdtempSync(join(tmpdir(), 'odradek-kill-'))
  const [kafkaPort, httpPort] = [await freePort(), await freePort()]
  const file = join(directory, 'node.properties')
  writeFileSync(
    file,
    [
      'process.roles=broker,controller',
      'node.id=1',
      `listeners=PLAINTEXT://127.0.0.1:${kafkaPort},CONTROLLER://127.0.0.1:${await freePort()}`,
      'controller.listener.names=CONTROLLER',
      `log.dirs=${join(directory, 'data')}`,
      `http.address=127.0.0.1:${httpPort}`,
      '',
    ].join('\n'),
  )
  let child = startNode(file)
  const cluster = new Cluster(
    { network: realNetwork, clock: realClock },
    { bootstrap: [`127.0.0.1:${kafkaPort}`], clientId: 'kill', timeoutMs: 30_000 },
  )
  try {
    await ready(httpPort)
    await cluster.request(undefined, createTopics, {
      topics: [
        {
          name: TOPIC,
          numPartitions: PARTITIONS,
          replicationFactor: 1,
          assignments: [],
          configs: [],
        },
      ],
      timeoutMs: 10_000,
      validateOnly: false,
    })
    const acked: Acked[] = []
    let isOver = false
    const writer = write(new Producer(cluster), acked, () => isOver)
    for (let kill = 0; kill < kills; kill++) {
      await pause(Math.random() * RUN_MS_MAX)
      child.kill('SIGKILL')
      await gone(child)
      child = startNode(file)
      await ready(httpPort)
    }
    isOver = true
    await writer
    const faults = check(acked, await readAll(cluster))
    for (const fault of faults.slice(0, 20)) process.stdout.write(`${fault}\n`)
    process.stdout.write(
      `${kills} kills, ${acked.length} acknowledged records, ${faults.length} faults\n`,
    )
    process.exitCode = faults.length === 0 ? 0 : 1
  } finally {
    await cluster.close()
    child.kill('SIGKILL')
    await gone(child)
    rmSync(directory, { recursive: true, force: true })
  }
}

await main()
