/**
 * What one log knows of its producers: the last five batches of each (KIP-98, KIP-360), its epoch,
 * and its open transaction. Made from the batches alone: replaying the log gives the same state,
 * and a snapshot file only saves time.
 *
 * Invariant: a batch that was appended once is recognised while it is among the last five of its
 * producer; sequences of one producer and epoch have no gap.
 */
import { assert } from '../base/assert.ts'
import {
  INVALID_PRODUCER_EPOCH,
  INVALID_TXN_STATE,
  NONE,
  OUT_OF_ORDER_SEQUENCE_NUMBER,
  TRANSACTION_COORDINATOR_FENCED,
} from './errors.ts'

export const CACHED_BATCHES = 5
const SEQUENCE_MAX = 2_147_483_647
const NO_SEQUENCE = -1

export interface CachedBatch {
  lastSequence: number
  lastOffset: number
  offsetDelta: number
  timestampMs: number
}

export class Producer {
  readonly producerId: number
  epoch = -1
  coordinatorEpoch = -1
  /** As Kafka keeps it: the largest timestamp of its last batch. */
  lastTimestampMs = -1
  /** When this process last heard of it. A producer that writes old timestamps is not forgotten. */
  seenMs: number
  /** First offset of its open transaction; -1 when there is none. */
  transactionStart = -1
  /** Oldest first, at most five. */
  readonly batches: CachedBatch[] = []

  constructor(producerId: number, seenMs: number) {
    this.producerId = producerId
    this.seenMs = seenMs
  }

  get last(): CachedBatch | undefined {
    return this.batches[this.batches.length - 1]
  }

  get lastSequence(): number {
    return this.last?.lastSequence ?? NO_SEQUENCE
  }
}

/** The transaction that a marker ended. */
export interface EndedTransaction {
  readonly producerId: number
  readonly firstOffset: number
  /** Offset of the marker. */
  readonly lastOffset: number
  readonly isAborted: boolean
}

/** One data batch, as the checks and the replay see it. Reused by the log. */
export interface ProducerBatch {
  producerId: number
  producerEpoch: number
  baseSequence: number
  lastOffsetDelta: number
  maxTimestampMs: number
  isTransactional: boolean
}

export function advanceSequence(sequence: number, by: number): number {
  return sequence > SEQUENCE_MAX - by ? by - (SEQUENCE_MAX - sequence) - 1 : sequence + by
}

function retreatSequence(sequence: number, by: number): number {
  return sequence < by ? SEQUENCE_MAX - (by - sequence) + 1 : sequence - by
}

export class Producers {
  readonly #byId = new Map<number, Producer>()
  /** Open transactions in the order of their first offsets. */
  readonly #open = new Map<number, Producer>()
  /** Ended ones whose marker may lie above the watermark, in the order of their markers. */
  #undecided: EndedTransaction[] = []

  get size(): number {
    return this.#byId.size
  }

  get(producerId: number): Producer | undefined {
    return this.#byId.get(producerId)
  }

  values(): Iterable<Producer> {
    return this.#byId.values()
  }

  /** First offset of the oldest open transaction. */
  get firstOpenOffset(): number | undefined {
    for (const producer of this.#open.values()) return producer.transactionStart
    return undefined
  }

  /** A transaction whose marker is not below the watermark still counts as open for readers. */
  firstUndecidedOffset(highWatermark: number): number | undefined {
    let decided = 0
    while (
      decided < this.#undecided.length &&
      this.#undecided[decided]!.lastOffset < highWatermark
    ) {
      decided++
    }
    if (decided > 0) this.#undecided = this.#undecided.slice(decided)
    let first = this.firstOpenOffset
    for (const { firstOffset } of this.#undecided) {
      if (first === undefined || firstOffset < first) first = firstOffset
    }
    return first
  }

  /** The cached batch with these sequences: this one was appended before. */
  findDuplicate(batch: ProducerBatch): CachedBatch | undefined {
    const producer = this.#byId.get(batch.producerId)
    if (producer === undefined || producer.epoch !== batch.producerEpoch) return undefined
    const lastSequence = advanceSequence(batch.baseSequence, batch.lastOffsetDelta)
    for (const cached of producer.batches) {
      if (cached.lastSequence !== lastSequence) continue
      const firstSequence = retreatSequence(cached.lastSequence, cached.offsetDelta)
      if (firstSequence === batch.baseSequence) return cached
    }
    return undefined
  }

  /** May this batch follow? Kafka error code. Sequences are the client's matter only. */
  check(batch: ProducerBatch, isClient: boolean): number {
    const producer = this.#byId.get(batch.producerId)
    if (producer === undefined) return NONE // after retention took what was known of it
    if (batch.producerEpoch < producer.epoch) return INVALID_PRODUCER_EPOCH
    if (isClient && producer.epoch !== -1) {
      if (batch.producerEpoch !== producer.epoch) {
        if (batch.baseSequence !== 0) return OUT_OF_ORDER_SEQUENCE_NUMBER
      } else {
        const expected = advanceSequence(producer.lastSequence, 1)
        if (batch.baseSequence !== expected) return OUT_OF_ORDER_SEQUENCE_NUMBER
      }
    }
    // A new epoch may begin only when the transaction of the old one has its marker.
    if (producer.transactionStart >= 0 && !batch.isTransactional) return INVALID_TXN_STATE
    return NONE
  }

  checkMarker(producerId: number, producerEpoch: number, coordinatorEpoch: number): number {
    const producer = this.#byId.get(producerId)
    if (producer === undefined) return NONE
    if (producerEpoch < producer.epoch) return INVALID_PRODUCER_EPOCH
    if (coordinatorEpoch < producer.coordinatorEpoch) return TRANSACTION_COORDINATOR_FENCED
    return NONE
  }

  /** A data batch is in the log. No checks: the log is right. */
  replay(batch: ProducerBatch, firstOffset: number, lastOffset: number, nowMs: number): void {
    assert(batch.producerId >= 0 && lastOffset >= firstOffset)
    const producer = this.#enter(batch.producerId, batch.producerEpoch, nowMs)
    if (batch.baseSequence >= 0) {
      const { batches } = producer
      const entry: CachedBatch =
        batches.length === CACHED_BATCHES
          ? batches.shift()!
          : { lastSequence: 0, lastOffset: 0, offsetDelta: 0, timestampMs: 0 }
      entry.lastSequence = advanceSequence(batch.baseSequence, batch.lastOffsetDelta)
      entry.lastOffset = lastOffset
      entry.offsetDelta = lastOffset - firstOffset
      entry.timestampMs = batch.maxTimestampMs
      batches.push(entry)
    }
    producer.lastTimestampMs = batch.maxTimestampMs
    if (batch.isTransactional && producer.transactionStart < 0) {
      producer.transactionStart = firstOffset
      this.#open.set(batch.producerId, producer)
    }
  }

  /** A commit or abort marker is in the log. Undefined when no transaction was open. */
  replayMarker(
    marker: {
      producerId: number
      producerEpoch: number
      coordinatorEpoch: number
      timestampMs: number
      isAbort: boolean
    },
    offset: number,
    nowMs: number,
  ): EndedTransaction | undefined {
    const { producerId } = marker
    const producer = this.#enter(producerId, marker.producerEpoch, nowMs)
    producer.coordinatorEpoch = marker.coordinatorEpoch
    producer.lastTimestampMs = marker.timestampMs
    if (producer.transactionStart < 0) return undefined
    const firstOffset = producer.transactionStart
    producer.transactionStart = -1
    this.#open.delete(producerId)
    const ended = { producerId, firstOffset, lastOffset: offset, isAborted: marker.isAbort }
    this.#undecided.push(ended)
    assert(firstOffset < offset, 'a transaction begins before its marker')
    return ended
  }

  /** Forgets those not heard of for so long, unless a transaction is open. Returns how many. */
  expire(nowMs: number, expirationMs: number): number {
    let expired = 0
    for (const producer of this.#byId.values()) {
      if (producer.transactionStart >= 0) continue
      const lastMs = Math.max(producer.seenMs, producer.lastTimestampMs)
      if (nowMs - lastMs < expirationMs) continue
      this.#byId.delete(producer.producerId)
      expired++
    }
    return expired
  }

  clear(): void {
    this.#byId.clear()
    this.#open.clear()
    this.#undecided = []
  }

  /**
   * From a snapshot: offsets rise with each producer's batches, transactions are entered in order
   * by `order`.
   */
  restore(producer: Producer): void {
    assert(!this.#byId.has(producer.producerId), 'a snapshot names a producer once')
    this.#byId.set(producer.producerId, producer)
  }

  /** After all `restore`. */
  orderTransactions(): void {
    const open = [...this.#byId.values()].filter((producer) => producer.transactionStart >= 0)
    open.sort((a, b) => a.transactionStart - b.transactionStart)
    this.#open.clear()
    for (const producer of open) this.#open.set(producer.producerId, producer)
  }

  #enter(producerId: number, epoch: number, nowMs: number): Producer {
    let producer = this.#byId.get(producerId)
    if (producer === undefined) {
      producer = new Producer(producerId, nowMs)
      this.#byId.set(producerId, producer)
    }
    if (producer.epoch !== epoch) {
      producer.epoch = epoch
      producer.batches.length = 0
    }
    producer.seenMs = nowMs
    return producer
  }
}
