import assert from 'node:assert/strict'
import { SimRandom } from '../../base/sim/random.ts'
import { SharedMap } from './shared-map.ts'

describe('node/metadata/shared-map', () => {
  it('behaves as a map, and never changes what was published', () => {
    const seed = 7
    const random = new SimRandom(seed)
    const history: { map: SharedMap<number>; model: Map<string, number> }[] = []
    let map = SharedMap.empty<number>()
    let model = new Map<string, number>()
    for (let round = 0; round < 200; round++) {
      const draft = map.draft()
      model = new Map(model)
      for (let change = random.below(8); change > 0; change--) {
        const key = `key-${random.below(300)}`
        if (random.below(3) === 0) {
          draft.delete(key)
          model.delete(key)
        } else {
          draft.set(key, round)
          model.set(key, round)
        }
        assert.equal(draft.get(key), model.get(key), `seed ${seed}`)
        assert.equal(draft.has(key), model.has(key))
        assert.equal(draft.size, model.size)
      }
      map = draft.finish()
      history.push({ map, model })
    }
    for (const { map: one, model: expected } of history) {
      assert.equal(one.size, expected.size)
      const sorted = [...one.entries()].sort(([a], [b]) => (a < b ? -1 : 1))
      assert.deepEqual(
        sorted,
        [...expected].sort(([a], [b]) => (a < b ? -1 : 1)),
      )
      assert.equal([...one.keys()].length, expected.size)
      assert.equal([...one.values()].length, expected.size)
      for (const [key, value] of expected) assert.equal(one.get(key), value)
      assert.equal(one.has('nothing'), false)
    }
  })

  it('is the same object when nothing changed', () => {
    const draft = SharedMap.empty<number>().draft()
    draft.set('a', 1)
    const map = draft.finish()
    const second = map.draft()
    second.delete('b')
    assert.equal(second.finish(), map)
  })
})
