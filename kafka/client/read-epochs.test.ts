import assert from 'node:assert/strict'
import { SimRandom } from '../../base/sim/random.ts'
import { ReadEpochs } from './read-epochs.ts'

/** Epoch by offset. */
type FakeLog = number[]

const endOf = (log: FakeLog, asked: number) => {
  const epoch = Math.max(-1, ...log.filter((each) => each <= asked))
  return { epoch, endOffset: log.lastIndexOf(epoch) + 1 }
}

describe('kafka/client/read-epochs', () => {
  it('knows nothing until something was read', () => {
    const epochs = new ReadEpochs(-1, 10)
    assert.equal(epochs.last, -1)
    epochs.onRead(3, 10)
    epochs.onRead(3, 12)
    epochs.onRead(5, 14)
    assert.equal(epochs.last, 5)
    epochs.onRead(-1, 16)
    assert.equal(epochs.last, -1)
  })

  it('goes back behind an epoch that the leader never had', () => {
    const epochs = new ReadEpochs(2, 5)
    epochs.onRead(3, 8)
    const end = { epoch: 2, endOffset: 15 }
    assert.ok(epochs.hasParted(end, 10))
    assert.equal(epochs.rewind(end, 10), 8)
    assert.equal(epochs.last, 2)
    assert.ok(!epochs.hasParted(end, 8))
  })

  it('finds the first difference between what was read and the log of a leader', () => {
    const { SEED: seed = String(Math.floor(Math.random() * 2 ** 32)) } = process.env
    const random = new SimRandom(seed)
    for (let round = 0; round < 2000; round++) {
      // Both go on from the same; an epoch has one leader, so no epoch is in both behind that.
      const shared: FakeLog = []
      let epoch = random.below(3)
      const grow = (log: FakeLog, wanted: (epoch: number) => boolean) => {
        for (let count = random.below(6); count > 0; count--) {
          if (random.below(2) === 0 || !wanted(epoch)) epoch++
          if (wanted(epoch)) log.push(epoch)
        }
      }
      grow(shared, () => true)
      const next = (shared.at(-1) ?? 0) + 1
      const read = [...shared]
      const leader = [...shared]
      epoch = next
      grow(read, (each) => each >= next && each % 2 === 0)
      epoch = next
      grow(leader, (each) => each >= next && each % 2 === 1)
      const epochs = new ReadEpochs(-1, 0)
      for (const [offset, each] of read.entries()) epochs.onRead(each, offset)
      let offset = read.length
      for (let turns = 0; epochs.last >= 0 && offset > 0; turns++) {
        const end = endOf(leader, epochs.last)
        if (end.epoch === -1 || !epochs.hasParted(end, offset)) break
        offset = epochs.rewind(end, offset)
        assert.ok(turns < read.length + leader.length + 1, `SEED=${seed}: no end`)
      }
      const isAllForeign = leader.every((each) => each > (read.at(-1) ?? -1))
      if (shared.length === 0 || isAllForeign) continue
      assert.equal(offset, shared.length, `SEED=${seed} ${read} | ${leader}`)
    }
  })
})
