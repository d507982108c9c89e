/** Handlers of groups and their offsets: old versions, topic ids, what exists and what does not. */
import assert from 'node:assert/strict'
import type { GroupsPort } from '../control.ts'
import { ZERO_UUID } from '../wire/schema.ts'
import { offsetCommit } from './08-offset-commit.ts'
import { offsetFetch } from './09-offset-fetch.ts'
import { findCoordinator } from './10-find-coordinator.ts'
import { joinGroup } from './11-join-group.ts'
import { leaveGroup } from './13-leave-group.ts'
import { syncGroup } from './14-sync-group.ts'
import { describeGroups } from './15-describe-groups.ts'
import { offsetDelete } from './47-offset-delete.ts'
import { ask, fakeBroker, fakeData } from './testing/fake-broker.ts'

const ID = 'BHJLm_MOSfSN-ix-hyUAjw'
const OTHER_ID = 'CHJLm_MOSfSN-ix-hyUAjw'

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
