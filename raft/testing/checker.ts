/**
 * What must hold of a group at every moment (Raft, figure 3): one leader a term; entries of the
 * same offset and term are the same, and follow the same; a leader has all that is committed;
 * nobody applies another entry at the same place.
 */
import assert from 'node:assert/strict'
import type { RaftCore } from '../core.ts'
import { type Entry, endOf } from '../messages.ts'

interface Known {
  readonly text: string
  readonly prevTerm: number
}

const textOf = ({ kind, count, data }: Entry) => `${kind} ${count} ${data.toString('latin1')}`

export class Checker {
  readonly #leaders = new Map<number, number>()
  readonly #entries = new Map<string, Known>()
  /** Committed on some member. */
  readonly #committed = new Map<number, string>()
  #committedEnd = 0
  readonly #applied = new Map<number, string>()
  readonly #commits = new Map<RaftCore, number>()
  readonly #terms = new Map<RaftCore, number>()
  readonly #checkedEnds = new Map<RaftCore, { term: number; end: number }>()

  /** After anything that happened to a member. */
  check(id: number, core: RaftCore, entries: readonly Entry[]): void {
    const { state } = core
    const { log } = state
    assert.ok(log.startOffset <= log.applied && log.applied <= log.commit, `applied on ${id}`)
    assert.ok(log.commit <= log.endOffset && log.durableEnd <= log.writtenEnd, `ends on ${id}`)
    assert.ok(log.commit >= (this.#commits.get(core) ?? 0), `commit falls on ${id}`)
    assert.ok(state.term >= (this.#terms.get(core) ?? 0), `the term falls on ${id}`)
    this.#commits.set(core, log.commit)
    this.#terms.set(core, state.term)
    this.#checkEntries(core, entries)
    this.#checkCommitted(id, core, entries)
    if (core.leader !== undefined) this.#checkLeader(id, core, entries)
  }

  #checkEntries(core: RaftCore, entries: readonly Entry[]): void {
    const { log, term } = core.state
    const before = this.#checkedEnds.get(core)
    const last = entries.at(-1)
    const end = last === undefined ? 0 : endOf(last)
    // Nothing was added: all of it has been looked at.
    if (before !== undefined && before.term === term && before.end === end) return
    this.#checkedEnds.set(core, { term, end })
    for (const entry of entries) {
      const prevTerm = log.termAt(entry.baseOffset)
      if (prevTerm === undefined) continue
      const key = `${entry.baseOffset}/${entry.term}`
      const known = this.#entries.get(key)
      const text = textOf(entry)
      if (known === undefined) this.#entries.set(key, { text, prevTerm })
      else assert.deepEqual({ text, prevTerm }, known, `logs match at ${key}`)
    }
  }

  #checkCommitted(id: number, core: RaftCore, entries: readonly Entry[]): void {
    const { commit } = core.state.log
    for (const entry of entries) {
      if (endOf(entry) > commit) break
      const text = `${entry.term} ${textOf(entry)}`
      const known = this.#committed.get(entry.baseOffset)
      if (known === undefined) this.#committed.set(entry.baseOffset, text)
      else assert.equal(text, known, `committed at ${entry.baseOffset} on ${id}`)
    }
    this.#committedEnd = Math.max(this.#committedEnd, commit)
  }

  #checkLeader(id: number, core: RaftCore, entries: readonly Entry[]): void {
    const { term, log } = core.state
    const known = this.#leaders.get(term)
    if (known === id) return
    assert.equal(known, undefined, `one leader in term ${term}`)
    this.#leaders.set(term, id)
    const newest = Math.max(...this.#leaders.keys())
    // A leader of the past that is late may lack what was committed since.
    if (newest !== term) return
    assert.ok(log.endOffset >= this.#committedEnd, `leader ${id} has all that is committed`)
    for (const entry of entries) {
      const committed = this.#committed.get(entry.baseOffset)
      if (committed === undefined) continue
      assert.equal(`${entry.term} ${textOf(entry)}`, committed, `leader ${id} is complete`)
    }
  }

  applied(id: number, entry: Entry): void {
    const text = `${entry.term} ${textOf(entry)}`
    const known = this.#applied.get(entry.baseOffset)
    if (known === undefined) this.#applied.set(entry.baseOffset, text)
    else assert.equal(text, known, `applied at ${entry.baseOffset} on ${id}`)
  }
}
