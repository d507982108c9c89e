import assert from 'node:assert/strict'
import { ControllerModel } from './controller-model.ts'

/** Seeds that once found something. */
const KEPT: readonly number[] = []

describe('node/metadata/controller-model', () => {
  it('keeps acknowledged records and its own rules through random histories', () => {
    const first = 1
    for (const seed of [...KEPT, ...Array.from({ length: 40 }, (_, at) => first + at)]) {
      const model = new ControllerModel(seed)
      try {
        model.run(200)
      } catch (error) {
        const { message } = error as Error
        assert.fail(`seed ${seed}, step ${model.trace.length} (${model.trace.at(-1)}): ${message}`)
      }
    }
  })
})
