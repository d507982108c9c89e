/** The controller's end of forwarded requests: each is answered, or sent back with the reason. */

import { StorageError } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import type { RpcIdentity } from '../../base/rpc.ts'
import { decodeRequest, encodeResponse, ForwardError } from '../../kafka/forward.ts'
import { forwardRequest, forwardResponse, ProtocolError } from '../../proto/codecs.ts'
import type {
  FailedReplica,
  ForwardRequest,
  ForwardResponse,
} from '../../proto/generated/messages.ts'
import { type ControllerPort, dispatch, isControllerKey } from '../metadata/controller-port.ts'
import { type MetadataQuorum, NotLeaderError } from '../metadata/quorum.ts'
import { ANY_NODE, helloOf, refusalOf, type SelfIdentity } from './hello.ts'

/** Answers requests of a key that is not among the controller's, on the node that leads. */
export type OtherRequests = ReadonlyMap<number, (request: unknown) => Promise<object>>

export interface ForwardServiceParts {
  readonly logger: Logger
  readonly self: SelfIdentity
  readonly quorum: Pick<MetadataQuorum, 'image' | 'leaderId'>
  readonly controller: ControllerPort
  /** Of the quorum itself: DescribeQuorum, AddRaftVoter, RemoveRaftVoter. */
  readonly others?: OtherRequests
}

type Outcome = Omit<Partial<ForwardResponse>, 'hello' | 'metadataOffset' | 'leaderId'>

export class ForwardService {
  readonly #parts: ForwardServiceParts

  constructor(parts: ForwardServiceParts) {
    this.#parts = parts
  }

  /** For PeerServer. Does not reject. */
  async answer(bytes: Buffer, identity?: RpcIdentity): Promise<Uint8Array> {
    const { self, quorum } = this.#parts
    let toNodeId = ANY_NODE
    let outcome: Outcome
    try {
      const request = forwardRequest.decode(bytes)
      toNodeId = request.hello?.nodeId ?? ANY_NODE
      outcome = await this.#answer(request, identity)
    } catch (error) {
      outcome = this.#outcomeOf(error)
    }
    return forwardResponse.encode({
      ...outcome,
      hello: helloOf(self, toNodeId),
      metadataOffset: quorum.image.offset,
      leaderId: quorum.leaderId,
    })
  }

  async #answer(request: ForwardRequest, identity?: RpcIdentity): Promise<Outcome> {
    const { self, quorum, controller } = this.#parts
    const { hello } = request
    if (hello === null) return { outcome: 'FORBIDDEN', sentence: 'a request without a hello' }
    const refusal = refusalOf(self, hello, { identity })
    if (refusal !== undefined) return { outcome: 'FORBIDDEN', sentence: refusal }
    if (quorum.leaderId !== self.nodeId) {
      const sentence = `node ${self.nodeId} is not the controller`
      return { outcome: 'NOT_CONTROLLER', sentence }
    }
    if (request.failedReplica !== null) {
      const errorCode = await controller.reportFailedReplica(reportOf(request.failedReplica))
      return { outcome: 'ANSWERED', errorCode }
    }
    const { api, version, request: message } = decodeRequest(request.request)
    const other = this.#parts.others?.get(api.key)
    if (other === undefined && !isControllerKey(api.key)) {
      return { outcome: 'FORBIDDEN', sentence: `${api.name} is not for the controller` }
    }
    const answer = isControllerKey(api.key)
      ? await dispatch(controller, api.key, message)
      : await other?.(message)
    return { outcome: 'ANSWERED', response: encodeResponse(api, version, answer as never) }
  }

  #outcomeOf(error: unknown): Outcome {
    if (error instanceof NotLeaderError) return { outcome: 'UNKNOWN', sentence: error.message }
    if (error instanceof StorageError) {
      return { outcome: 'FAILED', sentence: error.message, storageCode: error.code }
    }
    const sentence = error instanceof Error ? error.message : String(error)
    if (error instanceof ProtocolError || error instanceof ForwardError) {
      this.#parts.logger.warn('a forwarded request could not be read', { reason: sentence })
      return { outcome: 'FORBIDDEN', sentence }
    }
    this.#parts.logger.error('a forwarded request failed', { error: String(error) })
    return { outcome: 'FAILED', sentence }
  }
}

function reportOf(replica: FailedReplica) {
  const { brokerId, brokerEpoch, topicId, partitionIndex, leaderEpoch, isDamaged } = replica
  const reason = isDamaged ? ('damaged' as const) : ('storage' as const)
  return { brokerId, brokerEpoch, topicId, partitionIndex, leaderEpoch, reason }
}
