import assert from 'node:assert/strict'
import { Lease } from './lease.ts'

describe('node/peers/lease', () => {
  it('lasts for a session from when the answered heartbeat was sent', () => {
    const lease = new Lease(1000, () => 0)
    assert.equal(lease.untilMs, Number.NEGATIVE_INFINITY)
    lease.sent(1, 100)
    lease.sent(2, 300)
    lease.answered(1, { metadataOffset: 0 })
    assert.equal(lease.untilMs, 1050)
    lease.answered(2, { metadataOffset: 0 })
    assert.equal(lease.untilMs, 1250)
  })

  it('is not shortened by answers in another order, nor made longer by one that comes twice', () => {
    const lease = new Lease(1000, () => 0)
    lease.sent(1, 100)
    lease.sent(2, 300)
    lease.answered(2, { metadataOffset: 0 })
    lease.answered(1, { metadataOffset: 0 })
    lease.answered(2, { metadataOffset: 0 })
    assert.equal(lease.untilMs, 1250)
  })

  it('is shorter where the controller that answers may be replaced sooner', () => {
    const lease = new Lease(1000, () => 0)
    lease.sent(1, 100)
    lease.sent(2, 200)
    lease.answered(1, { metadataOffset: 0, atMostMs: 800 })
    assert.equal(lease.untilMs, 860)
    lease.answered(2, { metadataOffset: 0, atMostMs: 2000 })
    assert.equal(lease.untilMs, 1150)
  })

  it('ends, and what was under way before counts no more', () => {
    const lease = new Lease(1000, () => 0)
    lease.sent(1, 100)
    lease.answered(1, { metadataOffset: 0 })
    lease.sent(2, 300)
    lease.end()
    lease.answered(2, { metadataOffset: 0 })
    assert.equal(lease.untilMs, Number.NEGATIVE_INFINITY)
  })

  it('forgets heartbeats whose answer would prove nothing', () => {
    const lease = new Lease(1000, () => 0)
    lease.sent(1, 100)
    lease.sent(2, 2000)
    lease.answered(1, { metadataOffset: 0 })
    assert.equal(lease.untilMs, Number.NEGATIVE_INFINITY)
  })

  it('counts only once the image has what the controller had when it answered', () => {
    let appliedOffset = 4
    const lease = new Lease(1000, () => appliedOffset)
    lease.sent(1, 100)
    lease.sent(2, 300)
    lease.answered(1, { metadataOffset: 4 })
    lease.answered(2, { metadataOffset: 5 })
    assert.equal(lease.untilMs, 1050)
    appliedOffset = 5
    assert.equal(lease.untilMs, 1250)
  })
})
