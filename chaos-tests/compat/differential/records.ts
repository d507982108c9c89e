/* Records produced, fetched, found and deleted, and the ways in which each is refused. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { produce } from '../../../kafka/api/00-produce.ts'
import { fetch } from '../../../kafka/api/01-fetch.ts'
import { listOffsets } from '../../../kafka/api/02-list-offsets.ts'
import { deleteRecords } from '../../../kafka/api/21-delete-records.ts'
import { initProducerId } from '../../../kafka/api/22-init-producer-id.ts'
import { offsetForLeaderEpoch } from '../../../kafka/api/23-offset-for-leader-epoch.ts'
import { describeProducers } from '../../../kafka/api/61-describe-producers.ts'
import type { Written } from '../../../kafka/wire/schema.ts'
import { type BatchOptions, encodeBatch, type NewRecord } from '../../../log/records.ts'
import { type Side, versionsOf } from './side.ts'
import { NO_SUCH_ID } from './topics.ts'

const BROKEN = fileURLToPath(
  new URL('../../../../log/testdata/batches/broken.jsonl', import.meta.url),
)
const LIMIT = { timeoutMs: 10_000 }
const LONG_AGO_MS = 1_700_000_000_000
const FAR_AHEAD_MS = 4_000_000_000_000

function batch(rest: Partial<NewRecord> = {}, options: BatchOptions = {}, count = 1): Buffer {
  const record = { timestampMs: Date.now(), key: Buffer.from('k'), value: Buffer.from('v') }
  return encodeBatch(
    Array.from({ length: count }, () => ({ ...record, ...rest })),
    options,
  )
}

type Produce = Written<typeof produce.request>

export async function producing(side: Side): Promise<void> {
  await side.makeTopics([
    { name: 'p', partitions: 2 },
    { name: 'p-compact', configs: { 'cleanup.policy': 'compact' } },
    { name: 'p-append', configs: { 'message.timestamp.type': 'LogAppendTime' } },
    { name: 'p-small', configs: { 'max.message.bytes': '200' } },
    { name: 'p-strict', configs: { 'message.timestamp.before.max.ms': '1000' } },
    { name: 'p-replicas', configs: { 'min.insync.replicas': '2' } },
  ])
  for (const at of versionsOf(produce)) {
    const into = (
      name: string,
      records: Buffer | null,
      index = 0,
      rest: Partial<Produce> = {},
    ) => ({
      acks: -1,
      ...LIMIT,
      topicData: [
        at[1] >= 13
          ? {
              topicId: name === 'nope' ? NO_SUCH_ID : side.topicId(name),
              partitionData: [{ index, records }],
            }
          : { name, partitionData: [{ index, records }] },
      ],
      ...rest,
    })
    const unkeyed = batch({ key: null })
    const asked: Record<string, Produce> = {
      well: into('p', batch()),
      'acks of the leader': into('p', batch(), 0, { acks: 1 }),
      'odd acks': into('p', batch(), 0, { acks: 2 }),
      'no time': into('p', batch(), 0, { timeoutMs: 0 }),
      'unknown topic': into('nope', batch()),
      'unknown partition': into('p', batch(), 9),
      'a partition below zero': into('p', batch(), -1),
      'null records': into('p', null),
      'no records': into('p', Buffer.alloc(0)),
      'two batches': into('p', Buffer.concat([batch(), batch()])),
      'half a batch': into('p', batch().subarray(0, 40)),
      'without a key, compacted': into('p-compact', unkeyed),
      'some without a key, compacted': into('p-compact', batch({ key: null }, {}, 3)),
      'time of the append': into('p-append', batch({ timestampMs: LONG_AGO_MS })),
      'too large': into('p-small', batch({ value: Buffer.alloc(500) })),
      'too old': into('p-strict', batch({ timestampMs: LONG_AGO_MS })),
      'too far ahead': into('p', batch({ timestampMs: FAR_AHEAD_MS })),
      'no timestamp': into('p', batch({ timestampMs: -1 })),
      'too few replicas': into('p-replicas', batch()),
      'too few replicas, acks of the leader': into('p-replicas', batch(), 0, { acks: 1 }),
      'no topics': { acks: -1, ...LIMIT, topicData: [] },
      zstd: into('p', batch({}, { compression: 'zstd' })),
      'a sequence of nobody': into(
        'p',
        batch({}, { producerId: 77_000 + at[1], producerEpoch: 0, baseSequence: 5 }),
      ),
      transactional: into(
        'p',
        batch({}, { producerId: 1, producerEpoch: 0, baseSequence: 0, isTransactional: true }),
      ),
      control: into('p', batch({}, { isControl: true })),
    }
    for (const [label, body] of Object.entries(asked)) await side.ask(label, at, body)
  }
  await breaking(side)
  await sequencing(side)
}

/** The batches that are damaged or odd. */
async function breaking(side: Side): Promise<void> {
  await side.makeTopics([{ name: 'broken' }])
  const lines = readFileSync(BROKEN, 'utf8').trim().split('\n')
  for (const line of lines) {
    const { name, hex } = JSON.parse(line) as { name: string; hex: string }
    await side.ask(`batch: ${name}`, [produce, 9], {
      acks: -1,
      ...LIMIT,
      topicData: [
        { name: 'broken', partitionData: [{ index: 0, records: Buffer.from(hex, 'hex') }] },
      ],
    })
  }
}

/** Idempotent producers. */
async function sequencing(side: Side): Promise<void> {
  await side.makeTopics([{ name: 'seq' }])
  const newId = () =>
    side.probe(initProducerId, { transactionalId: null, transactionTimeoutMs: 60_000 })
  await side.until(async () => (await newId()).producerId > 0, 'ids of producers')
  for (const at of versionsOf(initProducerId)) {
    const ask = (label: string, rest: Partial<Written<typeof initProducerId.request>>) =>
      side.ask(label, at, { transactionalId: null, transactionTimeoutMs: 60_000, ...rest })
    await ask('well', {})
    await ask('an empty transactional id', { transactionalId: '' })
    await ask('an id without an epoch', { producerId: 5 })
    await ask('an id and an epoch', { producerId: 5, producerEpoch: 1 })
    await ask('an epoch without an id', { producerEpoch: 1 })
    await ask('no time', { transactionTimeoutMs: 0 })
  }
  const { producerId } = await newId()
  const send = (label: string, baseSequence: number, producerEpoch = 0, count = 1) =>
    side.ask(label, [produce, 9], {
      acks: -1,
      ...LIMIT,
      topicData: [
        {
          name: 'seq',
          partitionData: [
            { index: 0, records: batch({}, { producerId, producerEpoch, baseSequence }, count) },
          ],
        },
      ],
    })
  await send('first', 0)
  await send('first again', 0)
  await send('next two', 1, 0, 2)
  await send('with a gap', 9)
  await send('the same from elsewhere', 1)
  for (let at = 3; at < 10; at++) await send(`number ${at}`, at)
  await send('long ago', 0)
  await send('of a new epoch, in the middle', 4, 1)
  await send('of a new epoch', 0, 1)
  await send('of the old epoch', 10, 0)
  for (const at of versionsOf(describeProducers)) {
    const of = (name: string, ...partitionIndexes: number[]) => ({
      topics: [{ name, partitionIndexes }],
    })
    await side.ask('well', at, of('seq', 0))
    await side.ask('unknown', at, of('nope', 0))
    await side.ask('unknown partition', at, of('seq', 4))
    await side.ask('none', at, { topics: [] })
  }
}

async function fill(side: Side, name: string): Promise<void> {
  for (const timestampMs of [LONG_AGO_MS, LONG_AGO_MS + 5000, LONG_AGO_MS + 2000]) {
    const records = batch({ timestampMs }, {}, 3)
    await side.probe(produce, {
      acks: -1,
      ...LIMIT,
      topicData: [{ topicId: side.topicId(name), partitionData: [{ index: 0, records }] }],
    })
  }
}

export async function fetching(side: Side): Promise<void> {
  await side.makeTopics([{ name: 'f', partitions: 2, configs: { 'retention.ms': '-1' } }])
  await fill(side, 'f')
  for (const at of versionsOf(fetch)) {
    type Partition = Written<typeof fetch.request>['topics'][number]['partitions'][number]
    const from = (fetchOffset: number, rest: Partial<Partition> = {}, name = 'f') => ({
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes: 1_000_000,
      isolationLevel: 0,
      forgottenTopicsData: [],
      topics: [
        {
          ...(at[1] >= 13
            ? { topicId: name === 'nope' ? NO_SUCH_ID : side.topicId(name) }
            : { topic: name }),
          partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 1_000_000, ...rest }],
        },
      ],
    })
    const asked: Record<string, Written<typeof fetch.request>> = {
      all: from(0),
      'from the middle of a batch': from(4),
      'from the end': from(9),
      'from behind the end': from(10),
      'from before the start': from(-1),
      'less than a batch': from(0, { partitionMaxBytes: 1 }),
      'less than a batch in all': { ...from(0), maxBytes: 1 },
      'nothing at all': { ...from(0), maxBytes: 0 },
      'unknown topic': from(0, {}, 'nope'),
      'unknown partition': from(0, { partition: 7 }),
      'newer epoch': from(0, { currentLeaderEpoch: 5 }),
      'this epoch': from(0, { currentLeaderEpoch: 0 }),
      diverged: from(9, { lastFetchedEpoch: 3 }),
      'not diverged': from(9, { lastFetchedEpoch: 0 }),
      'committed alone': { ...from(0), isolationLevel: 1 },
      'odd isolation': { ...from(0), isolationLevel: 5 },
      nothing: { ...from(0), topics: [] },
      'unknown session': { ...from(0), sessionId: 99, sessionEpoch: 4 },
      'a new session': { ...from(0), sessionId: 0, sessionEpoch: 0 },
      'an epoch without a session': { ...from(0), sessionId: 0, sessionEpoch: 5 },
      'as a follower': { ...from(0), replicaId: 1 },
      'as an unknown follower': { ...from(0), replicaId: 9 },
      'a partition twice': { ...from(0), topics: [...from(0).topics, ...from(3).topics] },
    }
    for (const [label, body] of Object.entries(asked)) await side.ask(label, at, body)
    await inSession(side, at[1], from(9))
  }
}

async function inSession(
  side: Side,
  version: number,
  body: Written<typeof fetch.request>,
): Promise<void> {
  if (version < 7) return
  const at = [fetch, version] as const
  const made = await side.ask('session, first', at, { ...body, sessionId: 0, sessionEpoch: 0 })
  const sessionId = made?.sessionId ?? 0
  const next = { ...body, topics: [], sessionId }
  await side.ask('session, nothing new', at, { ...next, sessionEpoch: 1 })
  await side.ask('session, an epoch again', at, { ...next, sessionEpoch: 1 })
  const forgotten = body.topics.map(({ topic, topicId }) => ({ topic, topicId, partitions: [0] }))
  const forgetting = { ...next, sessionEpoch: 2, forgottenTopicsData: forgotten as never }
  await side.ask('session, forgotten', at, forgetting)
  await side.ask('session, closed', at, { ...next, sessionEpoch: -1 })
  await side.ask('session, after its end', at, { ...next, sessionEpoch: 3 })
}

export async function findingOffsets(side: Side): Promise<void> {
  await side.makeTopics([{ name: 'o', partitions: 2, configs: { 'retention.ms': '-1' } }])
  await fill(side, 'o')
  for (const at of versionsOf(listOffsets)) {
    type Query = { partitionIndex?: number; currentLeaderEpoch?: number }
    const of = (timestamp: number, rest: Query = {}, name = 'o') => ({
      replicaId: -1,
      topics: [{ name, partitions: [{ partitionIndex: 0, timestamp, ...rest }] }],
    })
    for (const timestamp of [-1, -2, -3, -4, -5, -6, -7, 0, LONG_AGO_MS, FAR_AHEAD_MS]) {
      await side.ask(`at ${timestamp}`, at, of(timestamp))
      await side.ask(`at ${timestamp}, empty`, at, of(timestamp, { partitionIndex: 1 }))
    }
    for (const after of [1, 2000, 3000, 5000, 5001]) {
      await side.ask(`after ${after} ms`, at, of(LONG_AGO_MS + after))
    }
    await side.ask('unknown topic', at, of(-1, {}, 'nope'))
    await side.ask('unknown partition', at, of(-1, { partitionIndex: 5 }))
    await side.ask('newer epoch', at, of(-1, { currentLeaderEpoch: 5 }))
    await side.ask('committed alone', at, { ...of(-1), isolationLevel: 1 })
    await side.ask('as a follower', at, { ...of(-1), replicaId: 9 })
    await side.ask('as a debugger', at, { ...of(-1), replicaId: -2 })
    await side.ask('none', at, { replicaId: -1, topics: [] })
    const twice = of(-1).topics[0]!
    const partitions = [...twice.partitions, ...twice.partitions]
    await side.ask('twice', at, { replicaId: -1, topics: [{ name: 'o', partitions }] })
  }
  for (const at of versionsOf(offsetForLeaderEpoch)) {
    const of = (leaderEpoch: number, rest = {}, topic = 'o') => ({
      replicaId: -1,
      topics: [{ topic, partitions: [{ partition: 0, leaderEpoch, ...rest }] }],
    })
    for (const epoch of [-1, 0, 1, 9]) await side.ask(`of ${epoch}`, at, of(epoch))
    await side.ask('unknown topic', at, of(0, {}, 'nope'))
    await side.ask('unknown partition', at, of(0, { partition: 9 }))
    await side.ask('newer epoch', at, of(0, { currentLeaderEpoch: 7 }))
    await side.ask('empty', at, of(0, { partition: 1 }))
  }
}

export async function deletingRecords(side: Side): Promise<void> {
  for (const at of versionsOf(deleteRecords)) {
    const name = `v${at[1]}-records`
    await side.makeTopics([
      { name, partitions: 2, configs: { 'retention.ms': '-1' } },
      { name: `${name}-compact`, configs: { 'cleanup.policy': 'compact' } },
    ])
    await fill(side, name)
    const to = (offset: number, partitionIndex = 0, topic = name) => ({
      topics: [{ name: topic, partitions: [{ partitionIndex, offset }] }],
      ...LIMIT,
    })
    await side.ask('some', at, to(4))
    await side.ask('fewer', at, to(2))
    await side.ask('beyond the end', at, to(99))
    await side.ask('below zero', at, to(-2))
    await side.ask('to the end', at, to(-1))
    await side.ask('of an empty one', at, to(-1, 1))
    await side.ask('unknown partition', at, to(1, 7))
    await side.ask('unknown topic', at, to(1, 0, 'nope'))
    await side.ask('compacted', at, to(0, 0, `${name}-compact`))
    await side.ask('none', at, { topics: [], ...LIMIT })
  }
}
