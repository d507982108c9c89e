/*
 * kcat (librdkafka of a Linux distribution) against one node. kcat has no admin commands, so topics
 * are made through kafkajs; it can't set timestamps.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { Admin } from 'kafkajs'
import kafkajs from 'kafkajs'
import {
  CODECS,
  type CodecName,
  CROSS_COUNT,
  type CrossRecord,
  check,
  cross,
  crossRecord,
  driverSettings,
  groupStory,
  Member,
  REPLICAS,
} from './driver.ts'

const settings = driverSettings()
const prefix = `${settings.run}-kcat`
const RUN_LIMIT_MS = 30_000

/** Runs kcat to its end; throws with its messages when it fails. */
async function kcat(kcatArguments: readonly string[], input = ''): Promise<string> {
  const child = spawn('kcat', ['-b', settings.bootstrap, ...kcatArguments])
  const timer = setTimeout(() => child.kill('SIGKILL'), RUN_LIMIT_MS)
  let output = ''
  let errors = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  child.stdin.end(input)
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  clearTimeout(timer)
  if (code !== 0) throw new Error(`kcat ${kcatArguments.join(' ')} ended with ${code}: ${errors}`)
  return output
}

interface KcatMessage {
  partition: number
  offset: number
  ts: number
  headers?: string[]
  key: string | null
  payload: string | null
}

async function read(topic: string, ...more: string[]): Promise<KcatMessage[]> {
  const output = await kcat(['-C', '-t', topic, '-o', 'beginning', '-e', '-q', '-J', ...more])
  const lines = output.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as KcatMessage)
}

async function create(admin: Admin, name: string, numPartitions = 1): Promise<string> {
  const topic = `${prefix}-${name}`
  const topics = [{ topic, numPartitions, replicationFactor: REPLICAS }]
  await admin.createTopics({ topics, waitForLeaders: true })
  return topic
}

const payloads = (messages: readonly KcatMessage[]) => messages.map((message) => message.payload)
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `${from + i}`)

async function records(admin: Admin): Promise<void> {
  for (const codec of CODECS) {
    await check(`produce and consume: ${codec}`, async () => {
      const topic = await create(admin, `codec-${codec}`)
      const values = numbers(0, 500).map((i) => `${codec}-${i}-${'y'.repeat(Number(i) % 300)}`)
      await kcat(['-P', '-t', topic, '-z', codec], values.join('\n'))
      assert.deepEqual(payloads(await read(topic)), values)
      return undefined
    })
  }
  await check('keys, headers, null values', async () => {
    const topic = await create(admin, 'shapes')
    await kcat(['-P', '-t', topic, '-Z', '-K', ':', '-H', 'h=1'], 'k:v\n:no key\ntombstone:\n')
    const found = (await read(topic)).map(({ key, payload, headers }) => [key, payload, headers])
    const headers = ['h', '1']
    assert.deepEqual(found, [
      ['k', 'v', headers],
      [null, 'no key', headers],
      ['tombstone', null, headers],
    ])
    return undefined
  })
  await check('1 MB record', async () => {
    const topic = await create(admin, 'big')
    const value = 'abcdefghij'.repeat(99_000)
    await kcat(['-P', '-t', topic, '-X', 'message.max.bytes=2000000'], value)
    assert.equal((await read(topic))[0]!.payload === value, true)
    return undefined
  })
  await check('idempotent producer', async () => {
    const topic = await create(admin, 'idempotent')
    await kcat(['-P', '-t', topic, '-X', 'enable.idempotence=true'], numbers(0, 2000).join('\n'))
    assert.deepEqual(payloads(await read(topic)), numbers(0, 2000))
    return undefined
  })
}

async function offsets(admin: Admin): Promise<void> {
  await check('metadata, offsets, a part of a partition', async () => {
    const topic = await create(admin, 'offsets', 2)
    const begin = Date.now()
    await kcat(['-P', '-t', topic, '-p', '1'], numbers(0, 10).join('\n'))
    assert.match(await kcat(['-L', '-t', topic]), /with 2 partitions/)
    assert.match(await kcat(['-Q', '-t', `${topic}:1:-1`]), /offset 10/)
    assert.match(await kcat(['-Q', '-t', `${topic}:1:-2`]), /offset 0/)
    assert.match(await kcat(['-Q', '-t', `${topic}:1:${begin - 1}`]), /offset 0/)
    const tail = await kcat(['-C', '-t', topic, '-p', '1', '-o', '-3', '-e', '-q'])
    assert.deepEqual(tail.trim().split('\n'), numbers(7, 10))
    const two = await kcat(['-C', '-t', topic, '-p', '1', '-o', '4', '-c', '2', '-q'])
    assert.deepEqual(two.trim().split('\n'), numbers(4, 6))
    return undefined
  })
  await check('unknown topic', async () => {
    await assert.rejects(
      kcat(['-C', '-t', `${prefix}-no-such-topic`, '-e', '-q']),
      /Unknown topic or partition|Topic .* error/i,
    )
    return undefined
  })
}

async function groups(admin: Admin): Promise<void> {
  if (!settings.isFast) {
    const topic = await create(admin, 'group', 12)
    const timing = ['-X', 'session.timeout.ms=6000', '-X', 'heartbeat.interval.ms=500']
    const command = ['kcat', '-b', settings.bootstrap, ...timing, '-G', `${prefix}-group`, topic]
    await groupStory(() => new Member(command, assignmentOfRebalance))
  }
  await check('commit, resume', async () => {
    const topic = await create(admin, 'resume')
    await kcat(['-P', '-t', topic], numbers(0, 20).join('\n'))
    const common = ['-X', 'auto.offset.reset=earliest', '-q', '-e']
    const take = async (count: number) =>
      (await kcat([...common, '-c', `${count}`, '-G', `${prefix}-resume`, topic]))
        .trim()
        .split('\n')
    assert.deepEqual(await take(7), numbers(0, 7))
    assert.deepEqual(await take(13), numbers(7, 20))
    return undefined
  })
}

/** `% Group NAME rebalanced (memberid ID): assigned: TOPIC [0], TOPIC [1]` */
function assignmentOfRebalance(line: string): number[] | undefined {
  if (!line.startsWith('% Group') || !line.includes('rebalanced')) return undefined
  if (!line.includes('assigned:')) return []
  return [...line.matchAll(/\[(\d+)\]/g)].map((match) => Number(match[1]))
}

async function writeCross(topic: string, codec: CodecName): Promise<void> {
  const lines = Array.from({ length: CROSS_COUNT }, (_, i) => {
    const { key, value } = crossRecord('kcat', codec, i)
    return `${key ?? ''}:${value ?? ''}`
  })
  const headers = crossRecord('kcat', codec, 0).headers.flatMap(([k, v]) => ['-H', `${k}=${v}`])
  const partition = `${CODECS.indexOf(codec)}`
  const options = ['-P', '-t', topic, '-p', partition, '-z', codec, '-Z', '-K', ':', ...headers]
  await kcat(options, lines.join('\n'))
}

async function readCross(topic: string): Promise<CrossRecord[]> {
  return (await read(topic)).map(({ partition, offset, ts, headers, key, payload }) => {
    const pairs: [string, string][] = []
    for (let i = 0; i < (headers?.length ?? 0); i += 2) pairs.push([headers![i]!, headers![i + 1]!])
    return { partition, offset, key, value: payload, headers: pairs, timestampMs: ts }
  })
}

const logLevel = kafkajs.logLevel.NOTHING
const admin = new kafkajs.Kafka({ brokers: settings.bootstrap.split(','), logLevel }).admin()
await admin.connect()
await records(admin)
await offsets(admin)
await groups(admin)
const topic = await create(admin, 'cross', CODECS.length)
await check('writes for the others', async () => {
  for (const codec of CODECS) await writeCross(topic, codec)
  return undefined
})
const codecs = [...CODECS]
await cross({ client: 'kcat', topic, codecs, timestamps: false, headers: true }, readCross)
await admin.disconnect()
