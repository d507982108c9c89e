/**
 * Rows of DescribeConfigs (and of CreateTopics 5+): the value in force, where it comes from, and
 * what else was looked at. Tools show these rows as they are, so sources, order and gaps follow
 * Kafka's (KIP-226, KIP-569), also where they surprise: a topic whose retention comes from
 * `log.retention.hours` has the right value and the source "default".
 */
import { type Settings, SOURCE } from '../config.ts'
import { BROKER_SETTINGS, brokerSynonyms } from './broker-settings.ts'
import { CLIENT_METRICS_SETTINGS } from './client-metrics-settings.ts'
import { type Setting, TYPE_CODES } from './definition.ts'
import { GROUP_SETTINGS } from './group-settings.ts'
import { effectiveValue } from './topic-log-config.ts'
import { TOPIC_SETTINGS } from './topic-settings.ts'

export interface DescribedSynonym {
  readonly name: string
  readonly value: string | null
  readonly source: number
}

export interface DescribedSetting {
  readonly name: string
  readonly value: string | null
  readonly readOnly: boolean
  readonly configSource: number
  readonly isSensitive: boolean
  readonly synonyms: readonly DescribedSynonym[]
  readonly configType: number
  readonly documentation: string | null
}

/** Null or empty: all. */
export type WantedNames = readonly string[] | null

type Overrides = ReadonlyMap<string, string>

function wanted(settings: readonly Setting[], names: WantedNames): readonly Setting[] {
  if (names === null || names.length === 0) return settings
  const set = new Set(names)
  return settings.filter((setting) => set.has(setting.name))
}

function row(
  setting: Setting,
  value: string | null,
  found: readonly DescribedSynonym[],
  readOnly = false,
): DescribedSetting {
  const isSensitive = setting.type === 'PASSWORD'
  const hide = (text: string | null) => (isSensitive ? null : text)
  return {
    name: setting.name,
    value: hide(value),
    readOnly,
    configSource: found[0]?.source ?? SOURCE.default,
    isSensitive,
    synonyms: found.map((one) => ({ ...one, value: hide(one.value) })),
    configType: TYPE_CODES[setting.type],
    documentation: setting.documentation,
  }
}

/**
 * What the broker's layers hold under the name and its relatives, strongest layer first. Relatives
 * that come before the first entry of the name itself are left out.
 */
function brokerEntries(settings: Settings, name: string): DescribedSynonym[] {
  const found: DescribedSynonym[] = []
  for (const layer of settings.layers) {
    for (const relative of brokerSynonyms(name)) {
      const value = layer.get(relative)
      if (value !== undefined) found.push({ name: relative, value, source: layer.source })
    }
  }
  const first = found.findIndex((entry) => entry.name === name)
  return first === -1 ? [] : found.slice(first)
}

/** A resource's own value before the broker's. */
function overriddenRow(
  setting: Setting,
  overrides: Overrides,
  ownSource: number,
  settings: Settings,
  inherited: readonly DescribedSynonym[],
): DescribedSetting {
  const own = overrides.get(setting.name)
  const value = effectiveValue(setting, overrides, settings)
  if (own === undefined) return row(setting, value, inherited)
  return row(setting, value, [{ name: setting.name, value: own, source: ownSource }, ...inherited])
}

export function describeTopic(
  overrides: Overrides,
  settings: Settings,
  names: WantedNames,
): DescribedSetting[] {
  return wanted(TOPIC_SETTINGS, names)
    .filter((setting) => !setting.isInternal || overrides.has(setting.name))
    .map((setting) => {
      const synonym = setting.synonyms[0]?.name
      const inherited = synonym === undefined ? [] : brokerEntries(settings, synonym)
      return overriddenRow(setting, overrides, SOURCE.topic, settings, inherited)
    })
}

export function describeGroup(
  overrides: Overrides,
  settings: Settings,
  names: WantedNames,
): DescribedSetting[] {
  return wanted(GROUP_SETTINGS, names).map((setting) => {
    const synonym = setting.synonyms[0]?.name
    const inherited =
      synonym === undefined
        ? [{ name: setting.name, value: setting.default, source: SOURCE.default }]
        : brokerEntries(settings, synonym)
    return overriddenRow(setting, overrides, SOURCE.group, settings, inherited)
  })
}

export function describeClientMetrics(
  overrides: Overrides,
  settings: Settings,
  names: WantedNames,
): DescribedSetting[] {
  return wanted(CLIENT_METRICS_SETTINGS, names).map((setting) =>
    overriddenRow(setting, overrides, SOURCE.clientMetrics, settings, []),
  )
}

/** `isDefault`: only what was set for all brokers. */
export function describeBroker(
  settings: Settings,
  names: WantedNames,
  isDefault: boolean,
): DescribedSetting[] {
  const rows: DescribedSetting[] = []
  for (const setting of wanted(BROKER_SETTINGS, names)) {
    const all = brokerEntries(settings, setting.name)
    const readOnly = setting.mode === 'read-only'
    if (isDefault) {
      const found = all.filter((entry) => entry.source === SOURCE.brokerDefault)
      const own = found.find((entry) => entry.name === setting.name)
      if (own !== undefined) rows.push(row(setting, own.value, found, readOnly))
      continue
    }
    const isHidden = setting.isInternal || setting.isDynamicOnly
    if (isHidden && !settings.isSet(setting.name)) continue
    rows.push(row(setting, settings.raw(setting.name), all, readOnly))
  }
  return [...rows, ...unknownOfBroker(settings, names, isDefault)]
}

/** What was set under names of no setting: for plugins, so it may be a secret, and is not shown. */
function unknownOfBroker(
  settings: Settings,
  names: WantedNames,
  isDefault: boolean,
): DescribedSetting[] {
  const isWanted = (name: string) => names === null || names.length === 0 || names.includes(name)
  return [...settings.unknownDynamicNames(isDefault)].filter(isWanted).map((name) => {
    const synonyms = settings.layers
      .filter(({ source }) => !isDefault || source === SOURCE.brokerDefault)
      .filter((layer) => layer.get(name) !== undefined)
      .map(({ source }) => ({ name, value: null, source }))
    return {
      name,
      value: null,
      readOnly: true,
      configSource: synonyms[0]!.source,
      isSensitive: true,
      synonyms,
      configType: 0,
      documentation: null,
    }
  })
}
