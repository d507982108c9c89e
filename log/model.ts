/**
 * What a log should hold, as an array: the oracle of the model test. It knows nothing of files.
 */
import { assert } from '../base/assert.ts'

export interface ModelRecord {
  readonly offset: number
  readonly timestampMs: number
  readonly key: string | null
  readonly value: string | null
}

export interface ModelBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly epoch: number
  readonly records: readonly ModelRecord[]
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly isTransactional: boolean
  /** Undefined: data. */
  readonly marker: 'commit' | 'abort' | undefined
}

const CACHED_BATCHES = 5

export class Model {
  batches: ModelBatch[] = []
  startOffset = 0
  endOffset = 0
  /** Everything below survives a power loss. */
  durableOffset = 0
  /** Everything below survives the end of the process. */
  writtenOffset = 0
  /** Below it, older records of a key may be missing. */
  compactedTo = 0

  add(batch: ModelBatch): void {
    assert(batch.baseOffset >= this.endOffset, 'the model grows at its end')
    this.batches.push(batch)
    this.endOffset = batch.lastOffset + 1
  }

  /** Ends before the batch that holds `offset`. */
  truncate(offset: number): void {
    while (this.batches.length > 0 && this.batches.at(-1)!.lastOffset >= offset) {
      const batch = this.batches.pop()!
      this.endOffset = Math.min(offset, batch.baseOffset)
    }
    this.endOffset = Math.min(this.endOffset, offset)
    this.durableOffset = Math.min(this.durableOffset, this.endOffset)
    this.writtenOffset = Math.min(this.writtenOffset, this.endOffset)
    this.compactedTo = Math.min(this.compactedTo, this.endOffset)
  }

  /** Only what was read below `to` is left of the records there. */
  keep(read: readonly ModelRecord[], to: number): void {
    const kept = new Set(read.map(({ offset }) => offset))
    this.batches = this.batches.map((batch) => ({
      ...batch,
      records: batch.records.filter(({ offset }) => offset >= to || kept.has(offset)),
    }))
  }

  clear(offset: number): void {
    this.batches = []
    this.startOffset = this.endOffset = this.durableOffset = this.writtenOffset = offset
    this.compactedTo = 0
  }

  isBoundary(offset: number): boolean {
    return !this.batches.some((batch) => batch.baseOffset < offset && offset <= batch.lastOffset)
  }

  /** For messages. */
  tail(): string {
    const last = this.batches.slice(-8)
    return last
      .map(({ baseOffset, lastOffset, epoch }) => `${baseOffset}-${lastOffset}e${epoch}`)
      .join(' ')
  }

  /**
   * Behind the last batch that ends below an offset; the offset itself when a batch goes on there.
   */
  endOfBatches(offset: number): number {
    let end = 0
    for (const { baseOffset, lastOffset } of this.batches) {
      if (lastOffset < offset) end = lastOffset + 1
      else if (baseOffset < offset) return offset
    }
    return end
  }

  baseOf(offset: number): number {
    for (const { baseOffset, lastOffset } of this.batches) {
      if (lastOffset >= offset) return Math.min(offset, baseOffset)
    }
    return this.endOffset
  }

  records(from: number, to: number): ModelRecord[] {
    const found: ModelRecord[] = []
    for (const { records } of this.batches) {
      for (const record of records) {
        if (record.offset >= from && record.offset < to) found.push(record)
      }
    }
    return found
  }

  /**
   * What `read` may be: all records, but for those that compaction may take. Says what is wrong.
   */
  mismatch(read: readonly ModelRecord[], from: number, to: number): string | undefined {
    const newest = new Map<string, number>()
    const aborted = this.#abortedOffsets()
    for (const { key, offset } of this.records(0, this.compactedTo)) {
      if (key !== null && !aborted.has(offset)) newest.set(key, offset)
    }
    let at = 0
    for (const record of this.records(from, to)) {
      const got = read[at]
      if (got !== undefined && got.offset === record.offset) {
        const isSame =
          got.timestampMs === record.timestampMs &&
          got.key === record.key &&
          got.value === record.value
        if (!isSame) return `offset ${record.offset}: ${show(got)} instead of ${show(record)}`
        at++
        continue
      }
      const isNewest = record.key !== null && newest.get(record.key) === record.offset
      const mayMiss = record.offset < this.compactedTo && (!isNewest || record.value === null)
      if (!mayMiss) return `offset ${record.offset} is missing, ${show(got)} came instead`
    }
    return at === read.length ? undefined : `${show(read[at])} is too much`
  }

  /** Of data records whose transaction was aborted: compaction takes them. */
  #abortedOffsets(): Set<number> {
    const offsets = new Set<number>()
    const open = new Map<number, number[]>()
    for (const batch of this.batches) {
      const { producerId, marker, records } = batch
      if (!batch.isTransactional) continue
      const pending = open.get(producerId) ?? []
      open.set(producerId, pending)
      for (const { offset } of records) pending.push(offset)
      if (marker === undefined) continue
      if (marker === 'abort') for (const offset of pending) offsets.add(offset)
      open.delete(producerId)
    }
    return offsets
  }

  /** The last five batches of a producer in its newest epoch. */
  cached(producerId: number): ModelBatch[] {
    let found: ModelBatch[] = []
    let epoch = -1
    for (const batch of this.batches) {
      if (batch.producerId !== producerId) continue
      if (batch.producerEpoch !== epoch) found = []
      epoch = batch.producerEpoch
      if (batch.marker === undefined) found.push(batch)
    }
    return found.slice(-CACHED_BATCHES)
  }

  /** First offsets of open transactions, by producer. */
  open(to = this.endOffset): Map<number, number> {
    const open = new Map<number, number>()
    for (const batch of this.batches) {
      if (batch.baseOffset >= to) break
      if (batch.marker !== undefined) open.delete(batch.producerId)
      else if (batch.isTransactional && !open.has(batch.producerId)) {
        open.set(batch.producerId, batch.baseOffset)
      }
    }
    return open
  }

  aborted(from: number, to: number): string[] {
    const open = new Map<number, number>()
    const found: string[] = []
    for (const batch of this.batches) {
      const { producerId, baseOffset } = batch
      if (batch.marker === undefined) {
        if (batch.isTransactional && !open.has(producerId)) open.set(producerId, baseOffset)
        continue
      }
      const first = open.get(producerId)
      open.delete(producerId)
      if (first === undefined || batch.marker === 'commit') continue
      if (baseOffset >= from && first < to) found.push(`${producerId}@${first}`)
    }
    return found.sort()
  }

  epochAt(offset: number): number {
    for (const batch of this.batches) {
      if (batch.baseOffset <= offset && offset <= batch.lastOffset) return batch.epoch
    }
    return -1
  }

  /** The answer for a leader epoch: the largest at or below, and where it ends. */
  endOfEpoch(requested: number): { epoch: number; endOffset: number } | undefined {
    const live = this.batches.filter(({ lastOffset }) => lastOffset >= this.startOffset)
    const latest = live.at(-1)?.epoch ?? -1
    if (requested > latest || live.length === 0) return { epoch: -1, endOffset: -1 }
    const higher = live.find(({ epoch }) => epoch > requested)
    if (higher === undefined) return { epoch: requested, endOffset: this.endOffset }
    const lower = live.filter(({ epoch }) => epoch <= requested).at(-1)
    const endOffset = Math.max(higher.baseOffset, this.startOffset)
    return { epoch: lower?.epoch ?? requested, endOffset }
  }
}

function show(record: ModelRecord | undefined): string {
  if (record === undefined) return 'nothing'
  return `${record.offset}:${record.key}=${record.value?.slice(0, 24)}@${record.timestampMs}`
}
