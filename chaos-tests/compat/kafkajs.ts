/*
 * kafkajs against one node, run as a process of its own. It speaks old, non-flexible versions of
 * the protocol, so it proves the low ends of the version ranges.
 */
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import type { Admin, CompressionTypes, KafkaMessage, Message, ProducerConfig } from 'kafkajs'
import kafkajs from 'kafkajs'
import { compress, decompress } from '../../log/compression.ts'
import {
  assignmentOfLine,
  BASE_TIMESTAMP_MS,
  CODECS,
  type CodecName,
  CROSS_COUNT,
  type CrossRecord,
  check,
  cross,
  crossRecord,
  driverSettings,
  expectError,
  groupStory,
  Member,
  REPLICAS,
  say,
  waitFor,
} from './driver.ts'

const UNCOMPRESSED_BYTES_MAX = 64 * 1024 * 1024
const settings = driverSettings()
const prefix = `${settings.run}-kafkajs`
const kafka = new kafkajs.Kafka({
  clientId: 'interop',
  brokers: settings.bootstrap.split(','),
  logLevel: kafkajs.logLevel.NOTHING,
  retry: { retries: 5, initialRetryTime: 100 },
})

// kafkajs brings gzip alone and has a door for the others.
const codecTable = kafkajs.CompressionCodecs as unknown as Record<number, () => unknown>
for (const codec of ['snappy', 'lz4', 'zstd'] as const) {
  codecTable[compressionOf(codec)] = () => ({
    compress: async (encoder: { buffer: Buffer }) => compress(codec, encoder.buffer),
    decompress: async (buffer: Buffer) => decompress(codec, buffer, UNCOMPRESSED_BYTES_MAX),
  })
}

function compressionOf(codec: CodecName): CompressionTypes {
  return { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 }[codec] as CompressionTypes
}

async function send(
  topic: string,
  messages: Message[],
  codec: CodecName = 'none',
  options: ProducerConfig = {},
): Promise<void> {
  const producer = kafka.producer({ allowAutoTopicCreation: false, ...options })
  await producer.connect()
  try {
    const acks = -1
    await producer.send({ topic, messages, acks, compression: compressionOf(codec) })
  } finally {
    await producer.disconnect()
  }
}

type Read = KafkaMessage & { partition: number }

/** The first `count` records: kafkajs can only read within a group. */
async function read(topic: string, count: number, limitMs = 25_000): Promise<Read[]> {
  const groupId = `${prefix}-read-${Math.random().toString(36).slice(2)}`
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 200 })
  const found: Read[] = []
  await consumer.connect()
  try {
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ message, partition }) => {
        found.push({ ...message, partition })
      },
    })
    const what = () => `read ${found.length} of ${count} records of ${topic}`
    await waitFor(() => found.length >= count, limitMs, what)
    return found
  } finally {
    await consumer.disconnect()
  }
}

async function create(
  admin: Admin,
  name: string,
  numPartitions = 1,
  configEntries: { name: string; value: string }[] = [],
): Promise<string> {
  const topic = `${prefix}-${name}`
  await admin.createTopics({
    topics: [{ topic, numPartitions, replicationFactor: REPLICAS, configEntries }],
    waitForLeaders: true,
  })
  return topic
}

const texts = (records: readonly Read[]) => records.map((record) => record.value?.toString())
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `${from + i}`)

async function records(admin: Admin): Promise<void> {
  for (const codec of CODECS) {
    await check(`produce and consume: ${codec}`, async () => {
      const topic = await create(admin, `codec-${codec}`)
      const values = numbers(0, 500).map((i) => `${codec}-${i}-${'y'.repeat(Number(i) % 300)}`)
      const messages = values.map((value) => ({ value }))
      await send(topic, messages, codec)
      assert.deepEqual(texts(await read(topic, 500)), values)
      return undefined
    })
  }
  await check('keys, headers, null values', async () => {
    const topic = await create(admin, 'shapes')
    await send(topic, [
      { key: 'k', value: 'v', headers: { h: '1', empty: '' } },
      { key: null, value: 'no key' },
      { key: 'tombstone', value: null },
      { key: '', value: '' },
    ])
    const found = (await read(topic, 4)).map(({ key, value, headers }) => [
      key?.toString() ?? null,
      value?.toString() ?? null,
      Object.entries(headers ?? {}).map(([name, bytes]) => `${name}=${bytes}`),
    ])
    const expected = [
      ['k', 'v', ['h=1', 'empty=']],
      [null, 'no key', []],
      ['tombstone', null, []],
      ['', '', []],
    ]
    assert.deepEqual(found, expected)
    return undefined
  })
  await check('1 MB record; a larger one is refused', async () => {
    const topic = await create(admin, 'big')
    const value = Buffer.alloc(1_000_000, 'abcdefg')
    await send(topic, [{ value }])
    assert.ok((await read(topic, 1))[0]!.value!.equals(value))
    const large = [{ value: Buffer.alloc(1_500_000) }]
    return await expectError(() => send(topic, large), 'MESSAGE_TOO_LARGE', 'max message size')
  })
}

async function moreRecords(admin: Admin): Promise<void> {
  await check('idempotent producer', async () => {
    const topic = await create(admin, 'idempotent')
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    for (const value of numbers(0, 50)) await producer.send({ topic, messages: [{ value }] })
    await producer.disconnect()
    assert.deepEqual(texts(await read(topic, 50)), numbers(0, 50))
    return undefined
  })
  await check('timestamps and offsets for times', async () => {
    const topic = await create(admin, 'timestamps')
    const times = Array.from({ length: 10 }, (_, i) => `${BASE_TIMESTAMP_MS + i * 1000}`)
    const messages = times.map((timestamp) => ({ value: timestamp, timestamp }))
    await send(topic, messages)
    const found = (await read(topic, 10)).map((record) => record.timestamp)
    assert.deepEqual(found, times)
    const byTime = await admin.fetchTopicOffsetsByTimestamp(topic, BASE_TIMESTAMP_MS + 4500)
    assert.equal(byTime[0]!.offset, '5')
    const [offsets] = await admin.fetchTopicOffsets(topic)
    assert.deepEqual([offsets!.low, offsets!.high], ['0', '10'])
    return undefined
  })
  await check('commit, resume, reset', async () => {
    const topic = await create(admin, 'resume')
    const groupId = `${prefix}-resume`
    const messages = numbers(0, 20).map((value) => ({ value }))
    await send(topic, messages)
    assert.deepEqual(await take(topic, groupId, 7), numbers(0, 7))
    assert.deepEqual(await take(topic, groupId, 13), numbers(7, 20))
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '5' }] })
    assert.deepEqual(await take(topic, groupId, 2), numbers(5, 7))
    await admin.resetOffsets({ groupId, topic, earliest: true })
    assert.deepEqual(await take(topic, groupId, 2), numbers(0, 2))
    return undefined
  })
}

/** Reads as a member of the group, commits after the last of `count` records, leaves. */
async function take(topic: string, groupId: string, count: number): Promise<string[]> {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 6_000, maxWaitTimeInMs: 200 })
  const values: string[] = []
  await consumer.connect()
  try {
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ message }) => {
        if (values.length === count) return
        values.push(message.value!.toString())
        if (values.length < count) return
        const offset = `${Number(message.offset) + 1}`
        await consumer.commitOffsets([{ topic, partition: 0, offset }])
      },
    })
    await waitFor(
      () => values.length === count,
      20_000,
      () => `took ${values.length}`,
    )
    await waitForCommit(topic, groupId, Number(values.at(-1)) + 1)
    return values
  } finally {
    await consumer.disconnect()
  }
}

async function waitForCommit(topic: string, groupId: string, offset: number): Promise<void> {
  const admin = kafka.admin()
  await admin.connect()
  try {
    const committed = async () => {
      const [answer] = await admin.fetchOffsets({ groupId, topics: [topic] })
      return answer?.partitions[0]?.offset === `${offset}`
    }
    await waitFor(committed, 5_000, () => `commit of ${offset}`)
  } finally {
    await admin.disconnect()
  }
}

async function adminChecks(admin: Admin): Promise<void> {
  await check('admin: topics and configs', async () => {
    const topic = await create(admin, 'admin', 2, [{ name: 'retention.ms', value: '60000' }])
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    assert.equal(topics[0]!.partitions.length, 2)
    const type = kafkajs.ConfigResourceTypes.TOPIC
    const configValue = async (configName: string) => {
      const resources = [{ type, name: topic, configNames: [configName] }]
      const answer = await admin.describeConfigs({ resources, includeSynonyms: true })
      return answer.resources[0]!.configEntries.find((e) => e.configName === configName)
        ?.configValue
    }
    assert.equal(await configValue('retention.ms'), '60000')
    const configEntries = [{ name: 'retention.ms', value: '120000' }]
    const resources = [{ type, name: topic, configEntries }]
    await admin.alterConfigs({ validateOnly: false, resources })
    assert.equal(await configValue('retention.ms'), '120000')
    await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
    const grown = await admin.fetchTopicMetadata({ topics: [topic] })
    assert.equal(grown.topics[0]!.partitions.length, 5)
    const shrink = { topicPartitions: [{ topic, count: 3 }] }
    await expectError(() => admin.createPartitions(shrink), 'INVALID_PARTITIONS')
    assert.equal(await admin.createTopics({ topics: [{ topic }] }), false)
    await expectError(
      () => admin.createTopics({ topics: [{ topic: 'bad name!' }] }),
      'INVALID_TOPIC_EXCEPTION',
      'invalid topic',
    )
    await admin.deleteTopics({ topics: [topic] })
    const isGone = async () => !(await admin.listTopics()).includes(topic)
    await waitFor(isGone, 10_000, () => 'the topic is gone')
    await expectError(() => admin.deleteTopics({ topics: [topic] }), 'does not host this topic')
    return undefined
  })
  await check('admin: delete records', async () => {
    const topic = await create(admin, 'records')
    const messages = numbers(0, 10).map((value) => ({ value }))
    await send(topic, messages)
    await admin.fetchTopicOffsets(topic) // kafkajs looks for the leader in what it knows already
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '4' }] })
    assert.deepEqual(texts(await read(topic, 6)), numbers(4, 10))
    return undefined
  })
  await check('admin: groups', async () => {
    const groupId = `${prefix}-resume`
    const isListed = async () =>
      (await admin.listGroups()).groups.some((group) => group.groupId === groupId)
    assert.ok(await isListed())
    const described = await admin.describeGroups([groupId])
    assert.equal(described.groups[0]!.state, 'Empty')
    await admin.deleteGroups([groupId])
    assert.equal(await isListed(), false)
    await expectError(() => admin.deleteGroups([groupId]), 'GROUP_ID_NOT_FOUND', 'DeleteGroups')
    const cluster = await admin.describeCluster()
    assert.equal(cluster.brokers.length, settings.bootstrap.split(',').length)
    return undefined
  })
}

async function refusals(admin: Admin): Promise<void> {
  await check('unknown topic', async () =>
    expectError(
      () => admin.fetchTopicMetadata({ topics: [`${prefix}-no-such-topic`] }),
      'does not host this topic',
    ),
  )
  await check('transactional id', async () => {
    const producer = kafka.producer({ transactionalId: `${prefix}-tx`, maxInFlightRequests: 1 })
    await producer.connect()
    try {
      if (!settings.hasTransactions) {
        return await expectError(async () => {
          await (await producer.transaction()).abort()
        }, 'error')
      }
      const topic = await create(admin, 'transactions')
      const aborted = await producer.transaction()
      await aborted.send({ topic, messages: [{ value: 'abort' }] })
      await aborted.abort()
      const committed = await producer.transaction()
      await committed.send({ topic, messages: [{ value: 'commit' }] })
      await committed.commit()
      assert.deepEqual(texts(await read(topic, 1)), ['commit'])
      return undefined
    } finally {
      await producer.disconnect()
    }
  })
}

async function crossWrite(admin: Admin): Promise<void> {
  const topic = await create(admin, 'cross', CODECS.length)
  for (const codec of CODECS) {
    const messages = Array.from({ length: CROSS_COUNT }, (_, i) => {
      const { partition, key, value, headers, timestampMs } = crossRecord('kafkajs', codec, i)
      const timestamp = `${timestampMs}`
      return { partition, key, value, headers: Object.fromEntries(headers), timestamp }
    })
    await send(topic, messages, codec)
  }
}

async function readCross(topic: string, count: number): Promise<CrossRecord[]> {
  return (await read(topic, count)).map((record) => ({
    partition: record.partition,
    offset: Number(record.offset),
    key: record.key?.toString() ?? null,
    value: record.value?.toString() ?? null,
    headers: Object.entries(record.headers ?? {}).map(([name, value]) => [name, `${value}`]),
    timestampMs: Number(record.timestamp),
  }))
}

/** A member of the group story: prints its assignment until it is told to end. */
async function member(topic: string, groupId: string): Promise<void> {
  const consumer = kafka.consumer({
    groupId,
    sessionTimeout: 6_000,
    heartbeatInterval: 500,
    maxWaitTimeInMs: 200,
  })
  consumer.on('consumer.group_join', ({ payload }) => {
    say({ assigned: payload.memberAssignment[topic] ?? [] })
  })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ eachMessage: async () => {} })
  process.once('SIGTERM', () => void consumer.disconnect().then(() => process.exit(0)))
}

async function main(): Promise<void> {
  const admin = kafka.admin()
  await admin.connect()
  await records(admin)
  await moreRecords(admin)
  if (!settings.isFast) {
    const topic = await create(admin, 'group', 12)
    const script = fileURLToPath(import.meta.url)
    const command = [process.execPath, script, 'member', topic, `${prefix}-group`]
    await groupStory(() => new Member(command, assignmentOfLine))
  }
  await adminChecks(admin)
  await refusals(admin)
  await check('writes for the others', async () => {
    await crossWrite(admin)
    return undefined
  })
  const mine = { client: 'kafkajs', topic: `${prefix}-cross`, codecs: [...CODECS] }
  await cross({ ...mine, timestamps: true, headers: true }, readCross)
  await admin.disconnect()
  process.exit(0)
}

if (process.argv[2] === 'member') await member(process.argv[3]!, process.argv[4]!)
else await main()
