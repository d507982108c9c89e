/** What clients see of the cluster: nodes, features, directories. */

import type { Disk } from '../../base/disk.ts'
import { StorageError } from '../../base/errors.ts'
import type {
  DescribeLogDirsRequest,
  DescribeLogDirsResponse,
} from '../../kafka/api/35-describe-log-dirs.ts'
import type { RequestContext } from '../../kafka/api/define.ts'
import type { BrokerDescription, ClusterPort, Features } from '../../kafka/control.ts'
import { KAFKA_STORAGE_ERROR } from '../../kafka/wire/errors.ts'
import type { LogStore } from '../../log/store.ts'
import { SUPPORTED_FEATURES } from '../features.ts'
import type { MetadataQuorum } from '../metadata/quorum.ts'
import type { Partitions } from '../partitions.ts'

export class NodeCluster implements ClusterPort {
  readonly clusterId: string
  readonly #nodeId: number
  readonly #quorum: MetadataQuorum
  readonly #partitions: Partitions
  readonly #store: LogStore
  readonly #disk: Disk

  constructor(parts: {
    clusterId: string
    nodeId: number
    quorum: MetadataQuorum
    partitions: Partitions
    store: LogStore
    disk: Disk
  }) {
    this.clusterId = parts.clusterId
    this.#nodeId = parts.nodeId
    this.#quorum = parts.quorum
    this.#partitions = parts.partitions
    this.#store = parts.store
    this.#disk = parts.disk
  }

  /** Every node passes admin requests on, so each names itself. */
  get controllerId(): number {
    return this.#quorum.leaderId === -1 ? -1 : this.#nodeId
  }

  brokers(listener: string): readonly BrokerDescription[] {
    const found: BrokerDescription[] = []
    for (const broker of this.#partitions.image.brokers.values()) {
      const endpoint = broker.endpoints.find((one) => one.name === listener)
      if (endpoint === undefined) continue
      found.push({
        nodeId: broker.id,
        host: endpoint.host,
        port: endpoint.port,
        rack: broker.rack,
        isFenced: broker.isFenced,
      })
    }
    return found.sort((a, b) => a.nodeId - b.nodeId)
  }

  features(): Features {
    const { features, offset } = this.#partitions.image
    return {
      supported: SUPPORTED_FEATURES,
      finalized: [...features].map(([name, level]) => ({ name, level })),
      finalizedEpoch: offset,
    }
  }

  async describeLogDirs(
    _context: RequestContext,
    request: DescribeLogDirsRequest,
  ): Promise<DescribeLogDirsResponse> {
    const results = await Promise.all(
      this.#store.directories.map((directory) => this.#describe(directory, request)),
    )
    return { errorCode: 0, results }
  }

  async #describe(logDir: string, request: DescribeLogDirsRequest) {
    const topics = new Map<string, { partitionIndex: number; sizeBytes: number; lag: number }[]>()
    for (const partition of this.#partitions.all()) {
      const { topic, index, log } = partition
      if (!log.directory.startsWith(`${logDir}/`) || !isWanted(request, topic, index)) continue
      const row = { partitionIndex: index, sizeBytes: log.sizeBytes(), lag: 0 }
      const rows = topics.get(topic)
      if (rows === undefined) topics.set(topic, [row])
      else rows.push(row)
    }
    const space = await this.#space(logDir)
    return {
      errorCode: space === undefined ? KAFKA_STORAGE_ERROR : 0,
      logDir,
      topics: [...topics].map(([name, rows]) => ({
        name,
        partitions: rows.map(({ partitionIndex, sizeBytes, lag }) => ({
          partitionIndex,
          partitionSize: sizeBytes,
          offsetLag: lag,
          isFutureKey: false,
        })),
      })),
      totalBytes: space?.sizeBytes ?? -1,
      usableBytes: space?.freeBytes ?? -1,
      isCordoned: false,
    }
  }

  async #space(directory: string) {
    try {
      return await this.#disk.space(directory)
    } catch (error) {
      if (error instanceof StorageError) return undefined
      throw error
    }
  }
}

function isWanted(request: DescribeLogDirsRequest, topic: string, index: number): boolean {
  if (request.topics === null) return true
  return request.topics.some((one) => one.topic === topic && one.partitions.includes(index))
}
