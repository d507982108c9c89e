/** What is known of a log without reading records: producers, transactions, the recovery point. */
import { CorruptionError } from '../base/errors.ts'
import type { AbortedRange, LastOfProducer } from './cleanable.ts'
import type { LogState } from './log-state.ts'

export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

export interface ActiveProducer {
  readonly producerId: number
  readonly producerEpoch: number
  readonly lastSequence: number
  readonly lastTimestampMs: number
  readonly coordinatorEpoch: number
  /** -1 when no transaction is open. */
  readonly currentTransactionStartOffset: number
}

export function activeProducersOf(state: LogState): ActiveProducer[] {
  return Array.from(state.producers.values(), (producer) => ({
    producerId: producer.producerId,
    producerEpoch: producer.epoch,
    lastSequence: producer.lastSequence,
    lastTimestampMs: producer.lastTimestampMs,
    coordinatorEpoch: producer.coordinatorEpoch,
    currentTransactionStartOffset: producer.transactionStart,
  }))
}

/** For compaction: the batches that carry what must stay known. */
export function lastOfProducersOf(state: LogState): ReadonlyMap<number, LastOfProducer> {
  const result = new Map<number, LastOfProducer>()
  for (const producer of state.producers.values()) {
    const lastDataOffset = producer.last?.lastOffset ?? -1
    result.set(producer.producerId, { producerEpoch: producer.epoch, lastDataOffset })
  }
  return result
}

/**
 * Aborted transactions that touch [fromOffset, toOffset). Throws CorruptionError when an index is
 * damaged; the segment then asks to be rebuilt.
 */
export function abortedRangesOf(
  state: LogState,
  fromOffset: number,
  toOffset: number,
): AbortedRange[] {
  const { segments } = state
  const ranges: AbortedRange[] = []
  for (let i = state.segmentIndexOf(fromOffset); i < segments.length; i++) {
    const segment = segments[i]!
    if (segment.aborted === undefined) segment.load()
    if (segment.aborted === undefined) {
      segment.needsRebuild = true
      throw new CorruptionError(segment.stem, 'the transaction index is damaged')
    }
    for (const entry of segment.aborted) {
      if (entry.lastOffset >= fromOffset && entry.firstOffset < toOffset) ranges.push(entry)
      if (entry.lastStableOffset >= toOffset) return ranges
    }
  }
  return ranges
}

/** As far as the records are durable, and what stands beside them covers them. */
export function recoveryPointOf(state: LogState): number {
  const { segments, epochs, syncedOffset } = state
  let point = Math.min(syncedOffset, epochs.unsavedFrom ?? syncedOffset)
  for (const segment of segments) {
    if (segment.isSealed && !segment.areIndexesDurable) {
      point = Math.min(point, segment.baseOffset)
      break
    }
  }
  return point
}
