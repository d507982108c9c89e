/**
 * The answers of one connection, in the order of the requests.
 *
 * Invariants: an answer leaves only after all before it; the bytes of an answer are not used for
 * anything else until they have left the process.
 */
import type { Chunk } from './answer-writer.ts'
import type { ServerProbe } from './probe.ts'
import type { Ticket } from './ticket.ts'

export class AnswerQueue {
  /** Requests that were accepted and whose answer has not been handed to the socket. */
  unanswered = 0
  /** Bytes of complete answers that wait for one before them. */
  readyBytes = 0
  /** What the unanswered requests take on the heap. */
  heapBytes = 0
  writtenBytes = 0
  readonly #probe: ServerProbe
  #first: Ticket | undefined
  #last: Ticket | undefined
  /** Chunks handed to the socket, and the count of written bytes at which each has left. */
  readonly #held: Chunk[] = []
  readonly #heldUntil: number[] = []

  constructor(probe: ServerProbe) {
    this.#probe = probe
  }

  get hasReady(): boolean {
    return this.#first?.isDone === true
  }

  get holdsChunks(): boolean {
    return this.#held.length > 0
  }

  push(ticket: Ticket): void {
    if (this.#last === undefined) this.#first = ticket
    else this.#last.nextInLine = ticket
    this.#last = ticket
    this.unanswered++
    this.heapBytes += ticket.heapBytes
    this.#probe.inFlight++
  }

  /** The ticket's answer is complete. */
  onDone(ticket: Ticket): void {
    if (ticket.chunk !== undefined) this.readyBytes += ticket.end - ticket.start
  }

  /**
   * Puts the buffers that may leave now into `out`, joined where they touch. Returns their bytes.
   */
  collect(out: Uint8Array[], nowMs: number): number {
    let bytes = 0
    let chunk: Chunk | undefined
    let start = 0
    let end = 0
    for (;;) {
      const ticket = this.#first
      if (ticket === undefined || !ticket.isDone) break
      if (ticket.chunk !== undefined) {
        const sizeBytes = ticket.end - ticket.start
        bytes += sizeBytes
        if (ticket.chunk !== chunk || ticket.start !== end) {
          if (chunk !== undefined) out.push(chunk.buffer.subarray(start, end))
          chunk = ticket.chunk
          start = ticket.start
        }
        end = ticket.end
        this.#hold(ticket.chunk, this.writtenBytes + bytes)
      }
      this.#leave(ticket, nowMs)
    }
    if (chunk !== undefined) out.push(chunk.buffer.subarray(start, end))
    this.readyBytes -= bytes
    this.writtenBytes += bytes
    return bytes
  }

  #hold(chunk: Chunk, until: number): void {
    const last = this.#held.length - 1
    if (this.#held[last] === chunk) {
      this.#heldUntil[last] = until
      return
    }
    chunk.uses++
    this.#held.push(chunk)
    this.#heldUntil.push(until)
  }

  #leave(ticket: Ticket, nowMs: number): void {
    this.#first = ticket.nextInLine
    if (this.#first === undefined) this.#last = undefined
    this.unanswered--
    this.heapBytes -= ticket.heapBytes
    this.#probe.onAnswered(ticket, nowMs)
    ticket.recycle()
  }

  /** `queuedBytes` of what was written have not left the process. */
  settle(queuedBytes: number): void {
    const left = this.writtenBytes - queuedBytes
    let gone = 0
    while (gone < this.#held.length && this.#heldUntil[gone]! <= left) this.#held[gone++]!.release()
    if (gone === 0) return
    this.#held.splice(0, gone)
    this.#heldUntil.splice(0, gone)
  }

  /** Asks all that wait to answer at once. */
  hurry(): void {
    let ticket = this.#first
    while (ticket !== undefined) {
      const next = ticket.nextInLine
      if (!ticket.isDone) ticket.hurry()
      ticket = next
    }
  }

  /** The connection went: nothing leaves any more. */
  abandon(): void {
    this.settle(0)
    let ticket = this.#first
    this.#first = undefined
    this.#last = undefined
    while (ticket !== undefined) {
      const next: Ticket | undefined = ticket.nextInLine
      this.#probe.onUnanswered(ticket)
      ticket.abandon()
      ticket = next
    }
    this.unanswered = 0
    this.heapBytes = 0
    this.readyBytes = 0
  }
}
