import assert from 'node:assert/strict'
import { alterIncrementally, alterWhole, checkNewTopicConfigs, OPERATION } from './alter.ts'
import { loadSettings } from './load.ts'
import { topicLogConfig } from './topic-log-config.ts'

const settings = loadSettings({ flags: { 'node.id': '1' } })
const change = (name: string, value: string | null, operation: number = OPERATION.set) => ({
  name,
  operation,
  value,
})
const alter = (current: Record<string, string>, ...changes: ReturnType<typeof change>[]) =>
  alterIncrementally('topic', new Map(Object.entries(current)), changes, settings)

describe('node/config/alter', () => {
  it('sets and takes back', () => {
    assert.deepEqual(alter({}, change('retention.ms', '5')), new Map([['retention.ms', '5']]))
    assert.deepEqual(
      alter({ 'retention.ms': '5' }, change('retention.ms', null, OPERATION.delete)),
      new Map([['retention.ms', null]]),
    )
    assert.deepEqual(alter({ 'retention.ms': '5' }, change('retention.ms', '5')), new Map())
    assert.deepEqual(alter({}, change('retention.ms', null, OPERATION.delete)), new Map())
  })

  it('adds to lists and takes from them', () => {
    const append = change('cleanup.policy', 'compact', OPERATION.append)
    assert.deepEqual(alter({}, append), new Map([['cleanup.policy', 'delete,compact']]))
    assert.deepEqual(alter({ 'cleanup.policy': 'compact' }, append), new Map())
    assert.deepEqual(
      alter(
        { 'cleanup.policy': 'compact,delete' },
        change('cleanup.policy', 'delete', OPERATION.subtract),
      ),
      new Map([['cleanup.policy', 'compact']]),
    )
    assert.deepEqual(alter({}, change('retention.ms', '5', OPERATION.append)), {
      error: 40,
      message: 'retention.ms is no list: APPEND is for lists',
    })
  })

  it('refuses what Kafka refuses, with the same codes', () => {
    assert.deepEqual(alter({}, change('retention', '5')), {
      error: 40,
      message: 'Topics have no setting retention',
    })
    assert.deepEqual(alter({}, change('retention.ms', 'x')), {
      error: 40,
      message: 'retention.ms can not be x: it is no number of type LONG',
    })
    assert.deepEqual(alter({}, change('a', null), change('b', null)), {
      error: 42,
      message: 'These settings need a value: a,b',
    })
    assert.deepEqual(alter({}, change('a', '1'), change('a', '2')), {
      error: 42,
      message: 'A setting is named more than once',
    })
    assert.deepEqual(alter({}, change('retention.ms', '1', 9)), {
      error: 42,
      message: 'There is no operation 9 on settings',
    })
    assert.deepEqual(
      alter({}, change('min.compaction.lag.ms', '10'), change('max.compaction.lag.ms', '5')),
      {
        error: 40,
        message: 'min.compaction.lag.ms is 10, which is above max.compaction.lag.ms, 5',
      },
    )
    const tiered = alter({}, change('remote.storage.enable', 'true'))
    assert.ok('error' in tiered && tiered.error === 40)
  })

  it('replaces the whole set', () => {
    const current = new Map([
      ['retention.ms', '5'],
      ['segment.ms', '6'],
    ])
    const next = [
      { name: 'segment.ms', value: '7' },
      { name: 'flush.ms', value: '8' },
    ]
    assert.deepEqual(
      alterWhole('topic', current, next, settings),
      new Map([
        ['retention.ms', null],
        ['segment.ms', '7'],
        ['flush.ms', '8'],
      ]),
    )
    const refused = alterWhole('topic', current, [{ name: 'x', value: null }], settings)
    assert.ok('error' in refused && refused.error === 42)
  })

  it('changes of a broker only what may be changed', () => {
    const one = (kind: 'broker' | 'brokerDefault', name: string, value: string) =>
      alterIncrementally(kind, new Map(), [change(name, value)], settings)
    assert.ok(one('brokerDefault', 'log.retention.ms', '5') instanceof Map)
    assert.deepEqual(one('broker', 'num.partitions', '5'), {
      error: 42,
      message: 'This setting is read at a start only: num.partitions',
    })
    assert.deepEqual(one('brokerDefault', 'listeners', 'A://:1'), {
      error: 42,
      message: 'This setting is of one broker, not of all: listeners',
    })
    const bad = one('broker', 'log.retention.ms', 'x')
    assert.ok('error' in bad && bad.error === 42)
  })

  it('keeps what it does not know of a broker, as Kafka does for plugins', () => {
    for (const kind of ['broker', 'brokerDefault'] as const) {
      assert.deepEqual(
        alterIncrementally(kind, new Map(), [change('nothing', '1')], settings),
        new Map([['nothing', '1']]),
      )
    }
  })

  it('refuses unknown settings of client metrics as a bad request', () => {
    const outcome = alterIncrementally('clientMetrics', new Map(), [change('x', '1')], settings)
    assert.ok('error' in outcome && outcome.error === 42)
  })

  it('keeps settings of groups between the limits of the broker', () => {
    const one = (value: string) =>
      alterIncrementally(
        'group',
        new Map(),
        [change('consumer.session.timeout.ms', value)],
        settings,
      )
    assert.ok(one('50000') instanceof Map)
    const low = one('1000')
    assert.ok('error' in low && low.message.includes('group.consumer.min.session.timeout.ms'))
    const high = one('70000')
    assert.ok('error' in high && high.message.includes('group.consumer.max.session.timeout.ms'))
  })

  it('checks the settings of a new topic', () => {
    assert.deepEqual(
      checkNewTopicConfigs([{ name: 'flush', value: 'none' }], settings),
      new Map([['flush', 'none']]),
    )
    assert.deepEqual(checkNewTopicConfigs([{ name: 'a', value: null }], settings), {
      error: 40,
      message: 'These settings of a topic need a value: a',
    })
  })

  it('makes the configuration of a log', () => {
    const dynamic = settings.withDynamic(
      new Map([
        ['flush.policy', 'none'],
        ['log.roll.hours', '1'],
      ]),
      new Map(),
    )
    const overrides = new Map([
      ['cleanup.policy', 'compact,delete'],
      ['retention.ms', '-1'],
    ])
    const { log, minInsyncReplicas } = topicLogConfig(overrides, dynamic)
    assert.equal(minInsyncReplicas, 2)
    assert.ok(log.isCompacted && log.isDeleted)
    assert.equal(log.retentionMs, -1)
    assert.equal(log.segmentMs, 3_600_000)
    assert.equal(log.flush, 'none')
    assert.equal(log.flushMs, Number.MAX_SAFE_INTEGER)
    assert.equal(topicLogConfig(new Map(), settings).log.retentionMs, 7 * 86_400_000)
    const hours = loadSettings({ flags: { 'node.id': '1', 'log.retention.hours': '-1' } })
    assert.equal(topicLogConfig(new Map(), hours).log.retentionMs, -1)
    const minutes = loadSettings({
      flags: { 'node.id': '1', 'log.retention.hours': '1', 'log.retention.minutes': '2' },
    })
    assert.equal(topicLogConfig(new Map(), minutes).log.retentionMs, 120_000)
  })
})
