/**
 * KIP-951: who leads the partitions of an answer that a client asked at the wrong node, and where
 * those nodes are, so that it can go there without asking for metadata first.
 */
import type { DataPort, NodeEndpoint, TopicPort } from '../broker.ts'
import { type AnswerWriter, uvarintBytes } from './answer-writer.ts'

/** int32, int32 and an empty tagged section. */
const LEADER_BYTES = 9

export class LeaderHints {
  readonly #data: DataPort
  readonly #nodes: number[] = []
  #leaderId = -1
  #leaderEpoch = -1

  constructor(data: DataPort) {
    this.#data = data
  }

  /** Starts an answer. */
  clear(): void {
    this.#nodes.length = 0
  }

  /**
   * The leader of this partition goes into the answer. Returns whether there is anything to say.
   */
  add(topic: TopicPort, index: number): boolean {
    const hint = this.#data.leader(topic, index)
    this.#leaderId = hint.leaderId
    this.#leaderEpoch = hint.leaderEpoch
    if (hint.leaderId >= 0 && !this.#nodes.includes(hint.leaderId)) this.#nodes.push(hint.leaderId)
    return hint.leaderId !== -1 || hint.leaderEpoch !== -1
  }

  /** The leader of the last `add`, as the tagged field `tag`. */
  writeLeader(writer: AnswerWriter, tag: number): void {
    writer.uvarint(tag)
    writer.uvarint(LEADER_BYTES)
    writer.int32(this.#leaderId)
    writer.int32(this.#leaderEpoch)
    writer.int8(0)
  }

  /**
   * The last tagged section of an answer: the endpoints of all leaders, as tag 0, when there are
   * any.
   */
  writeEndpoints(writer: AnswerWriter, listener: string): void {
    const endpoints: NodeEndpoint[] = []
    for (const nodeId of this.#nodes) {
      const endpoint = this.#data.endpoint(nodeId, listener)
      if (endpoint !== undefined) endpoints.push(endpoint)
    }
    if (endpoints.length === 0) {
      writer.int8(0)
      return
    }
    let sizeBytes = uvarintBytes(endpoints.length + 1)
    for (const endpoint of endpoints) sizeBytes += endpointBytes(endpoint)
    writer.int8(1)
    writer.int8(0)
    writer.uvarint(sizeBytes)
    writer.uvarint(endpoints.length + 1)
    for (const { nodeId, host, port, rack } of endpoints) {
      writer.int32(nodeId)
      writer.string(host, true)
      writer.int32(port)
      writer.nullableString(rack, true)
      writer.int8(0)
    }
  }
}

function endpointBytes({ host, rack }: NodeEndpoint): number {
  return 4 + textBytes(host) + 4 + (rack === null ? 1 : textBytes(rack)) + 1
}

function textBytes(text: string): number {
  const length = Buffer.byteLength(text)
  return uvarintBytes(length + 1) + length
}
