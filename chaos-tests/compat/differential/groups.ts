/* Classic groups and their offsets: a member's life, and each way to be refused. */
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
import type { Written } from '../../../kafka/wire/schema.ts'
import { type Side, versionsOf } from './side.ts'
import { NO_SUCH_ID } from './topics.ts'

type Join = Written<typeof joinGroup.request>

const METADATA = Buffer.from('000100000001000474657374ffffffff00000000', 'hex')
const TOPIC = 'offsets-topic'

function join(groupId: string, rest: Partial<Join> = {}): Join {
  return {
    groupId,
    sessionTimeoutMs: 30_000,
    rebalanceTimeoutMs: 30_000,
    memberId: '',
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: METADATA }],
    ...rest,
  }
}

/** A joined member of a group of its own: its id. */
async function joined(side: Side, groupId: string, groupInstanceId?: string): Promise<string> {
  const body = join(groupId, groupInstanceId === undefined ? {} : { groupInstanceId })
  const first = await side.probe(joinGroup, body)
  const { memberId } = first
  const { generationId } =
    first.errorCode === 0 ? first : await side.probe(joinGroup, { ...body, memberId })
  const assignments = [{ memberId, assignment: METADATA }]
  await side.probe(syncGroup, { groupId, generationId, memberId, assignments })
  return memberId
}

export async function findingCoordinators(side: Side): Promise<void> {
  const isFound = async () => {
    const { coordinators } = await side.probe(findCoordinator, { coordinatorKeys: ['any'] })
    return coordinators[0]?.errorCode === 0
  }
  await side.until(isFound, 'a coordinator')
  for (const at of versionsOf(findCoordinator)) {
    for (const keyType of [0, 1, 2, 9]) {
      for (const key of ['a group', '']) {
        const keys = at[1] >= 4 ? { coordinatorKeys: [key] } : { key }
        await side.ask(`type ${keyType} of '${key}'`, at, { ...keys, keyType })
      }
    }
    if (at[1] < 4) continue
    await side.ask('none', at, { coordinatorKeys: [], keyType: 0 })
    await side.ask('twice', at, { coordinatorKeys: ['a', 'a', 'b'], keyType: 0 })
  }
}

export async function joiningGroups(side: Side): Promise<void> {
  for (const at of versionsOf(joinGroup)) {
    const group = `v${at[1]}-join`
    const wrong: Record<string, Join> = {
      'no group': join(''),
      'session too short': join(group, { sessionTimeoutMs: 10 }),
      'session too long': join(group, { sessionTimeoutMs: 100_000_000 }),
      'unknown member': join(group, { memberId: 'nobody' }),
      'no protocols': join(group, { protocols: [] }),
      'no protocol type': join(group, { protocolType: '' }),
      'a bad instance': join(group, { groupInstanceId: 'a b/c' }),
      'an empty instance': join(group, { groupInstanceId: '' }),
    }
    for (const [label, body] of Object.entries(wrong)) await side.ask(label, at, body)
    const first = await side.ask('first', at, join(group))
    const memberId = first?.memberId ?? ''
    if (first?.errorCode === 79) await side.ask('with the id given', at, join(group, { memberId }))
    await side.ask('again', at, join(group, { memberId }))
    const type = { memberId, protocolType: 'connect' }
    await side.ask('with another type', at, join(group, type))
    const other = [{ name: 'other', metadata: METADATA }]
    await side.ask('by another of another type', at, join(group, { protocolType: 'connect' }))
    await side.ask('by another of another protocol', at, join(group, { protocols: other }))
    const instance = { groupInstanceId: 'one' }
    const still = await side.ask('static', at, join(`${group}-s`, instance))
    await side.ask('static again', at, join(`${group}-s`, instance))
    const fenced = { ...instance, memberId: still?.memberId ?? 'gone' }
    await side.ask('static, fenced', at, join(`${group}-s`, fenced))
    await side.ask('static, a stranger', at, join(`${group}-s`, { ...instance, memberId: 'x' }))
  }
}

export async function living(side: Side): Promise<void> {
  for (const at of versionsOf(heartbeat)) {
    const groupId = `v${at[1]}-beat`
    const memberId = await joined(side, groupId)
    const beat = { groupId, generationId: 1, memberId }
    await side.ask('well', at, beat)
    await side.ask('wrong generation', at, { ...beat, generationId: 7 })
    await side.ask('older generation', at, { ...beat, generationId: -1 })
    await side.ask('unknown member', at, { ...beat, memberId: 'x' })
    await side.ask('no member', at, { ...beat, memberId: '' })
    await side.ask('unknown group', at, { ...beat, groupId: 'nope' })
    await side.ask('no group', at, { ...beat, groupId: '' })
    await side.ask('unknown instance', at, { ...beat, groupInstanceId: 'i' })
  }
  for (const at of versionsOf(syncGroup)) {
    const groupId = `v${at[1]}-sync`
    const memberId = await joined(side, groupId)
    const protocol = at[1] >= 5 ? { protocolType: 'consumer', protocolName: 'range' } : {}
    const sync = { groupId, generationId: 1, memberId, assignments: [], ...protocol }
    await side.ask('well', at, sync)
    await side.ask('wrong generation', at, { ...sync, generationId: 7 })
    await side.ask('unknown member', at, { ...sync, memberId: 'x' })
    await side.ask('unknown group', at, { ...sync, groupId: 'nope' })
    await side.ask('no group', at, { ...sync, groupId: '' })
    await side.ask('another type', at, { ...sync, protocolType: 'connect' })
    await side.ask('another protocol', at, { ...sync, protocolName: 'other' })
    await side.ask('no protocol', at, { ...sync, protocolType: null, protocolName: null })
    await side.ask('unknown instance', at, { ...sync, groupInstanceId: 'i' })
  }
}

export async function leavingGroups(side: Side): Promise<void> {
  for (const at of versionsOf(leaveGroup)) {
    const groupId = `v${at[1]}-leave`
    const memberId = await joined(side, groupId)
    const who = (id: string, groupInstanceId: string | null = null) =>
      at[1] >= 3 ? { members: [{ memberId: id, groupInstanceId }] } : { memberId: id }
    await side.ask('unknown member', at, { groupId, ...who('x') })
    await side.ask('unknown group', at, { groupId: 'nope', ...who('x') })
    await side.ask('no group', at, { groupId: '', ...who('x') })
    await side.ask('well', at, { groupId, ...who(memberId) })
    await side.ask('again', at, { groupId, ...who(memberId) })
    if (at[1] < 3) continue
    const staticGroup = `v${at[1]}-leave-s`
    const id = await joined(side, staticGroup, 'one')
    const leave = (...members: { memberId: string; groupInstanceId: string | null }[]) => ({
      groupId: staticGroup,
      members,
    })
    await side.ask('none', at, leave())
    await side.ask('fenced', at, leave({ memberId: 'x', groupInstanceId: 'one' }))
    await side.ask('unknown instance', at, leave({ memberId: '', groupInstanceId: 'two' }))
    const both = leave(
      { memberId: id, groupInstanceId: 'one' },
      { memberId: 'x', groupInstanceId: null },
    )
    await side.ask('one that is, one that is not', at, both)
    const again = await joined(side, staticGroup, 'one')
    await side.ask('by instance alone', at, leave({ memberId: '', groupInstanceId: 'one' }))
    await side.ask('gone', at, leave({ memberId: again, groupInstanceId: 'one' }))
  }
}

export async function committing(side: Side): Promise<void> {
  await side.makeTopics([{ name: TOPIC, partitions: 2 }])
  const topicId = side.topicId(TOPIC)
  for (const at of versionsOf(offsetCommit)) {
    const groupId = `v${at[1]}-commit`
    const memberId = await joined(side, groupId)
    const partition = (partitionIndex: number, rest = {}) => ({
      partitionIndex,
      committedOffset: 5,
      committedMetadata: 'm',
      ...rest,
    })
    const named = (name: string, ...partitions: ReturnType<typeof partition>[]) =>
      at[1] >= 10
        ? [{ topicId: name === TOPIC ? topicId : NO_SUCH_ID, partitions }]
        : [{ name, partitions }]
    const good = {
      groupId,
      generationIdOrMemberEpoch: 1,
      memberId,
      topics: named(TOPIC, partition(0)),
    }
    const alone = {
      ...good,
      groupId: `${groupId}-alone`,
      memberId: '',
      generationIdOrMemberEpoch: -1,
    }
    const asked: Record<string, Written<typeof offsetCommit.request>> = {
      well: good,
      'wrong generation': { ...good, generationIdOrMemberEpoch: 9 },
      'no generation': { ...good, generationIdOrMemberEpoch: -1 },
      'no generation, no member': { ...good, memberId: '', generationIdOrMemberEpoch: -1 },
      'unknown member': { ...good, memberId: 'x' },
      'unknown instance': { ...good, groupInstanceId: 'i' },
      'unknown group': { ...good, groupId: 'nope' },
      'no group': { ...good, groupId: '' },
      'unknown topic': { ...good, topics: named('nope', partition(0)) },
      'unknown partition': { ...good, topics: named(TOPIC, partition(9)) },
      'one that is, one that is not': { ...good, topics: named(TOPIC, partition(1), partition(9)) },
      'no topics': { ...good, topics: [] },
      'no partitions': { ...good, topics: named(TOPIC) },
      'null metadata': { ...good, topics: named(TOPIC, partition(0, { committedMetadata: null })) },
      'much metadata': {
        ...good,
        topics: named(TOPIC, partition(0, { committedMetadata: 'x'.repeat(5000) })),
      },
      'negative offset': { ...good, topics: named(TOPIC, partition(0, { committedOffset: -1 })) },
      'without a group': alone,
      'without a group, a member': { ...alone, memberId: 'x' },
      'without a group, a generation': { ...alone, groupId: 'nope', generationIdOrMemberEpoch: 3 },
      'an epoch': { ...good, topics: named(TOPIC, partition(0, { committedLeaderEpoch: 4 })) },
    }
    for (const [label, body] of Object.entries(asked)) await side.ask(label, at, body)
  }
  await fetching(side, topicId)
}

async function fetching(side: Side, topicId: string): Promise<void> {
  const known = 'v9-commit'
  for (const at of versionsOf(offsetFetch)) {
    type Topics = [name: string, partitionIndexes: number[]][] | null
    const body = (groupId: string, topics: Topics, rest = {}) => {
      const list =
        topics?.map(([name, partitionIndexes]) =>
          at[1] >= 10
            ? { topicId: name === TOPIC ? topicId : NO_SUCH_ID, partitionIndexes }
            : { name, partitionIndexes },
        ) ?? null
      return at[1] >= 8
        ? { groups: [{ groupId, topics: list, ...rest }] }
        : { groupId, topics: list as { name: string; partitionIndexes: number[] }[] | null }
    }
    await side.ask('well', at, body(known, [[TOPIC, [0, 1]]]))
    await side.ask('all', at, body(known, null))
    await side.ask('none', at, body(known, []))
    await side.ask('no partitions', at, body(known, [[TOPIC, []]]))
    await side.ask('unknown partition', at, body(known, [[TOPIC, [9]]]))
    await side.ask('unknown topic', at, body(known, [['nope', [0]]]))
    await side.ask('unknown group', at, body('nope', [[TOPIC, [0]]]))
    await side.ask('all of an unknown group', at, body('nope', null))
    await side.ask('no group', at, body('', [[TOPIC, [0]]]))
    await side.ask('stable', at, { ...body(known, [[TOPIC, [0]]]), requireStable: true })
    if (at[1] < 9) continue
    const member = { memberId: 'x', memberEpoch: 3 }
    await side.ask('unknown member', at, body(known, [[TOPIC, [0]]], member))
    await side.ask('member of an unknown group', at, body('nope', [[TOPIC, [0]]], member))
    await side.ask('no groups', at, { groups: [] })
  }
}

export async function describingGroups(side: Side): Promise<void> {
  await side.makeTopics([{ name: 'held', partitions: 2 }])
  const memberId = await joined(side, 'd-full')
  const leaving = await joined(side, 'd-empty')
  await side.probe(leaveGroup, { groupId: 'd-empty', members: [{ memberId: leaving }] })
  for (const at of versionsOf(describeGroups)) {
    const ask = (label: string, groups: string[], rest = {}) =>
      side.ask(label, at, { groups, ...rest })
    await ask('full', ['d-full'])
    await ask('empty and unknown', ['d-empty', 'nope', ''])
    await ask('twice', ['d-full', 'd-full'])
    await ask('none', [])
    await ask('with operations', ['d-full', 'nope'], { includeAuthorizedOperations: true })
  }
  for (const at of versionsOf(listGroups)) {
    await side.ask('with a state', at, { statesFilter: ['Dead'] })
    await side.ask('with an unknown state', at, { statesFilter: ['Odd'] })
    await side.ask('with a type', at, { typesFilter: ['consumer'] })
    await side.ask('with an unknown type', at, { typesFilter: ['odd'] })
    await side.ask('with a state in capitals', at, {
      statesFilter: ['STABLE'],
      typesFilter: ['CLASSIC'],
    })
  }
  await removing(side, memberId)
}

async function removing(side: Side, memberId: string): Promise<void> {
  const topics = [
    {
      name: 'held',
      partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }],
    },
  ]
  for (const at of versionsOf(offsetDelete)) {
    const body = (groupId: string, name: string, partitionIndex: number) => ({
      groupId,
      topics: [{ name, partitions: [{ partitionIndex }] }],
    })
    await side.ask('commit', [offsetCommit, 9], {
      groupId: 'd-full',
      generationIdOrMemberEpoch: 1,
      memberId,
      topics,
    })
    await side.ask('held by a member', at, body('d-full', 'held', 0))
    await side.ask('unknown group', at, body('nope', 'held', 0))
    await side.ask('no group', at, body('', 'held', 0))
    await side.ask('nothing to delete', at, body('d-empty', 'held', 0))
    await side.ask('unknown topic', at, body('d-empty', 'nope', 0))
    await side.ask('unknown partition', at, body('d-empty', 'held', 9))
    await side.ask('no topics', at, { groupId: 'd-empty', topics: [] })
  }
  for (const at of versionsOf(deleteGroups)) {
    const empty = `v${at[1]}-gone`
    const id = await joined(side, empty)
    await side.probe(leaveGroup, { groupId: empty, members: [{ memberId: id }] })
    const ask = (label: string, ...groupsNames: string[]) => side.ask(label, at, { groupsNames })
    await ask('full', 'd-full')
    await ask('unknown and empty', 'nope', empty)
    await ask('again', empty)
    await ask('no name', '')
    await ask('none')
    await ask('twice', 'nope', 'nope')
  }
}
