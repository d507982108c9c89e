import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { AssertionFailed } from '../base/assert.ts'
import { CorruptionError } from '../base/errors.ts'
import { type AppendRules, BatchVerdict, checkBatch } from './batch.ts'
import { CODECS, type Codec } from './compression.ts'
import {
  BATCH_LENGTH_AT,
  RECORD_COUNT_AT,
  RECORDS_AT,
  sealBatch,
  writeInt32,
  writeInt64,
} from './format.ts'
import {
  decodeBatch,
  decodeBatches,
  encodeBatch,
  type LogRecord,
  type NewRecord,
  readBatchHeader,
} from './records.ts'

const testdata = (name: string) => {
  const file = new URL(`../../log/testdata/batches/${name}`, import.meta.url)
  const lines = readFileSync(file, 'utf8').trim().split('\n')
  return lines.map((line) => JSON.parse(line) as Golden)
}

interface GoldenBatch {
  baseOffset: string
  lastOffset: string
  sizeInBytes: number
  partitionLeaderEpoch: number
  crc: number
  compression: string
  timestampType: string
  isTransactional: boolean
  isControl: boolean
  baseTimestamp: string
  maxTimestamp: string
  producerId: string
  producerEpoch: number
  baseSequence: number
  count: number
  records: {
    offset: string
    timestamp: string
    key: string | null
    value: string | null
    headers?: { key: string; value: string | null }[]
  }[]
}

interface Golden {
  name: string
  hex: string
  batches: GoldenBatch[]
}

const hexOf = (bytes: Buffer | null) => bytes?.toString('hex') ?? null

function plain(record: LogRecord) {
  return {
    offset: String(record.offset),
    timestamp: String(record.timestampMs),
    key: hexOf(record.key),
    value: hexOf(record.value),
    headers: record.headers.map(({ key, value }) => ({ key, value: hexOf(value) })),
  }
}

function goldenPlain(batch: GoldenBatch) {
  return batch.records.map(({ offset, timestamp, key, value, headers }) => {
    return { offset, timestamp, key, value, headers: headers ?? [] }
  })
}

function assertHeader(source: Buffer, position: number, expected: GoldenBatch): void {
  const header = readBatchHeader(source, position)
  assert.deepEqual(
    {
      baseOffset: String(header.baseOffset),
      lastOffset: String(header.lastOffset),
      sizeInBytes: header.sizeBytes,
      partitionLeaderEpoch: header.leaderEpoch,
      crc: header.crc,
      compression: header.compression,
      timestampType: header.timestampType,
      isTransactional: header.isTransactional,
      isControl: header.isControl,
      baseTimestamp: String(header.baseTimestampMs),
      maxTimestamp: String(header.maxTimestampMs),
      producerId: String(header.producerId),
      producerEpoch: header.producerEpoch,
      baseSequence: header.baseSequence,
      count: header.recordCount,
    },
    pick(expected),
  )
}

function pick(batch: GoldenBatch) {
  const { records: _, ...header } = batch
  const {
    magic: _magic,
    lastSequence: _last,
    ...rest
  } = header as typeof header & {
    magic: number
    lastSequence: number
  }
  return rest
}

const RULES: AppendRules = {
  maxMessageBytes: 1_048_588,
  timestampType: 'CreateTime',
  timestampBeforeMaxMs: Number.MAX_SAFE_INTEGER,
  timestampAfterMaxMs: Number.MAX_SAFE_INTEGER,
  requiresKey: false,
  compressionType: 'producer',
  allowsZstd: true,
  isClient: true,
}

const bytes = (max: number) =>
  fc.option(fc.uint8Array({ maxLength: max }).map((value) => Buffer.from(value)))
const anyHeader = fc
  .tuple(fc.string({ unit: 'grapheme' }), bytes(10))
  .map(([key, value]) => ({ key, value }))
const anyRecord: fc.Arbitrary<NewRecord> = fc
  .tuple(
    fc.integer({ min: -(2 ** 50), max: 2 ** 50 }),
    bytes(20),
    bytes(300),
    fc.array(anyHeader, { maxLength: 4 }),
  )
  .map(([timestampMs, key, value, headers]) => ({ timestampMs, key, value, headers }))
const anyRecords = fc.array(anyRecord, { minLength: 1, maxLength: 30 })

describe('log/records', () => {
  for (const golden of [...testdata('data.jsonl'), ...testdata('control.jsonl')]) {
    it(`reads ${golden.name} as Kafka wrote it`, () => {
      const source = Buffer.from(golden.hex, 'hex')
      let position = 0
      for (const batch of golden.batches) {
        assertHeader(source, position, batch)
        assert.deepEqual(decodeBatch(source, position).map(plain), goldenPlain(batch))
        position += batch.sizeInBytes
      }
      const data = golden.batches.filter(({ isControl }) => !isControl).flatMap(goldenPlain)
      assert.deepEqual(decodeBatches(source).map(plain), data)
    })

    it(`refuses ${golden.name} cut off or with a flipped bit`, () => {
      const source = Buffer.from(golden.hex, 'hex')
      for (let length = 0; length < golden.batches[0]!.sizeInBytes; length += 5) {
        assert.deepEqual(decodeBatches(source, 0, length), [])
        assert.throws(() => decodeBatch(source, 0, length), CorruptionError)
      }
      for (let at = 16; at < golden.batches[0]!.sizeInBytes; at += 3) {
        source[at]! ^= 0x10
        assert.throws(() => decodeBatches(source), CorruptionError)
        source[at]! ^= 0x10
      }
    })
  }

  for (const codec of CODECS) {
    it(`gives back what it wrote with ${codec}`, () => {
      fc.assert(
        fc.property(anyRecords, fc.nat(2 ** 40), (records, baseOffset) => {
          const batch = encodeBatch(records, { compression: codec, baseOffset, leaderEpoch: 4 })
          const header = readBatchHeader(batch, 0)
          assert.equal(header.lastOffset, baseOffset + records.length - 1)
          assert.equal(header.leaderEpoch, 4)
          assert.deepEqual(
            decodeBatches(batch),
            records.map((record, index) => ({ offset: baseOffset + index, ...record })),
          )
        }),
        { numRuns: 60 },
      )
    })
  }

  it('writes what Kafka writes, byte for byte', () => {
    const golden = testdata('data.jsonl').find(({ name }) => name === 'idempotent-none')!
    const source = Buffer.from(golden.hex, 'hex')
    const header = readBatchHeader(source, 0)
    const written = encodeBatch(decodeBatches(source), {
      baseOffset: header.baseOffset,
      leaderEpoch: header.leaderEpoch,
      producerId: header.producerId,
      producerEpoch: header.producerEpoch,
      baseSequence: header.baseSequence,
    })
    assert.equal(written.toString('hex'), golden.hex)
  })

  it('gives each record the append time of its batch', () => {
    const record = { timestampMs: 5, key: null, value: Buffer.from('v') }
    const batch = encodeBatch([record, { ...record, timestampMs: 9 }], { logAppendTimeMs: 77 })
    assert.deepEqual(
      decodeBatches(batch).map(({ timestampMs }) => timestampMs),
      [77, 77],
    )
  })

  it('shares one limit among all batches', () => {
    const record = { timestampMs: 5, key: null, value: Buffer.alloc(1000) }
    const batch = encodeBatch([record], { compression: 'gzip' })
    const both = Buffer.concat([batch, batch])
    assert.equal(decodeBatches(both, 0, both.length, 2100).length, 2)
    assert.throws(() => decodeBatches(both, 0, both.length, 1900), CorruptionError)
  })

  it('allocates nothing for a count that no record stands behind', () => {
    const batch = encodeBatch([{ timestampMs: 5, key: null, value: null }])
    writeInt32(batch, RECORD_COUNT_AT, 0x7fffffff)
    sealBatch(batch, 0, batch.length)
    const before = process.memoryUsage().heapUsed
    assert.throws(() => decodeBatches(batch), CorruptionError)
    assert.ok(process.memoryUsage().heapUsed - before < 4_000_000)
  })

  it('refuses offsets that are no safe integers', () => {
    const batch = encodeBatch([{ timestampMs: 5, key: null, value: null }])
    batch.writeBigInt64BE(2n ** 53n)
    assert.throws(() => decodeBatches(batch), CorruptionError)
    writeInt64(batch, 0, -1)
    assert.throws(() => decodeBatches(batch), CorruptionError)
  })

  it('asserts that a batch to write has records and timestamps that can be told apart', () => {
    assert.throws(() => encodeBatch([]), AssertionFailed)
    const record = { key: null, value: null }
    assert.throws(() => encodeBatch([{ ...record, timestampMs: 1.5 }]), AssertionFailed)
  })

  it('survives noise: a verdict or a CorruptionError, nothing else', () => {
    const verdict = new BatchVerdict()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        judge(Buffer.from(noise), verdict, false)
      }),
      { numRuns: 1000 },
    )
  })

  for (const codec of CODECS) {
    it(`survives mutated ${codec} batches, with and without a right CRC`, () => {
      const verdict = new BatchVerdict()
      const mutation = fc.tuple(fc.nat(400), fc.nat(255))
      fc.assert(
        fc.property(
          anyRecords,
          fc.array(mutation, { minLength: 1, maxLength: 5 }),
          fc.boolean(),
          fc.option(fc.integer({ min: -20, max: 20 })),
          (records, mutations, isSealed, growth) => {
            const batch = mutate(encodeBatch(records, { compression: codec }), mutations, growth)
            if (isSealed && batch.length >= RECORDS_AT) sealBatch(batch, 0, batch.length)
            judge(batch, verdict, true)
          },
        ),
        { numRuns: 400 },
      )
    })
  }
})

function mutate(batch: Buffer, mutations: [number, number][], growth: number | null): Buffer {
  for (const [at, value] of mutations) batch[at % batch.length] = value
  if (growth === null) return batch
  const size = Math.max(0, batch.length + growth)
  const resized = Buffer.concat([batch, Buffer.alloc(20)]).subarray(0, size)
  if (size > RECORDS_AT) writeInt32(resized, BATCH_LENGTH_AT, size - 12)
  return resized
}

const KNOWN_ERRORS = new Set([-1, 0, 2, 10, 32, 76, 87])

/** What checkBatch lets pass, decodeBatch must read, with consecutive offsets. */
function judge(batch: Buffer, verdict: BatchVerdict, isLong: boolean): void {
  let decoded: LogRecord[] | undefined
  try {
    decoded = decodeBatches(batch)
  } catch (error) {
    assert.ok(error instanceof CorruptionError, String(error))
  }
  const types: AppendRules['compressionType'][] = ['producer', 'lz4', 'uncompressed']
  for (const compressionType of isLong ? types : types.slice(0, 1)) {
    const copy = Buffer.from(batch)
    checkBatch(copy, 0, copy.length, { ...RULES, compressionType }, 1_700_000_000_000, verdict)
    assert.ok(KNOWN_ERRORS.has(verdict.error), `${verdict.error}`)
    if (verdict.error !== 0) {
      assert.equal(typeof verdict.message, 'string')
      continue
    }
    const stored = verdict.rewritten ?? copy.subarray(0, verdict.sizeBytes)
    const records = decodeBatch(stored)
    assert.deepEqual(
      records.map(({ offset }) => offset),
      records.map((_, index) => index),
    )
    assert.equal(records.length, verdict.recordCount)
    if (verdict.isControl || codecOf(batch) !== 'none') continue
    assert.equal(decoded?.length, records.length)
  }
}

function codecOf(batch: Buffer): Codec {
  return readBatchHeader(batch, 0).compression
}
