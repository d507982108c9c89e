/**
 * Stores in level. It doesn't protect what it holds (one flipped bit in its log lost keys), so each
 * value is kept behind a CRC-32C of its key and itself. The only door to level.
 */
import { mkdir, rm } from 'node:fs/promises'
import { Level } from 'level'
import { crc32c } from '../crc32c.ts'
import { CorruptionError, StorageError } from '../errors.ts'
import type { Kv, KvRange, KvStores, KvWrite } from '../kv.ts'

const CRC_BYTES = 4
/** How many entries an iterator takes from level at once. */
const ENTRIES_AT_ONCE = 256

const UNREADABLE = /invalid argument|corruption|no such file/i

type Store = Level<Buffer, Buffer>

class RealKv implements Kv {
  readonly #store: Store
  readonly #directory: string

  constructor(store: Store, directory: string) {
    this.#store = store
    this.#directory = directory
  }

  async get(key: Uint8Array): Promise<Buffer | undefined> {
    const stored = await this.#attempt('read', () => this.#store.get(asBuffer(key)))
    return stored === undefined ? undefined : this.#unpack(key, stored)
  }

  async batch(writes: readonly KvWrite[], options?: { sync?: boolean }): Promise<void> {
    const operations = writes.map((write) => {
      const key = asBuffer(write.key)
      if (write.type === 'delete') return { type: 'del' as const, key }
      return { type: 'put' as const, key, value: pack(key, write.value) }
    })
    const sync = options?.sync ?? false
    await this.#attempt('write', () => this.#store.batch(operations, { sync }))
  }

  async *entries(range: KvRange = {}): AsyncGenerator<readonly [Buffer, Buffer]> {
    const iterator = this.#store.iterator({
      ...(range.from === undefined ? {} : { gte: asBuffer(range.from) }),
      ...(range.to === undefined ? {} : { lt: asBuffer(range.to) }),
      limit: range.limit ?? -1,
    })
    try {
      for (;;) {
        const entries = await this.#attempt('read', () => iterator.nextv(ENTRIES_AT_ONCE))
        if (entries.length === 0) return
        for (const [key, stored] of entries) yield [key, this.#unpack(key, stored)]
      }
    } finally {
      await iterator.close()
    }
  }

  async close(): Promise<void> {
    await this.#attempt('close', () => this.#store.close())
  }

  #unpack(key: Uint8Array, stored: Buffer): Buffer {
    if (stored.length < CRC_BYTES || stored.readUInt32BE(0) !== sum(key, stored)) {
      throw new CorruptionError(this.#directory, 'a value fails its checksum')
    }
    return stored.subarray(CRC_BYTES)
  }

  async #attempt<T>(action: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run()
    } catch (error) {
      throw translated(error, this.#directory, action)
    }
  }
}

export const realKvStores: KvStores = {
  async open(directory) {
    const store: Store = new Level(directory, { keyEncoding: 'buffer', valueEncoding: 'buffer' })
    try {
      await mkdir(directory, { recursive: true })
      await store.open()
    } catch (error) {
      throw translated(error, directory, 'open')
    }
    return new RealKv(store, directory)
  },
  async destroy(directory) {
    await rm(directory, { recursive: true, force: true })
  },
}

function pack(key: Uint8Array, value: Uint8Array): Buffer {
  const stored = Buffer.allocUnsafe(CRC_BYTES + value.length)
  stored.set(value, CRC_BYTES)
  stored.writeUInt32BE(sum(key, stored), 0)
  return stored
}

/** Covers the key, so that a value that turns up under another one is found out too. */
function sum(key: Uint8Array, stored: Uint8Array): number {
  return crc32c(stored, CRC_BYTES, stored.length, crc32c(key))
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** What level says is in the code of the error or of its cause. */
function translated(error: unknown, directory: string, action: string): unknown {
  if (!(error instanceof Error)) return error
  const { cause } = error
  const found = `${codeOf(error)} ${codeOf(cause)}`
  if (found.includes('LEVEL_CORRUPTION')) {
    return new CorruptionError(directory, `${action}: level found damage`, { cause: error })
  }
  // What level says of a directory whose files name others that don't exist.
  const isUnreadable = cause instanceof Error && UNREADABLE.test(cause.message)
  if (action === 'open' && isUnreadable) {
    return new CorruptionError(directory, 'level cannot read it', { cause: error })
  }
  if (found.includes('LEVEL_IO_ERROR') || found.includes('LEVEL_LOCKED')) {
    return new StorageError('EIO', directory, action, { cause: error })
  }
  return error
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
