/**
 * A log in memory for the tests of the cleaner: segments are lists of bytes, and what it holds can
 * be read back as a consumer would.
 */
import { assert } from '../base/assert.ts'
import type {
  AbortedRange,
  CleanableLog,
  CleanableSegment,
  CleanedSegment,
  LastOfProducer,
} from './cleanable.ts'
import type { Codec } from './compression.ts'
import { DEFAULT_LOG_CONFIG, type LogConfig } from './config.ts'
import { batchSizeAt, CONTROL_ABORT, CONTROL_COMMIT, isControlAt } from './format.ts'
import {
  type BatchHeader,
  type BatchOptions,
  decodeBatch,
  encodeBatch,
  type LogRecord,
  readBatchHeader,
} from './records.ts'

type KeyValue = readonly [string | null, string | null]

const FIRST_TIMESTAMP_MS = 1_699_000_000_000

class MemorySegment implements CleanableSegment, CleanedSegment {
  readonly baseOffset: number
  nextOffset: number
  bytes = Buffer.alloc(0)
  readonly aborted: AbortedRange[] = []
  readonly #log: MemoryLog

  constructor(log: MemoryLog, baseOffset: number) {
    this.#log = log
    this.baseOffset = baseOffset
    this.nextOffset = baseOffset
  }

  get sizeBytes(): number {
    return this.bytes.length
  }

  get firstTimestampMs(): number {
    return this.headers()[0]?.maxTimestampMs ?? -1
  }

  get maxTimestampMs(): number {
    return Math.max(-1, ...this.headers().map(({ maxTimestampMs }) => maxTimestampMs))
  }

  batches(): Buffer[] {
    const batches: Buffer[] = []
    for (let at = 0; at < this.bytes.length; ) {
      const size = batchSizeAt(this.bytes, at)
      batches.push(this.bytes.subarray(at, at + size))
      at += size
    }
    return batches
  }

  headers(): BatchHeader[] {
    return this.batches().map((batch) => readBatchHeader(batch, 0))
  }

  async readAsync(target: Uint8Array, targetStart: number, length: number, position: number) {
    if (this.#log.losesSegment) {
      this.#log.segments.splice(this.#log.segments.indexOf(this), 1)
      return 0
    }
    // Short reads happen: the reader must go on.
    const end = Math.min(position + Math.min(length, 1000), this.bytes.length)
    return this.bytes.copy(target, targetStart, position, end)
  }

  append(source: Buffer, start: number, end: number): void {
    this.bytes = Buffer.concat([this.bytes, source.subarray(start, end)])
  }

  appendAborted(range: AbortedRange): void {
    this.aborted.push(range)
  }
}

export class MemoryLog implements CleanableLog {
  readonly topic = 'compacted'
  readonly partition = 0
  readonly directory = '/data/compacted-0'
  config: LogConfig = { ...DEFAULT_LOG_CONFIG, isCompacted: true, isDeleted: false }
  readonly logStartOffset = 0
  logEndOffset = 0
  compression: Codec = 'none'
  readonly producers = new Map<number, LastOfProducer>()
  readonly segments: MemorySegment[] = [new MemorySegment(this, 0)]
  /** Replacements that were begun, and neither used nor discarded. */
  readonly unfinished: CleanedSegment[] = []
  limit: number | undefined = undefined
  refusesReplace = false
  losesSegment = false
  readonly #openTransactions = new Map<number, number>()

  // What is written

  append(...records: KeyValue[]): void {
    this.appendWith({}, ...records)
  }

  appendWith(options: BatchOptions, ...records: KeyValue[]): void {
    const list = records.map(([key, value], index) => ({
      timestampMs: this.timestampOf(this.logEndOffset + index),
      key: key === null ? null : Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
    }))
    const baseOffset = this.logEndOffset
    const common = { baseOffset, leaderEpoch: 3, compression: this.compression }
    this.#push(encodeBatch(list, { ...common, ...options }), records.length)
  }

  appendTransactional(producerId: number, ...records: KeyValue[]): void {
    if (!this.#openTransactions.has(producerId)) {
      this.#openTransactions.set(producerId, this.logEndOffset)
    }
    const producer = { producerId, producerEpoch: 0, baseSequence: this.logEndOffset }
    this.appendWith({ ...producer, isTransactional: true }, ...records)
  }

  endTransaction(producerId: number, isCommitted: boolean): void {
    const firstOffset = this.#openTransactions.get(producerId)
    assert(firstOffset !== undefined, 'a transaction is open')
    this.#openTransactions.delete(producerId)
    const type = isCommitted ? CONTROL_COMMIT : CONTROL_ABORT
    const marker = { timestampMs: 5, key: Buffer.from([0, 0, 0, type]), value: Buffer.alloc(6) }
    const lastOffset = this.logEndOffset
    const batch = encodeBatch([marker], {
      baseOffset: lastOffset,
      producerId,
      producerEpoch: 0,
      isTransactional: true,
      isControl: true,
    })
    this.#push(batch, 1)
    if (isCommitted) return
    const lastStableOffset = Math.min(lastOffset + 1, ...this.#openTransactions.values())
    const range = { producerId, firstOffset, lastOffset, lastStableOffset }
    this.segments.at(-1)!.aborted.push(range)
  }

  #push(batch: Buffer, count: number): void {
    const active = this.segments.at(-1)!
    active.append(batch, 0, batch.length)
    this.logEndOffset += count
    active.nextOffset = this.logEndOffset
  }

  roll(): void {
    if (this.segments.at(-1)!.sizeBytes === 0) return
    this.segments.push(new MemorySegment(this, this.logEndOffset))
  }

  flip(segment: CleanableSegment, at: number): void {
    const { bytes } = segment as MemorySegment
    bytes[at]! ^= 1
  }

  // What is read

  timestampOf(offset: number): number {
    return FIRST_TIMESTAMP_MS + offset * 10
  }

  batches(): Buffer[] {
    return this.segments.flatMap((segment) => segment.batches())
  }

  headers(): BatchHeader[] {
    return this.batches().map((batch) => readBatchHeader(batch, 0))
  }

  /** All data records, aborted ones too. */
  records(): LogRecord[] {
    return this.batches().flatMap((batch) => (isControlAt(batch, 0) ? [] : decodeBatch(batch)))
  }

  /** Offsets of the markers. */
  markers(): number[] {
    const batches = this.batches().filter((batch) => isControlAt(batch, 0))
    return batches.flatMap((batch) => decodeBatch(batch).map(({ offset }) => offset))
  }

  /** Newest value of each key below the offset, as a reader of committed records sees it. */
  committed(upTo: number): Map<string, string> {
    const values = new Map<string, string>()
    const ranges = this.abortedRanges(0, this.logEndOffset)
    for (const batch of this.batches()) {
      const { baseOffset, isControl, isTransactional, producerId } = readBatchHeader(batch, 0)
      if (baseOffset >= upTo || isControl) continue
      const isAborted = ranges.some(
        (range) =>
          range.producerId === producerId &&
          range.firstOffset <= baseOffset &&
          baseOffset <= range.lastOffset,
      )
      if (isTransactional && isAborted) continue
      for (const { key, value } of decodeBatch(batch)) {
        if (value === null) values.delete(String(key))
        else values.set(String(key), String(value))
      }
    }
    return new Map([...values].sort())
  }

  checkStructure(): void {
    let next = 0
    for (const segment of this.segments) {
      assert(segment.baseOffset >= next, 'segments do not overlap')
      next = segment.baseOffset
      for (const { baseOffset, lastOffset } of segment.headers()) {
        assert(baseOffset >= next && lastOffset >= baseOffset, 'offsets rise')
        next = lastOffset + 1
      }
      assert(next <= segment.nextOffset, 'a batch lies in its segment')
    }
  }

  // What the cleaner sees

  cleanableLimit(): number {
    const active = this.segments.at(-1)!.baseOffset
    return Math.min(this.limit ?? active, active, ...this.#openTransactions.values())
  }

  closedSegments(): readonly CleanableSegment[] {
    return this.segments.slice(0, -1)
  }

  abortedRanges(fromOffset: number, toOffset: number): readonly AbortedRange[] {
    return this.segments
      .flatMap(({ aborted }) => aborted)
      .filter((range) => range.firstOffset < toOffset && range.lastOffset >= fromOffset)
      .sort((a, b) => a.firstOffset - b.firstOffset)
  }

  lastOfProducers(): ReadonlyMap<number, LastOfProducer> {
    return this.producers
  }

  startCleaned(baseOffset: number): CleanedSegment {
    const cleaned = new MemorySegment(this, baseOffset)
    this.unfinished.push(cleaned)
    return cleaned
  }

  async replace(replaced: readonly CleanableSegment[], cleaned: CleanedSegment): Promise<boolean> {
    await this.discardCleaned(cleaned)
    if (this.refusesReplace) return false
    const segments = replaced as readonly MemorySegment[]
    const first = this.segments.indexOf(segments[0]!)
    assert(first >= 0 && cleaned.baseOffset === segments[0]!.baseOffset, 'neighbours')
    const segment = cleaned as MemorySegment
    segment.nextOffset = segments.at(-1)!.nextOffset
    this.segments.splice(first, segments.length, segment)
    return true
  }

  async discardCleaned(cleaned: CleanedSegment): Promise<void> {
    this.unfinished.splice(this.unfinished.indexOf(cleaned), 1)
  }
}
