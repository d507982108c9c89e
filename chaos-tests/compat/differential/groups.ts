/** What consumer groups of the classic protocol are asked. */
import { offsetCommit } from '../../../kafka/api/08-offset-commit.ts'
import { offsetFetch } from '../../../kafka/api/09-offset-fetch.ts'
import { findCoordinator } from '../../../kafka/api/10-find-coordinator.ts'
import { joinGroup } from '../../../kafka/api/11-join-group.ts'
import { heartbeat } from '../../../kafka/api/12-heartbeat.ts'
import { leaveGroup } from '../../../kafka/api/13-leave-group.ts'
import { syncGroup } from '../../../kafka/api/14-sync-group.ts'
import { describeGroups } from '../../../kafka/api/15-describe-groups.ts'
import { listGroups } from '../../../kafka/api/16-list-groups.ts'
import { deleteGroups } from '../../../kafka/api/42-delete-groups.ts'
import { offsetDelete } from '../../../kafka/api/47-offset-delete.ts'
import type { Session } from './session.ts'
import { type Case, makeTopic } from './topics.ts'

const find = (key: string, keyType = 0) => ({ key, keyType, coordinatorKeys: [key] })

interface Joining {
  readonly memberId?: string
  readonly sessionTimeoutMs?: number
  readonly protocolType?: string
  readonly protocols?: readonly string[]
  readonly groupInstanceId?: string
}

const join = (groupId: string, more: Joining = {}) => ({
  groupId,
  sessionTimeoutMs: more.sessionTimeoutMs ?? 30_000,
  rebalanceTimeoutMs: 30_000,
  memberId: more.memberId ?? '',
  groupInstanceId: more.groupInstanceId ?? null,
  protocolType: more.protocolType ?? 'consumer',
  protocols: (more.protocols ?? ['range']).map((name) => ({ name, metadata: Buffer.from('m') })),
})

interface Committing {
  readonly memberId?: string
  readonly generation?: number
  readonly topic?: string
  readonly topicId?: string
  readonly partition?: number
  readonly metadata?: string | null
}

const commit = (groupId: string, offset: number, more: Committing = {}) => ({
  groupId,
  generationIdOrMemberEpoch: more.generation ?? -1,
  memberId: more.memberId ?? '',
  topics: [
    {
      name: more.topic ?? 'shared',
      topicId: more.topicId ?? 'AAAAAAAAAAAAAAAAAAAA_w',
      partitions: [
        {
          partitionIndex: more.partition ?? 0,
          committedOffset: offset,
          committedMetadata: more.metadata === undefined ? 'note' : more.metadata,
        },
      ],
    },
  ],
})

const committed = (groupId: string, topicId: string) => {
  const topics = [{ name: 'shared', topicId, partitionIndexes: [0, 1, 9] }]
  return { groupId, topics, groups: [{ groupId, topics }] }
}

async function ready(session: Session): Promise<string> {
  await makeTopic(session, 'shared', { numPartitions: 3 })
  for (let isThere = false; !isThere; ) {
    const answer = await session.quietly(findCoordinator, find('g'))
    isThere = answer.coordinators[0]!.errorCode === 0
  }
  return await session.topicId('shared')
}

interface Member {
  readonly memberId: string
  readonly generation: number
}

/** Alone in its group, and in the state Stable. */
async function stable(session: Session, groupId: string, more: Joining = {}): Promise<Member> {
  let answer = await session.quietly(joinGroup, join(groupId, more))
  if (answer.errorCode === 79) {
    answer = await session.quietly(joinGroup, join(groupId, { ...more, memberId: answer.memberId }))
  }
  const { memberId, generationId: generation } = answer
  await session.quietly(syncGroup, sync(groupId, { memberId, generation }))
  return { memberId, generation }
}

const sync = (groupId: string, { memberId, generation }: Member, protocolName = 'range') => ({
  groupId,
  generationId: generation,
  memberId,
  protocolType: 'consumer',
  protocolName,
  assignments: [{ memberId, assignment: Buffer.from('all') }],
})

export const GROUP_CASES: readonly Case[] = [
  {
    name: 'coordinators',
    run: async (session) => {
      await ready(session)
      await session.each(findCoordinator, find('g'))
      await session.each(findCoordinator, find(''))
      await session.each(findCoordinator, find('g', 9))
      await session.ask(findCoordinator, { ...find('g'), coordinatorKeys: [] })
      await session.ask(findCoordinator, { ...find('g'), coordinatorKeys: ['g', 'g', 'h'] })
    },
  },
  {
    name: 'joining',
    run: async (session) => {
      await ready(session)
      await session.each(joinGroup, join(''))
      await session.each(joinGroup, join('j-session', { sessionTimeoutMs: 1 }))
      await session.each(joinGroup, join('j-session', { sessionTimeoutMs: 100_000_000 }))
      await session.each(joinGroup, join('j-stranger', { memberId: 'nobody' }))
      await session.each(joinGroup, join('j-none', { protocols: [] }))
      await session.each(joinGroup, join('j-type', { protocolType: '' }))
      await session.ask(joinGroup, join('j-handshake'))
      await session.ask(joinGroup, join('j-static', { groupInstanceId: 'i' }))
      await session.ask(joinGroup, join('j-static-bad', { groupInstanceId: '' }))
      await session.ask(joinGroup, join('j-old'), 3)
      await stable(session, 'j-stable')
      await session.ask(joinGroup, join('j-stable', { protocols: ['other'] }), 3)
      await session.ask(joinGroup, join('j-stable', { protocolType: 'connect' }), 3)
    },
  },
  {
    name: 'a member and its group',
    run: async (session) => {
      await ready(session)
      const member = await stable(session, 'm')
      const { memberId, generation } = member
      const beat = (more: object) => ({ groupId: 'm', generationId: generation, memberId, ...more })
      await session.each(heartbeat, beat({}))
      await session.each(heartbeat, beat({ generationId: 77 }))
      await session.each(heartbeat, beat({ memberId: 'nobody' }))
      await session.each(heartbeat, beat({ groupId: 'no-group' }))
      await session.each(heartbeat, beat({ groupId: '' }))
      await session.ask(heartbeat, beat({ groupInstanceId: 'nobody' }))
      await session.each(syncGroup, sync('m', member))
      await session.each(syncGroup, sync('m', { ...member, generation: 9 }))
      await session.each(syncGroup, sync('m', { ...member, memberId: 'nobody' }))
      await session.each(syncGroup, sync('m', member, 'other'))
      await session.ask(syncGroup, { ...sync('m', member), protocolType: 'connect' })
      await session.each(syncGroup, sync('no-group', member))
      await session.each(describeGroups, { groups: ['m', 'no-group', ''] })
      const operations = { groups: ['m', 'no-group'], includeAuthorizedOperations: true }
      await session.each(describeGroups, operations)
      await session.each(deleteGroups, { groupsNames: ['m'] })
      const leave = (one: string, groupInstanceId: string | null = null) => ({
        groupId: 'm',
        memberId: one,
        members: [{ memberId: one, groupInstanceId }],
      })
      await session.each(leaveGroup, leave('nobody'))
      await session.ask(leaveGroup, leave('', 'nobody'))
      await session.ask(leaveGroup, { ...leave(''), members: [] })
      await session.ask(leaveGroup, { ...leave(memberId), groupId: 'no-group' })
      await session.ask(leaveGroup, leave(memberId))
      await session.ask(leaveGroup, leave(memberId))
      await session.ask(describeGroups, { groups: ['m'] })
    },
  },
  {
    name: 'static members',
    run: async (session) => {
      await ready(session)
      const instance = { groupInstanceId: 'one' }
      const member = await stable(session, 's', instance)
      await session.ask(joinGroup, join('s', instance))
      const beat = { groupId: 's', generationId: member.generation, memberId: member.memberId }
      await session.ask(heartbeat, { ...beat, ...instance })
      const answer = await session.quietly(joinGroup, join('s', instance))
      const now = { memberId: answer.memberId, generation: answer.generationId }
      await session.ask(heartbeat, {
        groupId: 's',
        generationId: now.generation,
        memberId: now.memberId,
        ...instance,
      })
      await session.ask(offsetCommit, commit('s', 1, { ...member }), 9)
      await session.ask(leaveGroup, {
        groupId: 's',
        memberId: '',
        members: [{ memberId: '', groupInstanceId: 'one' }],
      })
    },
  },
  {
    name: 'commits',
    run: async (session) => {
      const topicId = await ready(session)
      const to = { topicId }
      await session.each(offsetCommit, commit('c', 5, to))
      await session.each(offsetFetch, committed('c', topicId))
      await session.each(offsetCommit, commit('c', -1, to))
      await session.each(offsetCommit, commit('c', 5, { ...to, partition: 9 }))
      await session.each(offsetCommit, commit('c', 5, { topic: 'missing' }))
      await session.each(offsetCommit, commit('c', 5, { ...to, metadata: 'x'.repeat(5000) }))
      await session.each(offsetCommit, commit('c', 5, { ...to, metadata: null }))
      await session.each(offsetCommit, commit('', 5, to))
      await session.each(offsetCommit, commit('c', 5, { ...to, generation: 3, memberId: 'nobody' }))
      await session.each(offsetCommit, commit('c', 5, { ...to, generation: 3 }))
      await session.each(offsetCommit, commit('c2', 5, { ...to, generation: 3, memberId: 'x' }))
      const member = await stable(session, 'c3')
      await session.each(offsetCommit, commit('c3', 5, { ...to, ...member }))
      await session.each(offsetCommit, commit('c3', 5, { ...to, ...member, generation: 99 }))
      await session.each(offsetCommit, commit('c3', 5, to))
      const all = { groupId: 'c', topics: null, groups: [{ groupId: 'c', topics: null }] }
      await session.each(offsetFetch, all)
      await session.each(offsetFetch, committed('no-group', topicId))
      await session.each(offsetFetch, committed('', topicId))
      const groups = [
        { groupId: 'c', topics: null },
        { groupId: 'd', topics: null },
      ]
      await session.ask(offsetFetch, { groupId: '', topics: null, groups })
      const remove = (groupId: string, name: string, partitionIndex: number) => ({
        groupId,
        topics: [{ name, partitions: [{ partitionIndex }] }],
      })
      await session.ask(offsetDelete, remove('c', 'shared', 9))
      await session.ask(offsetDelete, remove('c', 'missing', 0))
      await session.ask(offsetDelete, remove('no-group', 'shared', 0))
      await session.ask(offsetDelete, remove('', 'shared', 0))
      await session.ask(offsetDelete, remove('c', 'shared', 0))
      await session.ask(offsetFetch, committed('c', topicId))
      await session.each(deleteGroups, { groupsNames: ['no-group', ''] })
      await session.ask(deleteGroups, { groupsNames: ['c', 'c'] })
    },
  },
  {
    name: 'groups are listed',
    run: async (session) => {
      await ready(session)
      await stable(session, 'l')
      await session.each(listGroups, {})
      await session.each(listGroups, { statesFilter: ['Stable'] })
      await session.each(listGroups, { statesFilter: ['stable', 'Empty'] })
      await session.each(listGroups, { statesFilter: ['NoSuchState'] })
      await session.each(listGroups, { typesFilter: ['classic'] })
      await session.each(listGroups, { typesFilter: ['consumer'] })
      await session.each(listGroups, { typesFilter: ['none'] })
    },
  },
]
