/** `npm run chaos:test`: every seed of seeds.txt, twice: all promises kept, the same hash. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { complaintOf, describePlan, planOfSeed } from './run-seed.ts'
import { runPlan } from './sim-run.ts'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../../..')
const SEED_LIMIT_MS = 600_000

function kept(): { seed: number; nodes: number | undefined; story: string }[] {
  const text = readFileSync(join(ROOT, 'chaos-tests/sim/seeds.txt'), 'utf8')
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [seed, nodes, ...story] = line.split(' ')
      return {
        seed: Number(seed),
        nodes: nodes === '-' ? undefined : Number(nodes),
        story: story.join(' '),
      }
    })
}

describe('chaos-tests/sim/seeds.txt', function () {
  this.timeout(SEED_LIMIT_MS)
  for (const { seed, nodes, story } of kept()) {
    const plan = planOfSeed(seed, nodes === undefined ? {} : { nodes })
    it(`seed ${seed}: ${story} [${describePlan(plan)}]`, async () => {
      const first = await runPlan(plan)
      assert.equal(complaintOf(first), undefined)
      assert.equal(
        (await runPlan(plan)).traceHash,
        first.traceHash,
        'the second run is another one',
      )
    })
  }
})
