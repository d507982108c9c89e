/** How quick links and disks are, by the names that plans use. */
import type { DiskOperation } from '../../base/sim/disk.ts'
import type { SimRandom } from '../../base/sim/random.ts'

type LinkLatency = (random: SimRandom, from: string, to: string) => number
type DiskLatency = (operation: DiskOperation, random: SimRandom) => number

const exponential = (random: SimRandom, mean: number) =>
  Math.floor(-Math.log(1 - random.unit()) * mean)

export const LATENCIES: Readonly<Record<'near' | 'typical' | 'far', LinkLatency>> = {
  near: (random) => 30 + exponential(random, 40),
  typical: (random) => 80 + exponential(random, random.chance(0.01) ? 5000 : 150),
  far: (random) => 5000 + exponential(random, random.chance(0.02) ? 40_000 : 3000),
}

export const DISKS: Readonly<Record<'fast' | 'typical' | 'slow', DiskLatency>> = {
  fast: (_, random) => 10 + random.below(40),
  typical: (operation, random) => {
    if (!operation.startsWith('sync')) return 20 + random.below(80)
    return random.chance(0.02) ? 1000 + random.below(11_000) : 250 + random.below(150)
  },
  slow: (operation, random) => {
    return operation.startsWith('sync') ? 5000 + exponential(random, 10_000) : 500
  },
}
