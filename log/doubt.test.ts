import assert from 'node:assert/strict'
import { StorageError } from '../base/errors.ts'
import { SILENT } from '../base/logger.ts'
import { SimClock } from '../base/sim/clock.ts'
import { SimDisk } from '../base/sim/disk.ts'
import { SimRandom } from '../base/sim/random.ts'
import { Scheduler } from '../base/sim/scheduler.ts'
import { DEFAULT_LOG_CONFIG } from './config.ts'
import { AppendOutcome, PartitionLog, ReadPlan } from './partition-log.ts'
import { LogProbe } from './probe.ts'
import { decodeBatches, encodeBatch } from './records.ts'

const DIRECTORY = 'data/t-0'

function open(disk: SimDisk, isCleanShutdown = false): Promise<PartitionLog> {
  const clock = new SimClock(new Scheduler())
  return PartitionLog.open({
    directory: DIRECTORY,
    topic: 't',
    partition: 0,
    config: { ...DEFAULT_LOG_CONFIG, segmentBytes: 2048 },
    recoveryPoint: 0,
    logStartOffset: 0,
    isCleanShutdown,
    parts: { disk, clock, logger: SILENT, probe: new LogProbe(), maybe: () => false },
  })
}

function append(log: PartitionLog, values: readonly string[]): void {
  const records = values.map((value) => {
    return { timestampMs: 1, key: null, value: Buffer.from(value) }
  })
  const batch = encodeBatch(records)
  const outcome = new AppendOutcome()
  const context = { leaderEpoch: 1, nowMs: 1, origin: 'client' as const, allowsZstd: true }
  log.append(batch, 0, batch.length, context, outcome)
  assert.equal(outcome.error, 0)
  log.write()
}

function valuesOf(log: PartitionLog): string[] {
  const values: string[] = []
  const target = Buffer.alloc(65_536)
  const plan = new ReadPlan()
  for (let next = log.logStartOffset; next < log.logEndOffset; next = plan.nextOffset) {
    log.locate(next, log.logEndOffset, plan)
    const length = log.copy(plan, log.logEndOffset, target, 0, target.length)
    for (const { value } of decodeBatches(target, 0, length)) values.push(value!.toString())
  }
  return values
}

describe('log/doubt', () => {
  for (let seed = 0; seed < 20; seed++) {
    it(`what a failed sync left in the page cache is durable after the next start, seed ${seed}`, async () => {
      const disk = new SimDisk({ random: new SimRandom(seed) })
      disk.makeDirectory('data')
      await disk.syncDirectory('')
      let log = await open(disk)
      append(log, ['a', 'b'])
      await log.sync()
      append(log, ['c'.repeat(900), 'd'.repeat(900)])
      append(log, ['e'.repeat(900)])
      disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined)
      await assert.rejects(log.sync(), StorageError)
      disk.fault = () => undefined
      disk.killProcess()

      log = await open(disk, seed % 2 === 0)
      append(log, ['f'])
      await log.sync()
      const before = valuesOf(log)
      assert.equal(before.length, 6)
      disk.powerLoss()

      log = await open(disk)
      assert.deepEqual(valuesOf(log), before)
      assert.equal(disk.exists(`${DIRECTORY}/sync-failed`), false)
      await log.close()
    })
  }

  it('a sync that fails while a log is opened is not forgotten either', async () => {
    const disk = new SimDisk({ random: new SimRandom(1) })
    disk.makeDirectory('data')
    await disk.syncDirectory('')
    append(await open(disk), ['a', 'b'])
    disk.killProcess()
    disk.fault = (operation, path) => {
      return operation === 'sync' && path.endsWith('.log') ? 'EIO' : undefined
    }
    await assert.rejects(open(disk), StorageError)
    disk.fault = () => undefined
    disk.killProcess()
    const log = await open(disk)
    assert.deepEqual(valuesOf(log), ['a', 'b'])
    disk.powerLoss()
    assert.deepEqual(valuesOf(await open(disk)), ['a', 'b'])
  })
})
