/**
 * One client's connection: bytes to frames, frames to requests, answers back in the order of the
 * requests.
 *
 * Order: Produce and Fetch may begin while earlier ones still wait for their answer. Any other
 * request begins when all earlier such requests are done, and what follows it waits until it is
 * done, so that a client sees the effects of what it sends in that order.
 *
 * Invariants: whatever the bytes are, only this connection suffers; a connection that owes more
 * than its limits of answers is not read; nothing is sent after `close`.
 */
import { AssertionFailed } from '../../base/assert.ts'
import type { Connection, ConnectionHandler } from '../../base/network.ts'
import type { Flushable } from '../../base/turn.ts'
import type { Api } from '../api/define.ts'
import { type FrameHeader, SIZE_BYTES } from '../wire/frame.ts'
import { WireError } from '../wire/reader.ts'
import { AnswerQueue } from './answer-queue.ts'
import type { FetchOwner } from './fetch.ts'
import { FrameCutter, type FrameOwner } from './frames.ts'
import type { MemoryWaiter } from './memory.ts'
import type { ServerParts } from './parts.ts'
import type { CloseReason } from './probe.ts'
import type { ProduceOwner } from './produce.ts'
import { API_VERSIONS, FETCH, type Peer, PRODUCE } from './slow-requests.ts'
import { Ticket } from './ticket.ts'

export class KafkaConnection
  implements ConnectionHandler, Flushable, MemoryWaiter, FrameOwner, ProduceOwner, FetchOwner, Peer
{
  queued = false
  readonly connectionId: number
  readonly listener: string
  readonly clientHost: string
  readonly principal = 'User:ANONYMOUS'
  /** When bytes last came or went. */
  activeMs: number
  readonly #connection: Connection
  readonly #parts: ServerParts
  readonly #frames: FrameCutter
  readonly #answers: AnswerQueue
  readonly #onGone: (connection: KafkaConnection) => void
  readonly #out: Uint8Array[] = []
  #closeReason: CloseReason | undefined
  #isGone = false
  #isPaused = false
  #isDraining = false
  /** A request that is not hot is under way. */
  #isBusy = false
  #unsentBytes = 0
  #softwareRow: string | undefined

  constructor(options: {
    connectionId: number
    listener: string
    connection: Connection
    parts: ServerParts
    onGone: (connection: KafkaConnection) => void
  }) {
    const { parts } = options
    this.connectionId = options.connectionId
    this.listener = options.listener
    this.clientHost = options.connection.remoteAddress
    this.#connection = options.connection
    this.#parts = parts
    this.#onGone = options.onGone
    this.#frames = new FrameCutter(this, parts.pool, {
      produceBytesMax: parts.options.requestBytesMax,
      otherBytesMax: parts.options.otherRequestBytesMax,
    })
    this.#answers = new AnswerQueue(parts.probe)
    this.activeMs = parts.clock.monotonicMs()
    parts.probe.onOpened(this.listener)
  }

  get isClosed(): boolean {
    return this.#closeReason !== undefined
  }

  // What the network tells.

  onBytes(slab: Buffer, start: number, end: number): void {
    if (this.isClosed || this.#isDraining) return
    const parts = this.#parts
    this.activeMs = parts.clock.monotonicMs()
    parts.probe.bytesIn += end - start
    this.#frames.feed(slab, start, end)
    if (this.#frames.gatheredBytes > 0 || this.#isPaused) this.#updateReading()
  }

  onDrain(): void {
    if (this.#isGone) return
    this.#settle()
    this.#proceed()
  }

  onClose(error: Error | undefined): void {
    this.#isGone = true
    this.#closeReason ??= error === undefined ? 'client' : 'broken'
    this.#frames.close()
    this.#parts.memory.forget(this)
    this.#answers.abandon()
    if (this.#softwareRow !== undefined) this.#parts.probe.onSoftwareGone(this.#softwareRow)
    this.#parts.probe.onClosed(this.listener, this.#closeReason)
    this.#onGone(this)
  }

  // Frames.

  isAccepting(): boolean {
    const { options } = this.#parts
    const { unanswered, readyBytes, heapBytes } = this.#answers
    return (
      !this.#isBusy &&
      !this.isClosed &&
      !this.#isDraining &&
      unanswered < options.unansweredMax &&
      readyBytes + heapBytes + this.#unsentBytes <= options.waitingAnswerBytesMax
    )
  }

  onBadSize(sizeBytes: number, maxBytes: number, buffer: Buffer, at: number): void {
    const guess = guessProtocol(buffer, at)
    this.#refuse(
      'malformed',
      guess === undefined ? 'The size of a request is out of range.' : `This is ${guess}.`,
      { sizeBytes, maxBytes },
    )
  }

  onFrame(buffer: Buffer, start: number, end: number): void {
    const { header } = this.#parts
    header.apiKey = -1
    header.apiVersion = -1
    try {
      header.parse(buffer, start, end)
      if (!this.#handle(header, buffer, start, end)) {
        this.#refuse('unsupported', 'A client asked for an API or a version that is not served.', {
          apiKey: header.apiKey,
          apiVersion: header.apiVersion,
        })
      }
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.#refuse('malformed', 'A request is malformed.', {
        apiKey: header.apiKey,
        apiVersion: header.apiVersion,
        sizeBytes: end - start,
        reason: error.message,
      })
    }
  }

  /** False when the API or version is not served. */
  #handle(header: FrameHeader, buffer: Buffer, start: number, end: number): boolean {
    const { slow } = this.#parts
    const { apiKey, apiVersion } = header
    const api = slow.find(apiKey)
    if (api === undefined) return false
    if (!api.serves(apiVersion)) {
      if (apiKey !== API_VERSIONS) return false
      const ticket = this.#slowTicket(header, end - start)
      slow.refuseApiVersions(ticket)
      ticket.done()
      return true
    }
    if (apiKey === PRODUCE || apiKey === FETCH) {
      if (api.isFlexible(apiVersion)) header.skipTags(buffer, end)
      this.#handleHot(header, buffer, start, end)
      return true
    }
    if (api.handle === undefined) return false
    this.#handleSlow(api, header, buffer, start, end)
    return true
  }

  #handleHot(header: FrameHeader, buffer: Buffer, start: number, end: number): void {
    const { reader, hot } = this.#parts
    reader.buffer = buffer
    reader.position = header.position
    reader.end = end
    hot.apiVersion = header.apiVersion
    hot.correlationId = header.correlationId
    hot.receivedMs = this.activeMs
    hot.requestBytes = SIZE_BYTES + end - start
    if (header.apiKey === PRODUCE) this.#parts.produce.accept(this, hot, reader)
    else this.#parts.fetch.accept(this, hot, reader)
  }

  #slowTicket(header: FrameHeader, frameBytes: number): Ticket {
    const ticket = new Ticket()
    ticket.open(this, header.apiKey, header.apiVersion, header.correlationId)
    ticket.receivedMs = this.activeMs
    ticket.requestBytes = SIZE_BYTES + frameBytes
    this.#answers.push(ticket)
    return ticket
  }

  #handleSlow(api: Api, header: FrameHeader, buffer: Buffer, start: number, end: number): void {
    const { slow, memory } = this.#parts
    const ticket = this.#slowTicket(header, end - start)
    // The handler keeps what it likes of the frame: it gets a copy of its own.
    const frame = Buffer.from(buffer.subarray(start, end))
    const run = slow.prepare(api, ticket, frame, this)
    let running: Promise<void> | undefined
    try {
      running = run()
    } catch (error) {
      this.#onFailed(ticket, error)
      return
    }
    if (running === undefined) {
      ticket.done()
      return
    }
    this.#isBusy = true
    memory.take(frame.length)
    const ended = () => {
      memory.release(frame.length)
      this.#isBusy = false
    }
    running.then(
      () => {
        ended()
        ticket.done()
      },
      (error: unknown) => {
        ended()
        this.#onFailed(ticket, error)
      },
    )
  }

  /** A handler that throws has a fault; so the client is not told anything. */
  #onFailed(ticket: Ticket, error: unknown): void {
    if (error instanceof AssertionFailed) throw error
    this.#parts.logger.error('A request could not be handled.', {
      remote: this.#connection.remote,
      apiKey: ticket.apiKey,
      apiVersion: ticket.apiVersion,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    })
    if (!this.isClosed) this.close('failed')
    ticket.done()
  }

  onSoftware(name: string, version: string): void {
    if (this.#softwareRow !== undefined || this.isClosed) return
    this.#softwareRow = this.#parts.probe.onSoftware(name, version)
  }

  // Answers.

  accept(ticket: Ticket): void {
    this.#answers.push(ticket)
  }

  onDone(ticket: Ticket): void {
    const { error, apiKey } = ticket
    if (error !== 0) this.#parts.misdirected.look(error, apiKey, this.#connection.remote)
    this.#answers.onDone(ticket)
    if (!this.queued) this.#parts.turn.connections(this)
  }

  closeAfterProduceError(): void {
    this.#refuse('produce_error', 'A record sent with acks=0 was refused.', {})
  }

  /** The end of the turn: everything that may leave goes with one write. */
  flush(): void {
    if (this.isClosed) return
    if (this.#answers.hasReady) this.#send()
    this.#settle()
    this.#proceed()
    if (this.#isDraining) this.#endWhenDrained()
  }

  #send(): void {
    const out = this.#out
    const nowMs = this.#parts.clock.monotonicMs()
    const bytes = this.#answers.collect(out, nowMs)
    if (bytes === 0) return
    if (this.#unsentBytes === 0) this.activeMs = nowMs
    this.#parts.probe.bytesOut += bytes
    this.#connection.write(out)
    out.length = 0
  }

  /** Takes note of what has left, and gives its buffers back. */
  #settle(): void {
    const before = this.#unsentBytes
    this.#unsentBytes = this.#connection.queuedBytes()
    this.#answers.settle(this.#unsentBytes)
    if (this.#unsentBytes < before) this.activeMs = this.#parts.clock.monotonicMs()
  }

  #proceed(): void {
    if (this.isClosed) return
    if (this.#frames.gatheredBytes > 0 && this.isAccepting()) this.#frames.proceed()
    this.#updateReading()
  }

  #updateReading(): void {
    if (this.isClosed) return
    const { memory } = this.#parts
    const gatheredBytes = this.#frames.gatheredBytes
    if (gatheredBytes === 0) memory.settle(this)
    if (gatheredBytes > 0 && !this.isAccepting()) this.#pause()
    else if (gatheredBytes > 0 && !memory.mayReceive(this)) {
      memory.wait(this)
      this.#pause()
    } else if (this.#isPaused) {
      this.#isPaused = false
      this.#connection.resume()
    }
  }

  #pause(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.#connection.pause()
  }

  onMemory(): void {
    this.#proceed()
  }

  // The end.

  /** Called now and then: closes the connection when nothing moves. */
  sweep(nowMs: number): void {
    if (this.isClosed) return
    if (this.#answers.holdsChunks || this.#unsentBytes > 0) this.#settle()
    const restMs = nowMs - this.activeMs
    const { options } = this.#parts
    const isInsideRequest = this.#frames.gatheredBytes > 0 && this.#answers.unanswered === 0
    // Who is not read can't go on.
    const isStuck = this.#unsentBytes > 0 || (isInsideRequest && !this.#isPaused)
    if (isStuck && restMs > options.stallMs) {
      this.#refuse('stalled', 'A client neither reads nor goes on.', {
        unsentBytes: this.#unsentBytes,
        gatheredBytes: this.#frames.gatheredBytes,
      })
    } else if (restMs > options.idleMs && this.#answers.unanswered === 0) this.close('idle')
  }

  /** The node stops: no further request is taken, answers leave, then the connection ends. */
  drain(): void {
    if (this.isClosed || this.#isDraining) return
    this.#isDraining = true
    this.#answers.hurry()
    if (!this.queued) this.#parts.turn.connections(this)
  }

  #endWhenDrained(): void {
    if (this.#answers.unanswered > 0 || this.isClosed) return
    this.#closeReason = 'stopping'
    this.#connection.end()
  }

  #refuse(reason: CloseReason, message: string, fields: Record<string, unknown>): void {
    if (this.isClosed) return
    this.#parts.logger.warn(`Connection closed: ${message}`, {
      remote: this.#connection.remote,
      listener: this.listener,
      ...fields,
    })
    this.close(reason)
  }

  /** Ends it now, also while it drains. What was not sent is dropped. */
  close(reason: CloseReason): void {
    if (this.isClosed && !this.#isDraining) return
    this.#closeReason ??= reason
    this.#frames.close()
    this.#connection.destroy()
  }
}

const HTTP_VERBS = [
  'GET ',
  'POST',
  'PUT ',
  'HEAD',
  'DELE',
  'OPTI',
  'PATC',
  'CONN',
  'TRAC',
  'HTTP',
  'PRI ',
]

/** What those talk who do not talk Kafka; undefined: no idea. */
function guessProtocol(buffer: Buffer, at: number): string | undefined {
  if (buffer[at] === 0x16 && buffer[at + 1] === 0x03) return 'a TLS hello on a listener without TLS'
  if (HTTP_VERBS.includes(buffer.toString('latin1', at, at + 4))) return 'an HTTP request'
  return undefined
}
