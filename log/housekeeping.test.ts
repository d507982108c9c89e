import assert from 'node:assert/strict'
import { SILENT } from '../base/logger.ts'
import { SimClock } from '../base/sim/clock.ts'
import { SimDisk } from '../base/sim/disk.ts'
import { SimRandom } from '../base/sim/random.ts'
import { Scheduler } from '../base/sim/scheduler.ts'
import { DEFAULT_LOG_CONFIG, type LogConfig } from './config.ts'
import { AppendOutcome, PartitionLog } from './partition-log.ts'
import { LogProbe } from './probe.ts'
import { encodeBatch } from './records.ts'

const SEGMENTS = 200
const SYNC_MS = 15
/** A sync of records, of a name and of what is said of gaps, one after the other, and some more. */
const FEW_SYNCS_MS = 6 * SYNC_MS
const SMALL: LogConfig = { ...DEFAULT_LOG_CONFIG, segmentBytes: 200 }

/** A log of many small segments on a disk that takes its time for each sync. */
class SlowBench {
  readonly scheduler = new Scheduler()
  readonly clock = new SimClock(this.scheduler)
  readonly disk: SimDisk
  readonly #outcome = new AppendOutcome()
  log!: PartitionLog

  constructor() {
    const { scheduler } = this
    const latencyUs = () => SYNC_MS * 1000
    this.disk = new SimDisk({ random: new SimRandom(1), scheduler, latencyUs })
  }

  async open(): Promise<void> {
    const { disk, clock } = this
    disk.makeDirectory('data')
    const opening = PartitionLog.open({
      directory: 'data/t-0',
      topic: 't',
      partition: 0,
      config: SMALL,
      recoveryPoint: 0,
      logStartOffset: 0,
      isCleanShutdown: false,
      parts: { disk, clock, logger: SILENT, probe: new LogProbe(), maybe: () => false },
    })
    this.log = await this.scheduler.complete(opening)
    while (this.log.segmentCount() < SEGMENTS) this.append()
    await this.scheduler.complete(this.log.sync())
  }

  append(): void {
    const { log } = this
    const nowMs = this.clock.nowMs()
    const value = Buffer.alloc(100)
    const batch = encodeBatch([{ timestampMs: nowMs, key: null, value }])
    const context = { leaderEpoch: 1, nowMs, origin: 'client' as const, allowsZstd: true }
    log.append(batch, 0, batch.length, context, this.#outcome)
    assert.equal(this.#outcome.error, 0)
    log.write()
  }

  /** Checkpoints, and says so as a store does. */
  async checkpoint(): Promise<void> {
    await this.scheduler.complete(this.log.checkpoint())
    this.log.recoveryPointSaved(this.log.recoveryPoint)
  }

  /** Virtual milliseconds until it resolves. */
  async timeOf(work: () => Promise<unknown>): Promise<number> {
    const startMs = this.scheduler.nowMs
    await this.scheduler.complete(work())
    return this.scheduler.nowMs - startMs
  }

  /** Nobody who waits for a sync of new records notices that `upkeep` is under way. */
  async expectQuickSyncs(upkeep: Promise<void>): Promise<void> {
    const { log, scheduler } = this
    let isUnderWay = true
    const done = upkeep.finally(() => {
      isUnderWay = false
    })
    let count = 0
    while (isUnderWay) {
      await scheduler.runFor(1)
      if (!isUnderWay) break
      this.append()
      const end = log.logEndOffset
      const tookMs = await this.timeOf(() => log.sync())
      assert.ok(tookMs <= FEW_SYNCS_MS, `sync ${count} took ${tookMs} ms`)
      assert.ok(log.syncedOffset >= end)
      count++
    }
    await scheduler.complete(done)
    assert.ok(count > 5, `it was no long upkeep: ${count} syncs`)
  }
}

describe('log/housekeeping', () => {
  let bench: SlowBench

  beforeEach(async () => {
    bench = new SlowBench()
    await bench.open()
  })

  afterEach(async () => {
    await bench.scheduler.complete(bench.log.close())
  })

  it('syncs records while a checkpoint saves many segments', async () => {
    await bench.expectQuickSyncs(bench.log.checkpoint())
    assert.ok(bench.log.recoveryPoint > SEGMENTS)
  })

  it('syncs records while retention drops many segments', async () => {
    await bench.checkpoint()
    const { log, clock } = bench
    log.advanceLogStart(log.syncedOffset)
    await bench.expectQuickSyncs(log.maintain(clock.nowMs(), log.writtenOffset))
    assert.equal(log.closedSegments()[0]!.baseOffset, SEGMENTS - 1)
  })

  it('lets go of a checkpoint for a truncation, and goes on with the next one', async () => {
    const { log, scheduler } = bench
    const checkpoint = log.checkpoint()
    await scheduler.runFor(1)
    const offset = log.logEndOffset - 1
    const tookMs = await bench.timeOf(() => log.truncateTo(offset))
    assert.ok(tookMs < SEGMENTS * SYNC_MS, `${tookMs} ms`)
    await scheduler.complete(checkpoint)
    await scheduler.complete(log.checkpoint())
    assert.equal(log.recoveryPoint, offset)
  })

  it('lets go of retention for a truncation and for the end', async () => {
    await bench.checkpoint()
    const { log, clock, scheduler } = bench
    log.advanceLogStart(log.syncedOffset - 2)
    const first = log.maintain(clock.nowMs(), log.writtenOffset)
    await scheduler.runFor(1)
    const tookMs = await bench.timeOf(() => log.truncateTo(log.logEndOffset - 1))
    assert.ok(tookMs < 40 * SYNC_MS, `${tookMs} ms`)
    await scheduler.complete(first)
    const second = log.maintain(clock.nowMs(), log.writtenOffset)
    await scheduler.runFor(1)
    const closedMs = await bench.timeOf(() => log.close())
    assert.ok(closedMs < 40 * SYNC_MS, `${closedMs} ms`)
    await scheduler.complete(second)
    assert.ok(log.segmentCount() > SEGMENTS / 2)
  })

  it('saves what stands beside many segments in a few rounds of syncs', async () => {
    const tookMs = await bench.timeOf(() => bench.log.checkpoint())
    assert.ok(tookMs < SEGMENTS * SYNC_MS, `${tookMs} ms`)
    assert.equal(bench.log.recoveryPoint, bench.log.syncedOffset)
  })

  it('holds no file when it was abandoned in the middle of a truncation', async () => {
    for (let ms = 1; ms < 12 * SYNC_MS; ms += SYNC_MS) {
      const one = new SlowBench()
      await one.open()
      const cut = one.log.truncateTo(one.log.logEndOffset - 3).catch(() => {})
      await one.scheduler.runFor(ms)
      one.log.abandon()
      await one.scheduler.complete(cut)
      await one.scheduler.runFor(1000)
      assert.deepEqual(one.disk.openPaths(), [], `after ${ms} ms`)
    }
  })
})
