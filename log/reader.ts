/**
 * Reads of one log: by offset for consumers and followers, by time for ListOffsets.
 *
 * Invariant: a batch is served only after its CRC, its place in the order of offsets, and its
 * leader epoch (which the CRC does not cover) were found right in the very bytes that are served.
 */
import { assert } from '../base/assert.ts'
import { crc32c } from '../base/crc32c.ts'
import { CorruptionError, StorageError } from '../base/errors.ts'
import { CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR, NONE, OFFSET_OUT_OF_RANGE } from './errors.ts'
import {
  ATTRIBUTES_AT,
  baseOffsetAt,
  batchSizeAt,
  crcAt,
  lastOffsetDeltaAt,
  leaderEpochAt,
  RECORDS_AT,
} from './format.ts'
import type { LogState } from './log-state.ts'
import { ReadPlan } from './read-plan.ts'
import { Found, Segment } from './segment.ts'

const HINTS = 8
const SAID_MAX = 100
/** So far behind the end, a read is likely to touch the disk. */
const COLD_BYTES = 67_108_864

interface Hint {
  offset: number
  segment: Segment
  position: number
}

export class LogReader {
  readonly #state: LogState
  /** Where readers stopped, which is where they go on. Made with the first read. */
  #hints: (Hint | undefined)[] | undefined = undefined
  #nextHint = 0
  #found: Found | undefined = undefined
  /** Damaged places that were said. Most logs have none. */
  #said: Set<string> | undefined = undefined

  constructor(state: LogState) {
    this.#state = state
  }

  locate(fromOffset: number, upTo: number, plan: ReadPlan): void {
    const state = this.#state
    plan.error = NONE
    plan.segment = undefined
    plan.position = 0
    plan.firstBatchBytes = 0
    plan.availableBytes = 0
    plan.isCold = false
    plan.isInTail = false
    plan.nextOffset = fromOffset
    if (fromOffset < state.logStartOffset || fromOffset > state.logEndOffset) {
      plan.error = OFFSET_OUT_OF_RANGE
      return
    }
    const limit = Math.min(upTo, state.writtenOffset)
    if (fromOffset >= limit) return
    try {
      this.#find(fromOffset, limit, plan)
    } catch (error) {
      if (!(error instanceof StorageError)) throw error
      plan.error = KAFKA_STORAGE_ERROR
    }
  }

  /**
   * Where the batch begins that holds the start of the log: DeleteRecords (KIP-107) may leave only
   * the end of it. The start itself when nothing can be read there.
   */
  firstBatchOffset(): number {
    const { logStartOffset, logEndOffset } = this.#state
    const plan = new ReadPlan()
    this.locate(logStartOffset, logEndOffset, plan)
    if (plan.segment === undefined) return logStartOffset
    return Math.min(this.#found!.baseOffset, logStartOffset)
  }

  #find(fromOffset: number, limit: number, plan: ReadPlan): void {
    this.#found ??= new Found()
    const found = this.#found
    const { segments, parts } = this.#state
    let i = this.#state.segmentIndexOf(fromOffset)
    if (parts.maybe('log.hints')) this.forgetHints()
    if (parts.maybe('log.indexes')) segments[i]!.unloadIndexes()
    const hint = this.#hintFor(fromOffset)
    if (hint !== undefined) {
      parts.probe.hintHits++
      hint.segment.load()
      this.#state.shared.window.reset(hint.segment.file.use())
      hint.segment.walk(hint.position, fromOffset, fromOffset, found)
      i = segments.indexOf(hint.segment, i)
    } else {
      parts.probe.hintMisses++
      segments[i]!.find(fromOffset, found)
    }
    // In a compacted log the rest of a segment may be gone.
    while (found.outcome === 'beyond' && i + 1 < segments.length)
      segments[++i]!.find(fromOffset, found)
    if (found.outcome === 'damaged') {
      plan.error = CORRUPT_MESSAGE
      this.#say(segments[i]!, found.position, 'no batch can be made out')
      return
    }
    if (found.outcome === 'beyond' || found.baseOffset >= limit) return
    const segment = segments[i]!
    plan.segment = segment
    plan.position = found.position
    plan.firstBatchBytes = found.sizeBytes
    plan.nextOffset = Math.max(fromOffset, found.baseOffset)
    plan.availableBytes = Math.max(1, this.#estimate(i, found.position, fromOffset, limit))
    plan.isCold = this.#isCold(i, found.position)
  }

  /** Only hints of live segments: others go as they are met. */
  #hintFor(offset: number): Hint | undefined {
    const hints = this.#hints
    if (hints === undefined) return undefined
    for (let i = 0; i < HINTS; i++) {
      const hint = hints[i]
      if (hint === undefined || hint.offset !== offset) continue
      if (!hint.segment.isGone && hint.position < hint.segment.writtenBytes) return hint
      hints[i] = undefined
    }
    return undefined
  }

  #remember(offset: number, segment: Segment, position: number): void {
    this.#hints ??= new Array<Hint | undefined>(HINTS).fill(undefined)
    const hints = this.#hints
    for (let i = 0; i < HINTS; i++) if (hints[i]?.offset === offset) return
    const at = this.#nextHint
    this.#nextHint = (at + 1) % HINTS
    const hint = hints[at]
    if (hint === undefined) {
      hints[at] = { offset, segment, position }
      return
    }
    hint.offset = offset
    hint.segment = segment
    hint.position = position
  }

  forgetHints(): void {
    this.#hints = undefined
  }

  /** Exact up to the end of what is written, in proportion below it. */
  #estimate(i: number, position: number, fromOffset: number, limit: number): number {
    const { segments } = this.#state
    const segment = segments[i]!
    const end = Math.min(segment.nextOffset, this.#state.writtenOffset)
    const bytes = segment.writtenBytes - position
    if (limit < end) return Math.floor((bytes * (limit - fromOffset)) / (end - fromOffset))
    if (limit === end || i + 1 === segments.length) return bytes
    return bytes + this.#estimate(i + 1, 0, segments[i + 1]!.baseOffset, limit)
  }

  #isCold(i: number, position: number): boolean {
    const { segments } = this.#state
    let behind = -position
    for (let at = i; at < segments.length && behind <= COLD_BYTES; at++) {
      behind += segments[at]!.writtenBytes
    }
    return behind > COLD_BYTES
  }

  copy(plan: ReadPlan, upTo: number, target: Buffer, at: number, limitBytes: number): number {
    const isFew = this.#state.parts.maybe('log.read')
    const mostBytes = isFew ? Math.min(limitBytes, plan.firstBatchBytes) : limitBytes
    let copied = 0
    for (;;) {
      const segment = this.#segmentOf(plan)
      const wanted = wantedBytes(segment, plan, mostBytes - copied)
      if (segment === undefined || wanted < RECORDS_AT) return copied
      const length = segment.file.use().read(target, at + copied, wanted, plan.position)
      const taken = this.#take(segment, plan, upTo, target, at + copied, length, copied === 0)
      copied += taken
      if (taken === 0 || !this.#moveOn(segment, plan, upTo)) return copied
    }
  }

  async copyAsync(
    plan: ReadPlan,
    upTo: number,
    target: Buffer,
    at: number,
    limitBytes: number,
  ): Promise<number> {
    const segment = this.#segmentOf(plan)
    const wanted = wantedBytes(segment, plan, limitBytes)
    if (segment === undefined || wanted < RECORDS_AT) return 0
    const length = await segment.readAsync(target, at, wanted, plan.position)
    if (segment.isGone) return 0
    const taken = this.#take(segment, plan, upTo, target, at, length, true)
    this.#moveOn(segment, plan, upTo)
    return taken
  }

  /** Undefined when there is nothing to read, or the segment has gone meanwhile. */
  #segmentOf(plan: ReadPlan): Segment | undefined {
    const { segment } = plan
    if (segment === undefined) return undefined
    assert(segment instanceof Segment, 'a plan is made by locate')
    return segment.isGone ? undefined : segment
  }

  /** At the end of a closed segment the plan goes on in the next. */
  #moveOn(segment: Segment, plan: ReadPlan, upTo: number): boolean {
    if (!segment.isSealed || plan.position < segment.writtenBytes) return false
    const { segments } = this.#state
    const next = segments[segments.indexOf(segment) + 1]
    if (next === undefined || plan.nextOffset >= upTo) return false
    next.load() // whether it has gaps, and what its index says of offsets
    plan.segment = next
    plan.position = 0
    return true
  }

  /** Checks what was read; returns the bytes of good batches below the limit. */
  #take(
    segment: Segment,
    plan: ReadPlan,
    upTo: number,
    target: Buffer,
    start: number,
    length: number,
    isFirst: boolean,
  ): number {
    const { probe } = this.#state.parts
    const limit = Math.min(upTo, this.#state.writtenOffset)
    let at = start
    let position = plan.position
    let expected = plan.nextOffset
    while (at + RECORDS_AT <= start + length) {
      const size = batchSizeAt(target, at)
      const isWhole = size >= RECORDS_AT && at + size <= start + length
      // A length that is wrong may look like a batch that is cut off: only its header can tell.
      if (!isWhole && size >= RECORDS_AT && position + size <= segment.writtenBytes) break
      const fault = isWhole
        ? this.#fault(segment, target, at, size, position, expected, at === start && isFirst)
        : 'a batch has an impossible length'
      if (fault !== undefined) {
        this.#say(segment, position, fault)
        if (at === start && isFirst) throw new CorruptionError(segment.file.path, fault)
        break
      }
      const lastOffset = baseOffsetAt(target, at) + lastOffsetDeltaAt(target, at)
      if (lastOffset >= limit) break
      expected = lastOffset + 1
      at += size
      position += size
      probe.readBatches++
    }
    if (at === start) return 0
    plan.position = position
    plan.nextOffset = expected
    probe.readBytes += at - start
    this.#remember(expected, segment, position)
    return at - start
  }

  /** Each place once: readers will come back to it. */
  #say(segment: Segment, position: number, fault: string): void {
    const { probe, logger } = this.#state.parts
    probe.corruptReads++
    const place = `${segment.baseOffset}/${position}`
    this.#said ??= new Set()
    if (this.#said.has(place) || this.#said.size === SAID_MAX) return
    this.#said.add(place)
    const { baseOffset } = segment
    const fields = { ...this.#state.fields(), baseOffset, position, fault }
    logger.error('Damaged records were met. They are not served.', fields)
  }

  /** What is wrong with a whole batch; undefined when it may be served. */
  #fault(
    segment: Segment,
    source: Buffer,
    at: number,
    size: number,
    position: number,
    expected: number,
    isFirst: boolean,
  ): string | undefined {
    if (!segment.isPlausible(source, at, position)) return 'a batch header is impossible'
    if (crc32c(source, at + ATTRIBUTES_AT, at + size) !== crcAt(source, at)) {
      return 'a batch has a wrong CRC'
    }
    const baseOffset = baseOffsetAt(source, at)
    const lastOffset = baseOffset + lastOffsetDeltaAt(source, at)
    // A read may begin in the middle of its first batch, and gaps are where compaction was. What
    // is missing before a segment is no business of its first batch.
    const follows = position === 0 ? segment.baseOffset : expected
    const isNext = segment.hasGaps ? baseOffset >= expected : baseOffset === follows
    const isInOrder = lastOffset >= expected && (isNext || (isFirst && baseOffset <= expected))
    if (!isInOrder) return 'a batch is out of order'
    if (!segment.agreesWithIndex(position, lastOffset)) return 'a batch has a wrong offset'
    if (leaderEpochAt(source, at) !== this.#state.epochs.at(baseOffset)) {
      const isBeforeStart = baseOffset < this.#state.logStartOffset
      if (!isBeforeStart) return 'a batch has a wrong leader epoch'
    }
    return undefined
  }
}

function wantedBytes(segment: Segment | undefined, plan: ReadPlan, limitBytes: number): number {
  if (segment === undefined) return 0
  return Math.min(limitBytes, segment.writtenBytes - plan.position)
}
