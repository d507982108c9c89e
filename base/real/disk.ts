/**
 * Files by node:fs. Short calls are synchronous (page cache); what may block for long goes to the
 * thread pool, at most so many at once, so that a burst of syncs does not starve reads.
 */
import fs from 'node:fs'
import { dirname } from 'node:path'
import { assert } from '../assert.ts'
import type { Disk, DiskEntry, DiskFile, DiskLock, DiskSpace } from '../disk.ts'
import { type StorageCode, StorageError } from '../errors.ts'
import { takeLock } from './lock.ts'

/** The pool has 16 threads by default here; a few are left for reads. */
const IN_FLIGHT_MAX = 64

const KNOWN_CODES: ReadonlySet<string> = new Set([
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

function storageError(error: unknown, path: string, action: string): StorageError {
  const raw = (error as NodeJS.ErrnoException).code ?? 'UNKNOWN'
  // A quota is a full disk to us; too many open files are so for process and system alike.
  const code = raw === 'EDQUOT' ? 'ENOSPC' : raw === 'ENFILE' ? 'EMFILE' : raw
  return new StorageError(KNOWN_CODES.has(code) ? (code as StorageCode) : 'UNKNOWN', path, action, {
    cause: error,
  })
}

function attempt<T>(path: string, action: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw storageError(error, path, action)
  }
}

type Callback<T> = (error: NodeJS.ErrnoException | null, value?: T) => void

/** The bounded door to the thread pool. */
class Pool {
  readonly #waiting: (() => void)[] = []
  #inFlight = 0

  run<T>(path: string, action: string, start: (done: Callback<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const begin = () => {
        this.#inFlight++
        start((error, value) => {
          this.#inFlight--
          this.#waiting.shift()?.()
          if (error) reject(storageError(error, path, action))
          else resolve(value as T)
        })
      }
      if (this.#inFlight < IN_FLIGHT_MAX) begin()
      else this.#waiting.push(begin)
    })
  }
}

const pool = new Pool()

class RealFile implements DiskFile {
  readonly path: string
  readonly #fd: number
  #size: number
  #isClosed = false

  constructor(path: string, fd: number, size: number) {
    this.path = path
    this.#fd = fd
    this.#size = size
  }

  size(): number {
    return this.#size
  }

  read(target: Uint8Array, targetStart: number, length: number, position: number): number {
    return attempt(this.path, 'read', () => {
      let done = 0
      while (done < length) {
        const count = fs.readSync(
          this.#fd,
          target,
          targetStart + done,
          length - done,
          position + done,
        )
        if (count === 0) break
        done += count
      }
      return done
    })
  }

  async readAsync(
    target: Uint8Array,
    targetStart: number,
    length: number,
    position: number,
  ): Promise<number> {
    let done = 0
    while (done < length) {
      const at = done
      const count = await pool.run<number>(this.path, 'read', (callback) =>
        fs.read(this.#fd, target, targetStart + at, length - at, position + at, callback),
      )
      if (count === 0) break
      done += count
    }
    return done
  }

  write(source: Uint8Array, start: number, end: number, position: number): void {
    assert(start <= end && end <= source.length, 'a range within the source')
    attempt(this.path, 'write', () => {
      let at = start
      while (at < end) {
        at += fs.writeSync(this.#fd, source, at, end - at, position + at - start)
      }
    })
    const reached = position + end - start
    if (reached > this.#size) this.#size = reached
  }

  sync(): Promise<void> {
    return pool.run(this.path, 'sync', (callback) => fs.fdatasync(this.#fd, callback))
  }

  async truncate(size: number): Promise<void> {
    await pool.run(this.path, 'truncate', (callback) => fs.ftruncate(this.#fd, size, callback))
    this.#size = size
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    attempt(this.path, 'close', () => fs.closeSync(this.#fd))
  }
}

const FLAGS = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR | fs.constants.O_CREAT,
  new: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
}

function open(path: string, mode: 'read' | 'write' | 'new'): DiskFile {
  return attempt(path, 'open', () => {
    const fd = fs.openSync(path, FLAGS[mode], 0o644)
    return new RealFile(path, fd, mode === 'new' ? 0 : fs.fstatSync(fd).size)
  })
}

function list(directory: string): DiskEntry[] {
  return attempt(directory, 'list', () =>
    fs
      .readdirSync(directory, { withFileTypes: true })
      .map((entry) => ({ name: entry.name, isDirectory: entry.isDirectory() }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
  )
}

function syncDirectory(path: string): Promise<void> {
  return pool.run(path, 'sync', (callback) => {
    fs.open(path, fs.constants.O_RDONLY, (error, fd) => {
      if (error) return callback(error)
      fs.fsync(fd, (failure) => fs.close(fd, () => callback(failure)))
    })
  })
}

async function replaceFile(path: string, content: Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`
  const file = open(temporary, 'write')
  try {
    if (file.size() > content.length) await file.truncate(content.length)
    file.write(content, 0, content.length, 0)
    await file.sync()
  } finally {
    file.close()
  }
  realDisk.rename(temporary, path)
  await syncDirectory(dirname(path))
}

async function space(path: string): Promise<DiskSpace> {
  const found = await pool.run<fs.StatsFs>(path, 'look at', (callback) => fs.statfs(path, callback))
  return { sizeBytes: found.blocks * found.bsize, freeBytes: found.bavail * found.bsize }
}

export const realDisk: Disk = {
  open,
  list,
  space,
  syncDirectory,
  replaceFile,
  exists: (path) => fs.existsSync(path),
  sizeOf: (path) => attempt(path, 'look at', () => fs.statSync(path).size),
  modifiedMs: (path) => attempt(path, 'look at', () => Math.floor(fs.statSync(path).mtimeMs)),
  makeDirectory: (path) => {
    attempt(path, 'make', () => fs.mkdirSync(path, { recursive: true }))
  },
  rename: (from, to) => attempt(from, 'rename', () => fs.renameSync(from, to)),
  remove: (path) => pool.run(path, 'remove', (callback) => fs.unlink(path, callback)),
  removeDirectory: (path) =>
    pool.run(path, 'remove', (callback) => fs.rm(path, { recursive: true, force: true }, callback)),
  lock: (path): DiskLock | undefined => attempt(path, 'lock', () => takeLock(path)),
  readFile: (path) => attempt(path, 'read', () => fs.readFileSync(path)),
}
