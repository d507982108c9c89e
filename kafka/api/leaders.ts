/** What a client is told of a partition's leader and replicas, seen from its listener. */
import type { ClusterPort, PartitionDescription } from '../control.ts'
import { LEADER_NOT_AVAILABLE, LISTENER_NOT_FOUND, NONE } from '../wire/errors.ts'

/** The brokers of a listener at one moment: node id to whether it is alive (not fenced). */
export type Liveness = ReadonlyMap<number, boolean>

export function livenessOf(cluster: ClusterPort, listener: string): Liveness {
  return new Map(cluster.brokers(listener).map(({ nodeId, isFenced }) => [nodeId, !isFenced]))
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
