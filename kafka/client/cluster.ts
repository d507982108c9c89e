/**
 * A client's view of a cluster: connections by node, and topic metadata that is asked for again
 * when an error says that it is old. Any node may fail: another one is asked.
 */
import type { Clock, Timer } from '../../base/clock.ts'
import { metadata } from '../api/03-metadata.ts'
import type { Api } from '../api/define.ts'
import { errorName, errorOf } from '../wire/errors.ts'
import type { Infer, Struct, Written } from '../wire/schema.ts'
import { type BrokerConnection, ClientError, type ClientParts } from './connection.ts'
import { Nodes, type NodesOptions } from './nodes.ts'
import { NO_LEADER, type PartitionLeader, TopicTable, type TopicView } from './topic-table.ts'
import { type WatchOptions, watched } from './watch.ts'

export type ClusterOptions = NodesOptions

/** An error code in an answer, for people: 'UNKNOWN_TOPIC_OR_PARTITION: topic x'. */
export class KafkaError extends Error {
  override readonly name = 'KafkaError'
  readonly code: number
  /** Asked often enough, though the code says that it may pass. */
  readonly isFinal: boolean
  constructor(code: number, context: string, isFinal = false) {
    super(`${errorName(code)}: ${context}`)
    this.code = code
    this.isFinal = isFinal
  }
}

/** Throws KafkaError unless `code` is 0. */
export function check(code: number, context: string): void {
  if (code !== 0) throw new KafkaError(code, context)
}

const RETRY_MS = 20
/** A node may not have heard yet of a topic that another one has made. */
const UNKNOWN_TOPIC_MS = 500
/** Leaders that no error corrects are looked up again after this. */
const TOPIC_AGE_MS = 300_000
const UNKNOWN_TOPIC_OR_PARTITION = 3
const LEADER_NOT_AVAILABLE = 5

type ClusterMetadata = Infer<typeof metadata.response>

export interface TopicOptions {
  readonly allowAutoTopicCreation?: boolean
}

export class Cluster {
  readonly parts: ClientParts
  readonly options: ClusterOptions
  readonly #nodes: Nodes
  readonly #topics = new TopicTable()
  /** Questions under way, so that many who need the same topic ask once. */
  readonly #asked = new Map<string, Promise<TopicView>>()
  readonly #pauses = new Map<Timer, () => void>()
  #controllerId = -1
  #isClosed = false

  constructor(parts: ClientParts, options: ClusterOptions) {
    this.parts = parts
    this.options = options
    this.#nodes = new Nodes(parts, options)
  }

  get clock(): Clock {
    return this.parts.clock
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Has any node ever answered? If not, the addresses may be wrong. */
  get wasReached(): boolean {
    return this.#nodes.wasReached
  }

  /** Any node that answers, but not `exceptId`. Throws ClientError 'unreachable' when none does. */
  any(exceptId?: number): Promise<BrokerConnection> {
    return this.#nodes.any(exceptId)
  }

  /** See Nodes.node. */
  node(nodeId: number, lane?: string): Promise<BrokerConnection> {
    return this.#nodes.node(nodeId, lane)
  }

  /** The controller when it is known, else any node. */
  async controller(): Promise<BrokerConnection> {
    if (this.#controllerId === -1) await this.metadata([])
    return this.#nodes.knows(this.#controllerId) ? this.node(this.#controllerId) : this.any()
  }

  async request<Q extends Struct, S extends Struct>(
    nodeId: number | undefined,
    api: Api<Q, S>,
    body: Written<Q>,
    timeoutMs: number = this.options.timeoutMs,
  ): Promise<Infer<S>> {
    const connection = nodeId === undefined ? await this.any() : await this.node(nodeId)
    try {
      const answer = await connection.request(api, body, timeoutMs)
      this.#nodes.answered(connection)
      return answer
    } catch (error) {
      if (error instanceof ClientError) this.#nodes.failed(connection)
      throw error
    }
  }

  /** A request that may be repeated: asks one node after the other while time lasts. */
  async askAny<Q extends Struct, S extends Struct>(
    api: Api<Q, S>,
    bodyFor: (connection: BrokerConnection) => Written<Q>,
    exceptId?: number,
  ): Promise<Infer<S>> {
    const deadlineMs = this.clock.monotonicMs() + this.options.timeoutMs
    for (let failures = 0; ; failures++) {
      // The first failure is most often that of one node, found out by this very request.
      if (failures > 1) await this.pause(RETRY_MS)
      const connection = await this.any(exceptId)
      try {
        const patienceMs = this.#nodes.patienceMs(connection)
        const answer = await connection.request(api, bodyFor(connection), patienceMs)
        this.#nodes.answered(connection)
        return answer
      } catch (error) {
        if (!(error instanceof ClientError) || error.code === 'unsupported') throw error
        this.#nodes.failed(connection)
        if (this.#isClosed || this.clock.monotonicMs() >= deadlineMs) throw error
      }
    }
  }

  /** Null asks for all topics. Learns nodes and leaders on the way. */
  async metadata(
    topics: readonly string[] | null,
    options: TopicOptions & { readonly exceptId?: number } = {},
  ): Promise<ClusterMetadata> {
    const body = {
      topics: topics === null ? null : topics.map((name) => ({ name })),
      allowAutoTopicCreation: options.allowAutoTopicCreation ?? false,
    }
    const answer = await this.askAny(metadata, () => body, options.exceptId)
    this.#learn(answer)
    return answer
  }

  #learn(answer: ClusterMetadata): void {
    this.#nodes.replace(answer.brokers)
    this.#controllerId = answer.controllerId
    for (const topic of answer.topics) {
      const { name, errorCode } = topic
      if (name === null || errorCode !== 0) continue
      this.#topics.merge({
        name,
        id: topic.topicId,
        partitions: leadersOf(topic),
        learnedMs: this.clock.monotonicMs(),
      })
    }
  }

  /** As known, or asked for. Throws KafkaError. */
  async topic(name: string, options: TopicOptions = {}): Promise<TopicView> {
    const known = this.#topics.get(name)
    const isYoung = known !== undefined && this.clock.monotonicMs() - known.learnedMs < TOPIC_AGE_MS
    return isYoung ? known : this.refresh(name, options)
  }

  /**
   * Waits for an answer that comes on `connection`, as long as it is waited for at the right place.
   * Throws ClientError, and then asks others first for a while.
   */
  async waitFor<T>(
    connection: BrokerConnection,
    answer: Promise<T>,
    options: WatchOptions,
  ): Promise<T> {
    try {
      return await watched(this.clock, connection, answer, options)
    } catch (error) {
      if (error instanceof ClientError) this.#nodes.failed(connection)
      throw error
    }
  }

  /** What is known of a topic, however old. */
  known(name: string): TopicView | undefined {
    return this.#topics.peek(name)
  }

  /** Asks for a topic now. Throws KafkaError. */
  refresh(name: string, options: TopicOptions = {}): Promise<TopicView> {
    const key = `${options.allowAutoTopicCreation ?? false} ${name}`
    let asked = this.#asked.get(key)
    if (asked === undefined) {
      asked = this.#refresh(name, options).finally(() => this.#asked.delete(key))
      this.#asked.set(key, asked)
    }
    return asked
  }

  async #refresh(name: string, options: TopicOptions): Promise<TopicView> {
    const untilMs = this.clock.monotonicMs() + UNKNOWN_TOPIC_MS
    for (;;) {
      const answer = await this.metadata([name], options)
      const error = answer.topics[0]?.errorCode ?? UNKNOWN_TOPIC_OR_PARTITION
      const view = this.#topics.peek(name)
      if (error === 0 && view !== undefined) return view
      if (error !== UNKNOWN_TOPIC_OR_PARTITION) throw new KafkaError(error, name)
      if (this.clock.monotonicMs() >= untilMs) {
        this.#topics.forget(name)
        throw new KafkaError(error, name, options.allowAutoTopicCreation !== true)
      }
      this.#nodes.passOver()
      await this.pause(RETRY_MS)
    }
  }

  /** Who leads a partition. Throws KafkaError, LEADER_NOT_AVAILABLE while nobody does. */
  async leader(
    topic: string,
    partition: number,
    options: TopicOptions = {},
  ): Promise<PartitionLeader> {
    let found = (await this.topic(topic, options)).partitions[partition]
    if (found === undefined || found.leaderId < 0) {
      found = (await this.refresh(topic, options)).partitions[partition]
    }
    if (found === undefined) {
      throw new KafkaError(UNKNOWN_TOPIC_OR_PARTITION, `there is no ${topic}-${partition}`, true)
    }
    check(found.leaderId < 0 ? LEADER_NOT_AVAILABLE : 0, `${topic}-${partition}`)
    return found
  }

  /** An error said that what is known of the topic's leaders is old. */
  suspect(topic: string): void {
    this.#topics.suspect(topic)
    this.#nodes.passOver()
  }

  /** A node that an answer named. */
  learnNode(node: { readonly nodeId: number; readonly host: string; readonly port: number }): void {
    this.#nodes.learn(node)
  }

  /** What an answer said of leaders by the way (KIP-951). True when that is news. */
  learnLeader(
    place: { readonly topic: string; readonly partition: number },
    leader: PartitionLeader,
    endpoints: readonly { nodeId: number; host: string; port: number }[],
  ): boolean {
    for (const endpoint of endpoints) this.#nodes.learn(endpoint)
    if (!this.#nodes.knows(leader.leaderId)) return false
    return this.#topics.learn(place.topic, place.partition, leader)
  }

  /** Do other nodes say that `nodeId` does not lead one of these partitions any more? */
  async isLedElsewhere(
    nodeId: number,
    places: readonly { readonly topic: string; readonly partition: number }[],
  ): Promise<boolean> {
    const topics = [...new Set(places.map(({ topic }) => topic))]
    await this.metadata(topics, { exceptId: nodeId })
    return places.some(({ topic, partition }) => {
      const { leaderId } = this.#topics.peek(topic)?.partitions[partition] ?? NO_LEADER
      return leaderId >= 0 && leaderId !== nodeId
    })
  }

  /** Leaders of a topic's partitions by index; waits for elections. Throws KafkaError. */
  async leaders(topic: string, allowAutoTopicCreation = false): Promise<number[]> {
    const deadlineMs = this.clock.monotonicMs() + this.options.timeoutMs
    for (;;) {
      let error: KafkaError
      try {
        const { partitions } = await this.refresh(topic, { allowAutoTopicCreation })
        const leaders = partitions.map(({ leaderId }) => leaderId)
        if (leaders.every((leader) => leader >= 0)) return leaders
        error = new KafkaError(LEADER_NOT_AVAILABLE, topic)
      } catch (thrown) {
        if (!(thrown instanceof KafkaError)) throw thrown
        error = thrown
      }
      const isFinal = error.isFinal || errorOf(error.code)?.isRetriable !== true
      if (isFinal || this.#isClosed || this.clock.monotonicMs() > deadlineMs) throw error
      await this.pause(RETRY_MS)
    }
  }

  /** Ends early when the client is closed. */
  pause(delayMs: number): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = this.clock.after(delayMs, () => {
        this.#pauses.delete(timer)
        resolve()
      })
      this.#pauses.set(timer, resolve)
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const [timer, resolve] of this.#pauses) {
      timer.cancel()
      resolve()
    }
    this.#pauses.clear()
    await this.#nodes.close()
  }
}

function leadersOf(topic: ClusterMetadata['topics'][number]): PartitionLeader[] {
  const leaders: PartitionLeader[] = []
  for (const { partitionIndex, leaderId, leaderEpoch } of topic.partitions) {
    leaders[partitionIndex] = { leaderId, leaderEpoch }
  }
  return leaders
}
