/** Brokers make themselves known, and lead again what they led (KIP-631). */
import type { Random } from '../../base/random.ts'
import { FIRST_FEATURES, SUPPORTED_FEATURES } from '../features.ts'
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

  /** A new leader epoch for each partition that this broker alone holds. */
  electAfterRegistration(nodeId: number): MetadataRecord[] {
    const records: MetadataRecord[] = []
    for (const topic of this.#quorum.image.topics.values()) {
      for (const partition of topic.partitions) {
        if (partition.isr.length !== 1 || partition.isr[0] !== nodeId) continue
        records.push(partitionChangeRecord(topic.id, partition.index, { leader: nodeId }))
      }
    }
    return records
  }
}
