/**
 * Logs that are taken out of their directories: the name changes at once, so that a log of the same
 * name can be made; the files go in the background, or stay under a name that ends in `-stray`.
 *
 * Invariant: what is done under one name follows each other, and a directory is renamed only when
 * nothing is under way in it.
 */
import type { Disk } from '../base/disk.ts'
import type { Logger } from '../base/logger.ts'
import type { Random } from '../base/random.ts'
import type { LogDirectory } from './log-directory.ts'
import type { PartitionLog } from './partition-log.ts'
import { parentOf } from './segment-files.ts'

export const REMOVED = /\.[0-9a-f]{32}-delete$/

export interface RemovalParts {
  readonly disk: Disk
  readonly random: Random
  readonly logger: Logger
  readonly directories: readonly LogDirectory[]
  /** Resolves when nothing is under way in it: it would go on, by name, in the next log's files. */
  leave(name: string, log: PartitionLog | undefined): Promise<void>
}

export class Removals {
  readonly #parts: RemovalParts
  /** Changes of names under way, by name. */
  readonly #renames = new Map<string, Promise<void>>()
  readonly #removals = new Set<Promise<void>>()

  constructor(parts: RemovalParts) {
    this.#parts = parts
  }

  /** Resolves when the name is free. */
  async settled(name: string): Promise<void> {
    await this.#renames.get(name)
  }

  /** `log`: undefined when it could not be opened. Rejects with StorageError. */
  takeOut(name: string, log: PartitionLog | undefined, keeps: boolean): Promise<void> {
    const before = this.#renames.get(name) ?? Promise.resolve()
    const renaming = before
      .then(async () => {
        const away = await this.#rename(name, log, keeps ? 'stray' : 'delete')
        if (away !== undefined && !keeps) this.removeLater(away)
      })
      .finally(() => {
        if (this.#renames.get(name) === renaming) this.#renames.delete(name)
      })
    this.#renames.set(name, renaming)
    return renaming
  }

  /** The new path; undefined when there is no such directory. */
  async #rename(
    name: string,
    log: PartitionLog | undefined,
    suffix: 'delete' | 'stray',
  ): Promise<string | undefined> {
    const { disk, random, directories, leave } = this.#parts
    await leave(name, log)
    const parent = directories.find(({ path }) => {
      return log === undefined ? disk.exists(`${path}/${name}`) : parentOf(log.directory) === path
    })
    if (parent === undefined) return undefined
    if (log !== undefined) parent.logCount--
    parent.forget(name)
    const away = `${parent.path}/${name}.${random.bytes(16).toString('hex')}-${suffix}`
    disk.rename(`${parent.path}/${name}`, away)
    await parent.syncNames()
    return away
  }

  removeLater(path: string): void {
    const { disk, logger } = this.#parts
    const removal = disk
      .removeDirectory(path)
      .catch((error: unknown) => {
        const fields = { path, error: String(error) }
        logger.warn('A deleted log can not be removed yet.', fields)
      })
      .finally(() => this.#removals.delete(removal))
    this.#removals.add(removal)
  }

  /** Resolves when nothing is under way. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#renames.values())
    await Promise.all(this.#removals)
  }
}
