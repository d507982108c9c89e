/**
 * For tests: a quorum of one in memory. Records pass through their wire form; commits take a moment
 * of the simulated clock; leadership comes and goes when a test says so. It keeps the promises of
 * `MetadataQuorum` that a decider relies on, and nothing else.
 */
import { assert } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import { replay } from './apply.ts'
import { EMPTY_IMAGE, type MetadataImage } from './image.ts'
import {
  type AppliedListener,
  type LeadershipListener,
  type MetadataQuorum,
  NotLeaderError,
  ProposalRefusedError,
  type QuorumDescription,
  QuorumTimeoutError,
} from './quorum.ts'
import { decodeRecord, encodeRecord, type MetadataRecord } from './records.ts'

interface Pending {
  readonly records: readonly MetadataRecord[]
  readonly lastOffset: number
  resolve(offset: number): void
  reject(error: unknown): void
}

export class MemoryQuorum implements MetadataQuorum {
  image: MetadataImage = EMPTY_IMAGE
  leaderId = -1
  leaderEpoch = 0
  nextOffset = 0
  /** All that was committed, in batches. */
  readonly batches: (readonly MetadataRecord[])[] = []
  /** Called with each proposal; what it throws refuses the proposal. */
  onPropose: ((records: readonly MetadataRecord[]) => void) | undefined
  readonly #nodeId: number
  readonly #clock: Clock
  readonly #commitMs: number
  readonly #applied: AppliedListener[] = []
  readonly #leadership: LeadershipListener[] = []
  #pending: Pending[] = []

  constructor(options: { nodeId: number; clock: Clock; commitMs?: number }) {
    this.#nodeId = options.nodeId
    this.#clock = options.clock
    this.#commitMs = options.commitMs ?? 2
  }

  get highWatermark(): number {
    return this.image.offset + 1
  }

  get voters() {
    return [{ nodeId: this.#nodeId, directoryId: '', logEndOffset: this.nextOffset }]
  }

  /** A new epoch, which this node leads. */
  lead(): void {
    assert(this.leaderId === -1, 'it did not lead')
    this.leaderEpoch++
    this.leaderId = this.#nodeId
    // The control record that begins an epoch.
    this.nextOffset++
    this.image = { ...this.image, offset: this.nextOffset - 1, epoch: this.leaderEpoch }
    for (const listener of this.#leadership) listener(true, this.leaderEpoch)
  }

  /** Another node leads, in a higher epoch; what was on its way is lost. */
  resign(): void {
    this.leaderId = -1
    this.leaderEpoch++
    this.nextOffset = this.image.offset + 1
    for (const { reject } of this.#pending.splice(0)) reject(new NotLeaderError('resigned'))
    for (const listener of this.#leadership) listener(false, this.leaderEpoch)
  }

  async start(): Promise<void> {
    this.lead()
  }

  async stop(): Promise<void> {
    if (this.leaderId !== -1) this.resign()
  }

  propose(records: readonly MetadataRecord[]): Promise<number> {
    assert(records.length > 0, 'a proposal has records')
    if (this.leaderId !== this.#nodeId) return Promise.reject(new NotLeaderError('not the leader'))
    const onWire = records.map((record) => decodeRecord(encodeRecord(record)))
    try {
      this.onPropose?.(onWire)
    } catch (error) {
      return Promise.reject(error)
    }
    this.nextOffset += records.length
    const lastOffset = this.nextOffset - 1
    return new Promise((resolve, reject) => {
      const pending = { records: onWire, lastOffset, resolve, reject }
      this.#pending.push(pending)
      this.#clock.after(this.#commitMs, () => this.#commit(pending))
    })
  }

  #commit(pending: Pending): void {
    if (!this.#pending.includes(pending)) return
    assert(this.#pending.shift() === pending, 'commits keep the order')
    const next = replay(this.image, pending.records, pending.lastOffset, this.leaderEpoch)
    this.image = next.image
    this.batches.push(pending.records)
    for (const listener of this.#applied) listener(next.image, next.delta)
    pending.resolve(pending.lastOffset)
  }

  onApplied(listener: AppliedListener): () => void {
    this.#applied.push(listener)
    return () => remove(this.#applied, listener)
  }

  onLeadership(listener: LeadershipListener): () => void {
    this.#leadership.push(listener)
    if (this.leaderId === this.#nodeId) listener(true, this.leaderEpoch)
    return () => remove(this.#leadership, listener)
  }

  async readIndex(): Promise<number> {
    if (this.leaderId === -1) throw new NotLeaderError('not the leader')
    return this.image.offset
  }

  async whenApplied(offset: number): Promise<void> {
    if (this.image.offset < offset) throw new QuorumTimeoutError('not applied')
  }

  async transferLeadership(): Promise<void> {
    throw new ProposalRefusedError('there is no other voter')
  }

  async changeVoters(): Promise<void> {
    throw new ProposalRefusedError('a quorum of one does not change')
  }

  describe(): QuorumDescription {
    const { leaderId, leaderEpoch, highWatermark } = this
    return { leaderId, leaderEpoch, highWatermark, voters: [], observers: [] }
  }
}

function remove<T>(list: T[], element: T): void {
  const at = list.indexOf(element)
  if (at >= 0) list.splice(at, 1)
}
