/**
 * Drives one log on the simulated disk through a random history, and compares it with the model:
 * appends of all kinds, syncs, rolls, truncations, retention, compaction, full disks, failed syncs,
 * ends of the process and power losses between any two operations on the disk.
 *
 * Everything follows from the seed.
 */
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../base/clock.ts'
import { StorageError } from '../base/errors.ts'
import { SILENT } from '../base/logger.ts'
import { SimClock } from '../base/sim/clock.ts'
import { SimDisk } from '../base/sim/disk.ts'
import { SimRandom } from '../base/sim/random.ts'
import { Scheduler } from '../base/sim/scheduler.ts'
import { Cleaner } from './cleaner.ts'
import type { Codec } from './compression.ts'
import { DEFAULT_LOG_CONFIG, type LogConfig } from './config.ts'
import { LogShared } from './files.ts'
import { CONTROL_ABORT, CONTROL_COMMIT } from './format.ts'
import { Model, type ModelBatch, type ModelRecord } from './model.ts'
import { AppendOutcome, PartitionLog, ReadPlan } from './partition-log.ts'
import { LogProbe } from './probe.ts'
import { decodeBatches, encodeBatch, type NewRecord } from './records.ts'

const DIRECTORY = 'data/t-0'
const EVERYTHING = Number.MAX_SAFE_INTEGER
const FIRST_MS = 1_700_000_000_000
const CODECS: readonly Codec[] = ['none', 'none', 'none', 'gzip', 'snappy', 'lz4']

/** The process or the machine ends at this operation on the disk, and does nothing more. */
class Ended extends StorageError {
  constructor() {
    super('EIO', DIRECTORY, 'the end at')
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof StorageError && !(error instanceof Ended)
}

interface Sender {
  readonly producerId: number
  epoch: number
  sequence: number
  isTransactional: boolean
}

type Step = readonly [weight: number, run: () => Promise<void> | void]

export class ModelDriver {
  readonly model = new Model()
  readonly #random: SimRandom
  readonly #disk: SimDisk
  readonly #clock: Clock = new SimClock(new Scheduler())
  readonly #probe = new LogProbe()
  readonly #outcome = new AppendOutcome()
  readonly #plan = new ReadPlan()
  readonly #target = Buffer.alloc(2_000_000)
  readonly #senders: Sender[] = []
  readonly #shared: LogShared
  readonly #steps: readonly Step[]
  readonly #isFollower: boolean
  #config: LogConfig
  #log!: PartitionLog
  #epoch = 0
  #nowMs = FIRST_MS
  /** What the store would keep in its checkpoints. */
  #recoveryPoint = 0
  #savedStart = 0
  #firstDirty = 0
  #toldWatermark = 0
  /** What was refused each time the disk was full: one of them may be in the file until it is mended. */
  #ghosts: (readonly ModelBatch[])[] = []
  #values = 0
  #nextProducerId = 100
  /** Operations on the disk until the end; undefined: none is due. */
  #countdown: number | undefined = undefined
  #isPowerLoss = false
  #hasEnded = false
  /** A truncation under way may or may not have happened. */
  #truncatingTo: number | undefined = undefined
  #trace: string[] = []

  constructor(seed: number) {
    this.#random = new SimRandom(seed)
    const random = this.#random
    this.#disk = new SimDisk({ random: random.split('disk'), nowMs: () => this.#nowMs })
    this.#disk.fault = () => this.#atOperation()
    this.#disk.makeDirectory('data')
    const isCompacted = random.chance(0.3)
    this.#isFollower = random.chance(0.25)
    this.#config = {
      ...DEFAULT_LOG_CONFIG,
      segmentBytes: random.pick([300, 1000, 3000, 100_000]),
      indexIntervalBytes: random.pick([0, 100, 400, 4096]),
      segmentIndexBytes: random.pick([48, 400, 10_000]),
      isCompacted,
      isDeleted: !isCompacted || random.chance(0.3),
      retentionBytes: random.chance(0.3) ? random.pick([2000, 10_000]) : -1,
      retentionMs: random.chance(0.3) ? 20_000 : -1,
      deleteRetentionMs: random.pick([0, 50_000]),
      minCleanableDirtyRatio: 0,
      maxMessageBytes: 1_000_000,
      fileDeleteDelayMs: 1000,
      timestampAfterMaxMs: Number.MAX_SAFE_INTEGER,
    }
    this.#shared = new LogShared(this.#disk, this.#probe, {
      openFilesMax: random.pick([2, 10, 1000]),
      producerExpirationMs: EVERYTHING,
      checkpoints: {
        lower: async (_directory, offset) => {
          this.#recoveryPoint = Math.min(this.#recoveryPoint, offset)
          this.#savedStart = Math.min(this.#savedStart, offset)
        },
        restart: async (_directory, offset) => {
          this.#recoveryPoint = this.#savedStart = offset
        },
      },
    })
    this.#steps = this.#stepsOf(isCompacted)
  }

  get trace(): readonly string[] {
    return this.#trace
  }

  #stepsOf(isCompacted: boolean): readonly Step[] {
    const appends: Step[] = this.#isFollower
      ? [[40, () => this.#follow()]]
      : [
          [22, () => this.#appendPlain()],
          [14, () => this.#appendIdempotent()],
          [8, () => this.#appendTransactional()],
          [4, () => this.#endTransaction()],
          [4, () => this.#repeat()],
          [3, () => this.#skipSequence()],
        ]
    return [
      ...appends,
      [8, () => this.#write()],
      [10, () => this.#sync()],
      [6, () => this.#checkpoint()],
      [8, () => this.#compare()],
      [4, () => this.#compareTimes()],
      [3, () => this.#compareTransactions()],
      [2, () => this.#compareEpochs()],
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
    await this.#disk.syncDirectory('')
    await this.#survive(() => this.#open(false))
    const total = this.#steps.reduce((sum, [weight]) => sum + weight, 0)
    for (let i = 0; i < steps; i++) {
      this.#nowMs += this.#random.below(3000)
      let at = this.#random.unit() * total
      const step = this.#steps.find(([weight]) => {
        at -= weight
        return at < 0
      })
      if (this.#random.chance(0.12)) {
        this.#countdown = this.#random.below(this.#random.pick([3, 12, 40]))
        this.#isPowerLoss = this.#random.chance(0.7)
      }
      this.#note(`- ${i}`)
      await this.#survive(async () => {
        await step![1]()
        await settle()
        this.#countdown = undefined
      })
    }
    await this.#survive(() => this.#write())
    await this.#survive(() => this.#compare())
  }

  #note(text: string): void {
    this.#trace.push(text)
    if (this.#trace.length > 400) this.#trace = this.#trace.slice(-200)
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
    if (this.#random.chance(0.2)) this.#countdown = this.#random.below(20)
    await this.#survive(() => this.#afterEnd(this.#isPowerLoss))
  }

  /** For the trace. */
  #files(): string {
    if (!this.#disk.exists(DIRECTORY)) return 'nothing'
    const names = this.#disk.list(DIRECTORY).map(({ name }) => name)
    return names
      .filter((name) => !/index$|sums$/.test(name))
      .map(
        (name) => `${name.replace(/^0+(?=\d)/, '')}:${this.#disk.sizeOf(`${DIRECTORY}/${name}`)}`,
      )
      .join(' ')
  }

  async #open(isClean: boolean): Promise<void> {
    this.#note(`open at ${this.#recoveryPoint}, start ${this.#savedStart}: ${this.#files()}`)
    this.#log = await PartitionLog.open({
      directory: DIRECTORY,
      topic: 't',
      partition: 0,
      config: this.#config,
      recoveryPoint: this.#recoveryPoint,
      logStartOffset: this.#savedStart,
      isCleanShutdown: isClean,
      parts: {
        disk: this.#disk,
        clock: this.#clock,
        logger: SILENT,
        probe: this.#probe,
        maybe: () => false,
        shared: this.#shared,
      },
    })
  }

  async #afterEnd(isPowerLoss: boolean): Promise<void> {
    this.#note(isPowerLoss ? 'POWER LOSS' : 'process end')
    await settle()
    this.#hasEnded = false
    if (isPowerLoss) {
      this.#disk.powerLoss()
      this.model.writtenOffset = this.model.durableOffset
    } else this.#disk.killProcess()
    this.#log?.abandon()
    this.#shared.files.forgetAll()
    await this.#open(false)
    this.#reconcile()
    await this.#compare()
  }

  /** After an end the log is a prefix of what was appended, and nothing that had to last is missing. */
  #reconcile(): void {
    const { model } = this
    const log = this.#log
    this.#note(`opened ${log.logStartOffset}..${log.logEndOffset}`)
    assert.deepEqual(log.damage, [])
    const cut = this.#truncatingTo
    this.#truncatingTo = undefined
    if (cut === -1 && log.logStartOffset === log.logEndOffset) {
      model.clear(log.logEndOffset)
      this.#restoreSenders()
      return
    }
    for (const batch of this.#ghostsInLog()) model.add(batch)
    this.#ghosts = []
    const least = cut === undefined ? model.writtenOffset : Math.min(model.writtenOffset, cut)
    // A log that was cut within a gap ends, for a start, behind its last batch.
    const floor = Math.max(model.endOfBatches(least), Math.min(least, this.#savedStart))
    const isLost = log.logEndOffset < Math.max(floor, 0)
    assert.ok(!isLost || cut === -1, `ends at ${log.logEndOffset}, ${floor} had to last`)
    assert.ok(log.logEndOffset <= model.endOffset, 'no record comes from nowhere')
    assert.ok(model.isBoundary(log.logEndOffset), `it ends between batches: ${model.tail()}`)
    assert.ok(log.logStartOffset <= model.startOffset, 'the start does not jump')
    assert.ok(
      log.logStartOffset >= this.#savedStart,
      'the start does not go back behind its checkpoint',
    )
    if (cut === -1 && model.compactedTo > 0) this.#keepBeginning()
    model.truncate(log.logEndOffset)
    model.startOffset = log.logStartOffset
    model.writtenOffset = model.durableOffset = log.syncedOffset
    assert.equal(log.syncedOffset, log.logEndOffset, 'an open log is durable')
    this.#firstDirty = Math.min(this.#firstDirty, model.endOffset)
    this.#restoreSenders()
  }

  #ghostsInLog(): readonly ModelBatch[] {
    const { logEndOffset } = this.#log
    const { endOffset } = this.model
    if (logEndOffset <= endOffset) return []
    const read = this.#read(endOffset, logEndOffset, 100_000)
    for (const ghosts of this.#ghosts) {
      const batches = ghosts.filter(({ baseOffset, lastOffset }) => {
        return baseOffset >= endOffset && lastOffset < logEndOffset
      })
      if (batches.at(-1)?.lastOffset !== logEndOffset - 1) continue
      const isSame = isDeepStrictEqual(
        read,
        batches.flatMap(({ records }) => records),
      )
      if (isSame) return batches
    }
    return []
  }

  /** Compaction took what later records made needless, and those went when the log was emptied. */
  #keepBeginning(): void {
    const { model } = this
    const { logStartOffset, logEndOffset } = this.#log
    const read = this.#read(logStartOffset, logEndOffset, 100_000)
    assert.equal(model.mismatch(read, logStartOffset, logEndOffset), undefined)
    model.keep(read, logEndOffset)
    this.#senders.length = 0
  }

  #restoreSenders(): void {
    for (const sender of this.#senders) {
      const last = this.model.cached(sender.producerId).at(-1)
      const batches = this.model.batches.filter((b) => b.producerId === sender.producerId)
      sender.epoch = batches.at(-1)?.producerEpoch ?? sender.epoch
      const next = last === undefined ? 0 : last.baseSequence + last.records.length
      sender.sequence = next % 2 ** 31
    }
  }

  #records(count: number, paddingBytes: number): NewRecord[] {
    return Array.from({ length: count }, () => {
      const isTombstone = this.#config.isCompacted && this.#random.chance(0.15)
      const value = `${this.#values++}${'.'.repeat(paddingBytes)}`
      return {
        timestampMs: this.#nowMs - this.#random.below(5000),
        key: Buffer.from(`k${this.#random.below(6)}`),
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
    const compression = this.#random.pick(CODECS)
    const batch = encodeBatch(records, { compression, ...producer })
    const source = Buffer.concat([Buffer.alloc(7), batch])
    this.#appendBytes(source, 'client')
    if (this.#outcome.error === 56) {
      this.#shrink([modelBatch(this.#log.logEndOffset, this.#epoch, records, options)])
    }
    if (this.#outcome.error !== 0 || this.#outcome.isDuplicate) return undefined
    return this.#remember(records, options)
  }

  #appendBytes(source: Buffer, origin: 'client' | 'coordinator'): void {
    const context = { leaderEpoch: this.#epoch, nowMs: this.#nowMs, origin, allowsZstd: true }
    const start = origin === 'client' ? 7 : 0
    const before = this.#log.logEndOffset
    this.#log.append(source, start, source.length, context, this.#outcome)
    assert.ok(this.#outcome.error !== 56 || this.#log.logEndOffset <= before)
    // A large batch is in the page cache at once, with all before it.
    this.model.writtenOffset = Math.max(this.model.writtenOffset, this.#log.writtenOffset)
  }

  /**
   * A write that failed took what was gathered with it, and what was to be appended. All of it may
   * have reached the file.
   */
  #shrink(refused: readonly ModelBatch[] = []): void {
    const end = this.#log.logEndOffset
    const taken = this.model.batches.filter(({ baseOffset }) => baseOffset >= end)
    const behind = taken.at(-1)?.lastOffset ?? -1
    this.#ghosts.push([...taken, ...refused.filter(({ baseOffset }) => baseOffset > behind)])
    if (end === this.model.endOffset) return
    this.model.truncate(end)
    this.#restoreSenders()
  }

  #remember(records: NewRecord[], options: Partial<ModelBatch>): ModelBatch {
    const baseOffset = this.#outcome.firstOffset
    assert.equal(baseOffset, this.model.endOffset, 'offsets follow each other')
    assert.equal(this.#outcome.lastOffset, baseOffset + records.length - 1)
    const batch = modelBatch(baseOffset, this.#epoch, records, options)
    this.model.add(batch)
    this.#ghosts = []
    this.#note(
      `append ${batch.baseOffset}..${batch.lastOffset} e${batch.epoch} p${batch.producerId}`,
    )
    this.model.writtenOffset = Math.max(this.model.writtenOffset, this.#log.writtenOffset)
    return batch
  }

  #appendPlain(): void {
    const isLarge = this.#random.chance(0.05)
    const padding = isLarge ? 35_000 : this.#random.below(80)
    const sent = this.#send(this.#records(isLarge ? 1 : this.#random.between(1, 5), padding), {})
    assert.ok(sent !== undefined || this.#outcome.error === 56, `error ${this.#outcome.error}`)
  }

  #sender(isTransactional: boolean): Sender {
    const fitting = this.#senders.filter((sender) => sender.isTransactional === isTransactional)
    if (fitting.length < 3) {
      const producerId = this.#nextProducerId++
      const sequence = this.#random.chance(0.2) ? 2_147_483_640 : 0
      const sender = { producerId, epoch: 0, sequence, isTransactional }
      this.#senders.push(sender)
      return sender
    }
    return this.#random.pick(fitting)
  }

  #appendIdempotent(isTransactional = false): void {
    const sender = this.#sender(isTransactional)
    const isOpen = this.model.open().has(sender.producerId)
    if (!isOpen && this.#random.chance(0.1) && this.model.cached(sender.producerId).length > 0) {
      sender.epoch++
      sender.sequence = 0
    }
    const records = this.#records(this.#random.between(1, 4), this.#random.below(40))
    const sent = this.#send(records, {
      producerId: sender.producerId,
      producerEpoch: sender.epoch,
      baseSequence: sender.sequence,
      isTransactional,
    })
    if (sent === undefined) {
      assert.equal(this.#outcome.error, 56, `a next sequence is taken: ${this.#outcome.message}`)
      return
    }
    sender.sequence = (sender.sequence + records.length) % 2 ** 31
  }

  #appendTransactional(): void {
    this.#appendIdempotent(true)
  }

  #endTransaction(): void {
    const open = [...this.model.open().keys()]
    if (open.length === 0) return
    const sender = this.#senders.find((one) => one.producerId === open[0])
    if (sender === undefined) return
    const marker = this.#random.pick(['commit', 'abort'] as const)
    const source = markerBatch(sender, marker, this.#nowMs)
    this.#appendBytes(source, 'coordinator')
    const { producerId, epoch: producerEpoch } = sender
    const options = { producerId, producerEpoch, baseSequence: -1, isTransactional: true, marker }
    if (this.#outcome.error === 56) {
      this.#shrink([modelBatch(this.#log.logEndOffset, this.#epoch, [], options)])
      return
    }
    assert.equal(this.#outcome.error, 0)
    const batch = modelBatch(this.#outcome.firstOffset, this.#epoch, [], options)
    this.model.add(batch)
    this.#note(`${marker} ${batch.baseOffset} p${producerId}`)
    this.model.writtenOffset = Math.max(this.model.writtenOffset, this.#log.writtenOffset)
  }

  /** One of the last five again: answered with the offsets of then. */
  #repeat(): void {
    const sender = this.#sender(false)
    const cached = this.model.cached(sender.producerId)
    if (cached.length === 0) return
    const batch = this.#random.pick(cached)
    const records = batch.records.map(({ timestampMs, key, value }) => ({
      timestampMs,
      key: key === null ? null : Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
    }))
    const { producerId, producerEpoch, baseSequence } = batch
    const sent = this.#send(records, { producerId, producerEpoch, baseSequence })
    assert.equal(sent, undefined, `a duplicate of ${batch.baseOffset} is not appended`)
    if (this.#outcome.error === 56) return
    assert.ok(this.#outcome.isDuplicate, `a duplicate is known, not ${this.#outcome.error}`)
    assert.equal(this.#outcome.firstOffset, batch.baseOffset)
    assert.equal(this.#outcome.lastOffset, batch.lastOffset)
  }

  #skipSequence(): void {
    const sender = this.#sender(false)
    if (this.model.cached(sender.producerId).length === 0) return
    const { producerId, epoch } = sender
    const baseSequence = (sender.sequence + 3) % 2 ** 31
    const sent = this.#send(this.#records(1, 0), { producerId, producerEpoch: epoch, baseSequence })
    assert.equal(sent, undefined, 'a gap in the sequence is refused')
    assert.ok(this.#outcome.error === 45 || this.#outcome.error === 56)
  }

  /** Batches of a leader: offsets and epochs are given, and there may be gaps after compaction. */
  #follow(): void {
    const parts: Buffer[] = []
    const batches: ModelBatch[] = []
    let offset = this.model.endOffset
    for (let i = this.#random.between(1, 3); i > 0; i--) {
      if (this.#config.isCompacted && this.#random.chance(0.2)) offset += this.#random.between(1, 9)
      const records = this.#records(this.#random.between(1, 4), this.#random.below(60))
      const batch = modelBatch(offset, this.#epoch, records, {})
      const compression = this.#random.pick(CODECS)
      parts.push(
        encodeBatch(records, { baseOffset: offset, leaderEpoch: this.#epoch, compression }),
      )
      batches.push(batch)
      offset = batch.lastOffset + 1
    }
    const source = Buffer.concat(parts)
    try {
      this.#log.appendAsFollower(source, 0, source.length)
    } catch (error) {
      for (const batch of batches) {
        if (batch.lastOffset < this.#log.logEndOffset) this.model.add(batch)
      }
      if (!isRefusal(error)) throw error
      this.#shrink(batches.filter(({ lastOffset }) => lastOffset >= this.#log.logEndOffset))
      return
    }
    for (const batch of batches) this.model.add(batch)
    this.#ghosts = []
    this.#note(`follow ${batches[0]!.baseOffset}..${offset - 1} e${this.#epoch}`)
    this.model.writtenOffset = Math.max(this.model.writtenOffset, this.#log.writtenOffset)
  }

  #newEpoch(): void {
    this.#epoch++
  }

  #write(): void {
    try {
      this.#log.write()
      this.model.writtenOffset = this.#log.writtenOffset
      assert.equal(this.#log.writtenOffset, this.model.endOffset)
    } catch (error) {
      if (!isRefusal(error)) throw error
      this.#shrink()
    }
  }

  async #sync(): Promise<void> {
    this.#write()
    if (this.#log.isFailed) return
    const synced = await this.#log.sync()
    assert.ok(synced >= this.model.durableOffset, 'syncs go forward')
    assert.equal(synced, this.#log.writtenOffset)
    this.model.durableOffset = synced
    this.#note(`sync ${synced}`)
  }

  async #checkpoint(): Promise<void> {
    await this.#log.checkpoint()
    this.#recoveryPoint = this.#log.recoveryPoint
    this.#log.recoveryPointSaved(this.#recoveryPoint)
    this.#savedStart = this.#log.logStartOffset
    this.#note(`checkpoint ${this.#recoveryPoint} start ${this.#savedStart}`)
    assert.ok(this.#recoveryPoint <= this.model.durableOffset)
  }

  #read(from: number, to: number, limitBytes: number): ModelRecord[] {
    const plan = this.#plan
    const found: ModelRecord[] = []
    for (let at = from; at < to; ) {
      this.#log.locate(at, to, plan)
      assert.equal(plan.error, 0, `locate ${at}`)
      if (plan.segment === undefined) break
      assert.ok(plan.availableBytes >= 1)
      for (;;) {
        const room = Math.max(limitBytes, plan.firstBatchBytes)
        const length = this.#log.copy(plan, to, this.#target, 0, room)
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
        if (plan.nextOffset >= to || this.#random.chance(0.5)) break
      }
      assert.ok(plan.nextOffset > at, `a read at ${at} goes on`)
      at = plan.nextOffset
    }
    return found
  }

  #compare(): void {
    const { model } = this
    const log = this.#log
    assert.equal(log.logEndOffset, model.endOffset)
    assert.equal(log.logStartOffset, model.startOffset)
    const span = log.writtenOffset - model.startOffset
    const from = model.startOffset + (span > 0 ? this.#random.below(span + 1) : 0)
    const to = this.#random.chance(0.7) ? log.writtenOffset : model.baseOf(this.#between(from))
    const limit = this.#random.pick([1, 200, 1000, 100_000])
    const wrong = model.mismatch(this.#read(from, Math.max(from, to), limit), from, to)
    assert.equal(wrong, undefined, `read ${from}..${to}: ${wrong}`)
    log.locate(model.endOffset + 1, EVERYTHING, this.#plan)
    assert.equal(this.#plan.error, 1)
  }

  #between(from: number): number {
    return this.#random.between(from, Math.max(from, this.#log.writtenOffset))
  }

  async #compareTimes(): Promise<void> {
    if (this.model.compactedTo > 0) return
    if (this.model.batches.some(({ marker }) => marker !== undefined)) return // have times too
    const to = this.#log.writtenOffset
    const records = this.model.records(this.model.startOffset, to)
    const timestampMs = this.#nowMs - this.#random.below(60_000)
    const expected = records.find((record) => record.timestampMs >= timestampMs)
    const found = await this.#log.offsetForTimestamp(timestampMs, to)
    assert.equal(found?.offset, expected?.offset, `time ${timestampMs}`)
    assert.equal(found?.timestampMs, expected?.timestampMs)
    if (found !== undefined) assert.equal(found.leaderEpoch, this.model.epochAt(found.offset))
    const youngest = await this.#log.maxTimestamp(to)
    const maxMs = Math.max(...records.map((record) => record.timestampMs))
    const expectedMax = records.find((record) => record.timestampMs === maxMs)
    assert.equal(youngest?.offset, expectedMax?.offset, 'max timestamp')
    assert.equal(youngest?.timestampMs, expectedMax?.timestampMs)
  }

  #compareTransactions(): void {
    if (this.model.compactedTo > 0) return
    const open = [...this.model.open().values()]
    assert.equal(this.#log.firstUnstableOffset, open.length === 0 ? undefined : Math.min(...open))
    const { startOffset } = this.model
    const from = this.#between(startOffset)
    const to = this.#between(from)
    const found = this.#log.abortedTransactions(from, to)
    const texts = found.map(({ producerId, firstOffset }) => `${producerId}@${firstOffset}`)
    assert.deepEqual(texts.sort(), this.model.aborted(from, to))
  }

  #compareEpochs(): void {
    if (this.model.compactedTo > 0 || this.model.startOffset === this.model.endOffset) return
    // Of which epoch a gap is that a leader's compaction left, nobody can say.
    if (this.model.epochAt(this.model.startOffset) < 0) return
    const requested = this.#random.below(this.#epoch + 2)
    assert.deepEqual(this.#log.endOffsetForEpoch(requested), this.model.endOfEpoch(requested))
    const offset = this.#random.between(this.model.startOffset, this.model.endOffset - 1)
    if (this.model.epochAt(offset) >= 0) {
      assert.equal(this.#log.epochForOffset(offset), this.model.epochAt(offset))
    }
  }

  async #truncate(): Promise<void> {
    const { startOffset, endOffset } = this.model
    const least = this.#random.chance(0.6) ? Math.max(startOffset, endOffset - 10) : startOffset
    const offset = this.#random.between(least, endOffset)
    // What compaction has seen is committed, so no leader changes it.
    if (this.#config.isCompacted && offset < this.#toldWatermark) return
    this.#write()
    if (this.#log.isFailed || this.#log.logEndOffset <= offset) return
    const expected = this.model.endOfBatches(this.model.baseOf(offset))
    this.#note(`truncate to ${offset} -> ${expected}`)
    this.#truncatingTo = expected
    await this.#log.truncateTo(offset)
    this.#truncatingTo = undefined
    const end = this.#log.logEndOffset
    assert.ok(end <= offset && end >= expected, `cut at ${end}`)
    assert.ok(this.model.isBoundary(end))
    this.model.truncate(end)
    this.model.startOffset = this.#log.logStartOffset
    this.#firstDirty = Math.min(this.#firstDirty, this.model.endOffset)
    this.#restoreSenders()
    this.#epoch++
  }

  async #truncateFully(): Promise<void> {
    this.#write()
    if (this.#log.isFailed) return
    const offset = this.#random.below(1000)
    this.#note(`truncate fully to ${offset}`)
    this.#truncatingTo = -1
    await this.#log.truncateFullyAndStartAt(offset)
    this.#truncatingTo = undefined
    this.model.clear(offset)
    this.#firstDirty = 0
    this.#toldWatermark = 0
    this.#restoreSenders()
    this.#epoch++
  }

  #advanceStart(): void {
    const offset = this.#random.between(this.model.startOffset, this.#log.syncedOffset)
    this.#log.advanceLogStart(offset)
    this.model.startOffset = Math.max(offset, this.model.startOffset)
    this.#note(`start ${offset}`)
  }

  async #maintain(): Promise<void> {
    this.#write()
    if (this.#log.isFailed) return
    const highWatermark = this.model.durableOffset
    this.#toldWatermark = highWatermark
    // The start may move while the process ends.
    const before = this.model.startOffset
    try {
      await this.#log.maintain(this.#nowMs, highWatermark)
    } finally {
      this.model.startOffset = Math.max(before, this.#log.logStartOffset)
    }
    assert.ok(this.model.startOffset <= highWatermark || this.model.startOffset === before)
    this.model.durableOffset = Math.max(this.model.durableOffset, this.#log.syncedOffset)
    this.#note(`maintain: start ${this.model.startOffset}`)
  }

  async #clean(): Promise<void> {
    await this.#sync()
    await this.#maintain()
    await this.#checkpoint()
    if (this.#log.isFailed) return
    const cleaner = new Cleaner({
      clock: this.#clock,
      checkpoint: {
        firstDirtyOffset: () => this.#firstDirty,
        setFirstDirtyOffset: (_topic, _partition, offset) => {
          this.#firstDirty = offset
        },
      },
    })
    const need = cleaner.need(this.#log, this.#nowMs)
    this.#note(`clean ${need.firstDirtyOffset}..${need.endOffset}`)
    this.model.compactedTo = Math.max(this.model.compactedTo, need.endOffset)
    await cleaner.clean(this.#log, this.#nowMs)
    this.#compare()
  }

  async #closeAndOpen(): Promise<void> {
    if (this.#log.isFailed) return
    this.#write()
    await this.#log.close()
    this.model.durableOffset = this.model.writtenOffset = this.model.endOffset
    this.#recoveryPoint = this.model.endOffset
    this.#savedStart = this.model.startOffset
    this.#note('closed')
    if (this.#random.chance(0.3)) this.#disk.powerLoss()
    await this.#open(true)
    this.#reconcile()
    this.#compare()
  }

  async #end(isPowerLoss: boolean): Promise<void> {
    await this.#afterEnd(isPowerLoss)
  }

  /** The disk is full for a while: nothing is lost, and appends go on by themselves afterwards. */
  async #fillDisk(): Promise<void> {
    this.#note('disk full')
    const { fault } = this.#disk
    this.#disk.fault = (operation) => {
      this.#atOperation()
      return operation === 'write' && this.#random.chance(0.7) ? 'ENOSPC' : undefined
    }
    try {
      for (let i = 0; i < 4; i++) {
        if (this.#isFollower) this.#follow()
        else if (this.#random.chance(0.5)) this.#appendPlain()
        else this.#appendIdempotent()
        if (this.#random.chance(0.5)) this.#write()
        await settle()
      }
    } finally {
      this.#disk.fault = fault
    }
    this.#write()
    assert.equal(this.#log.failure, undefined, 'a full disk passes')
    await settle()
    await this.#sync()
    this.#compare()
  }

  async #failSync(): Promise<void> {
    this.#write()
    if (this.#log.syncedOffset === this.#log.writtenOffset) return
    const { fault } = this.#disk
    this.#disk.fault = (operation) => (operation === 'sync' ? 'EIO' : fault(operation, ''))
    try {
      await assert.rejects(this.#log.sync(), StorageError)
    } finally {
      this.#disk.fault = fault
    }
    assert.ok(this.#log.isFailed)
    if (!this.#isFollower) {
      this.#appendBytes(
        Buffer.concat([Buffer.alloc(7), encodeBatch(this.#records(1, 0))]),
        'client',
      )
      assert.equal(this.#outcome.error, 56, 'a failed log takes nothing')
    }
    this.#note('sync failed')
    // The dirty pages are in doubt now: only what was synced before has to be there.
    this.model.writtenOffset = this.model.durableOffset
    await this.#afterEnd(true)
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

/** Lets promises that wait for the disk go on. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
