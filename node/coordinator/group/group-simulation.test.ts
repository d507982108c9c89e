import assert from 'node:assert/strict'
import { GroupSimulation } from './group-simulation.ts'

const SEEDS = 40
const STEPS = 60

describe('a group under random failures', () => {
  it(`keeps its promises and becomes stable again, for ${SEEDS} seeds`, async () => {
    let commits = 0
    let restarts = 0
    let generations = 0
    for (let seed = 1; seed <= SEEDS; seed++) {
      const simulation = new GroupSimulation(seed)
      try {
        await simulation.run(STEPS)
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.stack : error}`, {
          cause: error,
        })
      }
      commits += simulation.checker.commits
      restarts += simulation.restarts
      generations += simulation.checker.generations
    }
    // The runs are worth something: much happened in them.
    assert.ok(commits > 20 * SEEDS, `${commits} commits`)
    assert.ok(restarts > SEEDS, `${restarts} restarts`)
    assert.ok(generations > 5 * SEEDS, `${generations} generations`)
  })

  it('is reproducible from its seed', async () => {
    const hashes = await Promise.all(
      [7, 7].map(async (seed) => {
        const simulation = new GroupSimulation(seed)
        await simulation.run(20)
        return simulation.world.scheduler.traceHash()
      }),
    )
    assert.equal(hashes[0], hashes[1])
  })
})
