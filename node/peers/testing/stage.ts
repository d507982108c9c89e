/** Nodes that know each other, for tests: in one simulation, or in this process on loopback. */
import assert from 'node:assert/strict'
import { type Clock, delay } from '../../../base/clock.ts'
import type { Logger } from '../../../base/logger.ts'
import { realClock } from '../../../base/real/clock.ts'
import type { Rpc, RpcServer } from '../../../base/rpc.ts'
import { SimLogger, type SimLogLine } from '../../../base/sim/logger.ts'
import { SimWorld } from '../../../base/sim/world.ts'
import { type Driver, realDriver, simDriver } from '../../../base/suites/driver.ts'
import type { NodeCertificates } from '../../../proto/certificates.ts'
import { GrpcRpc } from '../../../proto/rpc.ts'
import type { SelfIdentity } from '../hello.ts'
import type { PeerAddress } from '../link.ts'
import { Peers } from '../peers.ts'
import { PeerServer } from '../server.ts'

/** What a node gets of the world it lives in. */
export interface Place {
  readonly clock: Clock
  readonly rpc: Rpc
  readonly logger: Logger
  readonly lines: readonly SimLogLine[]
}

export interface Stage extends Driver {
  readonly isSimulated: boolean
  place(nodeId: number): Place
  host(nodeId: number): string
  /** How a process goes, after its server has been told to close. */
  end(nodeId: number): void
  monotonicMs(): number
  elapse(durationMs: number): Promise<void>
}

export function simStage(seed: number): Stage & { readonly world: SimWorld } {
  const world = new SimWorld(seed)
  const name = (nodeId: number) => `node-${nodeId}`
  return {
    ...simDriver(world.scheduler),
    world,
    isSimulated: true,
    place(nodeId) {
      const host = world.host(name(nodeId))
      const { clock, rpc, logger } = host.world
      return { clock, rpc, logger, lines: host.logLines }
    },
    host: name,
    end: (nodeId) => world.host(name(nodeId)).kill(),
    monotonicMs: () => world.scheduler.nowMs,
    elapse: (durationMs) => world.runFor(durationMs),
  }
}

/** `certificatesOf`: what a node shows to others; absent: nothing. */
export function realStage(certificatesOf?: (nodeId: number) => NodeCertificates): Stage {
  const lines = new Map<number, SimLogLine[]>()
  return {
    ...realDriver,
    isSimulated: false,
    place(nodeId) {
      const own = lines.get(nodeId) ?? []
      lines.set(nodeId, own)
      const logger = new SimLogger(() => realClock.monotonicMs(), {}, own)
      const certificates = certificatesOf?.(nodeId)
      const proof = certificates === undefined ? {} : { certificates }
      const rpc = new GrpcRpc({ clock: realClock, ...proof })
      return { clock: realClock, rpc, logger, lines: own }
    },
    host: () => '127.0.0.1',
    end() {},
    monotonicMs: () => realClock.monotonicMs(),
    elapse: (durationMs) => delay(realClock, durationMs),
  }
}

export interface Told {
  readonly nodeId: number
  readonly incarnationId: string | undefined
}

/** A node with its links and its server, and what it was told. */
export class StageNode {
  readonly stage: Stage
  readonly place: Place
  readonly self: SelfIdentity
  readonly peers: Peers
  readonly service: PeerServer
  readonly dead: Told[] = []
  readonly ups: string[] = []
  readonly downs: number[] = []
  /** None: they are not compared. */
  readonly voterIds: number[] = []
  clusterId: string | undefined
  server: RpcServer | undefined

  constructor(stage: Stage, nodeId: number, options: { clusterId?: string; life?: number } = {}) {
    this.stage = stage
    this.place = stage.place(nodeId)
    this.clusterId = options.clusterId
    this.self = {
      nodeId,
      directoryId: `directory-${nodeId}`,
      incarnationId: `${nodeId}.${options.life ?? 1}`,
      clusterId: () => this.clusterId,
      voterIds: this.voterIds,
    }
    const { clock, rpc, logger } = this.place
    this.peers = new Peers({ clock, rpc, logger, self: this.self })
    this.service = new PeerServer({
      clock,
      logger,
      self: this.self,
      heardFrom: (remote) => this.peers.heardFrom(remote),
    })
    this.peers.onDead((id, incarnationId) => this.dead.push({ nodeId: id, incarnationId }))
    this.peers.onUp(({ incarnationId }) => this.ups.push(incarnationId))
    this.peers.onDown((id) => this.downs.push(id))
  }

  get id(): number {
    return this.self.nodeId
  }

  get address(): PeerAddress {
    assert.ok(this.server !== undefined)
    return { host: this.stage.host(this.id), port: this.server.port }
  }

  async serve(port = 0): Promise<void> {
    const where = { host: this.stage.host(this.id), port }
    this.server = await this.stage.complete(this.place.rpc.serve(where, this.service))
  }

  /** Its process ends, as others see it. */
  async end(): Promise<void> {
    if (this.server === undefined) return
    this.stage.end(this.id)
    this.peers.close()
    await this.stage.complete(this.server.close())
    this.server = undefined
  }

  logged(pattern: RegExp): boolean {
    return this.place.lines.some(({ message, fields }) =>
      pattern.test(`${message} ${String(fields['reason'] ?? '')}`),
    )
  }
}

/** Lets each node know all others. */
export function introduce(nodes: readonly StageNode[]): void {
  const addresses = new Map(nodes.map((node) => [node.id, node.address]))
  for (const node of nodes) node.peers.setNodes(addresses)
}

/** Nodes 1 to `count`, which serve, know each other and are connected. */
export async function startNodes(stage: Stage, count: number): Promise<StageNode[]> {
  const nodes: StageNode[] = []
  for (let id = 1; id <= count; id++) {
    const node = new StageNode(stage, id)
    await node.serve()
    nodes.push(node)
  }
  introduce(nodes)
  const isConnected = (node: StageNode) =>
    nodes.every(({ id }) => id === node.id || node.peers.isUp(id))
  await stage.until(() => nodes.every(isConnected))
  return nodes
}
