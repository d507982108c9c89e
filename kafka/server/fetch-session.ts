/**
 * Incremental fetch sessions (KIP-227): the server remembers which partitions a client reads, the
 * client sends only what changed, and the answer leaves out what did not.
 *
 * Invariant: a session's partitions change only with its epoch, so an answer that was begun in one
 * epoch is not sent in another.
 */
import { assert } from '../../base/assert.ts'
import type { Random } from '../../base/random.ts'
import { EntryList, FetchEntry } from './fetch-entries.ts'

/** First request of a session; also asks for one. */
export const INITIAL_EPOCH = 0
/** The client wants no session (any more). */
export const FINAL_EPOCH = -1
export const NO_SESSION = 0

const EPOCH_MAX = 0x7fffffff

export function nextEpoch(epoch: number): number {
  return epoch === EPOCH_MAX ? 1 : epoch + 1
}

/** Whoever makes an answer in the session. */
export interface SessionUser {
  /** Another request of the session came: the answer is none any more. */
  onSuperseded(): void
}

export class FetchSession {
  readonly id: number
  readonly usesTopicIds: boolean
  /** The epoch that the next request must bring. */
  epoch = nextEpoch(INITIAL_EPOCH)
  readonly createdMs: number
  usedMs: number
  readonly entries = new EntryList()
  /** The request that waits or is being answered. */
  user: SessionUser | undefined
  readonly #topics = new Map<string, Map<number, FetchEntry>>()

  constructor(id: number, usesTopicIds: boolean, nowMs: number) {
    this.id = id
    this.usesTopicIds = usesTopicIds
    this.createdMs = nowMs
    this.usedMs = nowMs
  }

  /** The entry for a partition that a request names; a new one at the end when there is none. */
  open(topicKey: string, index: number): FetchEntry {
    const known = this.#topics.get(topicKey)?.get(index)
    if (known !== undefined) return known
    const entry = new FetchEntry()
    entry.reset(topicKey, index)
    this.adopt(entry)
    return entry
  }

  /** Takes over an entry of a full fetch; of two for the same partition the later one counts. */
  adopt(entry: FetchEntry): void {
    let partitions = this.#topics.get(entry.topicKey)
    if (partitions === undefined) {
      partitions = new Map()
      this.#topics.set(entry.topicKey, partitions)
    }
    const before = partitions.get(entry.index)
    if (before !== undefined) this.entries.remove(before)
    partitions.set(entry.index, entry)
    this.entries.append(entry)
  }

  forget(topicKey: string, index: number): void {
    const partitions = this.#topics.get(topicKey)
    const entry = partitions?.get(index)
    if (partitions === undefined || entry === undefined) return
    partitions.delete(index)
    if (partitions.size === 0) this.#topics.delete(topicKey)
    this.entries.remove(entry)
  }
}

export class FetchSessionCache {
  evictions = 0
  /** Partitions in all sessions. */
  partitionCount = 0
  readonly #sessionsMax: number
  readonly #partitionsMax: number
  readonly #idleMs: number
  readonly #random: Random
  readonly #sessions = new Map<number, FetchSession>()

  constructor(options: {
    sessionsMax: number
    partitionsMax: number
    idleMs: number
    random: Random
  }) {
    this.#sessionsMax = options.sessionsMax
    this.#partitionsMax = options.partitionsMax
    this.#idleMs = options.idleMs
    this.#random = options.random
  }

  get size(): number {
    return this.#sessions.size
  }

  get(id: number): FetchSession | undefined {
    return this.#sessions.get(id)
  }

  remove(id: number): void {
    const session = this.#sessions.get(id)
    if (session === undefined) return
    this.#sessions.delete(id)
    this.partitionCount -= session.entries.size
    assert(this.partitionCount >= 0)
  }

  /** After a change of the session's partitions: `before` is how many it had. */
  onResized(session: FetchSession, before: number): void {
    if (this.#sessions.get(session.id) !== session) return
    this.partitionCount += session.entries.size - before
  }

  /** Makes a session of a full fetch's entries and empties their list; undefined: no room. */
  create(entries: EntryList, usesTopicIds: boolean, nowMs: number): FetchSession | undefined {
    const { size } = entries
    if (size === 0 || this.#sessionsMax === 0) return undefined
    if (this.partitionCount + size > this.#partitionsMax) return undefined
    if (this.#sessions.size >= this.#sessionsMax && !this.#makeRoom(size, nowMs)) return undefined
    const session = new FetchSession(this.#freeId(), usesTopicIds, nowMs)
    for (let entry = entries.first; entry !== undefined; entry = entries.first) {
      entries.remove(entry)
      session.adopt(entry)
    }
    this.#sessions.set(session.id, session)
    this.partitionCount += session.entries.size
    return session
  }

  /**
   * Takes out the session that was used least recently when that is long ago, else the smallest of
   * the old ones when it is smaller than the new one. So sessions that come and go do not drive out
   * those that stay.
   */
  #makeRoom(size: number, nowMs: number): boolean {
    let stalest: FetchSession | undefined
    let smallest: FetchSession | undefined
    for (const session of this.#sessions.values()) {
      if (stalest === undefined || session.usedMs < stalest.usedMs) stalest = session
      if (nowMs - session.createdMs <= this.#idleMs) continue
      if (smallest === undefined || session.entries.size < smallest.entries.size) smallest = session
    }
    let victim: FetchSession | undefined
    if (stalest !== undefined && nowMs - stalest.usedMs > this.#idleMs) victim = stalest
    else if (smallest !== undefined && smallest.entries.size < size) victim = smallest
    if (victim === undefined) return false
    this.remove(victim.id)
    this.evictions++
    return true
  }

  #freeId(): number {
    for (;;) {
      const id = 1 + this.#random.below(EPOCH_MAX)
      if (!this.#sessions.has(id)) return id
    }
  }
}
