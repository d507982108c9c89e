/** Which node coordinates a group, and how a group is asked for its offsets in any version. */
import { offsetFetch } from '../api/09-offset-fetch.ts'
import { findCoordinator } from '../api/10-find-coordinator.ts'
import type { Cluster } from './cluster.ts'
import type { BrokerConnection } from './connection.ts'

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
}

export async function lookUpCoordinator(cluster: Cluster, group: string): Promise<Coordinator> {
  const connection = await cluster.any()
  const isMany = connection.version(findCoordinator as never) >= MANY_KEYS_SINCE
  const answer = await connection.request(
    findCoordinator,
    { keyType: GROUP_KEY, ...(isMany ? { coordinatorKeys: [group] } : { key: group }) },
    cluster.options.timeoutMs,
  )
  return answer.coordinators[0] ?? answer
}

export interface CommittedTopic {
  readonly name: string
  readonly partitions: readonly {
    readonly partitionIndex: number
    readonly committedOffset: number
    readonly errorCode: number
  }[]
}

/** Null `topics`: all. */
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
  return answer.groups[0]?.topics ?? answer.topics
}
