/**
 * A disk that fails on order, for tests of whole processes: a wrapper around the disk of the
 * operating system that exists only when the environment variable STORAGE_FAULTS names a file of
 * rules. The file may be changed, made and removed while the node runs. A rule is a line:
 *
 *     CALL EFFECT [chance=0.5] [after=100] [path=TEXT]
 *
 * CALL is read, write, sync or name (make, rename, remove, sync of a directory). EFFECT is EIO,
 * ENOSPC, delay=MS, kill (the process ends before the call) or tear (half of a write is done, then
 * the process ends). `after`: the first so many calls are spared. Invariant: without a rule that
 * applies, a call is exactly that of the disk below; a failed sync has synced nothing.
 */
import fs from 'node:fs'
import { assert } from '../assert.ts'
import type { Disk, DiskEntry, DiskFile, DiskLock, DiskSpace } from '../disk.ts'
import { StorageError } from '../errors.ts'

type Call = 'read' | 'write' | 'sync' | 'name'
type Effect = 'EIO' | 'ENOSPC' | 'delay' | 'kill' | 'tear'

interface Rule {
  readonly call: Call
  readonly effect: Effect
  readonly delayMs: number
  readonly chance: number
  readonly path: string
  spared: number
}

const CALLS: readonly Call[] = ['read', 'write', 'sync', 'name']
const EFFECTS: readonly Effect[] = ['EIO', 'ENOSPC', 'delay', 'kill', 'tear']
/** How old the rules may be. */
const LOOK_AGAIN_MS = 20

/** Throws Error for a line that is no rule. */
export function parseRules(text: string): Rule[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return lines.map((line) => {
    const [callName, effectText = '', ...options] = line.trim().split(/\s+/)
    const [effectName, delay] = effectText.split('=')
    const call = CALLS.find((one) => one === callName)
    const effect = EFFECTS.find((one) => one === effectName)
    if (call === undefined || effect === undefined) throw new Error(`no rule: ${line}`)
    const given = new Map(options.map((option) => option.split('=') as [string, string]))
    const number = (name: string, otherwise: number) => {
      const value = Number(given.get(name) ?? otherwise)
      if (!Number.isFinite(value)) throw new Error(`no number for ${name}: ${line}`)
      return value
    }
    return {
      call,
      effect,
      delayMs: Number(delay ?? 0),
      chance: number('chance', 1),
      path: given.get('path') ?? '',
      spared: number('after', 0),
    }
  })
}

/** The rules as the file says now. */
class Orders {
  readonly #file: string
  #rules: readonly Rule[] = []
  #lookedMs = Number.NEGATIVE_INFINITY
  #version = ''

  constructor(file: string) {
    this.#file = file
  }

  /** Those that apply to a call, in their order; each call is counted once. */
  of(call: Call, path: string): Rule[] {
    this.#look()
    return this.#rules.filter((rule) => {
      if (rule.call !== call || !path.includes(rule.path)) return false
      if (rule.spared > 0) {
        rule.spared--
        return false
      }
      return Math.random() < rule.chance
    })
  }

  #look(): void {
    const nowMs = performance.now()
    if (nowMs - this.#lookedMs < LOOK_AGAIN_MS) return
    this.#lookedMs = nowMs
    const stat = fs.statSync(this.#file, { throwIfNoEntry: false })
    const version = stat === undefined ? '' : `${stat.ino} ${stat.mtimeMs} ${stat.size}`
    if (version === this.#version) return
    this.#version = version
    this.#rules = version === '' ? [] : parseRules(fs.readFileSync(this.#file, 'utf8'))
  }

  /** Before a call that blocks: a slow disk blocks too. */
  block(call: Call, path: string): void {
    for (const { effect, delayMs } of this.of(call, path)) {
      if (effect === 'delay') sleepSync(delayMs)
      else fail(effect, path, call)
    }
  }

  /** Before a call on the thread pool. */
  async wait(call: Call, path: string): Promise<void> {
    for (const { effect, delayMs } of this.of(call, path)) {
      if (effect === 'delay') await new Promise((resolve) => setTimeout(resolve, delayMs))
      else fail(effect, path, call)
    }
  }
}

function sleepSync(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs)
}

function fail(effect: Effect, path: string, action: string): void {
  if (effect === 'kill') endNow()
  if (effect === 'EIO' || effect === 'ENOSPC') throw new StorageError(effect, path, action)
}

function endNow(): never {
  process.kill(process.pid, 'SIGKILL')
  for (;;) sleepSync(1000) // the signal is on its way
}

class FaultyFile implements DiskFile {
  readonly path: string
  readonly #file: DiskFile
  readonly #orders: Orders

  constructor(file: DiskFile, orders: Orders) {
    this.path = file.path
    this.#file = file
    this.#orders = orders
  }

  size(): number {
    return this.#file.size()
  }

  read(target: Uint8Array, targetStart: number, length: number, position: number): number {
    this.#orders.block('read', this.path)
    return this.#file.read(target, targetStart, length, position)
  }

  async readAsync(
    target: Uint8Array,
    targetStart: number,
    length: number,
    position: number,
  ): Promise<number> {
    await this.#orders.wait('read', this.path)
    return this.#file.readAsync(target, targetStart, length, position)
  }

  write(source: Uint8Array, start: number, end: number, position: number): void {
    assert(start <= end, 'a range of the source')
    for (const { effect, delayMs } of this.#orders.of('write', this.path)) {
      if (effect === 'tear') {
        this.#file.write(source, start, start + Math.floor((end - start) / 2), position)
        endNow()
      }
      if (effect === 'delay') sleepSync(delayMs)
      else fail(effect, this.path, 'write')
    }
    this.#file.write(source, start, end, position)
  }

  async sync(): Promise<void> {
    await this.#orders.wait('sync', this.path)
    return this.#file.sync()
  }

  async truncate(size: number): Promise<void> {
    await this.#orders.wait('write', this.path)
    return this.#file.truncate(size)
  }

  close(): void {
    this.#file.close()
  }
}

export class FaultyDisk implements Disk {
  readonly #disk: Disk
  readonly #orders: Orders

  /** `rulesFile` need not exist. */
  constructor(disk: Disk, rulesFile: string) {
    this.#disk = disk
    this.#orders = new Orders(rulesFile)
  }

  open(path: string, mode: 'read' | 'write' | 'new'): DiskFile {
    if (mode === 'new') this.#orders.block('name', path)
    return new FaultyFile(this.#disk.open(path, mode), this.#orders)
  }

  exists(path: string): boolean {
    return this.#disk.exists(path)
  }

  sizeOf(path: string): number {
    return this.#disk.sizeOf(path)
  }

  modifiedMs(path: string): number {
    return this.#disk.modifiedMs(path)
  }

  list(directory: string): DiskEntry[] {
    return this.#disk.list(directory)
  }

  makeDirectory(path: string): void {
    this.#orders.block('name', path)
    this.#disk.makeDirectory(path)
  }

  rename(from: string, to: string): void {
    this.#orders.block('name', from)
    this.#disk.rename(from, to)
  }

  async remove(path: string): Promise<void> {
    await this.#orders.wait('name', path)
    return this.#disk.remove(path)
  }

  async removeDirectory(path: string): Promise<void> {
    await this.#orders.wait('name', path)
    return this.#disk.removeDirectory(path)
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#orders.wait('name', path)
    return this.#disk.syncDirectory(path)
  }

  space(path: string): Promise<DiskSpace> {
    return this.#disk.space(path)
  }

  lock(path: string): DiskLock | undefined {
    return this.#disk.lock(path)
  }

  readFile(path: string): Buffer {
    this.#orders.block('read', path)
    return this.#disk.readFile(path)
  }

  async replaceFile(path: string, content: Uint8Array): Promise<void> {
    await this.#orders.wait('write', path)
    await this.#orders.wait('sync', path)
    return this.#disk.replaceFile(path, content)
  }
}
