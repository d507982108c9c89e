/**
 * The controller's end of sessions: heartbeats go to the controller, its answers back, each after a
 * majority of the quorum has confirmed that this node is still the controller (lease.ts).
 */
import type { Logger } from '../../base/logger.ts'
import type { RpcStream, RpcStreamHandler } from '../../base/rpc.ts'
import type {
  BrokerHeartbeatRequest,
  BrokerHeartbeatResponse,
} from '../../kafka/api/63-broker-heartbeat.ts'
import { KAFKA_STORAGE_ERROR, NOT_CONTROLLER } from '../../kafka/wire/errors.ts'
import { ProtocolError, sessionRequest, sessionResponse } from '../../proto/codecs.ts'
import type { Heartbeat, HeartbeatAnswer } from '../../proto/generated/messages.ts'
import type { ControllerPort } from '../metadata/controller-port.ts'
import { NotLeaderError } from '../metadata/quorum.ts'
import type { ClockWatch } from './clock-watch.ts'
import type { RemoteNode } from './hello.ts'

export interface SessionServiceParts {
  readonly logger: Logger
  readonly controller: Pick<ControllerPort, 'heartbeat'>
  /** Does this node still lead the quorum, as a majority of it says? */
  isConfirmed(): Promise<boolean>
  /** The last offset of the metadata log here, committed or not. */
  metadataOffset(): number
  readonly clocks: ClockWatch
}

export class SessionService {
  readonly #parts: SessionServiceParts

  constructor(parts: SessionServiceParts) {
    this.#parts = parts
  }

  /** For PeerServer. */
  accept(remote: RemoteNode, stream: RpcStream): RpcStreamHandler {
    return {
      onMessage: (bytes) => {
        const heartbeat = heartbeatIn(bytes)
        if (heartbeat === undefined) stream.cancel()
        else void this.#answer(remote, stream, heartbeat)
      },
      onDrain() {},
      onClose() {},
    }
  }

  async #answer(remote: RemoteNode, stream: RpcStream, heartbeat: Heartbeat): Promise<void> {
    const { sequence } = heartbeat
    let answer: HeartbeatAnswer
    this.#parts.clocks.heard(remote.nodeId, heartbeat.wallClockMs)
    try {
      const request = heartbeatRequest(remote.nodeId, heartbeat)
      const response = await this.#parts.controller.heartbeat(request, heartbeat.loopProgress)
      // Before the confirmation: what another controller decides comes after it.
      const metadataOffset = this.#parts.metadataOffset()
      if (!(await this.#parts.isConfirmed())) throw new NotLeaderError('another node may lead')
      answer = answerOf(sequence, response, metadataOffset)
    } catch (error) {
      const isMoved = error instanceof NotLeaderError
      const errorCode = isMoved ? NOT_CONTROLLER : KAFKA_STORAGE_ERROR
      if (!isMoved) this.#parts.logger.warn('a heartbeat failed', { error: String(error) })
      answer = answerOf(sequence, { errorCode, isCaughtUp: false, shouldShutDown: false }, -1)
    }
    stream.send(sessionResponse.encode({ answer }))
  }
}

/** Undefined for what is none. */
function heartbeatIn(bytes: Buffer): Heartbeat | undefined {
  try {
    return sessionRequest.decode(bytes).heartbeat ?? undefined
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}

export function heartbeatRequest(nodeId: number, heartbeat: Heartbeat): BrokerHeartbeatRequest {
  return {
    brokerId: nodeId,
    brokerEpoch: heartbeat.brokerEpoch,
    currentMetadataOffset: heartbeat.appliedOffset,
    wantFence: heartbeat.wantsFence,
    wantShutDown: heartbeat.wantsShutdown,
    offlineLogDirs: [...heartbeat.offlineDirectoryIds],
    cordonedLogDirs: null,
  }
}

export function answerOf(
  sequence: number,
  response: BrokerHeartbeatResponse,
  metadataOffset: number,
): HeartbeatAnswer {
  const { errorCode, isCaughtUp, isFenced = true, shouldShutDown } = response
  return { sequence, errorCode, isCaughtUp, isFenced, shouldShutDown, metadataOffset }
}
