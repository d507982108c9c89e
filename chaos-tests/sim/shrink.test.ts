import assert from 'node:assert/strict'
import { SimRandom } from '../../base/sim/random.ts'
import { makePlan, type Plan } from './plan.ts'
import { shrink } from './shrink.ts'

describe('chaos-tests/sim/shrink', () => {
  it('leaves what the failure needs, and not much more', async () => {
    const plan = makePlan(7, new SimRandom(7), { nodes: 3 })
    const faults = Array.from({ length: 40 }, (_, index) => ({
      name: index === 11 ? ('kill' as const) : index === 23 ? ('cut' as const) : ('reset' as const),
      atMs: 500 * index,
      forMs: 100,
      target: 1,
      draw: 0.5,
    }))
    const start: Plan = { ...plan, faults, safetyMs: 30_000 }
    const needed = start.actors[1]!.id
    let runs = 0
    const small = await shrink(start, {
      runsMax: 500,
      fails: async ({ faults: kept, actors }) => {
        runs++
        const names = kept.map(({ name }) => name)
        return (
          names.includes('kill') && names.includes('cut') && actors.some(({ id }) => id === needed)
        )
      },
    })
    assert.deepEqual(
      small.faults.map(({ name }) => name),
      ['kill', 'cut'],
    )
    assert.deepEqual(
      small.actors.map(({ id }) => id),
      [needed],
    )
    assert.ok(small.safetyMs < 20_000)
    assert.ok(runs < 150, `${runs} runs`)
  })

  it('stops when there are no runs left', async () => {
    const plan = makePlan(8, new SimRandom(8), { nodes: 3 })
    let runs = 0
    await shrink(plan, {
      runsMax: 5,
      fails: async () => {
        runs++
        return runs % 2 === 0
      },
    })
    assert.equal(runs, 5)
  })
})
