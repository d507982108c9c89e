/** Metadata and DescribeTopicPartitions: which topics, which partitions, which errors. */
import assert from 'node:assert/strict'
import { ZERO_UUID } from '../wire/schema.ts'
import { metadata } from './03-metadata.ts'
import { describeTopicPartitions } from './75-describe-topic-partitions.ts'
import {
  ask,
  BROKER_1,
  CLUSTER,
  type FakeParts,
  fakeBroker,
  fakeTopics,
  partition,
} from './testing/fake-broker.ts'

const ID = 'BHJLm_MOSfSN-ix-hyUAjw'
const OTHER_ID = 'CHJLm_MOSfSN-ix-hyUAjw'
const T = { name: 't', id: ID, isInternal: false, partitions: [partition(0), partition(1)] }

const brokerOf = (parts: FakeParts = {}) =>
  fakeBroker({ cluster: CLUSTER, topics: fakeTopics([T]), ...parts })

describe('Metadata', () => {
  it('takes null for all topics, and an empty list in v0', async () => {
    for (let version = 0; version <= 13; version++) {
      const all = await ask(metadata, version, brokerOf(), { topics: version === 0 ? [] : null })
      assert.equal(all.topics.length, 1)
      assert.equal(all.topics[0]!.partitions.length, 2)
      assert.equal(all.topics[0]!.topicId, version < 10 ? ZERO_UUID : ID)
      assert.deepEqual(all.brokers, [{ nodeId: 1, host: '127.0.0.1', port: 39092, rack: null }])
      if (version === 0) continue
      assert.equal(all.controllerId, 1)
      assert.deepEqual((await ask(metadata, version, brokerOf(), { topics: [] })).topics, [])
    }
  })

  it('answers names and ids, each once, with the errors of each', async () => {
    const names = ['t', 'nope', 'a/b', 't'].map((name) => ({ name }))
    const ids = [ID, OTHER_ID].map((topicId) => ({ topicId, name: null }))
    const answer = await ask(metadata, 13, brokerOf(), {
      topics: [...names, ...ids],
      allowAutoTopicCreation: false,
      includeTopicAuthorizedOperations: true,
    })
    assert.deepEqual(
      answer.topics.map(({ name, topicId, errorCode }) => [name, topicId, errorCode]),
      [
        ['t', ID, 0],
        ['nope', ZERO_UUID, 3],
        ['a/b', ZERO_UUID, 17],
        ['t', ID, 0],
        [null, OTHER_ID, 100],
      ],
    )
    assert.equal(answer.topics[0]!.topicAuthorizedOperations, 3576)
    assert.equal(answer.topics[4]!.topicAuthorizedOperations, -2147483648)
  })

  it('takes no ids before v12', async () => {
    for (const topic of [{ topicId: ID, name: 't' }, { name: null }]) {
      const answer = await ask(metadata, 11, brokerOf(), { topics: [topic] })
      assert.equal(answer.topics[0]!.errorCode, 42)
    }
  })

  it('creates missing topics when the client lets it', async () => {
    const created: string[][] = []
    const broker = brokerOf({
      topics: {
        ...fakeTopics([T]),
        async autoCreate(_context, names) {
          created.push([...names])
          return new Map(names.map((name, index) => [name, index === 0 ? 0 : 38]))
        },
      },
    })
    const topics = ['t', 'new', 'newer', 'a/b', 'new'].map((name) => ({ name }))
    for (const version of [1, 4, 13]) {
      const answer = await ask(metadata, version, broker, { topics })
      assert.deepEqual(
        answer.topics.map(({ errorCode }) => errorCode),
        [0, 5, 38, 17],
      )
    }
    await ask(metadata, 4, broker, { topics, allowAutoTopicCreation: false })
    assert.deepEqual(created, [
      ['new', 'newer'],
      ['new', 'newer'],
      ['new', 'newer'],
    ])
  })

  it('says that a leader is missing, hidden or fenced', async () => {
    const partitions = [
      partition(0, { leaderId: -1 }),
      partition(1, { leaderId: 7, replicas: [1, 7], isr: [7] }),
      partition(2, { leaderId: 2, replicas: [2], isr: [2] }),
      partition(3, { replicas: [1, 7] }),
    ]
    const fenced = { ...BROKER_1, nodeId: 2, isFenced: true }
    const broker = brokerOf({
      cluster: { ...CLUSTER, brokers: () => [BROKER_1, fenced] },
      topics: fakeTopics([{ ...T, partitions }]),
    })
    const errors = async (version: number) => {
      const answer = await ask(metadata, version, broker, { topics: [{ name: 't' }] })
      return answer.topics[0]!.partitions.map(({ errorCode }) => errorCode)
    }
    assert.deepEqual(await errors(13), [5, 72, 5, 0])
    assert.deepEqual(await errors(5), [5, 5, 5, 0])
    assert.deepEqual(await errors(0), [5, 5, 5, 9])
    const first = await ask(metadata, 0, broker, { topics: [{ name: 't' }] })
    assert.deepEqual(first.topics[0]!.partitions[3]!.replicaNodes, [1])
  })
})

type Cursor = { topicName: string; partitionIndex: number } | null

describe('DescribeTopicPartitions', () => {
  const topics = ['a', 'b', 'c'].map((name) => ({
    name,
    id: ID,
    isInternal: false,
    partitions: [partition(0), partition(1), partition(2)],
  }))
  const broker = fakeBroker({ cluster: CLUSTER, topics: fakeTopics(topics) })

  const piece = (responsePartitionLimit: number, cursor: Cursor) =>
    ask(describeTopicPartitions, 0, broker, { topics: [], responsePartitionLimit, cursor })
  type Piece = Awaited<ReturnType<typeof piece>>

  it('gives all partitions in pieces', async () => {
    const seen: string[] = []
    let cursor: Cursor = null
    let calls = 0
    do {
      const answer: Piece = await piece(2, cursor)
      for (const { name, partitions } of answer.topics) {
        seen.push(...partitions.map(({ partitionIndex }) => `${name}${partitionIndex}`))
      }
      cursor = answer.nextCursor
      calls++
    } while (cursor !== null && calls < 10)
    assert.deepEqual(seen, ['a0', 'a1', 'a2', 'b0', 'b1', 'b2', 'c0', 'c1', 'c2'])
    assert.equal(calls, 5)
  })

  it('ends a piece between topics with a cursor at the next one', async () => {
    const answer = await piece(3, null)
    assert.deepEqual(answer.nextCursor, { topicName: 'b', partitionIndex: 0 })
  })

  it('answers names, sorted, with errors; a cursor must be among them', async () => {
    const named = ['z', 'a', '..'].map((name) => ({ name }))
    const answer = await ask(describeTopicPartitions, 0, broker, { topics: named })
    assert.deepEqual(
      answer.topics.map(({ name, errorCode }) => [name, errorCode]),
      [
        ['..', 17],
        ['a', 0],
        ['z', 3],
      ],
    )
    const operations = answer.topics.map(({ topicAuthorizedOperations: bits }) => bits)
    assert.deepEqual(operations, [-2147483648, 3576, -2147483648])
    for (const cursor of [
      { topicName: 'b', partitionIndex: 0 },
      { topicName: 'a', partitionIndex: -1 },
    ]) {
      const refused = await ask(describeTopicPartitions, 0, broker, { topics: named, cursor })
      assert.ok(refused.topics.every(({ errorCode }) => errorCode === 42))
    }
  })
})
