/**
 * The .proto files, loaded when the first message needs them: a node that runs alone never pays for
 * it. The only door to proto-loader.
 */
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type * as protoLoader from '@grpc/proto-loader'

const load: <T>(name: string) => T = createRequire(import.meta.url)

/** The same place in a checkout and in the npm package: dist/proto/load.js is two levels down. */
const FOLDER = new URL('../../proto/', import.meta.url)

export const PROTO_FILES: readonly string[] = [
  'hello.proto',
  'raft.proto',
  'replication.proto',
  'cluster.proto',
]

const OPTIONS: protoLoader.Options = {
  longs: Number,
  enums: String,
  defaults: true,
  includeDirs: [fileURLToPath(FOLDER)],
}

let loaded: protoLoader.PackageDefinition | undefined

/** All services and messages, by their full names. Takes about 40 ms, once. */
export function definitions(): protoLoader.PackageDefinition {
  if (loaded === undefined) {
    const loader = load<typeof protoLoader>('@grpc/proto-loader')
    loaded = loader.loadSync([...PROTO_FILES], OPTIONS)
  }
  return loaded
}
