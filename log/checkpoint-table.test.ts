import assert from 'node:assert/strict'
import { SimDisk } from '../base/sim/disk.ts'
import { SimRandom } from '../base/sim/random.ts'
import { CheckpointTable } from './checkpoint-table.ts'

const PATH = '/data/recovery-point-offset-checkpoint'

function emptyDisk(seed = 1): SimDisk {
  const disk = new SimDisk({ random: new SimRandom(seed) })
  disk.makeDirectory('/data')
  return disk
}

describe('log/checkpoint-table', () => {
  it('writes what was set, in the format of Kafka, and reads it again', async () => {
    const disk = emptyDisk()
    const table = new CheckpointTable(disk, PATH)
    table.set('a-b-0', 7)
    table.set('c-12', 0)
    await table.save()
    assert.equal(disk.readFile(PATH).toString(), '0\n2\na-b 0 7\nc 12 0\n')
    const again = new CheckpointTable(disk, PATH)
    assert.ok(again.wasIntact)
    assert.equal(again.get('a-b-0'), 7)
    again.delete('a-b-0')
    await again.save()
    assert.deepEqual([...new CheckpointTable(disk, PATH).names()], ['c-12'])
  })

  it('writes once for all who ask meanwhile, and nothing when nothing changed', async () => {
    const disk = emptyDisk()
    const table = new CheckpointTable(disk, PATH)
    await table.save()
    assert.ok(!disk.exists(PATH))
    table.set('t-0', 1)
    const first = table.save()
    const later = [2, 3, 4].map((offset) => {
      table.set('t-0', offset)
      return table.save()
    })
    const syncs = disk.syncCount
    await first
    await Promise.all(later)
    assert.equal(disk.syncCount - syncs, 3, 'two files each, one of them begun before')
    assert.equal(new CheckpointTable(disk, PATH).get('t-0'), 4)
  })

  it('is one of the saved states after a power loss, never a mixture', async () => {
    for (let seed = 0; seed < 100; seed++) {
      const disk = emptyDisk(seed)
      await disk.syncDirectory('')
      const table = new CheckpointTable(disk, PATH)
      table.set('t-0', 1)
      table.set('t-1', 1)
      await table.save()
      table.set('t-0', 2)
      table.set('t-1', 2)
      let countdown = new SimRandom(seed).below(8)
      disk.fault = () => {
        if (countdown-- > 0) return undefined
        throw new Error('the power is cut')
      }
      await assert.rejects(table.save(), /power/)
      disk.fault = () => undefined
      disk.powerLoss()
      const again = new CheckpointTable(disk, PATH)
      assert.ok(again.wasIntact, `seed ${seed}`)
      assert.equal(again.get('t-0'), again.get('t-1'), `seed ${seed}`)
    }
  })

  it('is empty, and says so, when its file is not what was written', async () => {
    const disk = emptyDisk()
    const table = new CheckpointTable(disk, PATH)
    table.set('t-0', 1000)
    await table.save()
    disk.flip(PATH, 8)
    const damaged = new CheckpointTable(disk, PATH)
    assert.ok(!damaged.wasIntact)
    assert.deepEqual([...damaged.names()], [])
    await damaged.save()
    assert.ok(new CheckpointTable(disk, PATH).wasIntact, 'it is written anew')
  })
})
