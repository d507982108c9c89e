/** Which node coordinates a group, and how a group is asked for its offsets in any version. */
import { offsetFetch } from '../api/09-offset-fetch.ts'
import { findCoordinator } from '../api/10-find-coordinator.ts'
import type { Api } from '../api/define.ts'
import type { Infer, Struct, Written } from '../wire/schema.ts'
import { type Cluster, check } from './cluster.ts'
import { type BrokerConnection, ClientError } from './connection.ts'

const GROUP_KEY = 0
/** FindCoordinator: from here on for many keys at once. */
const MANY_KEYS_SINCE = 4
/** OffsetFetch: from here on for many groups at once; from BY_ID on topics are named by id. */
const MANY_GROUPS_SINCE = 8
const BY_ID = 10

export interface Coordinator {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

/** Asks any node, but not `exceptId`. */
export async function lookUpCoordinator(
  cluster: Cluster,
  group: string,
  exceptId?: number,
): Promise<Coordinator> {
  const bodyFor = (connection: BrokerConnection) => {
    const isMany = connection.version(findCoordinator as never) >= MANY_KEYS_SINCE
    return { keyType: GROUP_KEY, ...(isMany ? { coordinatorKeys: [group] } : { key: group }) }
  }
  const answer = await cluster.askAny(findCoordinator, bodyFor, exceptId)
  return answer.coordinators[0] ?? answer
}

/** When other nodes are asked whether the coordinator that does not answer still is the one. */
const FIRST_LOOK_MS = 500

/**
 * The coordinator of one group, wherever it is now. It has a connection of its own, since joins
 * hold up what comes behind them.
 */
export class CoordinatorLink {
  readonly #cluster: Cluster
  readonly #group: string
  #connection: BrokerConnection | undefined

  constructor(cluster: Cluster, group: string) {
    this.#cluster = cluster
    this.#group = group
  }

  /** Undefined when there is none at the moment. */
  get openConnection(): BrokerConnection | undefined {
    return this.#connection?.isOpen === true ? this.#connection : undefined
  }

  /** It has moved: look for it next time. */
  forget(): void {
    this.#connection = undefined
  }

  /** Throws KafkaError (COORDINATOR_NOT_AVAILABLE, ...) and ClientError. */
  async connection(): Promise<BrokerConnection> {
    const open = this.openConnection
    if (open !== undefined) return open
    const found = await lookUpCoordinator(this.#cluster, this.#group)
    check(found.errorCode, `coordinator of group ${this.#group}`)
    this.#cluster.learnNode(found)
    this.#nodeId = found.nodeId
    this.#connection = await this.#cluster.node(found.nodeId, 'group')
    return this.#connection
  }

  #nodeId = -1

  /** One attempt. After a ClientError the coordinator is looked for again next time. */
  async ask<Q extends Struct, S extends Struct>(
    api: Api<Q, S>,
    bodyFor: (connection: BrokerConnection) => Written<Q>,
    options: { readonly timeoutMs: number; readonly newestVersion?: number },
  ): Promise<Infer<S>> {
    const connection = await this.connection()
    const nodeId = this.#nodeId
    const newest = connection.version(api as never)
    const version = Math.min(newest, options.newestVersion ?? newest)
    try {
      const asked = connection.request(api, bodyFor(connection), options.timeoutMs, version)
      return await this.#cluster.waitFor(connection, asked, {
        firstLookMs: FIRST_LOOK_MS,
        looks: 2,
        isElsewhere: async () => {
          const found = await lookUpCoordinator(this.#cluster, this.#group, nodeId)
          return found.errorCode === 0 && found.nodeId !== nodeId
        },
      })
    } catch (error) {
      if (error instanceof ClientError) this.forget()
      throw error
    }
  }
}

export interface CommittedTopic {
  readonly name: string
  readonly partitions: readonly {
    readonly partitionIndex: number
    readonly committedOffset: number
    readonly committedLeaderEpoch: number
    readonly errorCode: number
  }[]
}

/** Null `topics`: all. Throws KafkaError for an error of the whole group. */
export async function fetchCommitted(
  connection: BrokerConnection,
  group: string,
  topics: readonly { name: string; partitionIndexes: readonly number[] }[] | null,
  options: { requireStable: boolean; timeoutMs: number },
): Promise<readonly CommittedTopic[]> {
  const version = Math.min(connection.version(offsetFetch as never), BY_ID - 1)
  const asked =
    version >= MANY_GROUPS_SINCE
      ? { groups: [{ groupId: group, topics }] }
      : { groupId: group, topics }
  const answer = await connection.request(
    offsetFetch,
    version >= MANY_GROUPS_SINCE - 1 ? { ...asked, requireStable: options.requireStable } : asked,
    options.timeoutMs,
    version,
  )
  const { errorCode, topics: found } = answer.groups[0] ?? answer
  check(errorCode, `committed offsets of group ${group}`)
  return found
}
