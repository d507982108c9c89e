/** Rows of DescribeConfigs: the value in force, where it comes from, and what else was looked at. */
import { type Settings, SOURCE } from '../config.ts'
import { BROKER_SETTINGS, brokerSynonyms } from './broker-settings.ts'
import { type Setting, TYPE_CODES } from './definition.ts'
import { GROUP_SETTINGS } from './group-settings.ts'
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
  readonly documentation: string
}

/** Null: all. */
export type WantedNames = readonly string[] | null

function isWanted(setting: Setting, names: WantedNames): boolean {
  return names === null || names.includes(setting.name)
}

/** Secrets are never shown. */
const isSensitive = (setting: Setting): boolean => setting.type === 'PASSWORD'

function row(
  setting: Setting,
  found: readonly DescribedSynonym[],
  readOnly: boolean,
): DescribedSetting {
  const hide = (value: string | null) => (isSensitive(setting) ? null : value)
  const first = found[0] ?? { value: setting.default, source: SOURCE.default }
  return {
    name: setting.name,
    value: hide(first.value),
    readOnly,
    configSource: first.source,
    isSensitive: isSensitive(setting),
    synonyms: found.map((one) => ({ ...one, value: hide(one.value) })),
    configType: TYPE_CODES[setting.type],
    documentation: setting.documentation,
  }
}

/** Of a setting with broker synonyms, as a topic or a group has it. */
function layered(
  setting: Setting,
  overrides: ReadonlyMap<string, string>,
  ownSource: number,
  settings: Settings,
): DescribedSynonym[] {
  const found: DescribedSynonym[] = []
  const own = overrides.get(setting.name)
  if (own !== undefined) found.push({ name: setting.name, value: own, source: ownSource })
  for (const { source, get } of settings.layers) {
    for (const { name, times } of setting.synonyms) {
      const value = get(name)
      if (value === undefined) continue
      const scaled = times === 1 ? value : String(BigInt(value) * BigInt(times))
      found.push({ name, value: scaled, source })
    }
  }
  return found
}

export function describeTopic(
  overrides: ReadonlyMap<string, string>,
  settings: Settings,
  names: WantedNames,
): DescribedSetting[] {
  return TOPIC_SETTINGS.filter((setting) => isWanted(setting, names) && !setting.isInternal).map(
    (setting) => row(setting, layered(setting, overrides, SOURCE.topic, settings), false),
  )
}

export function describeGroup(
  overrides: ReadonlyMap<string, string>,
  settings: Settings,
  names: WantedNames,
): DescribedSetting[] {
  return GROUP_SETTINGS.filter((setting) => isWanted(setting, names)).map((setting) =>
    row(setting, layered(setting, overrides, SOURCE.group, settings), false),
  )
}

/** `isDefault`: only what was set for all brokers. */
export function describeBroker(
  settings: Settings,
  names: WantedNames,
  isDefault: boolean,
): DescribedSetting[] {
  const rows: DescribedSetting[] = []
  for (const setting of BROKER_SETTINGS) {
    if (!isWanted(setting, names)) continue
    const found: DescribedSynonym[] = []
    for (const { source, get } of settings.layers) {
      if (isDefault && source !== SOURCE.brokerDefault) continue
      for (const name of brokerSynonyms(setting.name)) {
        const value = get(name)
        if (value !== undefined) found.push({ name, value, source })
      }
    }
    const isSet = found.some((one) => one.source !== SOURCE.default)
    if (!isSet && (isDefault || setting.isInternal || setting.isDynamicOnly)) continue
    rows.push(row(setting, found, setting.mode === 'read-only'))
  }
  return rows
}
