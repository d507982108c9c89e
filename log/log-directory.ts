/**
 * One of a node's log directories: the lock on it, what its checkpoints hold, and syncs of its
 * names that many callers share.
 *
 * Invariant: while it is open no other process has it.
 */
import type { Clock } from '../base/clock.ts'
import type { Disk, DiskLock } from '../base/disk.ts'
import { UserError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import { isPassing } from './appender.ts'
import { CheckpointTable } from './checkpoint-table.ts'
import { CLEAN_SHUTDOWN, CLEANED, LOG_STARTS, RECOVERY_POINTS, WATERMARKS } from './checkpoints.ts'
import { Reserve } from './reserve.ts'
import { parentOf } from './segment-files.ts'
import { SharedWork } from './shared-work.ts'

const LOCK = '.lock'
/** A checkpoint and its sum are a few blocks each, and what they replace goes at once. */
const RESERVE = { prefix: '.reserve-', pieces: 4 }

interface DirectoryParts {
  readonly disk: Disk
  readonly clock: Clock
  readonly logger: Logger
}

export class LogDirectory {
  readonly path: string
  /** The last process that had it stopped in order. */
  readonly isClean: boolean
  readonly recoveryPoints: CheckpointTable
  readonly logStarts: CheckpointTable
  readonly watermarks: CheckpointTable
  /** Below it, a log has been compacted. */
  readonly cleaned: CheckpointTable
  /** Out of the tables, perhaps still in the files. */
  readonly #forgotten = new Set<string>()
  /** Open logs in it. */
  logCount = 0
  readonly #names: SharedWork
  readonly #disk: Disk
  readonly #lock: DiskLock
  readonly #reserve: Reserve

  private constructor(parts: DirectoryParts, path: string, lock: DiskLock, isClean: boolean) {
    const { disk } = parts
    this.#disk = disk
    this.#reserve = new Reserve({ ...parts, directory: path, ...RESERVE })
    this.#lock = lock
    this.#names = new SharedWork(() => disk.syncDirectory(path))
    this.path = path
    this.isClean = isClean
    this.recoveryPoints = new CheckpointTable(disk, `${path}/${RECOVERY_POINTS}`)
    this.logStarts = new CheckpointTable(disk, `${path}/${LOG_STARTS}`)
    this.watermarks = new CheckpointTable(disk, `${path}/${WATERMARKS}`)
    this.cleaned = new CheckpointTable(disk, `${path}/${CLEANED}`)
  }

  /** Made when missing. UserError when another process has it, StorageError. */
  static async claim(path: string, parts: DirectoryParts): Promise<LogDirectory> {
    const { disk } = parts
    disk.makeDirectory(path)
    await disk.syncDirectory(parentOf(path))
    const lock = disk.lock(`${path}/${LOCK}`)
    if (lock === undefined) {
      throw new UserError(
        `${path} is in use by another node: stop that one, or set log.dirs to another directory`,
      )
    }
    try {
      const mark = `${path}/${CLEAN_SHUTDOWN}`
      const isClean = disk.exists(mark)
      if (isClean) await disk.remove(mark)
      // Also what a process before this one has made here, and could not make durable.
      await disk.syncDirectory(path)
      return new LogDirectory(parts, path, lock, isClean)
    } catch (error) {
      lock.release()
      throw error
    }
  }

  /** Once more, with room that was kept, while the device is full. Rejects with StorageError. */
  async withRoom<T>(run: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await run()
      } catch (error) {
        if (!isPassing(error) || !this.#reserve.giveUp()) throw error
      }
    }
  }

  holds(directory: string): boolean {
    return parentOf(directory) === this.path
  }

  /** Resolves when the names in the directory last, as they were at the call. */
  syncNames(): Promise<void> {
    return this.#names.request()
  }

  /** The checkpoints that could not be believed. */
  damagedTables(): CheckpointTable[] {
    return this.#tables.filter(({ wasIntact }) => !wasIntact)
  }

  /** What a start has to believe of a log; -1: not known. */
  recoveryPointOf(name: string): number {
    return this.recoveryPoints.wasIntact ? (this.recoveryPoints.get(name) ?? 0) : -1
  }

  get #tables(): readonly CheckpointTable[] {
    return [this.cleaned, this.logStarts, this.watermarks, this.recoveryPoints]
  }

  /** All that is set becomes durable; the recovery points last. Rejects with StorageError. */
  async save(): Promise<void> {
    const forgotten = [...this.#forgotten]
    for (const table of this.#tables) await this.withRoom(() => table.save())
    for (const name of forgotten) this.#forgotten.delete(name)
  }

  /** Resolves when nothing durable says more of a log than that it has records below `offset`. */
  async lower(name: string, offset: number): Promise<void> {
    for (const table of [this.cleaned, this.logStarts, this.recoveryPoints]) {
      if ((table.get(name) ?? 0) > offset) table.set(name, offset)
      await table.save()
    }
  }

  /** Resolves when it is durable that a log has no records, and begins at `offset`. */
  async restart(name: string, offset: number): Promise<void> {
    this.cleaned.delete(name)
    this.logStarts.set(name, offset)
    this.recoveryPoints.set(name, offset)
    for (const table of [this.cleaned, this.logStarts, this.recoveryPoints]) await table.save()
  }

  /** Before a log is made: the checkpoints on disk say nothing of an earlier one of this name. */
  async admit(name: string): Promise<void> {
    if (this.#forgotten.has(name)) await this.save()
  }

  names(): Set<string> {
    return new Set(this.#tables.flatMap((table) => [...table.names()]))
  }

  forget(name: string): void {
    for (const table of this.#tables) table.delete(name)
    this.#forgotten.add(name)
  }

  /** The next start need not look for unfinished writes. */
  async markClean(): Promise<void> {
    const mark = `${this.path}/${CLEAN_SHUTDOWN}`
    await this.#disk.replaceFile(mark, Buffer.from('{"version":0}\n'))
  }

  async release(): Promise<void> {
    await this.#reserve.close()
    this.#lock.release()
  }
}
