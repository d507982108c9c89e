import assert from 'node:assert/strict'
import { EntryLog } from './entries.ts'
import type { Entry } from './messages.ts'
import { memberOf } from './testing/group.ts'
import { MemoryStorage, TEXT_CODEC } from './testing/memory-storage.ts'

const BOOTSTRAP = { voters: [memberOf(1)], outgoing: [] }

function logOf(storage: MemoryStorage, cacheBytes = 1000): EntryLog {
  return new EntryLog({
    storage,
    state: storage.state,
    bootstrap: BOOTSTRAP,
    decodeMembership: TEXT_CODEC.decodeMembership,
    cacheBytes,
  })
}

const entry = (baseOffset: number, term: number, count = 1): Entry => ({
  baseOffset,
  count,
  term,
  kind: 'normal',
  data: Buffer.from(`${term}.${baseOffset}`),
})

const voters = (baseOffset: number, term: number, ids: number[]): Entry => ({
  ...entry(baseOffset, term),
  kind: 'membership',
  data: TEXT_CODEC.encodeMembership(baseOffset, term, {
    voters: ids.map(memberOf),
    outgoing: [],
  }),
})

const ids = (log: EntryLog) => log.membership.voters.map(({ nodeId }) => nodeId)

const textOf = (entries: readonly Entry[]) => entries.map(({ data }) => data.toString())

describe('raft/entries', () => {
  it('an empty log ends at 0, in term 0', () => {
    const log = logOf(new MemoryStorage())
    assert.deepEqual([log.startOffset, log.endOffset, log.lastTerm, log.termAt(0)], [0, 0, 0, 0])
    assert.equal(log.termAt(1), undefined)
    assert.deepEqual(log.unwritten(), [])
  })

  const terms = [1, 1, 4, 4, 5, 5, 6, 6, 6]
  for (const [position, expected] of [0, ...terms, undefined].entries()) {
    it(`the term at position ${position} is ${expected}`, () => {
      assert.equal(logOf(MemoryStorage.of(terms)).termAt(position), expected)
    })
  }

  for (const [position, term, expected] of [
    [9, 6, 9],
    [9, 5, 6],
    [7, 6, 7],
    [7, 4, 4],
    [9, 3, 2],
    [9, 0, 0],
    [3, 4, 3],
    [3, 3, 2],
    [100, 9, 9],
  ] as const) {
    it(`may agree at ${expected} with a log that has term ${term} at ${position}`, () => {
      assert.equal(logOf(MemoryStorage.of(terms)).lastAtOrBelow(position, term), expected)
    })
  }

  it('keeps what is there already, and replaces what differs with all that follows', () => {
    const log = logOf(MemoryStorage.of([1, 1, 2, 2]))
    log.accept([entry(1, 1), entry(2, 2)])
    assert.deepEqual([log.endOffset, log.truncation], [4, undefined])
    log.accept([entry(2, 2), entry(3, 3), entry(4, 3)])
    assert.deepEqual([log.endOffset, log.lastTerm, log.truncation], [5, 3, 3])
    assert.deepEqual(textOf(log.unwritten()), ['3.3', '3.4'])
    assert.deepEqual([log.writtenEnd, log.durableEnd], [3, 3])
  })

  it('an entry that covers several offsets is one', () => {
    const log = logOf(new MemoryStorage())
    log.append(entry(0, 1, 5))
    log.append(entry(5, 2))
    assert.deepEqual([log.endOffset, log.termAt(3), log.termAt(5), log.termAt(6)], [6, 1, 1, 2])
    assert.deepEqual([log.boundaryAt(3), log.boundaryAt(5), log.boundaryAt(6)], [0, 5, 6])
    assert.throws(() => log.slice(3, 6, 100), 'not at a boundary')
  })

  it('never cuts what is committed', () => {
    const log = logOf(MemoryStorage.of([1, 1, 2]))
    log.commitTo(2)
    assert.throws(() => log.accept([entry(1, 3)]))
    assert.throws(() => log.truncate(1))
    log.truncate(2)
    assert.equal(log.endOffset, 2)
  })

  it('refuses gaps, falling terms, and a commit position that falls', () => {
    const log = logOf(MemoryStorage.of([1, 2]))
    assert.throws(() => log.append(entry(3, 2)))
    assert.throws(() => log.append(entry(2, 1)))
    log.commitTo(2)
    assert.throws(() => log.commitTo(1))
    assert.throws(() => log.commitTo(3))
  })

  it('what the storage did not take is gone, and needs no truncation', () => {
    const log = logOf(MemoryStorage.of([1, 1]))
    log.append(entry(2, 1))
    log.append(entry(3, 1))
    log.writtenEnd = 3
    log.refuse(3)
    assert.deepEqual([log.endOffset, log.truncation], [3, undefined])
    log.append(entry(3, 1))
    assert.deepEqual(textOf(log.unwritten()), ['1.3'])
  })

  it('a sync that began before a truncation does not make later entries durable', () => {
    const log = logOf(MemoryStorage.of([1, 1]))
    log.append(entry(2, 1))
    log.writtenEnd = 3
    log.truncate(1)
    log.append(entry(1, 2))
    log.append(entry(2, 2))
    log.durableTo(3)
    assert.equal(log.durableEnd, 1)
  })

  it('the last membership in the log counts, committed or not, and falls with it', () => {
    const log = logOf(new MemoryStorage())
    assert.deepEqual(ids(log), [1])
    log.append(voters(0, 1, [1, 2]))
    log.append(entry(1, 1))
    log.append(voters(2, 1, [1, 2, 3]))
    assert.deepEqual([ids(log), log.membershipEnd], [[1, 2, 3], 3])
    log.truncate(2)
    assert.deepEqual([ids(log), log.membershipEnd], [[1, 2], 1])
    log.truncate(0)
    assert.deepEqual([ids(log), log.membershipEnd], [[1], 0])
  })

  it('knows who voted at an earlier position', () => {
    const log = logOf(new MemoryStorage())
    log.append(voters(0, 1, [1, 2]))
    log.append(voters(1, 1, [1, 2, 3]))
    const at = (position: number) => log.membershipAt(position).voters.length
    assert.deepEqual([at(0), at(1), at(2)], [1, 2, 3])
  })

  it('evicts only what is durable and applied, and reads it from the storage then', () => {
    const storage = new MemoryStorage()
    const log = logOf(storage, 6)
    for (let offset = 0; offset < 6; offset++) log.append(entry(offset, 1))
    storage.append(log.unwritten())
    log.writtenEnd = 6
    assert.equal(log.cachedBytes, 18)
    log.commitTo(4)
    log.appliedTo(4)
    assert.equal(log.cachedBytes, 18, 'it is not durable')
    log.durableTo(6)
    assert.equal(log.cachedBytes, 6)
    assert.deepEqual(textOf(log.slice(0, 6, 100)), ['1.0', '1.1', '1.2', '1.3'])
    assert.deepEqual(textOf(log.slice(4, 6, 100)), ['1.4', '1.5'])
    assert.deepEqual(textOf(log.toApply(100)), [])
    log.commitTo(6)
    assert.deepEqual(textOf(log.toApply(100)), ['1.4', '1.5'])
  })

  it('a slice has at least one entry, and no more bytes than asked for', () => {
    const log = logOf(MemoryStorage.of([1]))
    for (let offset = 1; offset < 5; offset++) log.append(entry(offset, 1))
    assert.equal(log.slice(1, 5, 1).length, 1)
    assert.equal(log.slice(1, 5, 6).length, 2)
    assert.equal(log.slice(1, 3, 100).length, 2)
  })

  it('begins behind a snapshot, and still knows the term and the voters there', () => {
    const log = logOf(new MemoryStorage())
    log.append(voters(0, 1, [1, 2]))
    for (let offset = 1; offset < 5; offset++) log.append(entry(offset, offset < 3 ? 1 : 2))
    log.writtenEnd = 5
    log.durableTo(5)
    log.commitTo(5)
    log.appliedTo(5)
    log.dropBefore(4)
    assert.deepEqual([log.startOffset, log.termAt(4), log.termAt(3)], [4, 2, undefined])
    assert.deepEqual(ids(log), [1, 2])
    assert.equal(log.lastAtOrBelow(5, 0), 4)
    log.dropBefore(2)
    assert.equal(log.startOffset, 4)
  })

  it('is replaced by a snapshot as a whole', () => {
    const log = logOf(MemoryStorage.of([1, 1, 1]))
    const membership = { voters: [1, 2, 3].map(memberOf), outgoing: [] }
    log.reset({ endOffset: 10, term: 4, sizeBytes: 1, checksum: 1, membership })
    assert.deepEqual([log.startOffset, log.endOffset, log.commit, log.applied], [10, 10, 10, 10])
    assert.deepEqual([log.termAt(10), log.lastTerm, ids(log)], [4, 4, [1, 2, 3]])
    log.append(entry(10, 4))
    assert.equal(log.termAt(11), 4)
    assert.throws(() => log.reset({ endOffset: 9, term: 4, sizeBytes: 1, checksum: 1, membership }))
  })

  it('goes on after a restart with what the storage says', () => {
    const storage = MemoryStorage.of([1, 2, 2])
    storage.append([voters(3, 3, [1, 2])])
    const log = logOf(storage)
    assert.deepEqual([log.endOffset, log.lastTerm, ids(log)], [4, 3, [1, 2]])
    assert.deepEqual([log.writtenEnd, log.durableEnd, log.commit], [4, 4, 0])
    assert.deepEqual(textOf(log.slice(0, 2, 100)), ['1.0', '2.1'])
    assert.equal(log.boundaryAt(2), 2)
  })
})
