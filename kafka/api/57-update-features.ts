// UpdateFeatures, v0-2 (KIP-584)
// v1 kind of upgrade in place of allowDowngrade, validateOnly (KIP-778); v2 without results
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

export const updateFeatures = defineApi({
  key: 57,
  name: 'UpdateFeatures',
  versions: [0, 2],
  flexibleSince: 0,
  request,
  response,
})
