import assert from 'node:assert/strict'
import { partitionOf } from './runtime.ts'

describe('the partition of a key', () => {
  it('follows the hash of a Java string', () => {
    // Hash codes as Java computes them.
    const hashes: [string, number][] = [
      ['', 0],
      ['a', 97],
      ['hello', 99162322],
      ['polygenelubricants', -2147483648],
      ['Größe', 69209585],
    ]
    for (const [key, hash] of hashes) {
      const expected = hash === -2147483648 ? 0 : Math.abs(hash) % 50
      assert.equal(partitionOf(key, 50), expected, key)
    }
    assert.equal(partitionOf('anything', 1), 0)
  })
})
