import assert from 'node:assert/strict'
import { SimRandom } from '../../../base/sim/random.ts'
import { assignedTopics, subscribedTopics } from './consumer-protocol.ts'
import { subscription } from './group-world.ts'

describe('what consumers tell each other', () => {
  it('is read as far as its first version goes', () => {
    assert.deepEqual(subscribedTopics(subscription('a', 'b')), ['a', 'b'])
    const later = Buffer.concat([subscription('a'), Buffer.from('more fields of a later version')])
    later.writeInt16BE(9, 0)
    assert.deepEqual(subscribedTopics(later), ['a'])
    assert.deepEqual(assignedTopics(Buffer.alloc(0)), [])
  })

  it('may be anything: other protocols are not an error', () => {
    assert.equal(subscribedTopics(Buffer.from('ffff', 'hex')), undefined)
    assert.equal(subscribedTopics(Buffer.from('00007fffffff', 'hex')), undefined)
    assert.equal(subscribedTopics(Buffer.alloc(0)), undefined)
    assert.equal(assignedTopics(Buffer.from('{"json": true}')), undefined)
    const seed = 848
    const random = new SimRandom(seed)
    for (let i = 0; i < 2000; i++) {
      const bytes = random.bytes(random.below(60))
      assert.doesNotThrow(() => [subscribedTopics(bytes), assignedTopics(bytes)], `seed ${seed}`)
    }
  })
})
