/** Short runs of real nodes, one for each deal of faults that need no root. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { SimRandom } from '../../base/sim/random.ts'
import { TIER_0_NAMES } from './faults.ts'
import { Deck } from './presets.ts'
import { ABSENCE } from './progress.ts'

const RUN = fileURLToPath(new URL('run.js', import.meta.url))
const SEEDS = [1, 2, 3, 4]
const FAULTS_OF_A_RUN = 7
const MINUTES = '0.5'

describe('chaos-tests/cluster: real nodes', function () {
  this.timeout(600_000)
  const names = TIER_0_NAMES.filter((name) => name !== ABSENCE)
  const deck = new Deck(names, new SimRandom('runs'))

  for (const seed of SEEDS) {
    const faults = Array.from({ length: FAULTS_OF_A_RUN }, () => deck.draw()).join(',')
    it(`seed ${seed}: ${faults}`, async () => {
      const flags = ['--faults', faults, '--seed', String(seed), '--minutes', MINUTES, '--stranger']
      const child = spawn(process.execPath, [RUN, ...flags])
      let said = ''
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (chunk: Buffer) => {
          said += chunk
        })
      }
      const [code] = await once(child, 'close')
      assert.equal(code, 0, said)
    })
  }
})
