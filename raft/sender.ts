/**
 * The leader's side of replication: what each other member is sent, and what its answers mean.
 *
 * Invariants: only what the own storage has taken is sent (it need not be durable: it counts for
 * nobody before it is); what is on its way to one member is bounded.
 */
import { assert } from '../base/assert.ts'
import {
  type AppendResponseMessage,
  endOf,
  type HeartbeatResponseMessage,
  type Message,
  type SnapshotId,
  type SnapshotResponseMessage,
} from './messages.ts'
import { Progress } from './progress.ts'
import type { RaftState } from './state.ts'

export function isSameSnapshot(one: SnapshotId | undefined, other: SnapshotId): boolean {
  return (
    one !== undefined &&
    one.endOffset === other.endOffset &&
    one.term === other.term &&
    one.sizeBytes === other.sizeBytes &&
    one.checksum === other.checksum
  )
}

export class Sender {
  readonly #state: RaftState
  readonly #progress = new Map<number, Progress>()
  /** What each member was told of the commit position. */
  readonly #commitSent = new Map<number, number>()

  constructor(state: RaftState) {
    this.#state = state
  }

  get(nodeId: number): Progress | undefined {
    return this.#progress.get(nodeId)
  }

  values(): IterableIterator<Progress> {
    return this.#progress.values()
  }

  add(nodeId: number): Progress {
    const { log, nowMs, self } = this.#state
    assert(nodeId !== self.nodeId, 'the leader does not send to itself')
    let progress = this.#progress.get(nodeId)
    if (progress === undefined) {
      progress = new Progress(nodeId, log.endOffset, nowMs)
      this.#progress.set(nodeId, progress)
    }
    return progress
  }

  remove(nodeId: number): void {
    this.#progress.delete(nodeId)
    this.#commitSent.delete(nodeId)
  }

  /** Something came from a member in this term: whoever it is, it follows. */
  heard(message: Message): Progress {
    const { nowMs, log, timing } = this.#state
    const progress = this.add(message.from)
    // What was sent to it while it was silent did not arrive.
    if (nowMs - progress.lastHeardMs > 2 * timing.heartbeatMs) progress.wake()
    progress.lastHeardMs = nowMs
    if (progress.directoryId !== message.directoryId) {
      if (progress.directoryId === '') progress.directoryId = message.directoryId
      else progress.restart(message.directoryId, log.endOffset)
    }
    return progress
  }

  /** True when the member's durable position is news. */
  appended(progress: Progress, response: AppendResponseMessage): boolean {
    const { log, nowMs } = this.#state
    if (response.isRejected) {
      this.#rejected(progress, response)
      return false
    }
    assert(response.match <= log.endOffset, 'nobody has more than its leader has sent')
    const isNews = progress.acknowledge(response.match)
    if (progress.match >= log.writtenEnd) progress.lastCaughtUpMs = nowMs
    return isNews
  }

  #rejected(progress: Progress, response: AppendResponseMessage): void {
    const { log } = this.#state
    const { hintEnd, hintTerm, prevEnd } = response
    // An answer to something that was sent before what is known now.
    if (progress.state === 'snapshot' || prevEnd <= progress.match) return
    if (progress.state === 'probe' && prevEnd !== progress.next) return
    // Where the log begins here, the other differs, or has less: it needs the snapshot.
    const isBelow = hintEnd < log.startOffset || prevEnd <= log.startOffset
    const next = isBelow
      ? Math.min(hintEnd, log.startOffset - 1)
      : log.lastAtOrBelow(Math.min(hintEnd, prevEnd), hintTerm)
    progress.probeAt(Math.max(next, progress.match))
  }

  /** False when the member has lost what it had acknowledged. */
  heartbeatReturned(progress: Progress, response: HeartbeatResponseMessage): boolean {
    const { log, nowMs } = this.#state
    progress.round = Math.max(progress.round, response.round)
    progress.loopProgress = response.progress
    progress.hasRoom = response.hasRoom
    if (response.endOffset < progress.match) {
      progress.restart(progress.directoryId, response.endOffset)
      return false
    }
    if (progress.match >= log.writtenEnd) progress.lastCaughtUpMs = nowMs
    progress.retry()
    return true
  }

  snapshotReceived(progress: Progress, response: SnapshotResponseMessage): void {
    if (progress.state !== 'snapshot') return
    if (!isSameSnapshot(progress.snapshot, response.snapshot)) return
    const { position, snapshot } = response
    // No more than before: it is late, or had no room, or came damaged. Not at once, and again.
    const isNews = position > progress.snapshotPosition
    progress.snapshotPosition = Math.min(position, snapshot.sizeBytes)
    // All is there: the next word is the answer to an append.
    if (isNews && position < snapshot.sizeBytes) progress.isPaused = false
    else progress.pause()
  }

  heartbeats(round: number): void {
    const { log, loopProgress } = this.#state
    for (const progress of this.#progress.values()) {
      const commit = Math.min(progress.match, log.commit)
      assert(progress.match <= log.endOffset, 'nobody has more than its leader')
      this.#state.send(progress.nodeId, {
        type: 'heartbeat',
        commit,
        round,
        progress: loopProgress,
      })
      this.#noteCommit(progress, commit)
    }
  }

  #noteCommit(progress: Progress, commit: number): void {
    const before = this.#commitSent.get(progress.nodeId) ?? 0
    this.#commitSent.set(progress.nodeId, Math.max(before, commit))
  }

  /** Sends what there is, as far as windows allow. */
  flush(): void {
    for (const progress of this.#progress.values()) this.#flush(progress)
  }

  #flush(progress: Progress): void {
    const { log, timing } = this.#state
    const window = { bytes: timing.windowBytes, messages: timing.windowMessages }
    while (progress.canSend(window)) {
      if (progress.state === 'snapshot') {
        this.#sendPart(progress)
        return
      }
      if (progress.state === 'replicate' && progress.next >= log.writtenEnd) break
      if (progress.state === 'probe') {
        // In a moment there is something to send with it.
        if (progress.next >= log.writtenEnd && log.writtenEnd < log.endOffset) return
        if (progress.next > log.startOffset) {
          const at = log.boundaryAt(Math.min(progress.next, log.writtenEnd))
          progress.probeAt(Math.max(at, progress.match))
        }
      }
      if (progress.next < log.startOffset) {
        if (!this.#beginSnapshot(progress)) return
      } else this.#sendAppend(progress)
    }
    const told = this.#commitSent.get(progress.nodeId) ?? 0
    const isTold = told >= Math.min(log.commit, progress.next)
    if (progress.state === 'replicate' && !isTold) this.#sendAppend(progress)
  }

  #sendAppend(progress: Progress): void {
    const { log, timing } = this.#state
    const prevEnd = progress.next
    const prevTerm = log.termAt(prevEnd)
    assert(prevTerm !== undefined, 'what is sent follows a known term')
    const hasMore = prevEnd < log.writtenEnd
    const entries = hasMore ? log.slice(prevEnd, log.writtenEnd, timing.messageBytes) : []
    const { commit } = log
    assert(entries.length === 0 || entries[0]!.baseOffset === prevEnd, 'entries follow what agrees')
    assert(commit <= log.endOffset, 'a leader has what is committed')
    this.#state.send(progress.nodeId, { type: 'append', prevEnd, prevTerm, commit, entries })
    const last = entries.at(-1)
    const endOffset = last === undefined ? prevEnd : endOf(last)
    assert(endOffset <= log.writtenEnd, 'only what the own storage has taken is sent')
    this.#noteCommit(progress, Math.min(commit, endOffset))
    if (last === undefined && progress.state === 'replicate') return
    let bytes = 0
    for (const { data } of entries) bytes += data.length
    progress.sent(endOffset, bytes)
  }

  #beginSnapshot(progress: Progress): boolean {
    const { snapshot } = this.#state.storage
    if (snapshot === undefined || snapshot.endOffset < this.#state.log.startOffset) return false
    progress.sendSnapshot(snapshot)
    return true
  }

  #sendPart(progress: Progress): void {
    const { storage, timing } = this.#state
    const { snapshot } = storage
    assert(snapshot !== undefined, 'a snapshot does not vanish')
    if (!isSameSnapshot(progress.snapshot, snapshot)) progress.sendSnapshot(snapshot)
    const position = progress.snapshotPosition
    assert(position <= snapshot.sizeBytes, 'no more than there is')
    const length = Math.min(timing.snapshotPartBytes, snapshot.sizeBytes - position)
    const { membership, endOffset, term, sizeBytes, checksum } = snapshot
    this.#state.send(progress.nodeId, {
      type: 'snapshot',
      snapshot: { endOffset, term, sizeBytes, checksum },
      membership,
      position,
      data: length > 0 ? storage.readSnapshot(snapshot, position, length) : Buffer.alloc(0),
    })
    progress.pause()
  }
}
