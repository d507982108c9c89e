/*
 * One broker of the differential check and what it said: each request under a label, with its answer
 * as it was decoded, or how it ended without one.
 */
import { realClock } from '../../../base/real/clock.ts'
import { realNetwork } from '../../../base/real/network.ts'
import { listOffsets } from '../../../kafka/api/02-list-offsets.ts'
import { metadata } from '../../../kafka/api/03-metadata.ts'
import { createTopics } from '../../../kafka/api/19-create-topics.ts'
import type { Api } from '../../../kafka/api/define.ts'
import { BrokerConnection, ClientError } from '../../../kafka/client/connection.ts'
import { WireError } from '../../../kafka/wire/reader.ts'
import type { Infer, Struct, Written } from '../../../kafka/wire/schema.ts'

const ANSWER_LIMIT_MS = 10_000
const READY_LIMIT_MS = 20_000
const LOOK_AGAIN_MS = 50

export type Outcome = { readonly answer: unknown } | { readonly ended: string }

export interface NewTopic {
  readonly name: string
  readonly partitions?: number
  readonly configs?: Readonly<Record<string, string>>
}

export class Side {
  readonly name: string
  readonly port: number
  /** What was said, by story, label, API and version; in the order of the questions. */
  readonly transcript = new Map<string, Outcome>()
  /** Names of topics by their ids. */
  readonly topicNames = new Map<string, string>()
  readonly #topicIds = new Map<string, string>()
  readonly #connections = new Map<string, BrokerConnection>()
  #story = ''

  constructor(name: string, port: number) {
    this.name = name
    this.port = port
  }

  /** Labels that follow belong to this story. */
  begin(story: string): void {
    this.#story = story
  }

  /**
   * Asks and keeps the outcome. Undefined where this version can't say `body`, and where no answer
   * came. Requests under one `lane` share a connection.
   */
  async ask<Q extends Struct, S extends Struct>(
    label: string,
    [api, version]: readonly [Api<Q, S>, number],
    body: Written<Q>,
    lane = 'main',
  ): Promise<Infer<S> | undefined> {
    try {
      api.requestCodec(version).encode(body)
    } catch (error) {
      if (error instanceof WireError) return undefined
      throw error
    }
    const connection = await this.#connection(lane)
    try {
      const answer = await connection.request(api, body, ANSWER_LIMIT_MS, version)
      this.#learn(answer)
      this.#keep(label, api.name, version, { answer })
      return answer
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      this.#keep(label, api.name, version, { ended: error.code })
      return undefined
    }
  }

  /** Asks on the side, without keeping: what a story needs to go on. Throws without an answer. */
  async probe<Q extends Struct, S extends Struct>(
    api: Api<Q, S>,
    body: Written<Q>,
  ): Promise<Infer<S>> {
    const connection = await this.#connection('probe')
    return await connection.request(api, body, ANSWER_LIMIT_MS, api.versions[1])
  }

  /** Makes topics that a story needs and waits until they have leaders. */
  async makeTopics(topics: readonly NewTopic[]): Promise<void> {
    const answer = await this.probe(createTopics, {
      topics: topics.map(({ name, partitions = 1, configs = {} }) => ({
        name,
        numPartitions: partitions,
        replicationFactor: 1,
        assignments: [],
        configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
      })),
      timeoutMs: ANSWER_LIMIT_MS,
      validateOnly: false,
    })
    const refused = answer.topics.filter(({ errorCode }) => errorCode !== 0)
    if (refused.length > 0) throw new Error(`${this.name}: ${JSON.stringify(refused)}`)
    this.#learn(answer)
    await this.waitForTopics(topics.map(({ name }) => name))
  }

  async waitForTopics(names: readonly string[]): Promise<void> {
    const isReady = async () => {
      const answer = await this.probe(metadata, {
        topics: names.map((name) => ({ name })),
        allowAutoTopicCreation: false,
      })
      this.#learn(answer)
      if (answer.topics.some(({ errorCode }) => errorCode !== 0)) return false
      // A leader that is known may not know it yet.
      const ends = await this.probe(listOffsets, {
        replicaId: -1,
        topics: answer.topics.map(({ name, partitions }) => ({
          name: name ?? '',
          partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, timestamp: -1 })),
        })),
      })
      return ends.topics.every((topic) => topic.partitions.every((one) => one.errorCode === 0))
    }
    await this.until(isReady, `leaders of ${names.join(', ')}`)
  }

  async until(condition: () => Promise<boolean>, what: string): Promise<void> {
    const end = performance.now() + READY_LIMIT_MS
    while (!(await condition())) {
      if (performance.now() > end) throw new Error(`${this.name}: waited too long for ${what}`)
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))
    }
  }

  topicId(name: string): string {
    const id = this.#topicIds.get(name)
    if (id === undefined) throw new Error(`${this.name}: the id of ${name} was never seen`)
    return id
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close()
  }

  #keep(label: string, api: string, version: number, outcome: Outcome): void {
    const key = `${this.#story} | ${label} | ${api} v${version}`
    if (this.transcript.has(key)) throw new Error(`asked twice: ${key}`)
    this.transcript.set(key, outcome)
  }

  async #connection(lane: string): Promise<BrokerConnection> {
    const open = this.#connections.get(lane)
    if (open?.isOpen === true) return open
    const parts = { network: realNetwork, clock: realClock }
    const made = await BrokerConnection.connect(parts, {
      host: '127.0.0.1',
      port: this.port,
      clientId: `lane-${lane}`,
      timeoutMs: ANSWER_LIMIT_MS,
    })
    this.#connections.set(lane, made)
    return made
  }

  /** Topic ids differ between the sides; each is shown by its name. */
  #learn(value: unknown): void {
    if (Array.isArray(value)) for (const element of value) this.#learn(element)
    if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return
    const { name, topicId } = value as { name?: unknown; topicId?: unknown }
    if (typeof name === 'string' && typeof topicId === 'string' && /[^A]/.test(topicId)) {
      this.topicNames.set(topicId, name)
      this.#topicIds.set(name, topicId)
    }
    for (const field of Object.values(value)) this.#learn(field)
  }
}

/** Each version of an API that is served, the newest last. */
export function versionsOf<Q extends Struct, S extends Struct>(
  api: Api<Q, S>,
): (readonly [api: Api<Q, S>, version: number])[] {
  const [first, last] = api.versions
  return Array.from({ length: last - first + 1 }, (_, at) => [api, first + at] as const)
}
