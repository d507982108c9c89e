/**
 * How a follower reaches the node that leads. One stream for each (follower, leader), opened by the
 * follower, since only the client of gRPC can widen its flow-control window.
 *
 * Promised: messages arrive in order, each once, or the stream breaks and both ends are told. Not
 * promised: that the other end is who it was when the stream began; a subscription says in which
 * epoch it believes.
 */
import type { RpcPeer, RpcStream, RpcStreamHandler } from '../base/rpc.ts'

export const REPLICATION_METHOD = 'replication/fetch'

export interface ReplicaTransport {
  /** Undefined while nobody knows where the node is; a node that is away closes the stream. */
  open(leaderId: number, handler: RpcStreamHandler): RpcStream | undefined
}

/** Over any Rpc: gRPC in production, the simulated one in a simulated world. */
export class RpcReplicaTransport implements ReplicaTransport {
  readonly #peerOf: (nodeId: number) => RpcPeer | undefined

  constructor(peerOf: (nodeId: number) => RpcPeer | undefined) {
    this.#peerOf = peerOf
  }

  open(leaderId: number, handler: RpcStreamHandler): RpcStream | undefined {
    return this.#peerOf(leaderId)?.stream(REPLICATION_METHOD, handler)
  }
}
