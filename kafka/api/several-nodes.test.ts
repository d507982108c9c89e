/**
 * Handlers of one node among several: what is told of nodes that are fenced, hidden or gone, of
 * partitions that are led elsewhere, and of coordinators elsewhere.
 */
import assert from 'node:assert/strict'
import type { BrokerDescription, ClusterPort } from '../control.ts'
import { listOffsets } from './02-list-offsets.ts'
import { metadata } from './03-metadata.ts'
import { offsetCommit } from './08-offset-commit.ts'
import { offsetFetch } from './09-offset-fetch.ts'
import { findCoordinator } from './10-find-coordinator.ts'
import { joinGroup } from './11-join-group.ts'
import { heartbeat } from './12-heartbeat.ts'
import { leaveGroup } from './13-leave-group.ts'
import { syncGroup } from './14-sync-group.ts'
import { deleteRecords } from './21-delete-records.ts'
import { offsetForLeaderEpoch } from './23-offset-for-leader-epoch.ts'
import { describeLogDirs } from './35-describe-log-dirs.ts'
import { describeCluster } from './60-describe-cluster.ts'
import { describeProducers } from './61-describe-producers.ts'
import { describeTopicPartitions } from './75-describe-topic-partitions.ts'
import {
  ask,
  type FakeParts,
  fakeBroker,
  fakeData,
  fakePartition,
  fakeTopics,
  partition,
} from './testing/fake-broker.ts'

const ID = 'BHJLm_MOSfSN-ix-hyUAjw'

const node = (nodeId: number, isFenced = false): BrokerDescription => ({
  nodeId,
  host: `node-${nodeId}`,
  port: 39_000 + nodeId,
  rack: nodeId === 3 ? null : `rack-${nodeId}`,
  isFenced,
})

/** Nodes 1 to 3 are alive, 4 is fenced, 5 has no endpoint on the listener, 6 is not registered. */
const NODES = [node(1), node(2), node(3), node(4, true)]
const CLUSTER: Partial<ClusterPort> = {
  clusterId: 'MkU3OEVBNTcwNTJENDM2Qg',
  controllerId: 2,
  brokers: (listener) => (listener === 'PLAINTEXT' ? NODES : []),
}

const PARTITIONS = [
  partition(0, { leaderId: 2, leaderEpoch: 7, replicas: [1, 2, 3], isr: [1, 2, 3] }),
  partition(1, { leaderId: 1, replicas: [1, 2, 4], isr: [1, 2], offlineReplicas: [4] }),
  partition(2, { leaderId: 3, replicas: [3, 5, 6], isr: [3, 5], offlineReplicas: [6] }),
  partition(3, {
    leaderId: -1,
    replicas: [4, 6],
    isr: [],
    eligibleLeaderReplicas: [4],
    lastKnownEligibleLeaderReplicas: [6],
    offlineReplicas: [4, 6],
  }),
  partition(4, { leaderId: 5, replicas: [5, 1], isr: [5, 1] }),
  // A directory of node 2 failed.
  partition(5, { leaderId: 1, replicas: [1, 2], isr: [1], offlineReplicas: [2] }),
]
const TOPIC = { name: 't', id: ID, isInternal: false, partitions: PARTITIONS }

const brokerOf = (parts: FakeParts = {}) =>
  fakeBroker({ cluster: CLUSTER, topics: fakeTopics([TOPIC]), ...parts })

describe('Metadata of several nodes', () => {
  it('shows nodes that are not fenced, and a controller among them', async () => {
    for (let version = 0; version <= 13; version++) {
      const answer = await ask(metadata, version, brokerOf(), { topics: [{ name: 't' }] })
      assert.deepEqual(
        answer.brokers.map(({ nodeId }) => nodeId),
        [1, 2, 3],
      )
      assert.equal(answer.controllerId, version === 0 ? -1 : 2)
    }
    const controllerOf = async (controllerId: number) => {
      const broker = brokerOf({ cluster: { ...CLUSTER, controllerId } })
      const answer = await ask(metadata, 12, broker, { topics: [] })
      const request = { includeClusterAuthorizedOperations: false }
      assert.equal(
        (await ask(describeCluster, 1, broker, request)).controllerId,
        answer.controllerId,
      )
      return answer.controllerId
    }
    assert.equal(await controllerOf(3), 3)
    // Fenced, or without an endpoint here: a client could not go there.
    assert.equal(await controllerOf(4), 1)
    assert.equal(await controllerOf(5), 1)
    assert.equal(await controllerOf(-1), -1)
  })

  it('says which partitions can not be led, and which replicas are gone', async () => {
    const answer = await ask(metadata, 12, brokerOf(), { topics: [{ name: 't' }] })
    const { partitions } = answer.topics[0]!
    assert.deepEqual(
      partitions.map(({ errorCode, leaderId }) => [errorCode, leaderId]),
      [
        [0, 2],
        [0, 1],
        [0, 3],
        [5, -1],
        [72, -1],
        [0, 1],
      ],
    )
    assert.equal(partitions[0]!.leaderEpoch, 7)
    assert.deepEqual(
      partitions.map(({ offlineReplicas }) => offlineReplicas),
      [[], [4], [5, 6], [4, 6], [5], [2]],
    )
    assert.deepEqual(partitions[2]!.replicaNodes, [3, 5, 6])
    assert.deepEqual(partitions[2]!.isrNodes, [3, 5])
  })

  it('tells clients of v0 of whole nodes only', async () => {
    const answer = await ask(metadata, 0, brokerOf(), { topics: [{ name: 't' }] })
    const { partitions } = answer.topics[0]!
    assert.deepEqual(
      partitions.map(({ errorCode }) => errorCode),
      [0, 9, 9, 5, 5, 0],
    )
    assert.deepEqual(partitions[2]!.replicaNodes, [3])
    assert.deepEqual(partitions[2]!.isrNodes, [3])
  })

  it('looks at nodes and leaders when topics were made, not before', async () => {
    let nodes = [node(1)]
    let topics = fakeTopics([])
    const broker = brokerOf({
      cluster: { ...CLUSTER, brokers: () => nodes },
      topics: {
        describe: (name) => topics.describe!(name),
        async autoCreate(_context, names) {
          nodes = [node(1), node(2)]
          topics = fakeTopics([{ ...TOPIC, partitions: [PARTITIONS[0]!] }])
          return new Map(names.map((name) => [name, 0]))
        },
      },
    })
    const answer = await ask(metadata, 12, broker, { topics: [{ name: 't' }] })
    assert.equal(answer.brokers.length, 2)
    assert.equal(answer.topics[0]!.partitions[0]!.errorCode, 0)
    assert.equal(answer.topics[0]!.partitions[0]!.leaderId, 2)
  })
})

describe('DescribeCluster and DescribeTopicPartitions of several nodes', () => {
  it('shows endpoints and racks; fenced nodes to those who ask', async () => {
    const request = { includeClusterAuthorizedOperations: false }
    const alive = await ask(describeCluster, 2, brokerOf(), request)
    assert.deepEqual(alive.brokers[0], {
      brokerId: 1,
      host: 'node-1',
      port: 39_001,
      rack: 'rack-1',
      isFenced: false,
    })
    assert.equal(alive.brokers.length, 3)
    const all = { ...request, includeFencedBrokers: true }
    assert.deepEqual(
      (await ask(describeCluster, 2, brokerOf(), all)).brokers.map(({ isFenced }) => isFenced),
      [false, false, false, true],
    )
  })

  it('shows eligible leaders and who is gone', async () => {
    const answer = await ask(describeTopicPartitions, 0, brokerOf(), { topics: [{ name: 't' }] })
    const { partitions } = answer.topics[0]!
    assert.deepEqual(
      partitions.map(({ errorCode, leaderId, offlineReplicas }) => [
        errorCode,
        leaderId,
        offlineReplicas,
      ]),
      [
        [0, 2, []],
        [0, 1, [4]],
        [0, 3, [5, 6]],
        [5, -1, [4, 6]],
        [72, -1, [5]],
        [0, 1, [2]],
      ],
    )
    assert.deepEqual(partitions[3]!.eligibleLeaderReplicas, [4])
    assert.deepEqual(partitions[3]!.lastKnownElr, [6])
  })
})

describe('partitions that are led elsewhere', () => {
  /** 0 is led here in epoch 5, 1 is a follower, 2 failed, 3 has a new leader, 4 is not here. */
  const hosted = [
    fakePartition({
      checkReader: (epoch) => (epoch === -1 || epoch === 5 ? 0 : epoch < 5 ? 74 : 75),
      listOffset: async () => ({ error: 0, offset: 9, timestampMs: 3, leaderEpoch: 5 }),
      endOffsetForEpoch: (epoch) => ({ epoch, endOffset: 9 }),
    }),
    fakePartition({ checkReader: (epoch) => (epoch > 5 ? 75 : 6) }),
    fakePartition({ checkReader: () => 56 }),
    fakePartition({
      checkReader: () => 0,
      listOffset: async () => ({ error: 78, offset: -1, timestampMs: -1, leaderEpoch: -1 }),
    }),
  ]
  const broker = fakeBroker({ data: fakeData([{ name: 't', id: ID, count: 5, hosted }]) })

  /** Partition and the epoch that the client knows. */
  const ASKED = [
    [0, -1],
    [0, 4],
    [0, 5],
    [0, 6],
    [1, -1],
    [1, 6],
    [2, -1],
    [3, -1],
    [4, 5],
    [5, -1],
  ] as const

  it('have no offsets here; a new leader finds out its watermark first (KIP-207)', async () => {
    for (let version = 1; version <= 11; version++) {
      const errors: number[] = []
      for (const [partitionIndex, currentLeaderEpoch] of ASKED) {
        const partitions = [{ partitionIndex, currentLeaderEpoch, timestamp: -1 }]
        const answer = await ask(listOffsets, version, broker, {
          replicaId: -1,
          topics: [{ name: 't', partitions }],
        })
        const found = answer.topics[0]!.partitions[0]!
        errors.push(found.errorCode)
        assert.equal(found.offset, found.errorCode === 0 ? 9 : -1)
      }
      // Epochs are on the wire since v4, OFFSET_NOT_AVAILABLE since v5.
      const expected = [0, 74, 0, 75, 6, 75, 56, 78, 6, 3]
      if (version < 5) expected[7] = 5
      if (version < 4) expected.splice(1, 5, 0, 0, 0, 6, 6)
      assert.deepEqual(errors, expected, `v${version}`)
    }
  })

  it('have no ends of epochs here', async () => {
    for (const version of [2, 3, 4]) {
      const errors: number[] = []
      for (const [index, currentLeaderEpoch] of ASKED) {
        if (index === 3) continue
        const partitions = [{ partition: index, currentLeaderEpoch, leaderEpoch: 2 }]
        const answer = await ask(offsetForLeaderEpoch, version, broker, {
          topics: [{ topic: 't', partitions }],
        })
        errors.push(answer.topics[0]!.partitions[0]!.errorCode)
      }
      assert.deepEqual(errors, [0, 74, 0, 75, 6, 75, 56, 6, 3])
    }
  })

  it('have their records deleted and their producers shown by their leaders', async () => {
    const port = fakeBroker({
      topics: {
        async deleteRecords(_context, { topics }) {
          return {
            topics: topics.map(({ name, partitions }) => ({
              name,
              partitions: partitions.map(({ partitionIndex }) => ({
                partitionIndex,
                lowWatermark: partitionIndex === 0 ? 4 : -1,
                errorCode: partitionIndex === 0 ? 0 : 6,
              })),
            })),
          }
        },
      },
      producers: {
        async describeProducers(_context, { topics }) {
          return {
            topics: topics.map(({ name, partitionIndexes }) => ({
              name,
              partitions: partitionIndexes.map((partitionIndex) => ({
                partitionIndex,
                errorCode: partitionIndex === 0 ? 0 : 6,
                activeProducers: [],
              })),
            })),
          }
        },
      },
    })
    for (const version of [0, 1, 2]) {
      const partitions = [0, 1].map((partitionIndex) => ({ partitionIndex, offset: 4 }))
      const request = { topics: [{ name: 't', partitions }], timeoutMs: 1 }
      const answer = await ask(deleteRecords, version, port, request)
      assert.deepEqual(
        answer.topics[0]!.partitions.map(({ errorCode, lowWatermark }) => [
          errorCode,
          lowWatermark,
        ]),
        [
          [0, 4],
          [6, -1],
        ],
      )
    }
    const topics = [{ name: 't', partitionIndexes: [0, 1] }]
    const producers = await ask(describeProducers, 0, port, { topics })
    assert.deepEqual(
      producers.topics[0]!.partitions.map(({ errorCode }) => errorCode),
      [0, 6],
    )
  })

  it('have directories on each node that holds them, with their lag', async () => {
    const row = { partitionIndex: 0, partitionSize: 10, offsetLag: 3, isFutureKey: false }
    const port = fakeBroker({
      cluster: {
        describeLogDirs: async () => ({
          errorCode: 0,
          results: [
            { errorCode: 0, logDir: '/a', topics: [{ name: 't', partitions: [row] }] },
            { errorCode: 56, logDir: '/b', topics: [] },
          ],
        }),
      },
    })
    for (let version = 1; version <= 5; version++) {
      const { results } = await ask(describeLogDirs, version, port, { topics: null })
      assert.deepEqual(results[0]!.topics[0]!.partitions, [row])
      assert.equal(results[1]!.errorCode, 56)
    }
  })
})

describe('coordinators elsewhere', () => {
  it('are found, or not available yet, each by itself', async () => {
    const broker = fakeBroker({
      groups: {
        async findCoordinator(_context, { coordinatorKeys }) {
          return {
            errorCode: 0,
            coordinators: coordinatorKeys.map((key) =>
              key === 'lost'
                ? { key, nodeId: -1, host: '', port: -1, errorCode: 15, errorMessage: 'none' }
                : {
                    key,
                    nodeId: 3,
                    host: 'node-3',
                    port: 39_003,
                    errorCode: 0,
                    errorMessage: null,
                  },
            ),
          }
        },
      },
    })
    for (let version = 0; version <= 6; version++) {
      const asked = async (...keys: string[]) => {
        const request = version < 4 ? { key: keys[0]! } : { coordinatorKeys: keys, keyType: 0 }
        const answer = await ask(findCoordinator, version, broker, request)
        return version < 4 ? [answer] : answer.coordinators
      }
      const places = async (...keys: string[]) =>
        (await asked(...keys)).map(({ errorCode, nodeId, port }) => [errorCode, nodeId, port])
      assert.deepEqual(await places('found'), [[0, 3, 39_003]])
      assert.deepEqual(await places('lost'), [[15, -1, -1]])
      if (version < 4) continue
      assert.deepEqual(await places('lost', 'found'), [
        [15, -1, -1],
        [0, 3, 39_003],
      ])
    }
  })

  const versionsOf = ({ versions: [first, last] }: { versions: readonly [number, number] }) =>
    Array.from({ length: last - first + 1 }, (_, i) => first + i)

  it('are asked in vain here: members hear it in every version', async () => {
    const member = { groupId: 'g', generationId: 1, memberId: 'm' }
    for (const errorCode of [14, 15, 16]) {
      const broker = withoutGroups(errorCode)
      for (const version of versionsOf(joinGroup)) {
        const answer = await ask(joinGroup, version, broker, {
          groupId: 'g',
          sessionTimeoutMs: 1,
          memberId: '',
          protocolType: 'consumer',
          protocols: [],
        })
        assert.equal(answer.errorCode, errorCode)
      }
      for (const version of versionsOf(syncGroup)) {
        const named = version >= 5 && { protocolType: 'consumer', protocolName: 'range' }
        const request = { ...member, ...named, assignments: [] }
        assert.equal((await ask(syncGroup, version, broker, request)).errorCode, errorCode)
      }
      for (const version of versionsOf(heartbeat)) {
        assert.equal((await ask(heartbeat, version, broker, member)).errorCode, errorCode)
      }
      for (const version of versionsOf(leaveGroup)) {
        const leaver = version < 3 ? { memberId: 'm' } : { members: [] }
        const request = { groupId: 'g', ...leaver }
        assert.equal((await ask(leaveGroup, version, broker, request)).errorCode, errorCode)
      }
    }
  })

  it('are asked in vain here for commits and committed offsets', async () => {
    for (const errorCode of [14, 15, 16]) {
      const broker = withoutGroups(errorCode)
      for (const version of versionsOf(offsetCommit)) {
        const partitions = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }]
        const topic = version < 10 ? { name: 't', partitions } : { topicId: ID, partitions }
        const request = { groupId: 'g', memberId: 'm', topics: [topic] }
        const answer = await ask(offsetCommit, version, broker, request)
        assert.equal(answer.topics[0]!.partitions[0]!.errorCode, errorCode)
      }
      for (const version of versionsOf(offsetFetch)) {
        const topic = version < 10 ? { name: 't' } : { topicId: ID }
        const groups = [{ groupId: 'g', topics: [{ ...topic, partitionIndexes: [0] }] }]
        const old = { groupId: 'g', topics: [{ name: 't', partitionIndexes: [0] }] }
        const answer = await ask(offsetFetch, version, broker, version < 8 ? old : { groups })
        const [group] = answer.groups
        const said = version === 1 ? answer.topics[0]!.partitions[0]! : (group ?? answer)
        assert.equal(said.errorCode, errorCode)
      }
    }
  })
})

/** A node that coordinates nothing. */
function withoutGroups(errorCode: number) {
  return fakeBroker({
    data: fakeData([{ name: 't', id: ID, count: 1 }]),
    groups: {
      async joinGroup() {
        return { errorCode, protocolName: '', leader: '', memberId: '', members: [] }
      },
      syncGroup: async () => ({ errorCode, assignment: Buffer.alloc(0) }),
      heartbeat: async () => ({ errorCode }),
      leaveGroup: async () => ({ errorCode, members: [] }),
      offsetCommit: async (_context, { topics }) => ({
        topics: topics.map(({ name, partitions }) => ({
          name,
          partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
        })),
      }),
      offsetFetch: async (_context, { groups }) => ({
        groups: groups.map(({ groupId }) => ({ groupId, topics: [], errorCode })),
      }),
    },
  })
}
