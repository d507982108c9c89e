/** Brokers make themselves known, and lead again what they led (KIP-631). */
import type { Random } from '../../base/random.ts'
import { FIRST_FEATURES, SUPPORTED_FEATURES } from '../features.ts'
import { topicById } from './image.ts'
import { newUuid } from './meta-properties.ts'
import type { MetadataQuorum } from './quorum.ts'
import { type MetadataRecord, partitionChangeRecord } from './records.ts'

export interface Registration {
  readonly nodeId: number
  readonly rack: string | null
  readonly endpoints: readonly { name: string; host: string; port: number }[]
  readonly directoryIds: readonly string[]
}

const PLAINTEXT = 0
/** About 60 bytes each: well below what a batch of the metadata log may have. */
const CHANGES_PER_BATCH = 5_000

export class BrokerRegistrations {
  readonly #quorum: MetadataQuorum
  readonly #random: Random

  constructor(quorum: MetadataQuorum, random: Random) {
    this.#quorum = quorum
    this.#random = random
  }

  register(registration: Registration): MetadataRecord[] {
    const { image, nextOffset } = this.#quorum
    const records: MetadataRecord[] = []
    if (image.features.size === 0) {
      for (const [name, featureLevel] of FIRST_FEATURES) {
        records.push({ type: 'FeatureLevelRecord', name, featureLevel })
      }
    }
    // The offset of its record is the broker's epoch.
    const brokerEpoch = nextOffset + records.length
    records.push({
      type: 'RegisterBrokerRecord',
      brokerId: registration.nodeId,
      isMigratingZkBroker: false,
      incarnationId: newUuid(this.#random),
      brokerEpoch,
      endPoints: registration.endpoints.map((one) => ({ ...one, securityProtocol: PLAINTEXT })),
      features: SUPPORTED_FEATURES.map(({ name, minVersion, maxVersion }) => ({
        name,
        minSupportedVersion: minVersion,
        maxSupportedVersion: maxVersion,
      })),
      rack: registration.rack,
      fenced: false,
      inControlledShutdown: false,
      logDirs: [...registration.directoryIds].sort(),
      cordonedLogDirs: null,
    })
    return records
  }

  /** Ids of topics in groups of so few partitions that a batch can hold a change of each. */
  topicGroups(): string[][] {
    const groups: string[][] = []
    let room = 0
    for (const topic of this.#quorum.image.topics.values()) {
      if (topic.partitions.length > room || groups.length === 0) {
        groups.push([])
        room = CHANGES_PER_BATCH
      }
      groups.at(-1)!.push(topic.id)
      room -= topic.partitions.length
    }
    return groups
  }

  /** A new leader epoch for each partition of these topics that this broker alone holds. */
  electAfterRegistration(nodeId: number, topicIds: readonly string[]): MetadataRecord[] {
    const records: MetadataRecord[] = []
    for (const topicId of topicIds) {
      // A topic may have been deleted between two batches.
      for (const partition of topicById(this.#quorum.image, topicId)?.partitions ?? []) {
        if (partition.isr.length !== 1 || partition.isr[0] !== nodeId) continue
        records.push(partitionChangeRecord(topicId, partition.index, { leader: nodeId }))
      }
    }
    return records
  }
}
