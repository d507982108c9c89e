import assert from 'node:assert/strict'
import { CorruptionError } from '../../base/errors.ts'
import { SILENT } from '../../base/logger.ts'
import { SimDisk } from '../../base/sim/disk.ts'
import { SimRandom } from '../../base/sim/random.ts'
import { Checkpoints, checkpointName, readCheckpoint } from './checkpoints.ts'
import { takeSnapshot } from './snapshot-writer.ts'
import { brokerRecord, idOf, partitionRecord, topicRecord } from './testing.ts'

const DIRECTORY = '/data'
const ID = {
  endOffset: 12,
  term: 3,
  membership: { voters: [{ nodeId: 1, directoryId: idOf(9) }], outgoing: [] },
}

async function checkpointBytes(random: SimRandom): Promise<Buffer> {
  const disk = new SimDisk({ random })
  disk.makeDirectory(DIRECTORY)
  const records = [
    brokerRecord(1, 2),
    topicRecord('a', idOf(1)),
    ...Array.from({ length: 40 }, (_, index) => partitionRecord(idOf(1), index)),
  ]
  const checkpoints = new Checkpoints(disk, DIRECTORY, SILENT)
  const content = { records, nowMs: 1_700_000_000_000, pause: async () => {} }
  assert.ok(await takeSnapshot(checkpoints, ID, content))
  return disk.readFile(`${DIRECTORY}/${checkpointName(12, 3)}`)
}

/** As a disk may have it after a write that went wrong. */
function damaged(bytes: Buffer, random: SimRandom): Buffer {
  if (random.chance(0.3)) return bytes.subarray(0, random.below(bytes.length))
  const copy = Buffer.from(bytes)
  const at = random.below(bytes.length)
  if (random.chance(0.5)) {
    copy[at]! ^= 1 << random.below(8)
    return copy
  }
  const length = Math.min(random.pick([1, 4, 64, 512]), bytes.length - at)
  const from = random.below(bytes.length - length)
  bytes.copy(copy, at, from, from + length)
  return copy
}

describe('node/metadata/checkpoints', () => {
  it('are read as they were written, or not at all', async () => {
    const random = new SimRandom(1)
    const bytes = await checkpointBytes(random)
    const whole = readCheckpoint('whole', bytes)
    assert.equal(whole.records.length, 42)
    let refused = 0
    for (let round = 0; round < 3000; round++) {
      try {
        assert.deepEqual(readCheckpoint('damaged', damaged(bytes, random)), whole)
      } catch (error) {
        if (!(error instanceof CorruptionError)) throw error
        refused++
      }
    }
    assert.ok(refused > 2000, `${refused} were refused`)
  })
})
