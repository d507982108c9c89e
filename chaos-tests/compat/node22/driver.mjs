// @platformatic/kafka against one node. It needs Node 22, so it runs in a process of that version,
// from the cache directory where the package is installed.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import {
  Admin,
  Consumer,
  MessagesStreamModes,
  Producer,
  stringDeserializers,
  stringSerializers,
} from '@platformatic/kafka'

const bootstrap = process.env.INTEROP_BOOTSTRAP
const prefix = `${process.env.INTEROP_RUN}-platformatic`
const replicas = Number(process.env.INTEROP_REPLICAS ?? '1')
const hasTransactions = process.env.INTEROP_TRANSACTIONS === 'supported'
const isFast = process.env.INTEROP_FAST === '1'
const baseTimestampMs = Number(process.env.INTEROP_BASE_TIMESTAMP_MS)
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const ownCodecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const CROSS_COUNT = 20
const common = { clientId: 'interop', bootstrapBrokers: bootstrap.split(','), retries: 5, retryDelay: 100 }

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)

async function check(name, run) {
  const begin = performance.now()
  const ms = () => Math.round(performance.now() - begin)
  try {
    await run()
    say({ check: name, ok: true, ms: ms() })
  } catch (error) {
    const causes = (error.errors ?? []).map((cause) => `\n  ${cause.stack ?? cause}`).join('')
    say({ check: name, ok: false, ms: ms(), detail: `${error.stack ?? error}${causes}` })
  }
}

async function waitFor(condition, limitMs, what) {
  const until = Date.now() + limitMs
  while (!(await condition())) {
    if (Date.now() > until) throw new Error(`not within ${limitMs} ms: ${what()}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Expects a rejection that names one of the error codes of the protocol, at any depth. */
async function expectCode(promise, ...codes) {
  let result
  try {
    result = await promise
  } catch (error) {
    const seen = []
    const walk = (one) => {
      if (one === undefined || one === null) return
      seen.push(one.apiId ?? one.message)
      for (const cause of one.errors ?? []) walk(cause)
      walk(one.cause)
    }
    walk(error)
    const isWanted = codes.some((code) => seen.some((text) => `${text}`.includes(code)))
    assert.ok(isWanted, `expected ${codes}, got ${seen.join(' | ')}`)
    return
  }
  assert.fail(`expected ${codes}, got ${JSON.stringify(result, replaceBigInt)}`)
}

const replaceBigInt = (_, value) => (typeof value === 'bigint' ? `${value}` : value)

async function using(client, run) {
  try {
    return await run(client)
  } finally {
    await client.close(true)
  }
}

const admin = new Admin(common)

async function create(name, partitions = 1) {
  const topic = `${prefix}-${name}`
  await admin.createTopics({ topics: [topic], partitions, replicas })
  const isListed = async () => (await admin.listTopics()).includes(topic)
  await waitFor(isListed, 10_000, () => topic)
  return topic
}

const send = (topic, messages, options = {}) =>
  using(new Producer({ ...common, serializers: stringSerializers, ...options }), (producer) =>
    producer.send({ acks: -1, messages: messages.map((message) => ({ topic, ...message })) }),
  )

/** Reads `count` messages; with `groupId` as a member that commits what it read. */
async function read(topic, count, groupId) {
  const options = { ...common, deserializers: stringDeserializers, maxWaitTime: 200 }
  const id = groupId ?? `${prefix}-read-${Math.random().toString(36).slice(2)}`
  const consumer = new Consumer({ ...options, groupId: id, sessionTimeout: 10_000 })
  return await using(consumer, async () => {
    const { COMMITTED, EARLIEST } = MessagesStreamModes
    const stream = await consumer.consume({
      topics: [topic],
      mode: groupId === undefined ? EARLIEST : COMMITTED,
      fallbackMode: 'earliest',
      autocommit: false,
      isolationLevel: 1,
    })
    const messages = []
    const failed = new Promise((_, reject) => {
      const late = () => reject(new Error(`read ${messages.length} of ${count} of ${topic}`))
      setTimeout(late, 20_000).unref()
      stream.on('error', reject)
    })
    const enough = new Promise((resolve) => {
      stream.on('data', (message) => {
        if (messages.length < count) messages.push(message)
        if (messages.length === count) resolve()
      })
    })
    await Promise.race([enough, failed])
    if (groupId !== undefined) await messages.at(-1).commit()
    await stream.close()
    return messages
  })
}

const values = (messages) => messages.map((message) => message.value)
const numbers = (from, to) => Array.from({ length: to - from }, (_, i) => `${from + i}`)
const toMessages = (list) => list.map((value) => ({ value }))

async function records() {
  for (const codec of ownCodecs) {
    await check(`produce and consume: ${codec}`, async () => {
      const topic = await create(`codec-${codec}`)
      const list = numbers(0, 500).map((i) => `${codec}-${i}-${'y'.repeat(Number(i) % 300)}`)
      await send(topic, toMessages(list), { compression: codec })
      assert.deepEqual(values(await read(topic, 500)), list)
    })
  }
  await check('keys, headers, null values', async () => {
    const topic = await create('shapes')
    await send(topic, [{ key: 'k', value: 'v', headers: { h: '1' } }, { value: 'no key' }])
    const found = (await read(topic, 2)).map(({ key, value, headers }) => [
      key ?? null,
      value,
      [...headers],
    ])
    assert.deepEqual(found, [
      ['k', 'v', [['h', '1']]],
      [null, 'no key', []],
    ])
  })
  await check('1 MB record; a larger one is refused', async () => {
    const topic = await create('big')
    const value = 'abcdefghij'.repeat(100_000)
    await send(topic, [{ value }])
    assert.ok((await read(topic, 1))[0].value === value)
    await expectCode(send(topic, [{ value: 'x'.repeat(1_500_000) }]), 'MESSAGE_TOO_LARGE', 'larger')
  })
  await check('idempotent producer', async () => {
    const topic = await create('idempotent')
    const options = { ...common, serializers: stringSerializers, idempotent: true }
    await using(new Producer(options), async (producer) => {
      for (const value of numbers(0, 50)) await producer.send({ messages: [{ topic, value }] })
    })
    assert.deepEqual(values(await read(topic, 50)), numbers(0, 50))
  })
  await check('timestamps and offsets for times', async () => {
    const topic = await create('timestamps')
    const times = numbers(0, 10).map((i) => BigInt(baseTimestampMs + Number(i) * 1000))
    const messages = times.map((timestamp) => ({ value: `${timestamp}`, timestamp }))
    await send(topic, messages)
    const found = (await read(topic, 10)).map((message) => message.timestamp)
    assert.deepEqual(found, times)
    const at = async (timestamp) => {
      const partitions = [{ partitionIndex: 0, timestamp }]
      const [answer] = await admin.listOffsets({ topics: [{ name: topic, partitions }] })
      return answer.partitions[0].offset
    }
    const offsets = [await at(BigInt(baseTimestampMs + 4500)), await at(-1n), await at(-2n)]
    assert.deepEqual([...offsets, await at(-3n)], [5n, 10n, 0n, 9n])
  })
}

async function commitResume() {
  const topic = await create('resume')
  const groupId = `${prefix}-resume`
  await send(topic, toMessages(numbers(0, 20)))
  assert.deepEqual(values(await read(topic, 7, groupId)), numbers(0, 7))
  assert.deepEqual(values(await read(topic, 13, groupId)), numbers(7, 20))
  const partitionOffsets = [{ partition: 0, offset: 5n }]
  await admin.alterConsumerGroupOffsets({ groupId, topics: [{ name: topic, partitionOffsets }] })
  assert.deepEqual(values(await read(topic, 2, groupId)), numbers(5, 7))
}

async function adminTopics() {
  const topic = await create('admin', 2)
  const resource = { resourceType: 2, resourceName: topic }
  const configs = [{ name: 'retention.ms', configOperation: 0, value: '120000' }]
  await admin.incrementalAlterConfigs({ resources: [{ ...resource, configs }] })
  const [described] = await admin.describeConfigs({ resources: [resource] })
  assert.equal(described.configs.find((c) => c.name === 'retention.ms').value, '120000')
  await admin.createPartitions({ topics: [{ name: topic, count: 5 }] })
  const count = async () => {
    const { topics } = await admin.metadata({ topics: [topic], forceUpdate: true })
    return topics.get(topic).partitionsCount
  }
  await waitFor(async () => (await count()) === 5, 10_000, () => '5 partitions')
  const shrink = admin.createPartitions({ topics: [{ name: topic, count: 3 }] })
  await expectCode(shrink, 'INVALID_PARTITIONS')
  await expectCode(create('admin'), 'TOPIC_ALREADY_EXISTS')
  await expectCode(create('bad name!'), 'INVALID_TOPIC_EXCEPTION')
  await admin.deleteTopics({ topics: [topic] })
  const isGone = async () => !(await admin.listTopics()).includes(topic)
  await waitFor(isGone, 10_000, () => 'the topic is gone')
  await expectCode(admin.deleteTopics({ topics: [topic] }), 'UNKNOWN_TOPIC_OR_PARTITION')
}

async function adminRecords() {
  const topic = await create('records')
  await send(topic, toMessages(numbers(0, 10)))
  const partitions = [{ partition: 0, offset: 4n }]
  const [answer] = await admin.deleteRecords({ topics: [{ name: topic, partitions }] })
  assert.equal(answer.partitions[0].lowWatermark, 4n)
  assert.deepEqual(values(await read(topic, 6)), numbers(4, 10))
}

async function adminGroups() {
  const group = `${prefix}-resume`
  assert.ok((await admin.listGroups()).has(group))
  const described = await admin.describeGroups({ groups: [group] })
  assert.equal(described.get(group).state.toUpperCase(), 'EMPTY')
  const [offsets] = await admin.listConsumerGroupOffsets({ groups: [group] })
  assert.equal(offsets.topics[0].partitions[0].committedOffset, 7n)
  await admin.deleteGroups({ groups: [group] })
  assert.equal((await admin.listGroups()).has(group), false)
}

async function transactions() {
  const options = { ...common, serializers: stringSerializers, idempotent: true }
  const producer = new Producer({ ...options, transactionalId: `${prefix}-tx`, retries: 2 })
  await using(producer, async () => {
    if (!hasTransactions) return await assert.rejects(producer.beginTransaction())
    const topic = await create('transactions')
    const aborted = await producer.beginTransaction()
    await aborted.send({ messages: [{ topic, value: 'abort' }] })
    await aborted.abort()
    const committed = await producer.beginTransaction()
    await committed.send({ messages: [{ topic, value: 'commit' }] })
    await committed.commit()
    assert.deepEqual(values(await read(topic, 1)), ['commit'])
  })
}

/** A member of the group story: prints its assignment until it is told to end. */
async function member(topic, groupId) {
  const timing = { sessionTimeout: 6000, heartbeatInterval: 500, rebalanceTimeout: 6000 }
  const consumer = new Consumer({ ...common, groupId, ...timing, maxWaitTime: 200 })
  consumer.on('consumer:group:join', ({ assignments }) => {
    const mine = (assignments ?? []).find((assignment) => assignment.topic === topic)
    say({ assigned: mine?.partitions ?? [] })
  })
  const stream = await consumer.consume({ topics: [topic], mode: 'earliest' })
  stream.resume()
  process.once('SIGTERM', async () => {
    await consumer.close(true)
    process.exit(0)
  })
}

async function groupStory(topic, group) {
  const members = [0, 1, 2].map(() => {
    const script = fileURLToPath(import.meta.url)
    const child = spawn(process.execPath, [script, 'member', topic, group])
    const one = { child, assigned: [] }
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith('{"assigned"')) one.assigned = JSON.parse(line).assigned
    })
    return one
  })
  const shown = () => JSON.stringify(members.map((one) => one.assigned))
  const step = (name, alive, each, limitMs) =>
    check(name, () =>
      waitFor(
        () =>
          new Set(alive.flatMap((one) => one.assigned)).size === 12 &&
          alive.every((one) => one.assigned.length === each),
        limitMs,
        shown,
      ),
    )
  await step('group of three shares 12 partitions', members, 4, 30_000)
  members[0].child.kill('SIGTERM')
  await step('group: a member leaves', members.slice(1), 6, 20_000)
  members[1].child.kill('SIGKILL')
  await step('group: a member dies', members.slice(2), 12, 25_000)
  for (const one of members) one.child.kill('SIGKILL')
}

function crossRecord(client, codec, i) {
  return {
    partition: CODECS.indexOf(codec),
    key: i % 5 === 4 ? undefined : `key-${i}`,
    value: i % 7 === 3 ? undefined : `value-${codec}-${i}-${'x'.repeat(i * 13)}`,
    headers: { codec, client },
    timestamp: BigInt(baseTimestampMs + i * 1000),
  }
}

async function crossWrite() {
  const topic = await create('cross', CODECS.length)
  for (const codec of ownCodecs) {
    const messages = Array.from({ length: CROSS_COUNT }, (_, i) =>
      crossRecord('platformatic', codec, i),
    )
    await send(topic, messages, { compression: codec })
  }
}

async function expectCross(source) {
  const messages = await read(source.topic, source.codecs.length * CROSS_COUNT)
  for (const codec of source.codecs) {
    const found = messages
      .filter((message) => message.partition === CODECS.indexOf(codec))
      .sort((a, b) => Number(a.offset - b.offset))
    assert.equal(found.length, CROSS_COUNT)
    found.forEach((message, i) => {
      const want = crossRecord(source.client, codec, i)
      assert.deepEqual([message.key ?? undefined, message.value ?? undefined], [want.key, want.value])
      if (source.headers) assert.deepEqual([...message.headers], Object.entries(want.headers))
      if (source.timestamps) assert.equal(message.timestamp, want.timestamp)
    })
  }
}

async function main() {
  await records()
  if (!isFast) await groupStory(await create('group', 12), `${prefix}-group`)
  await check('commit, resume, reset', commitResume)
  await check('admin: topics and configs', adminTopics)
  await check('admin: delete records', adminRecords)
  await check('admin: groups', adminGroups)
  await check('unknown topic', () =>
    expectCode(admin.metadata({ topics: [`${prefix}-no-such-topic`] }), 'UNKNOWN_TOPIC', 'Unknown topic'),
  )
  await check('transactional id', transactions)
  await check('writes for the others', crossWrite)
  const topic = `${prefix}-cross`
  const mine = { client: 'platformatic', topic, codecs: ownCodecs, timestamps: true, headers: true }
  say({ produced: mine })
  for await (const line of createInterface({ input: process.stdin })) {
    for (const source of JSON.parse(line).cross) {
      await check(`reads what ${source.client} wrote`, () => expectCross(source))
    }
    break
  }
  process.exit(0)
}

if (process.argv[2] === 'member') await member(process.argv[3], process.argv[4])
else await main()
