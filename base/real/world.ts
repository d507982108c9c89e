/** The world of production. */
import type { Metrics } from '../metrics.ts'
import type { World } from '../world.ts'
import { realClock } from './clock.ts'
import { realDisk } from './disk.ts'
import { realKv } from './kv.ts'
import { type LogLevel, realLogger } from './logger.ts'
import { realNetwork } from './network.ts'
import { realRandom } from './random.ts'

export function realWorld(options: {
  readonly logLevel: LogLevel
  readonly metrics: Metrics
}): World {
  return {
    clock: realClock,
    random: realRandom,
    disk: realDisk,
    kv: realKv,
    network: realNetwork,
    logger: realLogger(options.logLevel),
    metrics: options.metrics,
    maybe: () => false,
  }
}
