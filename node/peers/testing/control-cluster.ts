/** For tests: the control planes of three nodes in one simulation, without records. */
import assert from 'node:assert/strict'
import { type SimHost, SimWorld } from '../../../base/sim/world.ts'
import { loadSettings } from '../../config/load.ts'
import { registrationRequest } from '../../metadata/broker-registrations.ts'
import { Controller } from '../../metadata/controller.ts'
import { newUuid } from '../../metadata/meta-properties.ts'
import { RaftQuorum } from '../../metadata/raft-quorum.ts'
import { snapshotRecords } from '../../metadata/snapshot-records.ts'
import { idOf } from '../../metadata/testing.ts'
import type { SelfIdentity } from '../hello.ts'
import { Mesh } from '../mesh.ts'
import type { BrokerSession } from '../session.ts'

const PORT = 9093
const VOTERS = [1, 2, 3].map((id) => ({ id, host: `node-${id}`, port: PORT }))
const DIRECTORY = '/data'

/** The control plane of one node: everything but records. */
export class ControlNode {
  readonly id: number
  readonly mesh: Mesh
  readonly quorum: RaftQuorum
  readonly controller: Controller
  readonly session: BrokerSession
  readonly self: SelfIdentity

  private constructor(id: number, host: SimHost) {
    this.id = id
    const { clock, random, disk, logger, rpc } = host.boot()
    this.self = {
      nodeId: id,
      directoryId: idOf(100 + id),
      incarnationId: newUuid(random),
      clusterId: () => this.quorum.image.clusterId,
    }
    const { self } = this
    const voters = VOTERS
    this.mesh = new Mesh({
      clock,
      logger,
      rpc,
      self,
      voters,
      controllerListeners: ['CONTROLLER'],
    })
    const { mesh } = this
    this.quorum = new RaftQuorum({
      nodeId: id,
      directoryId: self.directoryId,
      voterIds: voters.map((voter) => voter.id),
      directory: DIRECTORY,
      disk,
      clock,
      random,
      logger,
      transport: mesh.transport,
      snapshotRecords,
      onSuspect: (nodeId) => mesh.peers.suspect(nodeId),
      onFatal: (error) => {
        throw error
      },
    })
    const { quorum } = this
    const settings = loadSettings({ flags: { 'node.id': String(id) } })
    this.controller = new Controller({
      nodeId: id,
      quorum,
      clock,
      random,
      logger,
      settings: () => settings,
      silentFor: () => mesh.peers.silentFor(),
    })
    mesh.join({ quorum, controller: this.controller, state: () => 'running' })
    this.session = mesh.openSession({
      registration: () =>
        registrationRequest({
          nodeId: id,
          clusterId: quorum.image.clusterId ?? '',
          incarnationId: self.incarnationId,
          rack: null,
          endpoints: [
            { name: 'PLAINTEXT', host: `node-${id}`, port: 9092 },
            { name: 'CONTROLLER', host: `node-${id}`, port: PORT },
          ],
          directoryIds: [self.directoryId],
          previousEpoch: -1,
        }),
      offlineDirectoryIds: () => [],
      heartbeatMs: 200,
      registrationTimeoutMs: 60_000,
    })
  }

  static async start(world: SimWorld, id: number): Promise<ControlNode> {
    const host = world.host(`node-${id}`)
    const node = new ControlNode(id, host)
    host.disk.makeDirectory(DIRECTORY)
    await host.disk.syncDirectory('/')
    await node.quorum.start()
    node.controller.start()
    await node.mesh.listen(host.name, PORT)
    await node.session.start()
    node.session.ready()
    await node.session.whenUnfenced()
    return node
  }

  async stop(): Promise<void> {
    this.session.close()
    this.controller.stop()
    await this.quorum.stop()
    await this.mesh.close()
  }

  createTopic(name: string) {
    const topic = { name, numPartitions: 3, replicationFactor: 3, assignments: [], configs: [] }
    return this.mesh.controller.createTopics(undefined, {
      topics: [topic],
      timeoutMs: 10_000,
      validateOnly: false,
    })
  }
}

export class ControlCluster {
  readonly world: SimWorld
  readonly nodes = new Map<number, ControlNode>()

  constructor(seed: number) {
    this.world = new SimWorld(seed)
  }

  async start(...ids: number[]): Promise<void> {
    const started = ids.map((id) => ControlNode.start(this.world, id))
    for (const node of await this.world.complete(Promise.all(started))) {
      this.nodes.set(node.id, node)
    }
  }

  kill(id: number): void {
    this.world.host(`node-${id}`).kill()
    this.nodes.delete(id)
  }

  get leader(): ControlNode | undefined {
    return [...this.nodes.values()].find(({ id, quorum }) => quorum.leaderId === id)
  }

  get follower(): ControlNode {
    const leader = this.leader
    const found = [...this.nodes.values()].find((node) => node !== leader)
    assert.ok(leader !== undefined && found !== undefined)
    return found
  }

  isFenced(id: number): boolean {
    return this.leader?.quorum.image.brokers.get(id)?.isFenced === true
  }
}
