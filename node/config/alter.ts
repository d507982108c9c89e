/**
 * Changes of settings while nodes run (KIP-226, KIP-339): what a change makes of the values that are
 * there, and why it may be refused. Pure: it returns values and changes nothing.
 */
import { INVALID_CONFIG, INVALID_REQUEST } from '../../kafka/wire/errors.ts'
import { brokerSetting, complaintOf, type Settings } from '../config.ts'
import { CLIENT_METRICS_SETTINGS } from './client-metrics-settings.ts'
import type { Setting } from './definition.ts'
import { GROUP_SETTINGS } from './group-settings.ts'
import { effectiveValue } from './topic-log-config.ts'
import { TOPIC_SETTINGS } from './topic-settings.ts'

export const OPERATION = { set: 0, delete: 1, append: 2, subtract: 3 } as const

const OPERATION_NAMES = ['SET', 'DELETE', 'APPEND', 'SUBTRACT']

/** `brokerDefault`: what holds for all brokers. */
export type ResourceKind = 'topic' | 'broker' | 'brokerDefault' | 'group' | 'clientMetrics'

export interface SettingChange {
  readonly name: string
  readonly operation: number
  readonly value: string | null
}

export interface Refused {
  readonly error: number
  readonly message: string
}

/** New values by name; null: back to the default. Names whose value stays are left out. */
export type Changes = ReadonlyMap<string, string | null>

type Overrides = ReadonlyMap<string, string>

const tables: Readonly<Record<'topic' | 'group' | 'clientMetrics', ReadonlyMap<string, Setting>>> =
  {
    topic: new Map(TOPIC_SETTINGS.map((setting) => [setting.name, setting])),
    group: new Map(GROUP_SETTINGS.map((setting) => [setting.name, setting])),
    clientMetrics: new Map(CLIENT_METRICS_SETTINGS.map((setting) => [setting.name, setting])),
  }

const UNKNOWN: Readonly<Record<ResourceKind, string>> = {
  topic: 'Topics have no setting ',
  group: 'Groups have no setting ',
  clientMetrics: 'Client metrics have no setting ',
  broker: 'Brokers have no setting ',
  brokerDefault: 'Brokers have no setting ',
}

export function settingOf(kind: ResourceKind, name: string): Setting | undefined {
  return kind === 'broker' || kind === 'brokerDefault'
    ? brokerSetting(name)
    : tables[kind].get(name)
}

/** What Kafka says to a bad value: 42 for brokers (KAFKA-13609) and client metrics, else 40. */
const errorFor = (kind: ResourceKind): number =>
  kind === 'topic' || kind === 'group' ? INVALID_CONFIG : INVALID_REQUEST

/** IncrementalAlterConfigs for one resource. `settings` are in force on the broker. */
export function alterIncrementally(
  kind: ResourceKind,
  current: Overrides,
  changes: readonly SettingChange[],
  settings: Settings,
): Changes | Refused {
  if (new Set(changes.map(({ name }) => name)).size !== changes.length) {
    return { error: INVALID_REQUEST, message: 'A setting is named more than once' }
  }
  const nulls = changes.filter((one) => one.operation !== OPERATION.delete && one.value === null)
  if (nulls.length > 0) {
    const names = nulls.map(({ name }) => name).join(',')
    return { error: INVALID_REQUEST, message: `These settings need a value: ${names}` }
  }
  const next = new Map(current)
  for (const change of changes) {
    const value = changedValue(kind, current, change, settings)
    if (typeof value === 'object' && value !== null) return value
    if (value === null) next.delete(change.name)
    else next.set(change.name, value)
  }
  return checked(kind, current, next, settings)
}

/** AlterConfigs: the whole set of values; what is not named goes back to its default. */
export function alterWhole(
  kind: ResourceKind,
  current: Overrides,
  values: readonly { readonly name: string; readonly value: string | null }[],
  settings: Settings,
): Changes | Refused {
  if (new Set(values.map(({ name }) => name)).size !== values.length) {
    return { error: INVALID_REQUEST, message: 'A setting is named more than once' }
  }
  const nulls = values.filter(({ value }) => value === null)
  if (nulls.length > 0) {
    const names = nulls.map(({ name }) => name).join(',')
    return { error: INVALID_REQUEST, message: `These settings need a value: ${names}` }
  }
  const next = new Map(values.map(({ name, value }) => [name, value ?? '']))
  return checked(kind, current, next, settings)
}

/** Settings of a new topic. */
export function checkNewTopicConfigs(
  configs: readonly { readonly name: string; readonly value: string | null }[],
  settings: Settings,
): Overrides | Refused {
  const nulls = configs.filter(({ value }) => value === null).map(({ name }) => name)
  if (nulls.length > 0) {
    const message = `These settings of a topic need a value: ${nulls.join(',')}`
    return { error: INVALID_CONFIG, message }
  }
  const values = new Map(configs.map(({ name, value }) => [name, value ?? '']))
  const outcome = checked('topic', new Map(), values, settings)
  return 'error' in outcome ? outcome : values
}

export const isRefused = (outcome: Changes | Overrides | Refused): outcome is Refused =>
  'error' in outcome

function changedValue(
  kind: ResourceKind,
  current: Overrides,
  change: SettingChange,
  settings: Settings,
): string | null | Refused {
  const { name, operation } = change
  switch (operation) {
    case OPERATION.set:
      return change.value
    case OPERATION.delete:
      return null
    case OPERATION.append:
    case OPERATION.subtract: {
      const setting = settingOf(kind, name)
      if (setting === undefined) return { error: errorFor(kind), message: UNKNOWN[kind] + name }
      if (setting.type !== 'LIST') {
        const what = OPERATION_NAMES[operation]
        const message = `${name} is no list: ${what} is for lists`
        return { error: INVALID_CONFIG, message }
      }
      const before = elements(current.get(name) ?? inheritedList(kind, setting, settings))
      const asked = elements(change.value)
      const after =
        operation === OPERATION.append
          ? [...before, ...asked.filter((one) => !before.includes(one))]
          : before.filter((one) => !asked.includes(one))
      return after.join(',')
    }
    default:
      return { error: INVALID_REQUEST, message: `There is no operation ${operation} on settings` }
  }
}

/** What a list begins with that was not set on the resource itself. */
function inheritedList(kind: ResourceKind, setting: Setting, settings: Settings): string | null {
  if (kind === 'broker' || kind === 'brokerDefault') return settings.raw(setting.name)
  return effectiveValue(setting, new Map(), settings)
}

const elements = (text: string | null): string[] =>
  (text ?? '')
    .split(',')
    .map((element) => element.trim())
    .filter((element) => element !== '')

/** Checks the values that differ, then those that have to fit each other. */
function checked(
  kind: ResourceKind,
  current: Overrides,
  next: Overrides,
  settings: Settings,
): Changes | Refused {
  const changes = new Map<string, string | null>()
  for (const name of current.keys()) if (!next.has(name)) changes.set(name, null)
  for (const [name, value] of next) if (current.get(name) !== value) changes.set(name, value)
  for (const [name, value] of changes) {
    const refused = checkOne(kind, name, value)
    if (refused !== undefined) return refused
  }
  const complaint = kind === 'topic' ? checkTopic(next, settings) : undefined
  if (complaint !== undefined) return { error: INVALID_CONFIG, message: complaint }
  if (kind === 'group') {
    const bounds = checkGroup(next, settings)
    if (bounds !== undefined) return { error: INVALID_CONFIG, message: bounds }
  }
  return changes
}

function checkOne(kind: ResourceKind, name: string, value: string | null): Refused | undefined {
  const setting = settingOf(kind, name)
  // A value that an older release stored can always be taken back.
  if (setting === undefined && value === null) return undefined
  // Kafka keeps settings of brokers that it does not know, for plugins of theirs.
  if (setting === undefined && (kind === 'broker' || kind === 'brokerDefault')) return undefined
  if (setting === undefined) return { error: errorFor(kind), message: UNKNOWN[kind] + name }
  if (kind === 'broker' || kind === 'brokerDefault') {
    if (setting.mode === 'read-only') {
      return { error: INVALID_REQUEST, message: `This setting is read at a start only: ${name}` }
    }
    if (kind === 'brokerDefault' && setting.mode === 'per-broker') {
      const message = `This setting is of one broker, not of all: ${name}`
      return { error: INVALID_REQUEST, message }
    }
  }
  if (value === null) return undefined
  const message = complaintOf(setting, value)
  return message === undefined ? undefined : { error: errorFor(kind), message }
}

/** Rules between settings of a topic. */
function checkTopic(overrides: Overrides, settings: Settings): string | undefined {
  const number = (name: string) =>
    BigInt(effectiveValue(tables.topic.get(name)!, overrides, settings) ?? '0')
  const min = number('min.compaction.lag.ms')
  const max = number('max.compaction.lag.ms')
  if (min > max) {
    return `min.compaction.lag.ms is ${min}, which is above max.compaction.lag.ms, ${max}`
  }
  if (overrides.get('remote.storage.enable')?.trim().toLowerCase() === 'true') {
    return 'There is no tiered storage in this release: a topic can not have remote.storage.enable'
  }
  return undefined
}

/** A group's setting lies between the broker's `.min.` and `.max.` of the same name. */
function checkGroup(overrides: Overrides, settings: Settings): string | undefined {
  for (const [name, text] of overrides) {
    const setting = tables.group.get(name)
    const synonym = setting?.synonyms[0]?.name
    if (synonym === undefined || !/^[+-]?\d+$/.test(text.trim())) continue
    const value = Number(text)
    for (const bound of ['min', 'max'] as const) {
      const limitName = synonym.replace(/^(group\.[a-z]+)\./, `$1.${bound}.`)
      if (brokerSetting(limitName) === undefined) continue
      const limit = settings.number(limitName)
      if (bound === 'min' && value < limit) {
        return `${name} can not be below ${limitName}`
      }
      if (bound === 'max' && value > limit) {
        return `${name} can not be above ${limitName}`
      }
    }
  }
  return undefined
}
