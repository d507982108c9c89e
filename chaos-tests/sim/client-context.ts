/** What one client of a workload gets: a machine, a name, randomness, and the end of its work. */
import { delay } from '../../base/clock.ts'
import type { SimRandom } from '../../base/sim/random.ts'
import type { ClientParts } from '../../kafka/client/connection.ts'
import type { Recorder } from './recorder.ts'

export class ClientContext {
  /** Unique in a run, also over restarts of the client: it begins the values that it writes. */
  readonly name: string
  readonly world: ClientParts
  readonly random: SimRandom
  readonly recorder: Recorder
  readonly bootstrap: readonly string[]
  /** Set from outside: finish what is under way and return. */
  isOver = false
  /** Set from outside: faults are over, and the time that recovery may take is too. */
  isCalm = false

  constructor(options: {
    name: string
    world: ClientParts
    random: SimRandom
    recorder: Recorder
    bootstrap: readonly string[]
  }) {
    this.name = options.name
    this.world = options.world
    this.random = options.random
    this.recorder = options.recorder
    this.bootstrap = options.bootstrap
  }

  pause(durationMs: number): Promise<void> {
    return delay(this.world.clock, durationMs)
  }
}
