/**
 * The bytes of a Fetch answer, v4 to v18. Records are read from the log straight to their place in
 * it. What a read can't give (damaged bytes, a codec that the client does not know) costs its own
 * partition only.
 *
 * Damage: the partition is told and the client gets KAFKA_STORAGE_ERROR. It then asks for metadata
 * and tries again, elsewhere if the partition has moved; CORRUPT_MESSAGE would end most consumers
 * for good, though another replica can have the records.
 */
import { CorruptionError, StorageError } from '../../base/errors.ts'
import {
  attributesAt,
  batchSizeAt,
  CODEC_MASK,
  RECORDS_AT,
  recordCountAt,
} from '../../log/format.ts'
import { ReadPlan } from '../../log/partition-log.ts'
import type { Isolation } from '../broker.ts'
import {
  FENCED_LEADER_EPOCH,
  KAFKA_STORAGE_ERROR,
  NOT_LEADER_OR_FOLLOWER,
  UNSUPPORTED_COMPRESSION_TYPE,
} from '../wire/errors.ts'
import { type AnswerWriter, putUvarint, uvarintBytes } from './answer-writer.ts'
import type { FetchEntry } from './fetch-entries.ts'
import { locateError } from './fetch-plan.ts'
import { FLEXIBLE_SINCE, TOPIC_IDS_SINCE } from './fetch-request.ts'
import type { LeaderHints } from './leader-hints.ts'

const SESSIONS_SINCE = 7
const LOG_START_SINCE = 5
const PREFERRED_REPLICA_SINCE = 11
const LEADER_HINTS_SINCE = 16
const ZSTD_SINCE = 10
const ZSTD = 4
const DIVERGING_EPOCH_TAG = 0
const CURRENT_LEADER_TAG = 1
const DIVERGING_EPOCH_BYTES = 13

/** What one answer is made of. */
export interface AnswerFrame {
  readonly version: number
  readonly correlationId: number
  readonly listener: string
  readonly isolation: Isolation
  /** The reader may be served by a follower (KIP-392). */
  readonly mayFollow: boolean
  /** Of the whole answer. */
  readonly error: number
  readonly sessionId: number
  /** First error of a partition; set by the encoder. */
  partitionError: number
}

export class FetchEncoder {
  readonly writer: AnswerWriter
  readonly #hints: LeaderHints
  #version = 0
  #isFlexible = false

  constructor(writer: AnswerWriter, hints: LeaderHints) {
    this.writer = writer
    this.#hints = hints
  }

  /** Everything in front of the topics. */
  begin(frame: AnswerFrame, included: readonly FetchEntry[]): void {
    const { writer } = this
    this.#version = frame.version
    this.#isFlexible = frame.version >= FLEXIBLE_SINCE
    this.#hints.clear()
    writer.begin(frame.correlationId, this.#isFlexible)
    writer.int32(0) // throttle time
    if (frame.version >= SESSIONS_SINCE) {
      writer.int16(frame.error)
      writer.int32(frame.sessionId)
    }
    writer.length(countTopics(included), this.#isFlexible)
  }

  /** In front of the first partition of a topic, and of each that follows one of another topic. */
  beginTopic(included: readonly FetchEntry[], from: number): void {
    const { writer } = this
    const { topicKey } = included[from]!
    if (this.#version >= TOPIC_IDS_SINCE) {
      writer.reserve(16)
      writer.buffer.write(topicKey, writer.position, 16, 'base64url')
      writer.position += 16
    } else writer.string(topicKey, this.#isFlexible)
    let until = from + 1
    while (until < included.length && included[until]!.topicKey === topicKey) until++
    writer.length(until - from, this.#isFlexible)
  }

  endTopic(): void {
    if (this.#isFlexible) this.writer.int8(0)
  }

  end(frame: AnswerFrame): void {
    if (this.#version >= LEADER_HINTS_SINCE) this.#hints.writeEndpoints(this.writer, frame.listener)
    else if (this.#isFlexible) this.writer.int8(0)
  }

  /** Returns the bytes of records. */
  partition(frame: AnswerFrame, entry: FetchEntry): number {
    const lengthAt = this.#openPartition(frame, entry)
    if (lengthAt === -1) return 0
    const { writer } = this
    const at = this.#recordsAt(lengthAt, entry.wantedBytes)
    let copied: number
    try {
      const { plan, limitOffset } = entry
      copied = entry.partition!.copy(plan!, limitOffset, writer.buffer, at, entry.wantedBytes)
    } catch (error) {
      return this.#onUnreadable(frame, entry, error)
    }
    return this.#closePartition(frame, entry, lengthAt, copied)
  }

  /** As `partition`, for records that may have to come from the device. */
  async partitionCold(
    frame: AnswerFrame,
    entry: FetchEntry,
    stillWanted: () => boolean,
  ): Promise<number> {
    this.#look(frame, entry)
    const lengthAt = this.#openPartition(frame, entry)
    if (lengthAt === -1) return 0
    const { writer } = this
    const { plan, limitOffset, partition } = entry
    const at = this.#recordsAt(lengthAt, entry.wantedBytes)
    let copied: number
    try {
      copied = plan!.isCold
        ? await partition!.copyAsync(plan!, limitOffset, writer.buffer, at, entry.wantedBytes)
        : partition!.copy(plan!, limitOffset, writer.buffer, at, entry.wantedBytes)
    } catch (error) {
      return stillWanted() ? this.#onUnreadable(frame, entry, error) : 0
    }
    if (!stillWanted()) return 0
    // The partition may have another leader by now, or be gone.
    const error = partition!.checkReader(entry.leaderEpoch, frame.mayFollow)
    if (error !== 0) return this.#rewrite(frame, entry, error)
    return this.#closePartition(frame, entry, lengthAt, copied)
  }

  /** Time has passed since the plan was made, so that it may be good no more. */
  #look(frame: AnswerFrame, entry: FetchEntry): void {
    const { partition, wantedBytes } = entry
    if (entry.error !== 0 || wantedBytes === 0 || partition === undefined) return
    entry.wantedBytes = 0
    entry.error = partition.checkReader(entry.leaderEpoch, frame.mayFollow)
    if (entry.error !== 0) return
    entry.limitOffset = partition.readLimit(frame.isolation)
    entry.plan ??= new ReadPlan()
    partition.locate(entry.fetchOffset, entry.limitOffset, entry.plan)
    entry.error = locateError(entry, entry.plan)
    if (entry.error === 0 && entry.plan.firstBatchBytes <= wantedBytes) {
      entry.wantedBytes = wantedBytes
    }
  }

  #partitionAt = 0

  /**
   * The fields before the records. Returns where the length of the records goes (counted from the
   * start of the answer), or -1 when there are none to read and the partition is complete.
   */
  #openPartition(frame: AnswerFrame, entry: FetchEntry): number {
    const { writer } = this
    this.#partitionAt = writer.offset
    if (entry.error !== 0) {
      this.#writeError(frame, entry)
      return -1
    }
    const partition = entry.partition!
    entry.toldHighWatermark = partition.highWatermark
    entry.toldLogStartOffset = partition.logStartOffset
    writer.int32(entry.index)
    writer.int16(0)
    writer.int64(entry.toldHighWatermark)
    writer.int64(partition.lastStableOffset)
    if (this.#version >= LOG_START_SINCE) writer.int64(entry.toldLogStartOffset)
    this.#abortedAt = writer.offset
    // Before the records are read it is not known how far they reach: none, or null, for now.
    writer.length(frame.isolation === 'committed' ? 0 : -1, this.#isFlexible)
    if (this.#version >= PREFERRED_REPLICA_SINCE) writer.int32(entry.preferredReplica)
    if (entry.wantedBytes > 0) return writer.offset
    writer.length(0, this.#isFlexible)
    if (entry.divergingEpoch !== -1 && this.#isFlexible) this.#writeDivergingEpoch(entry)
    else if (this.#isFlexible) writer.int8(0)
    return -1
  }

  #abortedAt = 0

  #writeDivergingEpoch(entry: FetchEntry): void {
    const { writer } = this
    writer.int8(1)
    writer.int8(DIVERGING_EPOCH_TAG)
    writer.int8(DIVERGING_EPOCH_BYTES)
    writer.int32(entry.divergingEpoch)
    writer.int64(entry.divergingEndOffset)
    writer.int8(0)
  }

  #writeError(frame: AnswerFrame, entry: FetchEntry): void {
    const { writer } = this
    if (frame.partitionError === 0) frame.partitionError = entry.error
    // When the error has gone, the client is to be told of the partition again.
    entry.toldHighWatermark = -1
    entry.toldLogStartOffset = -1
    writer.int32(entry.index)
    writer.int16(entry.error)
    writer.int64(-1)
    writer.int64(-1)
    if (this.#version >= LOG_START_SINCE) writer.int64(-1)
    writer.length(-1, this.#isFlexible)
    if (this.#version >= PREFERRED_REPLICA_SINCE) writer.int32(-1)
    writer.length(0, this.#isFlexible)
    if (!this.#isFlexible) return
    const isHinted =
      this.#version >= LEADER_HINTS_SINCE &&
      (entry.error === NOT_LEADER_OR_FOLLOWER || entry.error === FENCED_LEADER_EPOCH) &&
      entry.topic !== undefined &&
      this.#hints.add(entry.topic, entry.index)
    writer.int8(isHinted ? 1 : 0)
    if (isHinted) this.#hints.writeLeader(writer, CURRENT_LEADER_TAG)
  }

  /** The partition's part of the answer becomes an error. */
  #rewrite(frame: AnswerFrame, entry: FetchEntry, error: number): number {
    const { writer } = this
    writer.position -= writer.offset - this.#partitionAt
    entry.error = error
    this.#writeError(frame, entry)
    return 0
  }

  #onUnreadable(frame: AnswerFrame, entry: FetchEntry, error: unknown): number {
    if (!(error instanceof CorruptionError) && !(error instanceof StorageError)) throw error
    entry.partition!.onCorruption(error)
    return this.#rewrite(frame, entry, KAFKA_STORAGE_ERROR)
  }

  #lengthBytes(recordBytes: number): number {
    return this.#isFlexible ? uvarintBytes(recordBytes + 1) : 4
  }

  /** Makes room for `wantedBytes` of records behind their length; returns where they begin. */
  #recordsAt(lengthAt: number, wantedBytes: number): number {
    const { writer } = this
    const lengthBytes = this.#lengthBytes(wantedBytes)
    writer.reserve(lengthBytes + wantedBytes + 1)
    return writer.position - (writer.offset - lengthAt) + lengthBytes
  }

  /**
   * Puts the length in front of the records, which were read to where that of `wantedBytes` ends.
   */
  #closePartition(frame: AnswerFrame, entry: FetchEntry, lengthAt: number, copied: number): number {
    const { writer } = this
    const expected = this.#lengthBytes(entry.wantedBytes)
    const actual = this.#lengthBytes(copied)
    const start = writer.position - (writer.offset - lengthAt)
    const { buffer } = writer
    const readAt = start + expected
    if (actual !== expected) buffer.copyWithin(start + actual, readAt, readAt + copied)
    if (this.#isFlexible) putUvarint(buffer, start, copied + 1)
    else buffer.writeInt32BE(copied, start)
    writer.position = start + actual + copied
    if (copied === 0) {
      if (this.#isFlexible) writer.int8(0)
      return 0
    }
    const records = this.#countRecords(buffer, start + actual, start + actual + copied)
    if (records === -1) return this.#rewrite(frame, entry, UNSUPPORTED_COMPRESSION_TYPE)
    if (frame.isolation === 'committed') this.#insertAborted(entry)
    if (this.#isFlexible) writer.int8(0)
    const partition = entry.partition!
    partition.recordsOut += records
    partition.bytesOut += copied
    return copied
  }

  /** Of the batches in buffer[start, end); -1 when one has a codec that the client can't know. */
  #countRecords(buffer: Buffer, start: number, end: number): number {
    const knowsZstd = this.#version >= ZSTD_SINCE
    let records = 0
    let at = start
    while (end - at >= RECORDS_AT) {
      if (!knowsZstd && (attributesAt(buffer, at) & CODEC_MASK) === ZSTD) return -1
      records += recordCountAt(buffer, at)
      at += batchSizeAt(buffer, at)
    }
    return records
  }

  /** The aborted transactions among the records that were read, where there are any. */
  #insertAborted(entry: FetchEntry): void {
    const { nextOffset } = entry.plan!
    const aborted = entry.partition!.abortedTransactions(entry.fetchOffset, nextOffset)
    if (aborted.length === 0) return
    const { writer } = this
    const isFlexible = this.#isFlexible
    const before = isFlexible ? 1 : 4
    const after = isFlexible ? uvarintBytes(aborted.length + 1) : 4
    const bytes = after - before + aborted.length * (isFlexible ? 17 : 16)
    writer.reserve(bytes)
    const end = writer.position
    const at = end - (writer.offset - this.#abortedAt)
    writer.buffer.copyWithin(at + before + bytes, at + before, end)
    writer.position = at
    writer.length(aborted.length, isFlexible)
    for (const { producerId, firstOffset } of aborted) {
      writer.int64(producerId)
      writer.int64(firstOffset)
      if (isFlexible) writer.int8(0)
    }
    writer.position = end + bytes
  }
}

/**
 * Runs of partitions of one topic: the order of the partitions counts for more than their grouping.
 */
function countTopics(included: readonly FetchEntry[]): number {
  let topics = 0
  for (let i = 0; i < included.length; i++) {
    if (i === 0 || included[i]!.topicKey !== included[i - 1]!.topicKey) topics++
  }
  return topics
}

/** Does another topic begin at `index`? */
export function startsTopic(included: readonly FetchEntry[], index: number): boolean {
  return index === 0 || included[index]!.topicKey !== included[index - 1]!.topicKey
}
