/**
 * What one log is made of. PartitionLog owns it; opening, reading and compaction are written
 * apart, over this.
 *
 * Invariants: segments lie in offset order, the last one is active; logStartOffset <=
 * syncedOffset or the log is new there; syncedOffset <= writtenOffset <= logEndOffset.
 */
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import type { Disk } from '../base/disk.ts'
import type { Logger } from '../base/logger.ts'
import type { LogConfig } from './config.ts'
import { LeaderEpochs } from './epochs.ts'
import type { LogFile, LogShared } from './files.ts'
import type { LogProbe } from './probe.ts'
import { Producers } from './producers.ts'
import { Segment } from './segment.ts'

/** The parts of a World that a log needs, and what it shares with others. */
export interface LogParts {
  readonly disk: Disk
  readonly clock: Clock
  readonly logger: Logger
  readonly probe: LogProbe
  maybe(name: string): boolean
  /** As World. */
  spendYoung?(bytes: number): void
  /** Asked when the disk is full: true when a write may be tried again, at once. */
  makeRoom?(): boolean
  /** A log that is opened alone makes its own. */
  readonly shared?: LogShared
}

export interface LogOptions {
  readonly directory: string
  readonly topic: string
  readonly partition: number
  readonly config: LogConfig
  /** Offset below which all was durable; -1 when not known. */
  readonly recoveryPoint: number
  readonly logStartOffset: number
  readonly isCleanShutdown: boolean
  /** This process has tried before, and a sync may have failed: what follows is written again. */
  readonly isDoubtful?: boolean
  readonly parts: LogParts
}

/** For a log whose directory was made just now, and is empty. */
export interface NewLogOptions {
  readonly directory: string
  readonly topic: string
  readonly partition: number
  readonly config: LogConfig
  readonly parts: LogParts
  /**
   * Makes the directory itself durable, with what was put in it. Called before records count as
   * durable.
   */
  makeDurable(): Promise<void>
}

/** Records in [fromOffset, toOffset) that were durable, and are lost or can't be read. */
export interface DamagedRange {
  readonly fromOffset: number
  readonly toOffset: number
}

export class LogState {
  readonly topic: string
  readonly partition: number
  readonly directory: string
  readonly parts: LogParts
  readonly shared: LogShared
  readonly epochs = new LeaderEpochs()
  readonly producers = new Producers()
  config: LogConfig
  segments: Segment[] = []
  logStartOffset = 0
  logEndOffset = 0
  writtenOffset = 0
  syncedOffset = 0
  /** As the checkpoint has it, durably: a start after a crash scans from here. */
  savedRecoveryPoint = 0
  /** As the checkpoint has it, durably: no start after a crash finds records before it. */
  savedLogStart = 0
  /** Found at the start; kept, said, not served. */
  damage: DamagedRange[] = []
  /** Bytes of an unfinished write that the start cut off the end. */
  cutBytes = 0
  /** Names were made or removed since the directory was synced. */
  isDirectoryDirty = false
  /** Offset of the newest snapshot file. */
  snapshotOffset = -1
  /** The directory itself may not last yet: this changes that. */
  makeDurable: (() => Promise<void>) | undefined = undefined
  /** The newest that is under way. */
  #nameSync: Promise<void> | undefined = undefined

  constructor(options: Omit<NewLogOptions, 'makeDurable'>, shared: LogShared) {
    this.topic = options.topic
    this.partition = options.partition
    this.directory = options.directory
    this.config = options.config
    this.parts = options.parts
    this.shared = shared
  }

  get active(): Segment {
    const active = this.segments[this.segments.length - 1]
    assert(active !== undefined, 'a log has a segment')
    return active
  }

  newSegment(baseOffset: number, file?: LogFile): Segment {
    const { disk, probe } = this.parts
    return new Segment(this.directory, baseOffset, { disk, probe, shared: this.shared }, file)
  }

  /** Index of the last segment whose base is at or below the offset; 0 when there is none. */
  segmentIndexOf(offset: number): number {
    const { segments } = this
    // Readers are mostly near the end.
    let low = 0
    let high = segments.length
    if (high > 0 && segments[high - 1]!.baseOffset <= offset) return high - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (segments[middle]!.baseOffset <= offset) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }

  /** Nothing is in its directory that a start would miss. */
  get isUntouched(): boolean {
    return this.makeDurable !== undefined && this.logEndOffset === 0 && this.active.isEmpty
  }

  sizeBytes(): number {
    let bytes = 0
    for (const segment of this.segments) bytes += segment.sizeBytes
    return bytes
  }

  /** Names made, removed or changed so far last from now on. Rejects with StorageError. */
  async syncNames(): Promise<void> {
    this.isDirectoryDirty = false
    const sync = this.#syncDirectory()
    this.#nameSync = sync
    try {
      await sync
    } catch (error) {
      this.isDirectoryDirty = true
      throw error
    } finally {
      if (this.#nameSync === sync) this.#nameSync = undefined
    }
  }

  async #syncDirectory(): Promise<void> {
    const { makeDurable } = this
    await Promise.all([this.parts.disk.syncDirectory(this.directory), makeDurable?.()])
    this.makeDurable = undefined
  }

  /** No name may be lost: none is new, and no sync of them is under way. */
  get areNamesDurable(): boolean {
    return !this.isDirectoryDirty && this.#nameSync === undefined
  }

  /** The same as `syncNames`, or the end of one that somebody has begun for all names there are. */
  async settleNames(): Promise<void> {
    await (this.isDirectoryDirty ? this.syncNames() : this.#nameSync)
  }

  /** Lets go of its files, which may have been written to. */
  release(): void {
    for (const segment of this.segments) {
      segment.isGone = true
      segment.file.isDirty = false
      segment.file.close()
    }
  }

  fields(): { topic: string; partition: number; directory: string } {
    return { topic: this.topic, partition: this.partition, directory: this.directory }
  }

  checkOrder(): void {
    assert(this.writtenOffset <= this.logEndOffset, 'written <= end')
    assert(this.syncedOffset <= this.writtenOffset, 'synced <= written')
    assert(this.logStartOffset <= this.logEndOffset, 'start <= end')
    assert(this.active.nextOffset === this.logEndOffset, 'the active segment ends the log')
  }
}
