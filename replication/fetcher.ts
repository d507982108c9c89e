/**
 * The follower's end of the stream to one leader: subscribes the partitions that this node follows
 * there, appends what comes, and tells how far each replica is.
 *
 * Invariants: a record is appended only under a subscription in the partition's present epoch, to a
 * log that the leader has compared with its own; a position is told only after it is as safe as the
 * topic asks. A message that came for an earlier subscription is dropped.
 */
import { assert } from '../base/assert.ts'
import type { Clock, Timer } from '../base/clock.ts'
import { CorruptionError, StorageError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { RpcError, RpcStream, RpcStreamHandler } from '../base/rpc.ts'
import type { Flushable, Turn } from '../base/turn.ts'
import { OFFSET_OUT_OF_RANGE } from './errors.ts'
import { Followed } from './follower.ts'
import { type LeaderSink, MessageWriter, readLeaderMessage } from './messages.ts'
import type { Partition } from './partition.ts'
import type { ReplicationProbe } from './probe.ts'
import type { ReplicaTransport } from './transport.ts'

/** The leader is told of this much that was dealt with, if nothing else is said before. */
const CREDIT_BYTES = 256 * 1024
const RECONNECT_MS = 20
const RECONNECT_MAX_MS = 500
/** After an error that news of the metadata should end: then it is tried again without them. */
const RETRY_MS = 500

export interface FetcherParts {
  readonly nodeId: number
  readonly clock: Clock
  readonly turn: Turn
  readonly logger: Logger
  readonly probe: ReplicationProbe
  readonly transport: ReplicaTransport
  /** Of this node's registration; -1 while it has none. */
  brokerEpoch(): number
}

/** One stream's handler: what comes from an earlier stream of the fetcher is told apart. */
class FetchStream implements RpcStreamHandler {
  readonly #fetcher: Fetcher
  stream: RpcStream | undefined

  constructor(fetcher: Fetcher) {
    this.#fetcher = fetcher
  }

  onMessage(message: Buffer): void {
    this.#fetcher.onStreamMessage(this, message)
  }

  /** What a follower says is small, and as much as its leader asks for: it never waits. */
  onDrain(): void {}

  onClose(error: RpcError | undefined): void {
    this.#fetcher.onStreamClose(this, error)
  }
}

export class Fetcher implements LeaderSink, Flushable {
  queued = false
  readonly leaderId: number
  readonly #parts: FetcherParts
  readonly #followed = new Map<Partition, Followed>()
  readonly #byHandle = new Map<number, Followed>()
  readonly #writer = new MessageWriter()
  /** With something to say. */
  #listed: Followed[] = []
  #stream: FetchStream | undefined
  #streamCount = 0
  #nextHandle = 1
  #dealtWithBytes = 0
  #toldBytes = 0
  #toldBrokerEpoch = -1
  #reconnectMs = RECONNECT_MS
  #timer: Timer | undefined
  readonly #retries = new Set<Followed>()
  #retryTimer: Timer | undefined
  #isClosed = false

  constructor(leaderId: number, parts: FetcherParts) {
    assert(leaderId >= 0 && leaderId !== parts.nodeId, 'a node follows others')
    this.leaderId = leaderId
    this.#parts = parts
  }

  get size(): number {
    return this.#followed.size
  }

  get isConnected(): boolean {
    return this.#stream !== undefined
  }

  /** Of what it follows here: subscribed, and admitted as far as this end knows. */
  isSubscribed(partition: Partition): boolean {
    return this.#followed.get(partition)?.handle !== 0
  }

  /** The partition follows this leader in its present epoch. */
  add(partition: Partition): void {
    assert(partition.leaderId === this.leaderId, 'a partition follows its leader')
    const before = this.#followed.get(partition)
    if (before?.epoch === partition.leaderEpoch) return
    if (before !== undefined) this.remove(partition)
    const followed = new Followed(partition, this)
    this.#followed.set(partition, followed)
    partition.follow(followed)
    this.list(followed)
    if (this.#stream === undefined) this.#connect()
  }

  remove(partition: Partition): void {
    const followed = this.#followed.get(partition)
    if (followed === undefined) return
    this.#followed.delete(partition)
    followed.isOver = true
    this.#retries.delete(followed)
    partition.unfollow(followed)
    this.unsubscribe(followed, partition.isFailed)
    if (this.#followed.size === 0) this.#disconnect()
  }

  unsubscribe(followed: Followed, isFailed: boolean): void {
    if (followed.handle === 0) return
    this.#byHandle.delete(followed.handle)
    if (this.#stream !== undefined) {
      this.#writer.unsubscribe(followed.handle, isFailed)
      this.#wake()
    }
    followed.handle = 0
    followed.isLeaving = false
  }

  /** It has something to say at the end of the turn. */
  list(followed: Followed): void {
    if (followed.isListed) return
    followed.isListed = true
    this.#listed.push(followed)
    this.#wake()
  }

  /** Something went wrong that may pass. */
  retryLater(followed: Followed): void {
    this.#retries.add(followed)
    if (this.#retryTimer !== undefined || this.#isClosed) return
    this.#retryTimer = this.#parts.clock.after(RETRY_MS, () => {
      this.#retryTimer = undefined
      const due = [...this.#retries]
      this.#retries.clear()
      for (const one of due) if (!one.isOver && one.handle === 0) this.list(one)
    })
  }

  /** The leader has come (back): no reason to wait. */
  reconnectNow(): void {
    this.#reconnectMs = RECONNECT_MS
    if (this.#timer === undefined || this.#stream !== undefined) return
    this.#timer.cancel()
    this.#timer = undefined
    this.#connect()
  }

  #wake(): void {
    if (!this.queued && !this.#isClosed) this.#parts.turn.connections(this)
  }

  #connect(): void {
    if (this.#isClosed || this.#timer !== undefined || this.#stream !== undefined) return
    if (this.#followed.size === 0) return
    this.#dealtWithBytes = 0
    this.#toldBytes = 0
    // Before this process is registered nobody could tell it from the one before it.
    const isKnown = this.#parts.brokerEpoch() >= 0
    const handler = new FetchStream(this)
    handler.stream = isKnown ? this.#parts.transport.open(this.leaderId, handler) : undefined
    if (handler.stream === undefined) {
      this.#connectLater()
      return
    }
    assert(this.#byHandle.size === 0, 'handles are of one stream')
    this.#stream = handler
    this.#streamCount++
    this.#sayHello()
    for (const followed of this.#followed.values()) this.list(followed)
    this.#wake()
  }

  #sayHello(): void {
    const brokerEpoch = this.#parts.brokerEpoch()
    this.#toldBrokerEpoch = brokerEpoch
    this.#writer.hello(this.#parts.nodeId, brokerEpoch, this.#streamCount)
  }

  #connectLater(): void {
    if (this.#isClosed || this.#timer !== undefined) return
    const delayMs = this.#reconnectMs
    this.#reconnectMs = Math.min(2 * delayMs, RECONNECT_MAX_MS)
    this.#timer = this.#parts.clock.after(delayMs, () => {
      this.#timer = undefined
      this.#connect()
    })
  }

  #disconnect(): void {
    const before = this.#stream
    this.#stream = undefined
    this.#forgetHandles()
    this.#writer.clear()
    this.#timer?.cancel()
    this.#timer = undefined
    before?.stream?.end()
  }

  #forgetHandles(): void {
    for (const followed of this.#byHandle.values()) {
      followed.handle = 0
      followed.isLeaving = false
    }
    this.#byHandle.clear()
  }

  onStreamClose(stream: FetchStream, error: RpcError | undefined): void {
    if (this.#stream !== stream) return // this end has ended it
    this.#stream = undefined
    this.#parts.logger.debug('The stream to a leader has ended.', {
      leader: this.leaderId,
      error: error?.message,
    })
    this.#forgetHandles()
    this.#writer.clear()
    this.#connectLater()
  }

  onStreamMessage(stream: FetchStream, message: Buffer): void {
    if (this.#stream !== stream) return
    const { probe, logger } = this.#parts
    probe.receivedMessages++
    probe.receivedBytes += message.length
    this.#reconnectMs = RECONNECT_MS
    try {
      readLeaderMessage(message, this)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      logger.warn('A leader sent bytes that are no message of ours.', {
        leader: this.leaderId,
        error: error.message,
      })
      stream.stream?.cancel()
      return
    }
    this.#dealtWithBytes += message.length
    if (this.#dealtWithBytes - this.#toldBytes >= CREDIT_BYTES) this.#wake()
  }

  onData(
    handle: number,
    highWatermark: number,
    logStartOffset: number,
    source: Buffer,
    start: number,
    end: number,
  ): void {
    const followed = this.#byHandle.get(handle)
    if (followed === undefined) return
    const { partition } = followed
    assert(start <= end && end <= source.length, 'records are in their message')
    assert(partition.leaderEpoch === followed.epoch, 'a subscription ends with its epoch')
    try {
      if (end > start) {
        if (followed.mustBeginBefore(source, start, end)) return
        partition.appendFetched(source, start, end)
      }
      partition.onLeaderState(highWatermark, logStartOffset)
      followed.heardHandle = handle
    } catch (error) {
      this.#onAppendError(followed, error)
    }
  }

  #onAppendError(followed: Followed, error: unknown): void {
    if (!(error instanceof CorruptionError) && !(error instanceof StorageError)) throw error
    const { topic, index, isFailed } = followed.partition
    this.#parts.probe.fetchErrors++
    if (isFailed) return // it has said so, and is gone from here
    this.#parts.logger.warn('Records of a leader were not taken; they are fetched again.', {
      topic,
      partition: index,
      leader: this.leaderId,
      error: error.message,
    })
    this.unsubscribe(followed, true)
    this.retryLater(followed)
  }

  onEnded(handle: number, error: number, logStartOffset: number, logEndOffset: number): void {
    const followed = this.#taken(handle)
    if (followed === undefined) return
    if (followed.isLeaving) {
      followed.onLeft(error)
      return
    }
    if (error === OFFSET_OUT_OF_RANGE) {
      followed.onOutOfRange(logStartOffset, logEndOffset)
      return
    }
    this.#parts.probe.fetchErrors++
    this.retryLater(followed)
  }

  onDiverged(handle: number, epoch: number, endOffset: number): void {
    this.#taken(handle)?.onDiverged(epoch, endOffset)
  }

  /** The leader has ended this subscription. */
  #taken(handle: number): Followed | undefined {
    const followed = this.#byHandle.get(handle)
    if (followed === undefined) return undefined
    this.#byHandle.delete(handle)
    followed.handle = 0
    return followed
  }

  /** The end of the turn: all that is to be said in one message. */
  flush(): void {
    const listed = this.#listed
    this.#listed = []
    for (const followed of listed) followed.isListed = false
    const stream = this.#stream?.stream
    if (stream === undefined || this.#isClosed) return
    if (this.#parts.brokerEpoch() !== this.#toldBrokerEpoch) this.#sayHello()
    for (const followed of listed) {
      const { partition } = followed
      if (followed.isOver || partition.isCutting || partition.isFailed) continue
      if (partition.isDamaged) this.#leave(followed)
      if (partition.isDamaged) continue
      if (followed.handle === 0) this.#subscribe(followed)
      else {
        const { position, log } = partition
        this.#parts.probe.acknowledgements++
        this.#writer.position(followed.handle, position, log.savedLogStart)
      }
    }
    const isDue = this.#dealtWithBytes - this.#toldBytes >= CREDIT_BYTES
    if (this.#writer.isEmpty && !isDue) return
    assert(this.#dealtWithBytes >= this.#toldBytes, 'no more is told than was dealt with')
    if (this.#dealtWithBytes > this.#toldBytes) {
      this.#toldBytes = this.#dealtWithBytes
      this.#writer.credit(this.#toldBytes)
    }
    stream.send(this.#writer.take())
  }

  #subscribe(followed: Followed): void {
    this.#writer.subscribe(followed.subscription(this.#handleFor(followed)))
  }

  /** It has to lose records: it says so first. */
  #leave(followed: Followed): void {
    if (followed.handle !== 0) return
    const { topicId, index } = followed.partition
    followed.isLeaving = true
    this.#writer.leave(this.#handleFor(followed), topicId, index, followed.epoch)
  }

  #handleFor(followed: Followed): number {
    assert(followed.handle === 0 && !followed.isOver, 'one handle at a time')
    const handle = this.#nextHandle++
    followed.handle = handle
    this.#byHandle.set(handle, followed)
    return handle
  }

  close(): void {
    this.#isClosed = true
    for (const partition of [...this.#followed.keys()]) this.remove(partition)
    this.#retryTimer?.cancel()
    this.#disconnect()
  }
}
