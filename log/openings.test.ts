import assert from 'node:assert/strict'
import type { StorageCode } from '../base/errors.ts'
import { SILENT } from '../base/logger.ts'
import { SIM_EPOCH_MS, SimClock } from '../base/sim/clock.ts'
import { type DiskOperation, SimDisk } from '../base/sim/disk.ts'
import { SimRandom } from '../base/sim/random.ts'
import { Scheduler } from '../base/sim/scheduler.ts'
import { DEFAULT_LOG_CONFIG } from './config.ts'
import { AppendOutcome, type PartitionLog, ReadPlan } from './partition-log.ts'
import { decodeBatches, encodeBatch } from './records.ts'
import { LogStore } from './store.ts'

const ROOT = '/data'
const DIRECTORY = `${ROOT}/t-0`
const CONFIG = { ...DEFAULT_LOG_CONFIG, segmentBytes: 600, indexIntervalBytes: 100 }
const RECORDS = 40
const EVERYTHING = Number.MAX_SAFE_INTEGER

/** A node's logs after kill -9, on a disk that fails as the test says. */
class Bench {
  readonly scheduler = new Scheduler()
  readonly random: SimRandom
  readonly disk: SimDisk
  readonly opened: PartitionLog[] = []
  store!: LogStore
  #life = 0

  constructor(seed: number) {
    this.random = new SimRandom(seed)
    const { scheduler } = this
    this.disk = new SimDisk({ random: this.random.split('disk'), scheduler })
  }

  async start(): Promise<void> {
    const current = ++this.#life
    const life = { run: (act: () => void) => (current === this.#life ? act() : undefined) }
    const clock = new SimClock(this.scheduler, life)
    const { disk, random } = this
    const parts = { disk, clock, random, logger: SILENT, maybe: () => false }
    this.store = await this.complete(LogStore.open({ directories: [ROOT], parts }))
    this.store.onOpened((log) => this.opened.push(log))
    await this.complete(this.store.openLogs(() => CONFIG))
    this.store.startMaintenance((log) => log.syncedOffset)
  }

  complete<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.complete(promise)
  }

  async fill(): Promise<void> {
    await this.start()
    const options = { topic: 't', partition: 0, topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' }
    await this.complete(this.store.create({ ...options, config: CONFIG }))
    for (let i = 0; i < RECORDS; i++) this.append(`v${i}`, i)
    await this.complete(this.log.sync())
  }

  append(value: string, sequence: number): number {
    const nowMs = Math.floor(SIM_EPOCH_MS + this.scheduler.nowMs)
    const record = { timestampMs: nowMs, key: null, value: Buffer.from(value) }
    const producer = { producerId: 7, producerEpoch: 0, baseSequence: sequence }
    const batch = encodeBatch([record], producer)
    const context = { leaderEpoch: 0, nowMs, origin: 'client' as const, allowsZstd: true }
    const outcome = new AppendOutcome()
    this.log.append(batch, 0, batch.length, context, outcome)
    if (outcome.error === 0) this.log.write()
    return outcome.error
  }

  get log(): PartitionLog {
    const log = this.store.get('t', 0)
    assert.ok(log !== undefined, 'the log is open')
    return log
  }

  values(): string[] {
    const plan = new ReadPlan()
    const target = Buffer.alloc(100_000)
    const found: string[] = []
    for (let at = 0; at < this.log.writtenOffset; at = plan.nextOffset) {
      this.log.locate(at, EVERYTHING, plan)
      assert.equal(plan.error, 0)
      const length = this.log.copy(plan, EVERYTHING, target, 0, target.length)
      for (const { value } of decodeBatches(target, 0, length)) found.push(String(value))
    }
    return found
  }

  /** Fails calls on the files of the log. */
  failing(code: StorageCode, which: (operation: DiskOperation, path: string) => boolean): void {
    this.disk.fault = (operation, path) => {
      return path.startsWith(DIRECTORY) && which(operation, path) ? code : undefined
    }
  }

  heal(): void {
    this.disk.fault = () => undefined
  }
}

const ALL = Array.from({ length: RECORDS }, (_, i) => `v${i}`)

describe('log/openings', () => {
  it('opens a log on a full disk: what stands beside the records is made when there is room', async () => {
    for (let seed = 0; seed < 10; seed++) {
      const bench = new Bench(seed)
      await bench.fill()
      bench.disk.killProcess()
      bench.disk.quotaBytes = 1 // nothing can grow, whatever is removed
      await bench.start()
      assert.deepEqual(bench.store.failedLogs(), [], `seed ${seed}`)
      assert.deepEqual(bench.values(), ALL)
      bench.disk.quotaBytes = 2 ** 40
      await bench.scheduler.runFor(600_000)
      const { disk } = bench
      const names = disk.list(DIRECTORY).map(({ name }) => name)
      const closed = names.filter((name) => name.endsWith('.log')).slice(0, -1)
      assert.ok(closed.length > 2)
      for (const name of closed) {
        const sums = name.replace('.log', '.sums')
        assert.ok(names.includes(sums) && disk.sizeOf(`${DIRECTORY}/${sums}`) > 0, sums)
      }
      await bench.complete(bench.store.close())
    }
  })

  it('tries again what failed for want of a descriptor, and tells the owner', async () => {
    const bench = new Bench(1)
    await bench.fill()
    bench.disk.killProcess()
    bench.failing('EMFILE', (operation) => operation === 'open')
    await bench.start()
    assert.equal(bench.store.failedLogs().length, 1)
    assert.ok(bench.store.isAwaited('t', 0))
    assert.equal(bench.store.get('t', 0), undefined)
    await bench.scheduler.runFor(100_000)
    assert.equal(bench.store.failedLogs().length, 1)
    bench.heal()
    await bench.scheduler.runFor(65_000)
    assert.deepEqual(bench.store.failedLogs(), [])
    assert.deepEqual(bench.opened, [bench.log])
    assert.deepEqual(bench.values(), ALL)
    assert.equal(bench.append('late', RECORDS), 0)
    await bench.complete(bench.store.close())
  })

  it('waits longer after each try, up to a minute', async () => {
    const bench = new Bench(2)
    await bench.fill()
    bench.disk.killProcess()
    const tries: number[] = []
    bench.failing('EMFILE', (operation) => {
      if (operation === 'list') tries.push(bench.scheduler.nowMs)
      return operation === 'list'
    })
    await bench.start()
    await bench.scheduler.runFor(600_000)
    const waits = tries.slice(1).map((at, i) => Math.round((at - tries[i]!) / 5000) * 5)
    assert.deepEqual(waits.slice(0, 7), [5, 10, 20, 40, 60, 60, 60])
    bench.heal()
    await bench.complete(bench.store.close())
  })

  it('does not believe a sync after one that failed with the device full', async () => {
    const bench = new Bench(3)
    await bench.fill()
    bench.append('unsynced', RECORDS)
    bench.disk.killProcess()
    // That a sync failed can't be noted either.
    const isNote = (path: string) => path.endsWith('sync-failed')
    const last = bench.disk.list(DIRECTORY).findLast(({ name }) => name.endsWith('.log'))!.name
    bench.failing('ENOSPC', (operation, path) => {
      return (operation === 'sync' && path.endsWith(last)) || isNote(path)
    })
    await bench.start()
    assert.ok(bench.store.isAwaited('t', 0))
    bench.failing('ENOSPC', (_operation, path) => isNote(path))
    await bench.scheduler.runFor(20_000)
    assert.deepEqual(bench.values(), [...ALL, 'unsynced'])
    bench.heal()
    bench.disk.powerLoss()
    await bench.start()
    assert.deepEqual(bench.values(), [...ALL, 'unsynced'])
    await bench.complete(bench.store.close())
  })

  it('leaves what the device has broken to the next start', async () => {
    const bench = new Bench(4)
    await bench.fill()
    bench.disk.killProcess()
    bench.failing('EIO', (operation) => operation === 'list')
    await bench.start()
    bench.heal()
    assert.ok(!bench.store.isAwaited('t', 0))
    await bench.scheduler.runFor(200_000)
    assert.equal(bench.store.failedLogs().length, 1)
    await bench.complete(bench.store.close())
  })

  it('gives up a log that is deleted, also in the middle of a try', async () => {
    for (let seed = 0; seed < 30; seed++) {
      const bench = new Bench(seed)
      await bench.fill()
      bench.disk.killProcess()
      bench.failing('EMFILE', (operation) => operation === 'list')
      await bench.start()
      bench.heal()
      await bench.scheduler.runFor(4995 + seed / 3)
      await bench.complete(bench.store.delete('t', 0))
      assert.deepEqual(bench.store.failedLogs(), [], `seed ${seed}`)
      assert.ok(!bench.disk.exists(DIRECTORY), `seed ${seed}`)
      await bench.scheduler.runFor(100_000)
      assert.equal(bench.store.get('t', 0), undefined, `seed ${seed}`)
      assert.ok(!bench.disk.exists(DIRECTORY), `seed ${seed}`)
      assert.equal(bench.store.probe.openFiles, 0, `seed ${seed}`)
      await bench.complete(bench.store.close())
    }
  })
})
