/** UpdateFeatures (KIP-584): levels that every registered node can run at, all of a request or none. */
import {
  SAFE_DOWNGRADE,
  UNSAFE_DOWNGRADE,
  UPGRADE,
  type UpdateFeaturesRequest,
  type UpdateFeaturesResponse,
} from '../../kafka/api/57-update-features.ts'
import { INVALID_REQUEST, INVALID_UPDATE_VERSION, NONE } from '../../kafka/wire/errors.ts'
import { ELR_FEATURE, SUPPORTED_FEATURES } from '../features.ts'
import { replay } from './apply.ts'
import { ClusterRules } from './cluster-rules.ts'
import type { Decision, View } from './decision.ts'
import { leastReplicasRecords } from './founding.ts'
import type { MetadataImage } from './image.ts'
import { someRepairs } from './leadership.ts'
import type { MetadataRecord } from './records.ts'
import type { Refusal } from './topic-plan.ts'

type Update = UpdateFeaturesRequest['featureUpdates'][number]

export function decideUpdateFeatures(
  view: View,
  request: UpdateFeaturesRequest,
): Decision<UpdateFeaturesResponse> {
  const { image } = view
  const updates = [...request.featureUpdates]
  const seen = new Set<string>()
  for (const update of updates) {
    const refusal = seen.has(update.feature)
      ? { error: INVALID_REQUEST, message: `${update.feature} occurs twice in the request.` }
      : faultOf(update, image)
    if (refusal !== undefined) return { records: [], answer: refused(updates, update, refusal) }
    seen.add(update.feature)
  }
  const records: MetadataRecord[] = updates
    .filter(({ feature, maxVersionLevel }) => levelOf(image, feature) !== maxVersionLevel)
    .map(({ feature, maxVersionLevel }) => ({
      type: 'FeatureLevelRecord',
      name: feature,
      featureLevel: maxVersionLevel,
    }))
  const results = updates.map(({ feature }) => ({ feature, errorCode: NONE, errorMessage: null }))
  const answer = { errorCode: NONE, errorMessage: null, results }
  if (request.validateOnly || records.length === 0) return { records: [], answer }
  const isElrNew = updates.some(
    ({ feature, maxVersionLevel }) =>
      feature === ELR_FEATURE && maxVersionLevel > 0 && levelOf(image, feature) === 0,
  )
  if (isElrNew) for (const record of leastReplicasRecords(view)) records.push(record)
  // ELRs come and go with their feature.
  const offset = view.nextOffset + records.length
  const after = replay(image, records, offset, Math.max(image.epoch, 0)).image
  for (const record of someRepairs(new ClusterRules(after, view.settings))) records.push(record)
  return { records, answer }
}

const levelOf = (image: MetadataImage, name: string): number => image.features.get(name) ?? 0

function faultOf(update: Update, image: MetadataImage): Refusal | undefined {
  const { feature, maxVersionLevel: level, upgradeType } = update
  const invalid = (message: string) => ({
    error: INVALID_UPDATE_VERSION,
    message: `Invalid update version ${level} for feature ${feature}. ${message}`,
  })
  if (![UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE].includes(upgradeType)) {
    return { error: INVALID_REQUEST, message: `Unknown kind of upgrade ${upgradeType}.` }
  }
  const own = SUPPORTED_FEATURES.find(({ name }) => name === feature)
  if (own === undefined) return invalid('The controller does not support this feature.')
  if (level < own.minVersion || level > own.maxVersion) {
    return invalid(`The controller supports versions ${own.minVersion} to ${own.maxVersion} of it.`)
  }
  for (const broker of image.brokers.values()) {
    const range = broker.features.find(({ name }) => name === feature)
    const { minSupportedVersion: min = 0, maxSupportedVersion: max = 0 } = range ?? {}
    if (level < min || level > max) {
      return invalid(`Broker ${broker.id} has the levels ${min} to ${max}`)
    }
  }
  const current = levelOf(image, feature)
  if (level >= current || upgradeType === UNSAFE_DOWNGRADE) return undefined
  if (upgradeType === SAFE_DOWNGRADE && feature !== METADATA_VERSION) return undefined
  const message =
    upgradeType === UPGRADE
      ? 'A lower level takes a request for a downgrade, a safe or an unsafe one.'
      : 'A lower level could lose metadata, and is not taken.'
  return invalid(message)
}

/** Records of a newer version may be in the log, so lowering it is never safe. */
const METADATA_VERSION = 'metadata.version'

/** The request is all or nothing: the first fault is the answer for the whole. */
function refused(
  updates: readonly Update[],
  faulty: Update,
  { error, message }: Refusal,
): UpdateFeaturesResponse {
  return {
    errorCode: error,
    errorMessage: message,
    results: updates.map(({ feature }) => ({
      feature,
      errorCode: feature === faulty.feature ? error : NONE,
      errorMessage: feature === faulty.feature ? message : null,
    })),
  }
}
