/**
 * A place in the order of a connection's answers. Requests may complete in any order; answers leave
 * in the order in which the requests came.
 */
import { assert } from '../../base/assert.ts'
import type { Chunk } from './answer-writer.ts'
import { Deadline } from './deadlines.ts'

/** The connection, as its tickets see it. */
export interface TicketOwner {
  readonly listener: string
  /** The answer is there: it leaves at the end of the turn, if those before it do. */
  onDone(ticket: Ticket): void
}

/**
 * Reused through a free list. Extends Deadline so that a waiting request needs no second object.
 */
export class Ticket extends Deadline {
  owner: TicketOwner | undefined = undefined
  apiKey = -1
  apiVersion = 0
  correlationId = 0
  receivedMs = 0
  /** When this node's own part was done, for the few requests whose phases are timed; else 0. */
  localMs = 0
  requestBytes = 0
  /** What the request takes on the heap until its answer has left, when that is much. */
  heapBytes = 0
  /** First error in the answer, for the counters. */
  error = 0
  /** The answer, complete with its size, when it is done; undefined: there is none to send. */
  chunk: Chunk | undefined = undefined
  start = 0
  end = 0
  isDone = false
  /** The connection went while work for it was still under way. */
  isAbandoned = false
  nextInLine: Ticket | undefined = undefined

  open(owner: TicketOwner, apiKey: number, apiVersion: number, correlationId: number): void {
    assert(this.owner === undefined, 'a ticket is used by one request at a time')
    this.owner = owner
    this.apiKey = apiKey
    this.apiVersion = apiVersion
    this.correlationId = correlationId
    this.error = 0
    this.heapBytes = 0
    this.localMs = 0
    this.chunk = undefined
    this.isDone = false
    this.isAbandoned = false
  }

  done(): void {
    assert(!this.isDone, 'an answer is given once')
    this.isDone = true
    if (this.isAbandoned) this.recycle()
    else this.owner!.onDone(this)
  }

  /** The connection went. Whatever the ticket waits for, it is not for an answer any more. */
  abandon(): void {
    this.isAbandoned = true
    if (this.isDone) this.recycle()
    else this.onAbandon()
  }

  /**
   * Ends waiting early where that is possible; must call `done` when (or once) all work has ended.
   */
  onAbandon(): void {}

  /** The node stops: an answer that only waits for more should leave now. */
  hurry(): void {}

  /** The answer has left, or never will. */
  recycle(): void {
    this.chunk?.release()
    this.chunk = undefined
    this.owner = undefined
    this.nextInLine = undefined
    this.onRecycled()
  }

  /** Back to the free list. */
  onRecycled(): void {}
}
