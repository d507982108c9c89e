import assert from 'node:assert/strict'
import { SILENT } from '../base/logger.ts'
import { SIM_EPOCH_MS, SimClock } from '../base/sim/clock.ts'
import { SimDisk } from '../base/sim/disk.ts'
import { SimRandom } from '../base/sim/random.ts'
import { Scheduler } from '../base/sim/scheduler.ts'
import { DEFAULT_LOG_CONFIG } from './config.ts'
import { AppendOutcome, type PartitionLog } from './partition-log.ts'
import { encodeBatch } from './records.ts'
import { LogStore } from './store.ts'

const LENGTH_AT = 8
const HEADER_BYTES = 61

/** Counts what is read of segments. */
class CountingDisk extends SimDisk {
  readBytes = 0
  readonly readPaths = new Set<string>()
  /** Before the reader of a segment goes on. */
  onRead: (() => Promise<void>) | undefined

  override open(...call: Parameters<SimDisk['open']>): ReturnType<SimDisk['open']> {
    const file = super.open(...call)
    const read = file.readAsync.bind(file)
    file.readAsync = async (...range) => {
      const count = await read(...range)
      if (!file.path.endsWith('.log')) return count
      this.readBytes += count
      this.readPaths.add(file.path)
      await this.onRead?.()
      return count
    }
    return file
  }
}

/** A store with closed segments of some batches each, read through in the background. */
class Bench {
  readonly scheduler = new Scheduler()
  readonly disk: CountingDisk
  readonly found: number[] = []
  bytesPerSecond = 1_000_000
  intervalMs = 10_000
  store!: LogStore
  log!: PartitionLog

  constructor() {
    this.disk = new CountingDisk({ random: new SimRandom(1), scheduler: this.scheduler })
  }

  async open({ segmentBytes = 1000, value = 'value', batches = 40 } = {}): Promise<void> {
    const { disk, scheduler } = this
    const clock = new SimClock(scheduler)
    const random = new SimRandom(2)
    const parts = { disk, clock, random, logger: SILENT, maybe: () => false }
    this.store = await scheduler.complete(LogStore.open({ directories: ['/data'], parts }))
    const config = { ...DEFAULT_LOG_CONFIG, segmentBytes }
    const place = { topic: 't', partition: 0, topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' }
    this.log = await scheduler.complete(this.store.create({ ...place, config }))
    for (let i = 0; i < batches; i++) this.append(`${value} ${i}`)
    this.store.startMaintenance((log) => log.syncedOffset, {
      bytesPerSecond: () => this.bytesPerSecond,
      intervalMs: () => this.intervalMs,
      onDamage: (_log, _error, offset) => this.found.push(offset),
    })
  }

  append(value: string): void {
    const nowMs = SIM_EPOCH_MS
    const batch = encodeBatch([{ timestampMs: nowMs, key: null, value: Buffer.from(value) }])
    const context = { leaderEpoch: 0, nowMs, origin: 'client' as const, allowsZstd: true }
    this.log.append(batch, 0, batch.length, context, new AppendOutcome())
    this.log.write()
  }

  segments(): string[] {
    const files = this.disk.list('/data/t-0').filter(({ name }) => name.endsWith('.log'))
    return files.map(({ name }) => `/data/t-0/${name}`)
  }

  /** The segments that are read in so much time. */
  async readIn(durationMs: number): Promise<string[]> {
    this.disk.readPaths.clear()
    await this.scheduler.runFor(durationMs)
    return [...this.disk.readPaths].sort()
  }

  /** Where batch `index` of the first segment begins. */
  position(index: number): number {
    const content = this.disk.readFile(FIRST)
    let position = 0
    for (let i = 0; i < index; i++) position += 12 + content.readInt32BE(position + LENGTH_AT)
    return position
  }
}

const FIRST = '/data/t-0/00000000000000000000.log'

describe('scrubber', () => {
  it('finds a flipped bit in the length, base offset, leader epoch, CRC and records of a batch that nobody reads', async () => {
    for (const at of [LENGTH_AT + 3, 0, 7, 15, 17, 22, HEADER_BYTES + 2]) {
      const bench = new Bench()
      await bench.open()
      assert.ok(bench.log.segmentCount() > 2)
      await bench.scheduler.runFor(15_000)
      assert.deepEqual(bench.found, [], 'an intact log')
      bench.disk.flip(FIRST, bench.position(1) + at, 5)
      await bench.scheduler.runFor(15_000)
      assert.equal(bench.found[0], 1, `byte ${at}`)
      assert.ok(bench.store.probe.corruptReads > 0)
      await bench.scheduler.complete(bench.store.close())
    }
  })

  it('finds a flipped bit in the active segment, of a log that has no other', async () => {
    const bench = new Bench()
    await bench.open({ segmentBytes: 1_000_000 })
    assert.equal(bench.log.segmentCount(), 1)
    await bench.scheduler.runFor(15_000)
    assert.deepEqual(bench.found, [], 'an intact log')
    bench.disk.flip(FIRST, bench.position(7) + HEADER_BYTES + 2, 5)
    await bench.scheduler.runFor(25_000)
    assert.equal(bench.found[0], 7)
    await bench.scheduler.complete(bench.store.close())
  })

  it('finds nothing in an active segment that is cut, and written anew, while it is read', async () => {
    const bench = new Bench()
    await bench.open({ segmentBytes: 3_000_000, value: 'x'.repeat(1000), batches: 600 })
    let cuts = 0
    bench.disk.onRead = async () => {
      // Before the place to which was read so far, so that the next piece begins within a batch.
      await bench.log.truncateTo(150)
      for (let i = 0; i < 450; i++) bench.append(`${'y'.repeat(900 + 7 * cuts)} ${i}`)
      cuts++
    }
    await bench.scheduler.runFor(60_000)
    assert.ok(cuts > 3, `${cuts} cuts`)
    assert.deepEqual(bench.found, [])
    bench.disk.onRead = undefined
    await bench.scheduler.complete(bench.store.close())
  })

  it('finds that the end of a closed segment is missing', async () => {
    const bench = new Bench()
    await bench.open()
    const file = bench.disk.open(FIRST, 'write')
    await bench.scheduler.complete(file.truncate(bench.position(3)))
    file.close()
    await bench.scheduler.runFor(15_000)
    assert.equal(bench.found[0], 3)
    await bench.scheduler.complete(bench.store.close())
  })

  it('reads little more than the segments hold', async () => {
    const bench = new Bench()
    bench.bytesPerSecond = 100_000_000
    await bench.open({ segmentBytes: 3_000_000, value: 'x'.repeat(4000), batches: 1000 })
    const allBytes = bench.log.sizeBytes()
    assert.ok(bench.log.segmentCount() === 2 && allBytes > 3_900_000)
    bench.disk.readBytes = 0
    await bench.scheduler.runFor(15_000)
    const { readBytes } = bench.disk
    assert.ok(readBytes >= 0.99 * allBytes, 'one round at least')
    assert.ok(readBytes < 1.2 * allBytes, `${readBytes} bytes for ${allBytes}`)
    await bench.scheduler.complete(bench.store.close())
  })

  it('reads a segment once after a start, once after it was closed, and then once in an interval', async () => {
    const bench = new Bench()
    bench.intervalMs = 600_000
    const value = 'x'.repeat(4000)
    await bench.open({ segmentBytes: 50_000, value, batches: 60 })
    const all = bench.segments()
    assert.ok(all.length > 4)
    assert.deepEqual(await bench.readIn(60_000), all)
    assert.deepEqual(await bench.readIn(500_000), [], 'nothing has changed')
    for (let i = 0; i < 30; i++) bench.append(`${value} ${i}`)
    const fresh = bench.segments().slice(all.length - 1)
    assert.ok(fresh.length > 2)
    assert.deepEqual(await bench.readIn(30_000), fresh, 'what is new, and what was closed')
    assert.deepEqual(await bench.readIn(60_000), all.slice(0, -1), 'the interval is over')
    await bench.scheduler.complete(bench.store.close())
  })

  it('reads what is damaged again and again, until it is mended', async () => {
    const bench = new Bench()
    bench.intervalMs = 600_000
    await bench.open()
    bench.disk.flip(FIRST, bench.position(1) + 17, 5)
    await bench.scheduler.runFor(60_000)
    assert.ok(bench.found.length >= 3 && bench.found.every((offset) => offset === 1))
    bench.disk.flip(FIRST, bench.position(1) + 17, 5)
    bench.found.length = 0
    await bench.scheduler.runFor(60_000)
    assert.deepEqual(bench.found, [])
    await bench.scheduler.complete(bench.store.close())
  })

  it('reads nothing at 0 bytes per second', async () => {
    const bench = new Bench()
    await bench.open()
    bench.bytesPerSecond = 0
    bench.disk.flip(FIRST, bench.position(1) + 17, 5)
    await bench.scheduler.runFor(60_000)
    assert.deepEqual(bench.found, [])
    await bench.scheduler.complete(bench.store.close())
  })
})
