/**
 * Fetch, v4 to v18: with or without a session, answered at once or when there is enough to read.
 *
 * Invariants: a fetch that waits has a waiter on each of its partitions and a deadline; it is
 * looked at again at most once a turn; whatever ends it takes both away again.
 */
import { assert } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import type { Flushable, Turn } from '../../base/turn.ts'
import type { DataPort } from '../broker.ts'
import {
  FETCH_SESSION_ID_NOT_FOUND,
  FETCH_SESSION_TOPIC_ID_ERROR,
  INVALID_FETCH_SESSION_EPOCH,
  TOPIC_AUTHORIZATION_FAILED,
} from '../wire/errors.ts'
import type { Reader } from '../wire/reader.ts'
import { AnswerWriter } from './answer-writer.ts'
import type { DeadlineWheel } from './deadlines.ts'
import { FetchEncoder, startsTopic } from './fetch-answer.ts'
import type { FetchEntry } from './fetch-entries.ts'
import { FetchPlanner } from './fetch-plan.ts'
import { FetchRequest } from './fetch-request.ts'
import {
  type FetchSessionCache,
  FINAL_EPOCH,
  INITIAL_EPOCH,
  NO_SESSION,
  nextEpoch,
} from './fetch-session.ts'
import { type FetchLooker, FetchTicket } from './fetch-ticket.ts'
import { LeaderHints } from './leader-hints.ts'
import type { BufferPool } from './memory.ts'
import type { ServerProbe } from './probe.ts'
import type { HotRequest } from './produce.ts'
import type { Ticket, TicketOwner } from './ticket.ts'

const FETCH = 1
/** Smaller answers share a chunk with others. */
const SMALL_BYTES = 4096
/** When memory is short, answers shrink down to this before they wait. */
const SHORT_BYTES = 64 * 1024
const FREE_TICKETS_MAX = 1024
/** What a partition of a request takes on the heap until it is answered. */
const ENTRY_BYTES = 256

export interface FetchOwner extends TicketOwner {
  accept(ticket: Ticket): void
}

export interface FetchParts {
  readonly data: DataPort
  readonly clock: Clock
  readonly turn: Turn
  readonly pool: BufferPool
  readonly probe: ServerProbe
  readonly wheel: DeadlineWheel
  readonly sessions: FetchSessionCache
  /** For small answers. */
  readonly writer: AnswerWriter
  readonly answerBytesMax: number
  readonly fetchBytesMax: number
}

export class FetchHandler implements Flushable, FetchLooker {
  queued = false
  readonly #parts: FetchParts
  readonly #request = new FetchRequest()
  readonly #planner: FetchPlanner
  readonly #encoder: FetchEncoder
  readonly #free: FetchTicket[] = []
  #listed: FetchTicket[] = []

  constructor(parts: FetchParts) {
    this.#parts = parts
    this.#planner = new FetchPlanner(parts.data)
    this.#encoder = new FetchEncoder(parts.writer, new LeaderHints(parts.data))
  }

  /** `reader` stands behind the request's header. Throws WireError before anything is changed. */
  accept(owner: FetchOwner, hot: HotRequest, reader: Reader): void {
    const request = this.#request
    request.check(reader, hot.apiVersion)
    const ticket = this.#free.pop() ?? new FetchTicket(this)
    ticket.open(owner, FETCH, hot.apiVersion, hot.correlationId)
    ticket.receivedMs = hot.receivedMs
    ticket.requestBytes = hot.requestBytes
    ticket.heapBytes = request.partitionCount * ENTRY_BYTES
    ticket.isFull = false
    ticket.usesTopicIds = request.usesTopicIds
    ticket.isolation = request.isCommitted ? 'committed' : 'uncommitted'
    ticket.rack = request.rack
    ticket.maxBytes = Math.min(Math.max(0, request.maxBytes), this.#parts.fetchBytesMax)
    ticket.minBytes = Math.min(request.minBytes, ticket.maxBytes)
    ticket.waitsUntilMs = hot.receivedMs + Math.max(0, request.maxWaitMs)
    ticket.isDue = request.maxWaitMs <= 0
    ticket.partitionError = 0
    // Replicas use the nodes' own network: on a client's connection they are strangers
    // (CVE-2018-1288).
    ticket.refusal = request.replicaId >= 0 ? TOPIC_AUTHORIZATION_FAILED : 0
    owner.accept(ticket)
    const error =
      ticket.refusal === 0 ? this.#openSession(ticket, reader) : this.#noSession(ticket, reader)
    if (error !== 0) this.#answerError(ticket, error)
    else this.#look(ticket)
    if (this.#parts.probe.timesPhases()) ticket.localMs = this.#parts.clock.monotonicMs()
  }

  #noSession(ticket: FetchTicket, reader: Reader): number {
    this.#request.readPartitions(reader, ticket)
    return 0
  }

  /**
   * KIP-227: finds the session of the request, or prepares for one. Returns an error for the whole.
   */
  #openSession(ticket: FetchTicket, reader: Reader): number {
    const request = this.#request
    const { sessions } = this.#parts
    const { sessionId, sessionEpoch } = request
    if (sessionEpoch === INITIAL_EPOCH || sessionEpoch === FINAL_EPOCH) {
      if (sessionId !== NO_SESSION) this.#endSession(sessionId)
      ticket.isFull = sessionEpoch === INITIAL_EPOCH
      return this.#noSession(ticket, reader)
    }
    const session = sessions.get(sessionId)
    if (session === undefined) return FETCH_SESSION_ID_NOT_FOUND
    if (session.epoch !== sessionEpoch) return INVALID_FETCH_SESSION_EPOCH
    if (session.usesTopicIds !== request.usesTopicIds) return FETCH_SESSION_TOPIC_ID_ERROR
    if (session.user !== undefined) {
      // A client sends the next request of a session when it has the answer to the last one. This
      // one does not, and the entries are in use: neither request gets anything from the session.
      this.#endSession(sessionId)
      return INVALID_FETCH_SESSION_EPOCH
    }
    const before = session.entries.size
    ticket.session = session
    request.readPartitions(reader, ticket)
    request.readForgotten(reader, (topicKey, index) => session.forget(topicKey, index))
    sessions.onResized(session, before)
    if (session.entries.size === 0) {
      // Nothing is left to remember.
      sessions.remove(sessionId)
      ticket.session = undefined
      return 0
    }
    session.usedMs = ticket.receivedMs
    session.epoch = nextEpoch(session.epoch)
    session.user = ticket
    ticket.sessionEpoch = session.epoch
    return 0
  }

  #endSession(sessionId: number): void {
    const session = this.#parts.sessions.get(sessionId)
    if (session === undefined) return
    this.#parts.sessions.remove(sessionId)
    session.user?.onSuperseded()
  }

  /** Something changed for a fetch that waits. */
  lookAgain(ticket: FetchTicket): void {
    if (ticket.isListed || ticket.isDone || ticket.isReading) return
    ticket.isListed = true
    this.#listed.push(ticket)
    if (!this.queued) this.#parts.turn.connections(this)
  }

  flush(): void {
    const listed = this.#listed
    this.#listed = []
    for (const ticket of listed) {
      ticket.isListed = false
      if (!ticket.isDone && !ticket.isAbandoned && !ticket.isReading) this.#look(ticket)
    }
  }

  onSuperseded(ticket: FetchTicket): void {
    if (!ticket.isDone && !ticket.isReading) this.#answerError(ticket, INVALID_FETCH_SESSION_EPOCH)
  }

  /** The connection went. */
  onAbandoned(ticket: FetchTicket): void {
    if (ticket.isReading) return // it is done when the read is
    this.#stopWaiting(ticket)
    this.#finish(ticket)
  }

  onRecycled(ticket: FetchTicket): void {
    assert(!ticket.isWaiting, 'waits no more')
    if (ticket.isListed) return // still named in the list: not to be used again
    if (this.#free.length < FREE_TICKETS_MAX) this.#free.push(ticket)
  }

  /** Answers when there is enough to read, or a reason not to wait; else waits. */
  #look(ticket: FetchTicket): void {
    const planner = this.#planner
    const limits = {
      usesTopicIds: ticket.usesTopicIds,
      isolation: ticket.isolation,
      rack: ticket.rack,
      listener: ticket.owner!.listener,
      maxBytes: ticket.maxBytes,
      isIncremental: ticket.isIncremental,
      refusal: ticket.refusal,
    }
    planner.plan(ticket.entries, limits)
    const isEnough = planner.recordBytes >= ticket.minBytes || planner.isUrgent
    if (!ticket.isDue && !isEnough && ticket.entries.size > 0) {
      this.#wait(ticket)
      return
    }
    const { memory } = this.#parts.pool
    while (!memory.hasRoomForAnswer(planner.answerBytes) && limits.maxBytes > SHORT_BYTES) {
      limits.maxBytes = Math.max(SHORT_BYTES, Math.floor(limits.maxBytes / 2))
      planner.plan(ticket.entries, limits)
    }
    if (planner.answerBytes > SMALL_BYTES && !memory.hasRoomForAnswer(planner.answerBytes)) {
      this.#stopWaiting(ticket)
      memory.wait(ticket)
      return
    }
    this.#stopWaiting(ticket)
    if (planner.isCold) this.#answerCold(ticket)
    else this.#answer(ticket)
  }

  #wait(ticket: FetchTicket): void {
    if (ticket.isWaiting) return
    ticket.isWaiting = true
    this.#parts.probe.waitingFetches++
    for (let entry = ticket.entries.first; entry !== undefined; entry = entry.next) {
      entry.waitingOn = entry.partition
      entry.partition?.addDataWaiter(ticket)
    }
    this.#parts.wheel.add(ticket, ticket.waitsUntilMs)
  }

  #stopWaiting(ticket: FetchTicket): void {
    this.#parts.pool.memory.forget(ticket)
    if (!ticket.isWaiting) return
    ticket.isWaiting = false
    this.#parts.probe.waitingFetches--
    for (let entry = ticket.entries.first; entry !== undefined; entry = entry.next) {
      entry.waitingOn?.removeDataWaiter(ticket)
      entry.waitingOn = undefined
    }
    this.#parts.wheel.remove(ticket)
  }

  #frame(ticket: FetchTicket) {
    return {
      version: ticket.apiVersion,
      correlationId: ticket.correlationId,
      listener: ticket.owner!.listener,
      isolation: ticket.isolation,
      mayFollow: ticket.rack !== '',
      error: 0,
      sessionId: this.#sessionId(ticket),
      partitionError: 0,
    }
  }

  /** A full fetch gets its session with its answer. */
  #sessionId(ticket: FetchTicket): number {
    if (ticket.session !== undefined) return ticket.session.id
    if (!ticket.isFull) return NO_SESSION
    const { sessions, clock } = this.#parts
    const session = sessions.create(ticket.own, ticket.usesTopicIds, clock.monotonicMs())
    if (session === undefined) return NO_SESSION
    ticket.session = session
    session.user = ticket
    ticket.sessionEpoch = session.epoch
    return session.id
  }

  #answer(ticket: FetchTicket): void {
    const { included, answerBytes } = this.#planner
    const isSmall = answerBytes <= SMALL_BYTES
    const encoder = isSmall ? this.#encoder : this.#largeEncoder(answerBytes)
    const frame = this.#frame(ticket)
    encoder.begin(frame, included)
    for (let i = 0; i < included.length; i++) {
      if (startsTopic(included, i)) encoder.beginTopic(included, i)
      const entry = included[i]!
      const bytes = encoder.partition(frame, entry)
      if (bytes > 0) ticket.session?.entries.moveToEnd(entry)
      if (i + 1 === included.length || startsTopic(included, i + 1)) encoder.endTopic()
    }
    encoder.end(frame)
    ticket.error = frame.partitionError
    encoder.writer.finish(ticket)
    if (!isSmall) encoder.writer.close()
    this.#finish(ticket)
  }

  #largeEncoder(answerBytes: number): FetchEncoder {
    const { pool, data, answerBytesMax } = this.#parts
    return new FetchEncoder(
      new AnswerWriter(pool, answerBytesMax, answerBytes),
      new LeaderHints(data),
    )
  }

  /** Some of the records have to come from the device. */
  #answerCold(ticket: FetchTicket): void {
    ticket.isReading = true
    // What it throws is a fault of ours: the unhandled rejection ends the process.
    void this.#read(ticket)
  }

  async #read(ticket: FetchTicket): Promise<void> {
    const included = [...this.#planner.included]
    const encoder = this.#largeEncoder(this.#planner.answerBytes)
    const frame = this.#frame(ticket)
    const { session } = ticket
    const isWanted = () =>
      !ticket.isAbandoned && (session === undefined || session.epoch === ticket.sessionEpoch)
    encoder.begin(frame, included)
    const moved: FetchEntry[] = []
    for (let i = 0; i < included.length && isWanted(); i++) {
      if (startsTopic(included, i)) encoder.beginTopic(included, i)
      const bytes = await encoder.partitionCold(frame, included[i]!, isWanted)
      if (bytes > 0) moved.push(included[i]!)
      if (i + 1 === included.length || startsTopic(included, i + 1)) encoder.endTopic()
    }
    ticket.isReading = false
    if (isWanted()) {
      if (session !== undefined) for (const entry of moved) session.entries.moveToEnd(entry)
      encoder.end(frame)
      ticket.error = frame.partitionError
      encoder.writer.finish(ticket)
      encoder.writer.close()
      this.#finish(ticket)
      return
    }
    encoder.writer.abandon()
    encoder.writer.close()
    if (ticket.isAbandoned) this.#finish(ticket)
    else this.#answerError(ticket, INVALID_FETCH_SESSION_EPOCH)
  }

  /** The answer to the whole request is an error: no topics. */
  #answerError(ticket: FetchTicket, error: number): void {
    this.#stopWaiting(ticket)
    const frame = {
      version: ticket.apiVersion,
      correlationId: ticket.correlationId,
      listener: ticket.owner!.listener,
      isolation: ticket.isolation,
      mayFollow: false,
      error,
      sessionId: NO_SESSION,
      partitionError: 0,
    }
    this.#encoder.begin(frame, [])
    this.#encoder.end(frame)
    ticket.error = error
    this.#encoder.writer.finish(ticket)
    this.#finish(ticket)
  }

  #finish(ticket: FetchTicket): void {
    const { session } = ticket
    if (session !== undefined) {
      if (session.user === ticket) session.user = undefined
      for (let entry = session.entries.first; entry !== undefined; entry = entry.next)
        entry.forget()
    }
    ticket.done()
  }
}
