/** Stores by level. Each value begins with its CRC-32C, since level itself may lose or damage silently. */
import { Level } from 'level'
import { crc32c } from '../crc32c.ts'
import { CorruptionError } from '../errors.ts'
import type { Kv, KvRange, KvStores, KvWrite } from '../kv.ts'
import { realDisk } from './disk.ts'

const CRC_BYTES = 4

type Store = Level<Uint8Array, Uint8Array>

class LevelKv implements Kv {
  readonly #directory: string
  readonly #store: Store

  constructor(directory: string, store: Store) {
    this.#directory = directory
    this.#store = store
  }

  async get(key: Uint8Array): Promise<Buffer | undefined> {
    const sealed = await this.#store.get(key)
    return sealed === undefined ? undefined : this.#unseal(sealed)
  }

  batch(writes: readonly KvWrite[], options: { sync?: boolean } = {}): Promise<void> {
    const operations = writes.map((write) =>
      write.type === 'put'
        ? { type: 'put' as const, key: write.key, value: seal(write.value) }
        : { type: 'del' as const, key: write.key },
    )
    // The typings of abstract-level leave out classic-level's own `sync`.
    return this.#store.batch(operations, { sync: options.sync ?? false } as object)
  }

  async *entries(range: KvRange = {}): AsyncGenerator<readonly [Buffer, Buffer]> {
    const bounds = {
      ...(range.from === undefined ? {} : { gte: range.from }),
      ...(range.to === undefined ? {} : { lt: range.to }),
      ...(range.limit === undefined ? {} : { limit: range.limit }),
    }
    for await (const [key, sealed] of this.#store.iterator(bounds)) {
      yield [asBuffer(key), this.#unseal(sealed)]
    }
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  #unseal(sealed: Uint8Array): Buffer {
    const bytes = asBuffer(sealed)
    if (bytes.length < CRC_BYTES || bytes.readUInt32BE(0) !== crc32c(bytes, CRC_BYTES)) {
      throw new CorruptionError(this.#directory, 'a value does not match its checksum')
    }
    return bytes.subarray(CRC_BYTES)
  }
}

function seal(value: Uint8Array): Buffer {
  const sealed = Buffer.allocUnsafe(CRC_BYTES + value.length)
  sealed.set(value, CRC_BYTES)
  sealed.writeUInt32BE(crc32c(sealed, CRC_BYTES), 0)
  return sealed
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

const ENCODINGS = { keyEncoding: 'view', valueEncoding: 'view' } as const

export const realKv: KvStores = {
  async open(directory) {
    const store: Store = new Level(directory, ENCODINGS)
    try {
      await store.open()
    } catch (error) {
      throw new CorruptionError(directory, 'the store can not be opened', { cause: error })
    }
    return new LevelKv(directory, store)
  },
  destroy: (directory) => realDisk.removeDirectory(directory),
}
