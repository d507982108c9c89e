/** Handlers: what they refuse by themselves, what they ask, and how answers look in old versions. */
import assert from 'node:assert/strict'
import { ZERO_UUID } from '../wire/schema.ts'
import { readLines } from '../wire/testing/golden.ts'
import { listOffsets } from './02-list-offsets.ts'
import { apiVersions } from './18-api-versions.ts'
import { deleteTopics } from './20-delete-topics.ts'
import { initProducerId } from './22-init-producer-id.ts'
import { offsetForLeaderEpoch } from './23-offset-for-leader-epoch.ts'
import { describeConfigs } from './32-describe-configs.ts'
import { describeCluster } from './60-describe-cluster.ts'
import { describeProducers } from './61-describe-producers.ts'
import { listConfigResources } from './74-list-config-resources.ts'
import { ask, CLUSTER, fakeBroker, fakeData, fakePartition } from './testing/fake-broker.ts'

const ID = 'BHJLm_MOSfSN-ix-hyUAjw'

interface Captured {
  readonly api: string
  readonly version: number
  readonly response: {
    errorCode: number
    apiKeys: { apiKey: number; minVersion: number; maxVersion: number }[]
    supportedFeatures?: { name: string; minVersion: number; maxVersion: number }[]
    finalizedFeatures?: { name: string; maxVersionLevel: number }[]
  } | null
}

describe('ApiVersions', () => {
  const captured = readLines<Captured>('captured/stock-broker.jsonl').filter(
    ({ api, version }) => api === 'ApiVersions' && version <= 4,
  )
  const newest = captured.find(({ version }) => version === 4)!.response!
  const broker = fakeBroker({
    cluster: {
      features: () => ({
        supported: newest.supportedFeatures!,
        finalized: newest.finalizedFeatures!.map(({ name, maxVersionLevel }) => ({
          name,
          level: maxVersionLevel,
        })),
        finalizedEpoch: 24,
      }),
    },
  })
  const software = { clientSoftwareName: 'capture', clientSoftwareVersion: '1.0' }

  it('answers as Kafka, for the APIs that there are', async () => {
    for (const { version, response } of captured.slice(0, 5)) {
      const answer = await ask(apiVersions, version, broker, software)
      const theirs = new Map(response!.apiKeys.map((entry) => [entry.apiKey, entry]))
      for (const entry of answer.apiKeys) assert.deepEqual(entry, theirs.get(entry.apiKey))
      assert.deepEqual(answer.supportedFeatures, response!.supportedFeatures ?? [])
      assert.equal(answer.finalizedFeatures.length, response!.finalizedFeatures?.length ?? 0)
    }
  })

  it('refuses odd software names (KIP-511)', async () => {
    for (const name of ['-', '', 'a b', '.x']) {
      const request = { ...software, clientSoftwareName: name }
      const answer = await ask(apiVersions, 3, broker, request)
      assert.equal(answer.errorCode, 42)
      assert.deepEqual(answer.apiKeys, [])
    }
  })
})

describe('ListOffsets', () => {
  const found = { error: 0, offset: 7, timestampMs: 100, leaderEpoch: 3 }
  const hosted = [
    fakePartition({
      checkReader: (epoch) => (epoch > 5 ? 75 : 0),
      listOffset: async (timestampMs) => ({ ...found, timestampMs }),
    }),
  ]
  const broker = fakeBroker({ data: fakeData([{ name: 't', id: ID, count: 2, hosted }]) })
  const asked = (partitionIndex: number, timestamp: number, currentLeaderEpoch = -1) => ({
    partitionIndex,
    timestamp,
    currentLeaderEpoch,
  })
  const request = (...partitions: ReturnType<typeof asked>[]) => ({
    replicaId: -1,
    isolationLevel: 0,
    topics: [{ name: 't', partitions }],
  })

  it('answers by partition, with errors where they belong', async () => {
    const answer = await ask(
      listOffsets,
      11,
      broker,
      request(asked(0, -1), asked(1, -1), asked(2, 5)),
    )
    assert.deepEqual(
      answer.topics[0]!.partitions.map(({ errorCode, offset }) => [errorCode, offset]),
      [
        [0, 7],
        [6, -1],
        [3, -1],
      ],
    )
    assert.equal(answer.topics[0]!.partitions[0]!.leaderEpoch, 3)
    const fenced = await ask(listOffsets, 4, broker, request(asked(0, -1, 6)))
    assert.equal(fenced.topics[0]!.partitions[0]!.errorCode, 75)
  })

  it('knows special timestamps by version, and no partition twice', async () => {
    const errorOf = async (version: number, timestamp: number) => {
      const answer = await ask(listOffsets, version, broker, request(asked(0, timestamp)))
      return answer.topics[0]!.partitions[0]!.errorCode
    }
    assert.deepEqual([await errorOf(1, -1), await errorOf(1, -2), await errorOf(6, -3)], [0, 0, 35])
    assert.deepEqual([await errorOf(7, -3), await errorOf(7, -4), await errorOf(8, -4)], [0, 35, 0])
    assert.deepEqual(
      [await errorOf(9, -5), await errorOf(10, -6), await errorOf(11, -7)],
      [0, 35, 35],
    )
    const twice = await ask(listOffsets, 7, broker, request(asked(0, -1), asked(0, -2)))
    assert.deepEqual(
      twice.topics[0]!.partitions.map(({ errorCode }) => errorCode),
      [42, 42],
    )
  })
})

describe('OffsetForLeaderEpoch', () => {
  it('answers from the partition', async () => {
    const hosted = [
      fakePartition({
        checkReader: () => 0,
        endOffsetForEpoch: (epoch) => ({ epoch, endOffset: 10 * epoch }),
      }),
    ]
    const broker = fakeBroker({ data: fakeData([{ name: 't', id: ID, count: 1, hosted }]) })
    const partitions = [
      { partition: 0, currentLeaderEpoch: -1, leaderEpoch: 4 },
      { partition: 9, currentLeaderEpoch: -1, leaderEpoch: 4 },
    ]
    const answer = await ask(offsetForLeaderEpoch, 4, broker, {
      topics: [{ topic: 't', partitions }],
    })
    assert.deepEqual(answer.topics[0]!.partitions, [
      { errorCode: 0, partition: 0, leaderEpoch: 4, endOffset: 40 },
      { errorCode: 3, partition: 9, leaderEpoch: -1, endOffset: -1 },
    ])
  })
})

describe('admin', () => {
  it('deletes by name before v6; 73 is not known before v3', async () => {
    const broker = fakeBroker({
      topics: {
        async deleteTopics(_context, { topics }) {
          return { responses: topics.map(({ name }) => ({ name: name!, errorCode: 73 })) }
        },
      },
    })
    const request = { topicNames: ['a'], timeoutMs: 1 }
    assert.equal((await ask(deleteTopics, 2, broker, request)).responses[0]!.errorCode, 42)
    assert.equal((await ask(deleteTopics, 3, broker, request)).responses[0]!.errorCode, 73)
    const byId = { topics: [{ name: 'b', topicId: ZERO_UUID }], timeoutMs: 1 }
    assert.equal((await ask(deleteTopics, 6, broker, byId)).responses[0]!.name, 'b')
  })

  it('gives producer ids, but none to transactions', async () => {
    const broker = fakeBroker({
      producers: {
        initProducerId: async () => ({ errorCode: 0, producerId: 4000, producerEpoch: 0 }),
      },
    })
    const request = { transactionalId: null, transactionTimeoutMs: 1 }
    assert.equal((await ask(initProducerId, 5, broker, request)).producerId, 4000)
    const transactional = { ...request, transactionalId: 'tx' }
    assert.equal((await ask(initProducerId, 0, broker, transactional)).errorCode, 53)
    assert.equal(
      (await ask(initProducerId, 3, broker, { ...request, producerId: 3 })).errorCode,
      42,
    )
    assert.equal(
      (await ask(initProducerId, 3, broker, { ...request, transactionalId: '' })).errorCode,
      42,
    )
  })

  it('lets producers wait for an id, and look for no coordinator', async () => {
    const broker = fakeBroker({
      producers: {
        initProducerId: async () => ({ errorCode: 15, producerId: -1, producerEpoch: -1 }),
      },
    })
    const request = { transactionalId: null, transactionTimeoutMs: 1 }
    assert.equal((await ask(initProducerId, 5, broker, request)).errorCode, 14)
  })

  it('describes settings without what was not asked for', async () => {
    const config = {
      name: 'n',
      value: 'v',
      readOnly: false,
      configSource: 5,
      isSensitive: false,
      synonyms: [{ name: 'n', value: 'v', source: 5 }],
      configType: 2,
      documentation: 'text',
    }
    const broker = fakeBroker({
      configs: {
        describeConfigs: async () => ({
          results: [
            {
              errorCode: 0,
              errorMessage: null,
              resourceType: 2,
              resourceName: 't',
              configs: [config],
            },
          ],
        }),
      },
    })
    const resources = [{ resourceType: 2, resourceName: 't', configurationKeys: null }]
    const bare = await ask(describeConfigs, 4, broker, { resources, includeSynonyms: false })
    assert.deepEqual(bare.results[0]!.configs[0]!.synonyms, [])
    assert.equal(bare.results[0]!.configs[0]!.documentation, null)
    const full = await ask(describeConfigs, 4, broker, {
      resources,
      includeSynonyms: true,
      includeDocumentation: true,
    })
    assert.equal(full.results[0]!.configs[0]!.synonyms.length, 1)
    assert.equal(full.results[0]!.configs[0]!.documentation, 'text')
    assert.equal(
      (await ask(describeConfigs, 1, broker, { resources, includeSynonyms: false })).results.length,
      1,
    )
  })

  it('describes the cluster', async () => {
    const fenced = { nodeId: 2, host: 'h', port: 1, rack: 'r', isFenced: true }
    const broker = fakeBroker({
      cluster: { ...CLUSTER, brokers: (name) => [...CLUSTER.brokers!(name), fenced] },
    })
    const request = { includeClusterAuthorizedOperations: true }
    const answer = await ask(describeCluster, 0, broker, request)
    assert.deepEqual([answer.brokers.length, answer.clusterAuthorizedOperations], [1, 8096])
    const all = { ...request, includeFencedBrokers: true }
    assert.equal((await ask(describeCluster, 2, broker, all)).brokers[1]!.isFenced, true)
    assert.equal(
      (await ask(describeCluster, 1, broker, { ...request, endpointType: 2 })).errorCode,
      114,
    )
    assert.equal(
      (await ask(describeCluster, 1, broker, { ...request, endpointType: 9 })).errorCode,
      115,
    )
  })

  it('describes producers, and says which names are none', async () => {
    const broker = fakeBroker({
      producers: {
        async describeProducers(_context, { topics }) {
          return {
            topics: topics.map(({ name, partitionIndexes }) => ({
              name,
              partitions: partitionIndexes.map((partitionIndex) => ({
                partitionIndex,
                errorCode: 3,
                activeProducers: [],
              })),
            })),
          }
        },
      },
    })
    const topics = ['t', 'a/b'].map((name) => ({ name, partitionIndexes: [0] }))
    const answer = await ask(describeProducers, 0, broker, { topics })
    assert.deepEqual(
      answer.topics.map(({ partitions }) => partitions[0]!.errorCode),
      [3, 17],
    )
  })

  it('lists resources: client metrics in v0, no unknown kinds', async () => {
    let asked: readonly number[] = []
    const broker = fakeBroker({
      configs: {
        async listConfigResources(_context, { resourceTypes }) {
          asked = resourceTypes
          return { errorCode: 0, configResources: [] }
        },
      },
    })
    await ask(listConfigResources, 0, broker, {})
    assert.deepEqual(asked, [16])
    assert.equal((await ask(listConfigResources, 1, broker, { resourceTypes: [] })).errorCode, 0)
    assert.deepEqual(asked, [])
    assert.equal((await ask(listConfigResources, 1, broker, { resourceTypes: [3] })).errorCode, 35)
  })
})
