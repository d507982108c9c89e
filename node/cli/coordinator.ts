/** Which node coordinates a group. */
import { findCoordinator } from '../../kafka/api/10-find-coordinator.ts'
import { type Cluster, check } from '../../kafka/client/cluster.ts'
import type { BrokerConnection } from '../../kafka/client/connection.ts'

const GROUP_KEY = 0

/** Throws KafkaError. */
export async function coordinatorOf(cluster: Cluster, group: string): Promise<BrokerConnection> {
  const answer = await cluster.request(undefined, findCoordinator, {
    key: group,
    keyType: GROUP_KEY,
    coordinatorKeys: [group],
  })
  const found = answer.coordinators[0]
  check(found?.errorCode ?? answer.errorCode, found?.errorMessage ?? `coordinator of ${group}`)
  await cluster.metadata([])
  return cluster.node(found?.nodeId ?? answer.nodeId)
}
