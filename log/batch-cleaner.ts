/**
 * What compaction does with one batch: read its keys into the map, or write what stays of it.
 *
 * Invariant: batches come in the order of the log, each once, because a marker's fate depends on
 * what was seen of its transaction.
 */
import { assert } from '../base/assert.ts'
import { CorruptionError } from '../base/errors.ts'
import type { AbortedRange, LastOfProducer } from './cleanable.ts'
import type { CleanedTransactions } from './cleaned-transactions.ts'
import {
  baseOffsetAt,
  batchSizeAt,
  deleteHorizonAt,
  isControlAt,
  isTransactionalAt,
  lastOffsetAt,
  producerEpochAt,
  producerIdAt,
  readInt16,
  recordCountAt,
} from './format.ts'
import type { KeyMap } from './key-map.ts'
import { emptyBatch, rebuildBatch } from './rebuild-batch.ts'
import { RecordCursor } from './record-cursor.ts'
import { DECODED_BYTES_MAX, recordBytes } from './records.ts'

/** Between two looks at the clock. */
const RECORDS_PER_LOOK = 64

export interface CleaningTally {
  readBytes: number
  writtenBytes: number
  keptRecords: number
  droppedRecords: number
}

export interface BatchCleanerOptions {
  readonly map: KeyMap
  readonly slices: { isOver(): boolean; rest(): Promise<void> }
  readonly transactions: CleanedTransactions
  /** Keys are read from here on. */
  readonly startOffset: number
  /** Records from here on stay: the map does not know of them. */
  readonly endOffset: number
  readonly nowMs: number
  readonly deleteRetentionMs: number
  readonly tally: CleaningTally
}

export interface BatchSink {
  readonly cleaned: { appendAborted(range: AbortedRange): void }
  /** Copies. */
  write(source: Buffer, start: number, end: number): void
}

export class BatchCleaner {
  /** By producer id. */
  lastOfProducers: ReadonlyMap<number, LastOfProducer> = new Map()
  readonly #options: BatchCleanerOptions
  readonly #cursor = new RecordCursor()

  constructor(options: BatchCleanerOptions) {
    this.#options = options
  }

  /** False when the map has no room for all its keys; some may be in it then. */
  async readKeys(source: Buffer, position: number): Promise<boolean> {
    const { map, slices, startOffset } = this.#options
    if (this.#isDiscarded(source, position, () => {})) return true
    if (isControlAt(source, position)) return true
    const baseOffset = baseOffsetAt(source, position)
    const records = this.#open(source, position)
    for (let index = recordCountAt(source, position); index > 0; index--) {
      if (index % RECORDS_PER_LOOK === 0 && slices.isOver()) await slices.rest()
      this.#step(position)
      const cursor = this.#cursor
      const offset = baseOffset + cursor.offsetDelta
      if (cursor.keyLength < 0 || offset < startOffset) continue
      const key = records.subarray(cursor.keyStart, cursor.keyStart + cursor.keyLength)
      if (!map.set(key, offset)) return false
    }
    return true
  }

  /** Writes what stays of the batch. */
  async cleanBatch(source: Buffer, position: number, sink: BatchSink): Promise<void> {
    const end = position + batchSizeAt(source, position)
    const isDiscarded = this.#isDiscarded(source, position, (range) =>
      sink.cleaned.appendAborted(range),
    )
    if (baseOffsetAt(source, position) >= this.#options.endOffset) {
      sink.write(source, position, end)
      return
    }
    const isControl = isControlAt(source, position)
    const horizon = deleteHorizonAt(source, position)
    const isPastHorizon = horizon !== undefined && horizon <= this.#options.nowMs
    const count = recordCountAt(source, position)
    // A marker stays for as long as a tombstone, so that slow readers see the end of what they
    // read.
    if (count === 0 || (isDiscarded && (!isControl || isPastHorizon))) {
      this.#drop(source, position, count, sink)
      return
    }
    const { slices } = this.#options
    const records = this.#open(source, position)
    const kept = new Uint8Array(count)
    let keptCount = 0
    let hasTombstone = false
    for (let index = 0; index < count; index++) {
      // At the first one too: the batch was decompressed.
      if (index % RECORDS_PER_LOOK === 0 && slices.isOver()) await slices.rest()
      this.#step(position)
      if (!isControl && !this.#stays(records, source, position)) continue
      kept[index] = 1
      keptCount++
      if (this.#cursor.valueLength < 0) hasTombstone = true
    }
    if (keptCount === 0) {
      this.#drop(source, position, count, sink)
      return
    }
    const isFirstSight = horizon === undefined && (isControl ? isDiscarded : hasTombstone)
    this.#options.tally.keptRecords += keptCount
    this.#options.tally.droppedRecords += count - keptCount
    if (keptCount === count && !isFirstSight) {
      sink.write(source, position, end)
      return
    }
    if (slices.isOver()) await slices.rest() // it may have to be compressed
    const deleteHorizonMs = isFirstSight
      ? this.#options.nowMs + this.#options.deleteRetentionMs
      : undefined
    const batch = rebuildBatch(source, position, { records, kept, deleteHorizonMs })
    sink.write(batch, 0, batch.length)
  }

  /** The transactions decide: an aborted data batch, or a marker whose transaction is gone. */
  #isDiscarded(source: Buffer, position: number, keep: (range: AbortedRange) => void): boolean {
    const { transactions } = this.#options
    const producerId = producerIdAt(source, position)
    const lastOffset = lastOffsetAt(source, position)
    if (isControlAt(source, position)) {
      const type = this.#controlType(source, position)
      return transactions.mayDropMarker(producerId, type, lastOffset, keep)
    }
    return transactions.isAborted(producerId, isTransactionalAt(source, position), lastOffset)
  }

  #controlType(source: Buffer, position: number): number | undefined {
    if (recordCountAt(source, position) === 0) return undefined
    const records = this.#open(source, position)
    this.#step(position)
    const { keyStart, keyLength } = this.#cursor
    return keyLength < 4 ? -1 : readInt16(records, keyStart + 2)
  }

  #open(source: Buffer, position: number): Buffer {
    const records = recordBytes(source, position, DECODED_BYTES_MAX)
    this.#cursor.reset(records, 0, records.length)
    return records
  }

  #step(position: number): void {
    if (this.#cursor.next()) return
    const what = this.#cursor.fault ?? 'a record is damaged'
    throw new CorruptionError(`record batch at byte ${position}`, what)
  }

  /** Is the record at the cursor the newest of its key, and no tombstone past its time? */
  #stays(records: Buffer, source: Buffer, position: number): boolean {
    const { map, endOffset, nowMs } = this.#options
    const cursor = this.#cursor
    const offset = baseOffsetAt(source, position) + cursor.offsetDelta
    if (offset >= endOffset) return true
    // No producer can write a record without a key here; one from before the topic was compacted.
    if (cursor.keyLength < 0) return false
    const key = records.subarray(cursor.keyStart, cursor.keyStart + cursor.keyLength)
    if (offset < map.get(key)) return false
    if (cursor.valueLength >= 0) return true
    const horizon = deleteHorizonAt(source, position)
    return horizon === undefined || nowMs < horizon
  }

  /** Writes nothing, or the empty batch that carries the last sequence of a producer. */
  #drop(source: Buffer, position: number, count: number, sink: BatchSink): void {
    this.#options.tally.droppedRecords += count
    if (!this.#isLastOfProducer(source, position)) return
    const batch = emptyBatch(source, position)
    assert(lastOffsetAt(batch, 0) === lastOffsetAt(source, position), 'offsets stay')
    sink.write(batch, 0, batch.length)
  }

  /** The state of an active producer is read from its last batch, or from its last marker. */
  #isLastOfProducer(source: Buffer, position: number): boolean {
    const producerId = producerIdAt(source, position)
    const last = producerId < 0 ? undefined : this.lastOfProducers.get(producerId)
    if (last === undefined) return false
    if (last.lastDataOffset >= 0) return lastOffsetAt(source, position) === last.lastDataOffset
    return isControlAt(source, position) && producerEpochAt(source, position) === last.producerEpoch
  }
}
