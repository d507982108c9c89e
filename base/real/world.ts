/** The world of production. */
import type { Logger } from '../logger.ts'
import type { Metrics } from '../metrics.ts'
import type { Rpc } from '../rpc.ts'
import type { World } from '../world.ts'
import { realClock } from './clock.ts'
import { RealDisk } from './disk.ts'
import { realKvStores } from './kv.ts'
import { realNetwork } from './network.ts'
import { realRandom } from './random.ts'

/** What is handed in is made by the composition root, from its settings. */
export function realWorld(options: {
  readonly logger: Logger
  readonly metrics: Metrics
  readonly rpc: Rpc
}): World {
  return {
    clock: realClock,
    random: realRandom,
    disk: new RealDisk(),
    kv: realKvStores,
    network: realNetwork,
    rpc: options.rpc,
    logger: options.logger,
    metrics: options.metrics,
    maybe: () => false,
  }
}
