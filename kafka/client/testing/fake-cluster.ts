/**
 * For tests of clients: real servers on simulated machines, with a broker behind each that shares
 * its topics and groups with the others. A test moves leaders, kills, freezes and cuts off nodes.
 */
import { SimWorld } from '../../../base/sim/world.ts'
import { Turn } from '../../../base/turn.ts'
import { fakeBroker } from '../../api/testing/fake-broker.ts'
import type { DataPort, NodeEndpoint, TopicPort } from '../../broker.ts'
import type { TopicDescription } from '../../control.ts'
import { KafkaServer } from '../../server/listener.ts'
import { Cluster } from '../cluster.ts'
import { groupsOf, SharedGroup } from './fake-group.ts'
import { PartitionView, SharedPartition } from './fake-partition-view.ts'

const PORT = 9092
const LISTENER = 'PLAINTEXT'

interface FakeTopic {
  readonly id: string
  readonly partitions: SharedPartition[]
}

/** What a node believes, when it is cut off from the others. */
type Belief = readonly { readonly leaderId: number; readonly leaderEpoch: number }[]

export class FakeCluster {
  readonly world: SimWorld
  readonly nodeIds: readonly number[]
  readonly topics = new Map<string, FakeTopic>()
  readonly group = new SharedGroup()
  /** Metadata requests by node. */
  readonly metadataAsked = new Map<number, number>()
  readonly #beliefs = new Map<number, ReadonlyMap<string, Belief>>()
  #nextProducerId = 1000

  private constructor(seed: string, nodeCount: number) {
    this.world = new SimWorld(seed)
    this.nodeIds = Array.from({ length: nodeCount }, (_, i) => i + 1)
  }

  /** Partitions are led in turn by all nodes. */
  static async start(
    topics: Record<string, number>,
    options: { seed?: string; nodeCount?: number } = {},
  ): Promise<FakeCluster> {
    const self = new FakeCluster(options.seed ?? 'client', options.nodeCount ?? 3)
    for (const [name, count] of Object.entries(topics)) self.#addTopic(name, count)
    for (const nodeId of self.nodeIds) await self.boot(nodeId)
    return self
  }

  get bootstrap(): string[] {
    return this.nodeIds.map((nodeId) => `node-${nodeId}:${PORT}`)
  }

  /** A client on a machine of its own. */
  client(options: { bootstrap?: readonly string[]; timeoutMs?: number } = {}): Cluster {
    return new Cluster(this.world.host('client').world, {
      bootstrap: options.bootstrap ?? this.bootstrap,
      clientId: 'test',
      timeoutMs: options.timeoutMs ?? 10_000,
    })
  }

  partition(topic: string, index: number): SharedPartition {
    return this.topics.get(topic)!.partitions[index]!
  }

  async boot(nodeId: number): Promise<void> {
    const { clock, network, logger, random } = this.world.host(`node-${nodeId}`).boot()
    const server = new KafkaServer(
      { clock, turn: new Turn(clock), network, logger, random },
      this.#broker(nodeId),
    )
    await this.world.complete(server.listen(LISTENER, '0.0.0.0', PORT), 1000)
  }

  kill(nodeId: number): void {
    this.world.host(`node-${nodeId}`).kill()
  }

  freeze(nodeId: number): void {
    this.world.host(`node-${nodeId}`).freeze()
  }

  /** From now on this node says of all topics what is true now. */
  cutOff(nodeId: number): void {
    const beliefs = [...this.topics].map(([name, { partitions }]): [string, Belief] => [
      name,
      partitions.map(({ leaderId, leaderEpoch }) => ({ leaderId, leaderEpoch })),
    ])
    this.#beliefs.set(nodeId, new Map(beliefs))
  }

  /** Calls `run` when virtual time has come to now + `delayMs`. */
  after(delayMs: number, run: () => void): void {
    this.world.scheduler.after(delayMs * 1000, 'test', run)
  }

  #addTopic(name: string, count: number): void {
    const id = Buffer.alloc(16, this.topics.size + 1).toString('base64url')
    const partitions = Array.from({ length: count }, (_, index) => {
      const partition = new SharedPartition(name, id, index)
      partition.leaderId = this.nodeIds[index % this.nodeIds.length]!
      return partition
    })
    this.topics.set(name, { id, partitions })
  }

  #endpoint(nodeId: number): NodeEndpoint | undefined {
    if (!this.nodeIds.includes(nodeId)) return undefined
    return { nodeId, host: `node-${nodeId}`, port: PORT, rack: null }
  }

  #broker(nodeId: number) {
    const data = this.#data(nodeId)
    return fakeBroker({
      data,
      cluster: {
        clusterId: 'MkU3OEVBNTcwNTJENDM2Qg',
        controllerId: nodeId,
        brokers: () => this.nodeIds.map((id) => ({ ...this.#endpoint(id)!, isFenced: false })),
        features: () => ({ supported: [], finalized: [], finalizedEpoch: -1 }),
      },
      topics: {
        names: () => [...this.topics.keys()],
        describe: (name) => {
          this.metadataAsked.set(nodeId, (this.metadataAsked.get(nodeId) ?? 0) + 1)
          return this.#describe(nodeId, name)
        },
        async autoCreate() {
          return new Map()
        },
      },
      producers: {
        initProducerId: async () => {
          return { errorCode: 0, producerId: this.#nextProducerId++, producerEpoch: 0 }
        },
      },
      groups: groupsOf(nodeId, this.group, (id) => this.#endpoint(id)),
    })
  }

  #data(nodeId: number): DataPort {
    const ports = new Map<string, TopicPort>()
    for (const [name, { id, partitions }] of this.topics) {
      ports.set(name, {
        name,
        id,
        isInternal: false,
        partitionCount: partitions.length,
        partitions: partitions.map((shared) => {
          return new PartitionView(nodeId, shared, () => this.kill(nodeId))
        }),
      })
    }
    return {
      topic: (name) => ports.get(name),
      topicById: (id) => [...ports.values()].find((topic) => topic.id === id),
      leader: ({ name }, index) => this.#believed(nodeId, name)[index]!,
      endpoint: (id) => this.#endpoint(id),
    }
  }

  #believed(nodeId: number, topic: string): Belief {
    return this.#beliefs.get(nodeId)?.get(topic) ?? this.topics.get(topic)!.partitions
  }

  #describe(nodeId: number, name: string): TopicDescription | undefined {
    const topic = this.topics.get(name)
    if (topic === undefined) return undefined
    const partitions = this.#believed(nodeId, name).map(({ leaderId, leaderEpoch }, index) => ({
      index,
      leaderId,
      leaderEpoch,
      replicas: this.nodeIds,
      isr: this.nodeIds,
      offlineReplicas: [],
      eligibleLeaderReplicas: [],
      lastKnownEligibleLeaderReplicas: [],
    }))
    return { name, id: topic.id, isInternal: false, partitions }
  }
}
