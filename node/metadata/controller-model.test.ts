import assert from 'node:assert/strict'
import { ControllerModel } from './controller-model.ts'

/** Seeds that once found something. */
const KEPT: readonly (readonly [seed: number, steps: number])[] = [
  [1063, 126],
  [1428, 400],
  [1472, 324],
]

describe('node/metadata/controller-model', () => {
  it('keeps acknowledged records and its own rules through random histories', () => {
    const fresh = Array.from({ length: 30 }, (_, at) => [at + 1, 200] as const)
    for (const [seed, steps] of [...KEPT, ...fresh]) {
      const model = new ControllerModel(seed)
      try {
        model.run(steps)
      } catch (error) {
        const { message } = error as Error
        assert.fail(`seed ${seed}, step ${model.trace.length} (${model.trace.at(-1)}): ${message}`)
      }
    }
  })
})
