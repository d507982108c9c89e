/**
 * All APIs that are defined: those that clients are served (registry.ts), those that only nodes
 * speak among each other, and those whose port is not there yet. A client never sees the latter
 * two: ApiVersions and the server know the registry alone.
 */
import { electLeaders } from './43-elect-leaders.ts'
import { alterPartitionReassignments } from './45-alter-partition-reassignments.ts'
import { listPartitionReassignments } from './46-list-partition-reassignments.ts'
import { describeQuorum } from './55-describe-quorum.ts'
import { alterPartition } from './56-alter-partition.ts'
import { updateFeatures } from './57-update-features.ts'
import { brokerRegistration } from './62-broker-registration.ts'
import { brokerHeartbeat } from './63-broker-heartbeat.ts'
import { unregisterBroker } from './64-unregister-broker.ts'
import { allocateProducerIds } from './67-allocate-producer-ids.ts'
import { addRaftVoter } from './80-add-raft-voter.ts'
import { removeRaftVoter } from './81-remove-raft-voter.ts'
import type { Api } from './define.ts'
import { registry } from './registry.ts'

/** Between brokers and the controller only. */
export const internalApis: readonly Api[] = [
  alterPartition,
  brokerRegistration,
  brokerHeartbeat,
  allocateProducerIds,
]

const administrative: readonly Api[] = [
  electLeaders,
  alterPartitionReassignments,
  listPartitionReassignments,
  describeQuorum,
  updateFeatures,
  unregisterBroker,
  addRaftVoter,
  removeRaftVoter,
]

/** In the order of their keys. */
export const definitions: readonly Api[] = [
  ...registry,
  ...administrative.filter((api) => !registry.includes(api)),
  ...internalApis,
].sort((a, b) => a.key - b.key)

const byKey = new Map(definitions.map((api) => [api.key, api]))

/** Undefined for a key that is not defined. */
export function definitionOf(key: number): Api | undefined {
  return byKey.get(key)
}
