import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  readInt16,
  readInt32,
  readInt64,
  readUint32,
  varintBytes,
  writeInt16,
  writeInt32,
  writeInt64,
  writeVarint,
} from './format.ts'
import { RecordCursor } from './record-cursor.ts'

const INT64_MAX = 2n ** 63n - 1n

describe('log/format', () => {
  it('reads and writes integers as Buffer does', () => {
    const expected = Buffer.alloc(24)
    const bytes = Buffer.alloc(24)
    fc.assert(
      fc.property(fc.integer(), fc.maxSafeInteger(), fc.nat(9), (word, long, at) => {
        expected.writeInt32BE(word, at)
        writeInt32(bytes, at, word)
        assert.equal(readInt32(bytes, at), word)
        assert.equal(readUint32(bytes, at), word >>> 0)
        expected.writeInt16BE((word << 16) >> 16, at + 4)
        writeInt16(bytes, at + 4, (word << 16) >> 16)
        assert.equal(readInt16(bytes, at + 4), (word << 16) >> 16)
        expected.writeBigInt64BE(BigInt(long), at + 6)
        writeInt64(bytes, at + 6, long)
        assert.equal(readInt64(bytes, at + 6), long)
        assert.ok(bytes.equals(expected))
      }),
    )
  })

  it('gives an int64 exactly, or as a number that is not safe and on its side of zero', () => {
    const bytes = Buffer.alloc(8)
    fc.assert(
      fc.property(fc.bigInt({ min: -INT64_MAX - 1n, max: INT64_MAX }), (value) => {
        bytes.writeBigInt64BE(value)
        const read = readInt64(bytes, 0)
        const isSafe =
          value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
        assert.equal(Number.isSafeInteger(read), isSafe)
        assert.equal(Math.sign(read), value === 0n ? 0 : value < 0n ? -1 : 1)
        if (isSafe) assert.equal(BigInt(read), value)
        else assert.equal(read, Number(value))
      }),
    )
    for (const value of [2n ** 53n, -(2n ** 53n), 2n ** 53n - 1n, -(2n ** 53n) + 1n, -1n, 0n]) {
      bytes.writeBigInt64BE(value)
      assert.equal(readInt64(bytes, 0), Number(value))
    }
  })

  it('writes varints of the size foreseen, which the cursor reads back', () => {
    fc.assert(
      fc.property(timestampDeltas(), fc.integer(), (timestampDelta, offsetDelta) => {
        const bodyBytes = 1 + varintBytes(timestampDelta) + varintBytes(offsetDelta) + 3
        const record = Buffer.alloc(40, 0xff)
        let at = writeVarint(record, 0, bodyBytes)
        assert.equal(at, varintBytes(bodyBytes))
        record[at++] = 0x55
        at = writeVarint(record, at, timestampDelta)
        at = writeVarint(record, at, offsetDelta)
        for (const size of [-1, -1, 0]) at = writeVarint(record, at, size)
        const cursor = new RecordCursor()
        cursor.reset(record, 0, at)
        assert.ok(cursor.next(), cursor.fault)
        assert.ok(cursor.isAtEnd())
        assert.equal(cursor.attributes, 0x55)
        assert.equal(cursor.timestampDelta, timestampDelta)
        assert.equal(cursor.offsetDelta, offsetDelta)
        assert.equal(cursor.keyLength, -1)
        assert.equal(cursor.valueLength, -1)
      }),
    )
  })

  it('reads the extremes of a varlong, rounded as an int64 is', () => {
    for (const [hex, expected] of [
      ['feffffffffffffffff01', Number(INT64_MAX)],
      ['ffffffffffffffffff01', -Number(INT64_MAX + 1n)],
      ['00', 0],
      ['8000', 0], // longer than need be
    ] as const) {
      const delta = Buffer.from(hex, 'hex')
      const body = Buffer.concat([Buffer.from([0]), delta, Buffer.from([0, 1, 1, 0])])
      const record = Buffer.concat([Buffer.from([body.length * 2]), body])
      const cursor = new RecordCursor()
      cursor.reset(record, 0, record.length)
      assert.ok(cursor.next(), `${hex}: ${cursor.fault}`)
      assert.equal(cursor.timestampDelta, expected)
    }
  })

  it('walks no further than its end, and ends, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(20), (bytes, margin) => {
        const end = Math.max(0, bytes.length - margin)
        const cursor = new RecordCursor()
        cursor.reset(bytes, 0, end)
        let steps = 0
        while (cursor.next()) {
          steps++
          assert.ok(cursor.end <= end)
          assert.ok(cursor.valueStart + Math.max(0, cursor.valueLength) <= cursor.end)
          assert.ok(cursor.keyStart + Math.max(0, cursor.keyLength) <= cursor.end)
        }
        assert.ok(steps <= end)
        assert.notEqual(cursor.fault, undefined)
      }),
      { numRuns: 2000 },
    )
  })
})

function timestampDeltas() {
  return fc.oneof(
    fc.integer({ min: -70, max: 70 }),
    fc.integer({ min: -20_000, max: 20_000 }),
    fc.maxSafeInteger(),
  )
}
