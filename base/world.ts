/**
 * Everything from outside that a node may touch, handed down by the composition root. `base/real`
 * makes one for production, `base/sim` one in which a seed decides all.
 */
import type { Clock } from './clock.ts'
import type { Disk } from './disk.ts'
import type { KvStores } from './kv.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import type { Network } from './network.ts'
import type { Random } from './random.ts'
import type { Rpc } from './rpc.ts'

export interface World {
  readonly clock: Clock
  readonly random: Random
  readonly disk: Disk
  readonly kv: KvStores
  readonly network: Network
  readonly rpc: Rpc
  readonly logger: Logger
  readonly metrics: Metrics
  /** True sometimes in simulation, never in production: bends a rare path where it is allowed. */
  maybe(name: string): boolean
  /**
   * So many bytes of fresh buffers were made, which nobody holds any more: a hint to whoever
   * collects them. No result depends on it, and simulation has none.
   */
  spendYoung?(bytes: number): void
}
