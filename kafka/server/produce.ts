/**
 * Produce, v3 to v13, from the bytes of the request to the bytes of the answer. The request is
 * walked twice: once to see that it is well formed, so that a cut request appends nothing, and once
 * to append each batch where it lies and write its part of the answer at the same time. No object
 * is made per request, apart from a ticket that goes round.
 *
 * Invariant: an answer to acks=1 is complete when the records are in the page cache, one to acks=-1
 * when they are replicated; until then each appended partition holds a slot in it. All that can't
 * be known later is written at once; a late failure only changes the error code in its slot, as in
 * Kafka.
 */
import { assert } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import { isTransactionalBatch } from '../../log/batch.ts'
import { writeInt16 } from '../../log/format.ts'
import { AppendOutcome } from '../../log/partition-log.ts'
import { NO_TRANSACTIONS } from '../api/no-transactions.ts'
import type { AckWaiter, DataPort, PartitionPort, ProduceOptions, TopicPort } from '../broker.ts'
import {
  INVALID_RECORD,
  INVALID_REQUIRED_ACKS,
  INVALID_TOPIC_EXCEPTION,
  NOT_LEADER_OR_FOLLOWER,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
  UNKNOWN_TOPIC_ID,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../wire/errors.ts'
import { ELEMENTS_MAX, type Reader, WireError } from '../wire/reader.ts'
import { AnswerTooLarge, type AnswerWriter } from './answer-writer.ts'
import { type InternTable, topicIds, topicNames } from './interned.ts'
import { LeaderHints } from './leader-hints.ts'
import type { ServerProbe } from './probe.ts'
import { Ticket, type TicketOwner } from './ticket.ts'

const FLEXIBLE_SINCE = 9
const TOPIC_IDS_SINCE = 13
const LEADER_HINTS_SINCE = 10
const RECORD_ERRORS_SINCE = 8
const ZSTD_SINCE = 7
const LOG_START_SINCE = 5
const UUID_BYTES = 16
const ERROR_MESSAGE_CHARACTERS_MAX = 1000

export interface ProduceOwner extends TicketOwner {
  accept(ticket: Ticket): void
  /** acks=0 met an error: the client hears of it by the end of the connection. */
  closeAfterProduceError(): void
}

/** What the connection read of the request's header. */
export interface HotRequest {
  apiVersion: number
  correlationId: number
  receivedMs: number
  requestBytes: number
}

class ProduceTicket extends Ticket implements AckWaiter {
  pending = 0
  readonly #free: ProduceTicket[]

  constructor(free: ProduceTicket[]) {
    super()
    this.#free = free
  }

  onAck(slot: number, error: number): void {
    assert(this.pending > 0, 'each slot is answered once')
    if (error !== 0) {
      if (this.chunk !== undefined) writeInt16(this.chunk.buffer, this.start + slot, error)
      if (this.error === 0) this.error = error
    }
    if (--this.pending === 0) this.done()
  }

  override onRecycled(): void {
    if (this.#free.length < FREE_TICKETS_MAX) this.#free.push(this)
  }
}

const FREE_TICKETS_MAX = 4096

export class ProduceHandler {
  readonly #data: DataPort
  readonly #clock: Clock
  readonly #writer: AnswerWriter
  readonly #probe: ServerProbe
  readonly #hints: LeaderHints
  readonly #names: InternTable = topicNames()
  readonly #ids: InternTable = topicIds()
  readonly #free: ProduceTicket[] = []
  readonly #outcome = new AppendOutcome()
  readonly #options: ProduceOptions = { acks: -1, allowsZstd: true, nowMs: 0 }
  // Of the request at hand:
  #version = 0
  #isFlexible = false
  #deadlineMs = 0
  /** Refuses every partition; 0: none. */
  #refusal = 0
  #ticket: ProduceTicket | undefined

  constructor(parts: {
    data: DataPort
    clock: Clock
    writer: AnswerWriter
    probe: ServerProbe
  }) {
    this.#data = parts.data
    this.#clock = parts.clock
    this.#writer = parts.writer
    this.#probe = parts.probe
    this.#hints = new LeaderHints(parts.data)
  }

  /** `reader` stands behind the request's header. Throws WireError before anything is appended. */
  accept(owner: ProduceOwner, request: HotRequest, reader: Reader): void {
    this.#version = request.apiVersion
    this.#isFlexible = request.apiVersion >= FLEXIBLE_SINCE
    const bodyStart = reader.position
    reader.elements = ELEMENTS_MAX
    this.#check(reader)
    reader.position = bodyStart
    reader.elements = ELEMENTS_MAX

    const ticket = this.#free.pop() ?? new ProduceTicket(this.#free)
    ticket.open(owner, 0, request.apiVersion, request.correlationId)
    ticket.receivedMs = request.receivedMs
    ticket.requestBytes = request.requestBytes
    ticket.pending = 0
    this.#ticket = ticket
    const writer = this.#writer
    writer.begin(request.correlationId, this.#isFlexible)
    this.#hints.clear()
    try {
      this.#answer(owner, reader, request.receivedMs)
    } catch (error) {
      if (!(error instanceof AnswerTooLarge)) throw error
      writer.abandon()
      ticket.isAbandoned = true
      if (ticket.pending === 0) ticket.done()
      throw new WireError('the answer would be too large')
    }
    const needsAnswer = this.#options.acks !== 0
    if (needsAnswer) writer.finish(ticket)
    else writer.abandon()
    owner.accept(ticket)
    const error = ticket.error
    if (this.#probe.timesPhases()) ticket.localMs = this.#clock.monotonicMs()
    if (ticket.pending === 0) ticket.done()
    if (!needsAnswer && error !== 0) owner.closeAfterProduceError()
  }

  /** Walks the request and checks every length. */
  #check(reader: Reader): void {
    const isFlexible = this.#isFlexible
    skipNullableText(reader, isFlexible)
    reader.take(6)
    const topics = readCount(reader, isFlexible, 3)
    for (let t = 0; t < topics; t++) {
      if (this.#version >= TOPIC_IDS_SINCE) reader.take(UUID_BYTES)
      else reader.skipText(isFlexible ? reader.compactLength() : reader.stringLength())
      const partitions = readCount(reader, isFlexible, 5)
      for (let p = 0; p < partitions; p++) {
        reader.take(4)
        const length = isFlexible ? reader.compactLength() : reader.bytesLength()
        if (length < -1) throw new WireError(`records of ${length} bytes`)
        if (length > 0) reader.take(length)
        if (isFlexible) reader.skipTags()
      }
      if (isFlexible) reader.skipTags()
    }
    if (isFlexible) reader.skipTags()
    if (reader.position !== reader.end) {
      throw new WireError(`${reader.end - reader.position} bytes after the message`)
    }
  }

  #answer(owner: ProduceOwner, reader: Reader, receivedMs: number): void {
    const isFlexible = this.#isFlexible
    const writer = this.#writer
    const hasTransactionalId = skipNullableText(reader, isFlexible)
    const acks = reader.int16()
    const timeoutMs = reader.int32()
    const options = this.#options
    options.acks = acks === 0 || acks === 1 ? acks : -1
    options.allowsZstd = this.#version >= ZSTD_SINCE
    options.nowMs = this.#clock.nowMs()
    this.#deadlineMs = receivedMs + Math.max(0, timeoutMs)
    this.#refusal = 0
    if (acks < -1 || acks > 1) this.#refusal = INVALID_REQUIRED_ACKS
    if (hasTransactionalId) this.#refusal = TRANSACTIONAL_ID_AUTHORIZATION_FAILED

    const topics = isFlexible ? reader.compactLength() : reader.int32()
    writer.length(topics, isFlexible)
    for (let t = 0; t < topics; t++) this.#topic(reader)
    writer.int32(0) // throttle time
    if (this.#version >= LEADER_HINTS_SINCE) this.#hints.writeEndpoints(writer, owner.listener)
    else if (isFlexible) writer.int8(0)
  }

  #topic(reader: Reader): void {
    const isFlexible = this.#isFlexible
    const writer = this.#writer
    const { buffer } = reader
    const before = reader.position
    let topic: TopicPort | undefined
    if (this.#version >= TOPIC_IDS_SINCE) {
      const at = reader.take(UUID_BYTES)
      topic = this.#data.topicById(this.#ids.get(buffer, at, at + UUID_BYTES))
    } else {
      const length = isFlexible ? reader.compactLength() : reader.stringLength()
      const at = reader.take(length)
      topic = this.#data.topic(this.#names.get(buffer, at, at + length))
    }
    writer.bytes(buffer, before, reader.position)
    const partitions = isFlexible ? reader.compactLength() : reader.int32()
    writer.length(partitions, isFlexible)
    for (let p = 0; p < partitions; p++) {
      const index = reader.int32()
      const length = isFlexible ? reader.compactLength() : reader.bytesLength()
      const start = length > 0 ? reader.take(length) : reader.position
      this.#partition(topic, index, buffer, length < 0 ? -1 : start, start + length)
      if (isFlexible) reader.skipTags()
    }
    if (isFlexible) {
      reader.skipTags()
      writer.int8(0)
    }
  }

  /** `start` -1: no records at all. */
  #partition(
    topic: TopicPort | undefined,
    index: number,
    source: Buffer,
    start: number,
    end: number,
  ): void {
    const refusal = this.#refusalOf(topic, index)
    if (refusal !== 0) {
      const isTransactional = refusal === TRANSACTIONAL_ID_AUTHORIZATION_FAILED
      this.#writeError(topic, index, refusal, isTransactional ? NO_TRANSACTIONS : null)
      return
    }
    assert(topic !== undefined)
    if (start === -1) {
      this.#writeError(topic, index, INVALID_RECORD, 'There are no records.')
      return
    }
    // Transactional records belong to a transactional id, of which there is none.
    if (isTransactionalBatch(source, start, end)) {
      this.#writeError(topic, index, TRANSACTIONAL_ID_AUTHORIZATION_FAILED, NO_TRANSACTIONS)
      return
    }
    const partition = topic.partitions[index]!
    const outcome = this.#outcome
    partition.append(source, start, end, this.#options, outcome)
    if (outcome.error !== 0) this.#writeError(topic, index, outcome.error, outcome)
    else this.#writeAppended(partition, index)
  }

  /** Why records for this partition are not even looked at; 0: they are. */
  #refusalOf(topic: TopicPort | undefined, index: number): number {
    if (this.#refusal === TRANSACTIONAL_ID_AUTHORIZATION_FAILED) return this.#refusal
    if (topic === undefined) {
      return this.#version >= TOPIC_IDS_SINCE ? UNKNOWN_TOPIC_ID : UNKNOWN_TOPIC_OR_PARTITION
    }
    if (index < 0 || index >= topic.partitionCount) return UNKNOWN_TOPIC_OR_PARTITION
    if (this.#refusal !== 0) return this.#refusal
    // Coordinators alone write to their topics.
    if (topic.isInternal) return INVALID_TOPIC_EXCEPTION
    return topic.partitions[index] === undefined ? NOT_LEADER_OR_FOLLOWER : 0
  }

  #writeAppended(partition: PartitionPort, index: number): void {
    const writer = this.#writer
    const outcome = this.#outcome
    const ticket = this.#ticket!
    writer.int32(index)
    const slot = writer.offset
    writer.int16(0)
    writer.int64(outcome.firstOffset)
    writer.int64(outcome.logAppendTimeMs)
    if (this.#version >= LOG_START_SINCE) writer.int64(outcome.logStartOffset)
    if (this.#version >= FLEXIBLE_SINCE) {
      writer.int8(1) // no record errors
      writer.int8(0) // no message
      writer.int8(0) // no tagged fields
    } else if (this.#version >= RECORD_ERRORS_SINCE) {
      writer.int32(0)
      writer.int16(-1)
    }
    const { acks } = this.#options
    if (acks === 1) {
      ticket.pending++
      partition.awaitWrite(outcome.lastOffset, ticket, slot)
    } else if (acks === -1 && !partition.isReplicated(outcome.lastOffset)) {
      ticket.pending++
      partition.awaitReplication(outcome.lastOffset, this.#deadlineMs, ticket, slot)
    }
  }

  #writeError(
    topic: TopicPort | undefined,
    index: number,
    error: number,
    reason: AppendOutcome | string | null,
  ): void {
    const ticket = this.#ticket!
    if (ticket.error === 0) ticket.error = error
    const version = this.#version
    const isFlexible = this.#isFlexible
    const writer = this.#writer
    const outcome = reason instanceof AppendOutcome ? reason : undefined
    writer.int32(index)
    writer.int16(error)
    writer.int64(-1)
    writer.int64(-1)
    if (version >= LOG_START_SINCE) writer.int64(outcome?.logStartOffset ?? -1)
    if (version >= RECORD_ERRORS_SINCE) {
      const recordErrors = outcome?.recordErrors ?? []
      writer.length(recordErrors.length, isFlexible)
      for (const { batchIndex, message } of recordErrors) {
        writer.int32(batchIndex)
        writer.nullableString(shorten(message), isFlexible)
        if (isFlexible) writer.int8(0)
      }
      const message = typeof reason === 'string' ? reason : outcome?.message
      writer.nullableString(shorten(message), isFlexible)
    }
    if (!isFlexible) return
    const isHinted =
      version >= LEADER_HINTS_SINCE &&
      error === NOT_LEADER_OR_FOLLOWER &&
      topic !== undefined &&
      this.#hints.add(topic, index)
    writer.int8(isHinted ? 1 : 0)
    if (isHinted) this.#hints.writeLeader(writer, 0)
  }
}

function shorten(message: string | null | undefined): string | null | undefined {
  return message?.slice(0, ERROR_MESSAGE_CHARACTERS_MAX)
}

/** Returns whether it is not null. */
function skipNullableText(reader: Reader, isFlexible: boolean): boolean {
  const length = isFlexible ? reader.compactLength() : reader.stringLength()
  if (length === -1) return false
  reader.skipText(length)
  return true
}

function readCount(reader: Reader, isFlexible: boolean, elementBytesMin: number): number {
  const declared = isFlexible ? reader.compactLength() : reader.int32()
  return reader.count(declared, elementBytesMin)
}
