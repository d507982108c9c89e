/**
 * Damaged and unusual batches through the server into a real log: the client is told what Kafka
 * tells it, and what is stored comes back byte for byte. Where log/batch.ts is stricter than Kafka
 * (the list and its reasons are in log/batch.test.ts), the client is told what it says.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { SimDisk } from '../../base/sim/disk.ts'
import { SimRandom } from '../../base/sim/random.ts'
import { SimWorld } from '../../base/sim/world.ts'
import { BatchVerdict, checkBatch } from '../../log/batch.ts'
import {
  type AppendOutcome,
  DEFAULT_LOG_CONFIG,
  type LogConfig,
  PartitionLog,
  type ReadPlan,
} from '../../log/partition-log.ts'
import { LogProbe } from '../../log/probe.ts'
import type { ProduceOptions } from '../broker.ts'
import { FakePartition } from './testing/fake-partition.ts'
import { batchOf, Fixture } from './testing/fixture.ts'

interface Broken {
  readonly name: string
  readonly hex: string
  readonly verdict: {
    readonly error: string
    readonly stored?: string
    readonly recordErrors?: number[]
  }
}

const broken = readFileSync(
  new URL('../../../log/testdata/batches/broken.jsonl', import.meta.url),
  'utf8',
)
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Broken)

const NOW_MS = 1_700_000_002_000
const LEADER_EPOCH = 11
const ERRORS: Record<string, number> = {
  NONE: 0,
  UNKNOWN_SERVER_ERROR: -1,
  CORRUPT_MESSAGE: 2,
  INVALID_TIMESTAMP: 32,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 53,
  INVALID_RECORD: 87,
}

/** A partition over a log on a simulated disk. All that is appended is committed. */
class LoggedPartition extends FakePartition {
  readonly #log: PartitionLog

  constructor(log: PartitionLog) {
    super('orders', 'ERERERERERERERERAAAAAQ', 0)
    this.#log = log
  }

  static async create(config: Partial<LogConfig>): Promise<LoggedPartition> {
    const { clock, logger } = new SimWorld('broken').host('one').world
    const disk = new SimDisk({ random: new SimRandom('broken') })
    const parts = { clock, disk, logger, probe: new LogProbe(), maybe: () => false }
    await disk.makeDirectory('/data/orders-0')
    const log = PartitionLog.create({
      directory: '/data/orders-0',
      topic: 'orders',
      partition: 0,
      config: { ...DEFAULT_LOG_CONFIG, timestampAfterMaxMs: 3_600_000, ...config },
      parts,
      makeDurable: async () => {},
    })
    return new LoggedPartition(log)
  }

  override append(
    source: Buffer,
    start: number,
    end: number,
    { allowsZstd }: ProduceOptions,
    outcome: AppendOutcome,
  ): void {
    const context = {
      leaderEpoch: LEADER_EPOCH,
      nowMs: NOW_MS,
      origin: 'client',
      allowsZstd,
    } as const
    this.#log.append(source, start, end, context, outcome)
    this.#log.write()
    this.logEndOffset = this.#log.logEndOffset
    this.commit()
  }

  override locate(fromOffset: number, upTo: number, plan: ReadPlan): void {
    this.#log.locate(fromOffset, upTo, plan)
  }

  override copy(
    plan: ReadPlan,
    upTo: number,
    target: Buffer,
    at: number,
    limitBytes: number,
  ): number {
    return this.#log.copy(plan, upTo, target, at, limitBytes)
  }

  close(): Promise<void> {
    return this.#log.close()
  }
}

/** What a leader's log says of a batch; 0 when it takes it. */
function ownError(batch: Buffer): number {
  const verdict = new BatchVerdict()
  const rules = {
    maxMessageBytes: DEFAULT_LOG_CONFIG.maxMessageBytes,
    timestampType: 'CreateTime',
    timestampBeforeMaxMs: Number.MAX_SAFE_INTEGER,
    timestampAfterMaxMs: 3_600_000,
    requiresKey: false,
    compressionType: 'producer',
    allowsZstd: true,
    isClient: true,
  } as const
  checkBatch(Buffer.from(batch), 0, batch.length, rules, NOW_MS, verdict)
  return verdict.error
}

describe('kafka/server: broken batches', () => {
  for (const { name, hex, verdict } of broken) {
    it(`tells a client of ${name} what Kafka tells it`, async () => {
      const fixture = new Fixture()
      const isCompacted = name === 'compacted-topic-needs-key'
      const partition = await LoggedPartition.create({ isCompacted })
      fixture.data.add('orders', 1).partitions[0] = partition
      await fixture.start()
      const client = fixture.client()
      const produce = (records: Buffer) =>
        client.produce(11, {
          transactionalId: null,
          acks: -1,
          timeoutMs: 1000,
          topicData: [{ name: 'orders', partitionData: [{ index: 0, records }] }],
        }).responses[0]!.partitionResponses[0]!
      if (!isCompacted) assert.equal(produce(batchOf(2)).errorCode, 0)

      const batch = Buffer.from(hex, 'hex')
      const { errorCode, baseOffset, recordErrors = [] } = produce(Buffer.from(batch))
      const isStricter = verdict.error === 'NONE' && ownError(batch) !== 0
      assert.equal(errorCode, isStricter ? ownError(batch) : ERRORS[verdict.error])
      assert.deepEqual(
        recordErrors.map(({ batchIndex }) => batchIndex),
        verdict.recordErrors ?? [],
      )
      assert.equal(client.connection.isDestroyed, false)
      if (errorCode === 0) {
        assert.equal(baseOffset, 2)
        const { records } = client.fetch(12, {
          replicaId: -1,
          maxWaitMs: 0,
          minBytes: 1,
          maxBytes: 1e6,
          isolationLevel: 0,
          sessionId: 0,
          sessionEpoch: -1,
          topics: [
            {
              topic: 'orders',
              partitions: [{ partition: 0, fetchOffset: 2, partitionMaxBytes: 1e6 }],
            },
          ],
          forgottenTopicsData: [],
          rackId: '',
        }).responses[0]!.partitions[0]!
        assert.equal(records?.toString('hex'), verdict.stored)
      } else assert.equal(partition.logEndOffset, isCompacted ? 0 : 2)
      client.connection.finish()
      await partition.close()
    })
  }
})
