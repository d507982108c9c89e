/**
 * Makes the plan of a failure smaller: without faults that don't matter, without clients, topics
 * and time. Delta debugging: halves are left out first, then quarters, down to single entries.
 *
 * A smaller plan counts when it fails too, in a way that `isSame` accepts.
 */
import type { Actor, FaultStep, Plan } from './plan.ts'

export interface ShrinkOptions {
  /** Runs a plan; true when it still shows the failure. */
  readonly fails: (plan: Plan) => Promise<boolean>
  /** Runs at most. */
  readonly runsMax: number
  readonly progress?: (plan: Plan, runs: number) => void
}

export async function shrink(plan: Plan, options: ShrinkOptions): Promise<Plan> {
  const shrinking = new Shrinking(plan, options)
  await shrinking.run()
  return shrinking.plan
}

class Shrinking {
  plan: Plan
  readonly #options: ShrinkOptions
  #runs = 0

  constructor(plan: Plan, options: ShrinkOptions) {
    this.plan = plan
    this.#options = options
  }

  /** Until nothing more can be left out, or there are no runs left. */
  async run(): Promise<void> {
    for (let before = Number.POSITIVE_INFINITY; sizeOf(this.plan) < before && this.#isAllowed; ) {
      before = sizeOf(this.plan)
      await this.#cutTime()
      await this.#reduce<FaultStep>(this.plan.faults, (faults) => ({ ...this.plan, faults }))
      await this.#reduce<Actor>(this.plan.actors, (actors) => ({ ...this.plan, actors }))
      await this.#cutTopics()
      await this.#simplify()
    }
  }

  get #isAllowed(): boolean {
    return this.#runs < this.#options.runsMax
  }

  /** Takes the smaller plan when it fails too. */
  async #try(smaller: Plan): Promise<boolean> {
    if (!this.#isAllowed) return false
    this.#runs++
    if (!(await this.#options.fails(smaller))) return false
    this.plan = smaller
    this.#options.progress?.(smaller, this.#runs)
    return true
  }

  async #reduce<T>(entries: readonly T[], planOf: (kept: readonly T[]) => Plan): Promise<void> {
    let kept = entries
    for (let size = Math.ceil(kept.length / 2); size >= 1; ) {
      let isSmaller = false
      for (let start = 0; start < kept.length && this.#isAllowed; ) {
        const candidate = [...kept.slice(0, start), ...kept.slice(start + size)]
        if (await this.#try(planOf(candidate))) {
          kept = candidate
          isSmaller = true
        } else start += size
      }
      if (size === 1 && !isSmaller) return
      size = size === 1 ? 1 : Math.ceil(size / 2)
      if (!this.#isAllowed) return
    }
  }

  /** Ends the faults soon after the last that matters; faults that come later go along. */
  async #cutTime(): Promise<void> {
    for (const part of [0.25, 0.5, 0.75, 0.9]) {
      const safetyMs = Math.ceil(this.plan.safetyMs * part)
      const faults = this.plan.faults.filter(({ atMs }) => atMs < safetyMs)
      if (await this.#try({ ...this.plan, safetyMs, faults })) return
    }
  }

  async #cutTopics(): Promise<void> {
    for (const topic of this.plan.topics) {
      if (this.plan.topics.length === 1) return
      const topics = this.plan.topics.filter((other) => other !== topic)
      const actors = this.plan.actors.filter(({ spec }) => {
        return spec.kind === 'admin' || spec.kind === 'elector' || spec.topic !== topic.name
      })
      await this.#try({ ...this.plan, topics, actors })
    }
  }

  /** Options that make a run harder to understand. */
  async #simplify(): Promise<void> {
    const { plan } = this
    if (plan.maybeProbability > 0) await this.#try({ ...plan, maybeProbability: 0 })
    if (plan.isCoreOnly) await this.#try({ ...this.plan, isCoreOnly: false })
    if (plan.disk !== 'typical') await this.#try({ ...this.plan, disk: 'typical' })
    if (plan.latency !== 'typical') await this.#try({ ...this.plan, latency: 'typical' })
  }
}

function sizeOf({ faults, actors, topics, safetyMs }: Plan): number {
  return faults.length + actors.length + topics.length + safetyMs / 1000
}
