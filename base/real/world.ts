/** The world of production. */
import type { Disk } from '../disk.ts'
import type { Logger } from '../logger.ts'
import type { Metrics } from '../metrics.ts'
import type { Rpc } from '../rpc.ts'
import type { World } from '../world.ts'
import { realClock } from './clock.ts'
import { RealDisk } from './disk.ts'
import { FaultyDisk } from './faulty-disk.ts'
import { realKvStores } from './kv.ts'
import { realNetwork } from './network.ts'
import { realRandom } from './random.ts'
import { spendYoung } from './young.ts'

/** What is handed in is made by the composition root, from its settings. */
export function realWorld(options: {
  readonly logger: Logger
  readonly metrics: Metrics
  readonly rpc: Rpc
}): World {
  return {
    clock: realClock,
    random: realRandom,
    disk: realDisk(options.logger),
    kv: realKvStores,
    network: realNetwork,
    rpc: options.rpc,
    logger: options.logger,
    metrics: options.metrics,
    maybe: () => false,
    spendYoung,
  }
}

/** STORAGE_FAULTS is set by tests only, and said. */
function realDisk(logger: Logger): Disk {
  const rulesFile = process.env['STORAGE_FAULTS']
  if (rulesFile === undefined) return new RealDisk()
  logger.warn('The disk fails on order: this is a test.', { rules: rulesFile })
  return new FaultyDisk(new RealDisk(), rulesFile)
}
