/** What the first leader of a cluster writes: its features and its id. */
import type { Random } from '../../base/random.ts'
import { FIRST_FEATURES } from '../features.ts'
import type { View } from './decision.ts'
import { newUuid } from './meta-properties.ts'
import type { MetadataRecord } from './records.ts'

/** `clusterId`: what this node's settings or directories say; else a new one is made. */
export function foundingRecords(
  { image }: View,
  clusterId: string | undefined,
  random: Random,
): MetadataRecord[] {
  const records: MetadataRecord[] = []
  if (image.clusterId === undefined) {
    records.push({ type: 'NoOpRecord', clusterId: clusterId ?? newUuid(random) })
  }
  if (image.features.size === 0) {
    for (const [name, featureLevel] of FIRST_FEATURES) {
      records.push({ type: 'FeatureLevelRecord', name, featureLevel })
    }
  }
  return records
}
