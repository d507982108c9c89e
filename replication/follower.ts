/**
 * A replica in its role as a follower in one leader epoch: what it tells the leader of itself, and
 * where it cuts its log when the leader's has parted from it.
 *
 * Invariant: leader epochs alone decide where to cut (KIP-101, KIP-279), never the watermark.
 */
import { assert } from '../base/assert.ts'
import { baseOffsetAt, lastOffsetDeltaAt, RECORDS_AT } from '../log/format.ts'
import type { Subscribe } from './messages.ts'
import type { Partition } from './partition.ts'
import type { FollowLink } from './role.ts'

/** The fetcher of a Followed. */
export interface FollowerStream {
  list(followed: Followed): void
  unsubscribe(followed: Followed, isFailed: boolean): void
  retryLater(followed: Followed): void
  remove(partition: Partition): void
}

export class Followed implements FollowLink {
  readonly partition: Partition
  readonly epoch: number
  /** Of its subscription; 0 while it has none. */
  handle = 0
  /** The last one of which the leader told something. */
  heardHandle = 0
  /** Its handle is of a leave: the leader tells when it counts for nothing. */
  isLeaving = false
  /** It waits for the end of the turn, with something to say. */
  isListed = false
  /** It follows somebody else, or nobody, now. */
  isOver = false
  readonly #stream: FollowerStream

  constructor(partition: Partition, stream: FollowerStream) {
    assert(!partition.isLeader, 'a leader follows nobody')
    this.partition = partition
    this.epoch = partition.leaderEpoch
    this.#stream = stream
  }

  subscription(handle: number): Subscribe {
    const { topicId, index, log, position } = this.partition
    assert(position <= log.logEndOffset, 'a position is within the log')
    return {
      handle,
      topicId,
      index,
      leaderEpoch: this.epoch,
      fetchOffset: log.logEndOffset,
      lastEpoch: log.latestEpoch,
      position,
      logStartOffset: log.savedLogStart,
    }
  }

  get isHeard(): boolean {
    return this.handle !== 0 && this.heardHandle === this.handle
  }

  onProgress(): void {
    if (this.handle !== 0) this.#stream.list(this)
  }

  onSetBack(): void {
    this.#stream.unsubscribe(this, true)
    this.#stream.retryLater(this)
  }

  /** The leader takes it out of the ISR; it comes back when it is mended. */
  onDamage(): void {
    if (this.isLeaving) return
    this.#stream.unsubscribe(this, true)
    this.#stream.list(this)
  }

  /** The answer to a leave. */
  onLeft(error: number): void {
    this.isLeaving = false
    if (error !== 0) {
      this.#stream.retryLater(this)
      return
    }
    this.partition.mend(this.epoch).then(
      (isMended) => {
        if (!isMended && !this.isOver) this.#stream.retryLater(this)
      },
      (failure: unknown) => {
        // A failure of the storage is the replica's, which has told so.
        if (!this.partition.isFailed) throw failure
      },
    )
  }

  onFailed(): void {
    this.#stream.remove(this.partition)
  }

  /** The leader's log has `endOffset` as the end of `epoch`, its largest that is not above ours. */
  onDiverged(epoch: number, endOffset: number): void {
    const { log } = this.partition
    const own = log.endOffsetForEpoch(epoch)
    const target = own.epoch < 0 ? log.logStartOffset : Math.min(own.endOffset, endOffset)
    this.#cut(() => this.partition.cut(target))
  }

  /** The leader does not have what would come next. */
  onOutOfRange(logStartOffset: number, logEndOffset: number): void {
    const { partition } = this
    if (partition.logEndOffset < logStartOffset) {
      this.#cut(() => partition.restartAt(logStartOffset))
    } else if (partition.logEndOffset > logEndOffset) {
      this.#cut(() => partition.cut(logEndOffset))
    } else this.#stream.retryLater(this)
  }

  /**
   * A log that ends within the leader's next batch goes on from where that batch begins. Either it is
   * empty: DeleteRecords moved the leader's start there, and this replica was away, or lost what it
   * had. Or its end is no batch of the leader's, but what a device wrote to a wrong place.
   */
  mustBeginBefore(source: Buffer, start: number, end: number): boolean {
    const { partition } = this
    const { log, logEndOffset } = partition
    if (end - start < RECORDS_AT) return false
    const baseOffset = baseOffsetAt(source, start)
    const isWithin = baseOffset >= 0 && baseOffset < logEndOffset
    if (!isWithin || baseOffset + lastOffsetDeltaAt(source, start) < logEndOffset) return false
    const isEmpty = log.logStartOffset === logEndOffset
    this.#stream.unsubscribe(this, true)
    this.#cut(() => {
      if (isEmpty || baseOffset < log.logStartOffset) return partition.restartAt(baseOffset)
      return partition.cut(baseOffset)
    })
    return true
  }

  /** The log has been cut, perhaps still on the word of an earlier leader: now it can go on. */
  onCut(): void {
    if (this.handle === 0) this.#stream.list(this)
  }

  #cut(change: () => Promise<void>): void {
    assert(this.handle === 0, 'no subscription while the log is cut')
    change().catch((error: unknown) => {
      // A failure of the storage is the replica's, which has told so.
      if (!this.partition.isFailed) throw error
    })
  }
}
