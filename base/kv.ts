/**
 * A store of things that can be rebuilt: it may lose or damage what it holds, and says so where it
 * can. Each value carries a CRC-32C that is checked at every read; a mismatch throws
 * CorruptionError, and the owner rebuilds the store from its log. Keys are ordered by bytes.
 */

export type KvWrite =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'delete'; readonly key: Uint8Array }

export interface KvRange {
  /** Inclusive. */
  readonly from?: Uint8Array
  /** Exclusive. */
  readonly to?: Uint8Array
  readonly limit?: number
}

export interface Kv {
  get(key: Uint8Array): Promise<Buffer | undefined>
  /** All or nothing; durable when `sync` is true and the promise has resolved. */
  batch(writes: readonly KvWrite[], options?: { sync?: boolean }): Promise<void>
  /** A consistent view in key order. */
  entries(range?: KvRange): AsyncIterable<readonly [key: Buffer, value: Buffer]>
  close(): Promise<void>
}

export interface KvStores {
  /** Opens or makes the store in `directory`; throws CorruptionError when it can't be read. */
  open(directory: string): Promise<Kv>
  /** Removes a store that is closed. No error when missing. */
  destroy(directory: string): Promise<void>
}
