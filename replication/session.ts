/**
 * The leader's end of one follower's stream. Records leave at the end of the turn in which they
 * were written, many partitions in one message; what one turn may not send waits in a row.
 *
 * Invariants: at most the window (and one message) is under way that the follower has not dealt
 * with; a partition gets its share and goes to the end of its row, followers in the ISR first; work
 * is per partition with news, never per partition subscribed.
 */
import { assert } from '../base/assert.ts'
import type { Timer } from '../base/clock.ts'
import { CorruptionError, StorageError } from '../base/errors.ts'
import type { RpcError, RpcStream, RpcStreamHandler } from '../base/rpc.ts'
import type { Flushable } from '../base/turn.ts'
import { isBeforeAll } from './admission.ts'
import { KAFKA_STORAGE_ERROR, NOT_LEADER_OR_FOLLOWER, OFFSET_OUT_OF_RANGE } from './errors.ts'
import { MessageBuffers } from './message-buffers.ts'
import {
  DATA_HEADER_BYTES,
  FORMAT,
  type FollowerSink,
  HEADER_BYTES,
  MessageWriter,
  readFollowerMessage,
  type Subscribe,
  writeDataHeader,
} from './messages.ts'
import { Row } from './row.ts'
import type { Parked, ReplicaService, ReplicaServiceParts } from './service.ts'
import { type FeedStream, Subscription } from './subscription.ts'

/** Bytes on their way to one follower. */
const WINDOW_BYTES = 2 * 1024 * 1024
/** Those who have to catch up leave this much of the window to the others. */
const LIVE_WINDOW_BYTES = 1024 * 1024
const MESSAGE_BYTES = 1024 * 1024
/** What one partition gets at a time while others wait. */
const SHARE_BYTES = 256 * 1024
/** A watermark that nothing else carries leaves after this. */
const WATERMARK_MS = 5

export class FollowerSession implements RpcStreamHandler, FollowerSink, FeedStream, Flushable {
  queued = false
  readonly #service: ReplicaService
  readonly #parts: ReplicaServiceParts
  readonly #stream: RpcStream
  readonly #provenId: number | undefined
  #followerId = -1
  #brokerEpoch = -1
  #sequence = 0
  readonly #subscriptions = new Map<number, Subscription>()
  readonly #parked = new Map<number, Parked>()
  readonly #live = new Row()
  readonly #behind = new Row()
  readonly #watermarks = new Row()
  readonly #writer = new MessageWriter()
  readonly #buffers = new MessageBuffers()
  /** Of the message that is being made. */
  readonly #chosen: Subscription[] = []
  readonly #wanted: number[] = []
  #sentBytes = 0
  #dealtWithBytes = 0
  #isBlocked = false
  #isReading = false
  #isClosed = false
  #watermarkTimer: Timer | undefined
  #throttleTimer: Timer | undefined

  constructor(service: ReplicaService, stream: RpcStream, provenId: number | undefined) {
    this.#service = service
    this.#parts = service.parts
    this.#stream = stream
    this.#provenId = provenId
  }

  onMessage(message: Buffer): void {
    if (this.#isClosed) return
    try {
      readFollowerMessage(message, this)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.#parts.logger.warn('A follower sent bytes that are no message of ours.', {
        follower: this.#followerId,
        remote: this.#stream.remote,
        error: error.message,
      })
      this.#stream.cancel()
    }
  }

  onDrain(): void {
    this.#isBlocked = false
    this.#wake()
  }

  onClose(_error: RpcError | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#watermarkTimer?.cancel()
    this.#throttleTimer?.cancel()
    for (const subscription of [...this.#subscriptions.values()]) this.#drop(subscription, false)
    for (const parked of this.#parked.values()) this.#service.unpark(parked)
    this.#parked.clear()
    this.#service.forget(this)
  }

  close(): void {
    this.#stream.cancel()
    this.onClose(undefined)
  }

  onHello(nodeId: number, brokerEpoch: number, sequence: number): void {
    if (this.#provenId !== undefined && nodeId !== this.#provenId) {
      throw new RangeError(`node ${this.#provenId} says that it is node ${nodeId}`)
    }
    if (this.#followerId >= 0 && nodeId !== this.#followerId) {
      throw new RangeError(`node ${this.#followerId} says that it is node ${nodeId} now`)
    }
    this.#followerId = nodeId
    this.#brokerEpoch = brokerEpoch
    this.#sequence = sequence
    for (const { remote } of this.#subscriptions.values()) remote.brokerEpoch = brokerEpoch
    this.#service.introduce(this)
  }

  /** Streams of one follower in the order in which it opened them. */
  isBefore(other: FollowerSession): boolean {
    if (this.#brokerEpoch !== other.#brokerEpoch) return this.#brokerEpoch < other.#brokerEpoch
    return this.#sequence < other.#sequence
  }

  onCredit(receivedBytes: number): void {
    if (receivedBytes < this.#dealtWithBytes || receivedBytes > this.#sentBytes) {
      throw new RangeError(`${receivedBytes} bytes dealt with of ${this.#sentBytes}`)
    }
    this.#dealtWithBytes = receivedBytes
    this.#service.recent.clear()
    this.#buffers.dealtWith(receivedBytes)
    this.#wake()
  }

  onSubscribe(subscribe: Subscribe): void {
    if (this.#isClosed) return // it was overtaken by a later stream
    if (this.#followerId < 0) throw new RangeError('a follower first says who it is')
    const isKnown = this.#subscriptions.has(subscribe.handle) || this.#parked.has(subscribe.handle)
    if (isKnown) throw new RangeError(`handle ${subscribe.handle} is used twice`)
    this.subscribe(subscribe)
  }

  /** Also when one that was parked is looked at again. */
  subscribe(subscribe: Subscribe): void {
    this.#parked.delete(subscribe.handle)
    const partition = this.#parts.find(subscribe.topicId, subscribe.index)
    const admission = partition?.admit(this.#followerId, subscribe) ?? { kind: 'later' as const }
    switch (admission.kind) {
      case 'later':
        this.#parked.set(subscribe.handle, this.#service.park(this, subscribe))
        return
      case 'refused': {
        const { logStartOffset, logEndOffset } = partition!
        this.#writer.ended(subscribe.handle, admission.error, logStartOffset, logEndOffset)
        break
      }
      case 'diverged':
        this.#writer.diverged(subscribe.handle, admission.epoch, admission.endOffset)
        break
      case 'admitted': {
        const subscription = new Subscription({
          handle: subscribe.handle,
          partition: partition!,
          remote: admission.remote,
          nextOffset: subscribe.fetchOffset,
          stream: this,
        })
        this.#subscriptions.set(subscribe.handle, subscription)
        partition!.attach(admission.remote, subscription, subscribe, this.#brokerEpoch)
        subscription.onWritten()
        subscription.onWatermark()
      }
    }
    this.#wake()
  }

  onPosition(handle: number, position: number, logStartOffset: number): void {
    const parked = this.#parked.get(handle)
    if (parked !== undefined) {
      checkPosition(position, parked.subscribe.fetchOffset)
      // It is not told again: what is looked at later begins with it.
      parked.subscribe = { ...parked.subscribe, position, logStartOffset }
      return
    }
    const subscription = this.#subscriptions.get(handle)
    if (subscription === undefined) return // it has ended here meanwhile
    checkPosition(position, subscription.nextOffset)
    subscription.partition.onReplicaPosition(subscription.remote, position, logStartOffset)
  }

  onUnsubscribe(handle: number, isFailed: boolean): void {
    const parked = this.#parked.get(handle)
    if (parked !== undefined) {
      this.#parked.delete(handle)
      this.#service.unpark(parked)
    }
    const subscription = this.#subscriptions.get(handle)
    if (subscription !== undefined) this.#drop(subscription, isFailed)
  }

  onLeave(handle: number, topicId: string, index: number, leaderEpoch: number): void {
    if (this.#followerId < 0) throw new RangeError('a follower first says who it is')
    const answer = (error: number) => {
      if (this.#isClosed) return
      this.#writer.ended(handle, error, 0, 0)
      this.#wake()
    }
    const partition = this.#parts.find(topicId, index)
    const leader = partition?.leaderEpoch === leaderEpoch ? partition.leader : undefined
    if (leader === undefined) answer(NOT_LEADER_OR_FOLLOWER)
    else leader.leave(this.#followerId, () => answer(0))
  }

  queue(subscription: Subscription): void {
    assert(!subscription.isQueued, 'it stands in one row')
    subscription.isQueued = true
    if (subscription.isLive) this.#live.push(subscription)
    else this.#behind.push(subscription)
    this.#wake()
  }

  queueWatermark(subscription: Subscription): void {
    assert(!subscription.isWatermarkQueued, 'it stands there once')
    subscription.isWatermarkQueued = true
    this.#watermarks.push(subscription)
    if (this.#watermarkTimer !== undefined) return
    this.#watermarkTimer = this.#parts.clock.after(WATERMARK_MS, () => {
      this.#watermarkTimer = undefined
      this.#writeWatermarks()
      if (!this.#writer.isEmpty) this.#wake()
    })
  }

  /** The partition has ended it: another leader, another replica set. 0: the follower knows. */
  onEnded(subscription: Subscription, error: number): void {
    this.#drop(subscription, false)
    if (error === 0 || this.#isClosed) return
    this.#writer.ended(subscription.handle, error, 0, 0)
    this.#wake()
  }

  #drop(subscription: Subscription, isFailed: boolean): void {
    subscription.isOver = true
    this.#subscriptions.delete(subscription.handle)
    subscription.partition.detach(subscription.remote, subscription, isFailed)
  }

  #wake(): void {
    if (!this.queued && !this.#isClosed) this.#parts.turn.connections(this)
  }

  /** The end of the turn. */
  flush(): void {
    if (this.#isClosed) return
    while (!this.#isBlocked && this.#makeMessage()) {}
  }

  get #underWayBytes(): number {
    return this.#sentBytes - this.#dealtWithBytes
  }

  #makeMessage(): boolean {
    const room = Math.min(MESSAGE_BYTES, WINDOW_BYTES - this.#underWayBytes)
    let recordBytes = 0
    if (room > 0) recordBytes = this.#choose(this.#live, room, 0)
    const roomBehind = Math.min(room, WINDOW_BYTES - LIVE_WINDOW_BYTES - this.#underWayBytes)
    if (roomBehind > recordBytes) recordBytes = this.#choose(this.#behind, roomBehind, recordBytes)
    if (this.#chosen.length > 0) this.#writeWatermarks()
    if (this.#chosen.length === 0 && this.#writer.isEmpty) return false
    if (this.#chosen.length === 0) this.#send(this.#writer.take())
    else this.#sendRecords(recordBytes)
    return true
  }

  /** Takes from the row what fits. Returns the bytes of all records that were chosen. */
  #choose(row: Row, room: number, before: number): number {
    assert(room > before, 'there is room for something')
    let recordBytes = before
    for (let left = row.size; left > 0 && recordBytes < room; left--) {
      const subscription = row.shift()!
      subscription.isQueued = false
      if (subscription.isOver) continue
      if (row === this.#behind && this.#isHeldBack(subscription)) continue
      const shareBytes = Math.min(SHARE_BYTES, room - recordBytes)
      let wantedBytes = this.#tailBytes(subscription, shareBytes)
      const isInTail = wantedBytes > 0
      const { plan } = subscription
      if (!isInTail) {
        if (!this.#locate(subscription)) continue
        wantedBytes = Math.max(Math.min(plan.availableBytes, shareBytes), plan.firstBatchBytes)
      }
      if (recordBytes > 0 && recordBytes + wantedBytes > room) {
        this.#putBack(subscription, row)
        break
      }
      if (!isInTail && plan.isCold) {
        this.#readCold(subscription, row)
        continue
      }
      subscription.isInTail = isInTail
      this.#chosen.push(subscription)
      this.#wanted.push(wantedBytes)
      recordBytes += wantedBytes
    }
    return recordBytes
  }

  /** It waits until it may be sent more. */
  #isHeldBack(subscription: Subscription): boolean {
    const { throttle } = this.#service
    if (this.#parts.isThrottled?.(subscription.partition) !== true || throttle.isOpen()) {
      return false
    }
    this.#putBack(subscription, this.#behind)
    this.#throttleTimer ??= this.#parts.clock.after(throttle.waitMs(), () => {
      this.#throttleTimer = undefined
      this.#wake()
    })
    return true
  }

  #putBack(subscription: Subscription, row: Row): void {
    assert(!subscription.isQueued && !subscription.isOver, 'it was taken from its row')
    subscription.isQueued = true
    row.push(subscription)
  }

  /** What may be sent from memory. */
  #tailBytes({ partition, nextOffset }: Subscription, limitBytes: number): number {
    const { log, tail } = partition
    if (nextOffset < log.logStartOffset || nextOffset >= log.writtenOffset) return 0
    return tail.bytesFrom(nextOffset, log.writtenOffset, limitBytes)
  }

  /** False when there is nothing to send, or nothing that can be read. */
  #locate(subscription: Subscription): boolean {
    const { partition, plan, nextOffset } = subscription
    const upTo = partition.log.writtenOffset
    if (nextOffset >= upTo) return false
    const { log } = partition
    log.locate(
      isBeforeAll(log, nextOffset) ? nextOffset : Math.max(nextOffset, log.logStartOffset),
      upTo,
      plan,
    )
    if (plan.error === 0) return plan.firstBatchBytes > 0
    if (plan.error === OFFSET_OUT_OF_RANGE) {
      this.#endWith(subscription, OFFSET_OUT_OF_RANGE)
    } else {
      this.#onUnreadable(
        subscription,
        new CorruptionError(partition.log.directory, `offset ${nextOffset} can't be read`),
      )
    }
    return false
  }

  #endWith(subscription: Subscription, error: number): void {
    const { logStartOffset, logEndOffset } = subscription.partition
    this.#drop(subscription, false)
    this.#writer.ended(subscription.handle, error, logStartOffset, logEndOffset)
  }

  #onUnreadable(subscription: Subscription, error: unknown): void {
    if (!(error instanceof CorruptionError) && !(error instanceof StorageError)) throw error
    this.#endWith(subscription, KAFKA_STORAGE_ERROR)
    subscription.partition.onCorruption(error, subscription.nextOffset)
  }

  #sendRecords(recordBytes: number): void {
    const chosen = this.#chosen.length
    assert(chosen > 0 && chosen === this.#wanted.length, 'each has its share')
    assert(recordBytes > 0, 'a share is not empty')
    const smallBytes = this.#writer.isEmpty ? 0 : this.#writer.sizeBytes - HEADER_BYTES
    const message = this.#buffers.take(
      HEADER_BYTES + smallBytes + recordBytes + chosen * DATA_HEADER_BYTES,
    )
    message[0] = FORMAT
    let at = HEADER_BYTES
    if (smallBytes > 0) at += this.#writer.takeInto(message, at)
    for (let i = 0; i < chosen; i++) {
      const subscription = this.#chosen[i]!
      at += this.#copy(subscription, this.#wanted[i]!, message, at)
      subscription.onWritten() // to the end of its row when there is more
    }
    assert(at <= message.length, 'a message has room for what was chosen')
    this.#chosen.length = 0
    this.#wanted.length = 0
    if (at > HEADER_BYTES) this.#sendBuffer(message, at)
  }

  #copy(subscription: Subscription, wantedBytes: number, message: Buffer, at: number): number {
    const { partition, plan } = subscription
    const start = at + DATA_HEADER_BYTES
    let copied = this.#copyFromMemory(subscription, wantedBytes, message, start)
    try {
      if (copied === 0)
        copied = partition.log.copy(plan, partition.log.writtenOffset, message, start, wantedBytes)
    } catch (error) {
      this.#onUnreadable(subscription, error)
      return 0
    }
    if (copied === 0) {
      // What was there a moment ago is not: the follower asks again.
      this.#endWith(subscription, NOT_LEADER_OR_FOLLOWER)
      return 0
    }
    assert(plan.nextOffset > subscription.nextOffset, 'what is sent leads on')
    assert(copied <= wantedBytes, 'nobody takes more than its share')
    if (!subscription.isInTail && partition.replicas.length > 2) {
      const { nextOffset: offset } = subscription
      const { nextOffset } = plan
      const recent = { offset, nextOffset, buffer: message, start, end: start + copied }
      this.#service.recent.note(partition.log, recent)
    }
    subscription.nextOffset = plan.nextOffset
    this.#writeHeader(subscription, message, at, copied)
    return DATA_HEADER_BYTES + copied
  }

  #copyFromMemory(
    subscription: Subscription,
    wantedBytes: number,
    message: Buffer,
    start: number,
  ): number {
    if (!subscription.isInTail) {
      return this.#copyRecent(subscription, wantedBytes, message, start)
    }
    const { partition, plan, nextOffset } = subscription
    plan.nextOffset = partition.tail.copy(nextOffset, wantedBytes, message, start)
    this.#parts.probe.sentTailBytes += wantedBytes
    return wantedBytes
  }

  /** What another follower was just sent is not read and checked again. */
  #copyRecent(
    { partition, plan, nextOffset }: Subscription,
    wantedBytes: number,
    message: Buffer,
    start: number,
  ): number {
    const recent = this.#service.recent.find(partition.log, nextOffset, wantedBytes)
    if (recent === undefined) return 0
    recent.buffer.copy(message, start, recent.start, recent.end)
    plan.nextOffset = recent.nextOffset
    return recent.end - recent.start
  }

  #writeHeader(subscription: Subscription, message: Buffer, at: number, recordBytes: number): void {
    const { handle, partition } = subscription
    const { highWatermark, logStartOffset } = partition
    subscription.toldWatermark = highWatermark
    subscription.toldLogStart = logStartOffset
    if (this.#parts.isThrottled?.(partition) === true && !subscription.isLive) {
      this.#service.throttle.spend(recordBytes)
    }
    writeDataHeader(message, at, { handle, highWatermark, logStartOffset, recordBytes })
  }

  /** Old records are read on the thread pool, one partition of the stream at a time. */
  #readCold(subscription: Subscription, row: Row): void {
    if (this.#isReading) {
      this.#putBack(subscription, row)
      return
    }
    assert(!subscription.isReading, 'one read of a partition at a time')
    this.#isReading = true
    subscription.isReading = true
    const { partition, plan } = subscription
    const wantedBytes = Math.max(plan.firstBatchBytes, Math.min(plan.availableBytes, MESSAGE_BYTES))
    const message = this.#buffers.take(HEADER_BYTES + DATA_HEADER_BYTES + wantedBytes)
    const start = HEADER_BYTES + DATA_HEADER_BYTES
    const upTo = partition.log.writtenOffset
    partition.log.copyAsync(plan, upTo, message, start, wantedBytes).then(
      (copied) => this.#onRead(subscription, message, copied),
      (error: unknown) => {
        this.#isReading = false
        subscription.isReading = false
        if (!subscription.isOver) this.#onUnreadable(subscription, error)
        this.#wake()
      },
    )
  }

  #onRead(subscription: Subscription, message: Buffer, copied: number): void {
    assert(this.#isReading && subscription.isReading, 'a read that ends has begun')
    this.#isReading = false
    subscription.isReading = false
    this.#wake()
    if (this.#isClosed || subscription.isOver) return
    if (copied > 0) {
      message[0] = FORMAT
      subscription.nextOffset = subscription.plan.nextOffset
      this.#writeHeader(subscription, message, HEADER_BYTES, copied)
      this.#sendBuffer(message, HEADER_BYTES + DATA_HEADER_BYTES + copied)
    }
    subscription.onWritten()
  }

  #writeWatermarks(): void {
    for (let left = this.#watermarks.size; left > 0; left--) {
      const subscription = this.#watermarks.shift()!
      subscription.isWatermarkQueued = false
      if (subscription.isOver || !subscription.hasNews) continue
      const { highWatermark, logStartOffset } = subscription.partition
      subscription.toldWatermark = highWatermark
      subscription.toldLogStart = logStartOffset
      this.#writer.watermark(subscription.handle, highWatermark, logStartOffset)
    }
  }

  #sendBuffer(buffer: Buffer, lengthBytes: number): void {
    this.#send(buffer.length === lengthBytes ? buffer : buffer.subarray(0, lengthBytes))
    this.#buffers.sent(buffer, this.#sentBytes)
  }

  #send(message: Buffer): void {
    const { probe } = this.#parts
    assert(this.#followerId >= 0, 'nothing is said to a stranger')
    assert(message.length > HEADER_BYTES, 'a message says something')
    probe.sentMessages++
    probe.sentBytes += message.length
    this.#sentBytes += message.length
    if (!this.#stream.send(message)) this.#isBlocked = true
  }

  get followerId(): number {
    return this.#followerId
  }
}

/** Nobody has more of this leader's log than was there, or was sent. Throws RangeError. */
function checkPosition(position: number, nextOffset: number): void {
  if (position > nextOffset) {
    throw new RangeError(`a follower is at ${position}, and has records up to ${nextOffset}`)
  }
}
