/** A seed from its number to its plan, and the sentence for one that fails. */
import { SimRandom } from '../../base/sim/random.ts'
import { makePlan, type Plan, type PlanOptions } from './plan.ts'
import type { RunResult } from './sim-run.ts'

export function planOfSeed(seed: number, options: PlanOptions = {}): Plan {
  return makePlan(seed, new SimRandom(seed), options)
}

export function describePlan(plan: Plan): string {
  const kinds = [...new Set(plan.faults.map(({ name }) => name))].join(' ')
  const { nodes, actors, faults } = plan
  return `${nodes} nodes, ${actors.length} clients, ${faults.length} faults (${kinds})`
}

/** undefined: all promises were kept. */
export function complaintOf({ plan, violations }: RunResult): string | undefined {
  const [first] = violations
  if (first === undefined) return undefined
  const more = violations.length > 1 ? ` and ${violations.length - 1} more` : ''
  return `seed ${plan.seed}: ${first.checker}: ${first.message}${more}`
}
