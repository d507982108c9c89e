/** The methods of base/suites/rpc-suite.ts. */
import type { RpcMethod } from '../methods.ts'

export const SUITE_METHODS: readonly RpcMethod[] = [
  { name: 'test/stream', isStream: true },
  { name: 'test/denied', isStream: true, path: '/odradek.Test/DeniedStream' },
  { name: 'test/denied', isStream: false },
  { name: 'test/echo', isStream: false },
  { name: 'test/never', isStream: false },
]
