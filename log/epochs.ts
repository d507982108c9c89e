/**
 * Which leader epoch wrote which offsets: Kafka's `leader-epoch-checkpoint`. Decides where a
 * follower cuts (KIP-101, KIP-279), and which epoch a stored batch must carry.
 *
 * Invariant: epochs and start offsets rise strictly.
 */
import { assert } from '../base/assert.ts'
import { parseTable, renderTable } from './checkpoints.ts'

export interface EpochEnd {
  readonly epoch: number
  readonly endOffset: number
}

export interface EpochStart {
  readonly epoch: number
  readonly startOffset: number
}

const UNKNOWN: EpochEnd = { epoch: -1, endOffset: -1 }

export class LeaderEpochs {
  #entries: EpochStart[] = []
  /**
   * The first offset whose epoch is not in the saved file; undefined when the file is up to date.
   */
  #unsavedFrom: number | undefined = undefined
  /** The same of what is being written. */
  #savingFrom: number | undefined = undefined

  get latest(): number {
    return this.#entries.length === 0 ? -1 : this.#entries[this.#entries.length - 1]!.epoch
  }

  get entries(): readonly EpochStart[] {
    return this.#entries
  }

  get unsavedFrom(): number | undefined {
    const saving = this.#savingFrom
    const unsaved = this.#unsavedFrom
    return saving === undefined ? unsaved : Math.min(saving, unsaved ?? saving)
  }

  /**
   * Records from `startOffset` on are of `epoch`. Nothing changes when the latest is at least that.
   */
  assign(epoch: number, startOffset: number): void {
    if (epoch <= this.latest || epoch < 0) return
    // Entries without records: a leader that never wrote in its epoch.
    this.#dropFrom(startOffset)
    this.#entries.push({ epoch, startOffset })
    this.#markUnsaved(startOffset)
    const count = this.#entries.length
    assert(count < 2 || this.#entries[count - 2]!.epoch < epoch, 'epochs rise')
  }

  /** -1 when not known. */
  at(offset: number): number {
    for (let i = this.#entries.length - 1; i >= 0; i--) {
      if (this.#entries[i]!.startOffset <= offset) return this.#entries[i]!.epoch
    }
    return -1
  }

  /** The largest epoch at or below the requested one, and where it ends. */
  endOf(requestedEpoch: number, logEndOffset: number): EpochEnd {
    if (requestedEpoch < 0 || this.#entries.length === 0) return UNKNOWN
    if (requestedEpoch === this.latest) return { epoch: requestedEpoch, endOffset: logEndOffset }
    // An epoch that this log has not seen: the asker must look further.
    if (requestedEpoch > this.latest) return UNKNOWN
    const higher = this.#entries.findIndex((entry) => entry.epoch > requestedEpoch)
    assert(higher >= 0, 'a higher epoch exists')
    // Before the first known epoch: everything of it is gone, it ended where the first begins.
    const epoch = higher === 0 ? requestedEpoch : this.#entries[higher - 1]!.epoch
    return { epoch, endOffset: this.#entries[higher]!.startOffset }
  }

  truncateFromEnd(endOffset: number): void {
    const before = this.#entries.length
    this.#dropFrom(endOffset)
    if (this.#entries.length !== before) this.#markUnsaved(endOffset)
  }

  /** The epoch that holds the new start stays, from there on. */
  truncateFromStart(startOffset: number): void {
    const kept = this.#entries.filter((entry) => entry.startOffset > startOffset)
    if (kept.length === this.#entries.length) return
    const holder = this.#entries[this.#entries.length - kept.length - 1]!
    if (kept.length === this.#entries.length - 1 && holder.startOffset === startOffset) return
    this.#entries = [{ epoch: holder.epoch, startOffset }, ...kept]
    this.#markUnsaved(Number.MAX_SAFE_INTEGER)
  }

  clear(): void {
    if (this.#entries.length > 0) this.#markUnsaved(0)
    this.#entries = []
  }

  /** The file as Kafka writes it. */
  encode(): string {
    return renderTable(this.#entries.map(({ epoch, startOffset }) => `${epoch} ${startOffset}`))
  }

  /** What to write; later changes are not in it. Ends with `endSave`. */
  beginSave(): string {
    assert(this.#savingFrom === undefined, 'one save at a time')
    this.#savingFrom = this.#unsavedFrom
    this.#unsavedFrom = undefined
    return this.encode()
  }

  endSave(isSaved: boolean): void {
    const from = this.#savingFrom
    this.#savingFrom = undefined
    if (!isSaved && from !== undefined) this.#markUnsaved(from)
  }

  /** The entries are those of the file. */
  markSaved(): void {
    this.#unsavedFrom = undefined
  }

  /** False, and empty, when the text is not a table of rising epochs. */
  decode(text: string): boolean {
    this.#entries = []
    const rows = parseTable(text)
    if (rows === undefined) return false
    const entries: EpochStart[] = []
    for (const row of rows) {
      const match = /^(\d{1,10}) (\d{1,16})$/.exec(row)
      if (match === null) return false
      const entry = { epoch: Number(match[1]), startOffset: Number(match[2]) }
      const last = entries.at(-1)
      if (last !== undefined && entry.epoch <= last.epoch) return false
      if (last !== undefined && entry.startOffset <= last.startOffset) return false
      entries.push(entry)
    }
    this.#entries = entries
    return true
  }

  #dropFrom(offset: number): void {
    while (this.#entries.length > 0 && this.#entries.at(-1)!.startOffset >= offset) {
      this.#entries.pop()
    }
  }

  #markUnsaved(offset: number): void {
    this.#unsavedFrom = Math.min(this.#unsavedFrom ?? Number.MAX_SAFE_INTEGER, offset)
  }
}
