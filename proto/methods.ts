/** The rpc methods of a node, and what they are called in gRPC. */

export const RAFT_EXCHANGE = 'raft/exchange'
export const REPLICATION_FETCH = 'replication/fetch'
export const CLUSTER_PULSE = 'cluster/pulse'
export const CLUSTER_SESSION = 'cluster/session'
export const CLUSTER_FORWARD = 'cluster/forward'
export const CLUSTER_STATUS = 'cluster/status'
export const CLUSTER_THROUGHPUT = 'cluster/throughput'

export interface RpcMethod {
  readonly name: string
  readonly isStream: boolean
  /** Default: `grpcPath` of the name. */
  readonly path?: string
}

/** All of the .proto files. */
export const METHODS: readonly RpcMethod[] = [
  { name: RAFT_EXCHANGE, isStream: true },
  { name: REPLICATION_FETCH, isStream: true },
  { name: CLUSTER_PULSE, isStream: true },
  { name: CLUSTER_SESSION, isStream: true },
  { name: CLUSTER_FORWARD, isStream: false },
  { name: CLUSTER_STATUS, isStream: false },
  { name: CLUSTER_THROUGHPUT, isStream: false },
]

/** 'raft/exchange' is '/odradek.Raft/Exchange'. */
export function grpcPath(name: string): string {
  const [service, method] = name.split('/')
  return `/odradek.${capitalized(service ?? '')}/${capitalized(method ?? '')}`
}

function capitalized(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1)
}
