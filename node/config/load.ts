/**
 * Puts a node's settings together: flag, then environment, then file, then profile, then default.
 * An unknown name or a bad value stops the start with a sentence that says where it stands and what
 * to write.
 */
import { UserError } from '../../base/errors.ts'
import { brokerSetting, complaintOf, isPluginSetting, Settings } from '../config.ts'
import { BROKER_SETTINGS } from './broker-settings.ts'
import { parseProperties } from './properties.ts'
import { nearestName } from './suggest.ts'

export type Profile = 'dev' | 'test' | 'prod'

export interface SettingsSources {
  /** The text of a properties file, and how to call it in a sentence. */
  readonly file?: { readonly path: string; readonly text: string }
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** `key=value` of `--set`, split. */
  readonly flags?: Readonly<Record<string, string>>
  readonly profile?: Profile
}

const FEW_PARTITIONS = '8'

/** What a profile sets for so many nodes, below everything that a person wrote. */
export function profileSettings(profile: Profile, nodes: number): Readonly<Record<string, string>> {
  if (profile === 'prod') return {}
  const replicas = String(Math.min(3, nodes))
  return {
    'group.initial.rebalance.delay.ms': '0',
    'offsets.topic.num.partitions': FEW_PARTITIONS,
    'transaction.state.log.num.partitions': FEW_PARTITIONS,
    'share.coordinator.state.topic.num.partitions': FEW_PARTITIONS,
    'default.replication.factor': replicas,
    'offsets.topic.replication.factor': replicas,
    'transaction.state.log.replication.factor': replicas,
    'share.coordinator.state.topic.replication.factor': replicas,
    'log.scrub.interval.ms': '10000',
  }
}

interface Given {
  readonly name: string
  readonly value: string
  /** "line 3 of server.properties", "the flag --set x". */
  readonly place: string
}

/** Throws UserError. */
export function loadSettings(sources: SettingsSources): Settings {
  const { values, notes } = mergeSources(sources)
  const nodeId = values.get('node.id') ?? values.get('broker.id')
  if (nodeId !== undefined) {
    values.set('node.id', nodeId)
    if (!values.has('broker.id')) values.set('broker.id', nodeId)
  }
  const settings = new Settings(values, notes)
  settings.checkTogether()
  return settings
}

function mergeSources(sources: SettingsSources): { values: Map<string, string>; notes: string[] } {
  const notes: string[] = []
  const given = [
    ...fromFile(sources.file),
    ...fromEnvironment(sources.environment ?? {}, notes),
    ...fromFlags(sources.flags ?? {}),
  ]
  const voters = given.findLast(({ name }) => name === 'controller.quorum.voters')?.value
  const nodes = voters === undefined ? 1 : voters.split(',').length
  const values = new Map<string, string>(
    Object.entries(profileSettings(sources.profile ?? 'prod', nodes)),
  )
  for (const { name, value, place } of given) {
    const note = check(name, value, place)
    if (note !== undefined && !notes.includes(note)) notes.push(note)
    values.set(name, value.trim())
  }
  return { values, notes }
}

function fromFile(file: SettingsSources['file']): Given[] {
  if (file === undefined) return []
  return parseProperties(file.text).map(({ name, value, line }) => ({
    name,
    value,
    place: `line ${line} of ${file.path}`,
  }))
}

const fromFlags = (flags: Readonly<Record<string, string>>): Given[] =>
  Object.entries(flags).map(([name, value]) => ({ name, value, place: `--set ${name}` }))

/** `KAFKA_LOG_RETENTION_MS` and, stronger, `ODRADEK_LOG_RETENTION_MS`. */
function fromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  notes: string[],
): Given[] {
  const found: Given[] = []
  for (const prefix of ['KAFKA_', 'ODRADEK_']) {
    for (const variable of Object.keys(environment).sort()) {
      const value = environment[variable]
      if (value === undefined || !/^[A-Z][A-Z0-9_]*$/.test(variable)) continue
      if (!variable.startsWith(prefix)) continue
      const name = variable.slice(prefix.length).toLowerCase().replaceAll('_', '.')
      // Other programs use KAFKA_ variables for themselves (KAFKA_HEAP_OPTS): they are no mistake.
      if (prefix === 'KAFKA_' && brokerSetting(name) === undefined) {
        notes.push(`The environment variable ${variable} names no setting and is not used.`)
        continue
      }
      found.push({ name, value, place: `the environment variable ${variable}` })
    }
  }
  return found
}

/** The note for the log, if there is one. Throws UserError. */
function check(name: string, value: string, place: string): string | undefined {
  const setting = brokerSetting(name)
  if (setting === undefined) {
    if (isPluginSetting(name)) return `${name} is for a plugin and has no effect.`
    throw new UserError(`${place}: there is no setting ${name}${suggestion(name)}`)
  }
  if (setting.isDynamicOnly) {
    throw new UserError(`${place}: ${name} can only be changed while nodes run, not at its start`)
  }
  const complaint = complaintOf(setting, value)
  if (complaint !== undefined) {
    const rule = setting.validator?.describe() ?? setting.type.toLowerCase()
    throw new UserError(`${place}: ${complaint.replace(/\.$/, '')}; ${name} takes ${rule}`)
  }
  if (setting.noEffect === undefined) return undefined
  return `${name} is accepted and has no effect: ${setting.noEffect}`
}

function suggestion(name: string): string {
  const names = BROKER_SETTINGS.map((setting) => setting.name)
  const nearest = nearestName(name, names)
  return nearest === undefined ? '' : `; did you mean ${nearest}?`
}
