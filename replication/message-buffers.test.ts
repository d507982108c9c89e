import assert from 'node:assert/strict'
import { MessageBuffers } from './message-buffers.ts'

const KB = 1024

describe('replication/message-buffers', () => {
  it('use a buffer again only after the follower has dealt with its message', () => {
    const buffers = new MessageBuffers()
    const first = buffers.take(66 * KB)
    buffers.sent(first, 1000)
    assert.notEqual(buffers.take(66 * KB), first)
    buffers.dealtWith(999)
    assert.notEqual(buffers.take(66 * KB), first)
    buffers.dealtWith(1000)
    assert.equal(buffers.take(66 * KB), first)
  })

  it('take a larger one that is there before they make a new one', () => {
    const buffers = new MessageBuffers()
    const large = buffers.take(200 * KB)
    buffers.sent(large, 1)
    buffers.dealtWith(1)
    assert.equal(buffers.take(66 * KB), large)
  })

  it('keep as much as may be under way, and no more', () => {
    const buffers = new MessageBuffers()
    const taken = Array.from({ length: 20 }, () => buffers.take(500 * KB))
    for (const [at, buffer] of taken.entries()) buffers.sent(buffer, at + 1)
    buffers.dealtWith(taken.length)
    const again = Array.from({ length: 20 }, () => buffers.take(500 * KB))
    const kept = again.filter((buffer) => taken.includes(buffer)).length
    assert.equal(kept, Math.floor((6 * 1024) / 544))
  })

  it('keep no small and no huge ones', () => {
    const buffers = new MessageBuffers()
    for (const sizeBytes of [100, 5_000_000]) {
      const buffer = buffers.take(sizeBytes)
      assert.equal(buffer.length, sizeBytes)
      buffers.sent(buffer, 1)
      buffers.dealtWith(1)
      assert.notEqual(buffers.take(sizeBytes), buffer)
    }
  })
})
