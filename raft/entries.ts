/**
 * The log as the core sees it: its end in memory, the rest through the storage; the terms and the
 * memberships of all of it.
 *
 * Invariants: start <= applied <= commit <= end; durable <= written <= end; nothing below `commit`
 * is ever cut off; terms never fall along the log. What is evicted from memory is durable and
 * applied.
 */
import { assert } from '../base/assert.ts'
import { type Entry, endOf, type Membership } from './messages.ts'
import type { MembershipAt, RaftStorage, Snapshot, StoredState, TermStart } from './storage.ts'

export interface EntryLogOptions {
  readonly storage: Pick<RaftStorage, 'read'>
  readonly state: StoredState
  /** Counts while no entry says who votes. */
  readonly bootstrap: Membership
  readonly decodeMembership: (data: Buffer) => Membership
  /** Entries in memory beyond this are read from the storage. */
  readonly cacheBytes: number
}

export class EntryLog {
  startOffset: number
  endOffset: number
  /** Handed to the storage, which took it. */
  writtenEnd: number
  /** Survives a loss of power. */
  durableEnd: number
  commit: number
  applied: number
  /** The storage has to cut its log here before it takes more. */
  truncation: number | undefined = undefined
  #startTerm: number
  readonly #options: EntryLogOptions
  readonly #terms: TermStart[]
  readonly #memberships: MembershipAt[]
  /** Without gaps up to the end. Those before `#head` are gone. */
  #tail: Entry[] = []
  #head = 0
  #tailBytes = 0

  constructor(options: EntryLogOptions) {
    const { state } = options
    this.#options = options
    this.startOffset = state.startOffset
    this.#startTerm = state.startTerm
    this.endOffset = this.writtenEnd = this.durableEnd = state.endOffset
    this.commit = this.applied = state.commit
    this.#terms = [...state.terms]
    this.#memberships = [...state.memberships]
    assert(state.startOffset <= state.commit && state.commit <= state.endOffset, 'a whole log')
  }

  get membership(): Membership {
    return this.#memberships.at(-1)?.membership ?? this.#options.bootstrap
  }

  /** End of the entry that made the membership; 0 when the settings did. */
  get membershipEnd(): number {
    return this.#memberships.at(-1)?.endOffset ?? 0
  }

  /** As it was at a position. */
  membershipAt(position: number): Membership {
    const found = this.#memberships.findLast(({ endOffset }) => endOffset <= position)
    return found?.membership ?? this.#options.bootstrap
  }

  get lastTerm(): number {
    return this.#terms.at(-1)?.term ?? this.#startTerm
  }

  /** Term of the entry that ends at, or reaches over, this position; undefined when not known. */
  termAt(position: number): number | undefined {
    if (position > this.endOffset || position < this.startOffset) return undefined
    if (position === this.startOffset) return this.#startTerm
    for (let i = this.#terms.length - 1; i >= 0; i--) {
      const { term, startOffset } = this.#terms[i]!
      if (startOffset < position) return term
    }
    return this.#startTerm
  }

  /**
   * The last position at or below `position` whose term is not above `term`: where this log may
   * agree with another that has `term` there. Not below the start.
   */
  lastAtOrBelow(position: number, term: number): number {
    let at = Math.min(position, this.endOffset)
    for (let i = this.#terms.length - 1; i >= 0 && at > this.startOffset; i--) {
      const run = this.#terms[i]!
      if (run.startOffset >= at) continue
      if (run.term <= term) return at
      at = run.startOffset
    }
    return Math.max(at, this.startOffset)
  }

  /** The boundary between entries at or below `position`. */
  boundaryAt(position: number): number {
    assert(position >= this.startOffset && position <= this.endOffset, 'a position of this log')
    if (position === this.endOffset || position === this.startOffset) return position
    if (position >= this.#tailStart) return this.#tail[this.#indexOf(position)]!.baseOffset
    return this.#options.storage.read(position, this.#tailStart, 1)[0]!.baseOffset
  }

  /** Whole entries from a boundary on and below `upTo`: about `limitBytes`, but at least one. */
  slice(from: number, upTo: number, limitBytes: number): Entry[] {
    assert(from >= this.startOffset && from < upTo && upTo <= this.endOffset, 'within the log')
    const { storage } = this.#options
    if (from < this.#tailStart) {
      const entries = storage.read(from, Math.min(upTo, this.#tailStart), limitBytes)
      assert(entries[0]?.baseOffset === from, 'a read begins at a boundary')
      return entries
    }
    const found: Entry[] = []
    let bytes = 0
    for (let i = this.#indexOf(from); i < this.#tail.length; i++) {
      const entry = this.#tail[i]!
      bytes += entry.data.length
      if (endOf(entry) > upTo || (found.length > 0 && bytes > limitBytes)) break
      found.push(entry)
    }
    assert(found[0]?.baseOffset === from, 'a slice begins at a boundary')
    return found
  }

  append(entry: Entry): void {
    assert(entry.baseOffset === this.endOffset && entry.count >= 1, 'entries follow each other')
    assert(entry.term >= this.lastTerm, 'terms do not fall')
    if (entry.term > this.lastTerm || this.endOffset === this.startOffset) {
      this.#terms.push({ term: entry.term, startOffset: entry.baseOffset })
    }
    this.#tail.push(entry)
    this.#tailBytes += entry.data.length
    this.endOffset = endOf(entry)
    if (entry.kind !== 'membership') return
    const membership = this.#options.decodeMembership(entry.data)
    this.#memberships.push({ endOffset: this.endOffset, membership })
  }

  /**
   * What a leader sent behind a position that agrees. Entries that are here already are left alone;
   * one that differs replaces itself and all that follows.
   */
  accept(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const end = endOf(entry)
      if (end <= this.endOffset && this.termAt(end) === entry.term) continue
      if (entry.baseOffset < this.endOffset) this.truncate(entry.baseOffset)
      this.append(entry)
    }
  }

  /** Cuts back to a boundary. */
  truncate(position: number): void {
    assert(position >= this.commit, 'what is committed stays')
    assert(position < this.endOffset, 'there is something to cut')
    if (position < this.writtenEnd)
      this.truncation = Math.min(this.truncation ?? position, position)
    this.#cut(position)
  }

  /** The storage had no room: what it did not take is gone, and never left this member. */
  refuse(writtenEnd: number): void {
    assert(writtenEnd >= this.writtenEnd && writtenEnd < this.endOffset, 'written stays')
    assert(writtenEnd >= this.commit, 'what is committed stays')
    this.writtenEnd = writtenEnd
    this.#cut(writtenEnd)
  }

  #cut(position: number): void {
    while (this.#tail.length > this.#head && endOf(this.#tail.at(-1)!) > position) {
      this.#tailBytes -= this.#tail.pop()!.data.length
    }
    const last = this.#tail.length > this.#head ? this.#tail.at(-1)! : undefined
    assert(last === undefined || endOf(last) === position, 'a cut is at a boundary')
    if (last === undefined) this.#clearTail()
    while ((this.#terms.at(-1)?.startOffset ?? -1) >= position) this.#terms.pop()
    while ((this.#memberships.at(-1)?.endOffset ?? -1) > position) this.#memberships.pop()
    this.endOffset = position
    this.writtenEnd = Math.min(this.writtenEnd, position)
    this.durableEnd = Math.min(this.durableEnd, position)
  }

  /** Everything is replaced by a snapshot. */
  reset(snapshot: Snapshot): void {
    assert(snapshot.endOffset > this.commit, 'a snapshot brings something')
    this.#clearTail()
    this.#terms.length = 0
    this.#memberships.length = 0
    const { endOffset, membership } = snapshot
    this.#memberships.push({ endOffset, membership })
    this.#startTerm = snapshot.term
    this.startOffset = this.endOffset = this.writtenEnd = this.durableEnd = endOffset
    this.commit = this.applied = endOffset
    this.truncation = undefined
  }

  /** A snapshot covers what is below. */
  dropBefore(position: number): void {
    if (position <= this.startOffset) return
    assert(position <= this.applied && position <= this.durableEnd, 'a snapshot is of applied')
    const term = this.termAt(position)
    assert(term !== undefined, 'the term at the new start is known')
    this.#startTerm = term
    this.startOffset = position
    while (this.#terms.length > 1 && this.#terms[1]!.startOffset <= position) this.#terms.shift()
    while (this.#memberships.length > 1 && this.#memberships[1]!.endOffset <= position) {
      this.#memberships.shift()
    }
    this.evict()
  }

  /** What the storage does not have yet. */
  unwritten(): Entry[] {
    if (this.writtenEnd === this.endOffset) return []
    return this.#tail.slice(this.#indexOf(this.writtenEnd))
  }

  commitTo(position: number): void {
    assert(position >= this.commit && position <= this.endOffset, 'commit goes forward')
    this.commit = position
  }

  /** The next committed entries to apply; they are in the storage's hands already. */
  toApply(limitBytes: number): Entry[] {
    const upTo = Math.min(this.commit, this.writtenEnd)
    return this.applied < upTo ? this.slice(this.applied, upTo, limitBytes) : []
  }

  appliedTo(position: number): void {
    assert(position > this.applied && position <= this.commit, 'applying follows committing')
    this.applied = position
    this.evict()
  }

  durableTo(position: number): void {
    this.durableEnd = Math.max(this.durableEnd, Math.min(position, this.writtenEnd))
    this.evict()
  }

  /** Bytes of entries in memory. */
  get cachedBytes(): number {
    return this.#tailBytes
  }

  evict(): void {
    const upTo = Math.min(this.applied, this.durableEnd)
    while (this.#head < this.#tail.length) {
      const entry = this.#tail[this.#head]!
      const isOver = this.#tailBytes > this.#options.cacheBytes
      if (endOf(entry) > upTo || (!isOver && entry.baseOffset >= this.startOffset)) break
      this.#tailBytes -= entry.data.length
      this.#head++
    }
    if (this.#head === this.#tail.length) this.#clearTail()
    else if (this.#head > 1024 && this.#head * 2 > this.#tail.length) {
      this.#tail = this.#tail.slice(this.#head)
      this.#head = 0
    }
  }

  #clearTail(): void {
    this.#tail = []
    this.#head = 0
    this.#tailBytes = 0
  }

  get #tailStart(): number {
    return this.#tail[this.#head]?.baseOffset ?? this.endOffset
  }

  /** Of the entry that holds the offset. */
  #indexOf(offset: number): number {
    let low = this.#head
    let high = this.#tail.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#tail[middle]!.baseOffset <= offset) low = middle
      else high = middle - 1
    }
    return low
  }
}
