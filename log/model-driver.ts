/**
 * Drives one log on the simulated disk through a random history, and compares it with the model:
 * appends of all kinds, syncs, rolls, truncations, retention, compaction, full disks, failed syncs,
 * ends of the process and power losses between any two operations on the disk.
 *
 * Everything follows from the seed.
 */
import assert from 'node:assert/strict'
import { StorageError } from '../base/errors.ts'
import { Cleaner } from './cleaner.ts'
import { ModelAppends } from './model-appends.ts'
import { Ended, ModelBench } from './model-bench.ts'
import { ModelComparisons } from './model-comparisons.ts'
import { encodeBatch } from './records.ts'

type Step = readonly [weight: number, run: () => Promise<void> | void]

export class ModelDriver {
  readonly #bench: ModelBench
  readonly #comparisons: ModelComparisons
  readonly #appends: ModelAppends
  readonly #steps: readonly Step[]
  /** Operations on the disk until the end; undefined: none is due. */
  #countdown: number | undefined = undefined
  #isPowerLoss = false
  #hasEnded = false
  /** A truncation under way may or may not have happened. */
  #truncatingTo: number | undefined = undefined

  constructor(seed: number) {
    const bench = new ModelBench(seed)
    bench.disk.fault = () => this.#atOperation()
    this.#bench = bench
    this.#comparisons = new ModelComparisons(bench)
    this.#appends = new ModelAppends(bench, this.#comparisons)
    this.#steps = this.#stepsOf(bench.config.isCompacted)
  }

  get trace(): readonly string[] {
    return this.#bench.trace
  }

  #stepsOf(isCompacted: boolean): readonly Step[] {
    const appends: Step[] = this.#bench.isFollower
      ? [[40, () => this.#appends.follow()]]
      : [
          [22, () => this.#appends.appendPlain()],
          [14, () => this.#appends.appendIdempotent()],
          [8, () => this.#appends.appendTransactional()],
          [4, () => this.#appends.endTransaction()],
          [4, () => this.#appends.repeat()],
          [3, () => this.#appends.skipSequence()],
        ]
    return [
      ...appends,
      [8, () => this.#appends.write()],
      [10, () => this.#sync()],
      [6, () => this.#checkpoint()],
      [8, () => this.#comparisons.compare()],
      [4, () => this.#comparisons.compareTimes()],
      [3, () => this.#comparisons.compareTransactions()],
      [2, () => this.#comparisons.compareEpochs()],
      [3, () => this.#truncate()],
      [0.3, () => this.#truncateFully()],
      [2, () => this.#advanceStart()],
      [4, () => this.#maintain()],
      [isCompacted ? 6 : 0, () => this.#clean()],
      [2, () => this.#closeAndOpen()],
      [2, () => this.#end(true)],
      [2, () => this.#end(false)],
      [1, () => this.#fillDisk()],
      [0.5, () => this.#failSync()],
      [3, () => this.#newEpoch()],
    ]
  }

  async run(steps: number): Promise<void> {
    await this.#bench.disk.syncDirectory('')
    await this.#survive(() => this.#bench.open(false))
    const total = this.#steps.reduce((sum, [weight]) => sum + weight, 0)
    for (let i = 0; i < steps; i++) {
      this.#bench.nowMs += this.#bench.random.below(3000)
      let at = this.#bench.random.unit() * total
      const step = this.#steps.find(([weight]) => {
        at -= weight
        return at < 0
      })
      if (this.#bench.random.chance(0.12)) {
        this.#countdown = this.#bench.random.below(this.#bench.random.pick([3, 12, 40]))
        this.#isPowerLoss = this.#bench.random.chance(0.7)
      }
      this.#bench.note(`- ${i}`)
      await this.#survive(async () => {
        await step![1]()
        await settle()
        this.#countdown = undefined
      })
    }
    await this.#survive(() => this.#appends.write())
    await this.#survive(() => this.#comparisons.compare())
  }

  #atOperation(): undefined {
    if (this.#hasEnded) throw new Ended()
    if (this.#countdown === undefined || this.#countdown-- > 0) return undefined
    this.#countdown = undefined
    this.#hasEnded = true
    throw new Ended()
  }

  /** Runs what the end of the process may interrupt, as often as it does. */
  async #survive(run: () => Promise<void> | void): Promise<void> {
    try {
      await run()
    } catch (error) {
      // What a process finds wrong after its end is nobody's concern.
      if (!this.#hasEnded) throw error
    }
    if (!this.#hasEnded) return
    if (this.#bench.random.chance(0.2)) this.#countdown = this.#bench.random.below(20)
    await this.#survive(() => this.#afterEnd(this.#isPowerLoss))
  }

  async #afterEnd(isPowerLoss: boolean): Promise<void> {
    this.#bench.note(isPowerLoss ? 'POWER LOSS' : 'process end')
    await settle()
    this.#hasEnded = false
    if (isPowerLoss) {
      this.#bench.disk.powerLoss()
      this.#bench.model.writtenOffset = this.#bench.model.durableOffset
    } else this.#bench.disk.killProcess()
    this.#bench.log?.abandon()
    this.#bench.shared.files.forgetAll()
    await this.#bench.open(false)
    this.#reconcile()
    await this.#comparisons.compare()
  }

  /**
   * After an end the log is a prefix of what was appended, and nothing that had to last is missing.
   */
  #reconcile(): void {
    const { model } = this.#bench
    const log = this.#bench.log
    this.#bench.note(`opened ${log.logStartOffset}..${log.logEndOffset}`)
    assert.deepEqual(log.damage, [])
    const cut = this.#truncatingTo
    this.#truncatingTo = undefined
    if (cut === -1 && log.logStartOffset === log.logEndOffset) {
      model.clear(log.logEndOffset)
      this.#appends.restoreSenders()
      return
    }
    for (const batch of this.#appends.ghostsInLog()) model.add(batch)
    this.#appends.forgetGhosts()
    const least = cut === undefined ? model.writtenOffset : Math.min(model.writtenOffset, cut)
    // A log that was cut within a gap ends, for a start, behind its last batch.
    const floor = Math.max(model.endOfBatches(least), Math.min(least, this.#bench.savedStart))
    const isLost = log.logEndOffset < Math.max(floor, 0)
    assert.ok(!isLost || cut === -1, `ends at ${log.logEndOffset}, ${floor} had to last`)
    assert.ok(log.logEndOffset <= model.endOffset, 'no record comes from nowhere')
    assert.ok(model.isBoundary(log.logEndOffset), `it ends between batches: ${model.tail()}`)
    assert.ok(log.logStartOffset <= model.startOffset, 'the start does not jump')
    assert.ok(
      log.logStartOffset >= this.#bench.savedStart,
      'the start does not go back behind its checkpoint',
    )
    if (cut === -1 && model.compactedTo > 0) this.#keepBeginning()
    model.truncate(log.logEndOffset)
    model.startOffset = log.logStartOffset
    model.writtenOffset = model.durableOffset = log.syncedOffset
    assert.equal(log.syncedOffset, log.logEndOffset, 'an open log is durable')
    this.#bench.firstDirty = Math.min(this.#bench.firstDirty, model.endOffset)
    this.#appends.restoreSenders()
  }

  /** Compaction took what later records made needless, and those went when the log was emptied. */
  #keepBeginning(): void {
    const { model } = this.#bench
    const { logStartOffset, logEndOffset } = this.#bench.log
    const read = this.#comparisons.read(logStartOffset, logEndOffset, 100_000)
    assert.equal(model.mismatch(read, logStartOffset, logEndOffset), undefined)
    model.keep(read, logEndOffset)
    this.#appends.forgetSenders()
  }

  #newEpoch(): void {
    this.#bench.epoch++
  }

  async #sync(): Promise<void> {
    this.#appends.write()
    if (this.#bench.log.isFailed) return
    const synced = await this.#bench.log.sync()
    assert.ok(synced >= this.#bench.model.durableOffset, 'syncs go forward')
    assert.equal(synced, this.#bench.log.writtenOffset)
    this.#bench.model.durableOffset = synced
    this.#bench.note(`sync ${synced}`)
  }

  async #checkpoint(): Promise<void> {
    await this.#bench.log.checkpoint()
    this.#bench.recoveryPoint = this.#bench.log.recoveryPoint
    this.#bench.log.recoveryPointSaved(this.#bench.recoveryPoint)
    this.#bench.savedStart = this.#bench.log.logStartOffset
    this.#bench.note(`checkpoint ${this.#bench.recoveryPoint} start ${this.#bench.savedStart}`)
    assert.ok(this.#bench.recoveryPoint <= this.#bench.model.durableOffset)
  }

  async #truncate(): Promise<void> {
    const { startOffset, endOffset } = this.#bench.model
    const least = this.#bench.random.chance(0.6)
      ? Math.max(startOffset, endOffset - 10)
      : startOffset
    const offset = this.#bench.random.between(least, endOffset)
    // What compaction has seen is committed, so no leader changes it.
    if (this.#bench.config.isCompacted && offset < this.#bench.toldWatermark) return
    this.#appends.write()
    if (this.#bench.log.isFailed || this.#bench.log.logEndOffset <= offset) return
    const expected = this.#bench.model.endOfBatches(this.#bench.model.baseOf(offset))
    this.#bench.note(`truncate to ${offset} -> ${expected}`)
    this.#truncatingTo = expected
    await this.#bench.log.truncateTo(offset)
    this.#truncatingTo = undefined
    const end = this.#bench.log.logEndOffset
    assert.ok(end <= offset && end >= expected, `cut at ${end}`)
    assert.ok(this.#bench.model.isBoundary(end))
    this.#bench.model.truncate(end)
    this.#bench.model.startOffset = this.#bench.log.logStartOffset
    this.#bench.firstDirty = Math.min(this.#bench.firstDirty, this.#bench.model.endOffset)
    this.#appends.restoreSenders()
    this.#bench.epoch++
  }

  async #truncateFully(): Promise<void> {
    this.#appends.write()
    if (this.#bench.log.isFailed) return
    const offset = this.#bench.random.below(1000)
    this.#bench.note(`truncate fully to ${offset}`)
    this.#truncatingTo = -1
    await this.#bench.log.truncateFullyAndStartAt(offset)
    this.#truncatingTo = undefined
    this.#bench.model.clear(offset)
    this.#bench.firstDirty = 0
    this.#bench.toldWatermark = 0
    this.#appends.restoreSenders()
    this.#bench.epoch++
  }

  async #advanceStart(): Promise<void> {
    const offset = this.#bench.random.between(
      this.#bench.model.startOffset,
      this.#bench.log.syncedOffset,
    )
    this.#bench.log.advanceLogStart(offset)
    this.#bench.model.startOffset = Math.max(offset, this.#bench.model.startOffset)
    this.#bench.note(`start ${offset}`)
    const { log, random } = this.#bench
    if (random.chance(0.5)) await log.saveLogStart()
    assert.ok(log.savedLogStart <= this.#bench.savedStart, 'what is said to be saved is saved')
  }

  async #maintain(): Promise<void> {
    this.#appends.write()
    if (this.#bench.log.isFailed) return
    const highWatermark = this.#bench.model.durableOffset
    this.#bench.toldWatermark = highWatermark
    // The start may move while the process ends.
    const before = this.#bench.model.startOffset
    try {
      await this.#bench.log.maintain(this.#bench.nowMs, highWatermark)
    } finally {
      this.#bench.model.startOffset = Math.max(before, this.#bench.log.logStartOffset)
    }
    assert.ok(
      this.#bench.model.startOffset <= highWatermark || this.#bench.model.startOffset === before,
    )
    this.#bench.model.durableOffset = Math.max(
      this.#bench.model.durableOffset,
      this.#bench.log.syncedOffset,
    )
    this.#bench.note(`maintain: start ${this.#bench.model.startOffset}`)
  }

  async #clean(): Promise<void> {
    await this.#sync()
    await this.#maintain()
    await this.#checkpoint()
    if (this.#bench.log.isFailed) return
    const cleaner = new Cleaner({
      clock: this.#bench.clock,
      checkpoint: {
        firstDirtyOffset: () => this.#bench.firstDirty,
        setFirstDirtyOffset: (_topic, _partition, offset) => {
          this.#bench.firstDirty = offset
        },
      },
    })
    const need = cleaner.need(this.#bench.log, this.#bench.nowMs)
    this.#bench.note(`clean ${need.firstDirtyOffset}..${need.endOffset}`)
    this.#bench.model.compactedTo = Math.max(this.#bench.model.compactedTo, need.endOffset)
    await cleaner.clean(this.#bench.log, this.#bench.nowMs)
    this.#comparisons.compare()
  }

  async #closeAndOpen(): Promise<void> {
    if (this.#bench.log.isFailed) return
    this.#appends.write()
    await this.#bench.log.close()
    this.#bench.model.durableOffset = this.#bench.model.writtenOffset = this.#bench.model.endOffset
    this.#bench.recoveryPoint = this.#bench.model.endOffset
    this.#bench.savedStart = this.#bench.model.startOffset
    this.#bench.note('closed')
    if (this.#bench.random.chance(0.3)) this.#bench.disk.powerLoss()
    await this.#bench.open(true)
    this.#reconcile()
    this.#comparisons.compare()
  }

  async #end(isPowerLoss: boolean): Promise<void> {
    await this.#afterEnd(isPowerLoss)
  }

  /** The disk is full for a while: nothing is lost, and appends go on by themselves afterwards. */
  async #fillDisk(): Promise<void> {
    this.#bench.note('disk full')
    const { fault } = this.#bench.disk
    this.#bench.disk.fault = (operation) => {
      this.#atOperation()
      return operation === 'write' && this.#bench.random.chance(0.7) ? 'ENOSPC' : undefined
    }
    try {
      for (let i = 0; i < 4; i++) {
        if (this.#bench.isFollower) this.#appends.follow()
        else if (this.#bench.random.chance(0.5)) this.#appends.appendPlain()
        else this.#appends.appendIdempotent()
        if (this.#bench.random.chance(0.5)) this.#appends.write()
        await settle()
      }
    } finally {
      this.#bench.disk.fault = fault
    }
    this.#appends.write()
    assert.equal(this.#bench.log.failure, undefined, 'a full disk passes')
    await settle()
    await this.#sync()
    this.#comparisons.compare()
  }

  async #failSync(): Promise<void> {
    this.#appends.write()
    if (this.#bench.log.syncedOffset === this.#bench.log.writtenOffset) return
    const { fault } = this.#bench.disk
    this.#bench.disk.fault = (operation) => (operation === 'sync' ? 'EIO' : fault(operation, ''))
    try {
      await assert.rejects(this.#bench.log.sync(), StorageError)
    } finally {
      this.#bench.disk.fault = fault
    }
    assert.ok(this.#bench.log.isFailed)
    if (!this.#bench.isFollower) {
      this.#appends.appendBytes(
        Buffer.concat([Buffer.alloc(7), encodeBatch(this.#appends.records(1, 0))]),
        'client',
      )
      assert.equal(this.#bench.outcome.error, 56, 'a failed log takes nothing')
    }
    this.#bench.note('sync failed')
    // The dirty pages are in doubt now: only what was synced before has to be there.
    this.#bench.model.writtenOffset = this.#bench.model.durableOffset
    await this.#afterEnd(true)
  }
}

/** Lets promises that wait for the disk go on. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
