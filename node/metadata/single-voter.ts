/**
 * The quorum of one: what is on this node's disk is committed. Proposals are appended as they come,
 * in order; one sync covers all that arrived while the one before ran, and then they are applied.
 *
 * Each start is a new leader epoch, written down before anything is appended in it, so that two
 * lives of the node can't be confused. A failed sync is final: the node has to end.
 */
import { assert } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import { StorageError } from '../../base/errors.ts'
import { DEFAULT_LOG_CONFIG, type LogConfig } from '../../log/config.ts'
import { AppendOutcome, type PartitionLog, ReadPlan } from '../../log/partition-log.ts'
import { decodeBatches, encodeBatch } from '../../log/records.ts'
import { ImageBuilder, replay } from './apply.ts'
import { leaderChangeBatch } from './control-records.ts'
import { EMPTY_IMAGE, type MetadataImage } from './image.ts'
import {
  type AppliedListener,
  type LeadershipListener,
  type MetadataQuorum,
  NotLeaderError,
  ProposalRefusedError,
  type QuorumDescription,
  QuorumTimeoutError,
  type VoterState,
} from './quorum.ts'
import type { QuorumState } from './quorum-state.ts'
import { decodeRecord, encodeRecord, type MetadataRecord } from './records.ts'

/** What this needs of a PartitionLog. */
export type VoterLog = Pick<
  PartitionLog,
  | 'logStartOffset'
  | 'logEndOffset'
  | 'syncedOffset'
  | 'latestEpoch'
  | 'isFailed'
  | 'append'
  | 'write'
  | 'sync'
  | 'locate'
  | 'copy'
>

export interface SingleVoterOptions {
  readonly nodeId: number
  /** Of the directory that holds the metadata log. */
  readonly directoryId: string
  readonly clock: Clock
  readonly state: QuorumState
  readonly log: VoterLog
  /** The storage failed and nothing more can be committed: end the node. */
  readonly onFatal: (error: unknown) => void
}

interface Proposal {
  readonly records: readonly MetadataRecord[]
  readonly lastOffset: number
  resolve(offset: number): void
  reject(error: unknown): void
}

const METADATA_LOG = '__cluster_metadata-0'
const READ_BYTES = 1024 * 1024
/** One change of metadata is one batch, however many partitions it makes. */
const BATCH_BYTES_MAX = 64 * 1024 * 1024

/** How the metadata log is kept: whole, and synced before anything in it counts. */
export const METADATA_LOG_CONFIG: LogConfig = {
  ...DEFAULT_LOG_CONFIG,
  isDeleted: false,
  isCompacted: false,
  retentionMs: -1,
  retentionBytes: -1,
  maxMessageBytes: BATCH_BYTES_MAX,
  timestampAfterMaxMs: Number.MAX_SAFE_INTEGER,
  flush: 'group',
}

export class SingleVoter implements MetadataQuorum {
  image: MetadataImage = EMPTY_IMAGE
  leaderId = -1
  leaderEpoch = -1
  readonly #options: SingleVoterOptions
  readonly #listeners: AppliedListener[] = []
  readonly #outcome = new AppendOutcome()
  /** In the order of the log; those before `#applied` are committed. */
  #pending: Proposal[] = []
  #isSyncing = false
  #isSyncDue = false
  #isStopped = false
  #idle: (() => void)[] = []

  constructor(options: SingleVoterOptions) {
    this.#options = options
  }

  get nextOffset(): number {
    return this.#options.log.logEndOffset
  }

  get highWatermark(): number {
    return this.image.offset + 1
  }

  get voters(): readonly VoterState[] {
    const { nodeId, directoryId } = this.#options
    return [{ nodeId, directoryId, logEndOffset: this.nextOffset }]
  }

  async start(): Promise<void> {
    assert(this.leaderId === -1, 'started once')
    const { log, state, nodeId, directoryId, clock } = this.#options
    this.#load()
    const epoch = Math.max(state.vote.term, log.latestEpoch) + 1
    await state.save({ term: epoch, votedId: nodeId, votedDirectoryId: directoryId })
    this.leaderEpoch = epoch
    const voter = { voterId: nodeId, voterDirectoryId: directoryId }
    this.#append(
      leaderChangeBatch(nodeId, [voter], [voter], { leaderEpoch: epoch, nowMs: clock.nowMs() }),
    )
    log.write()
    const synced = await log.sync()
    assert(synced >= log.logEndOffset, 'the sync covers what was written')
    this.image = { ...this.image, offset: log.logEndOffset - 1, epoch }
    this.leaderId = nodeId
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return
    this.#isStopped = true
    if (this.#isSyncing || this.#isSyncDue) {
      await new Promise<void>((resolve) => this.#idle.push(resolve))
    }
    this.#fail(new NotLeaderError('the node stopped'))
    this.leaderId = -1
    this.#options.state.close()
  }

  propose(records: readonly MetadataRecord[]): Promise<number> {
    assert(records.length > 0, 'a proposal has records')
    if (this.#isStopped || this.leaderId === -1) {
      return Promise.reject(new NotLeaderError('this node does not lead the metadata quorum'))
    }
    const nowMs = this.#options.clock.nowMs()
    const batch = encodeBatch(
      records.map((record) => ({ timestampMs: nowMs, key: null, value: encodeRecord(record) })),
      { leaderEpoch: this.leaderEpoch },
    )
    try {
      this.#append(batch)
    } catch (error) {
      if (!(error instanceof StorageError)) throw error
      if (this.#options.log.isFailed) this.#end(error)
      return Promise.reject(error)
    }
    const lastOffset = this.nextOffset - 1
    return new Promise((resolve, reject) => {
      this.#pending.push({ records, lastOffset, resolve, reject })
      this.#scheduleSync()
    })
  }

  onApplied(listener: AppliedListener): () => void {
    this.#listeners.push(listener)
    return () => {
      const at = this.#listeners.indexOf(listener)
      if (at >= 0) this.#listeners.splice(at, 1)
    }
  }

  onLeadership(listener: LeadershipListener): () => void {
    if (this.leaderId >= 0) listener(true, this.leaderEpoch)
    return () => {}
  }

  async readIndex(): Promise<number> {
    if (this.leaderId === -1) throw new NotLeaderError('this node does not lead')
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
    const nowMs = this.#options.clock.nowMs()
    const voters = this.voters.map((voter) => {
      return { ...voter, lastFetchMs: nowMs, lastCaughtUpMs: nowMs }
    })
    return { leaderId, leaderEpoch, highWatermark, voters, observers: [] }
  }

  #append(batch: Buffer): void {
    const { log, clock } = this.#options
    const context = {
      leaderEpoch: this.leaderEpoch,
      nowMs: clock.nowMs(),
      origin: 'raft',
      allowsZstd: true,
    } as const
    const expected = log.logEndOffset
    log.append(batch, 0, batch.length, context, this.#outcome)
    if (this.#outcome.error !== 0) {
      // The log says only here which of the gathered bytes are lost, and is then fit for more.
      this.#write()
      const why = `append to the metadata log (error ${this.#outcome.error})`
      throw new StorageError('UNKNOWN', METADATA_LOG, why)
    }
    assert(this.#outcome.firstOffset === expected, 'offsets follow each other')
    assert(this.#outcome.lastOffset === log.logEndOffset - 1)
  }

  /** At the end of the turn, so that the proposals of one turn share a sync. */
  #scheduleSync(): void {
    if (this.#isSyncing || this.#isSyncDue) return
    this.#isSyncDue = true
    this.#options.clock.soon(() => {
      this.#isSyncDue = false
      void this.#sync()
    })
  }

  async #sync(): Promise<void> {
    assert(!this.#isSyncing, 'one sync at a time')
    this.#isSyncing = true
    const { log } = this.#options
    try {
      while (this.#pending.length > 0) {
        if (!this.#write()) continue
        this.#apply(await log.sync())
      }
    } catch (error) {
      this.#end(error)
    } finally {
      this.#isSyncing = false
      for (const resolve of this.#idle.splice(0)) resolve()
    }
  }

  /**
   * False when a full device took the bytes out of the log again: those proposals are refused, and
   * the node goes on, since space may come back.
   */
  #write(): boolean {
    try {
      this.#options.log.write()
      return true
    } catch (error) {
      if (!isPassing(error)) throw error
      this.#dropLost(error)
      return false
    }
  }

  /** Rejects the proposals that a failed write took out of the log again. */
  #dropLost(error: StorageError): void {
    const end = this.#options.log.logEndOffset
    let kept = this.#pending.length
    while (kept > 0 && this.#pending[kept - 1]!.lastOffset >= end) kept--
    for (const proposal of this.#pending.splice(kept)) proposal.reject(error)
    assert(this.image.offset < end || this.leaderId === -1, 'what is committed stays in the log')
  }

  /** Everything below `synced` is committed. */
  #apply(synced: number): void {
    let count = 0
    while (count < this.#pending.length && this.#pending[count]!.lastOffset < synced) {
      const { records, lastOffset } = this.#pending[count]!
      assert(lastOffset - records.length === this.image.offset, 'nothing is skipped')
      const next = replay(this.image, records, lastOffset, this.leaderEpoch)
      this.image = next.image
      for (const listener of this.#listeners) listener(next.image, next.delta)
      count++
    }
    assert(count > 0, 'a sync makes progress')
    for (const proposal of this.#pending.splice(0, count)) proposal.resolve(proposal.lastOffset)
  }

  /** Nothing more can be committed here. */
  #end(error: unknown): void {
    this.#isStopped = true
    this.#fail(error)
    this.#options.onFatal(error)
  }

  #fail(error: unknown): void {
    for (const proposal of this.#pending.splice(0)) proposal.reject(error)
  }

  /** Replays the log. Throws CorruptionError where it can't be read. */
  #load(): void {
    const { log } = this.#options
    const builder = new ImageBuilder(EMPTY_IMAGE)
    const plan = new ReadPlan()
    let buffer = Buffer.allocUnsafe(READ_BYTES)
    let offset = log.logStartOffset
    while (offset < log.logEndOffset) {
      log.locate(offset, log.logEndOffset, plan)
      if (plan.error !== 0) {
        const why = `read the metadata log at offset ${offset} (error ${plan.error})`
        throw new StorageError('UNKNOWN', METADATA_LOG, why)
      }
      if (plan.firstBatchBytes > buffer.length) buffer = Buffer.allocUnsafe(plan.firstBatchBytes)
      const length = log.copy(plan, log.logEndOffset, buffer, 0, buffer.length)
      assert(length > 0 && plan.nextOffset > offset, 'a read makes progress')
      for (const record of decodeBatches(buffer, 0, length)) {
        assert(record.value !== null, 'a metadata record has a value')
        builder.replay(decodeRecord(record.value))
      }
      offset = plan.nextOffset
    }
    if (offset > 0) this.image = builder.finish(offset - 1, Math.max(log.latestEpoch, 0)).image
  }
}

/** Space and handles may come back; what the device has broken does not. */
function isPassing(error: unknown): error is StorageError {
  return error instanceof StorageError && (error.code === 'ENOSPC' || error.code === 'EMFILE')
}
