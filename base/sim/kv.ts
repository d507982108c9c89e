/**
 * Stores that behave as level does: batches arrive in order, those without a sync may be lost from
 * the end at a power loss, and damage is found by the checksum of a value, or not at all (`lose`).
 * They live beside the simulated disk, not on it.
 */
import { compareBytes } from '../bytes.ts'
import { CorruptionError, StorageError } from '../errors.ts'
import type { Kv, KvRange, KvStores, KvWrite } from '../kv.ts'
import type { SimRandom } from './random.ts'
import type { Scheduler } from './scheduler.ts'

interface Entry {
  readonly key: Buffer
  readonly value: Buffer
  isDamaged: boolean
}

type Batch = readonly KvWrite[]

class SimStore {
  /** By key as latin1 text. */
  entries = new Map<string, Entry>()
  durable = new Map<string, Entry>()
  unsynced: Batch[] = []
  isOpen = false
  #sorted: Entry[] | undefined

  write(writes: Batch, sync: boolean): void {
    applyBatch(this.entries, writes)
    this.#sorted = undefined
    this.unsynced.push(writes)
    if (sync) this.#settle(this.unsynced.length)
  }

  powerLoss(random: SimRandom): void {
    this.#settle(random.below(this.unsynced.length + 1))
    this.unsynced = []
    this.entries = new Map(this.durable)
    this.#sorted = undefined
    this.isOpen = false
  }

  lose(random: SimRandom, fraction: number): void {
    for (const key of [...this.entries.keys()]) {
      if (!random.chance(fraction)) continue
      this.entries.delete(key)
      this.durable.delete(key)
    }
    this.#sorted = undefined
  }

  sorted(): readonly Entry[] {
    this.#sorted ??= [...this.entries.values()].sort((a, b) => compareBytes(a.key, b.key))
    return this.#sorted
  }

  #settle(count: number): void {
    for (const batch of this.unsynced.splice(0, count)) applyBatch(this.durable, batch)
  }
}

export class SimKvStores implements KvStores {
  readonly #stores = new Map<string, SimStore>()
  readonly #random: SimRandom
  readonly #scheduler: Scheduler | undefined
  /** As SimDisk's. */
  tell: (settle: () => void) => void = (settle) => settle()
  #generation = 0

  constructor(random: SimRandom, scheduler?: Scheduler) {
    this.#random = random
    this.#scheduler = scheduler
  }

  open(directory: string): Promise<Kv> {
    return this.later('kv open', () => {
      const store = this.#stores.get(directory) ?? new SimStore()
      if (store.isOpen) throw new StorageError('EIO', directory, 'open a second time')
      store.isOpen = true
      this.#stores.set(directory, store)
      return new SimKv(this, store, directory)
    })
  }

  destroy(directory: string): Promise<void> {
    return this.later('kv destroy', () => {
      this.#stores.delete(directory)
    })
  }

  killProcess(): void {
    this.#generation++
    for (const store of this.#stores.values()) store.isOpen = false
  }

  powerLoss(random: SimRandom = this.#random): void {
    this.#generation++
    for (const store of this.#stores.values()) store.powerLoss(random)
  }

  wipe(): void {
    this.killProcess()
    this.#stores.clear()
  }

  /** The value fails its checksum from now on. */
  damage(directory: string, key: Uint8Array): void {
    const name = nameOf(key)
    const store = this.#stores.get(directory)
    for (const entries of [store?.entries, store?.durable]) {
      const entry = entries?.get(name)
      if (entry !== undefined) entry.isDamaged = true
    }
  }

  /** Keys vanish without a word, as one flipped bit in level's log makes them. */
  lose(directory: string, fraction: number): void {
    this.#stores.get(directory)?.lose(this.#random, fraction)
  }

  /** For SimKv: a call that a process that ended never hears of. */
  later<T>(label: string, run: () => T): Promise<T> {
    const generation = this.#generation
    return new Promise((resolve, reject) => {
      const finish = () => {
        if (generation !== this.#generation) return
        try {
          const result = run()
          this.tell(() => resolve(result))
        } catch (error) {
          this.tell(() => reject(error))
        }
      }
      if (this.#scheduler === undefined) queueMicrotask(finish)
      else this.#scheduler.after(20 + this.#random.below(200), label, finish)
    })
  }
}

class SimKv implements Kv {
  readonly #stores: SimKvStores
  readonly #store: SimStore
  readonly #directory: string

  constructor(stores: SimKvStores, store: SimStore, directory: string) {
    this.#stores = stores
    this.#store = store
    this.#directory = directory
  }

  get(key: Uint8Array): Promise<Buffer | undefined> {
    const name = nameOf(key)
    return this.#stores.later('kv get', () => {
      const entry = this.#store.entries.get(name)
      return entry === undefined ? undefined : this.#checked(entry)
    })
  }

  batch(writes: readonly KvWrite[], options?: { sync?: boolean }): Promise<void> {
    const copy = writes.map((write): KvWrite => {
      const key = Buffer.from(write.key)
      return write.type === 'put'
        ? { type: 'put', key, value: Buffer.from(write.value) }
        : { type: 'delete', key }
    })
    const sync = options?.sync ?? false
    return this.#stores.later('kv batch', () => this.#store.write(copy, sync))
  }

  async *entries(range: KvRange = {}): AsyncGenerator<readonly [Buffer, Buffer]> {
    const { from, to, limit = Number.POSITIVE_INFINITY } = range
    const view = await this.#stores.later('kv entries', () => this.#store.sorted())
    let count = 0
    for (const entry of view) {
      if (from !== undefined && compareBytes(entry.key, from) < 0) continue
      if (to !== undefined && compareBytes(entry.key, to) >= 0) return
      if (count++ >= limit) return
      yield [Buffer.from(entry.key), this.#checked(entry)]
    }
  }

  close(): Promise<void> {
    return this.#stores.later('kv close', () => {
      this.#store.isOpen = false
    })
  }

  #checked(entry: Entry): Buffer {
    if (!entry.isDamaged) return Buffer.from(entry.value)
    throw new CorruptionError(this.#directory, 'a value fails its checksum')
  }
}

function applyBatch(entries: Map<string, Entry>, writes: Batch): void {
  for (const write of writes) {
    const name = nameOf(write.key)
    if (write.type === 'delete') entries.delete(name)
    else {
      const [key, value] = [Buffer.from(write.key), Buffer.from(write.value)]
      entries.set(name, { key, value, isDamaged: false })
    }
  }
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}
