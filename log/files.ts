/**
 * What all logs of a node share, so that ten thousand idle ones cost little: open files behind a
 * limit, gather buffers lent for one turn, the window through which batch headers are read.
 *
 * Invariant: a file with unsynced bytes, or with an operation under way, is not closed to make
 * room.
 */
import { assert } from '../base/assert.ts'
import type { Disk, DiskFile } from '../base/disk.ts'
import { StorageError } from '../base/errors.ts'
import { BatchVerdict } from './batch.ts'
import type { FlushSchedule } from './flush-schedule.ts'
import { RECORDS_AT } from './format.ts'
import type { LogProbe } from './probe.ts'
import type { Segment } from './segment.ts'
import { Slots } from './slots.ts'

export const OPEN_FILES_MAX = 2000
const WINDOW_BYTES = 16_384
const WINDOW_READ_BYTES = 8192
/** Indexes of closed segments kept in memory. */
const INDEX_MEMORY_BYTES = 67_108_864

export class LogFile {
  readonly path: string
  /** 'write' makes the file when it is missing. */
  mode: 'read' | 'write'
  /** Has bytes that no sync has covered. */
  isDirty = false
  isRecent = false
  pins = 0
  open: DiskFile | undefined = undefined
  readonly #cache: FileCache

  constructor(cache: FileCache, path: string, mode: 'read' | 'write') {
    this.#cache = cache
    this.path = path
    this.mode = mode
  }

  /** Throws StorageError. */
  use(): DiskFile {
    this.isRecent = true
    return this.open ?? this.#cache.openFile(this)
  }

  /** For an operation that awaits: the file stays open until `unpin`. */
  pin(): DiskFile {
    const file = this.use()
    this.pins++
    return file
  }

  unpin(): void {
    assert(this.pins > 0, 'a pin is taken out once')
    this.pins--
    if (this.pins === 0 && this.isClosing) this.close()
  }

  isClosing = false

  /** Now, or when the last pin is out. */
  close(): void {
    this.isClosing = this.pins > 0
    if (this.open === undefined || this.isClosing) return
    this.#cache.closeFile(this)
  }
}

export class FileCache {
  readonly #disk: Disk
  readonly #probe: LogProbe
  readonly #limit: number
  readonly #open: LogFile[] = []
  #hand = 0

  constructor(disk: Disk, probe: LogProbe, limit = OPEN_FILES_MAX) {
    assert(limit > 0)
    this.#disk = disk
    this.#probe = probe
    this.#limit = limit
  }

  file(path: string, mode: 'read' | 'write'): LogFile {
    return new LogFile(this, path, mode)
  }

  openFile(file: LogFile): DiskFile {
    if (this.#open.length >= this.#limit) this.#evict()
    let opened: DiskFile
    try {
      opened = this.#disk.open(file.path, file.mode)
    } catch (error) {
      if (!(error instanceof StorageError) || error.code !== 'EMFILE') throw error
      for (let i = this.#open.length >> 1; i > 0 && this.#evict(); i--);
      opened = this.#disk.open(file.path, file.mode)
    }
    file.open = opened
    this.#open.push(file)
    this.#probe.openFiles++
    return opened
  }

  /** The handles are void: the process that had them ended. For simulations. */
  forgetAll(): void {
    for (const file of this.#open.splice(0)) file.open = undefined
  }

  closeFile(file: LogFile): void {
    const at = this.#open.indexOf(file)
    assert(at >= 0 && file.open !== undefined, 'an open file is in the row')
    this.#closeAt(at)
  }

  /**
   * Closes one that was not used since the hand came by, or else the first of those that may be
   * closed. False when there is none: then one more is open.
   */
  #evict(): boolean {
    let first = -1
    for (let steps = this.#open.length; steps > 0; steps--, this.#hand++) {
      if (this.#hand >= this.#open.length) this.#hand = 0
      const file = this.#open[this.#hand]!
      if (file.isDirty || file.pins > 0) continue
      if (!file.isRecent) {
        this.#closeAt(this.#hand)
        return true
      }
      file.isRecent = false
      if (first === -1) first = this.#hand
    }
    if (first === -1) return false
    this.#hand = first
    this.#closeAt(first)
    return true
  }

  #closeAt(at: number): void {
    const file = this.#open[at]!
    this.#open[at] = this.#open[this.#open.length - 1]!
    this.#open.pop()
    file.open!.close()
    file.open = undefined
    this.#probe.openFiles--
  }
}

const POOL_CLASSES = [4096, 16_384, 65_536, 262_144]
const POOL_BYTES_MAX = 16_777_216

/** Gather buffers, lent from the first small append of a turn to its write. */
export class BufferPool {
  readonly #free: Buffer[][] = POOL_CLASSES.map(() => [])
  #freeBytes = 0

  static readonly largestBytes = POOL_CLASSES[POOL_CLASSES.length - 1]!

  take(bytes: number): Buffer {
    const size = POOL_CLASSES.findIndex((classBytes) => classBytes >= bytes)
    assert(size >= 0, 'a gather buffer has a limit')
    const buffer = this.#free[size]!.pop()
    if (buffer === undefined) return Buffer.allocUnsafeSlow(POOL_CLASSES[size]!)
    this.#freeBytes -= buffer.length
    return buffer
  }

  give(buffer: Buffer): void {
    const size = POOL_CLASSES.indexOf(buffer.length)
    assert(size >= 0, 'the buffer is of this pool')
    if (this.#freeBytes + buffer.length > POOL_BYTES_MAX) return
    this.#free[size]!.push(buffer)
    this.#freeBytes += buffer.length
  }
}

/** Batch headers of one file at a time. Whoever begins a look-up resets it: files change. */
export class HeaderWindow {
  readonly buffer = Buffer.allocUnsafeSlow(WINDOW_BYTES)
  #file: DiskFile | undefined
  #start = 0
  #length = 0

  reset(file: DiskFile): void {
    this.#file = file
    this.#start = 0
    this.#length = 0
  }

  /** Where in `buffer` the header at `position` begins; -1 when fewer bytes than one are left. */
  headerAt(position: number, limitBytes: number): number {
    assert(this.#file !== undefined && position >= 0)
    if (position + RECORDS_AT > limitBytes) return -1
    const at = position - this.#start
    if (at >= 0 && at + RECORDS_AT <= this.#length) return at
    const wanted = Math.min(WINDOW_READ_BYTES, limitBytes - position)
    this.#length = this.#file.read(this.buffer, 0, wanted, position)
    this.#start = position
    return this.#length < RECORDS_AT ? -1 : 0
  }
}

/** Indexes of closed segments that were loaded for readers, oldest first. */
class IndexMemory {
  readonly #segments: Segment[] = []
  #bytes = 0

  admit(segment: Segment): void {
    this.#segments.push(segment)
    this.#bytes += segment.indexBytes()
    while (this.#bytes > INDEX_MEMORY_BYTES && this.#segments.length > 1) {
      const oldest = this.#segments.shift()!
      this.#bytes -= oldest.indexBytes()
      oldest.unloadIndexes()
    }
  }
}

/** Who keeps the checkpoints of a log, which a change of its end must not contradict. */
export interface CheckpointKeeper {
  /**
   * Resolves when no durable checkpoint of the log has a recovery point or a start above `offset`.
   * Else a crash after its end was cut there would look like damage.
   */
  lower(directory: string, offset: number): Promise<void>
  /** Resolves when the log's start is durable; false when it was set back meanwhile. */
  saveStart(directory: string, offset: number): Promise<boolean>
  /** The log was emptied and begins at `offset`: resolves when durable checkpoints say so. */
  restart(directory: string, offset: number): Promise<void>
}

export interface SharedOptions {
  readonly openFilesMax?: number
  readonly producerExpirationMs?: number
  readonly checkpoints?: CheckpointKeeper
  readonly flushes?: FlushSchedule
}

const PRODUCER_EXPIRATION_MS = 86_400_000
/** Of the thread pool's 16. */
const UPKEEP_SYNCS = 8

export class LogShared {
  readonly files: FileCache
  readonly buffers = new BufferPool()
  readonly window = new HeaderWindow()
  readonly verdict = new BatchVerdict()
  /** Syncs for which no record waits. */
  readonly upkeepSyncs = new Slots(UPKEEP_SYNCS)
  readonly indexes = new IndexMemory()
  readonly producerExpirationMs: number
  readonly checkpoints: CheckpointKeeper | undefined
  readonly flushes: FlushSchedule | undefined

  constructor(disk: Disk, probe: LogProbe, options: SharedOptions = {}) {
    this.files = new FileCache(disk, probe, options.openFilesMax)
    this.producerExpirationMs = options.producerExpirationMs ?? PRODUCER_EXPIRATION_MS
    this.checkpoints = options.checkpoints
    this.flushes = options.flushes
  }
}
