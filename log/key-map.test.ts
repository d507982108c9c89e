import assert from 'node:assert/strict'
import { SimRandom } from '../base/sim/random.ts'
import { KeyMap } from './key-map.ts'

describe('log/key-map', () => {
  it('is a map of the largest offsets, until nine tenths are taken', () => {
    const seed = String(process.hrtime.bigint())
    const random = new SimRandom(seed)
    const map = new KeyMap(1024)
    const model = new Map<number, number>()
    let refused = 0
    for (let step = 0; step < 20_000; step++) {
      const key = random.below(1200)
      const offset = random.below(1_000_000)
      const isTaken = map.set(Buffer.from(`key ${key}`), offset)
      assert.equal(isTaken, model.has(key) || model.size < 921, `seed ${seed}`)
      if (isTaken) model.set(key, Math.max(offset, model.get(key) ?? 0))
      else refused++
    }
    assert.ok(refused > 0)
    assert.equal(map.size, 921)
    for (let key = 0; key < 1200; key++) {
      assert.equal(map.get(Buffer.from(`key ${key}`)), model.get(key) ?? -1, `seed ${seed}`)
    }
  })

  it('tells the empty key and offset 0 from nothing', () => {
    const map = new KeyMap(16)
    assert.equal(map.get(Buffer.alloc(0)), -1)
    assert.ok(map.set(Buffer.alloc(0), 0))
    assert.equal(map.get(Buffer.alloc(0)), 0)
    assert.equal(map.get(Buffer.alloc(1)), -1)
  })
})
