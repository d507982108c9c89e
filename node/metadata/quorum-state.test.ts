import assert from 'node:assert/strict'
import { AssertionFailed } from '../../base/assert.ts'
import { CorruptionError } from '../../base/errors.ts'
import { SimDisk } from '../../base/sim/disk.ts'
import { SimRandom } from '../../base/sim/random.ts'
import { NO_VOTE, QuorumState } from './quorum-state.ts'
import { idOf } from './testing.ts'

const PATH = '/data/quorum-state'
const SLOT_BYTES = 4096

async function newDisk(seed: number): Promise<SimDisk> {
  const disk = new SimDisk({ random: new SimRandom(seed) })
  disk.makeDirectory('/data')
  await disk.syncDirectory('/')
  return disk
}

const vote = (term: number, votedId = 1) => ({ term, votedId, votedDirectoryId: idOf(5) })

function damage(disk: SimDisk, at: number): void {
  const file = disk.open(PATH, 'write')
  const byte = Buffer.alloc(1)
  file.read(byte, 0, 1, at)
  byte[0]! ^= 0xff
  file.write(byte, 0, 1, at)
  file.close()
}

const read = async (disk: SimDisk) => {
  const state = await QuorumState.open(disk, '/data')
  const { term, votedId } = state.vote
  await state.close()
  return { term, votedId }
}

describe('node/metadata/quorum-state', () => {
  it('begins without a vote, and keeps what it saved', async () => {
    const disk = await newDisk(1)
    const state = await QuorumState.open(disk, '/data')
    assert.equal(state.vote.term, NO_VOTE.term)
    assert.equal(state.vote.votedId, -1)
    await state.save(vote(3))
    await state.close()
    const again = await QuorumState.open(disk, '/data')
    assert.deepEqual(
      [again.vote.term, again.vote.votedId, again.vote.votedDirectoryId],
      [3, 1, idOf(5)],
    )
    await assert.rejects(again.save(vote(2)), AssertionFailed, 'terms do not go back')
    await assert.rejects(again.save(vote(3, 2)), AssertionFailed, 'one vote a term')
    await again.close()
  })

  it('survives damage of either slot, and does not vote when both are gone', async () => {
    for (const slot of [0, 1]) {
      const disk = await newDisk(2)
      const state = await QuorumState.open(disk, '/data')
      await state.save(vote(4))
      await state.close()
      damage(disk, slot * SLOT_BYTES + 21)
      assert.deepEqual(await read(disk), { term: 4, votedId: 1 })
      for (const both of [0, 1]) damage(disk, both * SLOT_BYTES + 21)
      await assert.rejects(read(disk), CorruptionError)
    }
  })

  it('has a vote on the device that it found in the page cache only', async () => {
    const disk = await newDisk(3)
    const state = await QuorumState.open(disk, '/data')
    await state.save(vote(4))
    disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined)
    await assert.rejects(state.save(vote(5)))
    disk.fault = () => undefined
    disk.killProcess()
    assert.deepEqual(await read(disk), { term: 5, votedId: 1 })
    disk.powerLoss()
    assert.deepEqual(await read(disk), { term: 5, votedId: 1 })
  })

  it('after a power loss at any write has the old vote or the new one', async () => {
    for (let seed = 0; seed < 300; seed++) {
      const disk = await newDisk(seed)
      const state = await QuorumState.open(disk, '/data')
      await state.save(vote(1))
      let isSaved = false
      let operations = 1 + (seed % 5)
      disk.fault = (operation) => {
        if (operation !== 'write' && operation !== 'sync') return undefined
        return --operations < 0 ? 'EIO' : undefined
      }
      try {
        await state.save(vote(2))
        isSaved = true
      } catch {
        // The power is about to go.
      }
      disk.fault = () => undefined
      disk.powerLoss()
      const { term } = await read(disk)
      assert.ok(term === 2 || (term === 1 && !isSaved), `seed ${seed}: term ${term}`)
    }
  })
})
