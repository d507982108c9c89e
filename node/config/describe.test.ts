import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { Settings } from '../config.ts'
import { BROKER_SETTINGS } from './broker-settings.ts'
import { CLIENT_METRICS_SETTINGS } from './client-metrics-settings.ts'
import type { Setting } from './definition.ts'
import {
  type DescribedSetting,
  describeBroker,
  describeClientMetrics,
  describeGroup,
  describeTopic,
} from './describe.ts'
import { GROUP_SETTINGS } from './group-settings.ts'
import { loadSettings } from './load.ts'
import { QUOTA_SETTINGS } from './quota-settings.ts'
import { TOPIC_SETTINGS } from './topic-settings.ts'

interface KafkaSetting {
  kind: string
  name: string
  type: string
  default?: string | null
  validator?: string
  importance: string
  mode?: string
  synonyms?: (string | { name: string; times: number })[]
  internal?: boolean
  refuses?: string[]
}

const lines = (name: string) =>
  readFileSync(new URL(`../../../node/config/testdata/${name}`, import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

const TABLES: Record<string, readonly Setting[]> = {
  broker: BROKER_SETTINGS,
  topic: TOPIC_SETTINGS,
  group: GROUP_SETTINGS,
  'client-metrics': CLIENT_METRICS_SETTINGS,
  quota: QUOTA_SETTINGS,
}

const kafka = lines('kafka-settings.jsonl') as KafkaSetting[]
const stock = lines('stock-configs.jsonl')

/** The settings with which the broker ran whose answers are in the test data. */
const STOCK = {
  'process.roles': 'broker,controller',
  'node.id': '1',
  listeners: 'PLAINTEXT://127.0.0.1:39092,CONTROLLER://127.0.0.1:39093',
  'advertised.listeners': 'PLAINTEXT://127.0.0.1:39092,CONTROLLER://127.0.0.1:39093',
  'controller.listener.names': 'CONTROLLER',
  'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
  'controller.quorum.bootstrap.servers': '127.0.0.1:39093',
  'log.dirs': 'data',
  'offsets.topic.replication.factor': '1',
  'transaction.state.log.replication.factor': '1',
}
/** A new cluster of Kafka 4.3 has this one from the start. */
const CLUSTER_DEFAULTS = new Map([['min.insync.replicas', '1']])

const settings = () => loadSettings({ flags: STOCK }).withDynamic(CLUSTER_DEFAULTS, new Map())

const plain = (row: DescribedSetting) => ({ ...row, documentation: null })

function answered(note: string): DescribedSetting[] {
  return stock.find((one) => one.note === note).response.results[0].configs
}

function compare(ours: readonly DescribedSetting[], theirs: readonly DescribedSetting[]): void {
  const deviating = new Set(
    BROKER_SETTINGS.filter((setting) => setting.deviation !== undefined).map(({ name }) => name),
  )
  const byName = new Map(ours.map((row) => [row.name, row]))
  for (const row of theirs) {
    const own = byName.get(row.name)
    assert.ok(own !== undefined, `${row.name} is described`)
    if (deviating.has(row.name)) assert.equal(own.configType, row.configType)
    else assert.deepEqual(plain(own), row, row.name)
  }
  const known = new Set(theirs.map(({ name }) => name))
  const more = ours.map(({ name }) => name).filter((name) => !known.has(name))
  const isOwn = (name: string) => !kafka.some((setting) => setting.name === name)
  assert.deepEqual(
    more.filter((name) => !isOwn(name)),
    [],
  )
}

describe('node/config/describe', () => {
  it("has each of Kafka's settings, as Kafka has it", () => {
    assert.ok(kafka.length > 400)
    for (const theirs of kafka) {
      const own = TABLES[theirs.kind]!.find((setting) => setting.name === theirs.name)
      assert.ok(own !== undefined, theirs.name)
      const expected = own.deviation?.kafkaDefault ?? own.default
      if (own.deviation === undefined) assert.equal(own.default, theirs.default ?? null, own.name)
      else assert.equal(expected, theirs.default ?? own.default, own.name)
      assert.equal(own.type, theirs.type, own.name)
      assert.equal(own.importance, theirs.importance, own.name)
      if (theirs.mode !== undefined) assert.equal(own.mode, theirs.mode, own.name)
      assert.equal(own.isInternal, theirs.internal === true, own.name)
      const rule = theirs.type === 'LIST' ? undefined : theirs.validator
      if (rule !== undefined) assert.equal(own.validator?.describe(), rule, own.name)
      if (theirs.kind === 'topic') {
        const synonyms = (theirs.synonyms ?? []).map((one) =>
          typeof one === 'string' ? { name: one, times: 1 } : one,
        )
        assert.deepEqual(own.synonyms, synonyms, own.name)
      }
    }
  })

  it('describes all settings when none is named, as Kafka does for an empty list', () => {
    const all = describeTopic(new Map(), settings(), null)
    assert.deepEqual(describeTopic(new Map(), settings(), []), all)
    assert.deepEqual(
      describeTopic(new Map(), settings(), ['retention.ms']).map(({ name }) => name),
      ['retention.ms'],
    )
  })

  it('shows that a broker was given a setting it does not know, and not its value', () => {
    const given = new Map([['no.such', 'secret']])
    const row = (...sources: number[]) => ({
      name: 'no.such',
      value: null,
      readOnly: true,
      configSource: sources[0],
      isSensitive: true,
      synonyms: sources.map((source) => ({ name: 'no.such', value: null, source })),
      configType: 0,
      documentation: null,
    })
    const both = loadSettings({ flags: STOCK }).withDynamic(given, given)
    assert.deepEqual(describeBroker(both, ['no.such'], true), [row(3)])
    assert.deepEqual(describeBroker(both, ['no.such'], false), [row(2, 3)])
    assert.deepEqual(describeBroker(settings(), ['no.such'], false), [])
  })

  it('explains every setting, and every difference from Kafka', () => {
    for (const setting of Object.values(TABLES).flat()) {
      assert.match(setting.documentation, /^[A-Z`].*\.$/s, setting.name)
      if (setting.deviation !== undefined) assert.ok(setting.deviation.reason.length > 10)
    }
    const names = BROKER_SETTINGS.map(({ name }) => name)
    assert.equal(new Set(names).size, names.length)
  })

  it('takes its own defaults', () => {
    for (const setting of Object.values(TABLES).flat()) {
      if (setting.default === null) continue
      const complaint = setting.validator?.check(
        setting.name,
        setting.type === 'LIST' && setting.default !== ''
          ? setting.default.split(',')
          : setting.type === 'LIST'
            ? []
            : ['INT', 'SHORT', 'LONG', 'DOUBLE'].includes(setting.type)
              ? Number(setting.default)
              : setting.default,
      )
      assert.equal(complaint, undefined, setting.name)
    }
  })

  it('describes a topic as the stock broker does', () => {
    const rows = describeTopic(new Map([['retention.ms', '1000']]), settings(), null)
    compare(rows, answered('topic'))
  })

  it('describes a broker as the stock broker does', () => {
    compare(describeBroker(settings(), null, false), answered('broker'))
  })

  it('describes the defaults of all brokers as the stock broker does', () => {
    const rows = describeBroker(settings(), null, true)
    assert.deepEqual(rows.map(plain), answered('defaults of all brokers'))
  })

  it('describes a group and client metrics as the stock broker does', () => {
    compare(describeGroup(new Map(), settings(), null), answered('group that does not exist'))
    const rows = describeClientMetrics(new Map(), settings(), null)
    compare(rows, answered('client metrics that do not exist'))
    const changed = describeClientMetrics(new Map([['match', 'a']]), settings(), ['match'])
    assert.equal(changed[0]!.configSource, 7)
    assert.equal(
      describeGroup(new Map([['share.isolation.level', 'x']]), settings(), null).find(
        ({ name }) => name === 'share.isolation.level',
      )!.configSource,
      8,
    )
  })

  it('lists the layers, the strongest first', () => {
    const base = loadSettings({
      flags: { 'node.id': '1', 'log.retention.ms': '5', 'log.retention.hours': '1' },
    })
    const layered = base.withDynamic(
      new Map([['log.retention.ms', '6']]),
      new Map([['log.retention.ms', '7']]),
    )
    const [row] = describeTopic(new Map([['retention.ms', '8']]), layered, ['retention.ms'])
    assert.deepEqual(
      row!.synonyms.map(({ name, value, source }) => [name, value, source]),
      [
        ['retention.ms', '8', 1],
        ['log.retention.ms', '7', 2],
        ['log.retention.ms', '6', 3],
        ['log.retention.ms', '5', 4],
        ['log.retention.hours', '1', 4],
        ['log.retention.hours', '168', 5],
      ],
    )
    assert.equal(row!.value, '8')
    const [inherited] = describeTopic(new Map(), layered, ['retention.ms'])
    assert.deepEqual([inherited!.value, inherited!.configSource], ['7', 2])
  })

  it('never shows a secret', () => {
    const base = new Settings(new Map([['ssl.key.password', 'secret']]))
    const [row] = describeBroker(base, ['ssl.key.password'], false)
    assert.equal(row!.value, null)
    assert.ok(row!.isSensitive)
    assert.deepEqual(row!.synonyms, [{ name: 'ssl.key.password', value: null, source: 4 }])
  })

  it('shows hidden settings once they are set', () => {
    const name = 'leader.replication.throttled.rate'
    assert.deepEqual(describeBroker(settings(), [name], false), [])
    const changed = settings().withDynamic(new Map(), new Map([[name, '5']]))
    assert.equal(describeBroker(changed, [name], false)[0]!.configSource, 2)
  })
})
