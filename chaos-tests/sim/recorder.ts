/** Gathers the history of a run. Entries are added when they begin and completed in place. */
import type { Admin, Commit, Entry, Send, Trim } from '../checkers/history.ts'

export class Recorder {
  readonly entries: Entry[] = []
  /** Told of each acknowledgement in the moment in which it arrives. */
  onAcknowledged: (send: Send) => void = () => {}
  readonly #nowMs: () => number

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  get nowMs(): number {
    return this.#nowMs()
  }

  add(entry: Entry): void {
    this.entries.push(entry)
  }

  /** An operation that begins now, with an outcome that is not known yet. */
  begin<E extends Send | Commit | Admin | Trim>(entry: E): E {
    this.entries.push(entry)
    return entry
  }

  /** `offset`: of the first value; -1 where nobody tells. */
  sent(send: Send, offset: number): void {
    send.endMs = this.nowMs
    send.outcome = 'ok'
    if (offset >= 0) send.offset = offset
    this.onAcknowledged(send)
  }

  failed(entry: Send | Commit | Admin | Trim, error: unknown): void {
    entry.endMs = this.nowMs
    entry.error = error instanceof Error ? error.message : String(error)
  }
}
