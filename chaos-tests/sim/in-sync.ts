/**
 * Looks at the ISR of every partition as the newest metadata has it: each member that runs has all
 * that is below the highest watermark that any node has shown. What a reader was given once is never
 * in doubt, whoever leads next.
 */
import type { PartitionImage } from '../../node/metadata/image.ts'
import type { Node } from '../../node/node.ts'
import type { SimCluster } from './cluster.ts'
import type { Recorder } from './recorder.ts'

type Replica = ReturnType<Node['partitions']['all']> extends Iterable<infer One> ? One : never

export class InSync {
  readonly #cluster: SimCluster
  readonly #recorder: Recorder
  /** By topic id and partition. */
  readonly #watermarks = new Map<string, number>()
  readonly #noted = new Set<string>()
  /** Of the metadata log: the last that any node has applied. */
  #applied = -1

  constructor(cluster: SimCluster, recorder: Recorder) {
    this.#cluster = cluster
    this.#recorder = recorder
  }

  /** A node has begun to serve. */
  follow({ quorum }: Node): void {
    quorum.onApplied(({ offset }) => {
      this.#applied = Math.max(this.#applied, offset)
    })
  }

  look(): void {
    const newest = this.#newest()
    if (newest === undefined) return
    for (const { running } of this.#cluster.running) {
      for (const one of running!.partitions.all()) {
        const key = keyOf(one)
        const before = this.#watermarks.get(key) ?? 0
        if (one.highWatermark > before) this.#watermarks.set(key, one.highWatermark)
      }
    }
    const { image } = newest.quorum
    for (const { id, running } of this.#cluster.running) {
      // Who has begun anew and is not known yet may have less than it had: it counts when it is back.
      if (image.brokers.get(id)?.isFenced !== false) continue
      for (const one of running!.partitions.all()) {
        const partition = image.topics.get(one.topic)?.partitions[one.index]
        if (partition?.isr.includes(id)) this.#compare(id, one, partition)
      }
    }
  }

  #compare(node: number, one: Replica, { isr }: PartitionImage): void {
    const key = keyOf(one)
    const highWatermark = this.#watermarks.get(key) ?? 0
    const { logEndOffset: endOffset } = one
    if (one.isFailed || endOffset >= highWatermark) return
    const sign = `${key} ${node} ${endOffset}`
    if (this.#noted.has(sign)) return
    this.#noted.add(sign)
    const scope = `${one.topic}-${one.index}`
    const atMs = this.#recorder.nowMs
    this.#recorder.add({ op: 'behind', scope, node, isr, endOffset, highWatermark, atMs })
  }

  /** All images are beginnings of one log. None, when those who know more than the rest are down. */
  #newest(): Node | undefined {
    if (this.#cluster.running.length * 2 <= this.#cluster.nodes.length) return undefined
    let newest: Node | undefined
    for (const { running } of this.#cluster.running) {
      if (newest === undefined || running!.quorum.image.offset > newest.quorum.image.offset) {
        newest = running
      }
    }
    return newest !== undefined && newest.quorum.image.offset >= this.#applied ? newest : undefined
  }
}

const keyOf = ({ topicId, index }: Replica): string => `${topicId}/${index}`
