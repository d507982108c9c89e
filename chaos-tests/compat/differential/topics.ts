/* Topics made, described, grown and deleted, with what is wrong in each way that there is. */
import { metadata } from '../../../kafka/api/03-metadata.ts'
import { createTopics } from '../../../kafka/api/19-create-topics.ts'
import { deleteTopics } from '../../../kafka/api/20-delete-topics.ts'
import { createPartitions } from '../../../kafka/api/37-create-partitions.ts'
import { describeTopicPartitions } from '../../../kafka/api/75-describe-topic-partitions.ts'
import { type Written, ZERO_UUID } from '../../../kafka/wire/schema.ts'
import { type Side, versionsOf } from './side.ts'

const LIMITS = { timeoutMs: 10_000 }
export const NO_SUCH_ID = 'AAAAAAAAAAAAAAAAAAAABw'

type Creatable = Written<typeof createTopics.request>['topics'][number]

function topic(name: string, rest: Partial<Creatable> = {}): Creatable {
  return { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [], ...rest }
}

const config = (name: string, value: string | null) => ({ configs: [{ name, value }] })
const assigned = (...assignments: number[][]) => ({
  numPartitions: -1,
  replicationFactor: -1,
  assignments: assignments.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds })),
})

/** What CreateTopics is asked, by label; `p` begins the names. */
function creations(p: string): Record<string, Creatable[]> {
  return {
    plain: [topic(`${p}plain`)],
    defaults: [topic(`${p}defaults`, { numPartitions: -1, replicationFactor: -1 })],
    'no topics': [],
    'exists already': [topic(`${p}plain`)],
    twice: [topic(`${p}twice`), topic(`${p}twice`, { numPartitions: 3 })],
    'twice and another': [topic(`${p}two`), topic(`${p}two`), topic(`${p}other`)],
    collides: [topic(`${p}a.b`), topic(`${p}c`)],
    'collides with one that exists': [topic(`${p}a_b`)],
    'bad names': ['', '.', '..', 'a b', 'a/b', 'ä', `${p}${'x'.repeat(250)}`].map((n) => topic(n)),
    internal: [topic('__consumer_offsets'), topic('__transaction_state'), topic('__odd')],
    'no partitions': [topic(`${p}zero`, { numPartitions: 0 })],
    'fewer partitions': [topic(`${p}minus`, { numPartitions: -2 })],
    'too many replicas': [topic(`${p}replicas`, { replicationFactor: 5 })],
    'no replicas': [topic(`${p}none`, { replicationFactor: 0 })],
    'fewer replicas': [topic(`${p}few`, { replicationFactor: -3 })],
    assigned: [topic(`${p}assigned`, assigned([1], [1]))],
    'assigned and counted': [topic(`${p}both`, { ...assigned([1]), numPartitions: 1 })],
    'assigned and replicated': [topic(`${p}rep`, { ...assigned([1]), replicationFactor: 1 })],
    'assigned to nobody': [topic(`${p}nobody`, assigned([]))],
    'assigned to a stranger': [topic(`${p}stranger`, assigned([7]))],
    'assigned twice': [topic(`${p}again`, assigned([1, 1]))],
    'assigned unevenly': [topic(`${p}uneven`, assigned([1], [1, 7]))],
    'assigned with a gap': [
      topic(`${p}gap`, {
        ...assigned([1]),
        assignments: [{ partitionIndex: 1, brokerIds: [1] }],
      }),
    ],
    'a partition assigned twice': [
      topic(`${p}dup`, {
        ...assigned([1]),
        assignments: [
          { partitionIndex: 0, brokerIds: [1] },
          { partitionIndex: 0, brokerIds: [1] },
        ],
      }),
    ],
  }
}

/** The same with settings of topics. */
function configured(p: string): Record<string, Creatable[]> {
  return {
    'with configs': [
      topic(`${p}configs`, {
        configs: [
          { name: 'retention.ms', value: '1000' },
          { name: 'cleanup.policy', value: 'compact,delete' },
        ],
      }),
    ],
    'unknown config': [topic(`${p}unknown`, config('no.such', 'x'))],
    'config of the wrong type': [topic(`${p}type`, config('retention.ms', 'soon'))],
    'config out of range': [topic(`${p}range`, config('segment.bytes', '1'))],
    'config with spaces': [topic(`${p}spaces`, config('retention.ms', ' 7 '))],
    'config null': [topic(`${p}null`, config('retention.ms', null))],
    'config empty': [topic(`${p}empty`, config('cleanup.policy', ''))],
    'config with a bad choice': [topic(`${p}choice`, config('compression.type', 'rar'))],
    'config twice': [
      topic(`${p}again2`, {
        configs: [
          { name: 'retention.ms', value: '1' },
          { name: 'retention.ms', value: '2' },
        ],
      }),
    ],
    'remote storage': [topic(`${p}remote`, config('remote.storage.enable', 'true'))],
    'configs at odds': [
      topic(`${p}odds`, {
        configs: [
          { name: 'min.compaction.lag.ms', value: '10' },
          { name: 'max.compaction.lag.ms', value: '5' },
        ],
      }),
    ],
  }
}

export async function creatingTopics(side: Side): Promise<void> {
  for (const at of versionsOf(createTopics)) {
    const p = `v${at[1]}-`
    const asked = Object.entries({ ...creations(p), ...configured(p) })
    for (const [label, topics] of asked) {
      await side.ask(`${label}, to validate`, at, { topics, ...LIMITS, validateOnly: true })
      await side.ask(label, at, { topics, ...LIMITS, validateOnly: false })
    }
    await side.ask('no time', at, {
      topics: [topic(`v${at[1]}-t`)],
      timeoutMs: 0,
      validateOnly: false,
    })
  }
}

export async function deletingTopics(side: Side): Promise<void> {
  for (const at of versionsOf(deleteTopics)) {
    const p = `v${at[1]}-del-`
    await side.makeTopics(['a', 'b', 'c', 'd', 'e'].map((name) => ({ name: p + name })))
    const named = (...names: string[]) =>
      at[1] >= 6
        ? { topics: names.map((name) => ({ name, topicId: ZERO_UUID })), ...LIMITS }
        : { topicNames: names, ...LIMITS }
    await side.ask('none', at, named())
    await side.ask('one', at, named(`${p}a`))
    await side.ask('again', at, named(`${p}a`))
    await side.ask('one that is, one that is not', at, named(`${p}b`, `${p}nope`))
    await side.ask('twice', at, named(`${p}c`, `${p}c`))
    await side.ask('bad names', at, named('', 'a b', '.'))
    if (at[1] < 6) continue
    const byId = (topicId: string) => ({ topics: [{ name: null, topicId }], ...LIMITS })
    await side.ask('by id', at, byId(side.topicId(`${p}d`)))
    await side.ask('by an unknown id', at, byId(NO_SUCH_ID))
    await side.ask('by no id', at, { topics: [{ name: null, topicId: ZERO_UUID }], ...LIMITS })
    const [name, topicId] = [`${p}e`, side.topicId(`${p}e`)]
    await side.ask('by name and id', at, { topics: [{ name, topicId }], ...LIMITS })
    await side.ask('by id and by name', at, {
      topics: [
        { name: null, topicId },
        { name, topicId: ZERO_UUID },
      ],
      ...LIMITS,
    })
  }
}

export async function growingTopics(side: Side): Promise<void> {
  for (const at of versionsOf(createPartitions)) {
    const name = `v${at[1]}-grow`
    const other = `v${at[1]}-other-grow`
    await side.makeTopics([{ name, partitions: 2 }, { name: other }])
    const to = (count: number, assignments: number[][] | null = null, names = [name]) => ({
      topics: names.map((one) => ({
        name: one,
        count,
        assignments: assignments?.map((brokerIds) => ({ brokerIds })) ?? null,
      })),
      ...LIMITS,
    })
    const asked: Record<string, ReturnType<typeof to>> = {
      'no topics': to(3, null, []),
      'the same': to(2),
      fewer: to(1),
      none: to(0),
      negative: to(-1),
      'unknown topic': to(3, null, ['nope']),
      'empty name': to(3, null, ['']),
      twice: to(3, null, [name, name]),
      'twice and another': to(3, null, [name, name, other]),
      'assigned to nobody': to(3, [[]]),
      'assigned to a stranger': to(3, [[9]]),
      'too few assigned': to(4, [[1]]),
      'too many assigned': to(3, [[1], [1]]),
      'assigned to two': to(3, [[1, 1]]),
      'nothing assigned': to(3, []),
      more: to(4),
      assigned: to(5, [[1]]),
    }
    for (const [label, body] of Object.entries(asked)) {
      await side.ask(`${label}, to validate`, at, { ...body, validateOnly: true })
      await side.ask(label, at, { ...body, validateOnly: false })
    }
  }
}

export async function describingTopics(side: Side): Promise<void> {
  await side.makeTopics([{ name: 'seen', partitions: 3 }, { name: 'seen2' }])
  for (const at of versionsOf(metadata)) {
    const auto = at[1] >= 4 ? { allowAutoTopicCreation: false } : {}
    const named = (...names: string[]) => ({ topics: names.map((name) => ({ name })), ...auto })
    await side.ask('some', at, named('seen', 'seen2'))
    await side.ask('twice', at, named('seen', 'seen'))
    await side.ask('none', at, { topics: [], ...auto })
    await side.ask('bad names', at, named('', 'a b', '..', 'x'.repeat(250)))
    if (at[1] >= 4) await side.ask('unknown', at, named('nope'))
    await side.ask('made by asking', at, { topics: [{ name: `v${at[1]}-auto` }] })
    const bits = {
      includeTopicAuthorizedOperations: true,
      includeClusterAuthorizedOperations: true,
    }
    await side.ask('with operations of topics', at, {
      ...named('seen', 'nope2'),
      includeTopicAuthorizedOperations: true,
    })
    await side.ask('with all operations', at, { ...named('seen'), ...bits })
    const byId = (topicId: string, name: string | null = null) => ({
      topics: [{ topicId, name }],
      ...auto,
    })
    await side.ask('by id', at, byId(side.topicId('seen')))
    await side.ask('by an unknown id', at, byId(NO_SUCH_ID))
    await side.ask('by id and name', at, byId(side.topicId('seen'), 'seen2'))
    await side.ask('by neither', at, { topics: [{ name: null }], ...auto })
  }
}

export async function describingPartitions(side: Side): Promise<void> {
  await side.makeTopics([
    { name: 'dtp-a', partitions: 3 },
    { name: 'dtp-b', partitions: 2 },
  ])
  for (const at of versionsOf(describeTopicPartitions)) {
    const topics = [{ name: 'dtp-a' }, { name: 'dtp-b' }]
    const ask = (label: string, body: Partial<Written<typeof describeTopicPartitions.request>>) =>
      side.ask(label, at, { topics, responsePartitionLimit: 2000, cursor: null, ...body })
    await ask('all of two', {})
    await ask('limited', { responsePartitionLimit: 2 })
    await ask('limited to none', { responsePartitionLimit: 0 })
    await ask('limited to less', { responsePartitionLimit: -1 })
    await ask('twice', { topics: [...topics, ...topics] })
    await ask('unknown', { topics: [{ name: 'nope' }, { name: 'dtp-a' }] })
    await ask('bad names', { topics: [{ name: '' }, { name: 'a b' }] })
    const from = (topicName: string, partitionIndex: number) => ({ topicName, partitionIndex })
    await ask('from the middle', { cursor: from('dtp-a', 1) })
    await ask('from the second', { cursor: from('dtp-b', 0) })
    await ask('from behind the end', { cursor: from('dtp-a', 9) })
    await ask('from before the start', { cursor: from('dtp-a', -1) })
    await ask('from what is not asked for', { cursor: from('dtp-aa', 0) })
    await ask('from what is not there', { cursor: from('nope', 0) })
    await ask('from an empty name', { cursor: from('', 0) })
  }
}
