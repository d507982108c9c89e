/**
 * An immutable map whose copies share what did not change: entries lie in a fixed number of
 * buckets by hash, and a change copies one bucket. Ten thousand topics made one by one cost some
 * milliseconds instead of seconds of copying.
 *
 * A draft changes buckets in place when it made them itself; published maps never change.
 */

const BUCKETS = 256

type Bucket<V> = Map<string, V>

function bucketOf(key: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 16)) & (BUCKETS - 1)
}

export class SharedMap<V> {
  readonly size: number
  readonly #buckets: readonly (Bucket<V> | undefined)[]

  /** For SharedMapDraft; others begin with `SharedMap.empty`. */
  constructor(buckets: readonly (Bucket<V> | undefined)[], size: number) {
    this.#buckets = buckets
    this.size = size
  }

  static empty<V>(): SharedMap<V> {
    return new SharedMap<V>(new Array<undefined>(BUCKETS).fill(undefined), 0)
  }

  get(key: string): V | undefined {
    return this.#buckets[bucketOf(key)]?.get(key)
  }

  has(key: string): boolean {
    return this.#buckets[bucketOf(key)]?.has(key) === true
  }

  /** In no particular order, but always the same for the same history. */
  *entries(): Generator<[string, V]> {
    for (const bucket of this.#buckets) if (bucket !== undefined) yield* bucket.entries()
  }

  *keys(): Generator<string> {
    for (const bucket of this.#buckets) if (bucket !== undefined) yield* bucket.keys()
  }

  *values(): Generator<V> {
    for (const bucket of this.#buckets) if (bucket !== undefined) yield* bucket.values()
  }

  draft(): SharedMapDraft<V> {
    return new SharedMapDraft(this, this.#buckets)
  }
}

/** Changes on the way to the next map. */
export class SharedMapDraft<V> {
  readonly #base: SharedMap<V>
  readonly #buckets: (Bucket<V> | undefined)[]
  readonly #isOwn = new Uint8Array(BUCKETS)
  #size: number
  #isChanged = false

  constructor(base: SharedMap<V>, buckets: readonly (Bucket<V> | undefined)[]) {
    this.#base = base
    this.#buckets = [...buckets]
    this.#size = base.size
  }

  get size(): number {
    return this.#size
  }

  get(key: string): V | undefined {
    return this.#buckets[bucketOf(key)]?.get(key)
  }

  has(key: string): boolean {
    return this.#buckets[bucketOf(key)]?.has(key) === true
  }

  set(key: string, value: V): void {
    const bucket = this.#own(bucketOf(key))
    if (!bucket.has(key)) this.#size++
    bucket.set(key, value)
  }

  delete(key: string): void {
    const at = bucketOf(key)
    if (this.#buckets[at]?.has(key) !== true) return
    this.#own(at).delete(key)
    this.#size--
  }

  /** The next map; the same object as before when nothing changed. The draft must not be used again. */
  finish(): SharedMap<V> {
    return this.#isChanged ? new SharedMap(this.#buckets, this.#size) : this.#base
  }

  #own(at: number): Bucket<V> {
    this.#isChanged = true
    let bucket = this.#buckets[at]
    if (this.#isOwn[at] === 1 && bucket !== undefined) return bucket
    bucket = new Map(bucket)
    this.#buckets[at] = bucket
    this.#isOwn[at] = 1
    return bucket
  }
}
