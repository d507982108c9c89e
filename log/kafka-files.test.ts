import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { SILENT } from '../base/logger.ts'
import { SimClock } from '../base/sim/clock.ts'
import { SimDisk } from '../base/sim/disk.ts'
import { SimRandom } from '../base/sim/random.ts'
import { Scheduler } from '../base/sim/scheduler.ts'
import { DEFAULT_LOG_CONFIG } from './config.ts'
import { PartitionLog, ReadPlan } from './partition-log.ts'
import { LogProbe } from './probe.ts'
import { decodeSnapshot, encodeSnapshot } from './producer-snapshot.ts'
import { Producers } from './producers.ts'
import { decodeBatches } from './records.ts'

/** Directories of partitions as a broker of Apache Kafka 4.3.1 left them. */
const KAFKA = fileURLToPath(new URL('../../log/testdata/kafka-4.3.1', import.meta.url))
const TRANSACTIONS = 'transactions-0'
const LZ4 = 'lz4-0'
const EVERYTHING = Number.MAX_SAFE_INTEGER

function kafkaFile(directory: string, name: string): Buffer {
  return readFileSync(`${KAFKA}/${directory}/${name}`)
}

async function openCopy(directory: string): Promise<{ log: PartitionLog; disk: SimDisk }> {
  const disk = new SimDisk({ random: new SimRandom(1) })
  disk.makeDirectory(directory)
  for (const name of readdirSync(`${KAFKA}/${directory}`)) {
    const content = kafkaFile(directory, name)
    disk.open(`${directory}/${name}`, 'new').write(content, 0, content.length, 0)
  }
  const log = await PartitionLog.open({
    directory,
    topic: directory.slice(0, -2),
    partition: 0,
    config: DEFAULT_LOG_CONFIG,
    recoveryPoint: -1,
    logStartOffset: 0,
    isCleanShutdown: false,
    parts: {
      disk,
      clock: new SimClock(new Scheduler()),
      logger: SILENT,
      probe: new LogProbe(),
      maybe: () => false,
    },
  })
  return { log, disk }
}

function valuesOf(log: PartitionLog): string[] {
  const plan = new ReadPlan()
  log.locate(0, EVERYTHING, plan)
  const target = Buffer.alloc(10_000)
  const length = log.copy(plan, EVERYTHING, target, 0, target.length)
  return decodeBatches(target, 0, length).map(({ value }) => String(value))
}

describe("log over Kafka's files", () => {
  it('reads a partition with transactions, and writes the files that Kafka wrote', async () => {
    const { log, disk } = await openCopy(TRANSACTIONS)
    assert.equal(log.logEndOffset, 4)
    assert.deepEqual(log.damage, [])
    assert.deepEqual(valuesOf(log), ['abort', 'commit'])
    assert.deepEqual(log.abortedTransactions(0, 4), [{ producerId: 12, firstOffset: 0 }])
    assert.deepEqual(log.abortedTransactions(2, 4), [])
    assert.equal(log.activeProducers()[0]!.producerEpoch, 2)
    await log.close()
    for (const name of readdirSync(`${KAFKA}/${TRANSACTIONS}`)) {
      const ours = disk.readFile(`${TRANSACTIONS}/${name}`)
      assert.equal(ours.toString('hex'), kafkaFile(TRANSACTIONS, name).toString('hex'), name)
    }
  })

  it('reads a partition of an idempotent producer, and knows its last batch', async () => {
    const { log, disk } = await openCopy(LZ4)
    assert.equal(log.logEndOffset, 500)
    assert.equal(valuesOf(log).length, 500)
    const [producer] = log.activeProducers()
    assert.equal(producer?.lastSequence, 499)
    await log.close()
    for (const name of ['00000000000000000000.timeindex', '00000000000000000500.snapshot']) {
      const ours = disk.readFile(`${LZ4}/${name}`)
      assert.equal(ours.toString('hex'), kafkaFile(LZ4, name).toString('hex'), name)
    }
  })

  it("decodes and encodes Kafka's producer snapshots", () => {
    for (const [directory, name] of [
      [TRANSACTIONS, '00000000000000000004.snapshot'],
      [LZ4, '00000000000000000500.snapshot'],
    ] as const) {
      const bytes = kafkaFile(directory, name)
      const producers = new Producers()
      assert.ok(decodeSnapshot(bytes, producers, 0), name)
      assert.equal(producers.size, 1)
      assert.equal(encodeSnapshot(producers).toString('hex'), bytes.toString('hex'))
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const flipped = Buffer.from(bytes)
        flipped[bit >> 3]! ^= 1 << (bit & 7)
        assert.ok(!decodeSnapshot(flipped, new Producers(), 0), `bit ${bit}`)
      }
    }
  })
})
