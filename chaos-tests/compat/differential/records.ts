/** What is asked about records. */

import { produce } from '../../../kafka/api/00-produce.ts'
import { fetch } from '../../../kafka/api/01-fetch.ts'
import { listOffsets } from '../../../kafka/api/02-list-offsets.ts'
import { deleteRecords } from '../../../kafka/api/21-delete-records.ts'
import { initProducerId } from '../../../kafka/api/22-init-producer-id.ts'
import { offsetForLeaderEpoch } from '../../../kafka/api/23-offset-for-leader-epoch.ts'
import { describeProducers } from '../../../kafka/api/61-describe-producers.ts'
import { type BatchOptions, encodeBatch, type NewRecord } from '../../../log/records.ts'
import type { Session } from './session.ts'
import { type Case, makeTopic } from './topics.ts'

const AT_MS = 1_700_000_000_000
const UNKNOWN_ID = 'AAAAAAAAAAAAAAAAAAAA_w'

const record = (key: string | null, value: string | null, timestampMs = AT_MS): NewRecord => ({
  timestampMs,
  key: key === null ? null : Buffer.from(key),
  value: value === null ? null : Buffer.from(value),
})

const batch = (records: readonly NewRecord[], options?: BatchOptions) =>
  encodeBatch(records, options)

interface To {
  readonly name: string
  readonly topicId?: string
  readonly index?: number
  readonly acks?: number
  readonly transactionalId?: string
}

const write = (to: To, records: Buffer | null) => ({
  transactionalId: to.transactionalId ?? null,
  acks: to.acks ?? -1,
  timeoutMs: 15_000,
  topicData: [
    {
      name: to.name,
      topicId: to.topicId ?? UNKNOWN_ID,
      partitionData: [{ index: to.index ?? 0, records }],
    },
  ],
})

interface From {
  readonly name: string
  readonly topicId?: string
  readonly index?: number
  readonly offset?: number
  readonly epoch?: number
  readonly lastEpoch?: number
  readonly isolationLevel?: number
  readonly partitionBytes?: number
  readonly maxBytes?: number
  readonly sessionId?: number
  readonly sessionEpoch?: number
}

const read = (from: From) => ({
  replicaId: -1,
  maxWaitMs: 0,
  minBytes: 0,
  maxBytes: from.maxBytes ?? 1_000_000,
  isolationLevel: from.isolationLevel ?? 0,
  sessionId: from.sessionId ?? 0,
  sessionEpoch: from.sessionEpoch ?? -1,
  topics: [
    {
      topic: from.name,
      topicId: from.topicId ?? UNKNOWN_ID,
      partitions: [
        {
          partition: from.index ?? 0,
          currentLeaderEpoch: from.epoch ?? -1,
          fetchOffset: from.offset ?? 0,
          lastFetchedEpoch: from.lastEpoch ?? -1,
          partitionMaxBytes: from.partitionBytes ?? 1_000_000,
        },
      ],
    },
  ],
  forgottenTopicsData: [],
})

const offsets = (name: string, timestamp: number, index = 0, currentLeaderEpoch = -1) => ({
  replicaId: -1,
  timeoutMs: 10_000,
  topics: [{ name, partitions: [{ partitionIndex: index, currentLeaderEpoch, timestamp }] }],
})

async function wroteTen(session: Session, name: string): Promise<string> {
  await makeTopic(session, name)
  const topicId = await session.topicId(name)
  for (let i = 0; i < 10; i += 2) {
    const records = [record(`k${i}`, `v${i}`, AT_MS + i), record(null, 'w', AT_MS + i + 1)]
    await session.quietly(produce, write({ name, topicId }, batch(records)))
  }
  return topicId
}

/** A batch with one thing wrong; its checksum is right unless that is it. */
const WRONG_BATCHES: readonly (readonly [what: string, () => Buffer | null])[] = [
  ['null', () => null],
  ['empty', () => Buffer.alloc(0)],
  ['a flipped bit', () => flipped(70)],
  ['magic 1', () => flipped(16, 3)],
  ['cut', () => batch([record('k', 'v')]).subarray(0, 60)],
  ['two batches', () => Buffer.concat([batch([record('a', 'b')]), batch([record('c', 'd')])])],
  ['transactional', () => batch([record('k', 'v')], { isTransactional: true, ...producer(5) })],
  ['control', () => batch([record('k', 'v')], { isControl: true })],
  ['no timestamp', () => batch([record('k', 'v', -1)])],
  ['a negative sequence', () => batch([record('k', 'v')], { ...producer(5), baseSequence: -1 })],
  ['an unknown producer', () => batch([record('k', 'v')], producer(5_000_000))],
  ['base offset 7', () => batch([record('k', 'v')], { baseOffset: 7 })],
]

const producer = (producerId: number) => ({ producerId, producerEpoch: 0, baseSequence: 0 })

function flipped(at: number, mask = 1): Buffer {
  const bytes = Buffer.from(batch([record('key', 'value'), record('key', 'value')]))
  bytes[at]! ^= mask
  return bytes
}

export const RECORD_CASES: readonly Case[] = [
  {
    name: 'produce',
    run: async (session) => {
      await makeTopic(session, 'written', { numPartitions: 2 })
      const topicId = await session.topicId('written')
      const to = { name: 'written', topicId }
      await session.each(produce, write(to, batch([record('k', 'v')])))
      await session.each(produce, write({ ...to, acks: 1 }, batch([record('k', 'v')])))
      await session.each(produce, write({ ...to, acks: 2 }, batch([record('k', 'v')])))
      await session.each(produce, write({ ...to, index: 9 }, batch([record('k', 'v')])))
      await session.each(produce, write({ ...to, index: -1 }, batch([record('k', 'v')])))
      await session.each(produce, write({ name: 'missing' }, batch([record('k', 'v')])))
      for (const compression of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
        await session.each(produce, write(to, batch([record('k', 'v')], { compression })))
      }
      await session.ask(produce, { ...write(to, null), topicData: [] })
    },
  },
  ...WRONG_BATCHES.map(([what, make]) => ({
    name: `produce a batch: ${what}`,
    run: async (session: Session) => {
      await makeTopic(session, 'refuses')
      const to = { name: 'refuses', topicId: await session.topicId('refuses') }
      await session.each(produce, write(to, make()))
    },
  })),
  {
    name: 'produce against the settings of a topic',
    run: async (session) => {
      const config = (name: string, value: string) => ({ configs: [{ name, value }] })
      await makeTopic(session, 'compacted', config('cleanup.policy', 'compact'))
      const compacted = { name: 'compacted', topicId: await session.topicId('compacted') }
      const mixed = [record('k', 'v'), record(null, 'v'), record('k', null), record(null, null)]
      await session.each(produce, write(compacted, batch(mixed)))
      await makeTopic(session, 'small', config('max.message.bytes', '200'))
      const small = { name: 'small', topicId: await session.topicId('small') }
      await session.each(produce, write(small, batch([record('k', 'v'.repeat(300))])))
      await makeTopic(session, 'punctual', config('message.timestamp.before.max.ms', '1000'))
      const punctual = { name: 'punctual', topicId: await session.topicId('punctual') }
      await session.each(produce, write(punctual, batch([record('k', 'v')])))
      await makeTopic(session, 'stamps', config('message.timestamp.type', 'LogAppendTime'))
      const stamps = { name: 'stamps', topicId: await session.topicId('stamps') }
      await session.each(produce, write(stamps, batch([record('k', 'v')])))
    },
  },
  {
    name: 'idempotent producers',
    run: async (session) => {
      const ask = { transactionalId: null, transactionTimeoutMs: 60_000 }
      await session.each(initProducerId, ask)
      await session.each(initProducerId, { ...ask, producerId: 5 })
      await session.each(initProducerId, { ...ask, producerId: 5, producerEpoch: 0 })
      await session.each(initProducerId, { ...ask, transactionTimeoutMs: -1 })
      const { producerId } = await session.quietly(initProducerId, ask)
      await makeTopic(session, 'once')
      const to = { name: 'once', topicId: await session.topicId('once') }
      const send = async (baseSequence: number, producerEpoch = 0, count = 1) => {
        const records = Array.from({ length: count }, () => record('k', 'v'))
        const options = { producerId, producerEpoch, baseSequence }
        await session.ask(produce, write(to, batch(records, options)))
      }
      await send(0)
      await send(0) // again
      await send(2) // a gap
      await send(1, 0, 3)
      await send(1, 0, 2) // another batch at the same place
      for (let i = 4; i < 12; i++) await send(i)
      await send(4) // not among the last five
      await send(11)
      await send(5, 1) // a new epoch begins at 0
      await send(0, 1)
      await send(1, 0) // an old epoch
      await session.ask(describeProducers, { topics: [{ name: 'once', partitionIndexes: [0, 7] }] })
      await session.ask(describeProducers, {
        topics: [{ name: 'missing', partitionIndexes: [0] }],
      })
    },
  },
  {
    name: 'fetch',
    run: async (session) => {
      const name = 'read'
      const from = { name, topicId: await wroteTen(session, name) }
      for (const offset of [0, 1, 9, 10, 11, -1, -2]) {
        await session.each(fetch, read({ ...from, offset }))
      }
      await session.each(fetch, read({ ...from, index: 5 }))
      await session.each(fetch, read({ ...from, epoch: 40 }))
      await session.each(fetch, read({ ...from, isolationLevel: 1 }))
      await session.each(fetch, read({ ...from, isolationLevel: 7 }))
      await session.each(fetch, read({ ...from, partitionBytes: 1 }))
      await session.each(fetch, read({ ...from, partitionBytes: 0 }))
      await session.each(fetch, read({ ...from, maxBytes: 0 }))
      await session.each(fetch, read({ ...from, maxBytes: 100 }))
      await session.each(fetch, read({ name: 'missing' }))
      await session.ask(fetch, read({ ...from, lastEpoch: 40 }))
      await session.ask(fetch, read({ ...from, sessionId: 77, sessionEpoch: 1 }))
      await session.ask(fetch, read({ ...from, sessionId: 77, sessionEpoch: -1 }))
      await session.ask(fetch, { ...read(from), topics: [] })
    },
  },
  {
    name: 'list offsets',
    run: async (session) => {
      await wroteTen(session, 'listed')
      for (const timestamp of [-1, -2, -3, -4, -5, -6, -7, 0, AT_MS, AT_MS + 5, AT_MS + 50]) {
        await session.each(listOffsets, offsets('listed', timestamp))
      }
      await session.each(listOffsets, offsets('listed', -1, 9))
      await session.each(listOffsets, offsets('missing', -1))
      await session.each(listOffsets, offsets('listed', -1, 0, 40))
      const [topic] = offsets('listed', -1).topics
      await session.ask(listOffsets, { ...offsets('listed', -1), topics: [topic!, topic!] })
      await session.ask(listOffsets, { ...offsets('listed', -1), isolationLevel: 1 })
      await session.ask(listOffsets, { ...offsets('listed', -1), topics: [] })
    },
  },
  {
    name: 'offsets of leader epochs',
    run: async (session) => {
      await wroteTen(session, 'epochs')
      const end = (topic: string, leaderEpoch: number, currentLeaderEpoch = -1, partition = 0) => ({
        topics: [{ topic, partitions: [{ partition, currentLeaderEpoch, leaderEpoch }] }],
      })
      for (const epoch of [0, -1, 40])
        await session.each(offsetForLeaderEpoch, end('epochs', epoch))
      await session.each(offsetForLeaderEpoch, end('epochs', 0, 40))
      await session.each(offsetForLeaderEpoch, end('epochs', 0, -1, 9))
      await session.each(offsetForLeaderEpoch, end('missing', 0))
    },
  },
  {
    name: 'records are deleted',
    run: async (session) => {
      const topicId = await wroteTen(session, 'trimmed')
      const trim = (name: string, offset: number, partitionIndex = 0) => ({
        topics: [{ name, partitions: [{ partitionIndex, offset }] }],
        timeoutMs: 15_000,
      })
      await session.each(deleteRecords, trim('trimmed', 3))
      await session.ask(deleteRecords, trim('trimmed', 2))
      await session.ask(deleteRecords, trim('trimmed', 11))
      await session.ask(deleteRecords, trim('trimmed', -2))
      await session.ask(deleteRecords, trim('trimmed', 0, 9))
      await session.ask(deleteRecords, trim('missing', 0))
      await session.ask(fetch, read({ name: 'trimmed', topicId, offset: 2 }))
      await session.ask(fetch, read({ name: 'trimmed', topicId, offset: 3 }))
      await session.ask(deleteRecords, trim('trimmed', -1))
      await session.ask(fetch, read({ name: 'trimmed', topicId, offset: 10 }))
      const configs = [{ name: 'cleanup.policy', value: 'compact' }]
      await makeTopic(session, 'kept', { configs })
      await session.ask(deleteRecords, trim('kept', 0))
    },
  },
]
