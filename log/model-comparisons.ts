/** What a log answers, compared with what the model says. */
import assert from 'node:assert/strict'
import type { ModelRecord } from './model.ts'
import { EVERYTHING, type ModelBench } from './model-bench.ts'
import { ReadPlan } from './partition-log.ts'
import { decodeBatches } from './records.ts'

export class ModelComparisons {
  readonly #bench: ModelBench
  readonly #plan = new ReadPlan()
  readonly #target = Buffer.alloc(2_000_000)

  constructor(bench: ModelBench) {
    this.#bench = bench
  }

  read(from: number, to: number, limitBytes: number): ModelRecord[] {
    const plan = this.#plan
    const found: ModelRecord[] = []
    for (let at = from; at < to; ) {
      this.#bench.log.locate(at, to, plan)
      assert.equal(plan.error, 0, `locate ${at}`)
      if (plan.segment === undefined) break
      assert.ok(plan.availableBytes >= 1)
      for (;;) {
        const room = Math.max(limitBytes, plan.firstBatchBytes)
        const length = this.#bench.log.copy(plan, to, this.#target, 0, room)
        if (length === 0) break
        for (const { offset, timestampMs, key, value } of decodeBatches(this.#target, 0, length)) {
          if (offset < from || offset >= to) continue
          found.push({
            offset,
            timestampMs,
            key: key?.toString() ?? null,
            value: value?.toString() ?? null,
          })
        }
        if (plan.nextOffset >= to || this.#bench.random.chance(0.5)) break
      }
      assert.ok(plan.nextOffset > at, `a read at ${at} goes on`)
      at = plan.nextOffset
    }
    return found
  }

  compare(): void {
    const { model } = this.#bench
    const log = this.#bench.log
    assert.equal(log.logEndOffset, model.endOffset)
    assert.equal(log.logStartOffset, model.startOffset)
    const span = log.writtenOffset - model.startOffset
    const from = model.startOffset + (span > 0 ? this.#bench.random.below(span + 1) : 0)
    const to = this.#bench.random.chance(0.7)
      ? log.writtenOffset
      : model.baseOf(this.#between(from))
    const limit = this.#bench.random.pick([1, 200, 1000, 100_000])
    const wrong = model.mismatch(this.read(from, Math.max(from, to), limit), from, to)
    assert.equal(wrong, undefined, `read ${from}..${to}: ${wrong}`)
    log.locate(model.endOffset + 1, EVERYTHING, this.#plan)
    assert.equal(this.#plan.error, 1)
  }

  #between(from: number): number {
    return this.#bench.random.between(from, Math.max(from, this.#bench.log.writtenOffset))
  }

  async compareTimes(): Promise<void> {
    if (this.#bench.model.compactedTo > 0) return
    // Markers have times too.
    if (this.#bench.model.batches.some(({ marker }) => marker !== undefined)) return
    const to = this.#bench.log.writtenOffset
    const records = this.#bench.model.records(this.#bench.model.startOffset, to)
    const timestampMs = this.#bench.nowMs - this.#bench.random.below(60_000)
    const expected = records.find((record) => record.timestampMs >= timestampMs)
    const found = await this.#bench.log.offsetForTimestamp(timestampMs, to)
    assert.equal(found?.offset, expected?.offset, `time ${timestampMs}`)
    assert.equal(found?.timestampMs, expected?.timestampMs)
    if (found !== undefined)
      assert.equal(found.leaderEpoch, this.#bench.model.epochAt(found.offset))
    const youngest = await this.#bench.log.maxTimestamp(to)
    const maxMs = Math.max(...records.map((record) => record.timestampMs))
    const expectedMax = records.find((record) => record.timestampMs === maxMs)
    assert.equal(youngest?.offset, expectedMax?.offset, 'max timestamp')
    assert.equal(youngest?.timestampMs, expectedMax?.timestampMs)
  }

  compareTransactions(): void {
    if (this.#bench.model.compactedTo > 0) return
    const open = [...this.#bench.model.open().values()]
    assert.equal(
      this.#bench.log.firstUnstableOffset,
      open.length === 0 ? undefined : Math.min(...open),
    )
    const { startOffset } = this.#bench.model
    const from = this.#between(startOffset)
    const to = this.#between(from)
    const found = this.#bench.log.abortedTransactions(from, to)
    const texts = found.map(({ producerId, firstOffset }) => `${producerId}@${firstOffset}`)
    assert.deepEqual(texts.sort(), this.#bench.model.aborted(from, to))
  }

  compareEpochs(): void {
    if (
      this.#bench.model.compactedTo > 0 ||
      this.#bench.model.startOffset === this.#bench.model.endOffset
    )
      return
    // Of which epoch a gap is that a leader's compaction left, nobody can say.
    if (this.#bench.model.epochAt(this.#bench.model.startOffset) < 0) return
    const requested = this.#bench.random.below(this.#bench.epoch + 2)
    assert.deepEqual(
      this.#bench.log.endOffsetForEpoch(requested),
      this.#bench.model.endOfEpoch(requested),
    )
    const offset = this.#bench.random.between(
      this.#bench.model.startOffset,
      this.#bench.model.endOffset - 1,
    )
    if (this.#bench.model.epochAt(offset) >= 0) {
      assert.equal(this.#bench.log.epochForOffset(offset), this.#bench.model.epochAt(offset))
    }
  }
}
