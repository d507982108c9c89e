import assert from 'node:assert/strict'
import { crc32c, crc32cPortable, isCrc32cNative } from './crc32c.ts'
import { SimRandom } from './sim/random.ts'

describe('base/crc32c', () => {
  it('gives the published check values', () => {
    assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
    assert.equal(crc32c(Buffer.alloc(0)), 0)
    // RFC 3720, appendix B.4
    assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa)
    assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43)
    assert.equal(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => i))), 0x46dd794e)
  })

  it('is the same by every path, for every range', () => {
    assert.ok(isCrc32cNative, 'the prebuilt module loads here')
    const random = new SimRandom('crc32c')
    const bytes = random.bytes(5000)
    for (let run = 0; run < 500; run++) {
      const start = random.below(bytes.length)
      const end = start + random.below(Math.min(run, bytes.length - start) + 1)
      const expected = bitwise(bytes.subarray(start, end))
      const { length } = bytes
      assert.equal(crc32c(bytes, start, end), expected, `[${start}, ${end})`)
      assert.equal(crc32cPortable(bytes, start, end, 0), expected, `[${start}, ${end})`)
      const whole = crc32c(bytes)
      assert.equal(crc32c(bytes, start, length, crc32c(bytes, 0, start)), whole)
      assert.equal(crc32cPortable(bytes, start, length, crc32c(bytes, 0, start)), whole)
    }
  })
})

/** By the definition. */
function bitwise(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}
