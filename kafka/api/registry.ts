/** All APIs that this release serves, in the order of their keys. */
import { apiVersions } from './18-api-versions.ts'
import type { Api } from './define.ts'

export const registry: readonly Api[] = [apiVersions]
