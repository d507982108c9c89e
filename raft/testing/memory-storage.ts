/** A storage in memory that forgets what was not synced when it crashes. */
import { assert } from '../../base/assert.ts'
import { crc32c } from '../../base/crc32c.ts'
import { type Entry, endOf, type Membership, type SnapshotId } from '../messages.ts'
import type { EntryCodec } from '../options.ts'
import {
  type MembershipAt,
  type RaftStorage,
  type Snapshot,
  StorageFull,
  type StoredState,
  type TermStart,
  type Vote,
} from '../storage.ts'

/** Entries that the core makes, as text. */
export const TEXT_CODEC: EntryCodec = {
  encodeLeader: (_baseOffset, _term, leaderId) => Buffer.from(`leader ${leaderId}`),
  encodeMembership: (_baseOffset, _term, membership) => Buffer.from(JSON.stringify(membership)),
  decodeMembership: (data) => JSON.parse(data.toString()) as Membership,
}

/** The content of a snapshot is the text of all entries that it covers. */
export function snapshotContent(entries: readonly Entry[]): Buffer {
  return Buffer.from(entries.map(({ data }) => data.toString()).join('\n'))
}

interface Incoming {
  readonly id: SnapshotId
  readonly parts: Buffer[]
  bytes: number
}

export class MemoryStorage implements RaftStorage {
  vote: Vote = { term: 0, voted: undefined }
  entries: Entry[] = []
  startOffset = 0
  startTerm = 0
  durableEnd = 0
  snapshot: Snapshot | undefined = undefined
  content: Buffer = Buffer.alloc(0)
  /** Appends are refused. */
  isFull = false
  syncCount = 0
  #incoming: Incoming | undefined

  /** A log of one-offset entries of these terms. */
  static of(terms: readonly number[]): MemoryStorage {
    const storage = new MemoryStorage()
    storage.entries = terms.map((term, baseOffset) => {
      return {
        baseOffset,
        count: 1,
        term,
        kind: 'normal',
        data: Buffer.from(`${term}.${baseOffset}`),
      }
    })
    storage.durableEnd = terms.length
    storage.vote = { term: terms.at(-1) ?? 0, voted: undefined }
    return storage
  }

  get endOffset(): number {
    const last = this.entries.at(-1)
    return last === undefined ? this.startOffset : endOf(last)
  }

  get state(): StoredState {
    const terms: TermStart[] = []
    const memberships: MembershipAt[] = []
    const { snapshot } = this
    if (snapshot !== undefined) {
      memberships.push({ endOffset: snapshot.endOffset, membership: snapshot.membership })
    }
    for (const entry of this.entries) {
      const { term, baseOffset, kind, data } = entry
      if (term > (terms.at(-1)?.term ?? -1)) terms.push({ term, startOffset: baseOffset })
      const endOffset = endOf(entry)
      if (kind !== 'membership' || endOffset <= (snapshot?.endOffset ?? 0)) continue
      memberships.push({ endOffset, membership: TEXT_CODEC.decodeMembership(data) })
    }
    return {
      vote: this.vote,
      startOffset: this.startOffset,
      startTerm: this.startTerm,
      endOffset: this.endOffset,
      terms,
      memberships,
      commit: Math.max(this.startOffset, snapshot?.endOffset ?? 0),
    }
  }

  async saveVote(vote: Vote): Promise<void> {
    this.vote = vote
  }

  get hasRoom(): boolean {
    return !this.isFull
  }

  append(entries: readonly Entry[]): void {
    if (this.isFull) throw new StorageFull(this.endOffset)
    for (const entry of entries) {
      assert(entry.baseOffset === this.endOffset, 'entries follow each other')
      this.entries.push(entry)
    }
  }

  syncNow(): number {
    this.syncCount++
    this.durableEnd = this.endOffset
    return this.durableEnd
  }

  async sync(): Promise<number> {
    return this.syncNow()
  }

  truncateNow(endOffset: number): void {
    while (this.entries.length > 0 && endOf(this.entries.at(-1)!) > endOffset) this.entries.pop()
    assert(this.endOffset === endOffset, 'a log is cut between entries')
    this.durableEnd = Math.min(this.durableEnd, endOffset)
  }

  async truncateTo(endOffset: number): Promise<void> {
    this.truncateNow(endOffset)
  }

  read(from: number, upTo: number, limitBytes: number): Entry[] {
    const found: Entry[] = []
    let bytes = 0
    for (const entry of this.entries) {
      if (endOf(entry) <= from) continue
      bytes += entry.data.length
      if (found.length > 0 && (endOf(entry) > upTo || bytes > limitBytes)) break
      found.push(entry)
    }
    assert(found.length > 0 && found[0]!.baseOffset <= from, 'a read finds its entry')
    return found
  }

  /** Covers everything below `endOffset`, a boundary. */
  takeSnapshot(endOffset: number, membership: Membership, content: Buffer): Snapshot {
    const before = this.entries.findLast((entry) => endOf(entry) <= endOffset)
    const term = before?.term ?? this.startTerm
    const checksum = crc32c(content)
    this.content = content
    this.snapshot = { endOffset, term, membership, sizeBytes: content.length, checksum }
    return this.snapshot
  }

  readSnapshot(_id: SnapshotId, position: number, lengthBytes: number): Buffer {
    return this.content.subarray(position, position + lengthBytes)
  }

  receivedBytes(id: SnapshotId): number {
    const incoming = this.#incoming
    if (incoming === undefined || incoming.id.checksum !== id.checksum) return 0
    return incoming.id.endOffset === id.endOffset ? incoming.bytes : 0
  }

  receive(id: SnapshotId, position: number, data: Buffer): void {
    if (this.isFull) throw new StorageFull(this.endOffset)
    if (position === 0) this.#incoming = { id, parts: [], bytes: 0 }
    assert(this.#incoming?.bytes === position, 'parts follow each other')
    this.#incoming.parts.push(data)
    this.#incoming.bytes += data.length
  }

  installNow(snapshot: Snapshot): boolean {
    assert(this.#incoming?.bytes === snapshot.sizeBytes, 'all is there')
    const content = Buffer.concat(this.#incoming.parts)
    this.#incoming = undefined
    if (crc32c(content) !== snapshot.checksum) return false
    this.snapshot = snapshot
    this.content = content
    this.entries = []
    this.startOffset = this.durableEnd = snapshot.endOffset
    this.startTerm = snapshot.term
    return true
  }

  async install(snapshot: Snapshot): Promise<boolean> {
    return this.installNow(snapshot)
  }

  dropBefore(startOffset: number): void {
    while (this.entries.length > 0 && endOf(this.entries[0]!) <= startOffset) {
      this.startTerm = this.entries.shift()!.term
      this.startOffset = startOffset
    }
  }

  /** A byte of the snapshot flips; a second time, back. */
  garble(): void {
    this.content = Buffer.from(this.content)
    this.content[0]! ^= 0xff
  }

  /** The power goes: what was not synced is lost. */
  crash(): void {
    this.entries = this.entries.filter((entry) => endOf(entry) <= this.durableEnd)
    this.#incoming = undefined
  }
}
