/**
 * A member while it follows, for one term.
 *
 * Invariants: what it acknowledges is durable, and is known to be the same as the leader's; it
 * cuts its log only where the leader's differs, and never below what is committed.
 */
import { assert } from '../base/assert.ts'
import type { AppendMessage, HeartbeatMessage, SnapshotMessage } from './messages.ts'
import type { RaftState } from './state.ts'

export class Follower {
  readonly #state: RaftState
  /** Below it the log is the same as the leader's. */
  #verifiedEnd: number
  #leaderCommit = 0
  #acknowledged: number
  #isAnswerDue = false
  /** The last part that came; the storage takes it with the next ready. */
  incoming: SnapshotMessage | undefined = undefined

  constructor(state: RaftState) {
    this.#state = state
    const { commit, durableEnd } = state.log
    this.#verifiedEnd = commit
    this.#acknowledged = Math.min(commit, durableEnd)
  }

  append(message: AppendMessage): void {
    const { log, leaderId } = this.#state
    const { prevEnd, prevTerm, entries } = message
    assert(message.from === leaderId, 'appends come from the leader')
    assert(prevTerm <= message.term, 'no term is later than the leader')
    if (prevEnd < log.commit) {
      // Late, or a leader that knows less of this log than is committed.
      this.#isAnswerDue = true
      return
    }
    if (log.termAt(prevEnd) !== prevTerm) {
      const hintEnd = log.lastAtOrBelow(prevEnd, prevTerm)
      const hintTerm = log.termAt(hintEnd)
      assert(hintTerm !== undefined, 'the term of a hint is known')
      this.#state.send(leaderId, {
        type: 'append-response',
        isRejected: true,
        prevEnd,
        match: 0,
        hintEnd,
        hintTerm,
      })
      return
    }
    const before = log.endOffset
    log.accept(entries)
    assert(log.endOffset >= Math.min(before, this.#verifiedEnd), 'what was verified stays')
    const last = entries.at(-1)
    const verified = last === undefined ? prevEnd : last.baseOffset + last.count
    this.#verifiedEnd = Math.max(this.#verifiedEnd, verified)
    this.#leaderCommit = Math.max(this.#leaderCommit, message.commit)
    this.#isAnswerDue = true
  }

  heartbeat(message: HeartbeatMessage): void {
    const { log, leaderId, loopProgress, storage } = this.#state
    assert(message.from === leaderId, 'heartbeats come from the leader')
    // What the leader says here was acknowledged by this very log, so it is the same as his.
    this.#verifiedEnd = Math.max(this.#verifiedEnd, Math.min(message.commit, log.endOffset))
    this.#leaderCommit = Math.max(this.#leaderCommit, message.commit)
    this.#state.send(leaderId, {
      type: 'heartbeat-response',
      round: message.round,
      endOffset: log.endOffset,
      progress: loopProgress,
      hasRoom: storage.hasRoom,
    })
  }

  /** Only what the own storage has taken: it may have no room for the rest. */
  #commit(): void {
    const { log } = this.#state
    const position = Math.min(this.#leaderCommit, this.#verifiedEnd, log.writtenEnd)
    assert(this.#verifiedEnd <= log.endOffset, 'only what is here was compared')
    if (position > log.commit) log.commitTo(position)
  }

  snapshot(message: SnapshotMessage): void {
    assert(message.snapshot.term <= message.term, 'no term is later than the leader')
    const { log } = this.#state
    if (message.snapshot.endOffset <= log.commit) this.#isAnswerDue = true
    else this.incoming = message
  }

  /** The snapshot that was received is in force. */
  installed(): void {
    assert(this.incoming === undefined, 'nothing comes meanwhile')
    this.#verifiedEnd = this.#state.log.commit
    this.#isAnswerDue = true
  }

  /** The storage had no room for what is behind the log's end. */
  refused(): void {
    this.#verifiedEnd = Math.min(this.#verifiedEnd, this.#state.log.endOffset)
  }

  /** Commits what was written meanwhile, acknowledges what has become durable. */
  flush(): void {
    this.#commit()
    const { log, leaderId } = this.#state
    if (!this.#isAnswerDue || leaderId < 0) return
    const match = Math.min(this.#verifiedEnd, log.durableEnd)
    const isWhole = match === this.#verifiedEnd
    if (!isWhole && match <= this.#acknowledged) return
    assert(match <= log.durableEnd && match <= log.endOffset, 'what is promised is durable')
    assert(match >= this.#acknowledged, 'a promise is kept')
    this.#acknowledged = match
    this.#isAnswerDue = !isWhole
    this.#state.send(leaderId, {
      type: 'append-response',
      isRejected: false,
      prevEnd: match,
      match,
      hintEnd: 0,
      hintTerm: 0,
    })
  }
}
