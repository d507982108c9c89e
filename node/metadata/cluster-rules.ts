/** The rules of partition-change.ts, from an image and the settings. */
import { ZERO_UUID } from '../../kafka/wire/schema.ts'
import { effectiveValue, topicSetting } from '../config/topic-log-config.ts'
import type { Settings } from '../config.ts'
import { ELR_FEATURE } from '../features.ts'
import { type BrokerImage, isActive, type MetadataImage, overridesOf, RESOURCE } from './image.ts'
import type { PartitionRules } from './partition-change.ts'

/** The directory of a replica whose disk failed (KIP-858): it serves again after a registration. */
export const LOST_DIRECTORY = 'AAAAAAAAAAAAAAAAAAAAAQ'

/** A broker with several directories chooses by itself: the zero id says so (KIP-858). */
export function directoryOn(broker: Pick<BrokerImage, 'logDirs'> | undefined): string {
  return broker?.logDirs.length === 1 ? broker.logDirs[0]! : ZERO_UUID
}

export class ClusterRules {
  readonly image: MetadataImage
  readonly #settings: Settings
  readonly #active = new Map<number, boolean>()
  readonly #shared: PartitionRules
  readonly #withOverrides = new Map<string, PartitionRules>()

  constructor(image: MetadataImage, settings: Settings) {
    this.image = image
    this.#settings = settings.withDynamic(
      overridesOf(image, RESOURCE.broker, ''),
      overridesOf(image, RESOURCE.broker, String(settings.nodeId)),
    )
    this.#shared = this.#rules(new Map())
  }

  isActive(brokerId: number): boolean {
    let known = this.#active.get(brokerId)
    if (known === undefined) {
      known = isActive(this.image, brokerId)
      this.#active.set(brokerId, known)
    }
    return known
  }

  of(topic: string): PartitionRules {
    const overrides = overridesOf(this.image, RESOURCE.topic, topic)
    if (overrides.size === 0) return this.#shared
    let rules = this.#withOverrides.get(topic)
    if (rules === undefined) {
      rules = this.#rules(overrides)
      this.#withOverrides.set(topic, rules)
    }
    return rules
  }

  #text(name: string, overrides: ReadonlyMap<string, string>): string {
    return effectiveValue(topicSetting(name)!, overrides, this.#settings)?.trim() ?? ''
  }

  #rules(overrides: ReadonlyMap<string, string>): PartitionRules {
    const { image } = this
    return {
      isActive: (partition, id) =>
        this.isActive(id) &&
        partition.directories[partition.replicas.indexOf(id)] !== LOST_DIRECTORY,
      isServing: (partition, id) =>
        image.brokers.get(id)?.isFenced === false &&
        partition.directories[partition.replicas.indexOf(id)] !== LOST_DIRECTORY,
      directoryOf: (id) => directoryOn(image.brokers.get(id)),
      isElrEnabled: (image.features.get(ELR_FEATURE) ?? 0) >= 1,
      minInsyncReplicas: Number(this.#text('min.insync.replicas', overrides)),
      isUncleanAllowed:
        this.#text('unclean.leader.election.enable', overrides).toLowerCase() === 'true',
      isRegistered: (id) => image.brokers.has(id),
      isDurable: this.#text('flush', overrides) === 'group',
    }
  }
}
