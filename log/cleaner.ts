/**
 * Compaction of one log at a time, as Kafka does it: a map of the newest offset of each key in the
 * dirty part, then every segment from the log's start to the end of the map written anew without
 * the records that the map outdates.
 *
 * Invariants: offsets, batch boundaries in offset space, leader epochs and the last sequence of
 * each active producer stay. The newest record of a key stays; a tombstone stays for
 * `deleteRetentionMs` after the pass that first saw it (KIP-534). Nothing at or above the end of
 * the map is dropped. Work is cut in slices of 2 ms, so that the loop keeps turning.
 */
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { CorruptionError } from '../base/errors.ts'
import { BatchCleaner, type CleaningTally } from './batch-cleaner.ts'
import type {
  CleanableLog,
  CleanableSegment,
  CleanedSegment,
  CleanerCheckpoint,
} from './cleanable.ts'
import { CleanedTransactions } from './cleaned-transactions.ts'
import {
  baseOffsetAt,
  batchSizeAt,
  LOG_OVERHEAD_BYTES,
  lastOffsetAt,
  RECORDS_AT,
} from './format.ts'
import { KEY_MAP_PLACE_BYTES, KeyMap } from './key-map.ts'
import { verifyBatch } from './records.ts'
import { Slices } from './slices.ts'

export type {
  AbortedRange,
  CleanableLog,
  CleanableSegment,
  CleanedSegment,
  CleanerCheckpoint,
  LastOfProducer,
} from './cleanable.ts'

const MAP_BYTES_MAX = 32 * 1024 * 1024
const MAP_PLACES_MIN = 1024
/** A record with a key has hardly fewer. Too few places only end a pass early. */
const RECORD_BYTES_MIN = 12
const READ_BYTES = 256 * 1024
/** Small batches cost as much for each as for its bytes. */
const WRITE_BYTES = 32 * 1024
/** In the place of more than so many, names are changed for too long. */
const GROUP_SEGMENTS_MAX = 64
/** What the offset index can express within one segment. */
const RELATIVE_OFFSET_MAX = 2 ** 31 - 1

export interface CleanerOptions {
  readonly clock: Clock
  readonly checkpoint: CleanerCheckpoint
  /** Most memory that the map of the newest offsets may take. */
  readonly mapBytesMax?: number
  /** True: a pass under way gives up, as if the log had changed. */
  isStopped?(): boolean
}

/** What a pass over a log would do. */
export interface CleaningNeed {
  /** The dirty part is large enough, or too old. */
  readonly isDue: boolean
  /** Dirty bytes that may be cleaned / all bytes that would be read: the largest goes first. */
  readonly dirtyRatio: number
  readonly dirtyBytes: number
  readonly firstDirtyOffset: number
  /** Offset behind the last record that may be cleaned. */
  readonly endOffset: number
}

export interface CleaningResult {
  /** False when the log changed under the cleaner, which then gave up; the log is unharmed. */
  readonly isComplete: boolean
  readonly readBytes: number
  readonly writtenBytes: number
  readonly keptRecords: number
  readonly droppedRecords: number
}

/** The log changed under the cleaner, or it has to stop: the pass is given up. */
class LogChanged extends Error {
  override readonly name = 'LogChanged'
}

export class Cleaner {
  readonly #clock: Clock
  readonly #checkpoint: CleanerCheckpoint
  readonly #placesMax: number
  readonly #isStopped: () => boolean

  constructor(options: CleanerOptions) {
    this.#clock = options.clock
    this.#isStopped = options.isStopped ?? (() => false)
    this.#checkpoint = options.checkpoint
    const places = (options.mapBytesMax ?? MAP_BYTES_MAX) / KEY_MAP_PLACE_BYTES
    this.#placesMax = 2 ** Math.floor(Math.log2(Math.max(MAP_PLACES_MIN, places)))
  }

  /** Changes nothing and reads no file. Only for logs whose config is compacted. */
  need(log: CleanableLog, nowMs: number): CleaningNeed {
    const { minCompactionLagMs, maxCompactionLagMs, minCleanableDirtyRatio } = log.config
    const firstDirtyOffset = this.#firstDirtyOffset(log)
    const limit = log.cleanableLimit()
    let endOffset = firstDirtyOffset
    let cleanBytes = 0
    let dirtyBytes = 0
    let isTooOld = false
    for (const segment of log.closedSegments()) {
      if (segment.nextOffset > limit) break
      if (segment.nextOffset <= firstDirtyOffset) {
        cleanBytes += segment.sizeBytes
        continue
      }
      if (minCompactionLagMs > 0 && segment.maxTimestampMs > nowMs - minCompactionLagMs) break
      dirtyBytes += segment.sizeBytes
      endOffset = segment.nextOffset
      const ageMs = segment.firstTimestampMs < 0 ? 0 : nowMs - segment.firstTimestampMs
      if (ageMs > maxCompactionLagMs) isTooOld = true
    }
    const dirtyRatio = dirtyBytes === 0 ? 0 : dirtyBytes / (cleanBytes + dirtyBytes)
    const isDue = dirtyBytes > 0 && (isTooOld || dirtyRatio > minCleanableDirtyRatio)
    return { isDue, dirtyRatio, dirtyBytes, firstDirtyOffset, endOffset }
  }

  #firstDirtyOffset(log: CleanableLog): number {
    const stored = this.#checkpoint.firstDirtyOffset(log.topic, log.partition)
    const isUsable =
      stored !== undefined && stored >= log.logStartOffset && stored <= log.logEndOffset
    return isUsable ? stored : log.logStartOffset
  }

  /**
   * One pass over what `need` names, due or not. Throws StorageError or CorruptionError: the
   * segments replaced before stay, the others are as they were.
   */
  async clean(log: CleanableLog, nowMs: number): Promise<CleaningResult> {
    const tally: CleaningTally = {
      readBytes: 0,
      writtenBytes: 0,
      keptRecords: 0,
      droppedRecords: 0,
    }
    const need = this.need(log, nowMs)
    if (need.dirtyBytes === 0) return { ...tally, isComplete: true }
    try {
      const pass = new Pass({
        log,
        need,
        tally,
        slices: new Slices(this.#clock),
        places: this.#placesFor(need),
        isStopped: this.#isStopped,
      })
      const endOffset = await pass.run(nowMs)
      this.#checkpoint.setFirstDirtyOffset(log.topic, log.partition, endOffset)
      return { ...tally, isComplete: true }
    } catch (error) {
      if (error instanceof LogChanged) return { ...tally, isComplete: false }
      throw error
    }
  }

  #placesFor(need: CleaningNeed): number {
    const wanted = need.dirtyBytes / RECORD_BYTES_MIN / 0.9
    const places = 2 ** Math.ceil(Math.log2(Math.max(MAP_PLACES_MIN, wanted)))
    return Math.min(places, this.#placesMax)
  }
}

type VisitBatch = (buffer: Buffer, position: number) => Promise<boolean>

interface PassParts {
  readonly log: CleanableLog
  readonly need: CleaningNeed
  readonly slices: Slices
  readonly places: number
  readonly tally: CleaningTally
  isStopped(): boolean
}

/** One pass over one log. */
class Pass {
  readonly #log: CleanableLog
  readonly #need: CleaningNeed
  readonly #slices: Slices
  readonly #places: number
  readonly #tally: CleaningTally
  readonly #isStopped: () => boolean
  #buffer = Buffer.allocUnsafe(READ_BYTES)

  constructor(parts: PassParts) {
    this.#log = parts.log
    this.#need = parts.need
    this.#slices = parts.slices
    this.#places = parts.places
    this.#tally = parts.tally
    this.#isStopped = parts.isStopped
  }

  /** Returns the offset below which the log is clean. */
  async run(nowMs: number): Promise<number> {
    const { firstDirtyOffset, endOffset } = this.#need
    const log = this.#log
    const map = new KeyMap(this.#places)
    const mapped = log.closedSegments().filter(({ baseOffset, nextOffset }) => {
      return baseOffset < endOffset && nextOffset > firstDirtyOffset
    })
    const reading = this.#batchCleaner(map, firstDirtyOffset, endOffset, nowMs)
    const mapEnd = await this.#fillMap(reading, mapped)
    assert(mapEnd > firstDirtyOffset && mapEnd <= endOffset, 'a pass makes progress')
    const segments = log.closedSegments().filter(({ baseOffset }) => baseOffset < mapEnd)
    const start = segments[0]?.baseOffset ?? mapEnd
    const writing = this.#batchCleaner(map, start, mapEnd, nowMs)
    for (const group of groupSegments(segments, log.config.segmentBytes)) {
      writing.lastOfProducers = log.lastOfProducers()
      await this.#cleanGroup(writing, group)
    }
    return mapEnd
  }

  #batchCleaner(map: KeyMap, start: number, end: number, nowMs: number): BatchCleaner {
    return new BatchCleaner({
      map,
      slices: this.#slices,
      transactions: new CleanedTransactions(this.#log.abortedRanges(start, end)),
      startOffset: start,
      endOffset: end,
      nowMs,
      deleteRetentionMs: this.#log.config.deleteRetentionMs,
      tally: this.#tally,
    })
  }

  /** Returns the offset behind the last batch whose keys are all in the map. */
  async #fillMap(cleaner: BatchCleaner, segments: readonly CleanableSegment[]): Promise<number> {
    let mapEnd = this.#need.firstDirtyOffset
    for (const segment of segments) {
      let isFull = false
      await this.#eachBatch(segment, async (buffer, position) => {
        const lastOffset = lastOffsetAt(buffer, position)
        if (lastOffset < this.#need.firstDirtyOffset) return true
        isFull = !(await cleaner.readKeys(buffer, position))
        // A first batch with more keys than there is room for counts as read: keys that are not
        // in the map drop nothing, and the next pass begins behind it.
        if (!isFull || mapEnd === this.#need.firstDirtyOffset) mapEnd = lastOffset + 1
        return !isFull
      })
      if (isFull) return mapEnd
      mapEnd = segment.nextOffset
    }
    return mapEnd
  }

  async #cleanGroup(cleaner: BatchCleaner, group: readonly CleanableSegment[]): Promise<void> {
    const log = this.#log
    const cleaned = log.startCleaned(group[0]!.baseOffset)
    const writer = new Writer(cleaned, this.#tally)
    try {
      for (const segment of group) {
        await this.#eachBatch(segment, async (buffer, position) => {
          await cleaner.cleanBatch(buffer, position, writer)
          return true
        })
      }
      writer.flush()
    } catch (error) {
      await log.discardCleaned(cleaned)
      throw error
    }
    if (!(await log.replace(group, cleaned))) throw new LogChanged()
  }

  /**
   * Calls `visit` with each batch of the segment, checked, until it says false. Batches keep their
   * place in the buffer only until `visit` is done.
   */
  async #eachBatch(segment: CleanableSegment, visit: VisitBatch): Promise<void> {
    let filePosition = 0
    let held = 0
    while (filePosition + held < segment.sizeBytes) {
      if (this.#isStopped()) throw new LogChanged()
      const room = Math.min(this.#buffer.length - held, segment.sizeBytes - filePosition - held)
      const read = await segment.readAsync(this.#buffer, held, room, filePosition + held)
      if (read === 0) this.#checkPresent(segment)
      this.#tally.readBytes += read
      held += read
      const used = await this.#visitHeld(segment, held, visit)
      if (used < 0) return
      this.#keepRest(used, held)
      filePosition += used
      held -= used
    }
    assert(held === 0, 'a closed segment ends with a whole batch')
  }

  /** Returns the bytes of the whole batches in buffer[0, held); -1 when `visit` said false. */
  async #visitHeld(segment: CleanableSegment, held: number, visit: VisitBatch): Promise<number> {
    let at = 0
    try {
      for (;;) {
        const size = verifyBatch(this.#buffer, at, held)
        if (size === 0) return at
        if (this.#slices.isOver()) await this.#slices.rest()
        assert(baseOffsetAt(this.#buffer, at) >= segment.baseOffset, 'a batch is in its segment')
        if (!(await visit(this.#buffer, at))) return -1
        at += size
        if (this.#slices.isOver()) await this.#slices.rest()
      }
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error
      const path = `${this.#log.directory}, segment ${segment.baseOffset}`
      throw new CorruptionError(path, error.message, { cause: error })
    }
  }

  /** A segment that yields nothing has gone; one that is there and does so is a fault of ours. */
  #checkPresent(segment: CleanableSegment): void {
    const isPresent = this.#log.closedSegments().includes(segment)
    if (!isPresent) throw new LogChanged()
    assert(!isPresent, 'a closed segment can be read to its end')
  }

  /** Moves the cut batch buffer[at, held) to the front, of a larger buffer if it needs one. */
  #keepRest(at: number, held: number): void {
    const size = held - at >= LOG_OVERHEAD_BYTES ? batchSizeAt(this.#buffer, at) : RECORDS_AT
    if (size <= this.#buffer.length) {
      this.#buffer.copyWithin(0, at, held)
      return
    }
    const larger = Buffer.allocUnsafe(size)
    this.#buffer.copy(larger, 0, at, held)
    this.#buffer = larger
  }
}

/** Gathers batches, so that a segment of small ones is not written one by one. */
class Writer {
  readonly cleaned: CleanedSegment
  readonly #tally: CleaningTally
  readonly #buffer = Buffer.allocUnsafe(WRITE_BYTES)
  #used = 0

  constructor(cleaned: CleanedSegment, tally: CleaningTally) {
    this.cleaned = cleaned
    this.#tally = tally
  }

  /** Takes a copy of source[start, end). */
  write(source: Buffer, start: number, end: number): void {
    const size = end - start
    this.#tally.writtenBytes += size
    if (this.#used + size > this.#buffer.length) this.flush()
    if (size > this.#buffer.length) {
      this.cleaned.append(source, start, end)
      return
    }
    source.copy(this.#buffer, this.#used, start, end)
    this.#used += size
  }

  flush(): void {
    if (this.#used > 0) this.cleaned.append(this.#buffer, 0, this.#used)
    this.#used = 0
  }
}

/** Neighbours that fit into one segment together. */
function groupSegments(
  segments: readonly CleanableSegment[],
  segmentBytes: number,
): CleanableSegment[][] {
  const groups: CleanableSegment[][] = []
  let group: CleanableSegment[] = []
  let bytes = 0
  for (const segment of segments) {
    const first = group[0]
    const fits =
      first !== undefined &&
      group.length < GROUP_SEGMENTS_MAX &&
      bytes + segment.sizeBytes <= segmentBytes &&
      segment.nextOffset - 1 - first.baseOffset <= RELATIVE_OFFSET_MAX
    if (!fits) {
      group = []
      bytes = 0
      groups.push(group)
    }
    group.push(segment)
    bytes += segment.sizeBytes
  }
  return groups
}
