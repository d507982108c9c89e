// ApiVersions, v0-4
// v1 throttle time; v3 flexible, software name and version (KIP-511), features (KIP-584);
// v4 features whose minimum is 0 are shown (KAFKA-17011)

import { INVALID_REQUEST, NONE } from '../wire/errors.ts'
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

/** What a client's software may be called, and its version (KIP-511). */
const SOFTWARE = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/

/** Whether a client's software name or version is well-formed. */
export function isSoftware(text: string): boolean {
  return SOFTWARE.test(text)
}

export const apiVersions = defineApi({
  key: 18,
  name: 'ApiVersions',
  versions: [0, 4],
  flexibleSince: 3,
  hasPlainResponseHeader: true,
  request,
  response,
  handle(context, request) {
    const { apiVersion } = context
    const { clientSoftwareName, clientSoftwareVersion } = request
    if (apiVersion >= 3 && !(isSoftware(clientSoftwareName) && isSoftware(clientSoftwareVersion))) {
      return { errorCode: INVALID_REQUEST, apiKeys: [] }
    }
    const features = context.broker.cluster.features()
    return {
      errorCode: NONE,
      apiKeys: context.apis.map(({ key, advertised: [minVersion, maxVersion] }) => ({
        apiKey: key,
        minVersion,
        maxVersion,
      })),
      // Older clients fail on features whose minimum is 0.
      supportedFeatures: features.supported.filter(
        ({ minVersion }) => apiVersion >= 4 || minVersion > 0,
      ),
      finalizedFeaturesEpoch: features.finalizedEpoch,
      finalizedFeatures: features.finalized.map(({ name, level }) => ({
        name,
        maxVersionLevel: level,
        minVersionLevel: level,
      })),
    }
  },
})
