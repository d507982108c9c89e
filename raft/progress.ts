/**
 * What the leader knows of another member's log, and how much it has sent ahead.
 *
 * Probing: one message at a time until it is known where the logs agree. Replicating: messages
 * follow each other without waiting, within a window. Snapshot: parts, one at a time.
 */
import { assert } from '../base/assert.ts'
import type { Member, SnapshotId } from './messages.ts'

export interface Window {
  readonly bytes: number
  readonly messages: number
}

interface Sent {
  readonly endOffset: number
  readonly bytes: number
}

export class Progress {
  readonly nodeId: number
  /** Of the log that answers; '' while none has. */
  directoryId = ''
  /** Durable there, and the same as here. */
  match = 0
  /** Where the next message begins. */
  next: number
  state: 'probe' | 'replicate' | 'snapshot' = 'probe'
  /** A probe, or a part of a snapshot, is on its way. */
  isPaused = false
  snapshot: SnapshotId | undefined = undefined
  /** Bytes of the snapshot that the other has. */
  snapshotPosition = 0
  lastHeardMs: number
  lastCaughtUpMs = -1
  /** Of the heartbeats that came back. */
  round = 0
  /** Its event loop, as it says. */
  loopProgress = 0
  /** Its log would take an entry, as it says. */
  hasRoom = false
  readonly #sent: Sent[] = []
  #sentBytes = 0
  #matchAtHeartbeat = -1
  #heartbeatsPaused = 0

  constructor(nodeId: number, next: number, nowMs: number) {
    this.nodeId = nodeId
    this.next = next
    this.lastHeardMs = nowMs
  }

  get member(): Member {
    return { nodeId: this.nodeId, directoryId: this.directoryId }
  }

  get sentBytes(): number {
    return this.#sentBytes
  }

  get sentMessages(): number {
    return this.#sent.length
  }

  /** Another log answers under this id: nothing is known of it. */
  restart(directoryId: string, next: number): void {
    this.directoryId = directoryId
    this.match = 0
    this.round = 0
    this.lastCaughtUpMs = -1
    this.probeAt(next)
  }

  probeAt(next: number): void {
    assert(next >= this.match, 'what matches is not probed again')
    this.state = 'probe'
    this.snapshot = undefined
    this.isPaused = false
    this.next = next
    this.#forget()
  }

  /** It was silent, and is heard again. */
  wake(): void {
    if (this.state === 'replicate') this.probeAt(this.match)
    else this.isPaused = false
  }

  sendSnapshot(id: SnapshotId): void {
    assert(id.endOffset > this.match, 'a snapshot brings something')
    this.state = 'snapshot'
    this.snapshot = id
    this.snapshotPosition = 0
    this.isPaused = false
    this.#forget()
  }

  canSend(window: Window): boolean {
    if (this.state !== 'replicate') return !this.isPaused
    return this.#sentBytes < window.bytes && this.#sent.length < window.messages
  }

  sent(endOffset: number, bytes: number): void {
    assert(endOffset >= this.next, 'messages follow each other')
    if (this.state === 'replicate') {
      this.next = endOffset
      this.#sent.push({ endOffset, bytes })
      this.#sentBytes += bytes
    } else this.pause()
  }

  pause(): void {
    this.isPaused = true
    this.#heartbeatsPaused = 0
  }

  /** All below `match` is durable there. True when that is news. */
  acknowledge(match: number): boolean {
    assert(Number.isSafeInteger(match) && match >= 0, 'a position')
    const isNews = match > this.match
    if (isNews) this.match = match
    this.next = Math.max(this.next, this.match)
    while (this.#sent.length > 0 && this.#sent[0]!.endOffset <= this.match) {
      this.#sentBytes -= this.#sent.shift()!.bytes
    }
    const snapshotEnd = this.snapshot?.endOffset ?? 0
    if (this.state === 'probe' || (this.state === 'snapshot' && match >= snapshotEnd)) {
      this.state = 'replicate'
      this.snapshot = undefined
      this.isPaused = false
      this.next = this.match
      this.#forget()
    }
    assert(this.next >= this.match, 'what matches is not sent again')
    assert(this.#sentBytes >= 0, 'bytes are counted once')
    return isNews
  }

  /**
   * A heartbeat came back. What is on its way for longer than a heartbeat without an answer may be
   * lost: it is sent again.
   */
  retry(): void {
    if (this.state !== 'replicate') {
      this.#heartbeatsPaused = this.isPaused ? this.#heartbeatsPaused + 1 : 0
      if (this.#heartbeatsPaused >= 2) this.isPaused = false
      return
    }
    const isStuck = this.#sent.length > 0 && this.#matchAtHeartbeat === this.match
    this.#matchAtHeartbeat = this.#sent.length > 0 ? this.match : -1
    if (isStuck) this.probeAt(this.match)
  }

  #forget(): void {
    this.#matchAtHeartbeat = -1
    this.#sent.length = 0
    this.#sentBytes = 0
  }
}
