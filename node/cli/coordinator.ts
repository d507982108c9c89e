/** The connection to the node that coordinates a group. */
import { type Cluster, check } from '../../kafka/client/cluster.ts'
import type { BrokerConnection } from '../../kafka/client/connection.ts'
import { lookUpCoordinator } from '../../kafka/client/coordinator.ts'

/** Throws KafkaError. */
export async function coordinatorOf(cluster: Cluster, group: string): Promise<BrokerConnection> {
  const found = await lookUpCoordinator(cluster, group)
  check(found.errorCode, found.errorMessage ?? `coordinator of ${group}`)
  await cluster.metadata([])
  return cluster.node(found.nodeId)
}
