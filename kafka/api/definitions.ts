/**
 * All APIs that are defined: those that clients are served (registry.ts), and those that only nodes
 * speak among each other. A client never sees the latter: ApiVersions and the server know the
 * registry alone.
 */
import { alterPartition } from './56-alter-partition.ts'
import { brokerRegistration } from './62-broker-registration.ts'
import { brokerHeartbeat } from './63-broker-heartbeat.ts'
import { allocateProducerIds } from './67-allocate-producer-ids.ts'
import type { Api } from './define.ts'
import { registry } from './registry.ts'

/** Between brokers and the controller only. */
export const internalApis: readonly Api[] = [
  alterPartition,
  brokerRegistration,
  brokerHeartbeat,
  allocateProducerIds,
]

/** In the order of their keys. */
export const definitions: readonly Api[] = [...registry, ...internalApis].sort(
  (a, b) => a.key - b.key,
)

const byKey = new Map(definitions.map((api) => [api.key, api]))

/** Undefined for a key that is not defined. */
export function definitionOf(key: number): Api | undefined {
  return byKey.get(key)
}
