/**
 * One partition on one follower's stream, as the leader's node sees it: how far it was sent, and
 * what the follower was told last.
 */
import { assert } from '../base/assert.ts'
import { ReadPlan } from '../log/partition-log.ts'
import type { Partition } from './partition.ts'
import type { Feed, RemoteReplica } from './remote-replica.ts'

/** The stream that a subscription is on. */
export interface FeedStream {
  /** There may be records to send. */
  queue(subscription: Subscription): void
  /** The watermark or the log's start is news. */
  queueWatermark(subscription: Subscription): void
  onEnded(subscription: Subscription, error: number): void
}

export class Subscription implements Feed {
  readonly handle: number
  readonly partition: Partition
  readonly remote: RemoteReplica
  /** The next offset to send. */
  nextOffset: number
  toldWatermark = -1
  toldLogStart = -1
  readonly plan = new ReadPlan()
  /** It stands in a row of the stream. */
  isQueued = false
  isWatermarkQueued = false
  /** Its share of the message that is being made is in memory. */
  isInTail = false
  /** Its records are being read from the device. */
  isReading = false
  isOver = false
  readonly #stream: FeedStream

  constructor(options: {
    handle: number
    partition: Partition
    remote: RemoteReplica
    nextOffset: number
    stream: FeedStream
  }) {
    assert(options.handle > 0, 'a follower counts its handles from 1')
    assert(options.nextOffset >= 0, 'an offset of the log')
    this.handle = options.handle
    this.partition = options.partition
    this.remote = options.remote
    this.nextOffset = options.nextOffset
    this.#stream = options.stream
  }

  /** Followers that keep up go first. */
  get isLive(): boolean {
    return this.partition.isInSync(this.remote.nodeId)
  }

  get hasNews(): boolean {
    return (
      this.toldWatermark !== this.partition.highWatermark ||
      this.toldLogStart !== this.partition.logStartOffset ||
      // It could not make it durable yet.
      this.remote.logStartOffset < this.partition.logStartOffset
    )
  }

  onWritten(): void {
    if (this.isQueued || this.isReading) return
    if (this.nextOffset < this.partition.log.writtenOffset) this.#stream.queue(this)
  }

  onWatermark(): void {
    if (!this.isWatermarkQueued) this.#stream.queueWatermark(this)
  }

  end(error: number): void {
    if (this.isOver) return
    this.isOver = true
    this.#stream.onEnded(this, error)
  }
}
