/**
 * P(t) of the whole cluster: each node knows the rates of the partitions that it leads, and is asked
 * for them by the node that somebody asks. The total is the sum of the partitions that are listed,
 * and of no others: who did not answer in time is named.
 */
import { RpcError, type RpcIdentity, type RpcPeer } from '../base/rpc.ts'
import { ProtocolError, throughputRequest, throughputResponse } from '../proto/codecs.ts'
import type { ThroughputResponse } from '../proto/generated/messages.ts'
import { CLUSTER_THROUGHPUT } from '../proto/methods.ts'
import type { MetadataImage } from './metadata/image.ts'
import { ANY_NODE, helloOf, refusalOf, type SelfIdentity } from './peers/hello.ts'
import type { PartitionRate, Throughput, ThroughputMeter } from './throughput.ts'

/** Whoever looks at a page does not wait for a node that hangs. */
const ANSWER_WITHIN_MS = 1000

export interface ClusterThroughputParts {
  readonly self: SelfIdentity
  readonly meter: ThroughputMeter
  image(): MetadataImage
  peer(nodeId: number): RpcPeer
}

export interface ThroughputOfCluster extends Throughput {
  /** Nodes that should have answered; what they lead is not in these figures. */
  readonly unheard: readonly number[]
}

export class ClusterThroughput {
  readonly #parts: ClusterThroughputParts
  #underWay: Promise<ThroughputOfCluster> | undefined

  constructor(parts: ClusterThroughputParts) {
    this.#parts = parts
  }

  /** Does not reject. Those who ask while others are being asked share the answer. */
  read(): Promise<ThroughputOfCluster> {
    this.#underWay ??= this.#read().finally(() => {
      this.#underWay = undefined
    })
    return this.#underWay
  }

  /** For PeerServer: this node's part. Rejects with RpcError who is of another cluster. */
  async answer(bytes: Buffer, identity?: RpcIdentity): Promise<Uint8Array> {
    const { self, meter } = this.#parts
    const { hello } = throughputRequest.decode(bytes)
    const refusal = hello === null ? 'no hello' : refusalOf(self, hello, { identity })
    if (refusal !== undefined) throw new RpcError('denied', refusal)
    const { partitions, history } = meter.read()
    return throughputResponse.encode({
      hello: helloOf(self, hello?.nodeId ?? ANY_NODE),
      partitions: partitions.map(({ topic, partition, recordsPerSecond, bytesPerSecond }) => {
        return { topic, partition, recordsPerSecond, bytesPerSecond }
      }),
      history: history.map(({ recordsPerSecond }) => recordsPerSecond),
    })
  }

  async #read(): Promise<ThroughputOfCluster> {
    const { self, meter, image } = this.#parts
    const others = [...image().brokers.values()].filter(
      ({ id, isFenced }) => id !== self.nodeId && !isFenced,
    )
    const unheard: number[] = []
    const answers = await Promise.all(
      others.map(async ({ id }) => {
        const response = await this.#ask(id)
        if (response === undefined) unheard.push(id)
        return { id, response }
      }),
    )
    const own = meter.read()
    const rates = [...own.partitions]
    const history = own.history.map((entry) => ({ ...entry }))
    for (const { id, response } of answers) {
      for (const rate of response?.partitions ?? []) rates.push({ ...rate, leader: id })
      addFromTheEnd(history, response?.history ?? [])
    }
    const partitions = onceEach(rates, image())
    const total = { recordsPerSecond: 0, bytesPerSecond: 0 }
    for (const { recordsPerSecond, bytesPerSecond } of partitions) {
      total.recordsPerSecond += recordsPerSecond
      total.bytesPerSecond += bytesPerSecond
    }
    return { total, partitions, history, unheard: unheard.sort((a, b) => a - b) }
  }

  async #ask(nodeId: number): Promise<ThroughputResponse | undefined> {
    const { self, peer } = this.#parts
    const request = throughputRequest.encode({ hello: helloOf(self, nodeId) })
    try {
      const bytes = await peer(nodeId).call(CLUSTER_THROUGHPUT, request, ANSWER_WITHIN_MS)
      return throughputResponse.decode(bytes)
    } catch (error) {
      if (error instanceof RpcError || error instanceof ProtocolError) return undefined
      throw error
    }
  }
}

/** Just after a leadership has moved, two nodes may tell of one partition: its leader counts. */
function onceEach(rates: readonly PartitionRate[], image: MetadataImage): PartitionRate[] {
  const found = new Map<string, PartitionRate>()
  for (const rate of rates) {
    const key = `${rate.topic}/${rate.partition}`
    const leader = image.topics.get(rate.topic)?.partitions[rate.partition]?.leader
    if (!found.has(key) || rate.leader === leader) found.set(key, rate)
  }
  return [...found.values()].sort((a, b) =>
    a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1,
  )
}

function addFromTheEnd(history: { recordsPerSecond: number }[], more: readonly number[]): void {
  const shift = history.length - more.length
  more.forEach((recordsPerSecond, at) => {
    const entry = history[at + shift]
    if (entry !== undefined) entry.recordsPerSecond += recordsPerSecond
  })
}
