/** What topics and their settings are asked, rightly and wrongly. */
import { metadata } from '../../../kafka/api/03-metadata.ts'
import { createTopics } from '../../../kafka/api/19-create-topics.ts'
import { deleteTopics } from '../../../kafka/api/20-delete-topics.ts'
import { createPartitions } from '../../../kafka/api/37-create-partitions.ts'
import { describeTopicPartitions } from '../../../kafka/api/75-describe-topic-partitions.ts'
import { ZERO_UUID } from '../../../kafka/wire/schema.ts'
import type { Session } from './session.ts'

export interface Case {
  readonly name: string
  run(session: Session): Promise<void>
}

interface Topic {
  readonly numPartitions?: number
  readonly replicationFactor?: number
  readonly assignments?: { partitionIndex: number; brokerIds: number[] }[]
  readonly configs?: { name: string; value: string | null }[]
}

const topic = (name: string, more: Topic = {}) => ({
  name,
  numPartitions: more.numPartitions ?? 1,
  replicationFactor: more.replicationFactor ?? 1,
  assignments: more.assignments ?? [],
  configs: more.configs ?? [],
})

const create = (topics: readonly ReturnType<typeof topic>[], validateOnly = false) => ({
  topics: [...topics],
  timeoutMs: 15_000,
  validateOnly,
})

const byAssignment = (name: string, assignments: Topic['assignments'] = []) =>
  topic(name, { numPartitions: -1, replicationFactor: -1, assignments })

/** Made on the way; it has a leader when this resolves. */
export async function makeTopic(session: Session, name: string, more: Topic = {}): Promise<void> {
  await session.quietly(createTopics, create([topic(name, more)]))
  for (let isLed = false; !isLed; ) {
    const topics = [{ name, topicId: ZERO_UUID }]
    const answer = await session.quietly(metadata, { topics, allowAutoTopicCreation: false })
    isLed = answer.topics[0]!.partitions.every(({ leaderId }) => leaderId >= 0)
    isLed &&= answer.topics[0]!.partitions.length > 0
  }
}

const WRONG_TOPICS: readonly ReturnType<typeof topic>[] = [
  topic(''),
  topic('.'),
  topic('..'),
  topic('a b'),
  topic('ü'),
  topic('x'.repeat(250)),
  topic('no-partitions', { numPartitions: 0 }),
  topic('fewer', { numPartitions: -2 }),
  topic('no-replicas', { replicationFactor: 0 }),
  topic('many-replicas', { replicationFactor: 9 }),
  topic('many-partitions', { numPartitions: 2_000_000_000 }),
  topic('both', { assignments: [{ partitionIndex: 0, brokerIds: [1] }] }),
  byAssignment('gap', [{ partitionIndex: 1, brokerIds: [1] }]),
  byAssignment('unknown-broker', [{ partitionIndex: 0, brokerIds: [77] }]),
  byAssignment('twice', [{ partitionIndex: 0, brokerIds: [1, 1] }]),
  byAssignment('nobody', [{ partitionIndex: 0, brokerIds: [] }]),
  topic('config-unknown', { configs: [{ name: 'no.such', value: '1' }] }),
  topic('config-bad', { configs: [{ name: 'retention.ms', value: 'soon' }] }),
  topic('config-range', { configs: [{ name: 'segment.bytes', value: '1' }] }),
  topic('config-null', { configs: [{ name: 'retention.ms', value: null }] }),
  topic('config-policy', { configs: [{ name: 'cleanup.policy', value: 'burn' }] }),
  topic('config-isr', { configs: [{ name: 'min.insync.replicas', value: '0' }] }),
  topic('config-codec', { configs: [{ name: 'compression.type', value: 'brotli' }] }),
]

export const TOPIC_CASES: readonly Case[] = [
  ...WRONG_TOPICS.map((wrong) => ({
    name: `create ${wrong.name.slice(0, 20)} ${wrong.configs[0]?.value ?? ''}`.trim(),
    run: async (session: Session) => {
      await session.each(createTopics, create([wrong], true))
      await session.ask(createTopics, create([wrong]))
    },
  })),
  {
    name: 'create: twice, alike, by assignment, with defaults',
    run: async (session) => {
      await session.each(createTopics, create([topic('made', { numPartitions: 3 })], true))
      await session.ask(createTopics, create([topic('made', { numPartitions: 3 })]))
      await session.each(createTopics, create([topic('made')]))
      await session.ask(createTopics, create([topic('in.one'), topic('in_one')]))
      await session.ask(createTopics, create([topic('twice'), topic('twice'), topic('fine')]))
      const assignments = [
        { partitionIndex: 0, brokerIds: [1] },
        { partitionIndex: 1, brokerIds: [1] },
      ]
      await session.ask(createTopics, create([byAssignment('assigned', assignments)]))
      await session.ask(createTopics, create([byAssignment('by-default')]))
      const configs = [{ name: 'retention.ms', value: '1000' }]
      await session.ask(createTopics, create([topic('configured', { configs })]))
      await session.ask(createTopics, create([]))
    },
  },
  {
    name: 'metadata',
    run: async (session) => {
      await makeTopic(session, 'shown', { numPartitions: 2 })
      const named = (...names: string[]) => ({
        topics: names.map((name) => ({ name, topicId: ZERO_UUID })),
        allowAutoTopicCreation: false,
      })
      await session.each(metadata, named('shown'))
      await session.each(metadata, named('shown', 'missing', 'a b', ''))
      await session.each(metadata, named())
      const operations = { includeTopicAuthorizedOperations: true }
      await session.each(metadata, { ...named('shown', 'missing'), ...operations })
      const cluster = { includeClusterAuthorizedOperations: true }
      await session.each(metadata, { ...named('shown'), ...cluster })
      const topicId = await session.topicId('shown')
      await session.ask(metadata, { topics: [{ name: null, topicId }] }, 12)
      const unknown = 'AAAAAAAAAAAAAAAAAAAA_w'
      await session.ask(metadata, { topics: [{ name: null, topicId: unknown }] }, 12)
      await session.ask(metadata, { topics: [{ name: 'shown', topicId }] }, 12)
      await session.ask(metadata, { topics: [{ name: 'shown', topicId }] }, 11)
    },
  },
  {
    name: 'partitions grow',
    run: async (session) => {
      await makeTopic(session, 'grows', { numPartitions: 2 })
      const grow = (
        name: string,
        count: number,
        assignments: { brokerIds: number[] }[] | null = null,
      ) => ({
        topics: [{ name, count, assignments }],
        timeoutMs: 15_000,
        validateOnly: true,
      })
      await session.each(createPartitions, grow('grows', 3))
      await session.each(createPartitions, grow('grows', 2))
      await session.ask(createPartitions, grow('grows', 1))
      await session.ask(createPartitions, grow('grows', 0))
      await session.ask(createPartitions, grow('grows', -1))
      await session.ask(createPartitions, grow('missing', 3))
      await session.ask(createPartitions, grow('grows', 2_000_000_000))
      await session.ask(createPartitions, grow('grows', 3, [{ brokerIds: [1] }]))
      await session.ask(createPartitions, grow('grows', 3, []))
      await session.ask(createPartitions, grow('grows', 4, [{ brokerIds: [1] }]))
      await session.ask(createPartitions, grow('grows', 3, [{ brokerIds: [9] }]))
      await session.ask(createPartitions, grow('grows', 3, [{ brokerIds: [1, 1] }]))
      const twice = [...grow('grows', 3).topics, ...grow('grows', 4).topics]
      await session.ask(createPartitions, { topics: twice, timeoutMs: 15_000, validateOnly: true })
      await session.ask(createPartitions, { ...grow('grows', 4), validateOnly: false })
    },
  },
  {
    name: 'topics are described in pages',
    run: async (session) => {
      await makeTopic(session, 'pages', { numPartitions: 5 })
      const topics = [{ name: 'pages' }]
      await session.ask(describeTopicPartitions, { topics })
      await session.ask(describeTopicPartitions, { topics, responsePartitionLimit: 2 })
      const from = (partitionIndex: number, topicName = 'pages') => ({
        topics,
        responsePartitionLimit: 2,
        cursor: { topicName, partitionIndex },
      })
      await session.ask(describeTopicPartitions, from(4))
      await session.ask(describeTopicPartitions, from(9))
      await session.ask(describeTopicPartitions, from(-1))
      await session.ask(describeTopicPartitions, from(0, 'zzz'))
      await session.ask(describeTopicPartitions, { topics: [{ name: 'missing' }, { name: '' }] })
      await session.ask(describeTopicPartitions, { topics, responsePartitionLimit: 0 })
    },
  },
  {
    name: 'topics are deleted',
    run: async (session) => {
      await makeTopic(session, 'gone')
      await makeTopic(session, 'gone-by-id')
      const topicId = await session.topicId('gone-by-id')
      const remove = (...topics: { name: string | null; topicId: string }[]) => ({
        topics,
        topicNames: topics.flatMap(({ name }) => name ?? []),
        timeoutMs: 15_000,
      })
      const named = (name: string) => ({ name, topicId: ZERO_UUID })
      await session.each(deleteTopics, remove(named('missing')))
      await session.each(deleteTopics, remove(named('')))
      await session.ask(deleteTopics, remove(named('gone'), named('gone')))
      await session.ask(deleteTopics, remove(named('gone')))
      await session.ask(deleteTopics, remove({ name: 'gone-by-id', topicId }))
      await session.ask(deleteTopics, remove({ name: null, topicId }))
      await session.ask(deleteTopics, remove({ name: null, topicId }))
      await session.ask(deleteTopics, remove({ name: null, topicId: ZERO_UUID }))
      await session.ask(deleteTopics, remove())
    },
  },
]
