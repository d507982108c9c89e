/** Settings over the wire: shown from tables and image, changed by records. */
import type {
  DescribeConfigsRequest,
  DescribeConfigsResponse,
} from '../../kafka/api/32-describe-configs.ts'
import type { AlterConfigsRequest, AlterConfigsResponse } from '../../kafka/api/33-alter-configs.ts'
import type {
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse,
} from '../../kafka/api/44-incremental-alter-configs.ts'
import type {
  ListConfigResourcesRequest,
  ListConfigResourcesResponse,
} from '../../kafka/api/74-list-config-resources.ts'
import type { RequestContext } from '../../kafka/api/define.ts'
import type { ConfigsPort } from '../../kafka/control.ts'
import {
  INVALID_CONFIG,
  INVALID_REQUEST,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../../kafka/wire/errors.ts'
import type { Setting } from '../config/definition.ts'
import { describeBroker, describeGroup, describeTopic } from '../config/describe.ts'
import { GROUP_SETTINGS } from '../config/group-settings.ts'
import { topicSetting, topicValue } from '../config/topic-log-config.ts'
import { brokerSetting, complaintOf, type Settings } from '../config.ts'
import type { Controller } from '../metadata/controller.ts'
import {
  configKey,
  NO_OVERRIDES,
  overridesOf,
  parseConfigKey,
  RESOURCE,
} from '../metadata/image.ts'
import type { MetadataRecord } from '../metadata/records.ts'
import type { Partitions } from '../partitions.ts'

const SET = 0
const DELETE = 1
const APPEND = 2
const SUBTRACT = 3

interface Refusal {
  readonly errorCode: number
  readonly errorMessage: string
}

interface Change {
  readonly name: string
  readonly value: string | null
  readonly configOperation: number
}

export class NodeConfigs implements ConfigsPort {
  readonly #nodeId: number
  readonly #partitions: Partitions
  readonly #controller: Controller
  readonly #settings: () => Settings

  constructor(parts: {
    nodeId: number
    partitions: Partitions
    controller: Controller
    settings: () => Settings
  }) {
    this.#nodeId = parts.nodeId
    this.#partitions = parts.partitions
    this.#controller = parts.controller
    this.#settings = parts.settings
  }

  async describeConfigs(
    _context: RequestContext,
    request: DescribeConfigsRequest,
  ): Promise<DescribeConfigsResponse> {
    const results = request.resources.map(({ resourceType, resourceName, configurationKeys }) => {
      const refusal = this.#refusal(resourceType, resourceName)
      const configs =
        refusal === undefined ? this.#describe(resourceType, resourceName, configurationKeys) : []
      return {
        errorCode: refusal?.errorCode ?? 0,
        errorMessage: refusal?.errorMessage ?? null,
        resourceType,
        resourceName,
        configs,
      }
    })
    return { results }
  }

  #describe(type: number, name: string, keys: readonly string[] | null) {
    const overrides = overridesOf(this.#partitions.image, type, name)
    if (type === RESOURCE.topic) return describeTopic(overrides, this.#settings(), keys)
    if (type === RESOURCE.group) return describeGroup(overrides, this.#settings(), keys)
    if (type === RESOURCE.broker) return describeBroker(this.#settings(), keys, name === '')
    return []
  }

  /** Why the resource can't be looked at or changed. */
  #refusal(type: number, name: string): Refusal | undefined {
    const invalid = (errorMessage: string) => ({ errorCode: INVALID_REQUEST, errorMessage })
    switch (type) {
      case RESOURCE.topic:
        if (this.#partitions.image.topics.has(name)) return undefined
        return { errorCode: UNKNOWN_TOPIC_OR_PARTITION, errorMessage: `There is no topic ${name}.` }
      case RESOURCE.broker:
        if (name === '' || name === String(this.#nodeId)) return undefined
        return invalid(`Unexpected broker id, expected ${this.#nodeId} but received ${name}`)
      case RESOURCE.group:
        return name === '' ? invalid('Default group resources are not allowed.') : undefined
      case RESOURCE.brokerLogger:
      case RESOURCE.clientMetrics:
        return invalid(`Resources of type ${type} have no settings here.`)
      default:
        return invalid(`Unsupported resource type ${type}`)
    }
  }

  alterConfigs(
    _context: RequestContext,
    request: AlterConfigsRequest,
  ): Promise<AlterConfigsResponse> {
    return this.#alter(
      request.resources.map((resource) => {
        const named = new Set(resource.configs.map(({ name }) => name))
        const key = configKey(resource.resourceType, resource.resourceName)
        const others = [...(this.#partitions.image.configs.get(key) ?? NO_OVERRIDES).keys()]
        return {
          ...resource,
          configs: [
            ...resource.configs.map((config) => ({ ...config, configOperation: SET })),
            // What is not named goes back to its default: the request holds the whole set.
            ...others
              .filter((name) => !named.has(name))
              .map((name) => ({ name, value: null, configOperation: DELETE })),
          ],
        }
      }),
      request.validateOnly,
    )
  }

  incrementalAlterConfigs(
    _context: RequestContext,
    request: IncrementalAlterConfigsRequest,
  ): Promise<IncrementalAlterConfigsResponse> {
    return this.#alter(request.resources, request.validateOnly)
  }

  #alter(
    resources: readonly {
      resourceType: number
      resourceName: string
      configs: readonly Change[]
    }[],
    validateOnly: boolean,
  ) {
    return this.#controller.decide(() => {
      const records: MetadataRecord[] = []
      const responses = resources.map(({ resourceType, resourceName, configs }) => {
        const outcome =
          this.#refusal(resourceType, resourceName) ??
          this.#decide(resourceType, resourceName, configs)
        if ('records' in outcome) records.push(...outcome.records)
        const { errorCode, errorMessage } = 'records' in outcome ? NO_ERROR : outcome
        return { errorCode, errorMessage, resourceType, resourceName }
      })
      return { records: validateOnly ? [] : records, answer: { responses } }
    })
  }

  #decide(
    type: number,
    resourceName: string,
    changes: readonly Change[],
  ): Refusal | { records: MetadataRecord[] } {
    const names = new Set(changes.map(({ name }) => name))
    if (names.size !== changes.length) {
      return { errorCode: INVALID_REQUEST, errorMessage: 'A setting is named twice.' }
    }
    const records: MetadataRecord[] = []
    for (const change of changes) {
      const next = this.#next(type, resourceName, change)
      if (typeof next === 'object' && next !== null) return next
      records.push({
        type: 'ConfigRecord',
        resourceType: type,
        resourceName,
        name: change.name,
        value: next,
      })
    }
    return { records }
  }

  /** The value after the change; null: the default again. */
  #next(type: number, resourceName: string, change: Change): string | null | Refusal {
    const invalid = (errorMessage: string) => ({ errorCode: INVALID_CONFIG, errorMessage })
    const setting = settingOf(type, change.name)
    if (setting === undefined) return invalid(`Unknown config name: ${change.name}`)
    if (type === RESOURCE.broker && setting.mode === 'read-only') {
      return {
        errorCode: INVALID_REQUEST,
        errorMessage: `${change.name} can't be changed at run time`,
      }
    }
    if (change.configOperation === DELETE) return null
    if (change.value === null) {
      return invalid(`Null value not supported for: ${change.name}`)
    }
    const value = this.#changed(type, resourceName, setting, change)
    if (value === undefined) {
      return invalid(`Config ${change.name} is no list, or the operation is not known`)
    }
    const complaint = complaintOf(setting, value)
    return complaint === undefined ? value : invalid(complaint)
  }

  #changed(type: number, resourceName: string, setting: Setting, change: Change) {
    const value = change.value ?? ''
    if (change.configOperation === SET) return value
    if (setting.type !== 'LIST') return undefined
    const overrides = overridesOf(this.#partitions.image, type, resourceName)
    const now =
      type === RESOURCE.topic
        ? topicValue(setting, overrides, this.#settings())
        : (overrides.get(setting.name) ?? setting.default)
    const current = (now ?? '').split(',').filter((one) => one !== '')
    const asked = value.split(',')
    if (change.configOperation === APPEND) {
      return [...current, ...asked.filter((one) => !current.includes(one))].join(',')
    }
    if (change.configOperation !== SUBTRACT) return undefined
    return current.filter((one) => !asked.includes(one)).join(',')
  }

  async listConfigResources(
    _context: RequestContext,
    request: ListConfigResourcesRequest,
  ): Promise<ListConfigResourcesResponse> {
    const { image } = this.#partitions
    const all = [
      ...[...image.topics.keys()].map((name) => ({ type: RESOURCE.topic, name })),
      ...[...image.brokers.keys()].flatMap((id) => [
        { type: RESOURCE.broker, name: String(id) },
        { type: RESOURCE.brokerLogger, name: String(id) },
      ]),
      ...[...image.configs.keys()]
        .map(parseConfigKey)
        .filter(({ type }) => type === RESOURCE.group),
    ]
    const wanted = new Set(request.resourceTypes)
    return {
      errorCode: 0,
      configResources: all
        .filter(({ type }) => wanted.size === 0 || wanted.has(type))
        .map(({ type, name }) => ({ resourceName: name, resourceType: type })),
    }
  }
}

const NO_ERROR = { errorCode: 0, errorMessage: null }

function settingOf(type: number, name: string): Setting | undefined {
  if (type === RESOURCE.topic) return topicSetting(name)
  if (type === RESOURCE.group) return GROUP_SETTINGS.find((setting) => setting.name === name)
  return brokerSetting(name)
}
