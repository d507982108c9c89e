import assert from 'node:assert/strict'
import { SIM_EPOCH_MS, SimClock } from '../base/sim/clock.ts'
import { SimDisk } from '../base/sim/disk.ts'
import { SimLogger } from '../base/sim/logger.ts'
import { SimRandom } from '../base/sim/random.ts'
import { Scheduler } from '../base/sim/scheduler.ts'
import { DEFAULT_LOG_CONFIG, type LogConfig } from './config.ts'
import { AppendOutcome, type PartitionLog, ReadPlan } from './partition-log.ts'
import { decodeBatches, encodeBatch } from './records.ts'
import { LogStore } from './store.ts'

const ROOT = '/data'
const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAQ'
const EVERYTHING = Number.MAX_SAFE_INTEGER
const COMPACTED: LogConfig = {
  ...DEFAULT_LOG_CONFIG,
  segmentBytes: 1000,
  isCompacted: true,
  isDeleted: false,
}

/** A store on a simulated disk, which outlives the processes that open it. */
class Bench {
  readonly scheduler = new Scheduler()
  readonly disk: SimDisk
  readonly logger = new SimLogger()
  readonly config: LogConfig
  store!: LogStore
  clock!: SimClock
  #process = 0
  readonly #random: SimRandom

  constructor(seed: number, config: LogConfig) {
    this.#random = new SimRandom(seed)
    const { scheduler } = this
    this.disk = new SimDisk({ random: this.#random.split('disk'), scheduler })
    this.config = config
  }

  async open(): Promise<void> {
    const process = ++this.#process
    const life = { run: (act: () => void) => (process === this.#process ? act() : undefined) }
    this.clock = new SimClock(this.scheduler, life)
    const { disk, clock, logger } = this
    const parts = { disk, clock, random: this.#random, logger, maybe: () => false }
    this.store = await this.complete(LogStore.open({ directories: [ROOT], parts }))
    await this.complete(this.store.openLogs(() => this.config))
    this.store.startMaintenance((log) => log.syncedOffset)
  }

  /** A start that ends before it opens a log: a port is busy, say. */
  async failToStart(): Promise<void> {
    const { disk, logger } = this
    const clock = new SimClock(this.scheduler, { run: (act) => act() })
    const parts = { disk, clock, random: this.#random, logger, maybe: () => false }
    const store = await this.complete(LogStore.open({ directories: [ROOT], parts }))
    await this.complete(store.close())
  }

  async restart(how: 'power loss' | 'process end' | 'stop'): Promise<void> {
    if (how === 'stop') await this.complete(this.store.close())
    else if (how === 'power loss') this.disk.powerLoss()
    else this.disk.killProcess()
    await this.open()
  }

  complete<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.complete(promise)
  }

  create(topic = 't'): Promise<PartitionLog> {
    const options = { topic, partition: 0, topicId: TOPIC_ID, config: this.config }
    return this.complete(this.store.create(options))
  }

  get log(): PartitionLog {
    const log = this.store.get('t', 0)
    assert.ok(log !== undefined, 'the log is there')
    return log
  }

  append(key: string, value: string, log = this.log): void {
    const nowMs = Math.floor(SIM_EPOCH_MS + this.scheduler.nowMs)
    const record = { timestampMs: nowMs, key: Buffer.from(key), value: Buffer.from(value) }
    const batch = encodeBatch([record])
    const context = { leaderEpoch: 0, nowMs, origin: 'client' as const, allowsZstd: true }
    const outcome = new AppendOutcome()
    log.append(batch, 0, batch.length, context, outcome)
    assert.equal(outcome.error, 0, outcome.message)
    log.write()
  }

  async usedBytes(): Promise<number> {
    const { sizeBytes, freeBytes } = await this.disk.space(ROOT)
    return sizeBytes - freeBytes
  }

  async sync(): Promise<void> {
    await this.complete(this.log.sync())
  }

  /** Newest value of each key. */
  values(): Map<string, string> {
    const found = new Map<string, string>()
    for (const [key, value] of this.records()) found.set(key, value)
    return found
  }

  records(log = this.log): [string, string][] {
    const plan = new ReadPlan()
    const target = Buffer.alloc(1_000_000)
    const found: [string, string][] = []
    for (let at = log.logStartOffset; at < log.writtenOffset; at = plan.nextOffset) {
      log.locate(at, EVERYTHING, plan)
      assert.equal(plan.error, 0)
      if (plan.segment === undefined) break
      const length = log.copy(plan, EVERYTHING, target, 0, target.length)
      assert.ok(length > 0, `nothing at ${at}`)
      for (const { key, value } of decodeBatches(target, 0, length)) {
        found.push([String(key), String(value)])
      }
    }
    return found
  }
}

async function filled(seed: number): Promise<Bench> {
  const bench = new Bench(seed, COMPACTED)
  await bench.open()
  await bench.create()
  for (let i = 0; i < 100; i++) bench.append(`k${i % 5}`, `v${i}`)
  await bench.sync()
  return bench
}

const NEWEST = new Map([0, 1, 2, 3, 4].map((k) => [`k${k}`, `v${95 + k}`]))

describe('log/store', () => {
  it('compacts a log by itself, and remembers how far over a restart', async () => {
    const bench = await filled(1)
    assert.equal(bench.records().length, 100)
    await bench.scheduler.runFor(30_000)
    const { probe } = bench.store
    assert.equal(probe.cleanings, 1)
    assert.ok(bench.records().length < 20, `${bench.records().length} records are left`)
    assert.deepEqual(bench.values(), NEWEST)
    assert.ok(probe.cleanedRecords > 80)
    assert.equal(bench.log.logEndOffset, 100)
    const path = `${ROOT}/cleaner-offset-checkpoint`
    const cleaned = bench.disk.readFile(path).toString()
    assert.match(cleaned, /^0\n1\nt 0 \d+\n$/)
    const left = bench.records()
    for (const how of ['stop', 'process end', 'power loss'] as const) {
      await bench.restart(how)
      await bench.scheduler.runFor(40_000)
      assert.equal(bench.store.probe.cleanings, 0, 'nothing is dirty')
      assert.deepEqual(bench.records(), left)
      assert.equal(bench.disk.readFile(path).toString(), cleaned)
    }
    await bench.complete(bench.store.close())
  })

  it('forgets at its end what was to be removed later, also where a name was used twice', async () => {
    const bench = await filled(6)
    await bench.scheduler.runFor(20_000)
    for (let i = 0; i < 100; i++) bench.append(`k${i % 5}`, `w${i}`)
    await bench.sync()
    await bench.scheduler.runFor(20_000)
    assert.equal(bench.store.probe.cleanings, 2)
    const names = bench.disk.list(`${ROOT}/t-0`).map(({ name }) => name)
    assert.ok(
      names.some((name) => /deleted$/.test(name)),
      'not removed yet',
    )
    await bench.complete(bench.store.close())
    assert.equal(bench.clock.pendingTimers, 0)
  })

  it('has every newest record after a power loss at any moment of a compaction', async () => {
    let cut = 0
    for (let seed = 0; seed < 60; seed++) {
      const bench = await filled(seed)
      const isBegun = () => bench.disk.list(`${ROOT}/t-0`).some(({ name }) => /cleaned$/.test(name))
      await bench.scheduler.runUntil(isBegun, 60_000)
      await bench.scheduler.runFor(new SimRandom(seed).unit() * 8)
      if (bench.store.probe.cleanings === 0) cut++
      await bench.restart('power loss')
      assert.deepEqual(bench.values(), NEWEST, `seed ${seed}`)
      const names = bench.disk.list(`${ROOT}/t-0`).map(({ name }) => name)
      assert.ok(!names.some((name) => /cleaned$|swap$/.test(name)), `seed ${seed}: ${names}`)
      await bench.scheduler.runFor(30_000)
      assert.deepEqual(bench.values(), NEWEST, `seed ${seed}`)
      assert.ok(bench.records().length < 20, `seed ${seed}: compaction goes on`)
      await bench.complete(bench.store.close())
    }
    assert.ok(cut > 20, `${cut} compactions were cut`)
  })

  it('stops compacting on a full disk, and goes on when there is space', async () => {
    const bench = await filled(5)
    await bench.scheduler.runFor(10_000) // checkpoints
    bench.disk.quotaBytes = await bench.complete(bench.usedBytes())
    await bench.scheduler.runFor(30_000)
    const { probe } = bench.store
    assert.equal(probe.cleanings, 0)
    assert.ok(probe.abandonedCleanings > 0)
    assert.equal(probe.failedLogs + probe.uncleanableLogs, 0)
    assert.equal(bench.records().length, 100)
    bench.disk.quotaBytes = 2 ** 40
    await bench.scheduler.runFor(30_000)
    assert.equal(probe.cleanings, 1)
    assert.deepEqual(bench.values(), NEWEST)
    await bench.complete(bench.store.close())
  })

  it('gets back the room of deleted records on a full disk, without waiting for its round', async () => {
    const bench = new Bench(6, { ...DEFAULT_LOG_CONFIG, segmentBytes: 1000 })
    await bench.open()
    await bench.create()
    for (let i = 0; i < 100; i++) bench.append(`k${i}`, `v${i}`)
    await bench.sync()
    await bench.scheduler.runFor(10_000) // checkpoints
    bench.disk.quotaBytes = await bench.complete(bench.usedBytes())
    const append = () => bench.append('k', 'late')
    assert.throws(append)
    await bench.scheduler.runFor(6000)
    assert.throws(append, 'nothing was deleted')
    bench.log.advanceLogStart(100)
    await bench.scheduler.runFor(6000 + DEFAULT_LOG_CONFIG.fileDeleteDelayMs)
    assert.ok(bench.log.segmentCount() <= 2, `${bench.log.segmentCount()} segments`)
    append()
    await bench.sync()
    await bench.complete(bench.store.close())
  })

  it('leaves a log that it can not compact alone, and compacts the others', async () => {
    const bench = await filled(2)
    await bench.create('u')
    bench.disk.flip(`${ROOT}/t-0/00000000000000000000.log`, 200)
    await bench.scheduler.runFor(60_000)
    assert.equal(bench.store.probe.uncleanableLogs, 1)
    assert.equal(bench.store.probe.failedLogs, 0)
    await bench.complete(bench.store.delete('t', 0))
    assert.equal(bench.store.probe.uncleanableLogs, 0)
    await bench.complete(bench.store.close())
  })

  it('syncs a log with flush=interval in its time, and others after a minute', async () => {
    for (const [flush, waitMs] of [
      ['interval', 700],
      ['none', 60_000],
    ] as const) {
      const bench = new Bench(3, { ...DEFAULT_LOG_CONFIG, flush, flushMs: 700 })
      await bench.open()
      await bench.create()
      for (let round = 1; round < 4; round++) {
        bench.append('k', 'v')
        await bench.scheduler.runFor(waitMs - 10)
        bench.append('k', 'w')
        assert.equal(bench.log.syncedOffset, 2 * round - 2, `${flush} before its time`)
        await bench.scheduler.runFor(30)
        assert.equal(bench.log.syncedOffset, 2 * round, `${flush} after its time`)
      }
      await bench.complete(bench.store.close())
    }
  })

  it('makes a log anew under the name of one that was deleted', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const bench = await filled(seed)
      await bench.scheduler.runFor(10_000) // checkpoints
      const deletion = bench.store.delete('t', 0)
      const log = await bench.create()
      await bench.complete(deletion)
      assert.equal(log.logEndOffset, 0)
      bench.append('new', 'v')
      await bench.sync()
      await bench.restart('power loss')
      assert.deepEqual(bench.log.damage, [], `seed ${seed}`)
      assert.deepEqual(bench.records(), [['new', 'v']], `seed ${seed}`)
      await bench.complete(bench.store.close())
    }
  })

  it('rolls a segment whose time is over, without an append', async () => {
    const bench = new Bench(4, { ...DEFAULT_LOG_CONFIG, segmentMs: 60_000 })
    await bench.open()
    await bench.create()
    bench.append('k', 'v')
    await bench.scheduler.runFor(400_000)
    assert.equal(bench.log.segmentCount(), 2)
    await bench.scheduler.runFor(400_000)
    assert.equal(bench.log.segmentCount(), 2, 'an empty segment does not roll')
    await bench.complete(bench.store.close())
  })

  it('checks logs after a crash also when the first start after it ended early', async () => {
    const bench = new Bench(5, DEFAULT_LOG_CONFIG)
    await bench.open()
    await bench.create()
    bench.append('k', 'v')
    await bench.sync()
    bench.disk.killProcess()
    const isMarked = () => bench.disk.exists(`${ROOT}/.kafka_cleanshutdown`)
    await bench.failToStart()
    assert.equal(isMarked(), false)
    await bench.open()
    assert.equal(bench.store.probe.recoveredLogs, 1)
    await bench.complete(bench.store.close())
    await bench.failToStart()
    assert.equal(isMarked(), true, 'a clean stop stays one')
    await bench.open()
    assert.equal(bench.store.probe.recoveredLogs, 0)
    await bench.complete(bench.store.close())
  })

  it('closes its other logs when one has failed, and does not call that a clean stop', async () => {
    const bench = new Bench(7, DEFAULT_LOG_CONFIG)
    await bench.open()
    await bench.create()
    const other = await bench.create('other')
    bench.append('k', 'lost')
    bench.append('k', 'kept', other)
    bench.disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined)
    await assert.rejects(bench.sync(), { code: 'EIO' })
    bench.disk.fault = () => undefined
    await bench.complete(bench.store.close())
    assert.deepEqual(bench.disk.openPaths(), [])
    assert.equal(bench.disk.exists(`${ROOT}/.kafka_cleanshutdown`), false)
    await bench.restart('power loss')
    assert.deepEqual(bench.records(bench.store.get('other', 0)), [['k', 'kept']])
    await bench.complete(bench.store.close())
  })

  it('takes topic ids that a power loss has emptied for no damage, and says once how many', async () => {
    const bench = new Bench(6, DEFAULT_LOG_CONFIG)
    await bench.open()
    for (const topic of ['empty', 'zeros', 'damaged', 'whole']) await bench.create(topic)
    await bench.complete(bench.store.close())
    const put = (topic: string, bytes: Buffer) =>
      bench.complete(bench.disk.replaceFile(`${ROOT}/${topic}-0/partition.metadata`, bytes))
    await put('empty', Buffer.alloc(0))
    await put('zeros', Buffer.alloc(60))
    await put('damaged', Buffer.from('version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\ncrc32c: 0\n'))
    await bench.open()
    const listed = bench.store.listed()
    assert.deepEqual(
      listed.filter(({ topicId }) => topicId !== undefined).map(({ topic }) => topic),
      ['whole'],
    )
    assert.equal(bench.store.probe.damagedCheckpoints, 1)
    const said = bench.logger.lines
      .filter(({ message }) => /topic ids|id is damaged/.test(message))
      .map(({ level, fields }) => [level, fields])
    assert.deepEqual(said, [
      ['error', { path: `${ROOT}/damaged-0/partition.metadata` }],
      ['info', { partitions: 2 }],
    ])
    await bench.complete(bench.store.close())
  })
})
