/** What a client is told of leaders, replicas and the controller, seen from its listener. */
import type { ClusterPort, PartitionDescription } from '../control.ts'
import { LEADER_NOT_AVAILABLE, LISTENER_NOT_FOUND, NONE } from '../wire/errors.ts'

/** The brokers of a listener at one moment: node id to whether it is alive (not fenced). */
export type Liveness = ReadonlyMap<number, boolean>

export function livenessOf(cluster: ClusterPort, listener: string): Liveness {
  return new Map(cluster.brokers(listener).map(({ nodeId, isFenced }) => [nodeId, !isFenced]))
}

/**
 * A broker that takes requests for the controller, and that this client can reach: the one that the
 * cluster names, or else any. -1 while there is no controller.
 */
export function controllerAnswer({ controllerId }: ClusterPort, alive: Liveness): number {
  if (controllerId === -1 || alive.get(controllerId) === true) return controllerId
  for (const [nodeId, isAlive] of alive) if (isAlive) return nodeId
  return -1
}

/** Replicas that are out of service, or on nodes that this client can't reach, count as gone. */
export function offlineAnswer(
  { replicas, offlineReplicas }: PartitionDescription,
  alive: Liveness,
): readonly number[] {
  return replicas.filter((id) => alive.get(id) !== true || offlineReplicas.includes(id))
}

export interface LeaderAnswer {
  readonly errorCode: number
  /** -1 with an error. */
  readonly leaderId: number
}

/** A leader that this client can't reach is none to it. */
export function leaderAnswer({ leaderId }: PartitionDescription, alive: Liveness): LeaderAnswer {
  if (alive.get(leaderId) === true) return { errorCode: NONE, leaderId }
  const isHidden = leaderId >= 0 && !alive.has(leaderId)
  return { errorCode: isHidden ? LISTENER_NOT_FOUND : LEADER_NOT_AVAILABLE, leaderId: -1 }
}
