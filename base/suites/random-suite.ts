/** What every Random promises. */
import assert from 'node:assert/strict'
import type { Random } from '../random.ts'

const DRAWS = 20_000

export function randomSuite(name: string, start: () => Random): void {
  describe(`base/random ${name}`, () => {
    it('draws evenly', () => {
      const random = start()
      const counts = new Array<number>(7).fill(0)
      for (let i = 0; i < DRAWS; i++) counts[random.below(7)]!++
      for (const count of counts) assert.ok(Math.abs(count - DRAWS / 7) < 400, counts.join())
      let sum = 0
      for (let i = 0; i < DRAWS; i++) {
        const drawn = random.unit()
        assert.ok(drawn >= 0 && drawn < 1)
        sum += drawn
      }
      assert.ok(Math.abs(sum / DRAWS - 0.5) < 0.02)
      const bits = new Array<number>(32).fill(0)
      for (let i = 0; i < DRAWS; i++) {
        const drawn = random.uint32()
        assert.ok(Number.isInteger(drawn) && drawn >= 0 && drawn < 2 ** 32)
        for (let bit = 0; bit < 32; bit++) bits[bit]! += (drawn >>> bit) & 1
      }
      for (const count of bits) assert.ok(Math.abs(count - DRAWS / 2) < 500, bits.join())
    })

    it('keeps to its bounds', () => {
      const random = start()
      for (let i = 0; i < 100; i++) assert.equal(random.below(1), 0)
      for (let i = 0; i < 100; i++) assert.ok(random.below(2 ** 32) < 2 ** 32)
      for (const bound of [0, -1, 1.5, 2 ** 32 + 1, Number.NaN]) {
        assert.throws(() => random.below(bound))
      }
    })

    it('gives fresh bytes of any length', () => {
      const random = start()
      for (const length of [0, 1, 16, 4095, 4096, 4097, 10_000]) {
        assert.equal(random.bytes(length).length, length)
      }
      const first = random.bytes(16)
      const copy = Buffer.from(first)
      const second = random.bytes(16)
      assert.ok(!first.equals(second))
      assert.ok(first.equals(copy), 'bytes that were given do not change')
    })

    it('splits into streams that differ', () => {
      const random = start()
      const a = random.split('a').bytes(16)
      const b = random.split('b').bytes(16)
      assert.ok(!a.equals(b))
    })
  })
}
