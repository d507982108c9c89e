/** A few seeds, in a few seconds: the rest is `npm run chaos:test` and `npm run chaos`. */
import assert from 'node:assert/strict'
import { complaintOf, describePlan, planOfSeed } from './run-seed.ts'
import { runPlan } from './sim-run.ts'

const SHORT = { safetyMs: 4000, livenessMs: 1000 }

describe('chaos-tests/sim', () => {
  it('gives the same run twice for one seed, and another for another', async function () {
    this.timeout(60_000)
    const plan = planOfSeed(6, { ...SHORT, nodes: 1 })
    const first = await runPlan(plan)
    const second = await runPlan(plan)
    const other = await runPlan(planOfSeed(4, { ...SHORT, nodes: 1 }))
    assert.equal(first.traceHash, second.traceHash)
    assert.notEqual(first.traceHash, other.traceHash)
    assert.ok(first.acknowledged > 50, `${first.acknowledged} records acknowledged`)
  })

  it('finds that records were acknowledged before they were on disks', async function () {
    this.timeout(60_000)
    const plan = planOfSeed(5, { ...SHORT, nodes: 1, faults: ['power-loss-all'] })
    const topics = plan.topics.map((topic) => {
      return { ...topic, configs: { ...topic.configs, flush: 'none' } }
    })
    const { violations } = await runPlan({ ...plan, topics })
    const found = new Set(violations.map(({ checker }) => checker))
    assert.ok(found.has('ack-not-durable'), [...found].join(', '))
    assert.ok(found.has('inconsistent-offsets') || found.has('unseen'), [...found].join(', '))
  })

  for (const [seed, nodes] of [
    [11, 1],
    [18, 3],
    [23, 3],
  ] as const) {
    const plan = planOfSeed(seed, { ...SHORT, nodes })
    it(`keeps every promise: seed ${seed}, ${describePlan(plan)}`, async function () {
      this.timeout(60_000)
      assert.equal(complaintOf(await runPlan(plan)), undefined)
    })
  }
})
