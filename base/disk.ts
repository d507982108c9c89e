/**
 * Files as the rest of the code sees them. Paths are absolute or relative to the process, with '/'.
 *
 * Promised: after `sync` of a file resolves, the bytes written before the call survive a power
 * loss; after `syncDirectory`, so do the names made, renamed or removed in it before the call. Not
 * promised: anything else. Unsynced bytes may be lost, kept or torn, in any order; a new file
 * whose directory was not synced may be gone.
 *
 * The synchronous calls touch the page cache and are short; what may block for long returns a
 * promise and runs on the thread pool, behind a bounded queue. All failures are StorageError.
 */

export interface DiskFile {
  readonly path: string
  /** Bytes. Kept in memory by the implementation: free of charge. */
  size(): number
  /**
   * Reads up to `length` bytes into `target`; returns how many, less only at the end of the file.
   */
  read(target: Uint8Array, targetStart: number, length: number, position: number): number
  /** The same on the thread pool, for reads that are likely cold. */
  readAsync(
    target: Uint8Array,
    targetStart: number,
    length: number,
    position: number,
  ): Promise<number>
  /** Writes all of `source[start, end)` at `position`, or throws; short writes are repeated. */
  write(source: Uint8Array, start: number, end: number, position: number): void
  /**
   * fdatasync on the thread pool. A failure is final: never retry on this file, its dirty data may
   * be gone.
   */
  sync(): Promise<void>
  /** Cuts or extends with zeros, on the thread pool. */
  truncate(size: number): Promise<void>
  /** Idempotent. No other call may be under way or follow. */
  close(): void
}

export interface DiskEntry {
  readonly name: string
  readonly isDirectory: boolean
}

export interface DiskSpace {
  readonly sizeBytes: number
  readonly freeBytes: number
}

/** A directory lock that ends with the process at the latest. */
export interface DiskLock {
  release(): void
}

export interface Disk {
  /**
   * 'read': must exist. 'write': opens for reading and writing, makes the file when missing. 'new':
   * must not exist.
   */
  open(path: string, mode: 'read' | 'write' | 'new'): DiskFile
  exists(path: string): boolean
  /** Bytes; throws ENOENT. */
  sizeOf(path: string): number
  /** Milliseconds since 1970 of the last change. */
  modifiedMs(path: string): number
  /** Sorted by name, so that runs are reproducible. */
  list(directory: string): DiskEntry[]
  /** Makes missing parents too; no error if it exists. */
  makeDirectory(path: string): void
  /** Replaces `to` atomically when it is a file. */
  rename(from: string, to: string): void
  /** Unlinks a file on the thread pool (a large one blocks for tens of ms). */
  remove(path: string): Promise<void>
  /** Removes a directory and all that is in it, on the thread pool. No error when missing. */
  removeDirectory(path: string): Promise<void>
  syncDirectory(path: string): Promise<void>
  space(path: string): Promise<DiskSpace>
  /**
   * Takes `path` (a `.lock` file) for this process; undefined when another living process has it.
   */
  lock(path: string): DiskLock | undefined
  /** A whole small file; throws ENOENT. */
  readFile(path: string): Buffer
  /** Small files: writes `path.tmp`, syncs it, renames it over `path`, syncs the directory. */
  replaceFile(path: string, content: Uint8Array): Promise<void>
}
