/** A conversation with one broker: requests at every version, and its answers as they compare. */
import { realClock } from '../../../base/real/clock.ts'
import { realNetwork } from '../../../base/real/network.ts'
import { metadata } from '../../../kafka/api/03-metadata.ts'
import type { Api } from '../../../kafka/api/define.ts'
import { BrokerConnection } from '../../../kafka/client/connection.ts'
import { type Infer, type Struct, type Written, ZERO_UUID } from '../../../kafka/wire/schema.ts'
import { plain } from './plain.ts'

const TIMEOUT_MS = 30_000

export interface Answer {
  /** Of what it is the answer: the API, its version, and which of the case. */
  readonly label: string
  readonly body: unknown
}

export class Session {
  readonly answers: Answer[] = []
  readonly #port: number
  #connection: BrokerConnection | undefined

  constructor(port: number) {
    this.#port = port
  }

  /** One after the other; an error that ended the connection is an answer too. */
  async ask<Q extends Struct, S extends Struct>(
    api: Api<Q, S>,
    body: Written<Q>,
    version: number = api.versions[1],
  ): Promise<Infer<S> | undefined> {
    const label = `${this.answers.length} ${api.name} v${version}`
    try {
      const answer = await this.#request(api, body, version)
      this.answers.push({ label, body: plain(answer) })
      return answer
    } catch (error) {
      this.#connection?.close()
      this.#connection = undefined
      this.answers.push({ label, body: `no answer: ${(error as { code?: string }).code}` })
      return undefined
    }
  }

  /** At every version that can say it. */
  async each<Q extends Struct, S extends Struct>(api: Api<Q, S>, body: Written<Q>): Promise<void> {
    for (let version = api.versions[0]; version <= api.versions[1]; version++) {
      if (canSay(api, body, version)) await this.ask(api, body, version)
    }
  }

  /** What is asked on the way, and not compared. */
  async quietly<Q extends Struct, S extends Struct>(
    api: Api<Q, S>,
    body: Written<Q>,
  ): Promise<Infer<S>> {
    return await this.#request(api, body, api.versions[1])
  }

  async topicId(name: string): Promise<string> {
    const topics = [{ name, topicId: ZERO_UUID }]
    const answer = await this.quietly(metadata, { topics, allowAutoTopicCreation: false })
    return answer.topics[0]!.topicId
  }

  async #request<Q extends Struct, S extends Struct>(
    api: Api<Q, S>,
    body: Written<Q>,
    version: number,
  ): Promise<Infer<S>> {
    this.#connection ??= await BrokerConnection.connect(
      { network: realNetwork, clock: realClock },
      { host: '127.0.0.1', port: this.#port, clientId: 'differential', timeoutMs: TIMEOUT_MS },
    )
    return await this.#connection.request(api, body, TIMEOUT_MS, version)
  }

  close(): void {
    this.#connection?.close()
  }
}

function canSay<Q extends Struct, S extends Struct>(
  api: Api<Q, S>,
  body: Written<Q>,
  version: number,
): boolean {
  try {
    api.requestCodec(version).encode(body)
    return true
  } catch {
    return false
  }
}
