import assert from 'node:assert/strict'
import { Turn } from '../../base/turn.ts'
import { BufferPool, MemoryAccountant, roundUp } from './memory.ts'
import { FakeClock } from './testing/fake-clock.ts'

function harness(budgetBytes: number) {
  const clock = new FakeClock()
  const memory = new MemoryAccountant(new Turn(clock), budgetBytes)
  const pool = new BufferPool(memory, { freeBytesMax: 1024 * 1024, poisons: true })
  const endTurn = () => clock.endTurn()
  return { memory, pool, endTurn }
}

describe('kafka/server/memory', () => {
  it('rounds sizes up to the buffers that are lent', () => {
    assert.equal(roundUp(1), 4096)
    assert.equal(roundUp(4097), 6144)
    assert.equal(roundUp(6145), 8192)
    assert.equal(roundUp(65536), 65536)
    assert.equal(roundUp(65537), 98304)
    assert.equal(roundUp(4 * 1024 * 1024), 4 * 1024 * 1024)
    assert.equal(roundUp(4 * 1024 * 1024 + 1), 5 * 1024 * 1024)
  })

  it('accounts for what is lent, and lends the same buffer again, poisoned', () => {
    const { memory, pool } = harness(1024 * 1024)
    const first = pool.lend(7000)
    assert.equal(memory.usedBytes, 8192)
    first.fill(1)
    pool.giveBack(first)
    assert.equal(memory.usedBytes, 0)
    assert.equal(pool.freeBytes, 8192)
    const second = pool.lend(6500)
    assert.equal(second, first)
    assert.equal(second[0], 0xdb)
    assert.equal(pool.freeBytes, 0)
  })

  it('keeps no more free buffers than it may', () => {
    const { pool } = harness(64 * 1024 * 1024)
    const lent = Array.from({ length: 32 }, () => pool.lend(65536))
    for (const buffer of lent) pool.giveBack(buffer)
    assert.equal(pool.freeBytes, 1024 * 1024)
  })

  it('lets one at a time go over the budget, and tells the others when memory comes back', () => {
    const { memory, pool, endTurn } = harness(8192)
    let told = 0
    const first = { onMemory() {} }
    const second = { onMemory: () => told++ }
    const one = pool.lend(4096)
    const two = pool.lend(8192)
    assert.equal(memory.mayReceive(first), true)
    assert.equal(memory.mayReceive(second), false)
    memory.wait(second)
    endTurn()
    assert.equal(told, 0)
    pool.giveBack(two)
    memory.settle(first)
    assert.equal(told, 0)
    endTurn()
    assert.equal(told, 1)
    assert.equal(memory.waiterCount, 0)
    assert.equal(memory.mayReceive(second), true)
    pool.giveBack(one)
  })

  it('keeps a part of the budget for requests', () => {
    const { memory, pool } = harness(16384)
    assert.equal(memory.hasRoomForAnswer(1e9), true)
    const buffer = pool.lend(4096)
    assert.equal(memory.hasRoomForAnswer(8192), true)
    assert.equal(memory.hasRoomForAnswer(8193), false)
    pool.giveBack(buffer)
  })
})
