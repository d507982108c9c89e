/**
 * Many seeds of the model tests: `node dist/log/model-run.js --seeds 10000 --from 0`, of one log;
 * with `--store` of a whole store. Prints each seed that fails, with `--trace` the end of its
 * history.
 */
import { parseArgs } from 'node:util'
import { ModelDriver } from './model-driver.ts'
import { StoreModel } from './store-model.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '0' },
    steps: { type: 'string', default: '80' },
    lives: { type: 'string', default: '12' },
    store: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
  },
})
const from = Number(values.from)
const to = from + Number(values.seeds)
let failures = 0
let current = from
process.on('unhandledRejection', (error) => {
  process.stdout.write(`seed ${current}: ${error instanceof Error ? error.stack : error}\n`)
  process.exit(1)
})
for (let seed = from; seed < to; seed++) {
  current = seed
  const model = values.store ? new StoreModel(seed) : new ModelDriver(seed)
  try {
    await model.run(Number(values.store ? values.lives : values.steps))
  } catch (error) {
    failures++
    process.stdout.write(`seed ${seed}: ${error instanceof Error ? error.stack : error}\n`)
    if (values.trace) process.stdout.write(`${model.trace.join('\n')}\n`)
    if (failures >= 10) break
  }
}
process.stdout.write(`${to - from} seeds, ${failures} failures\n`)
process.exitCode = failures === 0 ? 0 : 1
