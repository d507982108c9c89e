/**
 * A replica in its role as the leader in one epoch: the other replicas, the in-sync set, and the
 * watermark that follows from them.
 *
 * Invariants: the watermark is at most the position of each member of the maximal ISR, and a
 * position counts only when its log was compared in this epoch; while the ISR is smaller than the
 * minimum the watermark stands (KIP-966), so that whoever was in it has all that is committed.
 */
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import { Isr, type IsrMember, type IsrPort, type IsrVerdict } from './isr.ts'
import type { Subscribe } from './messages.ts'
import type { ReplicationProbe } from './probe.ts'
import { type Feed, RemoteReplica } from './remote-replica.ts'

/** How long a proposal waits after one that was refused or got lost. */
const PROPOSE_AGAIN_MS = 200

/**
 * A follower whose stream broke and that does not come back, though the controller thinks that it
 * lives: a link is cut. Longer than a call anew takes, much shorter than replica.lag.time.max.ms.
 */
const AWAY_MAX_MS = 1500
/** The leader, and somebody else who has what is acknowledged. */
const TWO = 2

export interface LeaderParts {
  readonly clock: Clock
  readonly logger: Logger
  readonly probe: ReplicationProbe
  readonly isr: IsrPort
  readonly lagMaxMs: () => number
  /** The controller would take it into an ISR: registered, and neither fenced nor on its way out. */
  isEligible(nodeId: number): boolean
}

/** The partition that a Leader works for. */
export interface Led {
  readonly topic: string
  readonly topicId: string
  readonly index: number
  readonly highWatermark: number
  readonly logStartOffset: number
  readonly logEndOffset: number
  /** How many replicas acks=all asks for. */
  readonly minIsr: number
  /** A position or the ISR has changed: the watermark may move at the end of this turn. */
  onIsrOrPosition(): void
  /** Something has to be looked at in a while: see `Leader.watch`. */
  onWatch(): void
}

export interface LeaderTerm {
  readonly nodeId: number
  readonly epoch: number
  /** The end of the log when the epoch began. */
  readonly startOffset: number
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
  readonly partitionEpoch: number
}

export class Leader {
  readonly epoch: number
  readonly startOffset: number
  readonly isr: Isr
  readonly #nodeId: number
  readonly #led: Led
  readonly #parts: LeaderParts
  #remotes: readonly RemoteReplica[]
  #isOver = false
  /** Monotonic; a proposal is made, or made again, not before. */
  #proposeAtMs = 0
  /** The proposal has no answer yet. */
  #isAsking = false
  #isWatched = false
  #leavers: { readonly nodeId: number; readonly tell: () => void }[] = []

  constructor(term: LeaderTerm, led: Led, parts: LeaderParts) {
    assert(term.isr.includes(term.nodeId), 'a leader is in its ISR')
    assert(term.replicas.includes(term.nodeId), 'a leader is a replica')
    assert(term.epoch >= 0 && term.startOffset >= 0, 'a term has an epoch and a start')
    this.epoch = term.epoch
    this.startOffset = term.startOffset
    this.isr = new Isr(term.isr, term.partitionEpoch)
    this.#nodeId = term.nodeId
    this.#led = led
    this.#parts = parts
    this.#remotes = this.#remotesOf(term.replicas, [])
    this.#watchIfNeeded()
  }

  get remotes(): readonly RemoteReplica[] {
    return this.#remotes
  }

  remote(nodeId: number): RemoteReplica | undefined {
    for (const remote of this.#remotes) if (remote.nodeId === nodeId) return remote
    return undefined
  }

  /** Any of those on whom the watermark waits is sent this partition. */
  get isFollowed(): boolean {
    return this.#remotes.some(({ nodeId, feed }) => feed !== undefined && this.isr.counts(nodeId))
  }

  /** The image has other replicas, or another ISR, in the same epoch. */
  update(
    replicas: readonly number[],
    isr: readonly number[],
    partitionEpoch: number,
    endError: number,
  ): void {
    assert(!this.#isOver, 'a term that is over hears no more')
    const before = this.#remotes
    this.#remotes = this.#remotesOf(replicas, before)
    for (const remote of before) {
      if (!this.#remotes.includes(remote)) remote.feed?.end(endError)
    }
    if (this.isr.decided(isr, partitionEpoch)) this.#proposeAtMs = 0
    this.#tellLeavers()
    this.#watchIfNeeded()
    this.#led.onIsrOrPosition()
  }

  #remotesOf(
    replicas: readonly number[],
    known: readonly RemoteReplica[],
  ): readonly RemoteReplica[] {
    const nowMs = this.#parts.clock.monotonicMs()
    return replicas
      .filter((nodeId) => nodeId !== this.#nodeId)
      .map(
        (nodeId) =>
          known.find((remote) => remote.nodeId === nodeId) ?? new RemoteReplica(nodeId, nowMs),
      )
  }

  /** `ownPosition` is this replica's. */
  watermark(ownPosition: number, minIsr: number, current: number): number {
    assert(minIsr >= 1, 'a leader counts itself')
    if (this.isr.committed.length < minIsr) return current
    let lowest = ownPosition
    for (const remote of this.#remotes) {
      if (remote.position < lowest && this.isr.counts(remote.nodeId)) lowest = remote.position
    }
    return Math.max(current, lowest)
  }

  /** The end of a turn in which the log may have grown. */
  onWritten(): void {
    const endOffset = this.#led.logEndOffset
    for (const remote of this.#remotes) {
      if (remote.isAtEnd && remote.position < endOffset) {
        remote.fallBehind(endOffset, this.#parts.clock.monotonicMs())
        this.#watchIfNeeded()
      }
      remote.feed?.onWritten()
    }
  }

  onWatermark(): void {
    for (const remote of this.#remotes) remote.feed?.onWatermark()
  }

  /** The follower's log has been compared with this one, and may go on from its end. */
  attach(remote: RemoteReplica, feed: Feed, subscribe: Subscribe, brokerEpoch: number): void {
    assert(subscribe.leaderEpoch === this.epoch, 'a subscription is for this epoch')
    remote.feed?.end(0)
    remote.attach(feed, brokerEpoch)
    this.onPosition(
      remote,
      Math.min(subscribe.position, subscribe.fetchOffset),
      subscribe.logStartOffset,
    )
  }

  detach(remote: RemoteReplica, feed: Feed, isFailed: boolean): void {
    if (remote.feed !== feed) return
    remote.detach(this.#parts.clock.monotonicMs())
    remote.isFailed = isFailed
    if (this.#isOver) return
    if (isFailed) this.#propose(this.#parts.clock.monotonicMs())
    this.#watchIfNeeded()
  }

  /**
   * A follower is about to lose records. It is told when it counts for nothing: neither in the ISR
   * nor in one that was proposed, and it does not come in before it has subscribed again.
   */
  leave(nodeId: number, tell: () => void): void {
    const remote = this.remote(nodeId)
    if (remote !== undefined) {
      remote.feed?.end(0)
      remote.isFailed = true
      this.#propose(this.#parts.clock.monotonicMs())
      this.#watchIfNeeded()
    }
    this.#leavers.push({ nodeId, tell })
    this.#tellLeavers()
  }

  #tellLeavers(): void {
    if (this.#leavers.length === 0) return
    const gone = this.#leavers.filter(({ nodeId }) => !this.isr.counts(nodeId))
    this.#leavers = this.#leavers.filter((one) => !gone.includes(one))
    for (const { tell } of gone) tell()
  }

  onPosition(remote: RemoteReplica, position: number, logStartOffset: number): void {
    assert(this.#remotes.includes(remote), 'a replica of now')
    const nowMs = this.#parts.clock.monotonicMs()
    remote.onPosition(position, logStartOffset, this.#led.logEndOffset, nowMs)
    this.#led.onIsrOrPosition()
    if (!this.isr.counts(remote.nodeId)) {
      if (this.#mayJoin(remote)) this.#propose(nowMs)
      this.#watchIfNeeded()
    }
  }

  /** Of the in-sync followers that are near and have the offset: the one with most; -1 none. */
  furthestOf(isNear: (nodeId: number) => boolean, fetchOffset: number): number {
    let best: RemoteReplica | undefined
    for (const remote of this.#remotes) {
      const { nodeId, position, logStartOffset } = remote
      if (remote.feed === undefined || !isNear(nodeId)) continue
      if (!this.isr.committed.includes(nodeId)) continue
      if (position < fetchOffset || logStartOffset > fetchOffset) continue
      if (best === undefined || position > best.position) best = remote
    }
    return best?.nodeId ?? -1
  }

  /** Lowest log start of the replicas that count: what DeleteRecords waits for (KIP-107). */
  lowWatermark(ownLogStart: number): number {
    let lowest = ownLogStart
    for (const remote of this.#remotes) {
      if (this.isr.counts(remote.nodeId)) lowest = Math.min(lowest, remote.logStartOffset)
    }
    return lowest
  }

  #mayJoin(remote: RemoteReplica): boolean {
    return (
      remote.feed !== undefined &&
      !remote.isFailed &&
      remote.brokerEpoch >= 0 &&
      remote.position >= this.startOffset &&
      remote.position >= this.#led.highWatermark &&
      // What is deleted does not come back with another leader.
      remote.logStartOffset >= this.#led.logStartOffset &&
      this.#parts.isEligible(remote.nodeId)
    )
  }

  #watchIfNeeded(): void {
    if (this.#isWatched || this.#remotes.length === 0 || this.#isOver) return
    if (!this.#needsWatch()) return
    this.#isWatched = true
    this.#led.onWatch()
  }

  #needsWatch(): boolean {
    if (!this.isr.canPropose) return true
    for (const remote of this.#remotes) {
      const isMember = this.isr.counts(remote.nodeId)
      if (isMember ? !remote.isAtEnd : remote.feed !== undefined) return true
    }
    return false
  }

  /** Now and then, while it says so: who lags leaves the ISR, who has caught up joins it. */
  watch(nowMs: number): boolean {
    if (this.#isOver) return false
    this.#tellStart()
    this.#propose(nowMs)
    this.#isWatched = this.#needsWatch()
    return this.#isWatched
  }

  /** Who is to join has to know, durably, where the log begins; retention may have moved that. */
  #tellStart(): void {
    for (const remote of this.#remotes) {
      if (this.isr.counts(remote.nodeId)) continue
      if (remote.logStartOffset < this.#led.logStartOffset) remote.feed?.onWatermark()
    }
  }

  #propose(nowMs: number): void {
    if (this.#isOver || this.#isAsking || nowMs < this.#proposeAtMs) return
    if (this.isr.canPropose) {
      const wanted = this.#wanted(nowMs)
      if (wanted === undefined) return
      this.isr.propose(wanted)
    }
    this.#ask(this.isr.proposed!)
  }

  /** The ISR that should be; undefined when it is. */
  #wanted(nowMs: number): readonly number[] | undefined {
    const lagMaxMs = this.#parts.lagMaxMs()
    const { committed } = this.isr
    const inSync = committed.filter((nodeId) => {
      const remote = this.remote(nodeId)
      return nodeId === this.#nodeId || (remote?.isOutOfSync(nowMs, lagMaxMs) ?? true) === false
    })
    const kept = this.#withoutAway(inSync, nowMs)
    const joining = this.#remotes
      .filter((remote) => !committed.includes(remote.nodeId) && this.#mayJoin(remote))
      .map(({ nodeId }) => nodeId)
    assert(kept.includes(this.#nodeId), 'a leader stays in its ISR')
    if (kept.length === committed.length && joining.length === 0) return undefined
    const { logger, probe } = this.#parts
    if (kept.length < committed.length) probe.isrShrinks++
    if (joining.length > 0) probe.isrExpansions++
    const wanted = [...kept, ...joining]
    logger.info('A leader asks for another ISR.', {
      topic: this.#led.topic,
      partition: this.#led.index,
      leaderEpoch: this.epoch,
      isr: committed,
      wanted,
      highWatermark: this.#led.highWatermark,
      endOffset: this.#led.logEndOffset,
    })
    return wanted
  }

  /** Writers wait for somebody who can't be reached, and enough others are there. */
  #withoutAway(inSync: readonly number[], nowMs: number): readonly number[] {
    const { highWatermark, logEndOffset, minIsr } = this.#led
    if (highWatermark === logEndOffset) return inSync
    const present = inSync.filter((nodeId) => {
      return this.remote(nodeId)?.isAway(nowMs, AWAY_MAX_MS) !== true
    })
    return present.length >= Math.max(TWO, minIsr) ? present : inSync
  }

  #ask(isr: readonly number[]): void {
    assert(!this.#isAsking, 'one question at a time')
    assert(isr.includes(this.#nodeId), 'a leader asks for an ISR with itself')
    this.#isAsking = true
    const { partitionEpoch } = this.isr
    const asked = this.#parts.isr.alterPartition({
      topicId: this.#led.topicId,
      index: this.#led.index,
      leaderEpoch: this.epoch,
      partitionEpoch,
      isr: isr.map((nodeId) => this.#memberOf(nodeId)),
    })
    // The port never rejects.
    void asked.then((verdict) => {
      this.#isAsking = false
      if (!this.#isOver) this.#onVerdict(verdict, partitionEpoch)
    })
  }

  #memberOf(nodeId: number): IsrMember {
    return { nodeId, brokerEpoch: this.remote(nodeId)?.brokerEpoch ?? -1 }
  }

  #onVerdict(verdict: IsrVerdict, askedAt: number): void {
    const { error } = verdict
    if (error === 0) {
      assert(verdict.leaderEpoch <= this.epoch || verdict.partitionEpoch > askedAt, 'epochs rise')
      // A verdict of a later epoch is for the next term; the image brings it.
      if (verdict.leaderEpoch === this.epoch) {
        this.isr.decided(verdict.isr, verdict.partitionEpoch)
        this.#tellLeavers()
      }
      this.#led.onIsrOrPosition()
      this.#watchIfNeeded()
      return
    }
    this.#parts.probe.isrUpdatesFailed++
    this.#proposeAtMs = this.#parts.clock.monotonicMs() + PROPOSE_AGAIN_MS
    const next = this.isr.refused(error)
    if (next === 'image') this.#proposeAtMs = Number.POSITIVE_INFINITY
    if (next === 'dropped') {
      this.#tellLeavers()
      this.#led.onIsrOrPosition()
    }
    this.#watchIfNeeded()
  }

  /** Another epoch begins, or the replica goes. */
  end(error: number): void {
    this.#isOver = true
    for (const remote of this.#remotes) remote.feed?.end(error)
  }
}
