/**
 * A broker and the controller. The broker registers, beats for as long as it lives, and follows the
 * controller wherever it goes; it is told whether it is fenced, and when it may go. A heartbeat is
 * sent whether or not the one before has been answered: only silence may look like death.
 */
import { assert } from '../../base/assert.ts'
import { type Clock, delay, type Timer } from '../../base/clock.ts'
import { UserError } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import type { RpcStream } from '../../base/rpc.ts'
import type { BrokerRegistrationRequest } from '../../kafka/api/62-broker-registration.ts'
import {
  BROKER_ID_NOT_REGISTERED,
  DUPLICATE_BROKER_REGISTRATION,
  errorName,
  INCONSISTENT_CLUSTER_ID,
  NONE,
  STALE_BROKER_EPOCH,
  UNSUPPORTED_VERSION,
} from '../../kafka/wire/errors.ts'
import { ProtocolError, sessionRequest, sessionResponse } from '../../proto/codecs.ts'
import type { Heartbeat, HeartbeatAnswer } from '../../proto/generated/messages.ts'
import { CLUSTER_SESSION } from '../../proto/methods.ts'
import { DEFAULT_TIMING } from '../../raft/options.ts'
import type { ControllerPort } from '../metadata/controller-port.ts'
import { type MetadataQuorum, NotLeaderError } from '../metadata/quorum.ts'
import { ForwardFailure } from './forwarder.ts'
import type { SelfIdentity } from './hello.ts'
import { Lease } from './lease.ts'
import type { Peers } from './peers.ts'
import { answerOf, heartbeatRequest } from './session-service.ts'

export interface BrokerSessionParts {
  readonly clock: Clock
  readonly logger: Logger
  readonly self: SelfIdentity
  readonly peers: Pick<Peers, 'peer' | 'isOpen'>
  readonly quorum: Pick<MetadataQuorum, 'image' | 'leaderId' | 'nextOffset'>
  /** The controller wherever it is: takes the registration. */
  readonly controller: Pick<ControllerPort, 'registerBroker'>
  /** The controller of this node: takes the heartbeats while it leads. */
  readonly local: Pick<ControllerPort, 'heartbeat'>
  /** What the broker says of itself, asked for at each registration. */
  registration(): BrokerRegistrationRequest
  /** Ids of log directories that can't be used. */
  offlineDirectoryIds(): readonly string[]
  readonly heartbeatMs: number
  /** `broker.session.timeout.ms`: silent for so long, a broker is fenced. */
  readonly sessionTimeoutMs?: number
  /** Does this node still lead the quorum, as a majority of it says? */
  isConfirmed(): Promise<boolean>
  /** Is this node the only voter, which nobody can replace? */
  isAlone(): boolean
  /** How long the quorum is without a leader at least before it elects another. */
  readonly electionTimeoutMs?: number
  /** How long `start` tries to register. */
  readonly registrationTimeoutMs: number
  /** In simulation: see `World`. */
  readonly maybe?: (name: string) => boolean
  /** The broker was fenced, or unfenced. */
  onFencing?(isFenced: boolean): void
}

/** While something is waited for: being let in, or being let go. */
const HURRY_MS = 25
const REGISTER_AGAIN_AFTER_MS = 50
/** A stream on which nothing is answered is opened anew. */
const UNANSWERED_MAX = 20
const UNANSWERED_FOR_MS_MAX = 2000
const SESSION_TIMEOUT_MS = 1200
/** A heartbeat that is so late is not the delay of a busy machine. */
const STOOD_STILL_MS = 1000

export class BrokerSession {
  brokerEpoch = -1
  isFenced = true
  readonly lease: Lease
  readonly #parts: BrokerSessionParts
  readonly #waiters = new Set<() => void>()
  #wantsFence = true
  #wantsShutdown = false
  #mayShutDown = false
  #isRegistering = false
  #isClosed = false
  /** Counts heartbeats, over all streams: it grows only while the loop turns. */
  #progress = 0
  /** Answers up to this heartbeat speak of an earlier registration. */
  #sequenceBefore = 0
  #timer: Timer | undefined
  /** Of the next heartbeat. */
  #dueMs = Number.POSITIVE_INFINITY
  #line: Line | undefined

  constructor(parts: BrokerSessionParts) {
    this.#parts = parts
    const appliedOffset = () => parts.quorum.image.offset
    this.lease = new Lease(parts.sessionTimeoutMs ?? SESSION_TIMEOUT_MS, appliedOffset)
  }

  /**
   * Resolves when the broker is registered; it is fenced until `ready` is called and the controller
   * agrees. Throws UserError for what a person has to mend.
   */
  async start(): Promise<void> {
    await this.#register(this.#parts.clock.monotonicMs() + this.#parts.registrationTimeoutMs)
    this.#beat()
  }

  /** The broker can serve: it wants to be unfenced. */
  ready(): void {
    this.#wantsFence = false
    this.nudge()
  }

  /** Resolves when the controller has unfenced the broker, or the session is closed. */
  whenUnfenced(): Promise<void> {
    return this.#when(() => !this.isFenced || this.#isClosed)
  }

  /**
   * Asks to be let go (controlled shutdown). True when the controller has moved all leaders away;
   * false when it has not done so in time.
   */
  async shutDown(timeoutMs: number): Promise<boolean> {
    this.#wantsShutdown = true
    this.nudge()
    const timer = this.#parts.clock.after(timeoutMs, () => this.close())
    await this.#when(() => this.#mayShutDown || this.#isClosed)
    timer.cancel()
    return this.#mayShutDown
  }

  /** Something has changed that the controller should know, or the controller itself has. */
  nudge(): void {
    if (this.#timer === undefined || this.#isClosed) return
    this.#timer.cancel()
    this.#timer = this.#parts.clock.after(0, () => this.#beat())
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#dropLine()
    this.#changed()
  }

  async #register(deadlineMs: number): Promise<void> {
    const { clock, logger, controller } = this.#parts
    this.#isRegistering = true
    let before = ''
    while (!this.#isClosed) {
      const { clusterId } = this.#parts.quorum.image
      // The first controller makes one, in the first record of the metadata.
      const isFounded = clusterId !== undefined
      const reason = isFounded ? await this.#tryRegister(controller) : 'the cluster has no id yet'
      if (reason === undefined) break
      if (reason !== before) logger.info('the broker is not registered yet', { reason })
      before = reason
      if (clock.monotonicMs() > deadlineMs) {
        throw new UserError(`the controller did not register this broker: ${reason}`)
      }
      await delay(clock, REGISTER_AGAIN_AFTER_MS)
    }
    this.#isRegistering = false
  }

  /** Why it has to be tried again; undefined when it is done. */
  async #tryRegister(controller: BrokerSessionParts['controller']): Promise<string | undefined> {
    let answer: Awaited<ReturnType<typeof controller.registerBroker>>
    try {
      answer = await controller.registerBroker(this.#parts.registration())
    } catch (error) {
      if (error instanceof NotLeaderError || error instanceof ForwardFailure) return error.message
      throw error
    }
    const { errorCode, brokerEpoch = -1 } = answer
    switch (errorCode) {
      case NONE:
        assert(brokerEpoch >= 0, 'a registration has an epoch')
        this.brokerEpoch = brokerEpoch
        this.isFenced = true
        this.lease.end()
        this.#sequenceBefore = this.#progress
        return undefined
      case INCONSISTENT_CLUSTER_ID:
        throw new UserError('the controller is of another cluster: correct the list of voters')
      case UNSUPPORTED_VERSION:
        throw new UserError('the cluster runs at a level that this release does not know: upgrade')
      case DUPLICATE_BROKER_REGISTRATION:
        return `another process is registered as node ${this.#parts.self.nodeId}, and lives`
      default:
        return errorName(errorCode)
    }
  }

  #beat(): void {
    if (this.#isClosed) return
    const { clock, quorum, self } = this.#parts
    this.#sayPause(clock.monotonicMs() - this.#dueMs)
    const { leaderId } = quorum
    let isSent = false
    if (!this.#isRegistering && this.brokerEpoch >= 0) {
      if (leaderId === self.nodeId) isSent = this.#beatHere()
      else if (leaderId >= 0) isSent = this.#beatThere(leaderId)
    }
    const isUrgent = !isSent || this.isFenced || this.#wantsShutdown
    const afterMs = isUrgent ? HURRY_MS : this.#parts.heartbeatMs
    this.#dueMs = clock.monotonicMs() + afterMs
    this.#timer = clock.after(afterMs, () => this.#beat())
  }

  /** Others may lead by now what this node led before. */
  #sayPause(lateMs: number): void {
    if (lateMs < STOOD_STILL_MS) return
    const message = 'This process stood still: it may have been replaced meanwhile.'
    this.#parts.logger.warn(message, { forMs: Math.round(lateMs) })
  }

  #beatHere(): boolean {
    this.#dropLine()
    const { self, local } = this.#parts
    const heartbeat = this.#heartbeat()
    const request = heartbeatRequest(self.nodeId, heartbeat)
    local.heartbeat(request, heartbeat.loopProgress).then(
      (response) => {
        const metadataOffset = this.#parts.quorum.nextOffset - 1
        this.#answered(answerOf(heartbeat.sequence, response, metadataOffset), true)
      },
      (error: unknown) => this.#failed(error),
    )
    return true
  }

  #beatThere(leaderId: number): boolean {
    const line = this.#lineTo(leaderId)
    if (line === undefined) return false
    const nowMs = this.#parts.clock.monotonicMs()
    const isStuck =
      line.unanswered >= UNANSWERED_MAX && nowMs - line.heardAtMs > UNANSWERED_FOR_MS_MAX
    if (isStuck || this.#parts.maybe?.('session.line') === true) {
      this.#dropLine()
      return false
    }
    line.unanswered++
    line.stream.send(sessionRequest.encode({ heartbeat: this.#heartbeat() }))
    return true
  }

  #heartbeat(): Heartbeat {
    const sequence = ++this.#progress
    this.lease.sent(sequence, this.#parts.clock.monotonicMs())
    return {
      sequence,
      brokerEpoch: this.brokerEpoch,
      appliedOffset: this.#parts.quorum.image.offset,
      wantsFence: this.#wantsFence,
      wantsShutdown: this.#wantsShutdown,
      offlineDirectoryIds: this.#parts.offlineDirectoryIds(),
      loopProgress: sequence,
      wallClockMs: this.#parts.clock.nowMs(),
    }
  }

  #lineTo(leaderId: number): Line | undefined {
    if (this.#line?.leaderId === leaderId) return this.#line
    this.#dropLine()
    const { clock, peers } = this.#parts
    if (!peers.isOpen(leaderId)) return undefined
    const stream = peers.peer(leaderId).stream(CLUSTER_SESSION, {
      onMessage: (bytes) => this.#received(line, bytes),
      onDrain() {},
      onClose: () => {
        if (this.#line === line) this.#line = undefined
      },
    })
    const line: Line = { leaderId, stream, unanswered: 0, heardAtMs: clock.monotonicMs() }
    this.#line = line
    return line
  }

  #received(line: Line, bytes: Buffer): void {
    if (this.#line !== line) return
    try {
      const { answer } = sessionResponse.decode(bytes)
      if (answer === null) throw new ProtocolError('a message of a session without an answer')
      line.unanswered = 0
      line.heardAtMs = this.#parts.clock.monotonicMs()
      this.#answered(answer, false)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#dropLine()
    }
  }

  /** A controller that is cut off answers its own broker as ever: it has to prove that it leads. */
  async #extend(answer: HeartbeatAnswer, isOwn: boolean): Promise<void> {
    const { sequence, metadataOffset } = answer
    if (!isOwn) {
      this.lease.isEndless = false
      this.lease.answered(sequence, { metadataOffset })
      return
    }
    const isConfirmed = await this.#parts.isConfirmed()
    if (!isConfirmed || this.isFenced) return
    this.lease.isEndless = this.#parts.isAlone()
    const { electionTimeoutMs: atMostMs = DEFAULT_TIMING.electionTimeoutMinMs } = this.#parts
    this.lease.answered(sequence, { metadataOffset, atMostMs })
  }

  #answered(answer: HeartbeatAnswer, isOwn: boolean): void {
    const { sequence, errorCode, isFenced, shouldShutDown } = answer
    if (this.#isClosed || sequence <= this.#sequenceBefore) return
    if (errorCode === STALE_BROKER_EPOCH || errorCode === BROKER_ID_NOT_REGISTERED) {
      this.lease.end()
      void this.#registerAgain()
      return
    }
    if (errorCode !== NONE) return
    if (isFenced) this.lease.end()
    else void this.#extend(answer, isOwn)
    if (isFenced !== this.isFenced) {
      this.isFenced = isFenced
      this.#parts.logger.info(isFenced ? 'the broker is fenced' : 'the broker is unfenced')
      this.#parts.onFencing?.(isFenced)
    }
    if (this.#wantsShutdown && shouldShutDown) this.#mayShutDown = true
    this.#changed()
  }

  async #registerAgain(): Promise<void> {
    if (this.#isRegistering || this.#wantsShutdown) return
    this.#parts.logger.warn('the controller has forgotten this broker: it registers again')
    try {
      await this.#register(Number.POSITIVE_INFINITY)
    } catch (error) {
      this.#failed(error)
    }
    this.#isRegistering = false
  }

  #failed(error: unknown): void {
    if (error instanceof NotLeaderError) return
    this.#parts.logger.warn('a heartbeat failed', { error: String(error) })
  }

  #dropLine(): void {
    const line = this.#line
    this.#line = undefined
    line?.stream.cancel()
  }

  #when(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return
        this.#waiters.delete(look)
        resolve()
      }
      this.#waiters.add(look)
      look()
    })
  }

  #changed(): void {
    for (const look of [...this.#waiters]) look()
  }
}

/** The stream to the controller. */
interface Line {
  readonly leaderId: number
  readonly stream: RpcStream
  unanswered: number
  heardAtMs: number
}
