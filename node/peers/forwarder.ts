/**
 * One request to the node that leads the quorum, until it is answered: here when this node leads,
 * else by a message there. An answer is handed on when this node's image has what it speaks of, so
 * whoever asked and looks finds the change.
 */
import { type Clock, delay } from '../../base/clock.ts'
import { type StorageCode, StorageError } from '../../base/errors.ts'
import { RpcError } from '../../base/rpc.ts'
import type { Api } from '../../kafka/api/define.ts'
import { decodeResponse, encodeRequest } from '../../kafka/forward.ts'
import type { Struct, Written } from '../../kafka/wire/schema.ts'
import { forwardRequest, forwardResponse, ProtocolError } from '../../proto/codecs.ts'
import type { ForwardRequest, ForwardResponse } from '../../proto/generated/messages.ts'
import { CLUSTER_FORWARD } from '../../proto/methods.ts'
import { type MetadataQuorum, NotLeaderError } from '../metadata/quorum.ts'
import { helloOf, refusalOf, type SelfIdentity } from './hello.ts'
import type { Peers } from './peers.ts'

export interface ForwarderParts {
  readonly clock: Clock
  readonly self: SelfIdentity
  readonly peers: Pick<Peers, 'peer' | 'isOpen'>
  readonly quorum: Pick<MetadataQuorum, 'image' | 'leaderId' | 'whenApplied'>
}

/** The other node says that it will not, or can't: asking again would not help. */
export class ForwardFailure extends Error {
  override readonly name = 'ForwardFailure'
}

/** How long one node may take to answer before another try: it may have lost its leadership. */
const ANSWER_WITHIN_MS = 5000
const LOOK_AGAIN_AFTER_MS = 20

export interface Attempts {
  /** An earlier try may have been carried out. */
  isRepeat: boolean
}

interface Job<T> {
  readonly name: string
  readonly deadlineMs: number
  readonly attempts: Attempts
  local(): Promise<T>
  encode(): Partial<ForwardRequest>
  decode(response: ForwardResponse): T
}

export class Forwarder {
  readonly #parts: ForwarderParts
  #isClosed = false

  constructor(parts: ForwarderParts) {
    this.#parts = parts
  }

  /**
   * Rejects with NotLeaderError when no controller has answered within `timeoutMs`, with
   * StorageError when its log is full or broken, with ForwardFailure when it refuses.
   */
  request<Q extends Struct, S extends Struct>(
    api: Api<Q, S>,
    request: Written<Q>,
    options: {
      readonly timeoutMs: number
      readonly local: () => Promise<Written<S>>
      readonly attempts?: Attempts
    },
  ): Promise<Written<S>> {
    let bytes: Buffer | undefined
    return this.#run({
      name: api.name,
      deadlineMs: this.#parts.clock.monotonicMs() + options.timeoutMs,
      attempts: options.attempts ?? { isRepeat: false },
      local: options.local,
      encode() {
        bytes ??= encodeRequest(api, request)
        return { request: bytes }
      },
      decode: ({ response }): Written<S> => decodeResponse(api, response) as Written<S>,
    })
  }

  /** A request that is no message of Kafka's; answered with an error code. */
  message(
    name: string,
    message: Partial<ForwardRequest>,
    options: { readonly timeoutMs: number; readonly local: () => Promise<number> },
  ): Promise<number> {
    return this.#run({
      name,
      deadlineMs: this.#parts.clock.monotonicMs() + options.timeoutMs,
      attempts: { isRepeat: false },
      local: options.local,
      encode: () => message,
      decode: ({ errorCode }) => errorCode,
    })
  }

  /** What is under way is given up. */
  close(): void {
    this.#isClosed = true
  }

  async #run<T>(job: Job<T>): Promise<T> {
    const { clock, quorum, self } = this.#parts
    let reason = 'no node leads'
    for (;;) {
      if (this.#isClosed) throw new NotLeaderError(`${job.name}: this node stops`)
      const { leaderId } = quorum
      if (leaderId === self.nodeId) {
        try {
          return await job.local()
        } catch (error) {
          if (!(error instanceof NotLeaderError)) throw error
          job.attempts.isRepeat = true
          reason = error.message
        }
      } else if (leaderId >= 0 && this.#parts.peers.isOpen(leaderId)) {
        const answer = await this.#ask(leaderId, job)
        if (typeof answer !== 'string') return this.#answered(answer, job)
        reason = answer
      }
      if (clock.monotonicMs() + LOOK_AGAIN_AFTER_MS >= job.deadlineMs) {
        throw new NotLeaderError(`${job.name} has not been answered by a controller: ${reason}`)
      }
      await delay(clock, LOOK_AGAIN_AFTER_MS)
    }
  }

  /** A sentence when it is worth another try. */
  async #ask<T>(leaderId: number, job: Job<T>): Promise<ForwardResponse | string> {
    const { clock, self, peers } = this.#parts
    const hello = helloOf(self, leaderId)
    const request = forwardRequest.encode({ ...job.encode(), hello })
    const remainingMs = Math.max(1, job.deadlineMs - clock.monotonicMs())
    const timeoutMs = Math.min(remainingMs, ANSWER_WITHIN_MS)
    let response: ForwardResponse
    try {
      response = forwardResponse.decode(
        await peers.peer(leaderId).call(CLUSTER_FORWARD, request, timeoutMs),
      )
    } catch (error) {
      return this.#unanswered(error, job)
    }
    const { hello: other, outcome, sentence } = response
    const refusal =
      other === null ? 'an answer without a hello' : refusalOf(self, other, { nodeId: leaderId })
    if (refusal !== undefined) throw new ForwardFailure(refusal)
    switch (outcome) {
      case 'ANSWERED':
        return response
      case 'NOT_CONTROLLER':
        return sentence
      case 'UNKNOWN':
        job.attempts.isRepeat = true
        return sentence
      case 'FORBIDDEN':
        throw new ForwardFailure(sentence)
      case 'FAILED':
        throw failure(leaderId, response)
    }
  }

  #unanswered<T>(error: unknown, job: Job<T>): string {
    if (error instanceof ProtocolError) throw new ForwardFailure(error.message, { cause: error })
    if (!(error instanceof RpcError)) throw error
    if (error.code === 'denied' || error.code === 'too-large') {
      throw new ForwardFailure(error.message, { cause: error })
    }
    // A connection that was refused carried nothing.
    if (error.code !== 'refused') job.attempts.isRepeat = true
    return error.message
  }

  async #answered<T>(response: ForwardResponse, job: Job<T>): Promise<T> {
    const { clock, quorum } = this.#parts
    const result = job.decode(response)
    const { metadataOffset } = response
    const remainingMs = job.deadlineMs - clock.monotonicMs()
    if (metadataOffset > quorum.image.offset && remainingMs > 0) {
      // It is done, whether or not it is seen here in time.
      await quorum.whenApplied(metadataOffset, remainingMs).catch(() => {})
    }
    return result
  }
}

const STORAGE_CODES: ReadonlySet<string> = new Set<StorageCode>([
  'EIO',
  'ENOSPC',
  'EROFS',
  'EACCES',
])

function failure(leaderId: number, { sentence, storageCode }: ForwardResponse): Error {
  if (storageCode === '') return new ForwardFailure(sentence)
  const code = STORAGE_CODES.has(storageCode) ? (storageCode as StorageCode) : 'UNKNOWN'
  const cause = new ForwardFailure(sentence)
  return new StorageError(code, `the metadata log of node ${leaderId}`, 'write to', { cause })
}
