/**
 * The controller's dealings with brokers: registrations, heartbeats, silence and proof of death. Holds
 * what no record says (who was heard when, and how far a broker that goes has come), and forgets it
 * when another node leads.
 */
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../base/logger.ts'
import type {
  BrokerRegistrationRequest,
  BrokerRegistrationResponse,
} from '../../kafka/api/62-broker-registration.ts'
import type {
  BrokerHeartbeatRequest,
  BrokerHeartbeatResponse,
} from '../../kafka/api/63-broker-heartbeat.ts'
import type {
  UnregisterBrokerRequest,
  UnregisterBrokerResponse,
} from '../../kafka/api/64-unregister-broker.ts'
import { BROKER_ID_NOT_REGISTERED, NONE } from '../../kafka/wire/errors.ts'
import type { Settings } from '../config.ts'
import { decideRegistration, unregistrationRecords } from './broker-registrations.ts'
import {
  type BrokerProgress,
  heartbeatAnswer,
  nextStep,
  STALE,
  type Step,
  stepRecords,
} from './broker-states.ts'
import { ClusterRules } from './cluster-rules.ts'
import type { Decisions } from './decision.ts'
import { offlineRecords } from './failed-replicas.ts'
import { type BrokerImage, isActive, type MetadataImage } from './image.ts'
import { isNeeded, someRepairs } from './leadership.ts'
import { Liveness } from './liveness.ts'
import { NotLeaderError } from './quorum.ts'

export interface BrokerSessionsParts {
  readonly nodeId: number
  readonly decisions: Decisions
  readonly clock: Clock
  readonly logger: Logger
  readonly sessionTimeoutMs: number
  settings(): Settings
  /** Committed and applied here. */
  image(): MetadataImage
  /** A step failed for another reason than that this node does not lead. */
  onError(error: unknown): void
  /** In simulation: see `World`. */
  readonly maybe?: (name: string) => boolean
}

/** A shutdown for which nobody waits any more, and the metadata that says so. */
interface Departure {
  readonly epoch: number
  readonly offset: number
}

export class BrokerSessions {
  readonly #parts: BrokerSessionsParts
  readonly #liveness: Liveness
  readonly #departures = new Map<number, Departure>()
  /** Being fenced just now. */
  readonly #fencing = new Set<number>()
  /** The registration of the broker in this very process; -1: it has said nothing yet. */
  #ownEpoch = -1
  #isSettling = false
  #isUnsettled = false

  constructor(parts: BrokerSessionsParts) {
    this.#parts = parts
    this.#liveness = new Liveness({ sessionTimeoutMs: parts.sessionTimeoutMs })
  }

  /** `silent`: node -> how long it has said nothing already, where that is known. */
  begin(silent: ReadonlyMap<number, number>): void {
    this.#departures.clear()
    this.#fencing.clear()
    this.#liveness.begin(this.#image.brokers.values(), this.#nowMs(), silent)
    this.check()
    this.settle()
  }

  /** This node stood still for so long. */
  forgive(pauseMs: number): void {
    this.#liveness.forgive(pauseMs)
  }

  /**
   * Fences who has been silent for too long. Call it often. The broker in this process is not
   * judged: it lives as long as this does.
   */
  check(): void {
    const unfenced = [...this.#image.brokers.values()].filter(
      ({ id, epoch, isFenced }) =>
        !isFenced && !(id === this.#parts.nodeId && epoch === this.#ownEpoch),
    )
    for (const id of this.#liveness.expired(unfenced, this.#nowMs())) this.#fence(id, 'silence')
    if (this.#isUnsettled) this.settle()
  }

  /** Proof that the node's process of now has ended. Kept for when this node leads. */
  nodeIsDead(nodeId: number): void {
    const broker = this.#image.brokers.get(nodeId)
    if (broker === undefined) return
    this.#liveness.died(broker)
    if (this.#parts.decisions.leads && !broker.isFenced)
      this.#fence(nodeId, 'its process has ended')
  }

  async register(request: BrokerRegistrationRequest): Promise<BrokerRegistrationResponse> {
    const lost = lostDirectories(this.#image.brokers.get(request.brokerId), request)
    for (;;) {
      const step = await this.#parts.decisions.add((view) => {
        const before = view.image.brokers.get(request.brokerId)
        const isAlive = before !== undefined && this.#liveness.isAlive(before, this.#nowMs())
        return decideRegistration(view, request, isAlive)
      })
      if (step.isUnfinished) continue
      const { response } = step
      if (response.errorCode === NONE) this.#onRegistered(request, response, lost)
      return response
    }
  }

  async heartbeat(
    request: BrokerHeartbeatRequest,
    loopProgress: number,
  ): Promise<BrokerHeartbeatResponse> {
    const { decisions } = this.#parts
    if (!decisions.leads) {
      throw new NotLeaderError('this node does not lead the metadata quorum')
    }
    const broker = this.#image.brokers.get(request.brokerId)
    if (broker === undefined || broker.epoch !== request.brokerEpoch) return STALE
    if (broker.id === this.#parts.nodeId) this.#ownEpoch = broker.epoch
    const offset = request.currentMetadataOffset
    const isHeard = this.#liveness.heard(broker, loopProgress, offset, this.#nowMs())
    if (!isHeard) return heartbeatAnswer(this.#image, request)
    if (request.offlineLogDirs.length > 0) await this.#onOffline(broker, request.offlineLogDirs)
    // While a fence is under way the image does not tell: an answer from it would be a lease.
    const isSettled = !this.#fencing.has(broker.id)
    if (isSettled && this.#stepOf(this.#image, broker, request) === 'stay') {
      return heartbeatAnswer(this.#image, request)
    }
    const step = await decisions.add((view) => {
      const now = view.image.brokers.get(broker.id)
      if (now?.epoch !== broker.epoch) return { records: [], answer: 'stay' as Step }
      const answer = this.#stepOf(view.image, now, request)
      return { records: stepRecords(view, now, answer), answer }
    }, true)
    if (step !== 'stay') {
      this.#parts.logger.info('A broker changes its state.', { broker: broker.id, step })
      this.settle()
    }
    return heartbeatAnswer(this.#image, request)
  }

  /** What lies in directories that can't be used leads nothing. Repeated with each heartbeat. */
  async #onOffline(broker: BrokerImage, directories: readonly string[]): Promise<void> {
    const offline = [...directories]
    for (;;) {
      const count = await this.#parts.decisions.add((view) => {
        const isSame = view.image.brokers.get(broker.id)?.epoch === broker.epoch
        const records = isSame ? offlineRecords(view, broker.id, offline) : []
        return { records, answer: records.length }
      }, true)
      if (count === 0) return
      this.#parts.logger.warn('Replicas are out of service: their directory failed.', {
        broker: broker.id,
        count,
      })
    }
  }

  async unregister({ brokerId }: UnregisterBrokerRequest): Promise<UnregisterBrokerResponse> {
    const answer = await this.#parts.decisions.add<UnregisterBrokerResponse>((view) => {
      const broker = view.image.brokers.get(brokerId)
      if (broker === undefined) {
        const errorMessage = `There is no broker ${brokerId}`
        return { records: [], answer: { errorCode: BROKER_ID_NOT_REGISTERED, errorMessage } }
      }
      const records = unregistrationRecords(view, broker)
      return { records, answer: { errorCode: NONE, errorMessage: null } }
    })
    if (answer.errorCode === NONE && !this.#image.brokers.has(brokerId)) {
      this.#liveness.unregistered(brokerId)
      this.settle()
    }
    return answer
  }

  /** Does in portions what the image asks for: leaders and ISRs that do not fit the brokers. */
  settle(): void {
    this.#isUnsettled = true
    if (this.#isSettling) return
    this.#isSettling = true
    void this.#settleAll()
      .catch((error: unknown) => {
        this.#isUnsettled = true // tried again with the next check
        this.#onFailure(error)
      })
      .finally(() => {
        this.#isSettling = false
      })
  }

  async #settleAll(): Promise<void> {
    while (this.#isUnsettled && this.#parts.decisions.leads) {
      this.#isUnsettled = false
      const count = await this.#parts.decisions.add((view) => {
        const limit = this.#parts.maybe?.('controller.repairs') === true ? 1 : undefined
        const records = someRepairs(new ClusterRules(view.image, view.settings), limit)
        return { records, answer: records.length }
      }, true)
      if (count > 0) this.#isUnsettled = true
    }
  }

  #fence(id: number, reason: string): void {
    if (this.#fencing.has(id)) return
    this.#fencing.add(id)
    const fenced = this.#parts.decisions.add((view) => {
      const broker = view.image.brokers.get(id)
      const isOver = broker === undefined || broker.isFenced
      if (isOver || this.#liveness.isAlive(broker, this.#nowMs())) {
        return { records: [], answer: false }
      }
      return { records: stepRecords(view, broker, 'fence'), answer: true }
    }, true)
    void fenced
      .then((isFenced) => {
        if (!isFenced) return
        this.#parts.logger.warn('A broker is fenced.', { broker: id, reason })
        this.settle()
      })
      .catch((error: unknown) => this.#onFailure(error))
      .finally(() => this.#fencing.delete(id))
  }

  #stepOf(image: MetadataImage, broker: BrokerImage, request: BrokerHeartbeatRequest): Step {
    return nextStep(image, broker, request, this.#progressOf(image, broker))
  }

  #progressOf(image: MetadataImage, broker: BrokerImage): BrokerProgress {
    if (!broker.isInControlledShutdown || broker.isFenced) {
      return { slowestOffset: -1, departedOffset: undefined }
    }
    let departure = this.#departures.get(broker.id)
    if (departure?.epoch !== broker.epoch) departure = undefined
    if (isNeeded(new ClusterRules(image, this.#parts.settings()), broker.id)) {
      departure = undefined
      this.#departures.delete(broker.id)
    } else if (departure === undefined) {
      departure = { epoch: broker.epoch, offset: image.offset }
      this.#departures.set(broker.id, departure)
    }
    let slowestOffset = Number.MAX_SAFE_INTEGER
    for (const { id } of image.brokers.values()) {
      if (id === broker.id || !isActive(image, id)) continue
      slowestOffset = Math.min(slowestOffset, this.#liveness.metadataOffset(id))
    }
    return { slowestOffset, departedOffset: departure?.offset }
  }

  #onRegistered(
    request: BrokerRegistrationRequest,
    response: BrokerRegistrationResponse,
    lost: readonly string[],
  ): void {
    const { brokerId: id } = request
    const epoch = response.brokerEpoch ?? -1
    // Another registration may have come while this one was on its way to the answer.
    if (this.#image.brokers.get(id)?.epoch === epoch) {
      this.#liveness.registered({ id, epoch }, this.#nowMs())
    }
    this.#parts.logger.info('A broker is registered.', { broker: id, epoch, rack: request.rack })
    if (lost.length > 0) {
      this.#parts.logger.warn(
        'A broker came back without directories that it had: what lay there is copied to it again.',
        { broker: id, directories: lost },
      )
    }
    this.settle()
  }

  #onFailure(error: unknown): void {
    if (!(error instanceof NotLeaderError)) this.#parts.onError(error)
  }

  get #image(): MetadataImage {
    return this.#parts.image()
  }

  #nowMs(): number {
    return this.#parts.clock.monotonicMs()
  }
}

function lostDirectories(
  before: BrokerImage | undefined,
  { logDirs }: BrokerRegistrationRequest,
): string[] {
  return (before?.logDirs ?? []).filter((id) => ![...logDirs].includes(id))
}
