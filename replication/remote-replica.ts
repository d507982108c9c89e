/**
 * What a leader knows of one other replica: how far it is, and since when it has not kept up.
 *
 * Invariant: `position` comes from a log that was compared with the leader's in this epoch; -1 until
 * then.
 */
import { assert } from '../base/assert.ts'

/** A stream on which the replica is sent this partition. */
export interface Feed {
  /** There may be more to send. */
  onWritten(): void
  onWatermark(): void
  /** The subscription is over: the leader has changed, or the replica has subscribed anew. */
  end(error: number): void
}

export class RemoteReplica {
  readonly nodeId: number
  /** Of the registration under which it subscribed; -1 not known. */
  brokerEpoch = -1
  feed: Feed | undefined = undefined
  /** It has said that it can't hold this partition for now. */
  isFailed = false
  #position = -1
  #logStartOffset = -1
  /** It has subscribed and has all that there is. */
  #isAtEnd = false
  /** When it had all that there was, the last time. */
  #caughtUpMs: number
  /** When its stream broke, in this epoch; undefined: it has one, or never had. */
  #detachedMs: number | undefined
  /** Once it has this, it was caught up at `#targetMs`. */
  #targetOffset = Number.POSITIVE_INFINITY
  #targetMs = 0

  constructor(nodeId: number, nowMs: number) {
    this.nodeId = nodeId
    this.#caughtUpMs = nowMs
  }

  get position(): number {
    return this.#position
  }

  get logStartOffset(): number {
    return this.#logStartOffset
  }

  get caughtUpMs(): number {
    return this.#caughtUpMs
  }

  get isAtEnd(): boolean {
    return this.#isAtEnd
  }

  attach(feed: Feed, brokerEpoch: number): void {
    assert(this.feed === undefined, 'the feed before has ended')
    this.feed = feed
    this.brokerEpoch = brokerEpoch
    this.isFailed = false
    this.#detachedMs = undefined
  }

  /** It may miss what comes from now on. */
  detach(nowMs: number): void {
    this.feed = undefined
    this.#detachedMs = nowMs
    if (this.#isAtEnd) this.#caughtUpMs = nowMs
    this.#isAtEnd = false
    this.#targetOffset = Number.POSITIVE_INFINITY
  }

  onPosition(position: number, logStartOffset: number, endOffset: number, nowMs: number): void {
    assert(this.feed !== undefined, 'a replica that is heard has subscribed')
    assert(position <= endOffset, 'a replica is not ahead of its leader')
    assert(position >= 0 && logStartOffset >= 0, 'offsets of a log')
    this.#position = position
    this.#logStartOffset = logStartOffset
    if (position === endOffset) {
      this.#isAtEnd = true
      this.#caughtUpMs = nowMs
    } else {
      this.#isAtEnd = false
      if (position >= this.#targetOffset) this.#caughtUpMs = this.#targetMs
      if (position >= this.#targetOffset || this.#targetOffset === Number.POSITIVE_INFINITY) {
        this.#targetOffset = endOffset
        this.#targetMs = nowMs
      }
    }
  }

  /** The log has grown behind a replica that had all. */
  fallBehind(endOffset: number, nowMs: number): void {
    assert(this.#isAtEnd, 'only who was there falls behind')
    this.#isAtEnd = false
    this.#caughtUpMs = nowMs
    this.#targetOffset = endOffset
    this.#targetMs = nowMs
  }

  isOutOfSync(nowMs: number, lagMaxMs: number): boolean {
    if (this.isFailed) return true
    return !this.#isAtEnd && nowMs - this.#caughtUpMs > lagMaxMs
  }

  /** Its stream broke, and it has not come back for so long. */
  isAway(nowMs: number, awayMaxMs: number): boolean {
    return this.#detachedMs !== undefined && nowMs - this.#detachedMs > awayMaxMs
  }
}
