/**
 * What followers and leaders say to each other on a stream, framed by hand so that record bytes
 * pass through untouched. A message is one byte of format and a row of entries.
 *
 * A subscription is one partition on one stream, named by a handle that its follower makes and never
 * uses again on that stream: what is still under way for an earlier one is told apart from it.
 *
 * Invariant: every count and length is checked against the bytes that are there (RangeError).
 */
import { assert } from '../base/assert.ts'
import { readInt64, readUuid, writeInt64, writeUuid } from '../base/bytes.ts'

export const FORMAT = 1
export const HEADER_BYTES = 1

const HELLO = 1
const CREDIT = 2
const SUBSCRIBE = 3
const POSITION = 4
const UNSUBSCRIBE = 5
const LEAVE = 6
const DATA = 16
const ENDED = 17
const DIVERGED = 18

const UUID_BYTES = 16
const HELLO_BYTES = 1 + 4 + 8 + 4
const CREDIT_BYTES = 1 + 8
const SUBSCRIBE_BYTES = 1 + 4 + UUID_BYTES + 4 + 4 + 8 + 4 + 8 + 8
const POSITION_BYTES = 1 + 4 + 8 + 8
const UNSUBSCRIBE_BYTES = 1 + 4 + 1
const LEAVE_BYTES = 1 + 4 + UUID_BYTES + 4 + 4
/** In front of the records of a data entry. */
export const DATA_HEADER_BYTES = 1 + 4 + 8 + 8 + 4
const ENDED_BYTES = 1 + 4 + 2 + 8 + 8
const DIVERGED_BYTES = 1 + 4 + 4 + 8

/** Where a follower stands when it asks to be sent a partition. */
export interface Subscribe {
  readonly handle: number
  readonly topicId: string
  readonly index: number
  /** Of the leader that the follower believes in. */
  readonly leaderEpoch: number
  /** The end of its log. */
  readonly fetchOffset: number
  /** The leader epoch of the last record that it has; -1 when it has none. */
  readonly lastEpoch: number
  /** Below this it has all as safely as the topic's durability asks. */
  readonly position: number
  readonly logStartOffset: number
}

/** What a follower says. Calls in the order of the message. */
export interface FollowerSink {
  /**
   * The first entry of a stream; again when the broker has registered anew. `sequence` counts the
   * streams of a process to this leader: one that was overtaken by a later one is of no use.
   */
  onHello(nodeId: number, brokerEpoch: number, sequence: number): void
  /** Bytes of the leader's messages that the follower has dealt with since the stream began. */
  onCredit(receivedBytes: number): void
  onSubscribe(subscribe: Subscribe): void
  onPosition(handle: number, position: number, logStartOffset: number): void
  /** `isFailed`: the follower can't hold this partition for now. */
  onUnsubscribe(handle: number, isFailed: boolean): void
  /**
   * The follower is about to lose what it has: answered with `onEnded` and no error when it is out
   * of the ISR, and can't come in again before it subscribes.
   */
  onLeave(handle: number, topicId: string, index: number, leaderEpoch: number): void
}

/** What a leader says. Calls in the order of the message. */
export interface LeaderSink {
  /** Whole batches in source[start, end); none when only the watermark or the log's start is news. */
  onData(
    handle: number,
    highWatermark: number,
    logStartOffset: number,
    source: Buffer,
    start: number,
    end: number,
  ): void
  /** The subscription is over: a Kafka error code (0: it has left), and the leader's log for OFFSET_OUT_OF_RANGE. */
  onEnded(handle: number, error: number, logStartOffset: number, logEndOffset: number): void
  /** The subscription is over: the logs part at or below the end of this epoch (KIP-595). */
  onDiverged(handle: number, epoch: number, endOffset: number): void
}

/** Gathers entries; `take` gives the message. The buffer in between is used again. */
export class MessageWriter {
  #buffer = Buffer.allocUnsafe(1024)
  #at = HEADER_BYTES

  get isEmpty(): boolean {
    return this.#at === HEADER_BYTES
  }

  get sizeBytes(): number {
    return this.#at
  }

  hello(nodeId: number, brokerEpoch: number, sequence: number): void {
    assert(nodeId >= 0 && sequence > 0, 'a follower and its stream have a number')
    const at = this.#entry(HELLO, HELLO_BYTES)
    this.#buffer.writeInt32BE(nodeId, at)
    writeInt64(this.#buffer, brokerEpoch, at + 4)
    this.#buffer.writeUInt32BE(sequence, at + 12)
  }

  credit(receivedBytes: number): void {
    assert(receivedBytes >= 0, 'bytes are counted up')
    const at = this.#entry(CREDIT, CREDIT_BYTES)
    writeInt64(this.#buffer, receivedBytes, at)
  }

  subscribe(subscribe: Subscribe): void {
    assert(subscribe.handle > 0 && subscribe.leaderEpoch >= 0, 'it follows a leader')
    assert(subscribe.fetchOffset >= subscribe.position, 'what is safe is there')
    const at = this.#entry(SUBSCRIBE, SUBSCRIBE_BYTES)
    const buffer = this.#buffer
    buffer.writeUInt32BE(subscribe.handle, at)
    writeUuid(buffer, subscribe.topicId, at + 4)
    buffer.writeInt32BE(subscribe.index, at + 20)
    buffer.writeInt32BE(subscribe.leaderEpoch, at + 24)
    writeInt64(buffer, subscribe.fetchOffset, at + 28)
    buffer.writeInt32BE(subscribe.lastEpoch, at + 36)
    writeInt64(buffer, subscribe.position, at + 40)
    writeInt64(buffer, subscribe.logStartOffset, at + 48)
  }

  position(handle: number, position: number, logStartOffset: number): void {
    assert(handle > 0 && position >= 0, 'a position is of a subscription')
    const at = this.#entry(POSITION, POSITION_BYTES)
    this.#buffer.writeUInt32BE(handle, at)
    writeInt64(this.#buffer, position, at + 4)
    writeInt64(this.#buffer, logStartOffset, at + 12)
  }

  unsubscribe(handle: number, isFailed: boolean): void {
    assert(handle > 0, 'there is something to end')
    const at = this.#entry(UNSUBSCRIBE, UNSUBSCRIBE_BYTES)
    this.#buffer.writeUInt32BE(handle, at)
    this.#buffer[at + 4] = isFailed ? 1 : 0
  }

  leave(handle: number, topicId: string, index: number, leaderEpoch: number): void {
    const at = this.#entry(LEAVE, LEAVE_BYTES)
    this.#buffer.writeUInt32BE(handle, at)
    writeUuid(this.#buffer, topicId, at + 4)
    this.#buffer.writeInt32BE(index, at + 20)
    this.#buffer.writeInt32BE(leaderEpoch, at + 24)
  }

  ended(handle: number, error: number, logStartOffset: number, logEndOffset: number): void {
    const at = this.#entry(ENDED, ENDED_BYTES)
    this.#buffer.writeUInt32BE(handle, at)
    this.#buffer.writeInt16BE(error, at + 4)
    writeInt64(this.#buffer, logStartOffset, at + 6)
    writeInt64(this.#buffer, logEndOffset, at + 14)
  }

  diverged(handle: number, epoch: number, endOffset: number): void {
    assert(endOffset >= 0, 'a place to cut at')
    const at = this.#entry(DIVERGED, DIVERGED_BYTES)
    this.#buffer.writeUInt32BE(handle, at)
    this.#buffer.writeInt32BE(epoch, at + 4)
    writeInt64(this.#buffer, endOffset, at + 8)
  }

  /** A data entry without records. */
  watermark(handle: number, highWatermark: number, logStartOffset: number): void {
    const at = this.#entry(DATA, DATA_HEADER_BYTES) - 1
    writeDataHeader(this.#buffer, at, { handle, highWatermark, logStartOffset, recordBytes: 0 })
  }

  /** Drops what was gathered. */
  clear(): void {
    this.#at = HEADER_BYTES
  }

  /** The message, which is the caller's; the writer is empty again. */
  take(): Buffer {
    assert(!this.isEmpty, 'an empty message is not sent')
    const message = Buffer.allocUnsafe(this.#at)
    this.#buffer[0] = FORMAT
    this.#buffer.copy(message, 0, 0, this.#at)
    this.#at = HEADER_BYTES
    return message
  }

  /** The entries, without the format byte, to `target` at `at`; the writer is empty again. */
  takeInto(target: Buffer, at: number): number {
    assert(at + this.#at - HEADER_BYTES <= target.length, 'the message has room')
    this.#buffer.copy(target, at, HEADER_BYTES, this.#at)
    const length = this.#at - HEADER_BYTES
    this.#at = HEADER_BYTES
    return length
  }

  #entry(type: number, sizeBytes: number): number {
    const at = this.#at
    if (at + sizeBytes > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(this.#buffer.length * 2)
      this.#buffer.copy(larger, 0, 0, at)
      this.#buffer = larger
    }
    this.#buffer[at] = type
    this.#at = at + sizeBytes
    return at + 1
  }
}

/** In front of records at `target[at + DATA_HEADER_BYTES)`. */
export function writeDataHeader(
  target: Buffer,
  at: number,
  entry: {
    readonly handle: number
    readonly highWatermark: number
    readonly logStartOffset: number
    readonly recordBytes: number
  },
): void {
  assert(entry.highWatermark >= 0 && entry.logStartOffset >= 0, 'offsets of a log')
  assert(at + DATA_HEADER_BYTES + entry.recordBytes <= target.length, 'the records are there')
  target[at] = DATA
  target.writeUInt32BE(entry.handle, at + 1)
  writeInt64(target, entry.highWatermark, at + 5)
  writeInt64(target, entry.logStartOffset, at + 13)
  target.writeUInt32BE(entry.recordBytes, at + 21)
}

/** Throws RangeError for what no follower of this release says. */
export function readFollowerMessage(message: Buffer, sink: FollowerSink): void {
  for (let at = checkFormat(message); at < message.length; ) {
    const type = message[at]!
    const from = at + 1
    at += sizeOfFollowerEntry(type)
    if (at > message.length) throw new RangeError('an entry is cut')
    switch (type) {
      case HELLO:
        sink.onHello(
          message.readInt32BE(from),
          readOffset(message, from + 4),
          message.readUInt32BE(from + 12),
        )
        break
      case CREDIT:
        sink.onCredit(readOffset(message, from))
        break
      case SUBSCRIBE:
        sink.onSubscribe(readSubscribe(message, from))
        break
      case POSITION:
        sink.onPosition(
          message.readUInt32BE(from),
          readOffset(message, from + 4),
          readOffset(message, from + 12),
        )
        break
      case UNSUBSCRIBE:
        sink.onUnsubscribe(message.readUInt32BE(from), message[from + 4] === 1)
        break
      case LEAVE:
        sink.onLeave(
          message.readUInt32BE(from),
          readUuid(message, from + 4),
          readIndex(message, from + 20),
          message.readInt32BE(from + 24),
        )
        break
    }
  }
}

/** Throws RangeError for what no leader of this release says. */
export function readLeaderMessage(message: Buffer, sink: LeaderSink): void {
  for (let at = checkFormat(message); at < message.length; ) {
    const type = message[at]!
    const from = at + 1
    at += sizeOfLeaderEntry(type)
    if (at > message.length) throw new RangeError('an entry is cut')
    const handle = message.readUInt32BE(from)
    if (type === DATA) {
      const start = at
      at += message.readUInt32BE(from + 20)
      if (at > message.length) throw new RangeError('records are cut')
      const highWatermark = readOffset(message, from + 4)
      sink.onData(handle, highWatermark, readOffset(message, from + 12), message, start, at)
    } else if (type === ENDED) {
      const error = message.readInt16BE(from + 4)
      sink.onEnded(handle, error, readOffset(message, from + 6), readOffset(message, from + 14))
    } else {
      sink.onDiverged(handle, message.readInt32BE(from + 4), readOffset(message, from + 8))
    }
  }
}

function checkFormat(message: Buffer): number {
  if (message.length < HEADER_BYTES) throw new RangeError('an empty message')
  if (message[0] !== FORMAT) throw new RangeError(`a message of format ${message[0]}`)
  return HEADER_BYTES
}

function sizeOfFollowerEntry(type: number): number {
  switch (type) {
    case HELLO:
      return HELLO_BYTES
    case CREDIT:
      return CREDIT_BYTES
    case SUBSCRIBE:
      return SUBSCRIBE_BYTES
    case POSITION:
      return POSITION_BYTES
    case UNSUBSCRIBE:
      return UNSUBSCRIBE_BYTES
    case LEAVE:
      return LEAVE_BYTES
    default:
      throw new RangeError(`an entry of type ${type} from a follower`)
  }
}

function sizeOfLeaderEntry(type: number): number {
  switch (type) {
    case DATA:
      return DATA_HEADER_BYTES
    case ENDED:
      return ENDED_BYTES
    case DIVERGED:
      return DIVERGED_BYTES
    default:
      throw new RangeError(`an entry of type ${type} from a leader`)
  }
}

function readSubscribe(message: Buffer, at: number): Subscribe {
  const handle = message.readUInt32BE(at)
  if (handle === 0) throw new RangeError('handle 0')
  return {
    handle,
    topicId: readUuid(message, at + 4),
    index: readIndex(message, at + 20),
    leaderEpoch: message.readInt32BE(at + 24),
    fetchOffset: readOffset(message, at + 28),
    lastEpoch: message.readInt32BE(at + 36),
    position: readOffset(message, at + 40),
    logStartOffset: readOffset(message, at + 48),
  }
}

function readIndex(source: Buffer, at: number): number {
  const index = source.readInt32BE(at)
  if (index < 0) throw new RangeError(`partition ${index}`)
  return index
}

function readOffset(source: Buffer, at: number): number {
  const offset = readInt64(source, at)
  if (offset < 0) throw new RangeError(`offset ${offset}`)
  return offset
}
