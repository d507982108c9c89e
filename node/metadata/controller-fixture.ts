/** For tests: a controller with brokers that register and beat, on a quorum in memory. */
import { assert } from '../../base/assert.ts'
import { SILENT } from '../../base/logger.ts'
import { SimClock } from '../../base/sim/clock.ts'
import { SimRandom } from '../../base/sim/random.ts'
import { Scheduler } from '../../base/sim/scheduler.ts'
import type { BrokerHeartbeatRequest } from '../../kafka/api/63-broker-heartbeat.ts'
import { loadSettings } from '../config/load.ts'
import type { Settings } from '../config.ts'
import { type Registration, registrationRequest } from './broker-registrations.ts'
import { Controller } from './controller.ts'
import type { PartitionImage } from './image.ts'
import { MemoryQuorum } from './memory-quorum.ts'
import { idOf } from './testing.ts'

const BEAT_MS = 200

interface FixtureBroker {
  epoch: number
  lives: number
  progress: number
  /** False: no heartbeats. */
  isBeating: boolean
  wantsShutdown: boolean
  mayShutDown: boolean
  registration: Registration
}

export interface FixtureOptions {
  readonly seed?: number
  /** Registered and unfenced at once, with ids from 1 on. */
  readonly brokers?: number
  readonly flags?: Record<string, string>
}

export class ControllerFixture {
  readonly scheduler = new Scheduler()
  readonly random: SimRandom
  readonly quorum: MemoryQuorum
  readonly controller: Controller
  readonly settings: Settings
  readonly brokers = new Map<number, FixtureBroker>()

  constructor(options: FixtureOptions = {}) {
    this.random = new SimRandom(options.seed ?? 11)
    const clock = new SimClock(this.scheduler)
    const flags = { 'node.id': '1', 'min.insync.replicas': '1', ...options.flags }
    this.settings = loadSettings({ flags })
    this.quorum = new MemoryQuorum({ nodeId: 1, clock })
    this.controller = new Controller({
      nodeId: 1,
      quorum: this.quorum,
      clock,
      random: this.random,
      logger: SILENT,
      settings: () => this.settings,
      clusterId: 'the-cluster',
    })
  }

  static async start(options: FixtureOptions = {}): Promise<ControllerFixture> {
    const fixture = new ControllerFixture(options)
    fixture.controller.start()
    fixture.quorum.lead()
    for (let id = 1; id <= (options.brokers ?? 1); id++) await fixture.join(id)
    return fixture
  }

  get image() {
    return this.quorum.image
  }

  complete<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.complete(promise)
  }

  /** All that is decided by now is applied. */
  async settle(): Promise<void> {
    await this.scheduler.runFor(50)
  }

  registration(id: number, more: Partial<Registration> = {}): Registration {
    const lives = this.brokers.get(id)?.lives ?? 0
    return {
      nodeId: id,
      clusterId: 'the-cluster',
      incarnationId: idOf(10_000 + id * 100 + lives),
      rack: null,
      endpoints: [{ name: 'PLAINTEXT', host: 'localhost', port: 9092 + id }],
      directoryIds: [idOf(100 + id)],
      previousEpoch: -1,
      ...more,
    }
  }

  /** A new process of the broker; Kafka's error code. */
  async register(id: number, more: Partial<Registration> = {}): Promise<number> {
    const before = this.brokers.get(id)
    const lives = (before?.lives ?? 0) + 1
    const registration = this.registration(id, more)
    const request = registrationRequest(registration)
    const answer = await this.complete(this.controller.registerBroker(request))
    if (answer.errorCode !== 0) return answer.errorCode
    this.brokers.set(id, {
      epoch: answer.brokerEpoch ?? -1,
      lives,
      progress: 0,
      isBeating: false,
      wantsShutdown: false,
      mayShutDown: false,
      registration,
    })
    return 0
  }

  /** Registers, is unfenced, and beats from now on. */
  async join(id: number, more: Partial<Registration> = {}): Promise<void> {
    const error = await this.register(id, more)
    assert(error === 0, `broker ${id} registers (error ${error})`)
    await this.unfence(id)
  }

  async unfence(id: number): Promise<void> {
    await this.beat(id)
    await this.settle()
    const broker = this.broker(id)
    if (broker.isBeating) return
    broker.isBeating = true
    this.#beatOn(id, broker)
  }

  broker(id: number): FixtureBroker {
    const broker = this.brokers.get(id)
    assert(broker !== undefined, `broker ${id} has registered`)
    return broker
  }

  async beat(id: number, more: Partial<BrokerHeartbeatRequest> = {}) {
    const broker = this.broker(id)
    const request = {
      brokerId: id,
      brokerEpoch: broker.epoch,
      currentMetadataOffset: this.image.offset,
      wantFence: false,
      wantShutDown: broker.wantsShutdown,
      offlineLogDirs: [],
      cordonedLogDirs: null,
      ...more,
    }
    return this.complete(this.controller.heartbeat(request, ++broker.progress))
  }

  #beatOn(id: number, broker: FixtureBroker): void {
    this.scheduler.after(BEAT_MS * 1000, 'beat', () => {
      if (!broker.isBeating || this.brokers.get(id) !== broker) return
      const request = {
        brokerId: id,
        brokerEpoch: broker.epoch,
        currentMetadataOffset: this.image.offset,
        wantFence: false,
        wantShutDown: broker.wantsShutdown,
        offlineLogDirs: [],
        cordonedLogDirs: null,
      }
      this.controller.heartbeat(request, ++broker.progress).then(
        ({ shouldShutDown }) => {
          if (!shouldShutDown || !broker.wantsShutdown) return
          broker.mayShutDown = true
          broker.isBeating = false
        },
        () => undefined,
      )
      this.#beatOn(id, broker)
    })
  }

  /** The process hangs, or its network is cut. */
  silence(id: number): void {
    this.broker(id).isBeating = false
  }

  /** Killed, and its port refuses. */
  async kill(id: number): Promise<void> {
    this.silence(id)
    this.controller.nodeIsDead(id)
    await this.settle()
  }

  async create(name: string, ...assignments: number[][]): Promise<void> {
    await this.createWith(name, {}, ...assignments)
  }

  async createWith(
    name: string,
    configs: Record<string, string>,
    ...assignments: number[][]
  ): Promise<void> {
    const topic = {
      name,
      numPartitions: -1,
      replicationFactor: -1,
      assignments: assignments.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds })),
      configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
    }
    const request = { topics: [topic], timeoutMs: 1000, validateOnly: false }
    const answer = await this.complete(this.controller.createTopics(undefined, request))
    const [made] = answer.topics
    assert(made?.errorCode === 0, `${name} is made (${made?.errorMessage})`)
  }

  partition(name: string, index = 0): PartitionImage {
    const partition = this.image.topics.get(name)?.partitions[index]
    assert(partition !== undefined, `${name}-${index} is there`)
    return partition
  }

  /** What the leader of a partition proposes as its ISR; the answer for the partition. */
  async alterIsr(
    name: string,
    isr: readonly number[],
    more: { index?: number; leaderEpoch?: number; partitionEpoch?: number; from?: number } = {},
  ) {
    const partition = this.partition(name, more.index ?? 0)
    const from = more.from ?? partition.leader
    const answer = await this.complete(
      this.controller.alterPartition({
        brokerId: from,
        brokerEpoch: this.image.brokers.get(from)?.epoch ?? -1,
        topics: [
          {
            topicId: this.image.topics.get(name)!.id,
            partitions: [
              {
                partitionIndex: partition.index,
                leaderEpoch: more.leaderEpoch ?? partition.leaderEpoch,
                partitionEpoch: more.partitionEpoch ?? partition.partitionEpoch,
                newIsr: [],
                newIsrWithEpochs: isr.map((brokerId) => ({
                  brokerId,
                  brokerEpoch: this.image.brokers.get(brokerId)?.epoch ?? -1,
                })),
                leaderRecoveryState: 0,
              },
            ],
          },
        ],
      }),
    )
    assert(answer.errorCode === 0, `the request is taken (error ${answer.errorCode})`)
    return answer.topics[0]!.partitions[0]!
  }
}
