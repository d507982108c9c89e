/** What the HTTP pages show of a node. */
import type { World } from '../base/world.ts'
import type { AdminSource, Readiness } from './admin.ts'
import { FAMILIES, registerFamilies, sourceOf } from './families.ts'
import { KAFKA_FAMILIES } from './families-kafka.ts'
import { type Exposition, PrometheusMetrics } from './metrics.ts'
import type { Node } from './node.ts'
import { INTERNAL_TOPICS } from './partitions.ts'
import { VERSION } from './version.ts'

/** A node that can't get its replicas back into the ISR says so for this long, then serves. */
const IN_SYNC_WAIT_MS = 60_000

export class NodeAdmin implements AdminSource {
  readonly #node: Node
  readonly #world: World
  readonly #metrics: PrometheusMetrics
  readonly #kafkaMetrics: PrometheusMetrics
  readonly #sinceMs: number

  /** `metrics`: the page that parts of the node may add to; our families are put on it. */
  constructor(node: Node, world: World, metrics: PrometheusMetrics) {
    this.#node = node
    this.#world = world
    this.#metrics = metrics
    this.#kafkaMetrics = new PrometheusMetrics(world.clock, { hasProcess: false })
    this.#sinceMs = world.clock.monotonicMs()
    const source = sourceOf(node, world)
    registerFamilies(metrics, FAMILIES, source)
    registerFamilies(this.#kafkaMetrics, KAFKA_FAMILIES, source)
  }

  readiness(): Readiness {
    const { state } = this.#node
    const reasons = state === 'running' ? this.#lacks() : [state]
    return { isReady: reasons.length === 0, state, reasons }
  }

  /** Why clients should rather not come here yet. */
  #lacks(): string[] {
    const { partitions, links, settings } = this.#node
    const { image } = partitions
    const reasons: string[] = []
    const self = image.brokers.get(settings.nodeId)
    if (self === undefined) reasons.push('not registered with the controller')
    else if (self.isFenced) reasons.push('fenced by the controller')
    if (!links.hasController()) reasons.push('nobody leads the metadata quorum')
    const outOfSync = this.#outOfSync()
    const waitedMs = this.#world.clock.monotonicMs() - this.#sinceMs
    if (outOfSync > 0 && waitedMs < IN_SYNC_WAIT_MS) {
      reasons.push(`${outOfSync} replicas are not in sync yet`)
    }
    return reasons
  }

  /** Replicas of this node that their leaders do not count on. */
  #outOfSync(): number {
    const { partitions, settings } = this.#node
    let count = 0
    for (const topic of partitions.image.topics.values()) {
      for (const { leader, replicas, isr } of topic.partitions) {
        const isHere = replicas.includes(settings.nodeId)
        if (isHere && leader >= 0 && !isr.includes(settings.nodeId)) count++
      }
    }
    return count
  }

  metrics(exposition: Exposition): Promise<readonly Buffer[]> {
    return this.#metrics.render(exposition)
  }

  kafkaMetrics(exposition: Exposition): Promise<readonly Buffer[]> {
    return this.#kafkaMetrics.render(exposition)
  }

  cluster() {
    const { image } = this.#node.partitions
    return {
      clusterId: this.#node.identity.clusterId,
      version: VERSION,
      controller: this.#node.quorum.leaderId,
      metadataOffset: image.offset,
      nodes: [...image.brokers.values()].map((broker) => ({
        id: broker.id,
        epoch: broker.epoch,
        isFenced: broker.isFenced,
        rack: broker.rack,
        endpoints: broker.endpoints.map(({ name, host, port }) => ({ name, host, port })),
      })),
    }
  }

  quorum() {
    const { quorum, partitions } = this.#node
    return {
      leader: quorum.leaderId,
      epoch: quorum.leaderEpoch,
      highWatermark: quorum.highWatermark,
      appliedOffset: partitions.image.offset,
      // Only the leader knows how far the others are.
      voters: quorum.voters.map(({ nodeId, directoryId, logEndOffset }) => ({
        nodeId,
        directoryId,
        logEndOffset: logEndOffset < 0 ? null : logEndOffset,
        lag: logEndOffset < 0 ? null : Math.max(0, quorum.highWatermark - logEndOffset),
      })),
    }
  }

  topics() {
    const { image } = this.#node.partitions
    return [...image.topics.values()]
      .map((topic) => ({
        name: topic.name,
        id: topic.id,
        isInternal: INTERNAL_TOPICS.has(topic.name),
        partitions: topic.partitions.length,
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  topic(name: string) {
    const topic = this.#node.partitions.image.topics.get(name)
    if (topic === undefined) return undefined
    return {
      name,
      id: topic.id,
      isInternal: INTERNAL_TOPICS.has(name),
      partitions: topic.partitions.map(({ index, leader, leaderEpoch, replicas, isr }) => {
        const hosted = this.#node.partitions.find(name, index)
        return {
          index,
          leader,
          leaderEpoch,
          replicas,
          isr,
          logStartOffset: hosted?.logStartOffset ?? null,
          highWatermark: hosted?.highWatermark ?? null,
          logEndOffset: hosted?.logEndOffset ?? null,
          sizeBytes: hosted?.log.sizeBytes() ?? null,
        }
      }),
    }
  }

  groups() {
    return [...this.#node.groups.snapshot()]
  }

  /** With each committed offset's lag; null where the partition is not on this node. */
  group(name: string) {
    const group = this.#node.groups.groupSnapshot(name)
    if (group === undefined) return undefined
    const offsets = group.offsets.map((one) => {
      const end = this.#node.partitions.find(one.topic, one.partition)?.lastStableOffset
      return { ...one, lag: end === undefined ? null : Math.max(0, end - one.offset) }
    })
    return { ...group, offsets }
  }

  throughput() {
    return this.#node.throughput.read()
  }

  drain(timeoutMs: number) {
    return this.#node.drain(timeoutMs)
  }

  config() {
    return Object.fromEntries(
      [...this.#node.settings.statics].map(([name, value]) => [
        name,
        SECRET.test(name) ? '(hidden)' : value,
      ]),
    )
  }
}

const SECRET = /password|secret|\.key$|jaas|credential/i
