/**
 * Drives a whole store on a simulated disk whose calls take time: several logs at once, with
 * checkpoints, retention, compaction, deletions and truncations going on beside appends, and the
 * power or the process ending at any moment. Each log is compared with an array.
 *
 * Everything follows from the seed.
 */
import assert from 'node:assert/strict'
import { StorageError } from '../base/errors.ts'
import { SILENT } from '../base/logger.ts'
import { SIM_EPOCH_MS, SimClock } from '../base/sim/clock.ts'
import { SimDisk } from '../base/sim/disk.ts'
import { SimRandom } from '../base/sim/random.ts'
import { Scheduler } from '../base/sim/scheduler.ts'
import { DEFAULT_LOG_CONFIG, type LogConfig } from './config.ts'
import { AppendOutcome, type PartitionLog, ReadPlan } from './partition-log.ts'
import { decodeBatches, encodeBatch } from './records.ts'
import { LogStore } from './store.ts'

const ROOT = '/data'
const EVERYTHING = Number.MAX_SAFE_INTEGER
const KEYS = 5
const TOPICS = ['plain', 'short', 'compacted', 'lazy'] as const
type Topic = (typeof TOPICS)[number]

const BASE: LogConfig = { ...DEFAULT_LOG_CONFIG, segmentBytes: 600, indexIntervalBytes: 100 }
const CONFIGS: Readonly<Record<Topic, LogConfig>> = {
  plain: BASE,
  short: { ...BASE, retentionBytes: 1500 },
  compacted: { ...BASE, isCompacted: true, isDeleted: false, minCleanableDirtyRatio: 0.1 },
  lazy: { ...BASE, flush: 'interval', flushMs: 40 },
}

interface Entry {
  readonly key: string
  readonly value: string
}

/** What a log should hold. */
class Expected {
  readonly topicId: string
  /** By offset; `undefined` below the beginning of the array that an emptied log has. */
  readonly entries: Entry[] = []
  startOffset = 0
  /** Survives the end of the process. */
  writtenOffset = 0
  /** Survives a power loss. */
  durableOffset = 0
  /** The end of the log is being changed: what has to last is not above this. */
  floor: number | undefined = undefined
  isEmptying = false
  epoch = 0

  constructor(incarnation: number) {
    this.topicId = String(incarnation).padStart(22, 'A')
  }

  get endOffset(): number {
    return this.entries.length
  }

  cut(offset: number): void {
    this.entries.length = Math.min(this.entries.length, offset)
    this.writtenOffset = Math.min(this.writtenOffset, offset)
    this.durableOffset = Math.min(this.durableOffset, offset)
    this.startOffset = Math.min(this.startOffset, offset)
  }
}

export class StoreModel {
  readonly trace: string[] = []
  readonly #random: SimRandom
  readonly #scheduler = new Scheduler()
  readonly #disk: SimDisk
  readonly #logs = new Map<Topic, Expected>()
  /** Operations under way, of which the next life hears nothing. */
  readonly #busy = new Set<Topic>()
  #store!: LogStore
  #life = 0
  #incarnation = 0
  #values = 0

  constructor(seed: number) {
    this.#random = new SimRandom(seed)
    const scheduler = this.#scheduler
    this.#disk = new SimDisk({ random: this.#random.split('disk'), scheduler })
  }

  async run(lives: number): Promise<void> {
    await this.#open()
    for (let life = 0; life < lives; life++) {
      for (let step = this.#random.between(5, 60); step > 0; step--) {
        this.#step()
        await this.#scheduler.runFor(this.#random.unit() * this.#random.pick([1, 5, 50]))
      }
      await this.#end()
    }
  }

  #note(text: string): void {
    this.trace.push(`${this.#scheduler.nowMs.toFixed(1)} ${text}`)
    if (this.trace.length > 400) this.trace.splice(0, 200)
  }

  #step(): void {
    const topic = this.#random.pick(TOPICS)
    const choice = this.#random.unit()
    if (choice < 0.7) this.#append(topic)
    else if (choice < 0.78) this.#sync(topic)
    else if (choice < 0.82) this.#advanceStart(topic)
    else if (choice < 0.88) this.#start(topic, () => this.#truncate(topic))
    else if (choice < 0.9) this.#start(topic, () => this.#empty(topic))
    else if (choice < 0.92) this.#start(topic, () => this.#recreate(topic))
  }

  /** One change of a log at a time; other logs go on. */
  #start(topic: Topic, run: () => Promise<void>): void {
    if (this.#busy.has(topic)) return
    this.#busy.add(topic)
    const life = this.#life
    run().then(
      () => {
        if (life === this.#life) this.#busy.delete(topic)
      },
      (error: unknown) => {
        if (life === this.#life) throw error
      },
    )
  }

  #append(topic: Topic): void {
    const log = this.#store.get(topic, 0)
    const expected = this.#logs.get(topic)
    if (log === undefined || expected === undefined || this.#busy.has(topic)) return
    const nowMs = Math.floor(SIM_EPOCH_MS + this.#scheduler.nowMs)
    const entries = Array.from({ length: this.#random.between(1, 4) }, () => ({
      key: `k${this.#random.below(KEYS)}`,
      value: `${this.#values++}${'.'.repeat(this.#random.below(60))}`,
    }))
    const batch = encodeBatch(
      entries.map(({ key, value }) => {
        return { timestampMs: nowMs, key: Buffer.from(key), value: Buffer.from(value) }
      }),
    )
    const origin = 'client' as const
    const context = { leaderEpoch: expected.epoch, nowMs, origin, allowsZstd: true }
    const outcome = new AppendOutcome()
    log.append(batch, 0, batch.length, context, outcome)
    assert.equal(outcome.error, 0)
    assert.equal(outcome.firstOffset, expected.endOffset)
    expected.entries.push(...entries)
    if (this.#random.chance(0.2)) return
    log.write()
    expected.writtenOffset = expected.endOffset
    if (this.#random.chance(0.5)) this.#sync(topic)
  }

  #sync(topic: Topic): void {
    const log = this.#store.get(topic, 0)
    const expected = this.#logs.get(topic)
    if (log === undefined || expected === undefined || this.#busy.has(topic)) return
    log.write()
    expected.writtenOffset = expected.endOffset
    if (log.config.flush !== 'group') return
    const life = this.#life
    const { writtenOffset } = expected
    log.sync().then(
      (syncedOffset) => {
        const isSame = life === this.#life && this.#logs.get(topic) === expected
        if (!isSame || this.#busy.has(topic)) return
        const durable = Math.min(syncedOffset, writtenOffset)
        expected.durableOffset = Math.max(expected.durableOffset, durable)
      },
      (error: unknown) => {
        if (life === this.#life || !(error instanceof StorageError)) throw error
      },
    )
  }

  #advanceStart(topic: Topic): void {
    const log = this.#store.get(topic, 0)
    const expected = this.#logs.get(topic)
    if (log === undefined || expected === undefined || this.#busy.has(topic)) return
    const least = Math.max(log.logStartOffset, expected.startOffset)
    log.advanceLogStart(this.#random.between(least, Math.max(least, expected.durableOffset)))
    expected.startOffset = log.logStartOffset
  }

  async #truncate(topic: Topic): Promise<void> {
    const log = this.#store.get(topic, 0)
    const expected = this.#logs.get(topic)
    // What compaction has seen is committed, so no leader changes it.
    if (log === undefined || expected === undefined || topic === 'compacted') return
    const offset = this.#random.between(log.logStartOffset, expected.endOffset)
    expected.floor = Math.max(0, offset - 4) // the base of the batch that holds it
    // Retention may go past the offset meanwhile: then the log is emptied.
    expected.isEmptying = topic === 'short'
    const life = this.#life
    this.#note(`truncate ${topic} to ${offset}`)
    log.write()
    await log.truncateTo(offset)
    if (life !== this.#life) return
    assert.ok(log.logEndOffset <= offset && log.logEndOffset > offset - 4)
    expected.cut(log.logEndOffset)
    expected.startOffset = log.logStartOffset
    expected.floor = undefined
    expected.isEmptying = false
    expected.epoch++
    expected.durableOffset = expected.writtenOffset = Math.min(log.syncedOffset, expected.endOffset)
  }

  async #empty(topic: Topic): Promise<void> {
    const log = this.#store.get(topic, 0)
    const expected = this.#logs.get(topic)
    if (log === undefined || expected === undefined) return
    expected.isEmptying = true
    const life = this.#life
    const offset = this.#random.below(200)
    this.#note(`empty ${topic}, on at ${offset}`)
    await log.truncateFullyAndStartAt(offset)
    if (life !== this.#life) return
    this.#emptied(expected, offset)
    expected.durableOffset = offset
  }

  #emptied(expected: Expected, offset: number): void {
    expected.entries.length = 0
    for (let i = 0; i < offset; i++) expected.entries.push({ key: '', value: '' })
    expected.startOffset = expected.writtenOffset = offset
    expected.durableOffset = 0
    expected.isEmptying = false
    expected.epoch++
  }

  async #recreate(topic: Topic): Promise<void> {
    const isKnown = this.#logs.delete(topic)
    this.#note(`delete ${topic}`)
    const deletion = isKnown ? this.#store.delete(topic, 0) : Promise.resolve()
    if (this.#random.chance(0.5)) await deletion
    await this.#create(topic)
    await deletion
  }

  async #create(topic: Topic): Promise<void> {
    const expected = new Expected(++this.#incarnation)
    this.#note(`create ${topic} ${expected.topicId}`)
    this.#logs.set(topic, expected)
    const config = CONFIGS[topic]
    await this.#store.create({ topic, partition: 0, topicId: expected.topicId, config })
  }

  async #end(): Promise<void> {
    const how = this.#random.pick(['stop', 'kill', 'power', 'power'] as const)
    this.#note(how)
    if (how === 'stop') {
      await this.#scheduler.runUntil(() => this.#busy.size === 0, 10_000)
      for (const topic of TOPICS) this.#sync(topic)
      await this.#scheduler.complete(this.#store.close())
      for (const expected of this.#logs.values()) expected.durableOffset = expected.endOffset
      if (this.#random.chance(0.3)) this.#disk.powerLoss()
    } else if (how === 'kill') {
      this.#disk.killProcess()
      for (const expected of this.#logs.values()) expected.durableOffset = expected.writtenOffset
    } else this.#disk.powerLoss()
    await this.#open()
  }

  async #open(): Promise<void> {
    const life = ++this.#life
    this.#busy.clear()
    const isOfLife = { run: (act: () => void) => (life === this.#life ? act() : undefined) }
    const clock = new SimClock(this.#scheduler, isOfLife)
    const random = this.#random.split(`life ${life}`)
    const parts = { disk: this.#disk, clock, random, logger: SILENT, maybe: () => false }
    const times = { checkpointMs: 60, maintenanceMs: 150, cleaning: { intervalMs: 100 } }
    const options = { directories: [ROOT], parts, ...times }
    this.#store = await this.#scheduler.complete(LogStore.open(options))
    await this.#scheduler.complete(this.#store.openLogs((topic) => CONFIGS[topic as Topic]))
    assert.deepEqual(this.#store.failedLogs(), [])
    await this.#scheduler.complete(this.#removeStrays())
    for (const topic of TOPICS) await this.#compare(topic)
    this.#store.startMaintenance((log) => log.syncedOffset)
  }

  /** As a node does: logs of topics that do not exist any more. */
  async #removeStrays(): Promise<void> {
    for (const { topic, topicId } of this.#store.listed()) {
      const expected = this.#logs.get(topic as Topic)
      const isStray = topicId !== undefined && topicId !== expected?.topicId
      if (isStray || expected === undefined) await this.#store.delete(topic, 0)
    }
  }

  async #compare(topic: Topic): Promise<void> {
    const log = this.#store.get(topic, 0)
    const expected = this.#logs.get(topic)
    if (log === undefined || expected === undefined) {
      const least = expected?.durableOffset ?? 0
      assert.ok(least === 0 || expected?.isEmptying, `${topic} with ${least} records is there`)
      await this.#scheduler.complete(this.#create(topic))
      return
    }
    this.#note(`${topic} is ${log.logStartOffset}..${log.logEndOffset}`)
    assert.deepEqual(log.damage, [], topic)
    if (expected.isEmptying && log.logStartOffset === log.logEndOffset) {
      this.#emptied(expected, log.logEndOffset)
    } else this.#compareRecords(topic, log, expected)
    expected.isEmptying = false
    expected.floor = undefined
    expected.epoch++
  }

  #compareRecords(topic: Topic, log: PartitionLog, expected: Expected): void {
    const least = Math.min(expected.durableOffset, expected.floor ?? EVERYTHING)
    const isWhole = log.logEndOffset >= least || expected.isEmptying
    assert.ok(isWhole, `${topic} ends at ${log.logEndOffset}, ${least} had to last`)
    assert.ok(log.logEndOffset <= expected.endOffset, `${topic}: no record comes from nowhere`)
    if (topic !== 'short') assert.ok(log.logStartOffset <= expected.startOffset, topic)
    const found = new Map<number, Entry>()
    for (const [offset, entry] of read(log)) {
      assert.deepEqual(entry, expected.entries[offset], `${topic} ${offset}`)
      found.set(offset, entry)
    }
    const newest = new Map<string, number>()
    for (let at = log.logStartOffset; at < log.logEndOffset; at++) {
      if (topic !== 'compacted') assert.ok(found.has(at), `${topic} ${at} is there`)
      newest.set(expected.entries[at]!.key, at)
    }
    // A compacted log that was being emptied may have lost what later records stood for.
    const isPart = expected.isEmptying && log.logEndOffset < expected.endOffset
    if (!isPart)
      for (const at of newest.values()) assert.ok(found.has(at), `${topic} ${at} is there`)
    expected.cut(log.logEndOffset)
    expected.startOffset = log.logStartOffset
    expected.durableOffset = expected.writtenOffset = log.logEndOffset
  }
}

function read(log: PartitionLog): [number, Entry][] {
  const plan = new ReadPlan()
  const target = Buffer.alloc(100_000)
  const found: [number, Entry][] = []
  for (let at = log.logStartOffset; at < log.logEndOffset; at = plan.nextOffset) {
    log.locate(at, EVERYTHING, plan)
    assert.equal(plan.error, 0, `${log.topic}: locate ${at}`)
    if (plan.segment === undefined) break
    const length = log.copy(plan, EVERYTHING, target, 0, target.length)
    assert.ok(length > 0, `${log.topic}: nothing at ${at}`)
    for (const { offset, key, value } of decodeBatches(target, 0, length)) {
      if (offset >= at) found.push([offset, { key: String(key), value: String(value) }])
    }
  }
  return found
}
