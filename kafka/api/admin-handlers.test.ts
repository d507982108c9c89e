/** What administrators ask of the controller: how versions are told apart, and what is refused here. */
import assert from 'node:assert/strict'
import { ZERO_UUID } from '../wire/schema.ts'
import { electLeaders } from './43-elect-leaders.ts'
import { alterPartitionReassignments } from './45-alter-partition-reassignments.ts'
import { listPartitionReassignments } from './46-list-partition-reassignments.ts'
import { type DescribeQuorumResponse, describeQuorum } from './55-describe-quorum.ts'
import { updateFeatures } from './57-update-features.ts'
import { unregisterBroker } from './64-unregister-broker.ts'
import { addRaftVoter } from './80-add-raft-voter.ts'
import { removeRaftVoter } from './81-remove-raft-voter.ts'
import { ask, fakeBroker } from './testing/fake-broker.ts'

const ID = 'BHJLm_MOSfSN-ix-hyUAjw'

describe('ElectLeaders', () => {
  const elected = {
    replicaElectionResults: [
      { topic: 't', partitionResult: [{ partitionId: 0, errorCode: 84, errorMessage: 'no' }] },
    ],
  }
  const partitions = { topicPartitions: [{ topic: 't', partitions: [0] }] }

  it('asks the controller, for a preferred leader in v0', async () => {
    const asked: unknown[] = []
    const broker = fakeBroker({
      admin: {
        async electLeaders(_context, request) {
          asked.push([request.electionType, request.topicPartitions])
          return elected
        },
      },
    })
    const { topicPartitions } = partitions
    const first = await ask(electLeaders, 0, broker, partitions)
    assert.deepEqual(first.replicaElectionResults, elected.replicaElectionResults)
    await ask(electLeaders, 1, broker, { ...partitions, electionType: 1 })
    await ask(electLeaders, 2, broker, { topicPartitions: null })
    assert.deepEqual(asked, [
      [0, topicPartitions],
      [1, topicPartitions],
      [0, null],
    ])
  })

  it('refuses a kind of election that does not exist, of each partition too', async () => {
    const answer = await ask(electLeaders, 2, fakeBroker({}), { ...partitions, electionType: 2 })
    assert.equal(answer.errorCode, 42)
    assert.equal(answer.replicaElectionResults[0]!.partitionResult[0]!.errorCode, 42)
  })

  it('says an error of the whole in v0 as well', async () => {
    const broker = fakeBroker({
      admin: { electLeaders: async () => ({ errorCode: 41, replicaElectionResults: [] }) },
    })
    for (const version of [0, 1, 2]) {
      const answer = await ask(electLeaders, version, broker, partitions)
      assert.equal(answer.errorCode, version === 0 ? 0 : 41)
      assert.deepEqual(answer.replicaElectionResults, [
        { topic: 't', partitionResult: [{ partitionId: 0, errorCode: 41, errorMessage: null }] },
      ])
    }
  })
})

describe('reassignments', () => {
  it('are passed on whole; a change of the replication factor is allowed unless refused', async () => {
    const asked: unknown[] = []
    const broker = fakeBroker({
      admin: {
        async alterPartitionReassignments(_context, request) {
          asked.push([request.allowReplicationFactorChange, request.topics])
          return { errorCode: 0, errorMessage: null, responses: [] }
        },
        async listPartitionReassignments(_context, { topics }) {
          asked.push(topics)
          return { errorCode: 0, errorMessage: null, topics: [] }
        },
      },
    })
    const topics = [
      {
        name: 't',
        partitions: [
          { partitionIndex: 0, replicas: [2, 3] },
          { partitionIndex: 1, replicas: null },
        ],
      },
    ]
    await ask(alterPartitionReassignments, 0, broker, { topics })
    const refused = { topics, allowReplicationFactorChange: false }
    const answer = await ask(alterPartitionReassignments, 1, broker, refused)
    assert.equal(answer.allowReplicationFactorChange, false)
    await ask(listPartitionReassignments, 0, broker, {})
    const some = [{ name: 't', partitionIndexes: [1] }]
    await ask(listPartitionReassignments, 0, broker, { topics: some })
    assert.deepEqual(asked, [[true, topics], [false, topics], null, some])
  })
})

describe('DescribeQuorum', () => {
  const replica = (replicaId: number) => ({
    replicaId,
    replicaDirectoryId: ID,
    logEndOffset: 40,
    lastFetchTimestamp: 7,
    lastCaughtUpTimestamp: 6,
  })
  const quorum: DescribeQuorumResponse = {
    errorCode: 0,
    errorMessage: '',
    topics: [
      {
        topicName: '__cluster_metadata',
        partitions: [
          {
            partitionIndex: 0,
            errorCode: 0,
            errorMessage: '',
            leaderId: 2,
            leaderEpoch: 9,
            highWatermark: 39,
            currentVoters: [replica(1), replica(2)],
            observers: [replica(4)],
          },
        ],
      },
    ],
    nodes: [{ nodeId: 1, listeners: [{ name: 'CONTROLLER', host: 'h', port: 65_535 }] }],
  }
  const broker = fakeBroker({ admin: { describeQuorum: async () => quorum } })
  const of = (topicName: string, ...indexes: number[]) => ({
    topicName,
    partitions: indexes.map((partitionIndex) => ({ partitionIndex })),
  })

  it('has times since v1, directories and addresses since v2', async () => {
    for (const version of [0, 1, 2]) {
      const request = { topics: [of('__cluster_metadata', 0)] }
      const answer = await ask(describeQuorum, version, broker, request)
      const { leaderId, currentVoters, observers } = answer.topics[0]!.partitions[0]!
      assert.equal(leaderId, 2)
      for (const state of [...currentVoters, ...observers]) {
        assert.equal(state.logEndOffset, 40)
        assert.equal(state.lastFetchTimestamp, version === 0 ? -1 : 7)
        assert.equal(state.replicaDirectoryId, version < 2 ? ZERO_UUID : ID)
      }
      assert.equal(answer.nodes.length, version < 2 ? 0 : 1)
    }
  })

  it('knows no other partition, and the one only alone', async () => {
    const strange = [
      [of('t', 0)],
      [of('__cluster_metadata', 1)],
      [of('__cluster_metadata', 0, 0)],
      [of('__cluster_metadata', 0), of('t', 0)],
    ]
    for (const topics of strange) {
      for (const version of [0, 2]) {
        const answer = await ask(describeQuorum, version, fakeBroker({}), { topics })
        assert.equal(answer.errorCode, 0)
        for (const { partitions } of answer.topics) {
          for (const { errorCode } of partitions) assert.equal(errorCode, 3)
        }
        assert.equal(answer.topics.length, topics.length)
      }
    }
  })
})

describe('UpdateFeatures', () => {
  const update = { feature: 'metadata.version', maxVersionLevel: 29 }

  it('knows kinds of upgrade since v1, before it whether a downgrade is allowed', async () => {
    const asked: unknown[] = []
    const broker = fakeBroker({
      admin: {
        async updateFeatures(_context, { featureUpdates, validateOnly }) {
          asked.push([
            featureUpdates[0]!.upgradeType,
            featureUpdates[0]!.allowDowngrade,
            validateOnly,
          ])
          return { errorCode: 0, errorMessage: null }
        },
      },
    })
    const old = await ask(updateFeatures, 0, broker, { featureUpdates: [update] })
    assert.deepEqual(old.results, [{ feature: update.feature, errorCode: 0, errorMessage: null }])
    const allowed = { featureUpdates: [{ ...update, allowDowngrade: true }] }
    await ask(updateFeatures, 0, broker, allowed)
    const unsafe = { featureUpdates: [{ ...update, upgradeType: 3 }], validateOnly: true }
    assert.equal((await ask(updateFeatures, 1, broker, unsafe)).results.length, 1)
    assert.deepEqual((await ask(updateFeatures, 2, broker, unsafe)).results, [])
    assert.deepEqual(asked, [
      [1, false, false],
      [2, false, false],
      [3, false, true],
      [3, false, true],
    ])
  })

  it('refuses another kind', async () => {
    const request = { featureUpdates: [{ ...update, upgradeType: 0 }] }
    for (const version of [1, 2]) {
      const answer = await ask(updateFeatures, version, fakeBroker({}), request)
      assert.equal(answer.errorCode, 42)
      assert.match(answer.errorMessage!, /kind of upgrade 0 for metadata.version/)
    }
  })

  it('tells an error of the whole alike in all versions', async () => {
    const broker = fakeBroker({
      admin: {
        updateFeatures: async () => ({
          errorCode: 95,
          errorMessage: 'no',
          results: [{ feature: 'x', errorCode: 95, errorMessage: 'no' }],
        }),
      },
    })
    for (const version of [0, 1, 2]) {
      const answer = await ask(updateFeatures, version, broker, { featureUpdates: [update] })
      const { errorCode, errorMessage, results } = answer
      assert.deepEqual([errorCode, errorMessage, results], [95, 'no', []])
    }
  })
})

describe('UnregisterBroker, AddRaftVoter, RemoveRaftVoter', () => {
  it('are passed on', async () => {
    const asked: unknown[] = []
    const refused = async (_context: unknown, request: object) => {
      asked.push(request)
      return { errorCode: 42, errorMessage: 'because' }
    }
    const broker = fakeBroker({
      admin: { unregisterBroker: refused, addRaftVoter: refused, removeRaftVoter: refused },
    })
    const voter = { clusterId: 'c', voterId: 4, voterDirectoryId: ID }
    const listeners = [{ name: 'CONTROLLER', host: 'h', port: 9 }]
    const answers = [
      await ask(unregisterBroker, 0, broker, { brokerId: 3 }),
      await ask(addRaftVoter, 0, broker, { ...voter, timeoutMs: 5, listeners }),
      await ask(addRaftVoter, 1, broker, {
        ...voter,
        timeoutMs: 5,
        listeners,
        ackWhenCommitted: false,
      }),
      await ask(removeRaftVoter, 0, broker, voter),
    ]
    for (const { errorCode, errorMessage } of answers) {
      assert.deepEqual([errorCode, errorMessage], [42, 'because'])
    }
    assert.deepEqual(asked, [
      { brokerId: 3 },
      { ...voter, timeoutMs: 5, listeners, ackWhenCommitted: true },
      { ...voter, timeoutMs: 5, listeners, ackWhenCommitted: false },
      voter,
    ])
  })
})
