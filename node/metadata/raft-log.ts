/**
 * The metadata log, its snapshots and the vote as the storage of a Raft member.
 *
 * Invariants: an entry is a batch, byte for byte the same on every member; the log begins where a
 * snapshot covers what is below; a log that is shorter than it is known to have been is damaged,
 * and is not opened.
 */
import { assert } from '../../base/assert.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import type { Disk } from '../../base/disk.ts'
import { CorruptionError, StorageError } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import { DEFAULT_LOG_CONFIG, type LogConfig } from '../../log/config.ts'
import { KAFKA_STORAGE_ERROR } from '../../log/errors.ts'
import {
  baseOffsetAt,
  batchSizeAt,
  CONTROL_KRAFT_VOTERS,
  CONTROL_LEADER_CHANGE,
  isControlAt,
  lastOffsetDeltaAt,
  leaderEpochAt,
} from '../../log/format.ts'
import { PartitionLog, ReadPlan } from '../../log/partition-log.ts'
import type { LogProbe } from '../../log/probe.ts'
import { decodeBatch } from '../../log/records.ts'
import { Reserve } from '../../log/reserve.ts'
import type { Entry, EntryKind, SnapshotId } from '../../raft/messages.ts'
import {
  type MembershipAt,
  type RaftStorage,
  type Snapshot,
  StorageFull,
  type StoredState,
  type TermStart,
  type Vote,
} from '../../raft/storage.ts'
import { Checkpoints, type LoadedCheckpoint } from './checkpoints.ts'
import { readControlRecord } from './control-records.ts'
import { NO_VOTE, QuorumState } from './quorum-state.ts'

export const METADATA_TOPIC = '__cluster_metadata'
export const METADATA_LOG = `${METADATA_TOPIC}-0`

const READ_BYTES = 1024 * 1024
/** How long what is durable may go unnoted. */
const NOTE_AFTER_MS = 1000
/** One change of metadata is one batch, however many partitions it makes. */
export const BATCH_BYTES_MAX = 64 * 1024 * 1024

/** How the metadata log is kept: whole, and synced before anything in it counts. */
export const METADATA_LOG_CONFIG: LogConfig = {
  ...DEFAULT_LOG_CONFIG,
  segmentBytes: 64 * 1024 * 1024,
  isDeleted: false,
  isCompacted: false,
  retentionMs: -1,
  retentionBytes: -1,
  maxMessageBytes: BATCH_BYTES_MAX,
  timestampAfterMaxMs: Number.MAX_SAFE_INTEGER,
  flush: 'group',
}

export interface RaftLogOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly logger: Logger
  readonly probe: LogProbe
  readonly maybe: (name: string) => boolean
  /** Has `quorum-state` and the directory of the log. */
  readonly directory: string
}

export class RaftLog implements RaftStorage {
  readonly state: StoredState
  readonly log: PartitionLog
  /** Of the newest snapshot, at the start. */
  readonly loaded: LoadedCheckpoint | undefined
  readonly #clock: Clock
  readonly #checkpoints: Checkpoints
  readonly #quorumState: QuorumState
  /** A full disk must take the note that a topic is deleted. */
  readonly #reserve: Reserve
  readonly #plan = new ReadPlan()
  #noting: Timer | undefined

  private constructor(
    options: RaftLogOptions,
    parts: {
      readonly log: PartitionLog
      readonly quorumState: QuorumState
      readonly checkpoints: Checkpoints
      readonly loaded: LoadedCheckpoint | undefined
      readonly reserve: Reserve
    },
  ) {
    this.#reserve = parts.reserve
    this.log = parts.log
    this.loaded = parts.loaded
    this.#clock = options.clock
    this.#quorumState = parts.quorumState
    this.#checkpoints = parts.checkpoints
    this.state = this.#read()
  }

  /** Throws CorruptionError: this member must not vote under the identity that it had. */
  static async open(options: RaftLogOptions): Promise<RaftLog> {
    const { disk, clock, logger, probe, directory, maybe } = options
    const quorumState = await QuorumState.open(disk, directory)
    const reserve = new Reserve({ disk, clock, logger, directory: `${directory}/reserve` })
    let log: PartitionLog | undefined
    try {
      log = await PartitionLog.open({
        directory: `${directory}/${METADATA_LOG}`,
        topic: METADATA_TOPIC,
        partition: 0,
        config: METADATA_LOG_CONFIG,
        // Small, and the one log whose every byte counts: checked whole at each start. Intact
        // batches behind a bad one make it damage, which is refused, and not an unfinished write,
        // which would be cut off with all that follows.
        recoveryPoint: -1,
        logStartOffset: 0,
        isCleanShutdown: false,
        parts: { disk, clock, logger, probe, maybe, makeRoom: () => reserve.giveUp() },
      })
      const checkpoints = new Checkpoints(disk, log.directory, logger)
      const loaded = await checkpoints.open()
      await checkLog(log, quorumState, checkpoints.newest)
      return new RaftLog(options, { log, quorumState, checkpoints, loaded, reserve })
    } catch (error) {
      log?.abandon()
      void reserve.close()
      quorumState.abandon()
      throw error
    }
  }

  get snapshot(): Snapshot | undefined {
    return this.#checkpoints.newest
  }

  get checkpoints(): Checkpoints {
    return this.#checkpoints
  }

  async close(): Promise<void> {
    this.#noting?.cancel()
    this.#checkpoints.close()
    try {
      await this.#reserve.close()
      await this.log.close()
      await this.#quorumState.raiseLogEnd(this.log.syncedOffset)
    } finally {
      await this.#quorumState.close()
    }
  }

  /** What the files say. */
  #read(): StoredState {
    const { log } = this
    const snapshot = this.#checkpoints.newest
    const terms: TermStart[] = []
    const memberships: MembershipAt[] = []
    const startOffset = log.logStartOffset === 0 ? 0 : (snapshot?.endOffset ?? 0)
    if (snapshot !== undefined) {
      const { endOffset, membership } = snapshot
      memberships.push({ endOffset, membership })
    }
    for (let offset = startOffset; offset < log.logEndOffset; ) {
      for (const entry of this.read(offset, log.logEndOffset, READ_BYTES)) {
        const { baseOffset, count, term, kind, data } = entry
        assert(baseOffset === offset && term >= (terms.at(-1)?.term ?? 0), 'entries in order')
        if (term > (terms.at(-1)?.term ?? -1)) terms.push({ term, startOffset: baseOffset })
        offset = baseOffset + count
        if (kind !== 'membership' || offset <= (snapshot?.endOffset ?? 0)) continue
        const membership = membershipOf(data)
        if (membership !== undefined) memberships.push({ endOffset: offset, membership })
      }
    }
    return {
      vote: this.#vote(),
      startOffset,
      startTerm: startOffset === 0 ? 0 : (snapshot?.term ?? 0),
      endOffset: log.logEndOffset,
      terms,
      memberships,
      commit: snapshot?.endOffset ?? 0,
    }
  }

  #vote(): Vote {
    const { term, votedId, votedDirectoryId } = this.#quorumState.vote
    const voted = votedId < 0 ? undefined : { nodeId: votedId, directoryId: votedDirectoryId }
    return { term, voted }
  }

  saveVote({ term, voted }: Vote): Promise<void> {
    const votedId = voted?.nodeId ?? NO_VOTE.votedId
    const votedDirectoryId = voted?.directoryId ?? NO_VOTE.votedDirectoryId
    return this.#quorumState.save({ term, votedId, votedDirectoryId }, this.log.syncedOffset)
  }

  /** What is kept for a full disk has not been used up. */
  get hasRoom(): boolean {
    return this.#reserve.pieceCount > 0
  }

  append(entries: readonly Entry[]): void {
    const { log } = this
    assert(entries[0]?.baseOffset === log.logEndOffset, 'entries follow the log')
    try {
      for (const { data } of entries) log.appendAsFollower(data, 0, data.length)
      log.write()
    } catch (error) {
      if (!(error instanceof StorageError) || log.isFailed) throw error
      // What is still gathered was before the one that failed, and goes with it.
      this.#writeRest()
      throw new StorageFull(log.logEndOffset, { cause: error })
    }
    const last = entries.at(-1)
    assert(last !== undefined && log.writtenOffset === last.baseOffset + last.count, 'all is there')
  }

  #writeRest(): void {
    try {
      this.log.write()
    } catch (error) {
      if (!(error instanceof StorageError) || this.log.isFailed) throw error
    }
    assert(this.log.writtenOffset === this.log.logEndOffset, 'nothing is gathered')
  }

  async sync(): Promise<number> {
    const endOffset = await this.log.sync()
    if (this.#noting === undefined && endOffset > this.#quorumState.logEnd) {
      this.#noting = this.#clock.after(NOTE_AFTER_MS, () => {
        this.#noting = undefined
        this.#noteEnd()
      })
    }
    return endOffset
  }

  /** So that a later start knows when something is missing. */
  #noteEnd(): void {
    const work = this.#quorumState.raiseLogEnd(this.log.syncedOffset)
    work.catch((error: unknown) => {
      // A device that broke says so at the next vote or sync.
      if (!(error instanceof StorageError)) throw error
    })
  }

  async truncateTo(endOffset: number): Promise<void> {
    this.#noting?.cancel()
    this.#noting = undefined
    await this.#quorumState.lowerLogEnd(endOffset)
    await this.log.truncateTo(endOffset)
    assert(this.log.logEndOffset === endOffset, 'a log is cut between entries')
  }

  read(from: number, upTo: number, limitBytes: number): Entry[] {
    const { log } = this
    const plan = this.#plan
    log.locate(from, upTo, plan)
    // A device that does not answer now may do so at the next start: no reason to give up a vote.
    if (plan.error === KAFKA_STORAGE_ERROR) {
      throw new StorageError('EIO', log.directory, `read offset ${from} of`)
    }
    if (plan.error !== 0) {
      const why = `offset ${from} of the metadata log can't be read (error ${plan.error})`
      throw new CorruptionError(log.directory, why)
    }
    const length = Math.max(plan.firstBatchBytes, Math.min(limitBytes, READ_BYTES))
    const buffer = Buffer.allocUnsafe(length)
    const bytes = log.copy(plan, upTo, buffer, 0, length)
    const entries: Entry[] = []
    for (let at = 0; at < bytes; ) {
      const sizeBytes = batchSizeAt(buffer, at)
      entries.push(entryOf(buffer.subarray(at, at + sizeBytes)))
      at += sizeBytes
    }
    assert(entries.length > 0 && entries[0]!.baseOffset <= from, 'a read finds its entry')
    return entries
  }

  readSnapshot(id: SnapshotId, position: number, lengthBytes: number): Buffer {
    return this.#checkpoints.readPart(id, position, lengthBytes)
  }

  receivedBytes(id: SnapshotId): number {
    return this.#checkpoints.receivedBytes(id)
  }

  receive(id: SnapshotId, position: number, data: Buffer): void {
    try {
      this.#checkpoints.receive(id, position, data)
    } catch (error) {
      if (!isPassing(error)) throw error
      throw new StorageFull(this.log.logEndOffset, { cause: error })
    }
  }

  async install(snapshot: Snapshot): Promise<boolean> {
    if (!(await this.#checkpoints.install(snapshot))) return false
    this.#noting?.cancel()
    this.#noting = undefined
    await this.#quorumState.lowerLogEnd(0)
    await this.log.truncateFullyAndStartAt(snapshot.endOffset)
    return true
  }

  dropBefore(startOffset: number): void {
    const { log } = this
    log.advanceLogStart(startOffset)
    const work = log.maintain(this.#clock.nowMs(), startOffset)
    // A log that failed says so itself at its next sync.
    work.catch((error: unknown) => {
      if (!(error instanceof StorageError)) throw error
    })
  }
}

/** A log that does not reach the snapshot starts again behind it; one that lost records is refused. */
async function checkLog(
  log: PartitionLog,
  quorumState: QuorumState,
  snapshot: Snapshot | undefined,
): Promise<void> {
  const covered = snapshot?.endOffset ?? 0
  // Behind what is known to have been durable, it is what a power loss left of the last write.
  const hurt = log.damage[0]?.fromOffset
  if (hurt !== undefined && hurt < quorumState.logEnd) {
    throw new CorruptionError(log.directory, `records from offset ${hurt} on are damaged`)
  }
  if (hurt !== undefined) await log.truncateTo(hurt)
  if (log.logEndOffset < quorumState.logEnd) {
    const lost = `it ends at ${log.logEndOffset}, and reached ${quorumState.logEnd}`
    throw new CorruptionError(log.directory, lost)
  }
  if (log.logStartOffset > covered) {
    throw new CorruptionError(log.directory, 'no snapshot covers what is before its start')
  }
  if (log.logEndOffset < covered) await log.truncateFullyAndStartAt(covered)
}

/** `data` is kept. */
export function entryOf(data: Buffer): Entry {
  const kind = kindOf(data)
  return {
    baseOffset: baseOffsetAt(data, 0),
    count: lastOffsetDeltaAt(data, 0) + 1,
    term: leaderEpochAt(data, 0),
    kind,
    data,
  }
}

function kindOf(data: Buffer): EntryKind {
  if (!isControlAt(data, 0)) return 'normal'
  for (const { key, value } of decodeBatch(data, 0, data.length)) {
    const { type } = readControlRecord(key, value)
    if (type === CONTROL_LEADER_CHANGE) return 'leader'
    if (type === CONTROL_KRAFT_VOTERS) return 'membership'
  }
  throw new CorruptionError(METADATA_LOG, 'a control batch of an unknown kind')
}

function membershipOf(data: Buffer) {
  for (const { key, value } of decodeBatch(data, 0, data.length)) {
    const { membership } = readControlRecord(key, value)
    if (membership !== undefined) return membership
  }
  return undefined
}

/** Space and handles may come back; what the device has broken does not. */
function isPassing(error: unknown): error is StorageError {
  return error instanceof StorageError && (error.code === 'ENOSPC' || error.code === 'EMFILE')
}
