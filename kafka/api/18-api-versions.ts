// ApiVersions, v0-4
// v1 throttle time; v3 flexible, software name and version (KIP-511), features (KIP-584);
// v4 features whose minimum is 0 are shown (KAFKA-17011)
import {
  array,
  bool,
  type Infer,
  int16,
  int32,
  int64,
  string,
  struct,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  clientSoftwareName: string({ since: 3, ignorable: true, default: '' }),
  clientSoftwareVersion: string({ since: 3, ignorable: true, default: '' }),
})

const response = struct({
  errorCode: int16(),
  apiKeys: array({ apiKey: int16(), minVersion: int16(), maxVersion: int16() }),
  throttleTimeMs: int32({ since: 1, ignorable: true, default: 0 }),
  supportedFeatures: array(
    { name: string(), minVersion: int16(), maxVersion: int16() },
    { since: 3, tag: 0, ignorable: true },
  ),
  finalizedFeaturesEpoch: int64({ since: 3, tag: 1, default: -1, ignorable: true }),
  finalizedFeatures: array(
    { name: string(), maxVersionLevel: int16(), minVersionLevel: int16() },
    { since: 3, tag: 2, ignorable: true },
  ),
  zkMigrationReady: bool({ since: 3, tag: 3, ignorable: true }),
})

export type ApiVersionsRequest = Infer<typeof request>
export type ApiVersionsResponse = Written<typeof response>

export const apiVersions = defineApi({
  key: 18,
  name: 'ApiVersions',
  versions: [0, 4],
  flexibleSince: 3,
  hasPlainResponseHeader: true,
  request,
  response,
})
