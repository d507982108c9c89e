/**
 * A disk of a simulated machine that is a directory of the real one, for one process of it. Calls on
 * the thread pool come back into the simulation by `tell`. Invariant: once `end` was called nothing
 * is changed any more, nothing comes back, and when it resolves nothing is open.
 */
import type { Disk, DiskEntry, DiskFile, DiskLock, DiskSpace } from '../../base/disk.ts'

export interface FolderDiskParts {
  readonly disk: Disk
  /** Absolute; where '/' of the machine is. */
  readonly folder: string
  /** Runs what a call on the thread pool brings, in the process that has asked. */
  tell(settle: () => void): void
}

export class FolderDisk implements Disk {
  readonly #parts: FolderDiskParts
  readonly #calls = new Set<Promise<unknown>>()
  readonly #files = new Set<DiskFile>()
  readonly #locks = new Set<DiskLock>()
  #hasEnded = false

  constructor(parts: FolderDiskParts) {
    this.#parts = parts
  }

  /** The process is gone: its files are closed, and its locks free. */
  async end(): Promise<void> {
    this.#hasEnded = true
    await Promise.allSettled([...this.#calls])
    for (const file of this.#files) file.close()
    for (const lock of this.#locks) lock.release()
    this.#files.clear()
    this.#locks.clear()
  }

  open(path: string, mode: 'read' | 'write' | 'new'): DiskFile {
    const file = this.#parts.disk.open(this.#at(path), mode)
    this.#files.add(file)
    return this.#wrapped(path, file)
  }

  exists(path: string): boolean {
    return this.#parts.disk.exists(this.#at(path))
  }

  sizeOf(path: string): number {
    return this.#parts.disk.sizeOf(this.#at(path))
  }

  modifiedMs(path: string): number {
    return this.#parts.disk.modifiedMs(this.#at(path))
  }

  list(directory: string): DiskEntry[] {
    return this.#parts.disk.list(this.#at(directory))
  }

  makeDirectory(path: string): void {
    if (!this.#hasEnded) this.#parts.disk.makeDirectory(this.#at(path))
  }

  rename(from: string, to: string): void {
    if (!this.#hasEnded) this.#parts.disk.rename(this.#at(from), this.#at(to))
  }

  remove(path: string): Promise<void> {
    return this.#call(() => this.#parts.disk.remove(this.#at(path)))
  }

  removeDirectory(path: string): Promise<void> {
    return this.#call(() => this.#parts.disk.removeDirectory(this.#at(path)))
  }

  syncDirectory(path: string): Promise<void> {
    return this.#call(() => this.#parts.disk.syncDirectory(this.#at(path)))
  }

  space(path: string): Promise<DiskSpace> {
    return this.#call(() => this.#parts.disk.space(this.#at(path)))
  }

  lock(path: string): DiskLock | undefined {
    const lock = this.#parts.disk.lock(this.#at(path))
    if (lock === undefined) return undefined
    this.#locks.add(lock)
    return {
      release: () => {
        if (this.#locks.delete(lock)) lock.release()
      },
    }
  }

  readFile(path: string): Buffer {
    return this.#parts.disk.readFile(this.#at(path))
  }

  replaceFile(path: string, content: Uint8Array): Promise<void> {
    return this.#call(() => this.#parts.disk.replaceFile(this.#at(path), content))
  }

  #at(path: string): string {
    return `${this.#parts.folder}/${path}`
  }

  /** Never settles when the process is gone meanwhile. */
  #call<T>(run: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#hasEnded) return
      const call = run()
      this.#calls.add(call)
      const back = (settle: () => void) => {
        this.#calls.delete(call)
        if (!this.#hasEnded) this.#parts.tell(settle)
      }
      call.then(
        (value) => back(() => resolve(value)),
        (error: unknown) => back(() => reject(error)),
      )
    })
  }

  #wrapped(path: string, file: DiskFile): DiskFile {
    return {
      path,
      size: () => file.size(),
      read: (target, targetStart, length, position) =>
        this.#hasEnded ? 0 : file.read(target, targetStart, length, position),
      readAsync: (target, targetStart, length, position) =>
        this.#call(() => file.readAsync(target, targetStart, length, position)),
      write: (source, start, end, position) => {
        if (!this.#hasEnded) file.write(source, start, end, position)
      },
      sync: () => this.#call(() => file.sync()),
      truncate: (size) => this.#call(() => file.truncate(size)),
      close: () => {
        if (!this.#hasEnded && this.#files.delete(file)) file.close()
      },
    }
  }
}
