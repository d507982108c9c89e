/** `npm run chaos:test`: every plan of kept/, each of which once broke a promise: none is broken. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Plan } from './plan.ts'
import { complaintOf, describePlan } from './run-seed.ts'
import { runPlan } from './sim-run.ts'

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), '../../../chaos-tests/sim/kept')
const PLAN_LIMIT_MS = 600_000

describe('chaos-tests/sim/kept', function () {
  this.timeout(PLAN_LIMIT_MS)
  for (const name of readdirSync(FOLDER)) {
    const plan = JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as Plan
    it(`${name}: seed ${plan.seed} [${describePlan(plan)}]`, async () => {
      assert.equal(complaintOf(await runPlan(plan)), undefined)
    })
  }
})
