/**
 * One offset checkpoint of a log directory (`recovery-point-offset-checkpoint` and its likes): a
 * table in memory, and the file that follows it.
 *
 * Invariant: when `save` resolves, the file has durably what was set before the call. However many
 * ask at once, one write serves them all.
 */
import { assert } from '../base/assert.ts'
import type { Disk } from '../base/disk.ts'
import {
  type Offsets,
  parseOffsets,
  readChecked,
  renderOffsets,
  writeChecked,
} from './checkpoints.ts'
import { SharedWork } from './shared-work.ts'

export class CheckpointTable {
  readonly path: string
  /** False when the file was there and could not be believed: then the table is empty. */
  readonly wasIntact: boolean
  readonly #disk: Disk
  readonly #offsets: Offsets
  #isChanged = false
  readonly #writing = new SharedWork(() => this.#write())

  /** Reads the file. Throws StorageError. */
  constructor(disk: Disk, path: string) {
    this.#disk = disk
    this.path = path
    const stored = readChecked(disk, path)
    const offsets = stored?.isIntact === true ? parseOffsets(stored.text) : undefined
    this.wasIntact = stored === undefined || offsets !== undefined
    this.#offsets = offsets ?? new Map()
    this.#isChanged = !this.wasIntact
  }

  get(name: string): number | undefined {
    return this.#offsets.get(name)
  }

  names(): Iterable<string> {
    return this.#offsets.keys()
  }

  set(name: string, offset: number): void {
    assert(Number.isSafeInteger(offset) && offset >= 0, 'a checkpoint holds offsets')
    if (this.#offsets.get(name) === offset) return
    this.#offsets.set(name, offset)
    this.#isChanged = true
  }

  delete(name: string): void {
    if (this.#offsets.delete(name)) this.#isChanged = true
  }

  /** Rejects with StorageError: the next `save` writes again. */
  save(): Promise<void> {
    if (!this.#isChanged) return this.#writing.current ?? Promise.resolve()
    return this.#writing.request()
  }

  async #write(): Promise<void> {
    this.#isChanged = false
    try {
      await writeChecked(this.#disk, this.path, renderOffsets(this.#offsets))
    } catch (error) {
      this.#isChanged = true
      throw error
    }
  }
}
