/**
 * A replica in its role as a follower, as the replica itself sees it: what its leader has said, and
 * what its fetcher was told of its own progress.
 *
 * Invariants: the watermark of a leader counts in its epoch only; the same progress is told once.
 */
import { assert } from '../base/assert.ts'
import type { FollowLink } from './role.ts'

export class Following {
  #link: FollowLink | undefined
  #toldPosition = -1
  #toldLogStart = -1
  #leaderWatermark = 0

  /** The fetcher that brings what the leader has, and wants to hear of progress. */
  get link(): FollowLink | undefined {
    return this.#link
  }

  begin(link: FollowLink, position: number, logStartOffset: number): void {
    assert(position >= 0 && logStartOffset >= 0, 'a log has a beginning')
    this.#link = link
    this.#toldPosition = position
    this.#toldLogStart = logStartOffset
  }

  end(link: FollowLink | undefined): void {
    if (this.#link === link) this.#link = undefined
  }

  /** Of a leader that may have had records which its successor has not. */
  forgetWatermark(): void {
    this.#leaderWatermark = 0
  }

  /** What is above was cut, and is not committed any more. */
  lowerWatermark(offset: number): void {
    assert(offset >= 0, 'an offset of the log')
    this.#leaderWatermark = Math.min(this.#leaderWatermark, offset)
  }

  onLeaderWatermark(highWatermark: number): void {
    if (highWatermark > this.#leaderWatermark) this.#leaderWatermark = highWatermark
  }

  /** Committed by the leader's word, as far as it is here. */
  watermark(writtenOffset: number): number {
    return Math.min(this.#leaderWatermark, writtenOffset)
  }

  /** At the end of a turn: tells the fetcher what is news. */
  tell(position: number, logStartOffset: number): void {
    if (this.#link === undefined) return
    if (position === this.#toldPosition && logStartOffset === this.#toldLogStart) return
    this.#toldPosition = position
    this.#toldLogStart = logStartOffset
    this.#link.onProgress()
  }
}
