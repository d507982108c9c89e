/**
 * A simulated file: what a power loss leaves for sure (the durable image), what a reader sees (the
 * cache), and the operations in between, each of which a power loss may keep, drop or tear.
 *
 * Invariant: durable + all unsynced operations in order = cache, unless a sync failed.
 */
import { assert } from '../assert.ts'
import { Image, type ImageDelta } from './disk-image.ts'
import type { SimRandom } from './random.ts'

const SECTOR_BYTES = 512

type Unsynced =
  | { readonly sequence: number; readonly position: number; readonly bytes: Uint8Array }
  | { readonly sequence: number; readonly size: number }

/** A sync under way: covers all operations up to `sequence`. */
export interface FileSync {
  readonly sequence: number
  readonly delta: ImageDelta
}

export class SimInode {
  modifiedMs: number
  #cache = new Image()
  #durable = new Image()
  #unsynced: Unsynced[] = []
  #syncs: FileSync[] = []
  #sequence = 0

  constructor(nowMs: number) {
    this.modifiedMs = nowMs
  }

  get size(): number {
    return this.#cache.size
  }

  get durableSize(): number {
    return this.#durable.size
  }

  get unsyncedCount(): number {
    return this.#unsynced.length
  }

  read(target: Uint8Array, targetStart: number, length: number, position: number): number {
    return this.#cache.read(target, targetStart, length, position)
  }

  readDurable(): Buffer {
    const content = Buffer.alloc(this.#durable.size)
    this.#durable.read(content, 0, content.length, 0)
    return content
  }

  write(source: Uint8Array, start: number, end: number, position: number): void {
    if (start === end) return
    // A copy also of a Buffer, whose own `slice` would go on showing what its owner does with it.
    const bytes: Uint8Array = Uint8Array.prototype.slice.call(source, start, end)
    this.#unsynced.push({ sequence: ++this.#sequence, position, bytes })
    this.#cache.write(bytes, 0, bytes.length, position)
  }

  resize(size: number): void {
    this.#unsynced.push({ sequence: ++this.#sequence, size })
    this.#cache.resize(size)
  }

  beginSync(): FileSync {
    const sync = { sequence: this.#sequence, delta: this.#cache.takeDelta() }
    this.#syncs.push(sync)
    return sync
  }

  /** All that was written before `beginSync` is durable now. */
  completeSync(sync: FileSync): void {
    // A later sync that ends first covers this one too.
    while (this.#syncs.length > 0 && this.#syncs[0]!.sequence <= sync.sequence) {
      this.#durable.applyDelta(this.#syncs.shift()!.delta)
    }
    this.#unsynced = this.#unsynced.filter(({ sequence }) => sequence > sync.sequence)
  }

  /**
   * As Linux does: the pages count as clean although they never reached the device. Readers see
   * them until the power goes, and a sync that succeeds afterwards does not bring them back.
   */
  failSync(sync: FileSync): void {
    const index = this.#syncs.indexOf(sync)
    if (index < 0) return // a later one has succeeded
    const covered = index === 0 ? 0 : this.#syncs[index - 1]!.sequence
    this.#syncs.splice(index, 1)
    this.#unsynced = this.#unsynced.filter(
      ({ sequence }) => sequence <= covered || sequence > sync.sequence,
    )
  }

  /** The cache is lost; unsynced operations reach the device or not. */
  powerLoss(random: SimRandom): void {
    const operations = this.#unsynced
    const style = random.below(8)
    // In order: a prefix arrives and the operation at the cut may be torn. Otherwise each by
    // itself.
    const cut = style < 4 ? random.below(operations.length + 1) : -1
    operations.forEach((operation, index) => {
      if (style === 6 || (cut >= 0 && index > cut)) return
      const isWhole = style === 7 || (cut >= 0 ? index < cut : random.chance(0.4))
      if (isWhole) apply(this.#durable, operation)
      else if ('bytes' in operation && random.chance(0.5)) tear(this.#durable, operation, random)
    })
    this.#durable.takeDelta()
    this.#cache = this.#durable.clone()
    this.#unsynced = []
    this.#syncs = []
  }

  /** Changes bytes of both images behind everybody's back. */
  corrupt(position: number, bytes: Uint8Array): void {
    assert(position >= 0 && position + bytes.length <= this.size, 'within the file')
    this.#cache.write(bytes, 0, bytes.length, position)
    const durableEnd = Math.min(position + bytes.length, this.#durable.size)
    if (durableEnd > position) this.#durable.write(bytes, 0, durableEnd - position, position)
  }
}

function apply(image: Image, operation: Unsynced): void {
  if ('bytes' in operation) {
    image.write(operation.bytes, 0, operation.bytes.length, operation.position)
  } else image.resize(operation.size)
}

/**
 * Some of the sectors arrive. The size may have been recorded before the bytes: then zeros show.
 */
function tear(
  image: Image,
  { position, bytes }: { readonly position: number; readonly bytes: Uint8Array },
  random: SimRandom,
): void {
  const end = position + bytes.length
  const firstSector = Math.floor(position / SECTOR_BYTES)
  const sectorCount = Math.floor((end - 1) / SECTOR_BYTES) - firstSector + 1
  const prefix = random.chance(0.5) ? random.below(sectorCount + 1) : -1
  if (random.chance(0.5)) image.resize(Math.max(image.size, end))
  for (let i = 0; i < sectorCount; i++) {
    const arrives = prefix >= 0 ? i < prefix : random.chance(0.5)
    if (!arrives) continue
    const from = Math.max(position, (firstSector + i) * SECTOR_BYTES)
    const to = Math.min(end, (firstSector + i + 1) * SECTOR_BYTES)
    image.write(bytes, from - position, to - position, from)
  }
}
