import { ModelDriver } from './model-driver.ts'

const STEPS = 80
const SEEDS = 100
/** Each of these found a fault once, in the log or in the model. */
const ONCE_FAILED = [
  559, 580, 616, 1155, 1234, 1486, 1573, 1701, 1730, 2243, 2274, 2386, 2560, 2732, 4277, 9288,
  10732, 11478, 13527, 13584, 14065, 15746, 16289, 16569, 17561, 17640, 19434, 2405, 7882, 14138,
  18929, 22585, 25313, 25510, 29143, 30289, 37257, 72253, 138236, 414174,
]

async function run(seeds: readonly number[]): Promise<void> {
  for (const seed of seeds) {
    const driver = new ModelDriver(seed)
    try {
      await driver.run(STEPS)
    } catch (error) {
      const history = driver.trace.slice(-40).join('\n')
      const message = error instanceof Error ? error.message : String(error)
      throw new Error(`seed ${seed}: ${message}\n${history}`, { cause: error })
    }
  }
}

describe('log/model', () => {
  it(`equals an array through ${SEEDS} histories with crashes at any operation`, async () => {
    await run(Array.from({ length: SEEDS }, (_, seed) => seed))
  }).timeout(60_000)

  it('equals it for the seeds that once found a fault', async () => {
    await run(ONCE_FAILED)
  }).timeout(60_000)
})
