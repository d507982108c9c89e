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
import { topicNameFault } from '../../kafka/api/topic-names.ts'
import type { ConfigsPort } from '../../kafka/control.ts'
import {
  INVALID_REQUEST,
  INVALID_TOPIC_EXCEPTION,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../../kafka/wire/errors.ts'
import {
  describeBroker,
  describeClientMetrics,
  describeGroup,
  describeTopic,
} from '../config/describe.ts'
import type { Settings } from '../config.ts'
import type { ControllerPort } from '../metadata/controller-port.ts'
import { overridesOf, parseConfigKey, RESOURCE } from '../metadata/image.ts'
import type { Partitions } from '../partitions.ts'
import { orUnavailable } from './unavailable.ts'

interface Refusal {
  readonly errorCode: number
  readonly errorMessage: string
}

export class NodeConfigs implements ConfigsPort {
  readonly #nodeId: number
  readonly #partitions: Partitions
  readonly #controller: ControllerPort
  readonly #settings: () => Settings

  constructor(parts: {
    nodeId: number
    partitions: Partitions
    controller: ControllerPort
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
        // Kafka leaves the field at its schema's default here, which is not null.
        errorMessage: refusal?.errorMessage ?? '',
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
    return describeClientMetrics(overrides, this.#settings(), keys)
  }

  /** Why the resource can't be looked at or changed. */
  #refusal(type: number, name: string): Refusal | undefined {
    const invalid = (errorMessage: string) => ({ errorCode: INVALID_REQUEST, errorMessage })
    switch (type) {
      case RESOURCE.topic:
        if (this.#partitions.image.topics.has(name)) return undefined
        return missingTopic(name)
      case RESOURCE.broker:
        if (name === '' || name === String(this.#nodeId)) return undefined
        return invalid(`This is broker ${this.#nodeId}: ask broker ${name} for its own settings`)
      case RESOURCE.group:
        return name === '' ? invalid('There is no default for each group: name one.') : undefined
      case RESOURCE.clientMetrics:
        return name === ''
          ? invalid('There is no default for all client metrics: name one.')
          : undefined
      case RESOURCE.brokerLogger:
        return invalid(`Resources of type ${type} have no settings here.`)
      default:
        return invalid(`There are no settings of resources of type ${type}`)
    }
  }

  alterConfigs(
    context: RequestContext,
    request: AlterConfigsRequest,
  ): Promise<AlterConfigsResponse> {
    return orUnavailable(this.#controller.alterConfigs(context, request))
  }

  incrementalAlterConfigs(
    context: RequestContext,
    request: IncrementalAlterConfigsRequest,
  ): Promise<IncrementalAlterConfigsResponse> {
    return orUnavailable(this.#controller.incrementalAlterConfigs(context, request))
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

function missingTopic(name: string): Refusal {
  const fault = topicNameFault(name)
  return fault === undefined
    ? { errorCode: UNKNOWN_TOPIC_OR_PARTITION, errorMessage: `There is no topic ${name}.` }
    : { errorCode: INVALID_TOPIC_EXCEPTION, errorMessage: fault }
}
