import assert from 'node:assert/strict'
import { Liveness } from './liveness.ts'

const ONE = { id: 1, epoch: 10 }
const TWO = { id: 2, epoch: 11 }

const live = () => {
  const liveness = new Liveness({ sessionTimeoutMs: 100 })
  liveness.begin([ONE, TWO], 1000)
  return liveness
}

describe('node/metadata/liveness', () => {
  it('gives each broker a session from the beginning, less what it was silent before', () => {
    const liveness = live()
    assert.deepEqual(liveness.expired([ONE, TWO], 1099), [])
    assert.deepEqual(liveness.expired([ONE, TWO], 1100), [1, 2])
    liveness.begin([ONE, TWO], 2000, new Map([[2, 60]]))
    assert.deepEqual(liveness.expired([ONE, TWO], 2040), [2])
    assert.equal(liveness.nextExpiryMs([ONE, TWO]), 2040)
    assert.equal(liveness.nextExpiryMs([ONE]), 2100)
  })

  it('counts a heartbeat of the registration only, and only with progress', () => {
    const liveness = live()
    assert.equal(liveness.heard({ id: 1, epoch: 9 }, 1, 5, 1050), false)
    assert.equal(liveness.heard(ONE, 1, 5, 1050), true)
    assert.equal(liveness.heard(ONE, 1, 6, 1080), false, 'its loop stands still')
    assert.deepEqual(liveness.expired([ONE], 1149), [])
    assert.deepEqual(liveness.expired([ONE], 1150), [1])
    assert.equal(liveness.metadataOffset(1), 5)
    assert.equal(liveness.metadataOffset(2), -1)
    assert.equal(liveness.heard(ONE, -1, 7, 1140), true, 'who does not say is believed')
    assert.equal(liveness.silenceMs(1, 1150), 10)
    assert.equal(liveness.silenceMs(3, 1150), undefined)
  })

  it('keeps a death for the registration that died', () => {
    const liveness = live()
    liveness.died(ONE)
    assert.equal(liveness.isAlive(ONE, 1001), false)
    liveness.begin([ONE, TWO], 1010)
    assert.equal(liveness.isAlive(ONE, 1011), false, 'known before, known after')
    liveness.registered({ id: 1, epoch: 20 }, 1020)
    assert.equal(liveness.isAlive({ id: 1, epoch: 20 }, 1021), true)
    liveness.died(TWO)
    liveness.heard(TWO, 1, 0, 1030)
    assert.equal(liveness.isAlive(TWO, 1031), true, 'it speaks')
  })

  it('knows nobody who is not registered, and forgives a pause of its own', () => {
    const liveness = live()
    assert.deepEqual(liveness.expired([{ id: 7, epoch: 1 }], 1000), [7])
    liveness.forgive(500)
    assert.deepEqual(liveness.expired([ONE, TWO], 1599), [])
    liveness.unregistered(1)
    assert.deepEqual(liveness.expired([ONE, TWO], 1599), [1])
  })
})
