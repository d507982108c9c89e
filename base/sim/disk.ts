/**
 * A disk that can lose its power. It promises what `base/disk.ts` promises and not a byte more:
 * what was not synced is kept, dropped or torn as the seed decides, names included. Faults can be
 * set.
 *
 * With a scheduler the slow calls take virtual time; without one they end before the next turn.
 * Handles, locks and calls under way end with the process: `killProcess` and `powerLoss` make
 * every handle stale, and a call that was under way never settles.
 */
import { assert } from '../assert.ts'
import type { Disk, DiskEntry, DiskFile, DiskLock, DiskSpace } from '../disk.ts'
import { type StorageCode, StorageError } from '../errors.ts'
import { SIM_EPOCH_MS } from './clock.ts'
import type { SimInode } from './disk-file.ts'
import { SimDirectory, type SimNode, SimTree } from './disk-tree.ts'
import type { SimRandom } from './random.ts'
import type { Scheduler } from './scheduler.ts'

const DISK_BYTES = 2 ** 40

export type DiskOperation =
  | 'open'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'list'
  | 'makeDirectory'
  | 'rename'
  | 'remove'
  | 'syncDirectory'
  | 'lock'

export interface SimDiskOptions {
  readonly random: SimRandom
  readonly scheduler?: Scheduler
  /** Microseconds that a call on the thread pool takes; only with a scheduler. */
  readonly latencyUs?: (operation: DiskOperation, random: SimRandom) => number
  /** For the times of changes. */
  readonly nowMs?: () => number
}

export class SimDisk implements Disk {
  /**
   * Called before each operation: a code makes it fail. May throw, to cut the power right there.
   */
  fault: (operation: DiskOperation, path: string) => StorageCode | undefined = () => undefined
  /** Files can't grow beyond this in total: ENOSPC. */
  quotaBytes = DISK_BYTES
  latencyUs: (operation: DiskOperation, random: SimRandom) => number
  /** How a call on the thread pool tells its process; a frozen one hears later. */
  tell: (settle: () => void) => void = (settle) => settle()
  writeCount = 0
  syncCount = 0
  readonly #random: SimRandom
  readonly #scheduler: Scheduler | undefined
  readonly #nowMs: () => number
  #tree = new SimTree()
  readonly #locks = new Set<SimNode>()
  readonly #openPaths = new Map<SimFile, string>()
  #generation = 0

  constructor(options: SimDiskOptions) {
    this.#random = options.random
    this.#scheduler = options.scheduler
    this.latencyUs = options.latencyUs ?? typicalLatencyUs
    this.#nowMs = options.nowMs ?? (() => SIM_EPOCH_MS)
  }

  open(path: string, mode: 'read' | 'write' | 'new'): DiskFile {
    this.#check('open', path)
    const existing = this.#tree.find(path)
    if (existing !== undefined && mode === 'new') throw new StorageError('EEXIST', path, 'open')
    const inode =
      existing === undefined && mode !== 'read'
        ? this.#tree.createFile(path, this.#nowMs())
        : this.#tree.file(path, 'open')
    const file = new SimFile(this, path, inode, mode !== 'read')
    this.#openPaths.set(file, path)
    return file
  }

  /** Of the process that runs, in the order of opening. */
  openPaths(): string[] {
    return [...this.#openPaths.values()]
  }

  /** What code of an ended process opened after its end, as it ran out, is nobody's. */
  beginProcess(): void {
    this.#openPaths.clear()
  }

  /** For SimFile. */
  closed(file: SimFile): void {
    this.#openPaths.delete(file)
  }

  exists(path: string): boolean {
    return this.#tree.find(path) !== undefined
  }

  sizeOf(path: string): number {
    return this.#tree.file(path, 'stat').size
  }

  modifiedMs(path: string): number {
    return this.#tree.file(path, 'stat').modifiedMs
  }

  list(directory: string): DiskEntry[] {
    this.#check('list', directory)
    const { entries } = this.#tree.directory(directory, 'list')
    return [...entries.keys()].sort().map((name) => {
      return { name, isDirectory: entries.get(name) instanceof SimDirectory }
    })
  }

  makeDirectory(path: string): void {
    this.#check('makeDirectory', path)
    this.#tree.makeDirectory(path)
  }

  rename(from: string, to: string): void {
    this.#check('rename', from)
    this.#tree.rename(from, to)
  }

  remove(path: string): Promise<void> {
    return this.later('remove', path, () => {
      this.#tree.file(path, 'remove')
      this.#tree.remove(path)
    })
  }

  removeDirectory(path: string): Promise<void> {
    return this.later('remove', path, () => {
      if (this.exists(path)) this.#removeAll(path)
    })
  }

  syncDirectory(path: string): Promise<void> {
    let covered: ReturnType<SimTree['beginSync']> | undefined
    const directory = this.#tree.find(path)
    if (directory instanceof SimDirectory) covered = this.#tree.beginSync(directory)
    return this.later('syncDirectory', path, () => {
      if (covered === undefined) throw new StorageError('ENOENT', path, 'sync directory')
      this.#tree.completeSync(covered)
    })
  }

  async space(_path: string): Promise<DiskSpace> {
    const freeBytes = Math.max(0, this.quotaBytes - this.usedBytes())
    return { sizeBytes: this.quotaBytes, freeBytes }
  }

  lock(path: string): DiskLock | undefined {
    this.#check('lock', path)
    const inode = this.#tree.find(path) ?? this.#tree.createFile(path, this.#nowMs())
    if (this.#locks.has(inode)) return undefined
    this.#locks.add(inode)
    return {
      release: () => {
        if (this.#locks.delete(inode)) this.#tree.remove(path)
      },
    }
  }

  readFile(path: string): Buffer {
    this.#check('read', path)
    const inode = this.#tree.file(path, 'read')
    const content = Buffer.alloc(inode.size)
    inode.read(content, 0, content.length, 0)
    return content
  }

  async replaceFile(path: string, content: Uint8Array): Promise<void> {
    const temporary = `${path}.tmp`
    if (this.exists(temporary)) this.#tree.remove(temporary)
    const file = this.open(temporary, 'new')
    try {
      file.write(content, 0, content.length, 0)
      await file.sync()
    } finally {
      file.close()
    }
    this.rename(temporary, path)
    const slash = path.lastIndexOf('/')
    await this.syncDirectory(slash < 0 ? '' : path.slice(0, slash))
  }

  /** The process ends; the operating system lives on and loses nothing. */
  killProcess(): void {
    this.#generation++
    this.#locks.clear()
    this.#openPaths.clear()
  }

  /** The machine loses power: see `SimInode.powerLoss` and `SimTree.powerLoss` for what remains. */
  powerLoss(random: SimRandom = this.#random): void {
    this.killProcess()
    this.#tree.powerLoss(random)
    for (const inode of this.#tree.files()) inode.powerLoss(random)
  }

  /** Another device in its place, empty. */
  wipe(): void {
    this.killProcess()
    this.#tree = new SimTree()
  }

  /** Turns one bit, on the device and in the cache. */
  flip(path: string, position: number, bit = this.#random.below(8)): void {
    const inode = this.#tree.file(path, 'flip')
    const byte = new Uint8Array(1)
    assert(inode.read(byte, 0, 1, position) === 1, 'a position within the file')
    byte[0]! ^= 1 << bit
    inode.corrupt(position, byte)
  }

  /** Puts other bytes there, on the device and in the cache. */
  corrupt(path: string, position: number, bytes: Uint8Array): void {
    this.#tree.file(path, 'corrupt').corrupt(position, bytes)
  }

  /** What a power loss would leave for sure of a file's content. For checkers. */
  durableContent(path: string): Buffer {
    return this.#tree.file(path, 'read').readDurable()
  }

  /** Operations that a power loss may undo. */
  unsyncedCount(): number {
    const files = this.#tree.files()
    return files.reduce((count, file) => count + file.unsyncedCount, this.#tree.unsyncedCount)
  }

  /** For SimFile. */
  get generation(): number {
    return this.#generation
  }

  /** For SimFile: bytes of source[start, end) that may be written before the operation fails. */
  admitWrite(inode: SimInode, length: number, position: number, path: string) {
    const growth = position + length - inode.size
    let code = this.fault('write', path)
    let allowed = code === undefined ? length : this.#random.below(length + 1)
    if (growth > 0 && this.quotaBytes < DISK_BYTES) {
      const free = this.quotaBytes - this.usedBytes()
      if (growth > free) {
        allowed = Math.min(allowed, Math.max(0, length - growth + Math.max(0, free)))
        code ??= 'ENOSPC'
      }
    }
    this.writeCount++
    inode.modifiedMs = this.#nowMs()
    this.#scheduler?.note('disk write', position + length)
    return { code, allowed }
  }

  /** For SimFile: a call on the thread pool. A process that ended doesn't hear of its end. */
  later<T>(
    operation: DiskOperation,
    path: string,
    run: () => T,
    fail: () => void = () => {},
  ): Promise<T> {
    const code = this.fault(operation, path)
    const generation = this.#generation
    return new Promise((resolve, reject) => {
      const finish = () => {
        if (generation !== this.#generation) return
        try {
          if (code === undefined) {
            const result = run()
            return this.tell(() => resolve(result))
          }
          fail()
          this.tell(() => reject(new StorageError(code, path, operation)))
        } catch (error) {
          this.tell(() => reject(error))
        }
      }
      if (this.#scheduler === undefined) return queueMicrotask(finish)
      const delayUs = this.latencyUs(operation, this.#random)
      this.#scheduler.after(delayUs, `disk ${operation}`, finish)
    })
  }

  #check(operation: DiskOperation, path: string): void {
    const code = this.fault(operation, path)
    if (code !== undefined) throw new StorageError(code, path, operation)
  }

  #removeAll(path: string): void {
    const node = this.#tree.find(path)
    if (node instanceof SimDirectory) {
      for (const name of [...node.entries.keys()]) this.#removeAll(`${path}/${name}`)
    }
    this.#tree.remove(path)
  }

  usedBytes(): number {
    return this.#tree.files().reduce((sum, file) => sum + file.size, 0)
  }
}

class SimFile implements DiskFile {
  readonly path: string
  readonly #disk: SimDisk
  readonly #inode: SimInode
  readonly #isWritable: boolean
  readonly #generation: number
  #isClosed = false

  constructor(disk: SimDisk, path: string, inode: SimInode, isWritable: boolean) {
    this.#disk = disk
    this.path = path
    this.#inode = inode
    this.#isWritable = isWritable
    this.#generation = disk.generation
  }

  size(): number {
    this.#checkOpen('stat')
    return this.#inode.size
  }

  read(target: Uint8Array, targetStart: number, length: number, position: number): number {
    this.#checkOpen('read')
    const code = this.#disk.fault('read', this.path)
    if (code !== undefined) throw new StorageError(code, this.path, 'read')
    return this.#inode.read(target, targetStart, length, position)
  }

  async readAsync(
    target: Uint8Array,
    targetStart: number,
    length: number,
    position: number,
  ): Promise<number> {
    this.#checkOpen('read')
    return this.#disk.later('read', this.path, () => {
      return this.#inode.read(target, targetStart, length, position)
    })
  }

  write(source: Uint8Array, start: number, end: number, position: number): void {
    assert(0 <= start && start <= end && end <= source.length, 'a range of the source')
    assert(Number.isSafeInteger(position) && position >= 0)
    this.#checkWritable('write')
    const length = end - start
    const { code, allowed } = this.#disk.admitWrite(this.#inode, length, position, this.path)
    this.#inode.write(source, start, start + allowed, position)
    if (code !== undefined) throw new StorageError(code, this.path, 'write')
  }

  async sync(): Promise<void> {
    this.#checkOpen('sync')
    this.#disk.syncCount++
    const inode = this.#inode
    const sync = inode.beginSync()
    return this.#disk.later(
      'sync',
      this.path,
      () => inode.completeSync(sync),
      () => inode.failSync(sync),
    )
  }

  async truncate(size: number): Promise<void> {
    this.#checkWritable('truncate')
    return this.#disk.later('truncate', this.path, () => this.#inode.resize(size))
  }

  close(): void {
    this.#isClosed = true
    this.#disk.closed(this)
  }

  #checkWritable(action: string): void {
    this.#checkOpen(action)
    if (!this.#isWritable) throw new StorageError('UNKNOWN', this.path, action)
  }

  #checkOpen(action: string): void {
    assert(!this.#isClosed, 'no call after close')
    if (this.#generation === this.#disk.generation) return
    throw new StorageError('EIO', this.path, `${action} by a process that has ended`)
  }
}

/** As measured on a common machine: most syncs are short, a few are not. */
function typicalLatencyUs(operation: DiskOperation, random: SimRandom): number {
  const isSync = operation === 'sync' || operation === 'syncDirectory'
  if (!isSync) return 20 + random.below(80)
  return random.chance(0.02) ? 1000 + random.below(11_000) : 250 + random.below(150)
}
