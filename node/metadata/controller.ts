/**
 * The controller: decides what the cluster's metadata becomes, on the node that leads the metadata
 * quorum. This module puts the deciders together, keeps what is not in the image (who has been heard
 * when), and does what time asks for: fences the silent, finishes what did not fit into one batch,
 * restores preferred leaders.
 */
import { assert } from '../../base/assert.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import type { Logger } from '../../base/logger.ts'
import type { Random } from '../../base/random.ts'
import type { CreateTopicsRequest } from '../../kafka/api/19-create-topics.ts'
import type { DeleteTopicsRequest } from '../../kafka/api/20-delete-topics.ts'
import type { AlterConfigsRequest } from '../../kafka/api/33-alter-configs.ts'
import type { CreatePartitionsRequest } from '../../kafka/api/37-create-partitions.ts'
import type { ElectLeadersRequest } from '../../kafka/api/43-elect-leaders.ts'
import type { IncrementalAlterConfigsRequest } from '../../kafka/api/44-incremental-alter-configs.ts'
import type { AlterPartitionReassignmentsRequest } from '../../kafka/api/45-alter-partition-reassignments.ts'
import type { ListPartitionReassignmentsRequest } from '../../kafka/api/46-list-partition-reassignments.ts'
import type { AlterPartitionRequest } from '../../kafka/api/56-alter-partition.ts'
import type { UpdateFeaturesRequest } from '../../kafka/api/57-update-features.ts'
import type {
  BrokerRegistrationRequest,
  BrokerRegistrationResponse,
} from '../../kafka/api/62-broker-registration.ts'
import type {
  BrokerHeartbeatRequest,
  BrokerHeartbeatResponse,
} from '../../kafka/api/63-broker-heartbeat.ts'
import type { UnregisterBrokerRequest } from '../../kafka/api/64-unregister-broker.ts'
import type { AllocateProducerIdsRequest } from '../../kafka/api/67-allocate-producer-ids.ts'
import type { Settings } from '../config.ts'
import { decideAllocation } from './allocations.ts'
import { BrokerSessions } from './broker-sessions.ts'
import { decideIncrementalConfigs, decideWholeConfigs } from './config-changes.ts'
import type { Caller, ControllerPort, FailedReplica } from './controller-port.ts'
import { type Decision, Decisions, type View } from './decision.ts'
import { ElectionFigures } from './election-figures.ts'
import { BALANCE_MAX, balanceRecords, decideElectLeaders } from './elections.ts'
import { decideFailedReplica } from './failed-replicas.ts'
import { decideUpdateFeatures } from './feature-changes.ts'
import { foundingRecords } from './founding.ts'
import { decideAlterPartition } from './isr-changes.ts'
import { type MetadataQuorum, NotLeaderError } from './quorum.ts'
import { decideReassignments, listReassignments } from './reassignments.ts'
import { decideCreatePartitions, decideCreateTopics, decideDeleteTopics } from './topic-changes.ts'

export interface ControllerParts {
  readonly nodeId: number
  readonly quorum: MetadataQuorum
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** In force now. */
  settings(): Settings
  /** The id that a cluster without one gets; undefined: a new one is made. */
  readonly clusterId?: string | undefined
  /** Nodes that this one knows to have been silent, and for how many ms: asked when it takes over. */
  silentFor?(): ReadonlyMap<number, number>
  /** In simulation: see `World`. */
  readonly maybe?: (name: string) => boolean
}

/** How often silence is looked for: a twelfth of the session by default. */
const CHECK_MS = 100
/** Checks this late mean that the node itself stood still. */
const PAUSE_MS = 500
/** A full disk is said once in so long, not at each attempt. */
const COMPLAIN_MS = 10_000

const NOBODY: ReadonlyMap<number, number> = new Map()

export class Controller implements ControllerPort {
  /** For figures. */
  readonly elections: ElectionFigures
  readonly #parts: ControllerParts
  readonly #decisions: Decisions
  readonly #sessions: BrokerSessions
  #unsubscribe: (() => void) | undefined
  #timer: Timer | undefined
  #checkedAtMs = 0
  #balancedAtMs = 0
  #complainedAtMs = Number.NEGATIVE_INFINITY

  constructor(parts: ControllerParts) {
    const { quorum, clock, logger } = parts
    this.#parts = parts
    this.elections = new ElectionFigures(logger)
    this.#decisions = new Decisions({
      nodeId: parts.nodeId,
      quorum,
      settings: () => parts.settings(),
      onCommitted: (records, before) => this.elections.committed(records, before),
    })
    this.#sessions = new BrokerSessions({
      nodeId: parts.nodeId,
      decisions: this.#decisions,
      clock,
      logger,
      sessionTimeoutMs: parts.settings().number('broker.session.timeout.ms'),
      image: () => quorum.image,
      settings: () => parts.settings(),
      onError: (error) => this.#onError(error),
      ...(parts.maybe && { maybe: parts.maybe }),
    })
  }

  /** Follows the quorum: whenever this node leads it, this is the controller. */
  start(): void {
    assert(this.#unsubscribe === undefined, 'started once')
    this.#unsubscribe = this.#parts.quorum.onLeadership((leads) => {
      if (leads) this.#begin()
      else this.#end()
    })
  }

  /** Ends the timers. Decisions on their way end with the quorum. */
  stop(): void {
    this.#unsubscribe?.()
    this.#end()
  }

  get leads(): boolean {
    return this.#decisions.leads
  }

  /** Decisions that wait for their turn. */
  get waiting(): number {
    return this.#decisions.waiting
  }

  /** Proof that the node's process has ended: a refused connection, or a newer incarnation. */
  nodeIsDead(nodeId: number): void {
    this.#sessions.nodeIsDead(nodeId)
  }

  createTopics(_caller: Caller, request: CreateTopicsRequest) {
    return this.#decisions.add((view) => decideCreateTopics(view, this.#parts.random, request))
  }

  deleteTopics(_caller: Caller, request: DeleteTopicsRequest) {
    return this.#decisions.add((view) => decideDeleteTopics(view, request))
  }

  createPartitions(_caller: Caller, request: CreatePartitionsRequest) {
    return this.#decisions.add((view) => decideCreatePartitions(view, this.#parts.random, request))
  }

  alterConfigs(_caller: Caller, request: AlterConfigsRequest) {
    return this.#settled((view) => decideWholeConfigs(view, request))
  }

  incrementalAlterConfigs(_caller: Caller, request: IncrementalAlterConfigsRequest) {
    return this.#settled((view) => decideIncrementalConfigs(view, request))
  }

  electLeaders(_caller: Caller, request: ElectLeadersRequest) {
    return this.#decisions.add((view) => decideElectLeaders(view, request))
  }

  alterPartitionReassignments(_caller: Caller, request: AlterPartitionReassignmentsRequest) {
    return this.#decisions.add((view) => decideReassignments(view, request))
  }

  listPartitionReassignments(_caller: Caller, request: ListPartitionReassignmentsRequest) {
    return this.#decisions.add(({ image }) => ({
      records: [],
      answer: listReassignments(image, request),
    }))
  }

  updateFeatures(_caller: Caller, request: UpdateFeaturesRequest) {
    return this.#settled((view) => decideUpdateFeatures(view, request))
  }

  unregisterBroker(_caller: Caller, request: UnregisterBrokerRequest) {
    return this.#sessions.unregister(request)
  }

  alterPartition(request: AlterPartitionRequest) {
    return this.#decisions.add((view) => decideAlterPartition(view, request))
  }

  registerBroker(request: BrokerRegistrationRequest): Promise<BrokerRegistrationResponse> {
    return this.#sessions.register(request)
  }

  heartbeat(
    request: BrokerHeartbeatRequest,
    loopProgress: number,
  ): Promise<BrokerHeartbeatResponse> {
    return this.#sessions.heartbeat(request, loopProgress)
  }

  allocateProducerIds(request: AllocateProducerIdsRequest) {
    return this.#decisions.add((view) => decideAllocation(view, request))
  }

  reportFailedReplica(report: FailedReplica): Promise<number> {
    return this.#decisions.add((view) => decideFailedReplica(view, report), true)
  }

  /** What it changes may ask for other leaders. */
  async #settled<T>(decide: (view: View) => Decision<T>): Promise<T> {
    const answer = await this.#decisions.add(decide)
    this.#sessions.settle()
    return answer
  }

  #begin(): void {
    const { clock, logger, quorum } = this.#parts
    logger.info('This node is the controller.', { epoch: quorum.leaderEpoch })
    this.#found()
    this.#checkedAtMs = clock.monotonicMs()
    this.#balancedAtMs = this.#checkedAtMs
    this.#sessions.begin(this.#parts.silentFor?.() ?? NOBODY)
    this.#schedule()
  }

  #found(): void {
    const { random, clusterId } = this.#parts
    void this.#decisions
      .add((view) => ({ records: foundingRecords(view, clusterId, random), answer: undefined }))
      .catch((error: unknown) => this.#onError(error))
  }

  #end(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #schedule(): void {
    this.#timer?.cancel()
    this.#timer = this.#parts.clock.after(CHECK_MS, () => {
      this.#check()
      this.#schedule()
    })
  }

  #check(): void {
    const nowMs = this.#parts.clock.monotonicMs()
    const lateMs = nowMs - this.#checkedAtMs - CHECK_MS
    this.#checkedAtMs = nowMs
    if (lateMs > PAUSE_MS) this.#sessions.forgive(lateMs)
    if (!this.#decisions.leads) return
    // Only when the disk was full at the first attempt.
    if (this.#parts.quorum.image.clusterId === undefined) this.#found()
    this.#sessions.check()
    this.#balance(nowMs)
  }

  #balance(nowMs: number): void {
    const settings = this.#parts.settings()
    const intervalMs = settings.number('leader.imbalance.check.interval.seconds') * 1000
    if (nowMs - this.#balancedAtMs < intervalMs) return
    this.#balancedAtMs = nowMs
    // Unclean elections that a topic allows, and whatever else was left.
    this.#sessions.settle()
    if (!settings.boolean('auto.leader.rebalance.enable')) return
    void this.#decisions
      .add((view) => {
        const records = balanceRecords(view)
        return { records, answer: records.length }
      })
      .then((count) => {
        if (count > 0) this.#parts.logger.info('Preferred leaders are restored.', { count })
        // The rest at the next check, not at the next interval.
        if (count >= BALANCE_MAX) this.#balancedAtMs = nowMs - intervalMs
      })
      .catch((error: unknown) => this.#onError(error))
  }

  #onError(error: unknown): void {
    if (error instanceof NotLeaderError) return
    const nowMs = this.#parts.clock.monotonicMs()
    if (nowMs - this.#complainedAtMs < COMPLAIN_MS) return
    this.#complainedAtMs = nowMs
    this.#parts.logger.error('The controller could not write what it decided.', {
      error: error instanceof Error ? error.message : String(error),
    })
  }
}
