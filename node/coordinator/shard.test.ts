import assert from 'node:assert/strict'
import { SILENT } from '../../base/logger.ts'
import { SimClock } from '../../base/sim/clock.ts'
import { Scheduler } from '../../base/sim/scheduler.ts'
import { Turn } from '../../base/turn.ts'
import { encodeBatch } from '../../log/records.ts'
import { type Decision, UNCHANGED } from './decision.ts'
import { MemoryLog, MemoryPartition } from './memory-log.ts'
import { CoordinatorProbe } from './probe.ts'
import { Shard, type ShardPort, type StateMachine } from './shard.ts'

/** A map of counters: each record sets one. */
class Counters implements StateMachine<[string, number]> {
  readonly values = new Map<string, number>()
  isActive = false
  deactivatedWith = 0
  readonly port: ShardPort<[string, number]>
  constructor(port: ShardPort<[string, number]>) {
    this.port = port
  }
  replay([name, value]: [string, number]): void {
    this.values.set(name, value)
  }
  activate(): void {
    this.isActive = true
  }
  deactivate(error: number): void {
    this.deactivatedWith = error
  }
  /** Decides without changing anything. */
  add(name: string): Decision<number, [string, number]> {
    const value = (this.values.get(name) ?? 0) + 1
    return { records: [[name, value]], response: value }
  }
}

const refuse = (error: number) => -1000 - error

function setUp() {
  const scheduler = new Scheduler()
  const clock = new SimClock(scheduler)
  const probe = new CoordinatorProbe()
  const partition = new MemoryPartition()
  const log = new MemoryLog(partition, 1, clock)
  const shard = new Shard<Counters, [string, number]>(0, {
    clock,
    turn: new Turn(clock),
    logger: SILENT,
    probe,
    appendTimeoutMs: 5000,
    makeState: (port) => new Counters(port),
    codec: {
      encode: ([name, value]) => ({ key: Buffer.from(name), value: Buffer.from(String(value)) }),
      decode: (key, value) =>
        key.toString() === 'alien' ? undefined : [key.toString(), Number(value)],
    },
  })
  const load = async () => {
    shard.lead(log)
    await scheduler.runUntil(() => shard.phase === 'active', 10_000)
  }
  const add = (name: string) => Promise.resolve(shard.perform((state) => state.add(name), refuse))
  const read = (name: string) =>
    Promise.resolve(shard.read((state) => state.values.get(name) ?? 0, refuse))
  return { scheduler, clock, probe, partition, log, shard, load, add, read }
}

describe('a coordinator shard', () => {
  it('refuses with 16 until it leads, with 14 while it loads', async () => {
    const { scheduler, shard, log, add } = setUp()
    assert.equal(await add('a'), refuse(16))
    shard.lead(log)
    assert.equal(await add('a'), refuse(14))
    await scheduler.runUntil(() => shard.phase === 'active', 1000)
    assert.equal(await scheduler.complete(add('a')), 1)
    shard.resign()
    assert.equal(await add('a'), refuse(16))
  })

  it('gathers the writes of a turn in one batch, and answers when it is replicated', async () => {
    const { scheduler, log, load, add, shard } = setUp()
    await load()
    log.replicationMs = 20
    const answers: number[] = []
    const startedMs = scheduler.nowMs
    for (let i = 0; i < 1000; i++) void add(`c${i % 10}`).then((value) => answers.push(value))
    assert.equal(shard.state!.values.get('c0'), 100, 'replayed at once')
    await scheduler.runUntil(() => answers.length === 1000, 1000)
    assert.equal(log.appends, 1)
    assert.equal(scheduler.nowMs - startedMs, 20)
  })

  it('keeps batches within the limit of the log', async () => {
    const { scheduler, log, load, add, partition } = setUp()
    await load()
    log.maxBatchBytes = 1000
    const all = Promise.all(Array.from({ length: 200 }, () => add('counter')))
    assert.deepEqual(
      await scheduler.complete(all),
      Array.from({ length: 200 }, (_, i) => i + 1),
    )
    assert.ok(log.appends > 5 && log.appends < 20, `${log.appends}`)
    for (const batch of partition.batches) assert.ok(batch.length <= 1000)
  })

  it('refuses what can never fit, and a decision that must not be split', async () => {
    const { scheduler, log, load, shard, add } = setUp()
    await load()
    log.maxBatchBytes = 500
    assert.equal(await add('x'.repeat(600)), refuse(-1))
    const many = Array.from({ length: 50 }, (_, i): [string, number] => [`n${i}`, i])
    const decide = () => ({ records: many, response: 7, isAtomic: true })
    assert.equal(await shard.perform(decide, refuse), refuse(-1))
    assert.equal(shard.state!.values.size, 0)
    const split = Promise.resolve(shard.perform(() => ({ records: many, response: 7 }), refuse))
    assert.equal(await scheduler.complete(split), 7)
    assert.ok(log.appends > 1)
  })

  it('has the same state after a restart', async () => {
    const { scheduler, log, load, add, shard, read, partition, clock } = setUp()
    await load()
    for (let i = 0; i < 300; i++) await scheduler.complete(add(`c${i % 7}`))
    const before = new Map(shard.state!.values)
    shard.resign()
    const next = new MemoryLog(partition, 2, clock)
    assert.ok(log.leaderEpoch < next.leaderEpoch)
    shard.lead(next)
    await scheduler.runUntil(() => shard.phase === 'active', 1000)
    assert.deepEqual(shard.state!.values, before)
    assert.equal(await scheduler.complete(read('c0')), before.get('c0'))
  })

  it('leaves out records that it does not know', async () => {
    const { partition, probe, load, shard } = setUp()
    const alien = { timestampMs: 0, key: Buffer.from('alien'), value: null }
    const keyless = { timestampMs: 0, key: null, value: Buffer.from('x') }
    const known = { timestampMs: 0, key: Buffer.from('a'), value: Buffer.from('5') }
    partition.batches.push(encodeBatch([alien, keyless, known]))
    partition.highWatermark = 3
    await load()
    assert.deepEqual([...shard.state!.values], [['a', 5]])
    assert.equal(probe.recordsSkipped, 1)
  })

  it('is not active before all that it has loaded is replicated', async () => {
    const { scheduler, log, shard, partition } = setUp()
    const record = { timestampMs: 0, key: Buffer.from('a'), value: Buffer.from('5') }
    partition.batches.push(encodeBatch([record]))
    log.hold()
    shard.lead(log)
    await scheduler.runFor(10_000)
    assert.equal(shard.phase, 'loading')
    log.release()
    await scheduler.runUntil(() => shard.phase === 'active', 1000)
  })

  it('makes reads wait for the writes that they see', async () => {
    const { scheduler, log, load, add, read } = setUp()
    await load()
    log.hold()
    const written = add('a')
    const seen = read('a')
    let isSeen = false
    void seen.then(() => {
      isSeen = true
    })
    await scheduler.runFor(1000)
    assert.equal(isSeen, false)
    log.release()
    assert.equal(await scheduler.complete(seen), 1)
    assert.equal(await scheduler.complete(written), 1)
  })

  it('answers 15 when replication takes too long, and keeps the state', async () => {
    const { scheduler, log, load, add, read, shard } = setUp()
    await load()
    log.hold()
    const startedMs = scheduler.nowMs
    assert.equal(await scheduler.complete(add('a')), refuse(15))
    assert.ok(scheduler.nowMs - startedMs >= 5000)
    assert.equal(await read('a'), refuse(15), 'reads do not wait for ever either')
    log.release()
    await scheduler.runFor(10)
    assert.equal(await scheduler.complete(read('a')), 1)
    assert.equal(shard.phase, 'active')
  })

  it('changes nothing when the log refuses beforehand', async () => {
    const { load, add, log, shard, probe } = setUp()
    await load()
    log.refusalCode = 19
    assert.equal(await add('a'), refuse(15))
    log.refusalCode = 56
    assert.equal(await add('a'), refuse(16))
    log.refusalCode = 0
    assert.equal(shard.state!.values.size, 0)
    assert.equal(shard.phase, 'active')
    assert.equal(probe.appendsFailed, 2)
  })

  it('loads again when an append fails that was replayed', async () => {
    const { scheduler, load, add, log, shard, read } = setUp()
    await load()
    assert.equal(await scheduler.complete(add('a')), 1)
    const old = shard.state!
    log.nextAppendError = 56
    const lost = [add('a'), add('a')]
    assert.equal(old.values.get('a'), 3)
    assert.deepEqual(await scheduler.complete(Promise.all(lost)), [refuse(16), refuse(16)])
    assert.equal(old.deactivatedWith, 16)
    assert.equal(await add('a'), refuse(14))
    await scheduler.runUntil(() => shard.phase === 'active', 1000)
    assert.equal(await scheduler.complete(read('a')), 1)
  })

  it('loads again when records are lost on their way', async () => {
    const { scheduler, load, add, log, shard, read } = setUp()
    await load()
    await scheduler.complete(add('a'))
    log.hold()
    const lost = add('a')
    await scheduler.runFor(10)
    log.lose(56)
    assert.equal(await scheduler.complete(lost), refuse(16))
    log.release()
    await scheduler.runUntil(() => shard.phase === 'active', 1000)
    assert.equal(await scheduler.complete(read('a')), 1)
  })

  it('waits longer each time before it loads again', async () => {
    const { scheduler, load, add, log, shard } = setUp()
    await load()
    const waitsMs: number[] = []
    for (let i = 0; i < 8; i++) {
      log.nextAppendError = 56
      const startedMs = scheduler.nowMs
      await scheduler.complete(add('a'))
      await scheduler.runUntil(() => shard.phase === 'active', 10_000)
      waitsMs.push(Math.floor((scheduler.nowMs - startedMs) / 100) * 100)
    }
    assert.deepEqual(waitsMs, [100, 200, 400, 800, 1600, 3200, 5000, 5000])
  })

  it('ends with its leadership', async () => {
    const { scheduler, load, add, log, shard } = setUp()
    await load()
    log.hold()
    const lost = add('a')
    await scheduler.runFor(1)
    log.depose()
    assert.equal(await scheduler.complete(lost), refuse(16))
    assert.equal(shard.phase, 'unloaded')
    shard.resign()
    await scheduler.runFor(10_000)
    assert.equal(shard.phase, 'unloaded')
  })

  it('ignores an older epoch, and the same one twice', async () => {
    const { load, shard, partition, clock } = setUp()
    await load()
    const state = shard.state
    shard.lead(new MemoryLog(partition, 0, clock))
    shard.lead(new MemoryLog(partition, 1, clock))
    assert.equal(shard.state, state)
  })

  it('says so when its log can not be read, and tries again', async () => {
    const { scheduler, log, shard, probe, partition } = setUp()
    const record = { timestampMs: 0, key: Buffer.from('a'), value: Buffer.from('5') }
    partition.batches.push(encodeBatch([record]))
    partition.highWatermark = 1
    const read = log.read.bind(log)
    let fails = 2
    log.read = (offset, limit) =>
      fails-- > 0 ? Promise.reject(new Error('EIO')) : read(offset, limit)
    shard.lead(log)
    await scheduler.runUntil(() => shard.phase === 'failed', 1000)
    assert.equal(shard.refusal, 16)
    await scheduler.runUntil(() => shard.phase === 'active', 1000)
    assert.equal(probe.loadsFailed, 2)
    assert.equal(shard.state!.values.get('a'), 5)
  })

  it('settles what is not replayed when it is kept, and only then', async () => {
    const { scheduler, load, shard, log } = setUp()
    await load()
    const settled: number[] = []
    const change = () => ({
      records: [['soft', 1] as [string, number]],
      response: undefined,
      isReplayed: false,
      settled: (error: number) => {
        settled.push(error)
        return UNCHANGED
      },
    })
    shard.change(change, () => assert.fail('active'))
    await scheduler.runFor(0)
    assert.deepEqual(settled, [])
    await scheduler.runFor(10)
    assert.deepEqual(settled, [0])
    assert.equal(shard.state!.values.has('soft'), false)
    const { state } = shard
    log.nextAppendError = 56
    shard.change(change, () => assert.fail('active'))
    await scheduler.runFor(10)
    assert.deepEqual(settled, [0, 16])
    assert.equal(shard.state, state, 'nothing was replayed, so nothing is lost')
  })

  it('keeps for later what comes while it loads', async () => {
    const { scheduler, load, shard, log, read } = setUp()
    shard.lead(log)
    shard.defer((state) => ({ ...state.add('later'), response: undefined }))
    await load()
    assert.equal(await scheduler.complete(read('later')), 1)
  })
})
