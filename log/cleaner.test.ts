import assert from 'node:assert/strict'
import type { Clock } from '../base/clock.ts'
import { CorruptionError } from '../base/errors.ts'
import { SimRandom } from '../base/sim/random.ts'
import { Cleaner, type CleanerCheckpoint } from './cleaner.ts'
import { MemoryLog } from './cleaner-fixture.ts'
import { CODECS } from './compression.ts'
import { ATTRIBUTES_AT, DELETE_HORIZON_BIT } from './format.ts'

const NOW_MS = 1_700_000_000_000
const DAY_MS = 86_400_000

/** Time goes on by a step with each look, and timers fire at once. */
class SteppingClock implements Clock {
  rests = 0
  #monotonicMs = 0
  readonly #stepMs: number

  constructor(stepMs = 0) {
    this.#stepMs = stepMs
  }

  nowMs(): number {
    return NOW_MS
  }

  monotonicMs(): number {
    this.#monotonicMs += this.#stepMs
    return this.#monotonicMs
  }

  after(_delayMs: number, run: () => void) {
    this.rests++
    this.soon(run)
    return { cancel() {} }
  }

  soon(run: () => void): void {
    void Promise.resolve().then(run)
  }
}

class Checkpoint implements CleanerCheckpoint {
  offset: number | undefined = undefined

  firstDirtyOffset(): number | undefined {
    return this.offset
  }

  setFirstDirtyOffset(_topic: string, _partition: number, offset: number): void {
    this.offset = offset
  }
}

function setUp(options: { mapBytesMax?: number; stepMs?: number } = {}) {
  const { stepMs, ...rest } = options
  const clock = new SteppingClock(stepMs)
  const checkpoint = new Checkpoint()
  const cleaner = new Cleaner({ clock, checkpoint, ...rest })
  return { clock, checkpoint, cleaner, log: new MemoryLog() }
}

const valuesOf = (log: MemoryLog) =>
  log.records().map(({ offset, key, value }) => `${offset} ${key}=${value ?? 'null'}`)

describe('log/cleaner', () => {
  it('keeps the newest record of each key at its offset', async () => {
    const { cleaner, log, checkpoint } = setUp()
    log.append(['a', '1'], ['b', '1'], ['a', '2'])
    log.append(['c', '1'])
    log.roll()
    log.append(['b', '2'], ['d', '1'])
    log.roll()
    log.append(['a', '3'])
    const result = await cleaner.clean(log, NOW_MS)
    assert.equal(result.isComplete, true)
    assert.equal(result.keptRecords, 4)
    assert.equal(result.droppedRecords, 2)
    // The active segment does not count: a=2 stays although a=3 is there.
    assert.deepEqual(valuesOf(log), ['2 a=2', '3 c=1', '4 b=2', '5 d=1', '6 a=3'])
    assert.equal(checkpoint.offset, 6)
    assert.equal(log.closedSegments().length, 1, 'small segments are joined')
    assert.deepEqual(log.unfinished, [])
  })

  it('keeps base and last offset, epoch and timestamps of a batch that loses records', async () => {
    const { cleaner, log } = setUp()
    log.append(['a', '1'], ['b', '1'], ['a', '2'])
    log.append(['b', '2'])
    log.roll()
    const [before] = log.headers()
    await cleaner.clean(log, NOW_MS)
    const [after] = log.headers()
    assert.equal(after?.baseOffset, before?.baseOffset)
    assert.equal(after?.lastOffset, before?.lastOffset)
    assert.equal(after?.leaderEpoch, before?.leaderEpoch)
    assert.equal(after?.recordCount, 1)
    assert.deepEqual(
      log.records().map(({ timestampMs }) => timestampMs),
      [log.timestampOf(2), log.timestampOf(3)],
    )
  })

  for (const codec of CODECS) {
    it(`compacts batches in ${codec}`, async () => {
      const { cleaner, log } = setUp()
      log.compression = codec
      for (let i = 0; i < 20; i++) log.append(...many(`${i}`, 50))
      log.roll()
      await cleaner.clean(log, NOW_MS)
      const values = log.records().map(({ value }) => value?.toString())
      assert.deepEqual(values, Array(50).fill('19'))
    })
  }

  it('drops records without a key', async () => {
    const { cleaner, log } = setUp()
    log.append([null, 'x'], ['a', '1'])
    log.roll()
    await cleaner.clean(log, NOW_MS)
    assert.deepEqual(valuesOf(log), ['1 a=1'])
  })

  it('keeps a tombstone until deleteRetentionMs after the pass that saw it first', async () => {
    const { cleaner, log } = setUp()
    log.append(['a', '1'], ['b', '1'])
    log.append(['a', null])
    log.roll()
    await cleaner.clean(log, NOW_MS)
    assert.deepEqual(valuesOf(log), ['1 b=1', '2 a=null'])
    const batch = log.batches().at(-1)!
    assert.notEqual(batch[ATTRIBUTES_AT + 1]! & DELETE_HORIZON_BIT, 0)
    assert.equal(log.headers().at(-1)!.deleteHorizonMs, NOW_MS + DAY_MS)
    assert.equal(log.records().at(-1)!.timestampMs, log.timestampOf(2))

    log.append(['c', '1'])
    log.roll()
    await cleaner.clean(log, NOW_MS + DAY_MS - 1)
    assert.deepEqual(valuesOf(log), ['1 b=1', '2 a=null', '3 c=1'])
    log.append(['d', '1'])
    log.roll()
    await cleaner.clean(log, NOW_MS + DAY_MS)
    assert.deepEqual(valuesOf(log), ['1 b=1', '3 c=1', '4 d=1'])
  })

  it('keeps an append time that the batch has', async () => {
    const { cleaner, log } = setUp()
    log.appendWith({ logAppendTimeMs: 777 }, ['a', '1'], ['b', '1'])
    log.append(['a', '2'])
    log.roll()
    await cleaner.clean(log, NOW_MS)
    assert.equal(log.records()[0]!.timestampMs, 777)
  })

  it('drops aborted data at once, and the marker a horizon after its data', async () => {
    const { cleaner, log } = setUp()
    log.append(['a', '1'])
    log.appendTransactional(5, ['a', '2'], ['b', '2'])
    log.endTransaction(5, false)
    log.roll()
    await cleaner.clean(log, NOW_MS)
    assert.deepEqual(valuesOf(log), ['0 a=1'])
    assert.deepEqual(log.markers(), [3], 'its data was there when the pass began')
    assert.equal(log.abortedRanges(0, 100).length, 1)

    log.append(['c', '1'])
    log.roll()
    await cleaner.clean(log, NOW_MS)
    assert.deepEqual(log.markers(), [3])
    assert.equal(log.headers()[1]!.deleteHorizonMs, NOW_MS + DAY_MS)
    log.append(['d', '1'])
    log.roll()
    await cleaner.clean(log, NOW_MS + DAY_MS)
    assert.deepEqual(log.markers(), [])
    assert.deepEqual(valuesOf(log), ['0 a=1', '4 c=1', '5 d=1'])
  })

  it('keeps a commit marker as long as data of its transaction is there', async () => {
    const { cleaner, log } = setUp()
    log.appendTransactional(5, ['a', '1'])
    log.endTransaction(5, true)
    log.roll()
    await cleaner.clean(log, NOW_MS)
    log.append(['b', '1'])
    log.roll()
    await cleaner.clean(log, NOW_MS + 9 * DAY_MS)
    assert.deepEqual(log.markers(), [1])
    log.append(['a', '2'])
    log.roll()
    await cleaner.clean(log, NOW_MS + 10 * DAY_MS) // a=1 goes
    for (const day of [11, 13]) {
      assert.deepEqual(log.markers(), [1])
      log.append(['c', `${day}`])
      log.roll()
      await cleaner.clean(log, NOW_MS + day * DAY_MS) // gets its horizon, then goes
    }
    assert.deepEqual(log.markers(), [])
  })

  it('keeps an empty batch for the last sequence of an active producer', async () => {
    const { cleaner, log } = setUp()
    log.appendWith({ producerId: 9, producerEpoch: 2, baseSequence: 4 }, ['a', '1'], ['b', '1'])
    log.append(['a', '2'], ['b', '2'])
    log.roll()
    log.producers.set(9, { producerEpoch: 2, lastDataOffset: 1 })
    await cleaner.clean(log, NOW_MS)
    const [header] = log.headers()
    assert.equal(header?.recordCount, 0)
    assert.equal(header?.baseOffset, 0)
    assert.equal(header?.lastOffset, 1)
    assert.equal(header?.producerId, 9)
    assert.equal(header?.producerEpoch, 2)
    assert.equal(header?.baseSequence, 4)
    log.producers.clear()
    log.append(['c', '1'])
    log.roll()
    await cleaner.clean(log, NOW_MS)
    assert.equal(log.headers()[0]!.baseOffset, 2, 'an expired producer needs no batch')
  })

  it('cleans a log of more keys than the map holds in several passes', async () => {
    const { cleaner, log, checkpoint } = setUp({ mapBytesMax: 1 })
    for (let i = 0; i < 60; i++) log.append(...many('1', 50, i * 50))
    for (let i = 0; i < 60; i++) log.append(...many('2', 50, i * 50))
    log.roll()
    let passes = 0
    while (cleaner.need(log, NOW_MS).dirtyBytes > 0) {
      const before = checkpoint.offset ?? 0
      await cleaner.clean(log, NOW_MS)
      assert.ok(checkpoint.offset! > before)
      passes++
    }
    assert.ok(passes > 2)
    const values = log.records().map(({ value }) => value?.toString())
    assert.deepEqual(values, Array(3000).fill('2'))
  })

  it('steps over a batch of more keys than the map holds', async () => {
    const { cleaner, log } = setUp({ mapBytesMax: 1 })
    log.append(...many('1', 3000))
    log.append(['key 0', '2'])
    log.roll()
    while (cleaner.need(log, NOW_MS).dirtyBytes > 0) await cleaner.clean(log, NOW_MS)
    assert.equal(log.records().length, 3000)
    assert.equal(log.records().at(-1)!.value?.toString(), '2')
  })

  it('joins segments as far as one may grow', async () => {
    const { cleaner, log } = setUp()
    for (let i = 0; i < 10; i++) {
      log.append(...many(`${i}`, 30, i * 30))
      log.roll()
    }
    const sizeBytes = log.closedSegments().at(-1)!.sizeBytes
    log.config = { ...log.config, segmentBytes: 3 * sizeBytes + 100 }
    await cleaner.clean(log, NOW_MS)
    const bases = log.closedSegments().map(({ baseOffset }) => baseOffset)
    assert.deepEqual(bases, [0, 90, 180, 270])
    assert.equal(log.records().length, 300)
  })

  it('says what is due: ratio, age, lag and what may be cleaned', async () => {
    const { cleaner, log, checkpoint } = setUp()
    assert.equal(cleaner.need(log, NOW_MS).isDue, false)
    for (let i = 0; i < 4; i++) {
      log.append(['a', 'x'.repeat(100)])
      log.roll()
    }
    assert.deepEqual(pick(cleaner.need(log, NOW_MS)), [true, 1, 0, 4])
    checkpoint.offset = 2
    assert.deepEqual(pick(cleaner.need(log, NOW_MS)), [false, 0.5, 2, 4], 'not above 0.5')
    log.config = { ...log.config, minCleanableDirtyRatio: 0.4 }
    assert.deepEqual(pick(cleaner.need(log, NOW_MS)), [true, 0.5, 2, 4])
    log.limit = 3
    assert.equal(cleaner.need(log, NOW_MS).endOffset, 3)
    log.limit = 2
    assert.equal(cleaner.need(log, NOW_MS).isDue, false)
    log.limit = undefined
    log.config = { ...log.config, minCleanableDirtyRatio: 0.9 }
    const now = log.timestampOf(2)
    const young = { ...log.config, maxCompactionLagMs: 100 }
    log.config = young
    assert.equal(cleaner.need(log, now + 100).isDue, false)
    assert.equal(cleaner.need(log, now + 101).isDue, true)
    log.config = { ...young, minCompactionLagMs: now }
    assert.equal(cleaner.need(log, now).endOffset, 2, 'too young')
    checkpoint.offset = 99
    assert.equal(cleaner.need(log, NOW_MS).firstDirtyOffset, 0, 'not an offset of this log')
  })

  it('gives up when the log changes under it', async () => {
    const { cleaner, log, checkpoint } = setUp()
    log.append(['a', '1'], ['a', '2'])
    log.roll()
    log.refusesReplace = true
    const result = await cleaner.clean(log, NOW_MS)
    assert.equal(result.isComplete, false)
    assert.equal(checkpoint.offset, undefined)
    log.refusesReplace = false
    log.losesSegment = true
    assert.equal((await cleaner.clean(log, NOW_MS)).isComplete, false)
    assert.deepEqual(log.unfinished, [])
  })

  it('stops at damaged bytes and leaves the log as it was', async () => {
    const { cleaner, log, checkpoint } = setUp()
    log.append(['a', '1'], ['a', '2'])
    log.append(['b', '1'])
    log.roll()
    const segment = log.closedSegments()[0]!
    log.flip(segment, segment.sizeBytes - 3)
    await assert.rejects(cleaner.clean(log, NOW_MS), (error) => {
      return error instanceof CorruptionError && error.message.includes('segment 0')
    })
    assert.equal(log.closedSegments()[0], segment)
    assert.equal(checkpoint.offset, undefined)
    assert.deepEqual(log.unfinished, [])
  })

  it('works in slices', async () => {
    const { cleaner, log, clock } = setUp({ stepMs: 0.1 })
    for (let i = 0; i < 30; i++) log.append(...many(`${i}`, 400))
    log.roll()
    await cleaner.clean(log, NOW_MS)
    // 24,000 records with a look each 64, and a rest each 20 looks.
    assert.ok(clock.rests >= 10, `${clock.rests}`)
  })

  it('leaves what a reader of committed records would have seen at the end', async () => {
    const seed = String(process.hrtime.bigint())
    for (let run = 0; run < 25; run++) await compareWithModel(`${seed}/${run}`)
  })

  it('does the work of one batch, or writes 32 KiB, between two yields at the most', async () => {
    const { clock, cleaner, log } = setUp({ stepMs: 3 })
    const writes: { bytes: number; rests: number }[] = []
    const start = log.startCleaned.bind(log)
    log.startCleaned = (baseOffset) => {
      const cleaned = start(baseOffset)
      const append = cleaned.append.bind(cleaned)
      cleaned.append = (source, from, to) => {
        writes.push({ bytes: to - from, rests: clock.rests })
        append(source, from, to)
      }
      return cleaned
    }
    const SMALL = 600
    for (let i = 0; i < SMALL; i++) log.append([`small-${i}`, 'v'.repeat(200)])
    const RECORDS = 512
    // Every second record is outdated by the next batch: each batch is made anew.
    for (let batch = 0; batch < 4; batch++) {
      const key = (i: number) => (i % 2 === 0 ? `key-${i}` : `key-${batch}-${i}`)
      const records = Array.from({ length: RECORDS }, (_, i) => [key(i), 'v'.repeat(200)] as const)
      log.append(...records)
    }
    log.roll()
    assert.ok((await cleaner.clean(log, NOW_MS)).isComplete)
    const large = writes.filter(({ bytes }) => bytes > 32_768)
    const small = writes.filter(({ bytes }) => bytes <= 32_768)
    assert.equal(large.length, 4, 'a batch is written as a whole')
    assert.ok(small.length >= 4)
    // One look after the check of a batch, one before its records, one behind it.
    const perSmall = 3
    const smallBytes = small.reduce((sum, { bytes }) => sum + bytes, 0)
    for (const [i, write] of small.entries()) {
      const before = small[i - 1]
      if (before === undefined) continue
      const batches = Math.floor((write.bytes * SMALL) / smallBytes)
      assert.ok(write.rests - before.rests >= perSmall * (batches - 1), `write ${i}`)
    }
    // And one after each 64 records, and one before it is put together.
    const gaps = large.slice(1).map(({ rests }, i) => rests - large[i]!.rests)
    assert.ok(
      gaps.every((gap) => gap >= RECORDS / 64 + 2),
      `${gaps}`,
    )
  })
})

/** Random writes, transactions, rolls and passes: the newest committed value of each key stays. */
async function compareWithModel(seed: string): Promise<void> {
  const random = new SimRandom(seed)
  const { cleaner, log } = setUp({ mapBytesMax: 1 })
  log.config = { ...log.config, deleteRetentionMs: random.below(5) }
  let nowMs = NOW_MS
  const open = new Set<number>()
  for (let step = 0; step < 120; step++) {
    const batch = many(`${step}`, 1 + random.below(4), random.below(12))
    const records = batch.map(([key]) => [key, random.below(4) === 0 ? null : `${step}`] as const)
    log.compression = CODECS[random.below(CODECS.length)]!
    const producer = 1 + random.below(3)
    const dice = random.below(20)
    if (dice < 8) log.append(...records)
    else if (dice < 13) {
      log.appendTransactional(producer, ...records)
      open.add(producer)
    } else if (dice < 16 && open.delete(producer)) {
      log.endTransaction(producer, random.below(2) === 0)
    } else if (dice < 18) log.roll()
    else {
      nowMs += random.below(4)
      const before = log.committed(log.cleanableLimit())
      const history = new Map(log.records().map((record) => [record.offset, record]))
      const limit = log.cleanableLimit()
      const result = await cleaner.clean(log, nowMs)
      assert.ok(result.isComplete)
      assert.deepEqual(log.committed(limit), before, `seed ${seed}, step ${step}`)
      for (const record of log.records()) {
        assert.deepEqual(record, history.get(record.offset), `seed ${seed}, step ${step}`)
      }
      log.checkStructure()
    }
  }
}

function many(value: string, count: number, from = 0): [string, string][] {
  return Array.from({ length: count }, (_, i) => [`key ${from + i}`, value])
}

function pick(need: ReturnType<Cleaner['need']>) {
  return [need.isDue, need.dirtyRatio, need.firstDirtyOffset, need.endOffset]
}
