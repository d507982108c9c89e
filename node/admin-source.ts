/** What the HTTP pages show of a node. */
import type { AdminSource, Readiness } from './admin.ts'
import type { Exposition, PrometheusMetrics } from './metrics.ts'
import type { Node } from './node.ts'
import { INTERNAL_TOPICS } from './partitions.ts'
import { VERSION } from './version.ts'

export class NodeAdmin implements AdminSource {
  readonly #node: Node
  readonly #metrics: PrometheusMetrics

  constructor(node: Node, metrics: PrometheusMetrics) {
    this.#node = node
    this.#metrics = metrics
  }

  readiness(): Readiness {
    const { state } = this.#node
    return { isReady: state === 'running', state, reasons: state === 'running' ? [] : [state] }
  }

  metrics(exposition: Exposition): Promise<string> {
    return this.#metrics.render(exposition)
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

  group(name: string) {
    return this.#node.groups.groupSnapshot(name)
  }

  throughput() {
    return this.#node.throughput.read()
  }

  config() {
    return Object.fromEntries(
      [...this.#node.settings.statics].filter(([name]) => !/password|secret|\.key$/.test(name)),
    )
  }
}
