/** Handlers: what they refuse by themselves, what they ask, and how answers look in old versions. */
import assert from 'node:assert/strict'
import type { GroupsPort } from '../control.ts'
import { ZERO_UUID } from '../wire/schema.ts'
import { readLines } from '../wire/testing/golden.ts'
import { listOffsets } from './02-list-offsets.ts'
import { offsetCommit } from './08-offset-commit.ts'
import { offsetFetch } from './09-offset-fetch.ts'
import { findCoordinator } from './10-find-coordinator.ts'
import { joinGroup } from './11-join-group.ts'
import { leaveGroup } from './13-leave-group.ts'
import { syncGroup } from './14-sync-group.ts'
import { describeGroups } from './15-describe-groups.ts'
import { apiVersions } from './18-api-versions.ts'
import { deleteTopics } from './20-delete-topics.ts'
import { initProducerId } from './22-init-producer-id.ts'
import { offsetForLeaderEpoch } from './23-offset-for-leader-epoch.ts'
import { describeConfigs } from './32-describe-configs.ts'
import { offsetDelete } from './47-offset-delete.ts'
import { describeCluster } from './60-describe-cluster.ts'
import { describeProducers } from './61-describe-producers.ts'
import { listConfigResources } from './74-list-config-resources.ts'
import { ask, CLUSTER, fakeBroker, fakeData, fakePartition } from './testing/fake-broker.ts'

const ID = 'BHJLm_MOSfSN-ix-hyUAjw'
const OTHER_ID = 'CHJLm_MOSfSN-ix-hyUAjw'

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

describe('offsets of groups', () => {
  const data = fakeData([{ name: 't', id: ID, count: 2 }])

  it('commits what exists, by name or id, in the order of the request', async () => {
    const asked: string[] = []
    const groups: Partial<GroupsPort> = {
      async offsetCommit(_context, { topics }) {
        for (const { name, partitions } of topics) {
          asked.push(`${name}:${partitions.map(({ partitionIndex }) => partitionIndex)}`)
        }
        return {
          topics: topics.map(({ name, partitions }) => ({
            name,
            partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: 22 })),
          })),
        }
      },
    }
    const broker = fakeBroker({ data, groups })
    const partitions = [3, 1].map((partitionIndex) => ({
      partitionIndex,
      committedOffset: 5,
      committedMetadata: null,
    }))
    const base = { groupId: 'g', memberId: '' }
    const byId = await ask(offsetCommit, 10, broker, {
      ...base,
      topics: [
        { topicId: OTHER_ID, partitions },
        { topicId: ID, partitions },
      ],
    })
    assert.deepEqual(
      byId.topics.map((topic) => [topic.topicId, topic.partitions.map((one) => one.errorCode)]),
      [
        [OTHER_ID, [100, 100]],
        [ID, [3, 22]],
      ],
    )
    const byName = await ask(offsetCommit, 2, broker, {
      ...base,
      topics: [{ name: 'x', partitions }],
    })
    assert.deepEqual(byName.topics[0]!.partitions[1], { partitionIndex: 1, errorCode: 3 })
    assert.deepEqual(asked, ['t:1'])
  })

  it('refuses a commit beyond 2^53 by its partition', async () => {
    const codec = offsetCommit.requestCodec(2)
    const frame = codec.encode({
      groupId: 'g',
      memberId: '',
      topics: [
        {
          name: 't',
          partitions: [{ partitionIndex: 0, committedOffset: 77, committedMetadata: '' }],
        },
      ],
    })
    frame.write('7fffffffffffffff', frame.indexOf(Buffer.from([0, 77])) - 6, 'hex')
    const request = codec.decode(frame)
    const answer = await ask(offsetCommit, 2, fakeBroker({ data }), request)
    assert.equal(answer.topics[0]!.partitions[0]!.errorCode, 42)
  })

  const offset = (partitionIndex: number) => ({
    partitionIndex,
    committedOffset: 5,
    metadata: '',
    errorCode: 0,
  })

  it('fetches for one group in old versions', async () => {
    const answerWith = (errorCode: number) =>
      fakeBroker({
        groups: {
          async offsetFetch(_context, { groups }) {
            assert.deepEqual(groups[0]!.topics, [
              { name: 't', topicId: ZERO_UUID, partitionIndexes: [0] },
            ])
            const topics = errorCode === 0 ? [{ name: 't', partitions: [offset(0)] }] : []
            return { groups: [{ groupId: 'g', topics, errorCode }] }
          },
        },
      })
    const request = { groupId: 'g', topics: [{ name: 't', partitionIndexes: [0] }] }
    for (let version = 1; version < 8; version++) {
      const answer = await ask(offsetFetch, version, answerWith(0), request)
      assert.equal(answer.topics[0]!.partitions[0]!.committedOffset, 5)
    }
    const first = await ask(offsetFetch, 1, answerWith(16), request)
    assert.equal(first.topics[0]!.partitions[0]!.errorCode, 16)
    const second = await ask(offsetFetch, 2, answerWith(16), request)
    assert.deepEqual([second.errorCode, second.topics], [16, []])
  })

  it('fetches by topic id', async () => {
    const broker = fakeBroker({
      data,
      groups: {
        async offsetFetch(_context, { groups }) {
          assert.deepEqual(
            groups[0]!.topics?.map(({ name }) => name),
            ['t'],
          )
          const topics = [
            { name: 't', partitions: [offset(0)] },
            { name: 'deleted', partitions: [offset(0)] },
          ]
          return { groups: [{ groupId: 'g', topics, errorCode: 0 }] }
        },
      },
    })
    const topics = [
      { topicId: OTHER_ID, partitionIndexes: [0] },
      { topicId: ID, partitionIndexes: [0] },
    ]
    const answer = await ask(offsetFetch, 10, broker, { groups: [{ groupId: 'g', topics }] })
    assert.deepEqual(
      answer.groups[0]!.topics.map((topic) => [topic.topicId, topic.partitions[0]!.errorCode]),
      [
        [ID, 0],
        [OTHER_ID, 100],
      ],
    )
  })

  it('deletes those of partitions that exist', async () => {
    const broker = fakeBroker({
      data,
      groups: {
        async offsetDelete(_context, { topics }) {
          return {
            errorCode: 0,
            topics: topics.map(({ name, partitions }) => ({
              name,
              partitions: partitions.map((one) => ({ ...one, errorCode: 86 })),
            })),
          }
        },
      },
    })
    const partitions = [{ partitionIndex: 5 }, { partitionIndex: 0 }]
    const answer = await ask(offsetDelete, 0, broker, {
      groupId: 'g',
      topics: [{ name: 't', partitions }],
    })
    assert.deepEqual(answer.topics[0]!.partitions, [
      { partitionIndex: 5, errorCode: 3 },
      { partitionIndex: 0, errorCode: 86 },
    ])
  })
})

describe('groups', () => {
  it('finds one coordinator or many, and refuses transactions for good', async () => {
    const broker = fakeBroker({
      groups: {
        async findCoordinator(_context, { coordinatorKeys }) {
          const coordinators = coordinatorKeys.map((key) => ({
            key,
            nodeId: 1,
            host: 'h',
            port: 9,
            errorCode: 0,
            errorMessage: null,
          }))
          return { coordinators }
        },
      },
    })
    const old = await ask(findCoordinator, 0, broker, { key: 'g' })
    assert.deepEqual([old.errorCode, old.nodeId, old.host, old.port], [0, 1, 'h', 9])
    const many = await ask(findCoordinator, 6, broker, { keyType: 0, coordinatorKeys: ['a', 'b'] })
    assert.deepEqual(
      many.coordinators.map(({ key }) => key),
      ['a', 'b'],
    )
    const refused = await ask(findCoordinator, 2, broker, { keyType: 1, key: 'tx' })
    assert.deepEqual([refused.errorCode, refused.nodeId], [53, -1])
    assert.match(refused.errorMessage ?? '', /transactional\.id/)
    const strange = await ask(findCoordinator, 4, broker, { keyType: 7, coordinatorKeys: ['a'] })
    assert.equal(strange.coordinators[0]!.errorCode, 42)
  })

  it('joins: the session stands for the rebalance in v0, no null name before v7', async () => {
    let timeoutMs = 0
    const broker = fakeBroker({
      groups: {
        async joinGroup(_context, { rebalanceTimeoutMs }) {
          timeoutMs = rebalanceTimeoutMs
          return { errorCode: 25, protocolName: null, leader: '', memberId: '', members: [] }
        },
      },
    })
    const request = {
      groupId: 'g',
      sessionTimeoutMs: 30_000,
      memberId: '',
      protocolType: 'consumer',
      protocols: [],
    }
    assert.equal((await ask(joinGroup, 0, broker, request)).protocolName, '')
    assert.equal(timeoutMs, 30_000)
    const rebalanceTimeoutMs = 5
    assert.equal(
      (await ask(joinGroup, 7, broker, { ...request, rebalanceTimeoutMs })).protocolName,
      null,
    )
    assert.equal(timeoutMs, 5)
  })

  it('leaves: one member in old versions', async () => {
    const broker = fakeBroker({
      groups: {
        async leaveGroup(_context, { members }) {
          return { errorCode: 0, members: members.map((member) => ({ ...member, errorCode: 25 })) }
        },
      },
    })
    assert.equal((await ask(leaveGroup, 2, broker, { groupId: 'g', memberId: 'm' })).errorCode, 25)
    const members = [{ memberId: 'm' }]
    const answer = await ask(leaveGroup, 3, broker, { groupId: 'g', members })
    assert.deepEqual([answer.errorCode, answer.members[0]!.errorCode], [0, 25])
  })

  it('syncs: silent members are refused from v5 on', async () => {
    const broker = fakeBroker({
      groups: { syncGroup: async () => ({ errorCode: 0, assignment: Buffer.alloc(1) }) },
    })
    const request = { groupId: 'g', generationId: 1, memberId: 'm', assignments: [] }
    assert.equal((await ask(syncGroup, 4, broker, request)).errorCode, 0)
    assert.equal((await ask(syncGroup, 5, broker, request)).errorCode, 23)
    const told = { ...request, protocolType: 'consumer', protocolName: 'range' }
    assert.equal((await ask(syncGroup, 5, broker, told)).errorCode, 0)
  })

  it('describes: a group that does not exist is an error from v6 on', async () => {
    const broker = fakeBroker({
      groups: {
        async describeGroups(_context, { groups }) {
          const group = {
            errorCode: 69,
            errorMessage: 'no such group',
            groupState: 'Dead',
            protocolType: '',
            protocolData: '',
            members: [],
          }
          return { groups: groups.map((groupId) => ({ ...group, groupId })) }
        },
      },
    })
    const request = { groups: ['g'], includeAuthorizedOperations: true }
    const old = (await ask(describeGroups, 5, broker, request)).groups[0]!
    assert.deepEqual([old.errorCode, old.groupState, old.authorizedOperations], [0, 'Dead', 3400])
    const recent = (await ask(describeGroups, 6, broker, request)).groups[0]!
    assert.deepEqual([recent.errorCode, recent.errorMessage], [69, 'no such group'])
    assert.equal(recent.authorizedOperations, -2147483648)
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
