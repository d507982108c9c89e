/**
 * Waits until a change of the metadata is known on all nodes that can be reached, so that a client
 * which asks another node next finds it. Bounded: a node that is slow or away delays an answer, and
 * is not waited for.
 */
import { type Clock, delay } from '../../base/clock.ts'
import { RpcError } from '../../base/rpc.ts'
import { ProtocolError, statusRequest, statusResponse } from '../../proto/codecs.ts'
import { CLUSTER_STATUS } from '../../proto/methods.ts'
import { helloOf, type SelfIdentity } from './hello.ts'
import type { Peers } from './peers.ts'

export interface SpreadParts {
  readonly clock: Clock
  readonly self: SelfIdentity
  readonly peers: Pick<Peers, 'peer' | 'states'>
}

const WITHIN_MS = 100
const LOOK_AGAIN_AFTER_MS = 2

/** Resolves when all have applied `offset`, or after 100 ms. Never rejects for what others do. */
export async function whenSpread(parts: SpreadParts, offset: number): Promise<void> {
  const untilMs = parts.clock.monotonicMs() + WITHIN_MS
  const nodes = parts.peers.states().filter(({ isUp }) => isUp)
  await Promise.all(nodes.map(({ nodeId }) => whenApplied(parts, nodeId, { offset, untilMs })))
}

async function whenApplied(
  { clock, self, peers }: SpreadParts,
  nodeId: number,
  { offset, untilMs }: { readonly offset: number; readonly untilMs: number },
): Promise<void> {
  const request = statusRequest.encode({ hello: helloOf(self, nodeId) })
  for (;;) {
    const leftMs = untilMs - clock.monotonicMs()
    if (leftMs <= 0) return
    try {
      const answer = await peers.peer(nodeId).call(CLUSTER_STATUS, request, leftMs)
      if (statusResponse.decode(answer).appliedOffset >= offset) return
    } catch (error) {
      if (error instanceof RpcError || error instanceof ProtocolError) return
      throw error
    }
    await delay(clock, LOOK_AGAIN_AFTER_MS)
  }
}
