import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import {
  type AppendRules,
  BatchVerdict,
  checkBatch,
  checkFrame,
  isTransactionalBatch,
} from './batch.ts'
import { CODECS, compress } from './compression.ts'
import { CORRUPT_MESSAGE, INVALID_RECORD, INVALID_TIMESTAMP, MESSAGE_TOO_LARGE } from './errors.ts'
import {
  ATTRIBUTES_AT,
  BASE_TIMESTAMP_AT,
  BATCH_LENGTH_AT,
  crcAt,
  LOG_OVERHEAD_BYTES,
  MAX_TIMESTAMP_AT,
  PRODUCER_ID_AT,
  RECORDS_AT,
  sealBatch,
  writeInt32,
} from './format.ts'
import { decodeBatch, encodeBatch, readBatchHeader, verifyBatch } from './records.ts'

const NOW_MS = 1_700_000_002_000
const HOUR_MS = 3_600_000

const RULES: AppendRules = {
  maxMessageBytes: 1_048_588,
  timestampType: 'CreateTime',
  timestampBeforeMaxMs: Number.MAX_SAFE_INTEGER,
  timestampAfterMaxMs: HOUR_MS,
  requiresKey: false,
  compressionType: 'producer',
  allowsZstd: true,
  isClient: true,
}

const TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53
const ERRORS: Record<string, number> = {
  NONE: 0,
  UNKNOWN_SERVER_ERROR: -1,
  CORRUPT_MESSAGE: 2,
  INVALID_TIMESTAMP: 32,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
  INVALID_RECORD: 87,
}

/** Where Kafka stores what it should not: our error, and why. */
const STRICTER: Record<string, { error: number; because: string }> = {
  'record-offset-delta-one': {
    error: INVALID_RECORD,
    because: 'the record would have the offset of the batch behind it',
  },
  'record-offset-delta-negative': {
    error: INVALID_RECORD,
    because: 'the record would have an offset below that of its batch',
  },
}

interface Broken {
  name: string
  hex: string
  verdict: { stage: string; error: string; stored?: string; recordErrors?: number[] }
}

const file = new URL('../../log/testdata/batches/broken.jsonl', import.meta.url)
const broken = readFileSync(file, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Broken)

/** What a Produce request without a transactional id is told. */
function verdictOf(batch: Buffer, rules: AppendRules) {
  const verdict = new BatchVerdict()
  if (isTransactionalBatch(batch, 0, batch.length)) {
    return { verdict, error: TRANSACTIONAL_ID_AUTHORIZATION_FAILED, stage: 'request' }
  }
  const isWhole = checkFrame(batch, 0, batch.length, rules.allowsZstd, verdict)
  checkBatch(batch, 0, batch.length, rules, NOW_MS, verdict)
  return { verdict, error: verdict.error, stage: isWhole ? 'append' : 'request' }
}

function check(batch: Buffer, changes: Partial<AppendRules> = {}): BatchVerdict {
  const verdict = new BatchVerdict()
  checkBatch(batch, 0, batch.length, { ...RULES, ...changes }, NOW_MS, verdict)
  return verdict
}

const records = (count: number, key: Buffer | null = Buffer.from('k')) =>
  Array.from({ length: count }, (_, i) => ({
    timestampMs: NOW_MS + i - 100,
    key,
    value: Buffer.from(`value ${i} `.repeat(10)),
    headers: [{ key: 'h', value: Buffer.from([i]) }],
  }))

describe('log/batch', () => {
  for (const { name, hex, verdict: expected } of broken) {
    it(`says of ${name} what Kafka says`, () => {
      const batch = Buffer.from(hex, 'hex')
      const requiresKey = name === 'compacted-topic-needs-key'
      const { verdict, error, stage } = verdictOf(batch, { ...RULES, requiresKey })
      const stricter = STRICTER[name]
      if (stricter !== undefined) {
        assert.equal(expected.error, 'NONE', stricter.because)
        assert.equal(error, stricter.error)
        return
      }
      assert.equal(error, ERRORS[expected.error])
      assert.equal(stage, expected.stage)
      const indexes = verdict.recordErrors.map(({ batchIndex }) => batchIndex)
      assert.deepEqual(indexes, expected.recordErrors ?? [])
      if (error !== 0) return
      assert.equal(verdict.rewritten, undefined)
      const stored = Buffer.from(batch.subarray(0, verdict.sizeBytes))
      stored.writeBigInt64BE(2n, 0)
      stored.writeInt32BE(11, 12)
      assert.equal(stored.toString('hex'), expected.stored)
    })
  }

  it('changes nothing in a batch that it refuses', () => {
    for (const { hex, verdict } of broken) {
      if (verdict.error === 'NONE') continue
      const batch = Buffer.from(hex, 'hex')
      check(batch, { timestampType: 'LogAppendTime', requiresKey: true })
      if (verdict.error !== 'INVALID_TIMESTAMP') assert.equal(batch.toString('hex'), hex)
    }
  })

  it('looks only at its range', () => {
    const batch = encodeBatch(records(5))
    const padded = Buffer.concat([Buffer.alloc(9, 0xff), batch, Buffer.alloc(7, 0xff)])
    const verdict = new BatchVerdict()
    checkBatch(padded, 9, 9 + batch.length, RULES, NOW_MS, verdict)
    assert.equal(verdict.error, 0)
    assert.equal(verdict.sizeBytes, batch.length)
    checkBatch(padded, 9, 8 + batch.length, RULES, NOW_MS, verdict)
    assert.equal(verdict.error, INVALID_RECORD)
  })

  it('tells what the header says, and where the largest timestamp is', () => {
    const list = records(7)
    list[3] = { ...list[3]!, timestampMs: NOW_MS + 50 }
    const batch = encodeBatch(list, {
      producerId: 2 ** 40,
      producerEpoch: 7,
      baseSequence: 9,
      isTransactional: true,
    })
    const verdict = check(batch)
    assert.equal(verdict.error, 0)
    assert.equal(verdict.recordCount, 7)
    assert.equal(verdict.lastOffsetDelta, 6)
    assert.equal(verdict.maxTimestampMs, NOW_MS + 50)
    assert.equal(verdict.offsetOfMaxTimestampDelta, 3)
    assert.equal(verdict.producerId, 2 ** 40)
    assert.equal(verdict.producerEpoch, 7)
    assert.equal(verdict.baseSequence, 9)
    assert.equal(verdict.isTransactional, true)
    assert.equal(verdict.isControl, false)
  })

  it('leaves nothing of one verdict in the next', () => {
    const verdict = new BatchVerdict()
    const keyless = encodeBatch(records(3, null))
    const rules = { ...RULES, requiresKey: true }
    checkBatch(keyless, 0, keyless.length, rules, NOW_MS, verdict)
    assert.equal(verdict.recordErrors.length, 3)
    const errors = verdict.recordErrors
    const good = encodeBatch(records(2))
    checkBatch(good, 0, good.length, rules, NOW_MS, verdict)
    assert.equal(verdict.error, 0)
    assert.equal(verdict.message, undefined)
    assert.deepEqual(verdict.recordErrors, [])
    assert.equal(errors.length, 3, 'the list handed out before stays as it was')
  })

  it('refuses a batch above the limit of the topic', () => {
    const batch = encodeBatch(records(20))
    assert.equal(check(batch, { maxMessageBytes: batch.length }).error, 0)
    assert.equal(check(batch, { maxMessageBytes: batch.length - 1 }).error, MESSAGE_TOO_LARGE)
  })

  it('bounds timestamps on both sides, record by record', () => {
    const list = records(4)
    list[1] = { ...list[1]!, timestampMs: NOW_MS + HOUR_MS + 1 }
    list[2] = { ...list[2]!, timestampMs: NOW_MS - 10_001 }
    const verdict = check(encodeBatch(list), { timestampBeforeMaxMs: 10_000 })
    assert.equal(verdict.error, INVALID_TIMESTAMP)
    const indexes = verdict.recordErrors.map(({ batchIndex }) => batchIndex)
    assert.deepEqual(indexes, [1, 2])
    list[1] = { ...list[1]!, timestampMs: NOW_MS + HOUR_MS }
    list[2] = { ...list[2]!, timestampMs: NOW_MS - 10_000 }
    assert.equal(check(encodeBatch(list), { timestampBeforeMaxMs: 10_000 }).error, 0)
  })

  it('takes records without a timestamp', () => {
    const list = records(2).map((record) => ({ ...record, timestampMs: -1 }))
    const verdict = check(encodeBatch(list), { timestampBeforeMaxMs: 10 })
    assert.equal(verdict.error, 0)
    assert.equal(verdict.maxTimestampMs, -1)
  })

  it('finds an early timestamp behind a record without one', () => {
    const list = records(3)
    list[0] = { ...list[0]!, timestampMs: -1 }
    list[1] = { ...list[1]!, timestampMs: 5 }
    const verdict = check(encodeBatch(list), { timestampBeforeMaxMs: 10_000 })
    assert.equal(verdict.error, INVALID_TIMESTAMP)
    const indexes = verdict.recordErrors.map(({ batchIndex }) => batchIndex)
    assert.deepEqual(indexes, [1])
  })

  it('refuses an append time that a producer made up', () => {
    const batch = encodeBatch(records(2), { logAppendTimeMs: NOW_MS })
    const copy = Buffer.from(batch)
    assert.equal(check(batch).error, 0, 'Kafka takes it as CreateTime, and puts it right')
    assert.equal(readBatchHeader(batch, 0).timestampType, 'CreateTime')
    const verdict = check(copy, { timestampType: 'LogAppendTime' })
    assert.equal(verdict.error, INVALID_TIMESTAMP)
    assert.equal(verdict.recordErrors.length, 2)
  })

  it('answers with a bounded list of record errors', () => {
    const verdict = check(encodeBatch(records(5000, null)), { requiresKey: true })
    assert.equal(verdict.error, INVALID_RECORD)
    assert.equal(verdict.recordErrors.length, 100)
  })

  it('refuses zstd where the request is too old for it', () => {
    const batch = encodeBatch(records(2), { compression: 'zstd' })
    assert.equal(check(batch, { allowsZstd: false }).error, 76)
    assert.equal(check(batch).error, 0)
  })

  it('takes control batches and given offsets from the node only', () => {
    const marker = [{ timestampMs: NOW_MS, key: Buffer.from([0, 0, 0, 1]), value: Buffer.alloc(6) }]
    const control = { isControl: true, isTransactional: true, producerId: 1, producerEpoch: 0 }
    const batch = encodeBatch(marker, { ...control, baseOffset: 77 })
    assert.equal(check(batch).error, INVALID_RECORD)
    const verdict = check(batch, { isClient: false, compressionType: 'gzip' })
    assert.equal(verdict.error, 0)
    assert.equal(verdict.isControl, true)
    assert.equal(verdict.rewritten, undefined, 'control records are not compressed')
  })

  it('refuses a producer id and a base timestamp that are no safe integers', () => {
    const batch = encodeBatch(records(1), { producerId: 5, producerEpoch: 0, baseSequence: 0 })
    batch.writeBigInt64BE(2n ** 60n, PRODUCER_ID_AT)
    sealBatch(batch, 0, batch.length)
    assert.equal(check(batch).error, INVALID_RECORD)
    const late = encodeBatch(records(1))
    late.writeBigInt64BE(-(2n ** 62n), BASE_TIMESTAMP_AT)
    sealBatch(late, 0, late.length)
    assert.equal(check(late).error, INVALID_TIMESTAMP)
  })

  for (const codec of CODECS) {
    it(`walks into ${codec}, and finds what is wrong inside`, () => {
      assert.equal(check(encodeBatch(records(70), { compression: codec })).error, 0)
      const keyless = check(encodeBatch(records(3, null), { compression: codec }), {
        requiresKey: true,
      })
      assert.equal(keyless.error, INVALID_RECORD)
      assert.equal(keyless.recordErrors.length, 3)
    })

    it(`stamps ${codec} with the append time, in place`, () => {
      const batch = encodeBatch(records(3), { compression: codec })
      const verdict = check(batch, { timestampType: 'LogAppendTime' })
      assert.equal(verdict.error, 0)
      assert.equal(verdict.maxTimestampMs, NOW_MS)
      assert.equal(verdict.offsetOfMaxTimestampDelta, 0)
      assert.equal(verdict.rewritten, undefined)
      assert.equal(verifyBatch(batch, 0, batch.length), batch.length)
      const header = readBatchHeader(batch, 0)
      assert.equal(header.timestampType, 'LogAppendTime')
      assert.equal(header.maxTimestampMs, NOW_MS)
      assert.ok(decodeBatch(batch).every(({ timestampMs }) => timestampMs === NOW_MS))
    })

    for (const wanted of ['uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
      it(`stores ${codec} as ${wanted} where the topic says so`, () => {
        const options = { producerId: 3, producerEpoch: 1, baseSequence: 5, compression: codec }
        const batch = encodeBatch(records(40), options)
        const before = decodeBatch(batch)
        const sent = batch.toString('hex')
        const verdict = check(batch, { compressionType: wanted })
        assert.equal(verdict.error, 0)
        const target = wanted === 'uncompressed' ? 'none' : wanted
        if (target === codec) {
          assert.equal(verdict.rewritten, undefined)
          return
        }
        const stored = verdict.rewritten
        assert.ok(stored !== undefined)
        assert.equal(verdict.sizeBytes, stored.length)
        assert.equal(readBatchHeader(stored, 0).compression, target)
        assert.equal(readBatchHeader(stored, 0).baseSequence, 5)
        assert.deepEqual(decodeBatch(stored), before)
        assert.equal(batch.toString('hex'), sent)
      })
    }
  }

  it('refuses a batch that outgrows the limit in the codec of the topic', () => {
    const batch = encodeBatch(records(200), { compression: 'gzip' })
    const rules = { compressionType: 'uncompressed', maxMessageBytes: batch.length + 10 } as const
    const verdict = check(batch, rules)
    assert.equal(verdict.error, MESSAGE_TOO_LARGE)
    assert.equal(verdict.rewritten, undefined)
  })

  it('numbers the records of a compressed batch anew, as Kafka does for old clients', () => {
    const list = records(3)
    const plain = encodeBatch(list)
    const body = Buffer.from(plain.subarray(RECORDS_AT))
    const offsetDeltaAt = 4 // length (2 bytes), attributes, timestamp delta
    assert.equal(body[offsetDeltaAt], 0)
    body[offsetDeltaAt] = 14
    const stored = compress('gzip', body)
    const batch = Buffer.concat([plain.subarray(0, RECORDS_AT), stored])
    writeInt32(batch, BATCH_LENGTH_AT, batch.length - LOG_OVERHEAD_BYTES)
    batch[ATTRIBUTES_AT + 1] = 1
    sealBatch(batch, 0, batch.length)
    const verdict = check(batch)
    assert.equal(verdict.error, 0)
    assert.ok(verdict.rewritten !== undefined)
    assert.deepEqual(decodeBatch(verdict.rewritten), decodeBatch(plain))
  })

  it('refuses a max timestamp whose CRC does not know of it', () => {
    const batch = encodeBatch(records(2))
    const crc = crcAt(batch, 0)
    batch.writeBigInt64BE(0n, MAX_TIMESTAMP_AT)
    assert.equal(check(batch).error, CORRUPT_MESSAGE)
    sealBatch(batch, 0, batch.length)
    assert.notEqual(crcAt(batch, 0), crc)
    assert.equal(check(batch).error, 0)
    assert.equal(crcAt(batch, 0), crc, 'put right')
  })
})
