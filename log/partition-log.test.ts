import assert from 'node:assert/strict'
import { SILENT } from '../base/logger.ts'
import { SimClock } from '../base/sim/clock.ts'
import { SimDisk } from '../base/sim/disk.ts'
import { SimRandom } from '../base/sim/random.ts'
import { Scheduler } from '../base/sim/scheduler.ts'
import { DEFAULT_LOG_CONFIG, type LogConfig } from './config.ts'
import { LogShared } from './files.ts'
import { AppendOutcome, PartitionLog, ReadPlan } from './partition-log.ts'
import { LogProbe } from './probe.ts'
import { decodeBatches, encodeBatch } from './records.ts'

const SEEDS = 60
const STEPS = 80
const DIRECTORY = 'data/t-0'
const EVERYTHING = Number.MAX_SAFE_INTEGER

/** One log on a simulated disk, and the array that it should be equal to. */
class Bench {
  readonly random: SimRandom
  readonly disk: SimDisk
  readonly clock = new SimClock(new Scheduler())
  readonly probe = new LogProbe()
  readonly config: LogConfig
  readonly outcome = new AppendOutcome()
  log!: PartitionLog
  /** The value of each record, by offset. */
  values: string[] = []
  recoveryPoint = 0
  epoch = 0
  next = 0

  constructor(seed: number, config: Partial<LogConfig> = {}) {
    this.random = new SimRandom(seed)
    this.disk = new SimDisk({ random: this.random.split('disk') })
    this.config = { ...DEFAULT_LOG_CONFIG, segmentBytes: 2048, indexIntervalBytes: 200, ...config }
    this.disk.makeDirectory('data')
  }

  async open(isCleanShutdown = false): Promise<void> {
    await this.disk.syncDirectory('')
    const { disk, clock, probe } = this
    const checkpoints = {
      lower: async () => {},
      saveStart: async () => true,
      restart: async () => {},
    }
    const shared = new LogShared(disk, probe, { checkpoints })
    this.epoch++
    this.log = await PartitionLog.open({
      directory: DIRECTORY,
      topic: 't',
      partition: 0,
      config: this.config,
      recoveryPoint: this.recoveryPoint,
      logStartOffset: 0,
      isCleanShutdown,
      parts: { disk, clock, logger: SILENT, probe, maybe: () => false, shared },
    })
  }

  append(count: number, padding = 0, timestampMs = this.clock.nowMs()): number {
    const records = Array.from({ length: count }, () => ({
      timestampMs,
      key: null,
      value: Buffer.from(`${this.next++}${'.'.repeat(padding)}`),
    }))
    const batch = encodeBatch(records)
    const context = {
      leaderEpoch: this.epoch,
      nowMs: this.clock.nowMs(),
      origin: 'client' as const,
      allowsZstd: true,
    }
    this.log.append(batch, 0, batch.length, context, this.outcome)
    if (this.outcome.error === 0) {
      assert.equal(this.outcome.firstOffset, this.values.length)
      for (const { value } of records) this.values.push(value.toString())
    }
    return this.outcome.error
  }

  async checkpoint(): Promise<void> {
    await this.log.checkpoint()
    this.recoveryPoint = this.log.recoveryPoint
    this.log.recoveryPointSaved(this.recoveryPoint)
  }

  /** What the log holds from an offset on. */
  read(fromOffset: number): { offset: number; value: string }[] {
    const plan = new ReadPlan()
    const target = Buffer.alloc(1_000_000)
    const found: { offset: number; value: string }[] = []
    for (let at = fromOffset; at < this.log.writtenOffset; at = plan.nextOffset) {
      this.log.locate(at, EVERYTHING, plan)
      assert.equal(plan.error, 0)
      const length = this.log.copy(plan, EVERYTHING, target, 0, target.length)
      assert.ok(length > 0, `nothing at ${at}`)
      for (const { offset, value } of decodeBatches(target, 0, length)) {
        if (offset >= at) found.push({ offset, value: value!.toString() })
      }
    }
    return found
  }

  compare(): void {
    const from = this.values.length === 0 ? 0 : this.random.below(this.values.length)
    const expected = this.values
      .slice(from, this.log.writtenOffset)
      .map((value, at) => ({ offset: from + at, value }))
    assert.deepEqual(this.read(from), expected)
  }

  /** After a failure the log is a prefix of the model, and nothing below `least` is missing. */
  async reopen(least: number): Promise<void> {
    await this.open()
    assert.ok(this.log.logEndOffset >= least, `${this.log.logEndOffset} < ${least}`)
    assert.ok(this.log.logEndOffset <= this.values.length)
    this.values.length = this.log.logEndOffset
    this.compare()
  }
}

async function step(bench: Bench): Promise<void> {
  const { random, log } = bench
  const choice = random.below(100)
  if (choice < 50) assert.equal(bench.append(1 + random.below(5), random.below(60)), 0)
  else if (choice < 53) assert.equal(bench.append(1, 40_000), 0)
  else if (choice < 65) log.write()
  else if (choice < 75) {
    log.write()
    await log.sync()
  } else if (choice < 82) await bench.checkpoint()
  else if (choice < 90) {
    log.write()
    bench.compare()
  } else if (choice < 93) {
    const { writtenOffset } = log
    bench.disk.killProcess()
    await bench.reopen(writtenOffset)
  } else if (choice < 97) {
    const { syncedOffset } = log
    bench.disk.powerLoss()
    await bench.reopen(syncedOffset)
  } else {
    await log.close()
    bench.recoveryPoint = bench.values.length
    await bench.open(true)
    assert.equal(bench.log.logEndOffset, bench.values.length)
  }
}

describe('log/partition-log', () => {
  it(`equals an array through ${SEEDS} histories of appends, rolls and crashes`, async () => {
    for (let seed = 0; seed < SEEDS; seed++) {
      const bench = new Bench(seed)
      try {
        await bench.open()
        for (let i = 0; i < STEPS; i++) await step(bench)
        bench.log.write()
        bench.compare()
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
      }
    }
  }).timeout(60_000)

  it('answers a duplicate of a producer with its offsets, also after a crash', async () => {
    const bench = new Bench(1)
    await bench.open()
    const send = (baseSequence: number) => {
      const record = { timestampMs: bench.clock.nowMs(), key: null, value: Buffer.from('v') }
      const batch = encodeBatch([record], { producerId: 7, producerEpoch: 0, baseSequence })
      const context = {
        leaderEpoch: bench.epoch,
        nowMs: bench.clock.nowMs(),
        origin: 'client' as const,
        allowsZstd: true,
      }
      bench.log.append(batch, 0, batch.length, context, bench.outcome)
      return [bench.outcome.error, bench.outcome.firstOffset, bench.outcome.isDuplicate]
    }
    assert.deepEqual(send(0), [0, 0, false])
    assert.deepEqual(send(1), [0, 1, false])
    assert.deepEqual(send(0), [0, 0, true])
    assert.equal(send(5)[0], 45)
    bench.log.write()
    bench.disk.killProcess()
    await bench.open()
    assert.deepEqual(send(1), [0, 1, true])
    assert.deepEqual(send(2), [0, 2, false])
  })

  it('refuses appends on a full disk, and goes on when there is space', async () => {
    const bench = new Bench(2)
    await bench.open()
    assert.equal(bench.append(3), 0)
    bench.log.write()
    bench.disk.fault = (operation) => (operation === 'write' ? 'ENOSPC' : undefined)
    assert.equal(bench.append(2), 0)
    assert.throws(() => bench.log.write(), { code: 'ENOSPC' })
    bench.values.length = bench.log.logEndOffset
    assert.equal(bench.log.logEndOffset, 3)
    bench.compare()
    bench.disk.fault = () => undefined
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(bench.append(2), 0)
    bench.log.write()
    assert.equal(bench.log.writtenOffset, 5)
    bench.compare()
  })

  it('leaves a repair that is refused to the next append', async () => {
    const bench = new Bench(4)
    await bench.open()
    assert.equal(bench.append(3), 0)
    bench.log.write()
    let repairs = 0
    bench.disk.fault = (operation) => {
      if (operation === 'write') return 'ENOSPC'
      return operation === 'truncate' && ++repairs < 1000 ? 'EMFILE' : undefined
    }
    assert.equal(bench.append(2), 0)
    assert.throws(() => bench.log.write(), { code: 'ENOSPC' })
    bench.values.length = bench.log.logEndOffset
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(repairs, 1)
    assert.equal(bench.append(1), 56)
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(repairs, 2)
    bench.disk.fault = () => undefined
    assert.equal(bench.append(1), 56)
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(bench.append(1), 0)
    bench.log.write()
    bench.compare()
  })

  it('takes no write after a failed sync', async () => {
    const bench = new Bench(3)
    await bench.open()
    bench.append(1)
    bench.log.write()
    bench.disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined)
    await assert.rejects(bench.log.sync(), { code: 'EIO' })
    bench.disk.fault = () => undefined
    assert.equal(bench.append(1), 56)
  })

  it('never serves a flipped byte', async () => {
    for (let seed = 0; seed < 60; seed++) {
      const bench = new Bench(seed)
      await bench.open()
      for (let i = 0; i < 30; i++) bench.append(2, 20)
      bench.log.write()
      await bench.log.sync()
      const path = `${DIRECTORY}/00000000000000000000.log`
      bench.disk.flip(path, bench.random.below(bench.disk.sizeOf(path)))
      const plan = new ReadPlan()
      const target = Buffer.alloc(100_000)
      for (let at = 0; at < bench.values.length; at++) {
        bench.log.locate(at, EVERYTHING, plan)
        if (plan.error !== 0) continue
        let length = 0
        try {
          length = bench.log.copy(plan, EVERYTHING, target, 0, target.length)
        } catch {
          continue // said, not served
        }
        for (const { offset, value } of decodeBatches(target, 0, length)) {
          assert.equal(value!.toString(), bench.values[offset], `seed ${seed}`)
        }
      }
    }
  })

  it('says how much it cut off its end, be it unfinished or damaged', async () => {
    const bench = new Bench(5)
    await bench.open()
    for (let i = 0; i < 3; i++) bench.append(2, 20)
    bench.log.write()
    await bench.log.sync()
    bench.disk.killProcess()
    await bench.reopen(6)
    assert.equal(bench.log.cutBytes, 0)
    const path = `${DIRECTORY}/00000000000000000000.log`
    bench.disk.flip(path, bench.disk.sizeOf(path) - 1)
    bench.disk.killProcess()
    await bench.reopen(4)
    assert.equal(bench.log.logEndOffset, 4)
    assert.ok(bench.log.cutBytes > 0)
  })

  it('removes old segments by size, and starts where the rest begins', async () => {
    const bench = new Bench(4, { retentionBytes: 5000 })
    await bench.open()
    for (let i = 0; i < 100; i++) bench.append(1, 100)
    bench.log.write()
    await bench.log.sync()
    await bench.checkpoint()
    const before = bench.log.segmentCount()
    await bench.log.maintain(bench.clock.nowMs(), bench.log.logEndOffset)
    assert.ok(bench.log.segmentCount() < before)
    assert.ok(bench.log.logStartOffset > 0)
    const plan = new ReadPlan()
    bench.log.locate(0, EVERYTHING, plan)
    assert.equal(plan.error, 1)
    assert.equal(bench.read(bench.log.logStartOffset)[0]!.offset, bench.log.logStartOffset)
  })

  it('keeps what is appended while retention removes all that was there', async () => {
    const bench = new Bench(7, { retentionMs: 1000 })
    await bench.open()
    for (let i = 0; i < 100; i++) bench.append(1, 100)
    bench.log.write()
    await bench.log.sync()
    await bench.checkpoint()
    assert.ok(bench.log.segmentCount() > 2)
    const expired = bench.log.logEndOffset
    const nowMs = bench.clock.nowMs() + 5000
    let isDone = false
    const maintained = bench.log.maintain(nowMs, expired).then(() => {
      isDone = true
    })
    // Whenever something else has its turn meanwhile.
    for (let turns = 0; !isDone && turns < 10_000; turns++) {
      if (bench.log.logStartOffset > 0 && bench.log.logEndOffset === expired) {
        bench.append(1, 0, nowMs)
        bench.log.write()
      }
      await null
    }
    await maintained
    assert.equal(bench.log.logEndOffset, expired + 1, 'one was appended meanwhile')
    assert.ok(bench.log.logStartOffset <= expired)
    assert.equal(bench.read(expired)[0]!.value, bench.values[expired])
  })
})
