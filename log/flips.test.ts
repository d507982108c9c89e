import assert from 'node:assert/strict'
import { CorruptionError, StorageError } from '../base/errors.ts'
import { SimClock } from '../base/sim/clock.ts'
import { SimDisk } from '../base/sim/disk.ts'
import { SimLogger } from '../base/sim/logger.ts'
import { SimRandom } from '../base/sim/random.ts'
import { Scheduler } from '../base/sim/scheduler.ts'
import { Cleaner } from './cleaner.ts'
import { DEFAULT_LOG_CONFIG, type LogConfig } from './config.ts'
import { CONTROL_ABORT } from './format.ts'
import { AppendOutcome, type PartitionLog, ReadPlan } from './partition-log.ts'
import { type BatchOptions, decodeBatches, encodeBatch } from './records.ts'
import { LogStore } from './store.ts'

const FLIPS = 1000
const ROOT = '/data'
const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAQ'
const FIRST_MS = 1_767_225_600_000
const EVERYTHING = Number.MAX_SAFE_INTEGER
const PLAIN: LogConfig = { ...DEFAULT_LOG_CONFIG, segmentBytes: 700, indexIntervalBytes: 100 }
const CONFIGS: Readonly<Record<string, LogConfig>> = {
  plain: PLAIN,
  transactions: PLAIN,
  compacted: { ...PLAIN, isCompacted: true, isDeleted: false, minCleanableDirtyRatio: 0 },
}
/** Of files, by the end of their names: flips in each are noticed. */
const KINDS = [
  'log',
  'index',
  'timeindex',
  'txnindex',
  'sums',
  'snapshot',
  'checkpoint',
  'metadata',
]
const TOPICS = Object.keys(CONFIGS)

const TARGET = Buffer.alloc(100_000)

type Files = ReadonlyMap<string, Buffer>

/** What a log answered before anything was flipped. */
interface Answers {
  readonly startOffset: number
  readonly endOffset: number
  readonly values: ReadonlyMap<number, string>
  readonly aborted: unknown
  readonly epochs: unknown
  readonly times: unknown
}

class Bench {
  readonly disk: SimDisk
  readonly logger = new SimLogger()
  readonly clock = new SimClock(new Scheduler())
  store!: LogStore
  #epoch = 4

  constructor(seed: number) {
    this.disk = new SimDisk({ random: new SimRandom(seed) })
  }

  static of(files: Files, seed: number): Bench {
    const bench = new Bench(seed)
    for (const [path, content] of files) {
      bench.disk.makeDirectory(path.slice(0, path.lastIndexOf('/')))
      const file = bench.disk.open(path, 'new')
      file.write(content, 0, content.length, 0)
      file.close()
    }
    return bench
  }

  async open(): Promise<void> {
    const { disk, clock, logger } = this
    const random = new SimRandom(1)
    const parts = { disk, clock, random, logger, maybe: () => false }
    this.store = await LogStore.open({ directories: [ROOT], parts })
    await this.store.openLogs((topic) => CONFIGS[topic]!)
  }

  log(topic: string): PartitionLog {
    const log = this.store.get(topic, 0)
    assert.ok(log !== undefined, `${topic} is open`)
    return log
  }

  append(topic: string, value: string, options: BatchOptions = {}, key = value): AppendOutcome {
    const log = this.log(topic)
    const marker = { timestampMs: FIRST_MS, key: Buffer.from([0, 0, 0, CONTROL_ABORT]) }
    const record = options.isControl
      ? { ...marker, value: Buffer.alloc(6) }
      : {
          timestampMs: FIRST_MS + log.logEndOffset,
          key: Buffer.from(key),
          value: Buffer.from(value),
        }
    const batch = encodeBatch([record], options)
    const origin = options.isControl ? ('coordinator' as const) : ('client' as const)
    const context = { leaderEpoch: this.#epoch, nowMs: FIRST_MS, origin, allowsZstd: true }
    const outcome = new AppendOutcome()
    log.append(batch, 0, batch.length, context, outcome)
    log.write()
    return outcome
  }

  fill(from: number, to: number): void {
    for (let i = from; i < to; i++) {
      this.#epoch = Math.floor(i / 12)
      const producer = { producerId: 7, producerEpoch: 0, baseSequence: i }
      assert.equal(this.append('plain', `v${i}`.padEnd(30), producer).error, 0)
      assert.equal(this.append('compacted', `v${i}`.padEnd(30), {}, `k${i % 4}`).error, 0)
      const transaction = { producerId: 8, producerEpoch: 0, isTransactional: true }
      const isEnd = i % 5 === 4
      const sequence = i - Math.floor(i / 5)
      const options = isEnd
        ? { ...transaction, isControl: true }
        : { ...transaction, baseSequence: sequence }
      assert.equal(this.append('transactions', `v${i}`.padEnd(30), options).error, 0)
    }
  }

  files(): Files {
    const found = new Map<string, Buffer>()
    const walk = (directory: string) => {
      for (const { name, isDirectory } of this.disk.list(directory)) {
        const path = `${directory}/${name}`
        if (isDirectory) walk(path)
        else if (name !== '.lock') found.set(path, this.disk.readFile(path))
      }
    }
    walk(ROOT)
    return found
  }

  /** Undefined: the log said that it can't answer. */
  async answers(topic: string): Promise<Answers> {
    const log = this.log(topic)
    const times: unknown[] = []
    for (let at = 0; at < 40; at += 7) {
      times.push(await log.offsetForTimestamp(FIRST_MS + at, EVERYTHING))
    }
    times.push(await log.maxTimestamp(EVERYTHING))
    return {
      startOffset: log.logStartOffset,
      endOffset: log.logEndOffset,
      values: this.#values(log),
      aborted: this.#aborted(log),
      epochs: [0, 1, 2, 3, 9].map((epoch) => log.endOffsetForEpoch(epoch)),
      times,
    }
  }

  #values(log: PartitionLog): Map<number, string> {
    const plan = new ReadPlan()
    const target = TARGET
    const found = new Map<number, string>()
    for (let at = log.logStartOffset; at < log.logEndOffset; ) {
      log.locate(at, EVERYTHING, plan)
      const length = plan.error === 0 ? this.#copy(log, plan, target) : 0
      if (length === 0) {
        at++
        continue
      }
      for (const { offset, value } of decodeBatches(target, 0, length)) {
        if (offset >= at) found.set(offset, String(value))
      }
      at = plan.nextOffset
    }
    return found
  }

  #copy(log: PartitionLog, plan: ReadPlan, target: Buffer): number {
    if (plan.segment === undefined) return 0
    try {
      return log.copy(plan, EVERYTHING, target, 0, target.length)
    } catch (error) {
      assert.ok(error instanceof CorruptionError)
      return 0
    }
  }

  #aborted(log: PartitionLog): unknown {
    try {
      return log.abortedTransactions(0, EVERYTHING)
    } catch (error) {
      assert.ok(error instanceof CorruptionError)
      return undefined
    }
  }

  /** Lines about damage, and about the end of a log after a crash, when they are counted too. */
  said(): string[] {
    const { probe } = this.store
    const lines = this.logger.lines.filter(({ level, message }) => {
      return level === 'warn' || level === 'error' || /was cut/.test(message)
    })
    const counters = [
      probe.corruptReads,
      probe.corruptSegments,
      probe.truncatedTails,
      probe.rebuiltIndexes,
      probe.rebuiltSnapshots,
      probe.rebuiltCheckpoints,
      probe.distrustedIndexEntries,
      probe.damagedCheckpoints,
    ]
    const isCounted = counters.some((count) => count > 0)
    return isCounted ? lines.map(({ message }) => message) : []
  }
}

/** A store with all kinds of files, after an orderly stop or after the end of its process. */
async function template(isClean: boolean): Promise<{ files: Files; before: Map<string, Answers> }> {
  const bench = new Bench(1)
  await bench.open()
  for (const topic of TOPICS) {
    await bench.store.create({ topic, partition: 0, topicId: TOPIC_ID, config: CONFIGS[topic]! })
  }
  bench.fill(0, 30)
  for (const topic of TOPICS) await bench.log(topic).sync()
  bench.log('plain').advanceLogStart(3)
  bench.store.startMaintenance((log) => log.syncedOffset)
  await bench.store.checkpoint()
  const compacted = bench.log('compacted')
  compacted.noteHighWatermark(compacted.syncedOffset)
  const cleaner = new Cleaner({ clock: bench.clock, checkpoint: bench.store })
  assert.ok((await cleaner.clean(compacted, FIRST_MS)).droppedRecords > 0)
  await bench.store.checkpoint()
  bench.fill(30, 40)
  const before = new Map<string, Answers>()
  for (const topic of TOPICS) before.set(topic, await bench.answers(topic))
  if (isClean) await bench.store.close()
  else for (const topic of TOPICS) await bench.log(topic).sync()
  return { files: bench.files(), before }
}

function isLogOf(topic: string, path: string): boolean {
  return path.startsWith(`${ROOT}/${topic}-0/`) && path.endsWith('.log')
}

function check(topic: string, path: string, now: Answers, before: Answers): boolean {
  for (const [offset, value] of now.values) {
    const expected = before.values.get(offset)
    const mayBeBack = offset < before.startOffset && path.includes('log-start')
    assert.ok(value === expected || mayBeBack, `${topic} ${offset}: ${value}, not ${expected}`)
  }
  if (isLogOf(topic, path)) return now.values.size < before.values.size
  for (const offset of before.values.keys()) assert.ok(now.values.has(offset), `${topic} ${offset}`)
  assert.equal(now.endOffset, before.endOffset, topic)
  if (now.aborted !== undefined) assert.deepEqual(now.aborted, before.aborted, topic)
  if (path.includes('log-start')) return now.startOffset !== before.startOffset
  assert.deepEqual(now.times, before.times, topic)
  assert.equal(now.startOffset, before.startOffset, topic)
  // Where compaction took all records of an epoch, only the damaged file knew of it.
  const isEpochLost = topic === 'compacted' && path.includes('leader-epoch')
  if (!isEpochLost) assert.deepEqual(now.epochs, before.epochs, topic)
  return now.aborted === undefined
}

async function flipOne(seed: number, files: Files, before: Map<string, Answers>): Promise<string> {
  const random = new SimRandom(seed)
  const path = random.pick([...files.keys()].filter((name) => files.get(name)!.length > 0))
  const bench = Bench.of(files, seed)
  bench.disk.flip(path, random.below(files.get(path)!.length))
  await bench.open()
  assert.deepEqual(bench.store.failedLogs(), [], 'every log opens')
  let isMissed = false
  for (const topic of TOPICS) {
    if (check(topic, path, await bench.answers(topic), before.get(topic)!)) isMissed = true
  }
  for (const topic of TOPICS) await bench.log(topic).maintain(FIRST_MS, EVERYTHING)
  if (!path.endsWith('.log')) {
    const repeated = { producerId: 7, producerEpoch: 0, baseSequence: 36 }
    assert.ok(bench.append('plain', 'v', repeated).isDuplicate, 'a duplicate is known')
    const aborted = bench.log('transactions').abortedTransactions(0, EVERYTHING)
    assert.equal(aborted.length, 8, 'what was missed is made again')
  }
  if (isMissed) assert.ok(bench.said().length > 0, 'what is missing is said')
  for (const topic of TOPICS) {
    // No CRC covers the leader epoch of a batch: one from the future ends a log's service.
    const isOutOfService = bench.append(topic, 'more').error !== 0
    if (isOutOfService) assert.ok(bench.log(topic).isFailed && isLogOf(topic, path), topic)
    else await bench.log(topic).sync()
  }
  await bench.store.close().catch((error: unknown) => assert.ok(error instanceof StorageError))
  const kind = /[a-z_]+$/.exec(path)![0]
  return bench.said().length > 0 ? `${kind} said` : `${kind} unseen`
}

describe('log under flipped bits', () => {
  for (const isClean of [true, false]) {
    const how = isClean ? 'an orderly stop' : 'the end of the process'
    it(`never serves what one of ${FLIPS / 2} random flips made, after ${how}`, async () => {
      const { files, before } = await template(isClean)
      const seen = new Map<string, number>()
      for (let seed = 0; seed < FLIPS / 2; seed++) {
        try {
          const kind = await flipOne(seed, files, before)
          seen.set(kind, (seen.get(kind) ?? 0) + 1)
        } catch (error) {
          throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
        }
      }
      for (const kind of KINDS) assert.ok((seen.get(`${kind} said`) ?? 0) > 0, `${kind} is met`)
    }).timeout(60_000)
  }
})
