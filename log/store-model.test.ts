import { StoreModel } from './store-model.ts'

const SEEDS = 10
const LIVES = 12
/** Each of these found a fault once, in the store or in the model. */
const ONCE_FAILED: readonly number[] = []

describe('log/store-model', () => {
  it(`keeps what is durable through ${SEEDS} histories of a whole store`, async () => {
    for (const seed of [...ONCE_FAILED, ...Array.from({ length: SEEDS }, (_, i) => i)]) {
      const model = new StoreModel(seed)
      try {
        await model.run(LIVES)
      } catch (error) {
        const history = model.trace.slice(-40).join('\n')
        const message = error instanceof Error ? error.message : String(error)
        throw new Error(`seed ${seed}: ${message}\n${history}`, { cause: error })
      }
    }
  }).timeout(60_000)
})
