/**
 * Room kept on a device for what must go on when it is full: the note that a topic is deleted, or
 * the checkpoint that lets segments go, needs a few bytes before it frees many. Pieces of a file system's blocks lie in a directory; one is
 * given up for each write that met a full device, and made again when there is room.
 *
 * Invariants: giving up is synchronous, so that nobody else takes the room before the write is
 * repeated; it needs no room itself: an empty file takes the place of a piece, and is the empty file
 * for the next one. No call rejects because of the device.
 */
import { assert } from '../base/assert.ts'
import type { Clock, Timer } from '../base/clock.ts'
import type { Disk } from '../base/disk.ts'
import { StorageError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'

export interface ReserveOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly logger: Logger
  readonly directory: string
  /** Of the names of its files, where the directory is not its own. */
  readonly prefix?: string
  /** How many pieces; `RESERVE_PIECES` when absent. */
  readonly pieces?: number
}

export const RESERVE_PIECES = 8
/** A few blocks of any file system. */
export const RESERVE_PIECE_BYTES = 32_768
const EMPTY = 'empty'
const FIRST_FILL_MS = 1000
const FILL_MS = 10_000
/** Not the last that others have: a reserve is for later. */
const SPARE_BYTES = 4 * RESERVE_PIECES * RESERVE_PIECE_BYTES

export class Reserve {
  readonly #options: ReserveOptions
  readonly #prefix: string
  readonly #most: number
  readonly #pieces: string[] = []
  /** A file without content. */
  #empty: string | undefined
  #timer: Timer | undefined
  #filling: Promise<void> = Promise.resolve()
  #isClosed = false

  /** What a process before this one left is there. */
  constructor(options: ReserveOptions) {
    this.#options = options
    this.#prefix = options.prefix ?? ''
    this.#most = options.pieces ?? RESERVE_PIECES
    const { disk, directory } = options
    this.#attempt('looked at', () => {
      if (!disk.exists(directory)) return
      for (const { name, isDirectory } of disk.list(directory)) {
        if (isDirectory || !name.startsWith(this.#prefix)) continue
        const path = `${directory}/${name}`
        const size = disk.sizeOf(path)
        if (size === 0) this.#empty = path
        else if (size === RESERVE_PIECE_BYTES && name !== this.#prefix + EMPTY)
          this.#pieces.push(path)
      }
    })
    this.#fillLater(FIRST_FILL_MS)
  }

  get pieceCount(): number {
    return this.#pieces.length
  }

  /** True when there is some room more than before. */
  giveUp(): boolean {
    const empty = this.#empty
    const piece = this.#pieces.at(-1)
    if (empty === undefined || piece === undefined) return false
    return this.#attempt('given up', () => {
      this.#options.disk.rename(empty, piece)
      this.#pieces.pop()
      this.#empty = piece
      const left = this.#pieces.length
      this.#options.logger.warn('A full disk: room that was kept is used.', {
        directory: this.#options.directory,
        left,
      })
    })
  }

  #fillLater(delayMs: number): void {
    if (this.#isClosed) return
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#filling = this.#fill().finally(() => this.#fillLater(FILL_MS))
    })
  }

  async #fill(): Promise<void> {
    if (this.#pieces.length >= this.#most && this.#empty !== undefined) return
    const { disk, directory } = this.#options
    try {
      const { freeBytes } = await disk.space(parentOf(directory))
      if (freeBytes < SPARE_BYTES || this.#isClosed) return
      disk.makeDirectory(directory)
      const start = `${directory}/${this.#prefix}`
      for (let i = 0; i < this.#most; i++) await this.#make(`${start}piece-${i}`)
      if (this.#isClosed || this.#empty !== undefined) return
      await this.#makeEmpty(start + EMPTY)
    } catch (error) {
      this.#say('filled', error)
    }
  }

  async #make(path: string): Promise<void> {
    if (this.#isClosed || this.#pieces.includes(path)) return
    const file = this.#options.disk.open(path, 'write')
    if (this.#empty === path) this.#empty = undefined
    try {
      // Synced, so that the room is taken and not only spoken of.
      file.write(PIECE, 0, PIECE.length, 0)
      await file.sync()
      if (file.size() === RESERVE_PIECE_BYTES) this.#pieces.push(path)
      assert(this.#pieces.length <= this.#most, 'a piece is made once')
    } catch (error) {
      await file.truncate(0)
      throw error
    } finally {
      file.close()
    }
  }

  /** A power loss can take back the name of a piece that was the empty file: then it is full. */
  async #makeEmpty(path: string): Promise<void> {
    const file = this.#options.disk.open(path, 'write')
    try {
      if (file.size() > 0) await file.truncate(0)
      this.#empty = path
    } finally {
      file.close()
    }
  }

  #attempt(what: string, run: () => void): boolean {
    try {
      run()
      return true
    } catch (error) {
      this.#say(what, error)
      return false
    }
  }

  #say(what: string, error: unknown): void {
    if (!(error instanceof StorageError)) throw error
    const { logger, directory } = this.#options
    logger.warn(`The reserve for a full disk can not be ${what}.`, {
      directory,
      error: error.message,
    })
  }

  /** The pieces stay. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#filling
  }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

/** Takes its room also where the file system compresses. */
const PIECE = noise(RESERVE_PIECE_BYTES)

function noise(bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  for (let i = 0, state = 1; i < bytes; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    buffer[i] = state >>> 24
  }
  return buffer
}
