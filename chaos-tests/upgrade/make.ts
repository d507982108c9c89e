/*
 * Makes the fixture of the code at hand; the release script calls it.
 *
 *   node dist/chaos-tests/upgrade/make.js FILE
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTopics } from '../../kafka/api/19-create-topics.ts'
import { type Cluster, check } from '../../kafka/client/cluster.ts'
import { Consumer } from '../../kafka/client/consumer.ts'
import { GroupMember } from '../../kafka/client/group-member.ts'
import { Producer } from '../../kafka/client/producer.ts'
import { VERSION } from '../../node/version.ts'
import { Tap } from './exchange.ts'
import { type Files, readFiles, writeFixture } from './fixture.ts'
import { clientOf, startNode } from './node.ts'

const TIMEOUT_MS = 10_000
const PARTITIONS = 2
const RECORDS = 20
const COMMITTED = 7

async function makeTopics(cluster: Cluster): Promise<void> {
  const controller = await cluster.controller()
  const topic = (name: string, configs: { name: string; value: string }[]) => {
    return { name, numPartitions: PARTITIONS, replicationFactor: 1, assignments: [], configs }
  }
  const topics = [
    topic('orders', []),
    topic('users', [{ name: 'cleanup.policy', value: 'compact' }]),
  ]
  const request = { topics, timeoutMs: TIMEOUT_MS, validateOnly: false }
  const answer = await controller.request(createTopics, request, TIMEOUT_MS)
  for (const { name, errorCode } of answer.topics) check(errorCode, name)
}

/** Each codec, by an idempotent producer of its own. */
async function produce(cluster: Cluster): Promise<void> {
  for (const compression of ['none', 'gzip', 'snappy', 'lz4'] as const) {
    const producer = new Producer(cluster, { compression })
    const records = Array.from({ length: RECORDS }, (_, at) => ({
      key: Buffer.from(`key-${at % 5}`),
      value: Buffer.from(`${compression} ${at} ${'.'.repeat(at)}`),
      headers: [{ key: 'codec', value: Buffer.from(compression) }],
      partition: at % PARTITIONS,
    }))
    await producer.send('orders', records)
    await producer.send('users', records)
  }
}

async function commit(cluster: Cluster): Promise<void> {
  const member = new GroupMember(cluster, { group: 'readers', topics: ['orders'] })
  await member.join()
  await member.commit([{ topic: 'orders', partition: 0, offset: COMMITTED }])
  await member.close()
}

/** What is asked again: metadata, offsets, records, what a group has committed. */
async function read(cluster: Cluster): Promise<void> {
  const consumer = new Consumer(cluster, { startAt: 'earliest', maxWaitMs: 100 })
  for (const topic of ['orders', 'users']) {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      await consumer.offset(topic, partition, 'earliest')
      await consumer.offset(topic, partition, 'latest')
      await consumer.assign([{ topic, partition }])
      await consumer.poll()
    }
  }
  const member = new GroupMember(cluster, { group: 'readers', topics: ['orders'] })
  await member.join()
  await member.close()
}

async function make(directory: string) {
  const tap = new Tap()
  await tap.listen()
  const node = await startNode(directory, tap.port)
  tap.targetPort = node.endpoints[0]!.port
  let killed: Files
  try {
    const writer = clientOf(tap.port)
    await makeTopics(writer)
    tap.isKeeping = true
    await produce(writer)
    tap.isKeeping = false
    await commit(writer)
    await writer.close()
    tap.isKeeping = true
    const reader = clientOf(tap.port)
    await read(reader)
    await reader.close()
    killed = readFiles(directory)
  } finally {
    await node.stop()
    await tap.close()
  }
  return { release: VERSION, clean: readFiles(directory), killed, exchanges: tap.exchanges }
}

const [file] = process.argv.slice(2)
if (file === undefined) {
  process.stderr.write('usage: node dist/chaos-tests/upgrade/make.js FILE\n')
  process.exit(2)
}
const directory = mkdtempSync(join(tmpdir(), 'odradek-fixture-'))
try {
  writeFixture(await make(directory), file)
} finally {
  rmSync(directory, { recursive: true, force: true })
}
