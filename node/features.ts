/**
 * Features of the cluster (KIP-584) that this release implements, with the levels it can run at.
 * A feature that is not here is not shown, and clients fall back to what they did before it.
 */
import type { FeatureRange } from '../kafka/control.ts'

/** 3.3-IV3, the oldest that Kafka 4 knows, and 4.3-IV0. */
const METADATA_VERSION_MIN = 7
const METADATA_VERSION = 30

/** KIP-966. */
export const ELR_FEATURE = 'eligible.leader.replicas.version'
const ELR_VERSION = 1

export const SUPPORTED_FEATURES: readonly FeatureRange[] = [
  { name: 'metadata.version', minVersion: METADATA_VERSION_MIN, maxVersion: METADATA_VERSION },
  { name: ELR_FEATURE, minVersion: 0, maxVersion: ELR_VERSION },
]

/** What a new cluster is finalised at. */
export const FIRST_FEATURES: ReadonlyMap<string, number> = new Map([
  ['metadata.version', METADATA_VERSION],
  [ELR_FEATURE, ELR_VERSION],
])
