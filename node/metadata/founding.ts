/** What the first leader of a cluster writes: its id, its features, and what they depend on. */
import type { Random } from '../../base/random.ts'
import type { Founding } from '../../raft/election.ts'
import { FIRST_FEATURES } from '../features.ts'
import type { View } from './decision.ts'
import { overridesOf, parseConfigKey, RESOURCE } from './image.ts'
import { newUuid } from './meta-properties.ts'
import type { MetadataRecord } from './records.ts'

/** `clusterId`: what this node's settings or directories say; else a new one is made. */
export function foundingRecords(
  view: View,
  clusterId: string | undefined,
  random: Random,
): MetadataRecord[] {
  const { image } = view
  const records: MetadataRecord[] = []
  if (image.clusterId === undefined) {
    records.push({ type: 'NoOpRecord', clusterId: clusterId ?? newUuid(random) })
  }
  if (image.features.size === 0) {
    for (const [name, featureLevel] of FIRST_FEATURES) {
      records.push({ type: 'FeatureLevelRecord', name, featureLevel })
    }
    for (const record of leastReplicasRecords(view)) records.push(record)
  }
  return records
}

/** Who keeps a voter without metadata from founding a cluster, and what to do about it. */
export function foundingSentence({ silentIds, informedIds }: Founding): string {
  const list = (ids: readonly number[]) => `node${ids.length > 1 ? 's' : ''} ${ids.join(', ')}`
  if (informedIds.length > 0) {
    return (
      `this node has no metadata, and ${list(informedIds)} of controller.quorum.voters has: ` +
      'it follows once a majority that has metadata runs; if that is lost for good, see ' +
      'odradek cluster recover'
    )
  }
  if (silentIds.length > 0) {
    return (
      'this node has no metadata, and a new cluster is founded only when all of ' +
      `controller.quorum.voters say so of themselves: start ${list(silentIds)}, or take it out ` +
      'of the setting on every node'
    )
  }
  return 'no voter has metadata, and they are about to found a cluster'
}

export const LEAST_REPLICAS = 'min.insync.replicas'

/**
 * With eligible leader replicas (KIP-966) the controller and all leaders have to mean the same least
 * ISR: from here on it is the cluster's, and no node's file or override says otherwise.
 */
export function leastReplicasRecords({ image, settings }: View): MetadataRecord[] {
  const records: MetadataRecord[] = []
  const config = (resourceName: string, value: string | null) => {
    const resourceType = RESOURCE.broker
    const name = LEAST_REPLICAS
    records.push({ type: 'ConfigRecord', resourceType, resourceName, name, value })
  }
  if (!overridesOf(image, RESOURCE.broker, '').has(LEAST_REPLICAS)) {
    config('', String(settings.number(LEAST_REPLICAS)))
  }
  for (const [key, overrides] of image.configs.entries()) {
    const { type, name } = parseConfigKey(key)
    if (type === RESOURCE.broker && name !== '' && overrides.has(LEAST_REPLICAS)) config(name, null)
  }
  return records
}
