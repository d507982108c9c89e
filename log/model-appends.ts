/**
 * All kinds of appends to a log, and what the model makes of each: plain batches, idempotent and
 * transactional producers, markers, repetitions, a leader's batches. Refusals too: what a full disk
 * refused may be in the file all the same, until the log has mended it.
 */
import assert from 'node:assert/strict'
import type { Codec } from './compression.ts'
import { CONTROL_ABORT, CONTROL_COMMIT } from './format.ts'
import type { ModelBatch, ModelRecord } from './model.ts'
import { isRefusal, type ModelBench } from './model-bench.ts'
import type { ModelComparisons } from './model-comparisons.ts'
import { encodeBatch, type NewRecord } from './records.ts'

const CODECS: readonly Codec[] = ['none', 'none', 'none', 'gzip', 'snappy', 'lz4']

interface Sender {
  readonly producerId: number
  epoch: number
  sequence: number
  isTransactional: boolean
}

export class ModelAppends {
  readonly #bench: ModelBench
  readonly #comparisons: ModelComparisons
  readonly #senders: Sender[] = []
  /**
   * What was refused each time the disk was full: one of them may be in the file until it is
   * mended.
   */
  #ghosts: (readonly ModelBatch[])[] = []
  #values = 0
  #nextProducerId = 100

  constructor(bench: ModelBench, comparisons: ModelComparisons) {
    this.#bench = bench
    this.#comparisons = comparisons
  }

  /** The log is open again: what is not in it by now will not be. */
  forgetGhosts(): void {
    this.#ghosts = []
  }

  forgetSenders(): void {
    this.#senders.length = 0
  }

  records(count: number, paddingBytes: number): NewRecord[] {
    return Array.from({ length: count }, () => {
      const isTombstone = this.#bench.config.isCompacted && this.#bench.random.chance(0.15)
      const value = `${this.#values++}${'.'.repeat(paddingBytes)}`
      return {
        timestampMs: this.#bench.nowMs - this.#bench.random.below(5000),
        key: Buffer.from(`k${this.#bench.random.below(6)}`),
        value: isTombstone ? null : Buffer.from(value),
      }
    })
  }

  #send(records: NewRecord[], options: Partial<ModelBatch>): ModelBatch | undefined {
    const isPlain = options.producerId === undefined
    const producer = isPlain
      ? {}
      : {
          producerId: options.producerId!,
          producerEpoch: options.producerEpoch!,
          baseSequence: options.baseSequence!,
          isTransactional: options.isTransactional ?? false,
        }
    const compression = this.#bench.random.pick(CODECS)
    const batch = encodeBatch(records, { compression, ...producer })
    const source = Buffer.concat([Buffer.alloc(7), batch])
    this.appendBytes(source, 'client')
    if (this.#bench.outcome.error === 56) {
      this.#shrink([modelBatch(this.#bench.log.logEndOffset, this.#bench.epoch, records, options)])
    }
    if (this.#bench.outcome.error !== 0 || this.#bench.outcome.isDuplicate) return undefined
    return this.#remember(records, options)
  }

  appendBytes(source: Buffer, origin: 'client' | 'coordinator'): void {
    const context = {
      leaderEpoch: this.#bench.epoch,
      nowMs: this.#bench.nowMs,
      origin,
      allowsZstd: true,
    }
    const start = origin === 'client' ? 7 : 0
    const before = this.#bench.log.logEndOffset
    this.#bench.log.append(source, start, source.length, context, this.#bench.outcome)
    assert.ok(this.#bench.outcome.error !== 56 || this.#bench.log.logEndOffset <= before)
    // A large batch is in the page cache at once, with all before it.
    this.#bench.model.writtenOffset = Math.max(
      this.#bench.model.writtenOffset,
      this.#bench.log.writtenOffset,
    )
  }

  /**
   * A write that failed took what was gathered with it, and what was to be appended. All of it may
   * have reached the file.
   */
  #shrink(refused: readonly ModelBatch[] = []): void {
    const end = this.#bench.log.logEndOffset
    const taken = this.#bench.model.batches.filter(({ baseOffset }) => baseOffset >= end)
    const behind = taken.at(-1)?.lastOffset ?? -1
    this.#ghosts.push([...taken, ...refused.filter(({ baseOffset }) => baseOffset > behind)])
    if (end === this.#bench.model.endOffset) return
    this.#bench.model.truncate(end)
    this.restoreSenders()
  }

  #remember(records: NewRecord[], options: Partial<ModelBatch>): ModelBatch {
    const baseOffset = this.#bench.outcome.firstOffset
    assert.equal(baseOffset, this.#bench.model.endOffset, 'offsets follow each other')
    assert.equal(this.#bench.outcome.lastOffset, baseOffset + records.length - 1)
    const batch = modelBatch(baseOffset, this.#bench.epoch, records, options)
    this.#bench.model.add(batch)
    this.#ghosts = []
    this.#bench.note(
      `append ${batch.baseOffset}..${batch.lastOffset} e${batch.epoch} p${batch.producerId}`,
    )
    this.#bench.model.writtenOffset = Math.max(
      this.#bench.model.writtenOffset,
      this.#bench.log.writtenOffset,
    )
    return batch
  }

  appendPlain(): void {
    const isLarge = this.#bench.random.chance(0.05)
    const padding = isLarge ? 35_000 : this.#bench.random.below(80)
    const sent = this.#send(
      this.records(isLarge ? 1 : this.#bench.random.between(1, 5), padding),
      {},
    )
    assert.ok(
      sent !== undefined || this.#bench.outcome.error === 56,
      `error ${this.#bench.outcome.error}`,
    )
  }

  #sender(isTransactional: boolean): Sender {
    const fitting = this.#senders.filter((sender) => sender.isTransactional === isTransactional)
    if (fitting.length < 3) {
      const producerId = this.#nextProducerId++
      const sequence = this.#bench.random.chance(0.2) ? 2_147_483_640 : 0
      const sender = { producerId, epoch: 0, sequence, isTransactional }
      this.#senders.push(sender)
      return sender
    }
    return this.#bench.random.pick(fitting)
  }

  appendIdempotent(isTransactional = false): void {
    const sender = this.#sender(isTransactional)
    const isOpen = this.#bench.model.open().has(sender.producerId)
    if (
      !isOpen &&
      this.#bench.random.chance(0.1) &&
      this.#bench.model.cached(sender.producerId).length > 0
    ) {
      sender.epoch++
      sender.sequence = 0
    }
    const records = this.records(this.#bench.random.between(1, 4), this.#bench.random.below(40))
    const sent = this.#send(records, {
      producerId: sender.producerId,
      producerEpoch: sender.epoch,
      baseSequence: sender.sequence,
      isTransactional,
    })
    if (sent === undefined) {
      assert.equal(
        this.#bench.outcome.error,
        56,
        `a next sequence is taken: ${this.#bench.outcome.message}`,
      )
      return
    }
    sender.sequence = (sender.sequence + records.length) % 2 ** 31
  }

  appendTransactional(): void {
    this.appendIdempotent(true)
  }

  endTransaction(): void {
    const open = [...this.#bench.model.open().keys()]
    if (open.length === 0) return
    const sender = this.#senders.find((one) => one.producerId === open[0])
    if (sender === undefined) return
    const marker = this.#bench.random.pick(['commit', 'abort'] as const)
    const source = markerBatch(sender, marker, this.#bench.nowMs)
    this.appendBytes(source, 'coordinator')
    const { producerId, epoch: producerEpoch } = sender
    const options = { producerId, producerEpoch, baseSequence: -1, isTransactional: true, marker }
    if (this.#bench.outcome.error === 56) {
      this.#shrink([modelBatch(this.#bench.log.logEndOffset, this.#bench.epoch, [], options)])
      return
    }
    assert.equal(this.#bench.outcome.error, 0)
    const batch = modelBatch(this.#bench.outcome.firstOffset, this.#bench.epoch, [], options)
    this.#bench.model.add(batch)
    this.#bench.note(`${marker} ${batch.baseOffset} p${producerId}`)
    this.#bench.model.writtenOffset = Math.max(
      this.#bench.model.writtenOffset,
      this.#bench.log.writtenOffset,
    )
  }

  /** One of the last five again: answered with the offsets of then. */
  repeat(): void {
    const sender = this.#sender(false)
    const cached = this.#bench.model.cached(sender.producerId)
    if (cached.length === 0) return
    const batch = this.#bench.random.pick(cached)
    const records = batch.records.map(({ timestampMs, key, value }) => ({
      timestampMs,
      key: key === null ? null : Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
    }))
    const { producerId, producerEpoch, baseSequence } = batch
    const sent = this.#send(records, { producerId, producerEpoch, baseSequence })
    assert.equal(sent, undefined, `a duplicate of ${batch.baseOffset} is not appended`)
    if (this.#bench.outcome.error === 56) return
    assert.ok(
      this.#bench.outcome.isDuplicate,
      `a duplicate is known, not ${this.#bench.outcome.error}`,
    )
    assert.equal(this.#bench.outcome.firstOffset, batch.baseOffset)
    assert.equal(this.#bench.outcome.lastOffset, batch.lastOffset)
  }

  skipSequence(): void {
    const sender = this.#sender(false)
    if (this.#bench.model.cached(sender.producerId).length === 0) return
    const { producerId, epoch } = sender
    const baseSequence = (sender.sequence + 3) % 2 ** 31
    const sent = this.#send(this.records(1, 0), { producerId, producerEpoch: epoch, baseSequence })
    assert.equal(sent, undefined, 'a gap in the sequence is refused')
    assert.ok(this.#bench.outcome.error === 45 || this.#bench.outcome.error === 56)
  }

  /** Batches of a leader: offsets and epochs are given, and there may be gaps after compaction. */
  follow(): void {
    const parts: Buffer[] = []
    const batches: ModelBatch[] = []
    let offset = this.#bench.model.endOffset
    for (let i = this.#bench.random.between(1, 3); i > 0; i--) {
      if (this.#bench.config.isCompacted && this.#bench.random.chance(0.2))
        offset += this.#bench.random.between(1, 9)
      const records = this.records(this.#bench.random.between(1, 4), this.#bench.random.below(60))
      const batch = modelBatch(offset, this.#bench.epoch, records, {})
      const compression = this.#bench.random.pick(CODECS)
      parts.push(
        encodeBatch(records, { baseOffset: offset, leaderEpoch: this.#bench.epoch, compression }),
      )
      batches.push(batch)
      offset = batch.lastOffset + 1
    }
    const source = Buffer.concat(parts)
    try {
      this.#bench.log.appendAsFollower(source, 0, source.length)
    } catch (error) {
      for (const batch of batches) {
        if (batch.lastOffset < this.#bench.log.logEndOffset) this.#bench.model.add(batch)
      }
      if (!isRefusal(error)) throw error
      this.#shrink(batches.filter(({ lastOffset }) => lastOffset >= this.#bench.log.logEndOffset))
      return
    }
    for (const batch of batches) this.#bench.model.add(batch)
    this.#ghosts = []
    this.#bench.note(`follow ${batches[0]!.baseOffset}..${offset - 1} e${this.#bench.epoch}`)
    this.#bench.model.writtenOffset = Math.max(
      this.#bench.model.writtenOffset,
      this.#bench.log.writtenOffset,
    )
  }

  write(): void {
    try {
      this.#bench.log.write()
      this.#bench.model.writtenOffset = this.#bench.log.writtenOffset
      assert.equal(this.#bench.log.writtenOffset, this.#bench.model.endOffset)
    } catch (error) {
      if (!isRefusal(error)) throw error
      this.#shrink()
    }
  }

  restoreSenders(): void {
    for (const sender of this.#senders) {
      const last = this.#bench.model.cached(sender.producerId).at(-1)
      const batches = this.#bench.model.batches.filter((b) => b.producerId === sender.producerId)
      sender.epoch = batches.at(-1)?.producerEpoch ?? sender.epoch
      const next = last === undefined ? 0 : last.baseSequence + last.records.length
      sender.sequence = next % 2 ** 31
    }
  }

  ghostsInLog(): readonly ModelBatch[] {
    const { logEndOffset } = this.#bench.log
    const { endOffset } = this.#bench.model
    if (logEndOffset <= endOffset) return []
    const read = this.#comparisons.read(endOffset, logEndOffset, 100_000)
    for (const ghosts of this.#ghosts) {
      const batches = ghosts.filter(({ baseOffset, lastOffset }) => {
        return baseOffset >= endOffset && lastOffset < logEndOffset
      })
      if (batches.at(-1)?.lastOffset !== logEndOffset - 1) continue
      const records = batches.flatMap((batch) => batch.records)
      if (areSame(read, records)) return batches
    }
    return []
  }
}

function modelBatch(
  baseOffset: number,
  epoch: number,
  records: readonly NewRecord[],
  options: Partial<ModelBatch>,
): ModelBatch {
  return {
    baseOffset,
    lastOffset: baseOffset + Math.max(1, records.length) - 1,
    epoch,
    records: records.map(({ timestampMs, key, value }, i) => ({
      offset: baseOffset + i,
      timestampMs,
      key: key === null ? null : Buffer.from(key).toString(),
      value: value === null ? null : Buffer.from(value).toString(),
    })),
    producerId: options.producerId ?? -1,
    producerEpoch: options.producerEpoch ?? -1,
    baseSequence: options.baseSequence ?? -1,
    isTransactional: options.isTransactional ?? false,
    marker: options.marker,
  }
}

function markerBatch(sender: Sender, marker: 'commit' | 'abort', nowMs: number): Buffer {
  const key = Buffer.alloc(4)
  key.writeInt16BE(marker === 'abort' ? CONTROL_ABORT : CONTROL_COMMIT, 2)
  return encodeBatch([{ timestampMs: nowMs, key, value: Buffer.alloc(6) }], {
    producerId: sender.producerId,
    producerEpoch: sender.epoch,
    isTransactional: true,
    isControl: true,
  })
}

function areSame(read: readonly ModelRecord[], expected: readonly ModelRecord[]): boolean {
  return JSON.stringify(read) === JSON.stringify(expected)
}
