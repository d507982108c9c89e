import { ReplicationModel } from './testing/model.ts'

const SEEDS = 30

describe('replication, at random', () => {
  for (const flush of ['group'] as const) {
    for (let seed = 1; seed <= SEEDS; seed++) {
      it(`keeps its invariants, flush ${flush}, seed ${seed}`, async function () {
        this.timeout(20_000)
        await new ReplicationModel({ seed, flush }).run()
      })
    }
  }
})
