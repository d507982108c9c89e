/**
 * The settings of a node: what the file, the environment and the flags say, checked against the
 * tables in `config/`, with the changes that were made while nodes run on top.
 *
 * A Settings never changes. It holds text, as given; values are parsed when they are asked for, and
 * were checked when they came in, so a getter does not fail.
 */
import { assert } from '../base/assert.ts'
import { UserError } from '../base/errors.ts'
import { BROKER_SETTINGS } from './config/broker-settings.ts'
import type { Setting } from './config/definition.ts'
import {
  type ListenerAddress,
  parseListeners,
  parseProtocolMap,
  parseVoters,
  type VoterAddress,
} from './config/listeners.ts'
import { type ParsedValue, parseValue } from './config/validators.ts'

type Overrides = ReadonlyMap<string, string>

const NOTHING: Overrides = new Map()
const byName = new Map(BROKER_SETTINGS.map((setting) => [setting.name, setting]))

/** The definition of a broker setting; `listener.name.X.` and `NAME` share one. */
export function brokerSetting(name: string): Setting | undefined {
  return byName.get(name) ?? byName.get(name.replace(/^listener\.name\.[^.]+\./, ''))
}

/** Kafka passes these on to plugins, which do not exist here. */
export const isPluginSetting = (name: string): boolean => /^(rsm|rlmm)\.config\./.test(name)

/** Checks one value by type and rule: the complaint, or undefined. */
export function complaintOf(setting: Setting, value: string | null): string | undefined {
  const parsed = parseValue(setting.name, setting.type, value)
  if ('complaint' in parsed) return parsed.complaint
  return setting.validator?.check(setting.name, parsed.value)
}

/** Where a value comes from, in DescribeConfigs' numbers. */
export const SOURCE = {
  topic: 1,
  broker: 2,
  brokerDefault: 3,
  static: 4,
  default: 5,
  clientMetrics: 7,
  group: 8,
} as const

/** The layers of a broker's settings, the strongest first. */
export interface Layer {
  readonly source: number
  get(name: string): string | undefined
}

export class Settings {
  /** As given, by name, with what the profile and the derived names add. */
  readonly statics: Overrides
  /** Sentences for the log: what is accepted without effect. */
  readonly notes: readonly string[]
  readonly #own: Overrides
  readonly #clusterDefaults: Overrides
  readonly layers: readonly Layer[]

  /** The values must have been checked; `loadSettings` does. */
  constructor(
    statics: Overrides,
    notes: readonly string[] = [],
    clusterDefaults: Overrides = NOTHING,
    own: Overrides = NOTHING,
  ) {
    this.statics = statics
    this.notes = notes
    this.#clusterDefaults = clusterDefaults
    this.#own = own
    this.layers = [
      { source: SOURCE.broker, get: (name) => this.#own.get(name) },
      { source: SOURCE.brokerDefault, get: (name) => this.#clusterDefaults.get(name) },
      { source: SOURCE.static, get: (name) => this.statics.get(name) },
      { source: SOURCE.default, get: (name) => brokerSetting(name)?.default ?? undefined },
    ]
  }

  /** The same node with settings that were changed while nodes run: for all brokers, and for it. */
  withDynamic(clusterDefaults: Overrides, own: Overrides): Settings {
    return new Settings(this.statics, this.notes, clusterDefaults, own)
  }

  /** Names that were set while nodes run and are in no table: Kafka keeps them for plugins. */
  unknownDynamicNames(isDefault: boolean): Set<string> {
    const own = isDefault ? [] : [...this.#own.keys()]
    const names = [...own, ...this.#clusterDefaults.keys()]
    return new Set(names.filter((name) => brokerSetting(name) === undefined))
  }

  /** The text in force; null: none. The name must be in the tables. */
  raw(name: string): string | null {
    assert(brokerSetting(name) !== undefined, `${name} is a setting`)
    for (const layer of this.layers) {
      const value = layer.get(name)
      if (value !== undefined) return value
    }
    return null
  }

  /** Was it given, in whatever way, rather than left at its default? */
  isSet(name: string): boolean {
    return this.layers.slice(0, -1).some((layer) => layer.get(name) !== undefined)
  }

  optionalText(name: string): string | null {
    const value = this.#value(name)
    return value === null ? null : String(value)
  }

  text(name: string): string {
    const value = this.optionalText(name)
    assert(value !== null, `${name} has a value`)
    return value
  }

  /** LONGs beyond what a double holds become Number.MAX_SAFE_INTEGER. */
  number(name: string): number {
    const value = this.#value(name)
    if (typeof value === 'bigint') {
      return value < 0n ? Number.MIN_SAFE_INTEGER : Number.MAX_SAFE_INTEGER
    }
    assert(typeof value === 'number', `${name} is a number`)
    return value
  }

  boolean(name: string): boolean {
    const value = this.#value(name)
    assert(typeof value === 'boolean', `${name} is true or false`)
    return value
  }

  list(name: string): readonly string[] {
    const value = this.#value(name)
    if (value === null) return []
    assert(typeof value === 'object', `${name} is a list`)
    return value
  }

  get nodeId(): number {
    return this.number('node.id')
  }

  get isBroker(): boolean {
    return this.list('process.roles').includes('broker')
  }

  get isController(): boolean {
    return this.list('process.roles').includes('controller')
  }

  get logDirectories(): readonly string[] {
    const directories = this.list('log.dirs')
    return directories.length > 0 ? directories : this.list('log.dir')
  }

  get metadataDirectory(): string {
    return this.optionalText('metadata.log.dir') ?? this.logDirectories[0]!
  }

  /** Those that clients may use. */
  get clientListeners(): ListenerAddress[] {
    const internal = this.#controllerNames()
    return this.#listeners().filter((listener) => !internal.has(listener.name))
  }

  /** The one for traffic between nodes. */
  get controllerListener(): ListenerAddress | undefined {
    const internal = this.#controllerNames()
    return this.#listeners().find((listener) => internal.has(listener.name))
  }

  /** What clients are told; hosts as given, ports may be 0 where `listeners` has 0. */
  get advertisedListeners(): ListenerAddress[] {
    const internal = this.#controllerNames()
    const given = this.list('advertised.listeners')
    const all = given.length > 0 ? parseListeners('advertised.listeners', given) : this.#listeners()
    return all.filter((listener) => !internal.has(listener.name))
  }

  /** Empty: this node votes alone. */
  get voters(): VoterAddress[] {
    return parseVoters('controller.quorum.voters', this.list('controller.quorum.voters'))
  }

  /** undefined: no HTTP. */
  get httpAddress(): { readonly host: string; readonly port: number } | undefined {
    const address = this.text('http.address')
    if (address === '') return undefined
    const colon = address.lastIndexOf(':')
    const host = address.slice(0, colon).replace(/^\[|\]$/g, '')
    return { host, port: Number(address.slice(colon + 1)) }
  }

  /** Rules between settings. Throws UserError with a sentence that says what to write. */
  checkTogether(): void {
    if (this.optionalText('node.id') === null) {
      throw new UserError('node.id is missing: write for example node.id=1')
    }
    const controllers = this.#controllerNames()
    const protocols = this.#protocols()
    const listeners = this.#listeners()
    for (const listener of listeners) checkProtocol(listener.name, protocols, controllers)
    checkPorts(listeners)
    const names = new Set(listeners.map((listener) => listener.name))
    for (const { name, host } of this.advertisedListeners) {
      if (!names.has(name)) {
        throw new UserError(
          `advertised.listeners names ${name}, which is not in listeners: add it there too`,
        )
      }
      if (host === '0.0.0.0' || host === '::') {
        throw new UserError(
          `advertised.listeners tells clients to connect to ${host}: ` +
            `write an address of this machine, for example ${name}://127.0.0.1:9092`,
        )
      }
    }
    if (this.isBroker && this.clientListeners.length === 0) {
      throw new UserError('listeners has none for clients: add for example PLAINTEXT://:9092')
    }
    this.#checkNumbers()
    this.#checkCompany()
  }

  /** Nodes meet at the controller's listener, also those that do not vote: replicas are fetched there. */
  #checkCompany(): void {
    if (!this.isController && this.voters.length === 0) {
      throw new UserError(
        'controller.quorum.voters is missing: a node that is no controller has to know them; ' +
          'write for example controller.quorum.voters=1@10.0.0.1:9093',
      )
    }
    const hasOthers = this.voters.some((voter) => voter.id !== this.nodeId)
    if (hasOthers && this.controllerListener === undefined) {
      const [name = 'CONTROLLER'] = this.list('controller.listener.names')
      throw new UserError(
        `listeners has none for other nodes: add ${name}://:9093, which controller.listener.names names`,
      )
    }
  }

  #checkNumbers(): void {
    const old = this.number('broker.id')
    if (old !== -1 && old !== this.nodeId) {
      throw new UserError(`broker.id is ${old} and node.id is ${this.nodeId}: leave broker.id out`)
    }
    if (this.isController) {
      const { voters } = this
      if (voters.length > 0 && !voters.some((voter) => voter.id === this.nodeId)) {
        throw new UserError(
          `controller.quorum.voters does not name node ${this.nodeId}, which is a controller: ` +
            'add it, or leave controller out of process.roles',
        )
      }
    }
    if (this.number('broker.heartbeat.interval.ms') >= this.number('broker.session.timeout.ms')) {
      throw new UserError(
        'broker.heartbeat.interval.ms has to be less than broker.session.timeout.ms',
      )
    }
    if (this.number('group.min.session.timeout.ms') > this.number('group.max.session.timeout.ms')) {
      throw new UserError(
        'group.min.session.timeout.ms has to be at most group.max.session.timeout.ms',
      )
    }
    if (this.boolean('unstable.api.versions.enable')) {
      throw new UserError('unstable.api.versions.enable has to be false: leave it out')
    }
  }

  #listeners(): ListenerAddress[] {
    return parseListeners('listeners', this.list('listeners'))
  }

  #controllerNames(): Set<string> {
    return new Set(this.list('controller.listener.names').map((name) => name.toUpperCase()))
  }

  #protocols(): Map<string, string> {
    const setting = 'listener.security.protocol.map'
    return parseProtocolMap(setting, this.text(setting))
  }

  #value(name: string): ParsedValue | null {
    const setting = brokerSetting(name)
    assert(setting !== undefined, `${name} is a setting`)
    const parsed = parseValue(name, setting.type, this.raw(name))
    assert('value' in parsed, `${name} was checked before`)
    return parsed.value
  }
}

/** A controller's listener needs no entry in the map, as in Kafka. */
function checkProtocol(
  name: string,
  protocols: ReadonlyMap<string, string>,
  controllers: ReadonlySet<string>,
): void {
  const protocol = protocols.get(name) ?? (controllers.has(name) ? 'PLAINTEXT' : undefined)
  if (protocol === undefined) {
    throw new UserError(
      `listener ${name} has no protocol: add ${name}:PLAINTEXT to listener.security.protocol.map`,
    )
  }
  const isPossible = protocol === 'PLAINTEXT' || (protocol === 'SSL' && controllers.has(name))
  if (!isPossible) {
    throw new UserError(
      `listener ${name} asks for ${protocol}, which this release does not have there: ` +
        `write ${name}:PLAINTEXT in listener.security.protocol.map`,
    )
  }
}

function checkPorts(listeners: readonly ListenerAddress[]): void {
  const taken = new Map<number, string>()
  for (const { name, port } of listeners) {
    const other = taken.get(port)
    if (port !== 0 && other !== undefined) {
      throw new UserError(`listeners ${other} and ${name} both want port ${port}: change one`)
    }
    taken.set(port, name)
  }
}
