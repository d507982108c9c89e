/**
 * The metadata quorum as a Raft group: one voter or many, and nodes that only follow.
 *
 * Invariants: the image is replay of what is committed, in order, and nothing else; listeners hear
 * of it before the promise of the proposal resolves; what is proposed is proposed by a leader whose
 * image has all that was committed before its term.
 */
import { assert } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import type { Disk } from '../../base/disk.ts'
import { CorruptionError, StorageError } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import type { Random } from '../../base/random.ts'
import type { PartitionLog } from '../../log/partition-log.ts'
import { LogProbe } from '../../log/probe.ts'
import { encodeBatch } from '../../log/records.ts'
import { NotLeading, ProposalRefused, RaftDriver, WaitOver } from '../../raft/driver.ts'
import { type Entry, type Membership, type Message, NO_MEMBER_ID } from '../../raft/messages.ts'
import { DEFAULT_TIMING, type RaftTiming } from '../../raft/options.ts'
import { RaftProbe } from '../../raft/probe.ts'
import type { RaftTransport } from '../../raft/transport.ts'
import { entryCodec } from './control-records.ts'
import { ForeignLeaders } from './foreign-leaders.ts'
import { foundingSentence } from './founding.ts'
import type { MetadataImage } from './image.ts'
import { newUuid } from './meta-properties.ts'
import {
  type AppliedListener,
  type LeadershipListener,
  type MetadataQuorum,
  NotLeaderError,
  ProposalRefusedError,
  type QuorumDescription,
  QuorumTimeoutError,
  type VoterKey,
  type VoterState,
} from './quorum.ts'
import { describeGroup } from './quorum-description.ts'
import { RaftLog } from './raft-log.ts'
import { encodeRecord, type MetadataRecord } from './records.ts'
import { addTo, ReplayedImage } from './replayed-image.ts'
import { takeSnapshot } from './snapshot-writer.ts'
import { replacedVoterId, setAsideDamaged } from './voter-identity.ts'

export interface RaftQuorumOptions {
  readonly nodeId: number
  /** Of `directory`. */
  readonly directoryId: string
  /** Ids of controller.quorum.voters. They count until the log says who votes. */
  readonly voterIds: readonly number[]
  /** The metadata directory: has quorum-state, the log and its checkpoints. Must exist. */
  readonly directory: string
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly transport: RaftTransport
  /** What this node is part of, as far as its metadata or directories say. */
  readonly clusterId?: () => string | undefined
  /** Figures of the log; its own when there is none. */
  readonly probe?: LogProbe
  readonly maybe?: (name: string) => boolean
  readonly timing?: Partial<RaftTiming>
  /** The image as records, for snapshots. */
  readonly snapshotRecords: (image: MetadataImage) => Iterable<MetadataRecord>
  /** So much is appended between snapshots. */
  readonly snapshotBytes?: number
  /** Offsets that stay in the log behind a snapshot, for those who are a little late. */
  readonly retainedOffsets?: number
  /** Somebody has proof that this node is dead: look for yourself, and say so. */
  readonly onSuspect: (nodeId: number) => void
  /** The storage failed and nothing more can be done: end the node. */
  readonly onFatal: (error: unknown) => void
}

const NOBODY: Membership = { voters: [], outgoing: [] }
const SNAPSHOT_BYTES = 20 * 1024 * 1024
const RETAINED_OFFSETS = 10_000
/** A stop waits so long for what is under way, and then for another leader. */
const STOP_MS = 500

export class RaftQuorum implements MetadataQuorum {
  readonly #options: RaftQuorumOptions
  readonly #replayed = new ReplayedImage()
  readonly #leadershipListeners: LeadershipListener[] = []
  #storage: RaftLog | undefined
  #driver: RaftDriver | undefined
  /** Of this log among the voters. */
  #directoryId: string
  /** It has had another log, and lost it. */
  #isReplaced = false
  #isStopped = false
  #isSnapshotting = false
  readonly #foreign: ForeignLeaders
  readonly #pending = new Set<Promise<unknown>>()
  /** Told when this node leads, or can't any more. */
  #starting: { resolve(): void; reject(error: unknown): void } | undefined

  constructor(options: RaftQuorumOptions) {
    this.#options = options
    this.#directoryId = options.directoryId
    const { clock, logger, clusterId = () => this.image.clusterId } = options
    const membership = () => this.#driver?.status.membership ?? NOBODY
    this.#foreign = new ForeignLeaders({ clock, logger, clusterId, membership })
  }

  get image(): MetadataImage {
    return this.#replayed.image
  }

  /** Figures of the group. */
  readonly raftProbe = new RaftProbe()

  /** For figures and maintenance; undefined before the start. */
  get log(): PartitionLog | undefined {
    return this.#storage?.log
  }

  get leaderId(): number {
    const status = this.#driver?.status
    if (status === undefined || this.#isStopped) return NO_MEMBER_ID
    const isOwn = status.leaderId === this.#options.nodeId
    return isOwn && !status.isEstablished ? NO_MEMBER_ID : status.leaderId
  }

  /** Why a voter without metadata has found no cluster, in a sentence; undefined where it has. */
  get waitsToFound(): string | undefined {
    const founding = this.#driver?.status.founding
    return founding === undefined ? undefined : foundingSentence(founding)
  }

  get leaderEpoch(): number {
    return this.#driver?.status.term ?? -1
  }

  get nextOffset(): number {
    return this.#driver?.status.endOffset ?? 0
  }

  get highWatermark(): number {
    return this.image.offset + 1
  }

  get voters(): readonly VoterState[] {
    return this.describe().voters.map(({ nodeId, directoryId, logEndOffset }) => {
      return { nodeId, directoryId, logEndOffset }
    })
  }

  /**
   * Loads what is on disk and takes part. A sole voter has applied all of it when this resolves; of
   * several, `readIndex` and `whenApplied` say when that is so. When the vote or the log is damaged,
   * the node begins anew, without a vote, and gets all from the others; rejects with CorruptionError
   * when there are none.
   */
  async start(): Promise<void> {
    assert(this.#storage === undefined, 'started once')
    const { nodeId, voterIds } = this.#options
    const storage = await this.#open()
    if (this.#isStopped) {
      await storage.close()
      throw new NotLeaderError('the node stopped')
    }
    this.#storage = storage
    storage.checkpoints.onDamaged = () => this.#startSnapshot()
    this.#load(storage)
    const driver = this.#newDriver(storage)
    this.#driver = driver
    const { voters, outgoing } = driver.status.membership
    const isSole = outgoing.length === 0 && voters.every((voter) => voter.nodeId === nodeId)
    assert(voterIds.length > 0 || voters.length > 0, 'somebody votes')
    const led = isSole ? this.#whenLeading() : undefined
    driver.start()
    await led
  }

  async #open(): Promise<RaftLog> {
    const { disk, directory, voterIds, nodeId, logger, random, probe, clock } = this.#options
    const { maybe = () => false, directoryId } = this.#options
    const options = { disk, clock, logger, directory, probe: probe ?? new LogProbe(), maybe }
    this.#directoryId = directoryId
    try {
      const replaced = replacedVoterId(disk, directory)
      this.#isReplaced = replaced !== undefined
      this.#directoryId = replaced ?? directoryId
      return await RaftLog.open(options)
    } catch (error) {
      const hasOthers = voterIds.some((id) => id !== nodeId)
      if (!(error instanceof CorruptionError) || !hasOthers) throw error
      this.#directoryId = newUuid(random)
      this.#isReplaced = true
      logger.error(
        'The metadata log or the vote is damaged: this node gives up its vote, and fetches all anew.',
        { error: error.message, directoryId: this.#directoryId },
      )
      await setAsideDamaged(disk, directory, this.#directoryId)
      return RaftLog.open(options)
    }
  }

  #whenLeading(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#starting = { resolve, reject }
    })
  }

  #newDriver(storage: RaftLog): RaftDriver {
    const { nodeId, voterIds, clock, random, logger, transport } = this.#options
    return new RaftDriver({
      member: { nodeId, directoryId: this.#directoryId },
      voters: voterIds.map((id) => ({ nodeId: id, directoryId: '' })),
      mustBeListed: this.#isReplaced,
      clock,
      random: random.split('raft'),
      logger,
      storage,
      transport,
      codec: entryCodec(() => clock.nowMs()),
      timing: this.#options.timing ?? {},
      probe: this.raftProbe,
      machine: {
        apply: (entries) => this.#apply(entries),
        restore: async () => this.#restore(storage),
      },
      onLeadership: (leads, term) => this.#onLeadership(leads, term),
      onLeader: (leaderId, term) => {
        if (leaderId === NO_MEMBER_ID) logger.debug('No leader of the metadata is known.', { term })
        else logger.info('The leader of the metadata quorum changed.', { leaderId, term })
      },
      onSuspect: this.#options.onSuspect,
      onFatal: (error) => this.#onFatal(error),
    })
  }

  /** Rejects what is not committed; a leader hands over first. Idempotent. */
  async stop(): Promise<void> {
    if (this.#isStopped) return
    const driver = this.#driver
    if (driver !== undefined) {
      if (this.#pending.size > 0) await this.#atMost(Promise.allSettled([...this.#pending]))
      const hasOthers = driver.replicas().some((replica) => replica.isVoter)
      if (hasOthers) await this.#atMost(driver.transferLeadership(NO_MEMBER_ID))
    }
    this.#isStopped = true
    await driver?.stop()
    await this.#storage?.close()
  }

  /** Whatever comes of it. */
  async #atMost(work: Promise<unknown>): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#options.clock.after(STOP_MS, resolve)
      const done = () => {
        timer.cancel()
        resolve()
      }
      work.then(done, done)
    })
  }

  propose(records: readonly MetadataRecord[]): Promise<number> {
    assert(records.length > 0, 'a proposal has records')
    const driver = this.#driver
    if (driver === undefined || this.#isStopped) {
      return Promise.reject(new NotLeaderError('this node does not lead the metadata quorum'))
    }
    this.#moveMaybe()
    const timestampMs = this.#options.clock.nowMs()
    const rows = records.map((record) => {
      return { timestampMs, key: null, value: encodeRecord(record) }
    })
    const proposal = driver
      .propose(rows.length, (baseOffset, leaderEpoch) =>
        encodeBatch(rows, { baseOffset, leaderEpoch }),
      )
      .then((endOffset) => endOffset - 1, rethrow)
    this.#pending.add(proposal)
    const forget = () => this.#pending.delete(proposal)
    proposal.then(forget, forget)
    return proposal
  }

  onApplied(listener: AppliedListener): () => void {
    return this.#replayed.onApplied(listener)
  }

  onLeadership(listener: LeadershipListener): () => void {
    const end = addTo(this.#leadershipListeners, listener)
    const status = this.#driver?.status
    if (status?.isEstablished === true && !this.#isStopped) listener(true, status.term)
    return end
  }

  /** For the transport. `clusterId`: of the sender, '' when it is part of none yet. */
  receive(from: number, message: Message, clusterId: string): void {
    if (message.from !== from || this.#foreign.isForeign(message, clusterId)) return
    this.#driver?.receive(message)
  }

  /** Proof that a node's process is gone: a leader is not waited for. */
  peerIsDead(nodeId: number): void {
    this.#driver?.peerIsDead(nodeId)
  }

  async readIndex(): Promise<number> {
    const { electionTimeoutMaxMs } = { ...DEFAULT_TIMING, ...this.#options.timing }
    const endOffset = await this.#running().readIndex(electionTimeoutMaxMs).catch(rethrow)
    return endOffset - 1
  }

  async whenApplied(offset: number, timeoutMs: number): Promise<void> {
    await this.#running()
      .whenApplied(offset + 1, timeoutMs)
      .catch(rethrow)
  }

  async transferLeadership(nodeId: number): Promise<void> {
    await this.#running().transferLeadership(nodeId).catch(rethrowTimeout)
  }

  async changeVoters(voters: readonly VoterKey[]): Promise<void> {
    await this.#running().changeVoters(voters).catch(rethrow)
  }

  #running(): RaftDriver {
    if (this.#driver === undefined || this.#isStopped) {
      throw new NotLeaderError('this node does not take part in the metadata quorum')
    }
    return this.#driver
  }

  describe(): QuorumDescription {
    const { clock, nodeId } = this.#options
    const driver = this.#driver
    const { leaderId, leaderEpoch, highWatermark } = this
    const base = { leaderId, leaderEpoch, highWatermark }
    if (driver === undefined) return { ...base, voters: [], observers: [] }
    const { membership, endOffset } = driver.status
    const self = { nodeId, directoryId: this.#directoryId }
    const known = { self, endOffset, voters: membership.voters, replicas: driver.replicas() }
    return { ...base, ...describeGroup(clock, known) }
  }

  // What comes from the group

  #onLeadership(leads: boolean, term: number): void {
    if (leads) {
      this.#starting?.resolve()
      this.#starting = undefined
    }
    for (const listener of [...this.#leadershipListeners]) listener(leads, term)
  }

  #onFatal(error: unknown): void {
    this.#isStopped = true
    this.#starting?.reject(error)
    this.#starting = undefined
    this.#options.onFatal(error)
  }

  #apply(entries: readonly Entry[]): void {
    this.#replayed.apply(entries)
    this.#snapshotIfDue()
  }

  #load({ snapshot, loaded }: RaftLog): void {
    if (snapshot !== undefined && loaded !== undefined) this.#replayed.load(loaded, snapshot)
  }

  #restore({ snapshot, checkpoints }: RaftLog): void {
    assert(snapshot !== undefined, 'it was put in force')
    this.#replayed.restore(checkpoints.read(), snapshot)
  }

  #snapshotIfDue(): void {
    const limit = this.#options.snapshotBytes ?? SNAPSHOT_BYTES
    const { bytesSinceSnapshot } = this.#replayed
    const isEarly = bytesSinceSnapshot > 0 && this.#maybe('raft.snapshot')
    if (bytesSinceSnapshot >= limit || isEarly) this.#startSnapshot()
  }

  /** In simulation the group now and then moves to another leader, or writes early snapshots. */
  #maybe(name: string): boolean {
    return this.#options.maybe?.(name) === true
  }

  #moveMaybe(): void {
    if (!this.#maybe('raft.move') || this.#isStopped) return
    const driver = this.#driver
    if (driver?.status.isEstablished !== true) return
    const hasOthers = driver.replicas().some((replica) => replica.isVoter)
    if (hasOthers) void this.#atMost(driver.transferLeadership(NO_MEMBER_ID))
  }

  #startSnapshot(): void {
    if (this.#isSnapshotting) return
    this.#isSnapshotting = true
    this.#replayed.bytesSinceSnapshot = 0
    const work = this.#snapshot().finally(() => {
      this.#isSnapshotting = false
    })
    work.catch((error: unknown) => this.#onFatal(error))
  }

  async #snapshot(): Promise<void> {
    const { clock, logger, snapshotRecords, retainedOffsets = RETAINED_OFFSETS } = this.#options
    const storage = this.#storage
    const driver = this.#driver
    assert(storage !== undefined && driver !== undefined, 'what is applied came from there')
    const { image } = this
    const endOffset = image.offset + 1
    const id = { endOffset, term: image.epoch, membership: driver.membershipAt(endOffset) }
    const pause = () => new Promise<void>((resolve) => clock.soon(resolve))
    try {
      const records = snapshotRecords(image)
      const isNewest = await takeSnapshot(storage.checkpoints, id, {
        records,
        nowMs: clock.nowMs(),
        pause,
      })
      if (isNewest) driver.dropBefore(Math.max(0, endOffset - retainedOffsets))
      logger.info('A snapshot of the metadata was written.', { endOffset, term: id.term })
    } catch (error) {
      if (!(error instanceof StorageError)) throw error
      // The log is whole without it. A device that broke says so at the next append.
      logger.warn('A snapshot of the metadata could not be written.', { error: error.message })
    }
  }
}

/** Errors of the group as errors of the quorum. */
function rethrow(error: unknown): never {
  if (error instanceof NotLeading) throw new NotLeaderError(error.message)
  if (error instanceof ProposalRefused) throw new ProposalRefusedError(error.message)
  if (error instanceof WaitOver) throw new QuorumTimeoutError(error.message)
  throw error
}

function rethrowTimeout(error: unknown): never {
  if (error instanceof WaitOver) throw new QuorumTimeoutError(error.message)
  rethrow(error)
}
