/**
 * One segment of a log: its `.log` file, its indexes, and how a batch is found in it.
 *
 * Invariants: `writtenBytes` ends at a batch boundary; the indexes cover exactly those bytes (plus,
 * in the active segment, what is gathered); a batch header is believed only when it continues what
 * was read before it, and nothing of a batch is served before its CRC was checked.
 */
import { assert } from '../base/assert.ts'
import type { Disk } from '../base/disk.ts'
import type { LogFile, LogShared } from './files.ts'
import {
  baseOffsetAt,
  batchSizeAt,
  lastOffsetDeltaAt,
  MAGIC,
  MAGIC_AT,
  maxTimestampAt,
  RECORDS_AT,
} from './format.ts'
import { OffsetIndex } from './offset-index.ts'
import type { LogProbe } from './probe.ts'
import { resync } from './resync.ts'
import { loadIndexes, readSums, saveIndexes } from './segment-indexes.ts'
import { TimeIndex } from './time-index.ts'
import type { AbortedEntry } from './transactions.ts'

export const LOG_SUFFIX = '.log'
export const RELATIVE_OFFSET_MAX = 2_147_483_647

export function segmentName(baseOffset: number): string {
  return String(baseOffset).padStart(20, '0')
}

/** The end of a small file is read at once: a way to the thread pool costs more. */
const SMALL_BYTES = 16_384

/** Where a look-up ended. Reused. */
export class Found {
  /**
   * 'beyond': all batches of the segment end below the offset. 'damaged': bytes that hold it can't
   * be read.
   */
  outcome: 'batch' | 'beyond' | 'damaged' = 'beyond'
  position = 0
  sizeBytes = 0
  baseOffset = -1
  lastOffset = -1
  maxTimestampMs = -1
  /** Behind the last batch that ends below the offset looked for, in this segment. */
  endBefore = -1
}

export interface SegmentParts {
  readonly disk: Disk
  readonly probe: LogProbe
  readonly shared: LogShared
}

export class Segment {
  readonly baseOffset: number
  /** Directory and name, without suffix. */
  readonly stem: string
  readonly file: LogFile
  /** In the page cache. */
  writtenBytes = 0
  /** With what is gathered. */
  sizeBytes = 0
  syncedBytes = 0
  /** First offset behind the segment (behind what is gathered, in the active one). */
  nextOffset: number
  maxTimestampMs = -1
  /** Last offset of the first batch that reached it. */
  maxTimestampOffset = -1
  bytesSinceIndexEntry = 0
  createdMs: number
  /** A record of compaction or of a leader's: offsets may be missing between batches. */
  hasGaps = false
  /**
   * The sums on disk say that there may be gaps, so that a start takes none for the end of the log.
   */
  areGapsSaid = false
  areGapsDurable = false
  /** Takes no more appends. */
  isSealed = false
  /** No longer part of the log: readers look again. */
  isGone = false
  /** Index files and sums of a sealed segment are on disk for good. */
  areIndexesDurable = false
  /** How often its end was cut off. */
  cuts = 0
  /** When it was last read to its end without a fault, by the monotonic clock. */
  scrubbedMs = Number.NEGATIVE_INFINITY
  index: OffsetIndex | undefined = undefined
  timeIndex: TimeIndex | undefined = undefined
  /** Undefined: not loaded, or damaged and not made again yet. */
  aborted: AbortedEntry[] | undefined = undefined
  /** An index was found wrong or missing; maintenance makes it again. */
  needsRebuild = false
  /** How much of each index its file has. */
  readonly saved = {
    index: 0,
    indexCrc: 0,
    time: 0,
    timeCrc: 0,
    aborted: 0,
    abortedCrc: 0,
    /** Bytes of the segment that the sums file vouches for; -1: there is none. */
    logBytes: -1,
  }
  #firstTimestampMs: number | undefined = undefined
  #modifiedMs: number | undefined = undefined
  #areTimestampsKnown = false
  readonly #parts: SegmentParts

  constructor(directory: string, baseOffset: number, parts: SegmentParts, file?: LogFile) {
    assert(Number.isSafeInteger(baseOffset) && baseOffset >= 0, 'an offset is a safe integer')
    this.baseOffset = baseOffset
    this.nextOffset = baseOffset
    this.stem = `${directory}/${segmentName(baseOffset)}`
    this.createdMs = -1
    this.#parts = parts
    this.file = file ?? parts.shared.files.file(this.stem + LOG_SUFFIX, 'write')
  }

  /** A new segment has empty indexes, no files yet. */
  startEmpty(nowMs: number): void {
    this.index = new OffsetIndex()
    this.timeIndex = new TimeIndex()
    this.aborted = []
    this.createdMs = nowMs
  }

  get isEmpty(): boolean {
    return this.sizeBytes === 0
  }

  /** Max timestamp of the first batch, which times the roll; -1 when there is none. */
  get firstTimestampMs(): number {
    if (this.#firstTimestampMs === undefined) {
      if (this.writtenBytes < RECORDS_AT) return -1
      const { window } = this.#parts.shared
      window.reset(this.file.use())
      const at = window.headerAt(0, this.writtenBytes)
      this.#firstTimestampMs = at < 0 ? -1 : maxTimestampAt(window.buffer, at)
    }
    return this.#firstTimestampMs
  }

  /** For retention: of the records, or of the file when they have none. */
  largestTimestampMs(): number {
    this.knowTimestamps()
    if (this.maxTimestampMs >= 0) return this.maxTimestampMs
    if (this.#modifiedMs === undefined || !this.isSealed) {
      const { disk } = this.#parts
      this.#modifiedMs = disk.exists(this.file.path)
        ? disk.modifiedMs(this.file.path)
        : this.createdMs
    }
    return this.#modifiedMs
  }

  /** The largest timestamp of a closed segment, from its sums: without its indexes. */
  knowTimestamps(): void {
    if (this.isIndexLoaded() || this.#areTimestampsKnown) return
    const sums = readSums(this, this.#parts.disk)
    if (sums === undefined || sums.logBytes !== this.writtenBytes) {
      this.load()
      return
    }
    this.maxTimestampMs = sums.maxTimestampMs
    this.maxTimestampOffset = sums.maxTimestampOffset
    this.#areTimestampsKnown = true
  }

  /** A batch was put at `position`: the last of the segment so far. Sizes are the caller's. */
  note(
    position: number,
    batchBytes: number,
    lastOffset: number,
    maxTimestampMs: number,
    indexIntervalBytes: number,
  ): void {
    assert(lastOffset - this.baseOffset <= RELATIVE_OFFSET_MAX, 'offsets fit the index')
    if (position === 0) this.#firstTimestampMs = maxTimestampMs
    if (maxTimestampMs > this.maxTimestampMs) {
      this.maxTimestampMs = maxTimestampMs
      this.maxTimestampOffset = lastOffset
    }
    if (this.bytesSinceIndexEntry > indexIntervalBytes) {
      this.index!.append(lastOffset - this.baseOffset, position)
      this.#noteTime()
      this.bytesSinceIndexEntry = 0
    }
    this.bytesSinceIndexEntry += batchBytes
    this.nextOffset = lastOffset + 1
  }

  #noteTime(): void {
    if (this.maxTimestampMs < 0) return
    this.timeIndex!.appendIfLater(this.maxTimestampMs, this.maxTimestampOffset - this.baseOffset)
  }

  /** What a closed segment has: the time index ends with the largest timestamp. */
  saveSealed(): void {
    this.load()
    this.#noteTime()
    this.saveIndexes()
  }

  /** `suffix` is `.cleaned` for a replacement in the making. */
  saveIndexes(suffix = ''): void {
    assert(this.sizeBytes === this.writtenBytes, 'indexes are saved for what is written')
    saveIndexes(this, this.#parts.disk, suffix)
  }

  /** The time index of a segment that is not written for now ends with its largest timestamp. */
  noteTimeAtClose(): void {
    this.#noteTime()
  }

  /**
   * After the end was cut: what is left of the indexes says what is known. The file says the rest.
   */
  recountFromIndex(): void {
    const time = this.timeIndex!
    const index = this.index!
    const isTimed = time.count > 0
    this.maxTimestampMs = isTimed ? time.timestampAt(time.count - 1) : -1
    this.maxTimestampOffset = isTimed ? this.baseOffset + time.offsetAt(time.count - 1) : -1
    const last = index.count === 0 ? 0 : index.positionAt(index.count - 1)
    this.countSinceLastEntry()
    if (this.writtenBytes === 0) this.#firstTimestampMs = undefined
    const { window } = this.#parts.shared
    window.reset(this.file.use())
    // The batches behind the last entry of the time index.
    for (let position = last; position < this.writtenBytes; ) {
      const at = window.headerAt(position, this.writtenBytes)
      if (at < 0 || !this.isPlausible(window.buffer, at, position)) return
      const maxTimestampMs = maxTimestampAt(window.buffer, at)
      if (maxTimestampMs > this.maxTimestampMs) {
        this.maxTimestampMs = maxTimestampMs
        this.maxTimestampOffset =
          baseOffsetAt(window.buffer, at) + lastOffsetDeltaAt(window.buffer, at)
      }
      position += batchSizeAt(window.buffer, at)
    }
  }

  isIndexLoaded(): boolean {
    return this.index !== undefined
  }

  /** Of a segment whose index came from its file. */
  countSinceLastEntry(): void {
    const index = this.index!
    const last = index.count === 0 ? 0 : index.positionAt(index.count - 1)
    this.bytesSinceIndexEntry = this.writtenBytes - last
  }

  indexBytes(): number {
    return (this.index?.memoryBytes ?? 0) + (this.timeIndex?.memoryBytes ?? 0)
  }

  unloadIndexes(): void {
    if (!this.isSealed || this.needsRebuild) return
    this.index = undefined
    this.timeIndex = undefined
  }

  /** Reads what the files say of the indexes; what can't be believed is made from the headers. */
  load(): void {
    if (this.isIndexLoaded()) return
    loadIndexes(this, this.#parts)
    if (this.isSealed) this.#parts.shared.indexes.admit(this)
    assert(this.index !== undefined && this.timeIndex !== undefined, 'indexes are loaded')
  }

  /**
   * The batch that holds `offset`, or the first one behind it. Reads headers from the page cache:
   * few, unless the index is damaged.
   */
  find(offset: number, found: Found): void {
    this.load()
    const { window } = this.#parts.shared
    found.outcome = 'beyond'
    found.endBefore = this.baseOffset
    if (this.writtenBytes < RECORDS_AT) return
    window.reset(this.file.use())
    const start = this.#startOf(offset)
    this.walk(start.position, start.offset, offset, found)
  }

  /** A verified place to begin: the last index entry below the offset whose batch agrees. */
  #startOf(offset: number): { position: number; offset: number } {
    const index = this.index!
    const { window } = this.#parts.shared
    let entry = index.floor(Math.min(offset - 1 - this.baseOffset, RELATIVE_OFFSET_MAX))
    for (let step = 1; entry >= 0; entry -= step, step *= 2) {
      const position = index.positionAt(entry)
      if (position >= this.writtenBytes) continue // gathered, not written yet
      const at = window.headerAt(position, this.writtenBytes)
      if (at >= 0 && this.isPlausible(window.buffer, at, position)) {
        const base = baseOffsetAt(window.buffer, at)
        const last = base + lastOffsetDeltaAt(window.buffer, at)
        if (last - this.baseOffset === index.offsetAt(entry)) return { position, offset: base }
      }
      this.#parts.probe.distrustedIndexEntries++
      this.needsRebuild = true
    }
    return { position: 0, offset: this.baseOffset }
  }

  /** The offsets of the batch whose header lies at a position; undefined when none can. */
  batchAt(position: number): { baseOffset: number; lastOffset: number } | undefined {
    const { window } = this.#parts.shared
    window.reset(this.file.use())
    const at = window.headerAt(position, this.writtenBytes)
    if (at < 0 || !this.isPlausible(window.buffer, at, position)) return undefined
    const baseOffset = baseOffsetAt(window.buffer, at)
    return { baseOffset, lastOffset: baseOffset + lastOffsetDeltaAt(window.buffer, at) }
  }

  /** Walks headers from a batch boundary; `expected` is the least base offset there. */
  walk(start: number, startOffset: number, offset: number, found: Found): void {
    const { window } = this.#parts.shared
    let position = start
    let expected = startOffset
    found.outcome = 'beyond'
    found.endBefore = startOffset
    while (position < this.writtenBytes) {
      const at = window.headerAt(position, this.writtenBytes)
      if (at < 0 || !this.continues(window.buffer, at, position, expected)) {
        const next = resync(this, this.file.use(), position + 1, expected)
        const nextOffset = next?.baseOffset ?? this.nextOffset
        if (offset < nextOffset) {
          found.outcome = 'damaged'
          found.position = position
          return
        }
        if (next === undefined) return
        window.reset(this.file.use())
        position = next.position
        expected = next.baseOffset
        continue
      }
      const base = baseOffsetAt(window.buffer, at)
      const last = base + lastOffsetDeltaAt(window.buffer, at)
      const size = batchSizeAt(window.buffer, at)
      if (last >= offset) {
        found.outcome = 'batch'
        found.position = position
        found.sizeBytes = size
        found.baseOffset = base
        found.lastOffset = last
        found.maxTimestampMs = maxTimestampAt(window.buffer, at)
        return
      }
      expected = last + 1
      found.endBefore = expected
      position += size
    }
  }

  /** Could a batch header of this segment look like that? Says nothing of its CRC. */
  isPlausible(source: Uint8Array, at: number, position: number): boolean {
    const size = batchSizeAt(source, at)
    if (size < RECORDS_AT || position + size > this.writtenBytes) return false
    if (source[at + MAGIC_AT] !== MAGIC) return false
    const delta = lastOffsetDeltaAt(source, at)
    const base = baseOffsetAt(source, at)
    return delta >= 0 && base >= this.baseOffset && base + delta < this.nextOffset
  }

  /** Plausible, and the batch that follows what ends before `expected`. */
  continues(source: Uint8Array, at: number, position: number, expected: number): boolean {
    if (!this.isPlausible(source, at, position)) return false
    const base = baseOffsetAt(source, at)
    return this.hasGaps ? base >= expected : base === expected
  }

  /** When the index has an entry for this position, the batch must end at its offset. */
  agreesWithIndex(position: number, lastOffset: number): boolean {
    if (!this.hasGaps || this.index === undefined || this.needsRebuild) return true
    const entry = this.index.floorOfPosition(position)
    if (entry < 0 || this.index.positionAt(entry) !== position) return true
    return this.index.offsetAt(entry) === lastOffset - this.baseOffset
  }

  /** As CleanableSegment: bytes of the file, on the thread pool. */
  async readAsync(
    target: Uint8Array,
    targetStart: number,
    length: number,
    position: number,
  ): Promise<number> {
    const room = Math.max(0, Math.min(length, this.writtenBytes - position))
    if (room === 0 || this.isGone) return 0
    if (room <= SMALL_BYTES && room === this.writtenBytes - position) {
      return this.file.use().read(target, targetStart, room, position)
    }
    const file = this.file.pin()
    try {
      return await file.readAsync(target, targetStart, room, position)
    } finally {
      this.file.unpin()
    }
  }
}
