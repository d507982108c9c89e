// UpdateFeatures, v0-2 (KIP-584)
// v1 kind of upgrade in place of allowDowngrade, validateOnly (KIP-778); v2 without results
import { INVALID_REQUEST, NONE } from '../wire/errors.ts'
import {
  array,
  bool,
  type Infer,
  int8,
  int16,
  int32,
  nullableString,
  string,
  struct,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  timeoutMs: int32({ default: 60_000 }),
  featureUpdates: array({
    feature: string(),
    maxVersionLevel: int16(),
    allowDowngrade: bool({ until: 0 }),
    upgradeType: int8({ since: 1, default: 1 }),
  }),
  validateOnly: bool({ since: 1 }),
})

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  errorCode: int16(),
  errorMessage: nullableString(),
  results: array(
    { feature: string(), errorCode: int16(), errorMessage: nullableString() },
    { until: 1, ignorable: true },
  ),
})

export type UpdateFeaturesRequest = Infer<typeof request>
export type UpdateFeaturesResponse = Written<typeof response>

/** Kinds of upgrade (`upgradeType`). A safe downgrade loses no metadata. */
export const UPGRADE = 1
export const SAFE_DOWNGRADE = 2
export const UNSAFE_DOWNGRADE = 3

const UPGRADE_TYPES: ReadonlySet<number> = new Set([UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE])
/** The last version that tells of each feature, though all are updated or none. */
const RESULTS_UNTIL = 1

type Update = UpdateFeaturesRequest['featureUpdates'][number]

export const updateFeatures = defineApi({
  key: 57,
  name: 'UpdateFeatures',
  versions: [0, 2],
  flexibleSince: 0,
  request,
  response,
  async handle(context, request) {
    const featureUpdates = request.featureUpdates.map((update) => inLatestShape(update, context))
    const strange = featureUpdates.find(({ upgradeType }) => !UPGRADE_TYPES.has(upgradeType))
    if (strange !== undefined) {
      const { feature, upgradeType } = strange
      const errorMessage = `Unknown kind of upgrade ${upgradeType} for ${feature}.`
      return { errorCode: INVALID_REQUEST, errorMessage, results: [] }
    }
    const answer = await context.broker.admin.updateFeatures(context, {
      ...request,
      featureUpdates,
    })
    const { throttleTimeMs, errorCode, errorMessage } = answer
    const isResultTold = errorCode === NONE && context.apiVersion <= RESULTS_UNTIL
    const results = isResultTold
      ? featureUpdates.map(({ feature }) => ({ feature, errorCode, errorMessage: null }))
      : []
    return { throttleTimeMs, errorCode, errorMessage, results }
  },
  refuse: (_context, _request, { errorCode, message: errorMessage }) => ({
    errorCode,
    errorMessage,
    results: [],
  }),
})

/** v0 says that a downgrade is allowed, and means a safe one. */
function inLatestShape(
  { feature, maxVersionLevel, allowDowngrade, upgradeType }: Update,
  { apiVersion }: { readonly apiVersion: number },
): Update {
  const allowed = allowDowngrade ? SAFE_DOWNGRADE : UPGRADE
  return {
    feature,
    maxVersionLevel,
    allowDowngrade: false,
    upgradeType: apiVersion === 0 ? allowed : upgradeType,
  }
}
