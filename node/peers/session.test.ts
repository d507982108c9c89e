import assert from 'node:assert/strict'
import { UserError } from '../../base/errors.ts'
import type { BrokerHeartbeatRequest } from '../../kafka/api/63-broker-heartbeat.ts'
import { sessionResponse } from '../../proto/codecs.ts'
import { CLUSTER_FORWARD, CLUSTER_SESSION } from '../../proto/methods.ts'
import type { ControllerPort } from '../metadata/controller-port.ts'
import { NotLeaderError } from '../metadata/quorum.ts'
import { idOf } from '../metadata/testing.ts'
import { ClockWatch } from './clock-watch.ts'
import { Confirmation } from './confirmation.ts'
import { ControllerClient } from './controller-client.ts'
import { ForwardService } from './forward-service.ts'
import { BrokerSession } from './session.ts'
import { SessionService } from './session-service.ts'
import { ScriptedQuorum, scripted } from './testing/controllers.ts'
import { realStage, type Stage, StageNode, simStage, startNodes } from './testing/stage.ts'

const SEED = 4_242
const HEARTBEAT_MS = 30
const SESSION_MS = 400
const ELECTION_MS = 300

/** A node with a broker's session and a controller that answers while it leads. */
class Seat {
  readonly node: StageNode
  readonly quorum = new ScriptedQuorum()
  readonly session: BrokerSession
  readonly client: ControllerClient
  readonly heartbeats: { readonly request: BrokerHeartbeatRequest; readonly progress: number }[] =
    []
  readonly fencings: boolean[] = []
  registrations = 0
  mayShutDown = false
  registrationError = 0
  heartbeatError = 0
  isAnswering = true
  isFencing = false
  isAlone = false

  constructor(node: StageNode) {
    this.node = node
    const controller = this.#controller()
    const { clock, logger } = node.place
    const parts = { clock, logger, self: node.self, peers: node.peers, quorum: this.quorum }
    const confirmation = new Confirmation(node.id, () => this.quorum)
    const isConfirmed = () => confirmation.ask()
    this.client = new ControllerClient({ ...parts, controller })
    this.session = new BrokerSession({
      ...parts,
      controller: this.client,
      local: controller,
      registration: () => this.#registration(),
      isConfirmed,
      isAlone: () => this.isAlone,
      offlineDirectoryIds: () => [idOf(7)],
      heartbeatMs: HEARTBEAT_MS,
      sessionTimeoutMs: SESSION_MS,
      electionTimeoutMs: ELECTION_MS,
      registrationTimeoutMs: 500,
      onFencing: (isFenced) => this.fencings.push(isFenced),
    })
    const forwards = new ForwardService({ ...parts, controller })
    const metadataOffset = () => this.quorum.nextOffset - 1
    const clocks = new ClockWatch({ clock, logger })
    const sessions = new SessionService({
      logger,
      controller,
      isConfirmed,
      metadataOffset,
      clocks,
    })
    node.service.routeCall(CLUSTER_FORWARD, (request) => forwards.answer(request))
    node.service.routeStream(CLUSTER_SESSION, (remote, stream) => sessions.accept(remote, stream))
  }

  get last(): BrokerHeartbeatRequest | undefined {
    return this.heartbeats.at(-1)?.request
  }

  #controller(): ControllerPort {
    const requireLead = () => {
      if (this.quorum.leaderId !== this.node.id) throw new NotLeaderError('not here')
    }
    return scripted({
      registerBroker: async (request) => {
        requireLead()
        assert.equal(request.brokerId, 1)
        this.registrations++
        const errorCode = this.registrationError
        return { errorCode, brokerEpoch: errorCode === 0 ? 10 + this.registrations : -1 }
      },
      heartbeat: async (request, progress) => {
        requireLead()
        this.heartbeats.push({ request, progress })
        if (!this.isAnswering) return new Promise(() => {})
        return {
          errorCode: this.heartbeatError,
          isCaughtUp: true,
          isFenced: request.wantFence || this.isFencing,
          shouldShutDown: request.wantShutDown && this.mayShutDown,
        }
      },
    })
  }

  #registration() {
    return {
      brokerId: this.node.id,
      clusterId: '',
      incarnationId: idOf(99),
      listeners: [],
      features: [],
      rack: null,
      isMigratingZkBroker: false,
      logDirs: [],
      previousBrokerEpoch: -1,
    }
  }
}

class Scene {
  readonly stage: Stage
  seats: Seat[] = []
  readonly others: StageNode[] = []
  constructor(stage: Stage) {
    this.stage = stage
  }

  get broker(): Seat {
    return this.seats[0]!
  }

  get controller(): Seat {
    return this.seats[1]!
  }

  leads(id: number): void {
    for (const { quorum } of this.seats) quorum.leaderId = id
  }

  async started(): Promise<BrokerSession> {
    this.leads(2)
    await this.stage.complete(this.broker.session.start())
    return this.broker.session
  }

  async end(): Promise<void> {
    for (const { session, client, node } of this.seats) {
      session.close()
      client.close()
      node.peers.close()
    }
    for (const { node } of this.seats) await node.end()
    for (const node of this.others) await node.end()
  }
}

for (const [name, start] of [
  ['simulated', () => simStage(SEED)],
  ['gRPC', realStage],
] as const) {
  describe(`node/peers/session ${name}`, () => {
    let scene: Scene
    beforeEach(async () => {
      scene = new Scene(start())
      scene.seats = (await startNodes(scene.stage, 2)).map((node) => new Seat(node))
    })
    afterEach(() => scene.end())
    lifeTests(() => scene)
    moveTests(() => scene)
    leaseTests(() => scene)
    registrationTests(() => scene)
  })
}

function lifeTests(scene: () => Scene): void {
  it('registers, is let in when it is ready, and beats', async () => {
    const { stage, broker, controller } = scene()
    broker.quorum.apply({ ...broker.quorum.image, offset: 33 })
    const session = await scene().started()
    assert.deepEqual([session.brokerEpoch, session.isFenced], [11, true])
    await stage.until(() => controller.heartbeats.length >= 3)
    assert.deepEqual(controller.last, {
      brokerId: 1,
      brokerEpoch: 11,
      currentMetadataOffset: 33,
      wantFence: true,
      wantShutDown: false,
      offlineLogDirs: [idOf(7)],
      cordonedLogDirs: null,
    })
    assert.equal(session.isFenced, true)
    session.ready()
    await stage.complete(session.whenUnfenced())
    assert.deepEqual([session.isFenced, broker.fencings], [false, [false]])
    const count = controller.heartbeats.length
    await stage.elapse(10 * HEARTBEAT_MS)
    const more = controller.heartbeats.length - count
    assert.ok(more >= (stage.isSimulated ? 9 : 3) && more <= 11, `${more} heartbeats`)
    const progress = controller.heartbeats.map((one) => one.progress)
    assert.ok(progress.every((value, i) => i === 0 || value > progress[i - 1]!))
  })

  it('beats also when nothing is answered', async () => {
    const { stage, controller } = scene()
    const session = await scene().started()
    session.ready()
    await stage.complete(session.whenUnfenced())
    controller.isAnswering = false
    const count = controller.heartbeats.length
    await stage.until(() => controller.heartbeats.length > count + 5)
    controller.isAnswering = true
    controller.mayShutDown = true
    assert.equal(await stage.complete(session.shutDown(5000)), true)
  })

  it('asks to be let go, and is told when it may', async () => {
    const { stage, controller } = scene()
    const session = await scene().started()
    session.ready()
    await stage.complete(session.whenUnfenced())
    const isLetGo = session.shutDown(5000)
    await stage.until(() => controller.last?.wantShutDown === true)
    await stage.elapse(30)
    controller.mayShutDown = true
    assert.equal(await stage.complete(isLetGo), true)
    session.close()
    const count = controller.heartbeats.length
    await stage.elapse(3 * HEARTBEAT_MS)
    assert.ok(controller.heartbeats.length - count <= 1)
  })

  it('does not wait for ever to be let go', async () => {
    const { stage } = scene()
    const session = await scene().started()
    assert.equal(await stage.complete(session.shutDown(100)), false)
  })
}

function moveTests(scene: () => Scene): void {
  it('follows the controller', async () => {
    const { stage, broker, controller } = scene()
    const session = await scene().started()
    session.ready()
    await stage.complete(session.whenUnfenced())
    scene().leads(1)
    await stage.until(() => broker.heartbeats.length > 3)
    const count = controller.heartbeats.length
    scene().leads(2)
    await stage.until(() => controller.heartbeats.length > count + 3)
    assert.equal(broker.registrations + controller.registrations, 1)
    assert.deepEqual(broker.fencings, [false])
  })

  it('goes on when the controller comes back as another process', async () => {
    const { stage, broker, controller } = scene()
    const session = await scene().started()
    session.ready()
    await stage.complete(session.whenUnfenced())
    const { port } = controller.node.address
    await controller.node.end()
    await stage.until(() => broker.node.peers.isDead(2))
    const again = new Seat(new StageNode(stage, 2, { life: 2 }))
    scene().seats.push(again)
    await again.node.serve(port)
    scene().leads(2)
    await stage.until(() => again.heartbeats.length > 3)
    assert.equal(again.last?.brokerEpoch, 11)
  })

  it('opens a stream anew on which nonsense is answered', async () => {
    const { stage, broker, controller } = scene()
    let streams = 0
    const third = new StageNode(stage, 3)
    third.service.routeStream(CLUSTER_SESSION, (_remote, stream) => {
      streams++
      stream.send(sessionResponse.encode({}))
      return { onMessage() {}, onDrain() {}, onClose() {} }
    })
    await third.serve()
    scene().others.push(third)
    const addresses = [controller.node, third].map((node) => [node.id, node.address] as const)
    broker.node.peers.setNodes(new Map(addresses))
    await scene().started()
    broker.quorum.leaderId = 3
    await stage.until(() => streams >= 3)
  })
}

function leaseTests(scene: () => Scene): void {
  const hasLease = () => scene().broker.session.lease.untilMs > scene().stage.monotonicMs()

  it('has a lease while a confirmed controller answers, and no longer', async () => {
    const { stage, broker, controller } = scene()
    const session = await scene().started()
    assert.equal(hasLease(), false)
    session.ready()
    await stage.until(hasLease)
    controller.quorum.isConfirmed = false
    const count = controller.heartbeats.length
    await stage.until(() => controller.heartbeats.length > count + 3)
    const { untilMs } = session.lease
    await stage.elapse(3 * HEARTBEAT_MS)
    assert.equal(session.lease.untilMs, untilMs)
    await stage.until(() => !hasLease())
    controller.quorum.isConfirmed = true
    await stage.until(hasLease)
    assert.deepEqual(broker.fencings, [false])
  })

  it('has none while it does not follow what the controller decides', async () => {
    const { stage, controller } = scene()
    const session = await scene().started()
    session.ready()
    await stage.until(hasLease)
    controller.quorum.unapplied = 5
    await stage.until(() => !hasLease())
    assert.equal(session.isFenced, false)
    controller.quorum.unapplied = 0
    await stage.until(hasLease)
  })

  it('has none when it is fenced, and when it registers anew', async () => {
    const { stage, controller } = scene()
    const session = await scene().started()
    session.ready()
    await stage.until(hasLease)
    controller.isFencing = true
    await stage.until(() => session.isFenced)
    assert.equal(hasLease(), false)
    controller.isFencing = false
    await stage.until(hasLease)
    controller.heartbeatError = 77
    const { brokerEpoch } = session
    await stage.until(() => session.brokerEpoch > brokerEpoch)
    assert.equal(hasLease(), false)
  })

  it('has a shorter one from the controller of its own node, and an endless one alone', async () => {
    const { stage, broker } = scene()
    scene().leads(1)
    const { session, quorum } = broker
    await stage.complete(session.start())
    session.ready()
    await stage.until(hasLease)
    await stage.elapse(3 * HEARTBEAT_MS)
    const leaseMs = session.lease.untilMs - stage.monotonicMs()
    assert.ok(leaseMs > 0 && leaseMs <= ELECTION_MS, `${leaseMs} ms`)
    broker.isAlone = true
    await stage.until(() => session.lease.untilMs === Number.POSITIVE_INFINITY)
    broker.isAlone = false
    await stage.until(() => session.lease.untilMs < Number.POSITIVE_INFINITY)
    quorum.isConfirmed = false
    await stage.until(() => !hasLease())
    // Another node leads, and this one does not know it: a question is answered, but not by it.
    quorum.isConfirmed = true
    quorum.onReadIndex = () => quorum.leaderEpoch++
    await stage.elapse(5 * HEARTBEAT_MS)
    assert.equal(hasLease(), false)
  })
}

function registrationTests(scene: () => Scene): void {
  it('registers again when the controller has forgotten it', async () => {
    const { stage, broker, controller } = scene()
    const session = await scene().started()
    session.ready()
    await stage.complete(session.whenUnfenced())
    controller.heartbeatError = 77
    await stage.until(() => session.brokerEpoch > 11)
    controller.heartbeatError = 0
    await stage.complete(session.whenUnfenced())
    assert.equal(controller.last?.brokerEpoch, session.brokerEpoch)
    assert.equal(broker.fencings.at(-1), false)
  })

  it('waits until the process before it is known to be dead', async () => {
    const { stage, broker, controller } = scene()
    controller.registrationError = 101
    scene().leads(2)
    const start = broker.session.start()
    await stage.until(() => controller.registrations > 3)
    controller.registrationError = 0
    await stage.complete(start)
    assert.ok(broker.session.brokerEpoch > 13)
    const lines = broker.node.place.lines.filter(({ message }) =>
      /not registered yet/.test(message),
    )
    assert.equal(lines.length, 1)
  })

  for (const [error, sentence] of [
    [104, /another cluster/],
    [35, /upgrade/],
  ] as const) {
    it(`does not start with error ${error}`, async () => {
      const { stage, broker, controller } = scene()
      controller.registrationError = error
      scene().leads(2)
      await assert.rejects(stage.complete(broker.session.start()), (reason: unknown) => {
        assert.ok(reason instanceof UserError)
        assert.match(reason.message, sentence)
        return true
      })
    })
  }

  it('gives up when no controller takes it in time', async () => {
    const { stage, broker, controller } = scene()
    controller.registrationError = 101
    scene().leads(2)
    await assert.rejects(stage.complete(broker.session.start()), (reason: unknown) => {
      assert.ok(reason instanceof UserError)
      assert.match(reason.message, /another process is registered as node 1/)
      return true
    })
  })
}
