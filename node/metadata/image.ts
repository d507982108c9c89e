/**
 * What the cluster has agreed on, up to one offset of the metadata log. Immutable: replay makes the
 * next image (apply.ts), which shares with its predecessor what did not change. Whoever holds an
 * image may keep it.
 */
import type { BrokerEndpoint, BrokerFeature } from './records.ts'
import { SharedMap } from './shared-map.ts'

export interface PartitionImage {
  readonly index: number
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
  readonly removingReplicas: readonly number[]
  readonly addingReplicas: readonly number[]
  /** -1: none. */
  readonly leader: number
  readonly leaderRecoveryState: number
  readonly leaderEpoch: number
  readonly partitionEpoch: number
  /** One log directory id per replica. */
  readonly directories: readonly string[]
  readonly eligibleLeaderReplicas: readonly number[]
  readonly lastKnownElr: readonly number[]
}

export interface TopicImage {
  readonly name: string
  /** 22 characters, base64url. */
  readonly id: string
  readonly partitions: readonly PartitionImage[]
}

export interface BrokerImage {
  readonly id: number
  /** The offset of its registration. */
  readonly epoch: number
  readonly incarnationId: string
  readonly endpoints: readonly BrokerEndpoint[]
  readonly features: readonly BrokerFeature[]
  readonly rack: string | null
  readonly isFenced: boolean
  readonly isInControlledShutdown: boolean
  readonly logDirs: readonly string[]
  readonly cordonedLogDirs: readonly string[]
}

/** Kafka's codes for what a setting belongs to. */
export const RESOURCE = {
  topic: 2,
  broker: 4,
  brokerLogger: 8,
  clientMetrics: 16,
  group: 32,
} as const

export interface ConfigResource {
  readonly type: number
  /** '' for the defaults of all brokers. */
  readonly name: string
}

export type ConfigOverrides = ReadonlyMap<string, string>

export const NO_OVERRIDES: ConfigOverrides = new Map()

export interface MetadataImage {
  /** The last offset that is in it; -1 for the empty image. */
  readonly offset: number
  readonly epoch: number
  /** Undefined until the first leader has proposed it; then the same for ever. */
  readonly clusterId: string | undefined
  readonly topics: SharedMap<TopicImage>
  readonly topicNames: SharedMap<string>
  /** For the rule that '.' and '_' are the same in names of metrics. */
  readonly normalizedNames: SharedMap<string>
  readonly brokers: ReadonlyMap<number, BrokerImage>
  readonly configs: SharedMap<ConfigOverrides>
  readonly features: ReadonlyMap<string, number>
  readonly nextProducerId: number
  readonly partitionCount: number
}

export const EMPTY_IMAGE: MetadataImage = {
  offset: -1,
  epoch: -1,
  clusterId: undefined,
  topics: SharedMap.empty(),
  topicNames: SharedMap.empty(),
  normalizedNames: SharedMap.empty(),
  brokers: new Map(),
  configs: SharedMap.empty(),
  features: new Map(),
  nextProducerId: 0,
  partitionCount: 0,
}

export const configKey = (type: number, name: string): string => `${type}/${name}`

/** What `configKey` made. */
export function parseConfigKey(key: string): ConfigResource {
  const slash = key.indexOf('/')
  return { type: Number(key.slice(0, slash)), name: key.slice(slash + 1) }
}

/** Names that differ only in '.' and '_' have the same normal form. */
export const normalizeTopicName = (name: string): string => name.replaceAll('.', '_')

export function topicById(image: MetadataImage, id: string): TopicImage | undefined {
  const name = image.topicNames.get(id)
  return name === undefined ? undefined : image.topics.get(name)
}

/** May it be in an ISR, and lead? Registered, not fenced, and not about to go. */
export function isActive(image: MetadataImage, brokerId: number): boolean {
  const broker = image.brokers.get(brokerId)
  return broker !== undefined && !broker.isFenced && !broker.isInControlledShutdown
}

/**
 * Who leads the partition and can be reached; -1 nobody. The one replica of a partition stays its
 * leader while its broker is fenced (nobody else could be), so `leader` alone does not tell.
 */
export function leaderOf(image: MetadataImage, partition: PartitionImage): number {
  const broker = image.brokers.get(partition.leader)
  return broker === undefined || broker.isFenced ? -1 : partition.leader
}

export function overridesOf(image: MetadataImage, type: number, name: string): ConfigOverrides {
  return image.configs.get(configKey(type, name)) ?? NO_OVERRIDES
}

/** The endpoint of a broker on a listener; undefined also while it is fenced. */
export function endpointOf(
  image: MetadataImage,
  brokerId: number,
  listener: string,
): BrokerEndpoint | undefined {
  const broker = image.brokers.get(brokerId)
  if (broker === undefined || broker.isFenced) return undefined
  return broker.endpoints.find((endpoint) => endpoint.name === listener)
}
