/**
 * A client's view of a cluster: connections by node, and topic metadata that is asked for again
 * when an error says that it is old.
 */
import type { Clock } from '../../base/clock.ts'
import { metadata } from '../api/03-metadata.ts'
import type { Api } from '../api/define.ts'
import { errorName, errorOf } from '../wire/errors.ts'
import type { Infer, Struct, Written } from '../wire/schema.ts'
import { BrokerConnection, ClientError, type ClientParts } from './connection.ts'

export interface ClusterOptions {
  /** 'host:port', tried in order. */
  readonly bootstrap: readonly string[]
  readonly clientId: string
  readonly timeoutMs: number
}

/** An error code in an answer, for people: 'UNKNOWN_TOPIC_OR_PARTITION: topic x'. */
export class KafkaError extends Error {
  override readonly name = 'KafkaError'
  readonly code: number
  constructor(code: number, context: string) {
    super(`${errorName(code)}: ${context}`)
    this.code = code
  }
}

/** Throws KafkaError unless `code` is 0. */
export function check(code: number, context: string): void {
  if (code !== 0) throw new KafkaError(code, context)
}

const RETRY_DELAY_MS = 100

type ClusterMetadata = Infer<typeof metadata.response>

export class Cluster {
  readonly parts: ClientParts
  readonly options: ClusterOptions
  readonly #connections = new Map<string, Promise<BrokerConnection>>()
  readonly #addresses = new Map<number, string>()
  /** Which address is asked first: another one after each that failed. */
  #preferred = 0
  #controllerId = -1
  #isClosed = false

  constructor(parts: ClientParts, options: ClusterOptions) {
    this.parts = parts
    this.options = options
  }

  get clock(): Clock {
    return this.parts.clock
  }

  /** Any node that answers. Throws ClientError 'unreachable' when none does. */
  async any(): Promise<BrokerConnection> {
    const addresses = [...new Set([...this.#addresses.values(), ...this.options.bootstrap])]
    let last: unknown
    for (let tried = 0; tried < addresses.length; tried++) {
      try {
        return await this.#connection(addresses[this.#preferred % addresses.length]!)
      } catch (error) {
        last = error
        this.#preferred++
      }
    }
    const where = this.options.bootstrap.join(', ')
    throw new ClientError('unreachable', `no broker answers at ${where}`, { cause: last })
  }

  async node(nodeId: number): Promise<BrokerConnection> {
    const address = this.#addresses.get(nodeId)
    if (address === undefined) {
      throw new ClientError('unreachable', `node ${nodeId} is not known`)
    }
    return this.#connection(address)
  }

  /** The controller when it is known, else any node. */
  async controller(): Promise<BrokerConnection> {
    if (this.#controllerId === -1) await this.metadata([])
    return this.#addresses.has(this.#controllerId) ? this.node(this.#controllerId) : this.any()
  }

  async request<Q extends Struct, S extends Struct>(
    nodeId: number | undefined,
    api: Api<Q, S>,
    body: Written<Q>,
    timeoutMs: number = this.options.timeoutMs,
  ): Promise<Infer<S>> {
    const connection = nodeId === undefined ? await this.any() : await this.node(nodeId)
    try {
      return await connection.request(api, body, timeoutMs)
    } catch (error) {
      if (nodeId === undefined) this.#preferred++
      throw error
    }
  }

  /** Null asks for all topics. Learns the nodes' addresses on the way. */
  async metadata(
    topics: readonly string[] | null,
    options: { allowAutoTopicCreation?: boolean } = {},
  ): Promise<ClusterMetadata> {
    const answer = await this.request(undefined, metadata, {
      topics: topics === null ? null : topics.map((name) => ({ name })),
      allowAutoTopicCreation: options.allowAutoTopicCreation ?? false,
    })
    for (const { nodeId, host, port } of answer.brokers) {
      this.#addresses.set(nodeId, `${host}:${port}`)
    }
    this.#controllerId = answer.controllerId
    return answer
  }

  /** Leaders of a topic's partitions by index; waits for elections. Throws KafkaError. */
  async leaders(topic: string, allowAutoTopicCreation = false): Promise<number[]> {
    const deadline = this.clock.monotonicMs() + this.options.timeoutMs
    for (;;) {
      const answer = await this.metadata([topic], { allowAutoTopicCreation })
      const found = answer.topics[0]
      const error = found?.errorCode ?? 3
      const leaders = error === 0 ? leadersOf(found!) : []
      if (error === 0 && leaders.every((leader) => leader >= 0)) return leaders
      const isFinal =
        error !== 0 &&
        (errorOf(error)?.isRetriable !== true || (error === 3 && !allowAutoTopicCreation))
      if (isFinal || this.clock.monotonicMs() > deadline) check(error === 0 ? 5 : error, topic)
      await this.pause(RETRY_DELAY_MS)
    }
  }

  pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.after(delayMs, resolve)
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const all = await Promise.allSettled(this.#connections.values())
    for (const result of all) if (result.status === 'fulfilled') result.value.close()
    this.#connections.clear()
  }

  async #connection(address: string): Promise<BrokerConnection> {
    if (this.#isClosed) throw new ClientError('closed', 'the client is closed')
    const known = this.#connections.get(address)
    if (known !== undefined) {
      const connection = await known
      if (connection.isOpen) return connection
    }
    const made = BrokerConnection.connect(this.parts, {
      ...splitAddress(address),
      clientId: this.options.clientId,
      timeoutMs: this.options.timeoutMs,
    })
    this.#connections.set(address, made)
    try {
      return await made
    } catch (error) {
      this.#connections.delete(address)
      throw error
    }
  }
}

function leadersOf(topic: ClusterMetadata['topics'][number]): number[] {
  const leaders: number[] = []
  for (const { partitionIndex, leaderId } of topic.partitions) leaders[partitionIndex] = leaderId
  return leaders
}

/** 'host:port' or '[v6]:port'. Throws ClientError 'malformed'. */
export function splitAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address)
  const port = match === null ? 0 : Number(match[3])
  if (match === null || port < 1 || port > 65_535) {
    throw new ClientError('malformed', `'${address}' is not an address: write HOST:PORT`)
  }
  return { host: match[1] ?? match[2]!, port }
}
