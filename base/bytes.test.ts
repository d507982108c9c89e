import assert from 'node:assert/strict'
import {
  Cursor,
  compareBytes,
  equalBytes,
  readInt64,
  readUnsignedVarint,
  readUuid,
  readVarint,
  unsignedVarintBytes,
  varintBytes,
  writeInt64,
  writeUnsignedVarint,
  writeUuid,
  writeVarint,
  ZERO_UUID,
} from './bytes.ts'
import { SimRandom } from './sim/random.ts'

const MAX = Number.MAX_SAFE_INTEGER
const EDGES = [0, 1, 63, 64, 127, 128, 8191, 8192, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 52, MAX]

function samples(): number[] {
  const random = new SimRandom('bytes')
  const drawn = Array.from({ length: 2000 }, () =>
    Math.floor(random.unit() * 2 ** random.below(54)),
  )
  return [...EDGES, ...EDGES.map((edge) => Math.max(0, edge - 1)), ...drawn]
}

describe('base/bytes', () => {
  it('reads and writes safe int64', () => {
    const buffer = Buffer.alloc(12)
    for (const magnitude of samples()) {
      for (const value of [magnitude, 0 - magnitude]) {
        writeInt64(buffer, value, 3)
        assert.equal(buffer.readBigInt64BE(3), BigInt(value))
        assert.equal(readInt64(buffer, 3), value)
      }
    }
  })

  it('refuses int64 that are not safe', () => {
    const buffer = Buffer.alloc(8)
    for (const value of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n), 2n ** 54n + 1n]) {
      buffer.writeBigInt64BE(value)
      assert.throws(() => readInt64(buffer, 0), RangeError, String(value))
    }
    assert.throws(() => writeInt64(buffer, 2 ** 53, 0), RangeError)
    assert.throws(() => writeInt64(buffer, 0.5, 0), RangeError)
  })

  it('reads and writes varints as bigint arithmetic does', () => {
    const buffer = Buffer.alloc(16)
    const cursor = new Cursor()
    for (const magnitude of samples()) {
      let end = writeUnsignedVarint(buffer, magnitude, 2)
      assert.equal(buffer.subarray(2, end).toString('hex'), leb128(BigInt(magnitude)))
      assert.equal(end - 2, unsignedVarintBytes(magnitude))
      cursor.at = 2
      assert.equal(readUnsignedVarint(buffer, cursor, end), magnitude)
      assert.equal(cursor.at, end)
      for (const value of [magnitude, -magnitude]) {
        const big = BigInt(value)
        end = writeVarint(buffer, value, 2)
        const expected = leb128(big < 0n ? -2n * big - 1n : 2n * big)
        assert.equal(buffer.subarray(2, end).toString('hex'), expected, String(value))
        assert.equal(end - 2, varintBytes(value))
        cursor.at = 2
        assert.ok(readVarint(buffer, cursor, end) === value, String(value))
        assert.equal(cursor.at, end)
      }
    }
  })

  it('refuses varints that are cut, too long or unsafe', () => {
    const cursor = new Cursor()
    for (const hex of ['', '80', 'ffff', `${'80'.repeat(10)}00`, `${'ff'.repeat(9)}01`]) {
      const bytes = Buffer.from(hex, 'hex')
      for (const read of [readVarint, readUnsignedVarint]) {
        cursor.at = 0
        assert.throws(() => read(bytes, cursor, bytes.length), RangeError, hex)
      }
    }
  })

  it('reads and writes uuids', () => {
    const buffer = Buffer.alloc(20)
    assert.equal(readUuid(buffer, 2), ZERO_UUID)
    const random = new SimRandom('uuid')
    for (let run = 0; run < 100; run++) {
      const bytes = random.bytes(16)
      const text = bytes.toString('base64url')
      writeUuid(buffer, text, 2)
      assert.ok(buffer.subarray(2, 18).equals(bytes))
      assert.equal(readUuid(buffer, 2), text)
    }
    for (const text of ['', 'AAAA', `${ZERO_UUID}AA`, '!'.repeat(22)]) {
      assert.throws(() => writeUuid(buffer, text, 0), RangeError, text)
    }
  })

  it('compares', () => {
    assert.ok(compareBytes(Buffer.from('a'), Buffer.from('b')) < 0)
    assert.ok(compareBytes(Buffer.from('a\xff', 'latin1'), Buffer.from('a')) > 0)
    assert.equal(compareBytes(Buffer.from('a'), Buffer.from('a')), 0)
    assert.ok(equalBytes(Buffer.from('xabc'), 1, Buffer.from('abc'), 0, 3))
    assert.ok(!equalBytes(Buffer.from('xabc'), 1, Buffer.from('abd'), 0, 3))
  })
})

function leb128(value: bigint): string {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return Buffer.from(bytes).toString('hex')
}
