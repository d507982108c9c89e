/**
 * How a stored batch changes what is known of producers: the same for replicas, starts and repairs.
 */
import { assert } from '../base/assert.ts'
import {
  baseSequenceAt,
  isControlAt,
  isTransactionalAt,
  lastOffsetDeltaAt,
  maxTimestampAt,
  producerEpochAt,
  producerIdAt,
} from './format.ts'
import type { EndedTransaction, ProducerBatch, Producers } from './producers.ts'
import { type AbortedEntry, readMarker } from './transactions.ts'

/** Returns the entry for the aborted-transaction index, when the batch is an abort marker. */
export function replayBatch(
  producers: Producers,
  source: Buffer,
  at: number,
  end: number,
  firstOffset: number,
  nowMs: number,
): AbortedEntry | undefined {
  const producerId = producerIdAt(source, at)
  if (producerId < 0) return undefined
  if (isControlAt(source, at)) {
    const marker = readMarker(source, at, end)
    if (marker === undefined) return undefined
    return abortedBy(producers.replayMarker(marker, firstOffset, nowMs), producers)
  }
  const lastOffsetDelta = lastOffsetDeltaAt(source, at)
  assert(lastOffsetDelta >= 0)
  const batch: ProducerBatch = {
    producerId,
    producerEpoch: producerEpochAt(source, at),
    baseSequence: baseSequenceAt(source, at),
    lastOffsetDelta,
    maxTimestampMs: maxTimestampAt(source, at),
    isTransactional: isTransactionalAt(source, at),
  }
  producers.replay(batch, firstOffset, firstOffset + lastOffsetDelta, nowMs)
  return undefined
}

export function abortedBy(
  ended: EndedTransaction | undefined,
  producers: Producers,
): AbortedEntry | undefined {
  if (ended === undefined || !ended.isAborted) return undefined
  const { producerId, firstOffset, lastOffset } = ended
  const lastStableOffset = producers.firstOpenOffset ?? lastOffset + 1
  return { producerId, firstOffset, lastOffset, lastStableOffset }
}
