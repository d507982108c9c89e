/* What a fault of real nodes is, and what it may use. */
import type { SimRandom } from '../../base/sim/random.ts'
import type { LinkMesh } from './link-mesh.ts'
import type { Ability, LoopDisk } from './machine.ts'
import type { ServerProcess } from './processes.ts'

/** What a fault may use. */
export interface Stage {
  readonly nodes: readonly ServerProcess[]
  readonly mesh: LinkMesh
  readonly random: SimRandom
  /** Of a node; undefined where no fault needs it. */
  diskOf(node: ServerProcess): LoopDisk | undefined
  /** A node by what it does at the moment. */
  target(): Promise<ServerProcess>
  /** The fault begins now only, or has its effect until now; else from the call to the end. */
  begins(): void
  ends(): void
  /** For the record of the run. */
  say(what: string): void
}

export interface ClusterFault {
  readonly name: string
  readonly about: string
  /** Tier 1: what the machine has to be able to do. */
  readonly needs?: Ability
  readonly inflict: (stage: Stage) => Promise<void>
}

/** Below, at and above the time after which a silent node is fenced. */
export const SILENCES_MS = [300, 1000, 2000, 5000]
export const SLOW_MS = 3000

export const idOf = (stage: Stage, node: ServerProcess): number => stage.nodes.indexOf(node) + 1

/** After a fault that may have ended the node, or not. */
export async function revived(node: ServerProcess): Promise<void> {
  if (!node.isRunning) await node.start()
}
