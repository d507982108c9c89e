/**
 * Files of the operating system. Page-cache reads and writes are synchronous and repeat what the
 * system cut short; what may block goes to the thread pool, at most `IN_FLIGHT_MAX` calls at once,
 * the others wait in order. A file's size is known to its handle: two handles that write one file
 * would not see each other's growth.
 */
import fs from 'node:fs'
import { dirname } from 'node:path'
import { assert } from '../assert.ts'
import type { Disk, DiskEntry, DiskFile, DiskLock, DiskSpace } from '../disk.ts'
import { type StorageCode, StorageError } from '../errors.ts'
import { BoundedQueue } from '../queue.ts'
import { lockFile } from './lock.ts'

const IN_FLIGHT_MAX = 64
const WAITING_MAX = 1_000_000

const STORAGE_CODES: ReadonlySet<string> = new Set<StorageCode>([
  'EIO',
  'ENOSPC',
  'EROFS',
  'EACCES',
  'ENOENT',
  'EEXIST',
  'EMFILE',
  'ENOTEMPTY',
  'ENOTDIR',
  'EISDIR',
])

const FLAGS = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR | fs.constants.O_CREAT,
  new: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
}

type Done<T> = (error: NodeJS.ErrnoException | null, value?: T) => void

/** The calls on the thread pool. */
class Pool {
  readonly #waiting = new BoundedQueue<() => void>(WAITING_MAX)
  #inFlight = 0

  /** `start` begins the call; a failure becomes a StorageError of `path`. */
  run<T>(path: string, action: string, start: (done: Done<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const begin = () => {
        this.#inFlight++
        start((error, value) => {
          this.#inFlight--
          this.#waiting.shift()?.()
          if (error !== null && error !== undefined) reject(asStorageError(error, path, action))
          else resolve(value as T)
        })
      }
      if (this.#inFlight < IN_FLIGHT_MAX) begin()
      else if (!this.#waiting.push(begin)) {
        reject(new StorageError('UNKNOWN', path, `${action}, too many calls wait:`))
      }
    })
  }
}

class RealFile implements DiskFile {
  readonly path: string
  readonly #pool: Pool
  readonly #fd: number
  #size: number
  #isClosed = false

  constructor(pool: Pool, path: string, fd: number, size: number) {
    this.#pool = pool
    this.path = path
    this.#fd = fd
    this.#size = size
  }

  size(): number {
    return this.#size
  }

  read(target: Uint8Array, targetStart: number, length: number, position: number): number {
    this.#checkOpen()
    let count = 0
    try {
      while (count < length) {
        const at = targetStart + count
        const got = fs.readSync(this.#fd, target, at, length - count, position + count)
        if (got === 0) break
        count += got
      }
    } catch (error) {
      throw asStorageError(error, this.path, 'read')
    }
    return count
  }

  async readAsync(
    target: Uint8Array,
    targetStart: number,
    length: number,
    position: number,
  ): Promise<number> {
    this.#checkOpen()
    let count = 0
    while (count < length) {
      const at = targetStart + count
      const got = await this.#pool.run<number>(this.path, 'read', (done) => {
        fs.read(this.#fd, target, at, length - count, position + count, done)
      })
      if (got === 0) break
      count += got
    }
    return count
  }

  write(source: Uint8Array, start: number, end: number, position: number): void {
    this.#checkOpen()
    assert(0 <= start && start <= end && end <= source.length, 'a range of the source')
    let from = start
    try {
      while (from < end) {
        const at = position + from - start
        const put = fs.writeSync(this.#fd, source, from, end - from, at)
        from += put
        if (at + put > this.#size) this.#size = at + put
      }
    } catch (error) {
      throw asStorageError(error, this.path, 'write')
    }
  }

  async sync(): Promise<void> {
    this.#checkOpen()
    return this.#pool.run(this.path, 'sync', (done) => fs.fdatasync(this.#fd, done))
  }

  async truncate(size: number): Promise<void> {
    this.#checkOpen()
    await this.#pool.run(this.path, 'truncate', (done) => fs.ftruncate(this.#fd, size, done))
    this.#size = size
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    attempt(this.path, 'close', () => fs.closeSync(this.#fd))
  }

  #checkOpen(): void {
    assert(!this.#isClosed, 'no call after close')
  }
}

export class RealDisk implements Disk {
  readonly #pool = new Pool()

  open(path: string, mode: 'read' | 'write' | 'new'): DiskFile {
    return attempt(path, 'open', () => {
      const fd = fs.openSync(path, FLAGS[mode], 0o644)
      const stat = fs.fstatSync(fd)
      if (stat.isFile()) return new RealFile(this.#pool, path, fd, stat.size)
      fs.closeSync(fd)
      throw new StorageError('EISDIR', path, 'open')
    })
  }

  exists(path: string): boolean {
    return fs.existsSync(path)
  }

  sizeOf(path: string): number {
    return attempt(path, 'stat', () => fs.statSync(path).size)
  }

  modifiedMs(path: string): number {
    return attempt(path, 'stat', () => Math.floor(fs.statSync(path).mtimeMs))
  }

  list(directory: string): DiskEntry[] {
    return attempt(directory, 'list', () => {
      const entries = fs.readdirSync(directory, { withFileTypes: true })
      return entries
        .map((entry) => ({ name: entry.name, isDirectory: entry.isDirectory() }))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
    })
  }

  makeDirectory(path: string): void {
    attempt(path, 'make directory', () => makePath(path))
  }

  rename(from: string, to: string): void {
    attempt(from, 'rename', () => fs.renameSync(from, to))
  }

  async remove(path: string): Promise<void> {
    return this.#pool.run(path, 'remove', (done) => fs.unlink(path, done))
  }

  async removeDirectory(path: string): Promise<void> {
    const options = { recursive: true, force: true }
    return this.#pool.run(path, 'remove directory', (done) => fs.rm(path, options, done))
  }

  async syncDirectory(path: string): Promise<void> {
    if (process.platform === 'win32') return // it has no such call
    return this.#pool.run(path, 'sync directory', (done: Done<void>) => {
      // Only the sync waits for the device: a hop to the pool costs more than the other two calls.
      let fd: number
      try {
        fd = fs.openSync(path, 'r')
      } catch (error) {
        return done(error as NodeJS.ErrnoException)
      }
      fs.fsync(fd, (error) => {
        fs.closeSync(fd)
        done(error)
      })
    })
  }

  async space(path: string): Promise<DiskSpace> {
    const stat = await this.#pool.run<fs.StatsFs>(path, 'stat', (done) => fs.statfs(path, done))
    return { sizeBytes: stat.bsize * stat.blocks, freeBytes: stat.bsize * stat.bavail }
  }

  lock(path: string): DiskLock | undefined {
    const lock = attempt(path, 'lock', () => lockFile(path))
    if (lock === undefined) return undefined
    return { release: () => attempt(path, 'unlock', () => lock.release()) }
  }

  readFile(path: string): Buffer {
    return attempt(path, 'read', () => fs.readFileSync(path))
  }

  async replaceFile(path: string, content: Uint8Array): Promise<void> {
    const temporary = `${path}.tmp`
    const flags = fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_TRUNC
    const fd = attempt(temporary, 'open', () => fs.openSync(temporary, flags, 0o644))
    const file = new RealFile(this.#pool, temporary, fd, 0)
    try {
      file.write(content, 0, content.length, 0)
      await file.sync()
    } finally {
      file.close()
    }
    this.rename(temporary, path)
    await this.syncDirectory(dirname(path))
  }
}

/**
 * Parent by parent: Node's own `recursive` never returns where a parent is there and takes no
 * entries (`/proc`), and blames a missing parent when a file system is read-only.
 */
function makePath(path: string): void {
  try {
    fs.mkdirSync(path)
  } catch (error) {
    const code = isErrno(error) ? error.code : undefined
    if (code === 'EEXIST') {
      if (fs.statSync(path).isDirectory()) return
      throw new StorageError('ENOTDIR', path, 'make directory', { cause: error })
    }
    const parent = dirname(path)
    if (code !== 'ENOENT' || parent === path || fs.existsSync(parent)) throw error
    makePath(parent)
    makePath(path)
  }
}

function attempt<T>(path: string, action: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw asStorageError(error, path, action)
  }
}

function asStorageError(error: unknown, path: string, action: string): unknown {
  if (!isErrno(error)) return error
  const code = error.code ?? ''
  const known = STORAGE_CODES.has(code) ? (code as StorageCode) : 'UNKNOWN'
  return new StorageError(known, path, action, { cause: error })
}

function isErrno(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error
}
