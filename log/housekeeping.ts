/**
 * What is done to one log in the background: retention, rolls by time, the files beside its
 * records, removal of files that were set aside.
 *
 * Invariants: everything here runs under the log's lock, one at a time, and touches no bytes that a
 * sync may be about. A segment goes only when a start after a crash would not miss it: its
 * successor's name and the state of producers there are durable, and the recovery point has passed
 * it. A pass ends early when somebody waits for the lock to change the log's end or to close it.
 */
import { assert } from '../base/assert.ts'
import type { Timer } from '../base/clock.ts'
import { StorageError } from '../base/errors.ts'
import type { Appender } from './appender.ts'
import { setAside, syncIndexes } from './compaction.ts'
import type { LogState } from './log-state.ts'
import { encodeSnapshot } from './producer-snapshot.ts'
import { ensureSnapshots, rebuildSegment } from './rebuild.ts'
import { expiredSegments, rollAfterMs } from './retention.ts'
import type { Segment } from './segment.ts'
import { removeIfThere, saveEpochs, snapshotOffsets, snapshotPath } from './segment-files.ts'
import { allOf } from './slots.ts'

/** A snapshot of the producers saves a start from reading more than this. */
const SNAPSHOT_BYTES = 16_777_216
/** What is made durable together, between two looks at who waits. */
const GROUP_SEGMENTS = 16

export class Housekeeping {
  readonly #state: LogState
  readonly #appender: () => Appender
  readonly #isAwaited: () => boolean
  #bytesAtSnapshot = 0
  #isStopped = false
  /** All is to be saved, whoever waits. */
  #isLast = false
  /** By path. Most logs have none. */
  #removals: Map<string, Timer> | undefined = undefined

  /** `isAwaited`: somebody waits for what is under way to end soon. */
  constructor(state: LogState, appender: () => Appender, isAwaited: () => boolean) {
    this.#state = state
    this.#appender = appender
    this.#isAwaited = isAwaited
  }

  #mustEnd(): boolean {
    return this.#isStopped || (!this.#isLast && this.#isAwaited())
  }

  /** The active segment, when its first record is too old. Throws StorageError. */
  rollIfOld(nowMs: number): void {
    const { active, config, topic } = this.#state
    if (active.isEmpty) return
    const firstMs = active.firstTimestampMs >= 0 ? active.firstTimestampMs : active.createdMs
    if (nowMs - firstMs <= rollAfterMs(config, topic, active.baseOffset)) return
    this.#appender().roll(nowMs)
  }

  /** Rejects with StorageError. */
  async retain(nowMs: number, highWatermark: number): Promise<void> {
    const state = this.#state
    const count = this.#expired(nowMs, highWatermark)
    if (count === 0) return
    if (count < state.segments.length) return this.#drop(count)
    // The closed ones first: on a full disk that makes the room for a roll.
    if (count > 1) {
      await this.#drop(count - 1)
      // What was appended meanwhile is in the active one.
      const isStill = this.#expired(nowMs, highWatermark) === state.segments.length
      if (this.#mustEnd() || !isStill) return
    }
    this.#appender().roll(nowMs)
    // The new segment says where the log goes on: its name must last before the old one goes.
    await state.syncNames()
    await this.#drop(1)
  }

  async #drop(count: number): Promise<void> {
    const state = this.#state
    for (let left = count; left > 0 && !this.#mustEnd(); left -= GROUP_SEGMENTS) {
      const group = state.segments.slice(1, Math.min(left, GROUP_SEGMENTS) + 1)
      const bases = group.map(({ baseOffset }) => baseOffset)
      await ensureSnapshots(state, bases)
      for (let i = 0; i < bases.length && !this.#mustEnd(); i++) await this.#dropOldest()
    }
    const least = state.segments[0]!.baseOffset
    for (const offset of snapshotOffsets(state)) {
      if (offset < least) await removeIfThere(state, snapshotPath(state, offset))
    }
  }

  #expired(nowMs: number, highWatermark: number): number {
    const { segments, config, logStartOffset, savedRecoveryPoint } = this.#state
    const isNew = (segment: Segment) => segment.isEmpty && !segment.isSealed
    const facts = segments.map((segment) => ({
      baseOffset: segment.baseOffset,
      nextOffset: segment.nextOffset,
      sizeBytes: segment.sizeBytes,
      largestTimestampMs: isNew(segment) ? nowMs : segment.largestTimestampMs(),
    }))
    // Only what a start would not miss: see dropUnfounded in recovery.ts.
    const limit = Math.min(highWatermark, savedRecoveryPoint)
    return expiredSegments(facts, config, { nowMs, highWatermark: limit, logStartOffset })
  }

  /** One at a time, each durable before the next: a crash leaves no hole. */
  async #dropOldest(): Promise<void> {
    const state = this.#state
    assert(state.segments.length > 1, 'the active segment stays')
    const segment = state.segments.shift()!
    const { baseOffset } = state.segments[0]!
    if (baseOffset > state.logStartOffset) {
      state.logStartOffset = baseOffset
      state.epochs.truncateFromStart(baseOffset)
    }
    state.syncedOffset = Math.max(state.syncedOffset, baseOffset)
    await setAside(state, segment, this.removeLater)
    state.parts.probe.deletedSegments++
  }

  /** Indexes that readers found wrong. */
  async rebuildIndexes(): Promise<void> {
    for (const segment of [...this.#state.segments]) {
      if (this.#mustEnd()) return
      if (!isRebuildable(segment)) continue
      await rebuildSegment(this.#state, segment)
    }
  }

  isRebuildDue(): boolean {
    return this.#state.segments.some(({ needsRebuild, isSealed }) => needsRebuild && isSealed)
  }

  /** Whether `checkpoint` would find something to save: most logs of a node have nothing. */
  isCheckpointDue(): boolean {
    const { epochs, segments, active } = this.#state
    if (epochs.unsavedFrom !== undefined) return true
    if (segments.length === 1 && active.sizeBytes < SNAPSHOT_BYTES) return false
    return true
  }

  /** Saves what stands beside the records. Rejects with StorageError. */
  async checkpoint(snapshotBytes = SNAPSHOT_BYTES): Promise<void> {
    const state = this.#state
    await saveEpochs(state)
    const unsaved = state.segments.filter((segment) => {
      return segment.isSealed && !segment.areIndexesDurable && !segment.needsRebuild
    })
    for (let at = 0; at < unsaved.length; at += GROUP_SEGMENTS) {
      if (this.#mustEnd()) return
      const group = unsaved.slice(at, at + GROUP_SEGMENTS)
      await allOf(group.map((segment) => syncIndexes(state, segment)))
      await state.syncNames()
      for (const segment of group) segment.areIndexesDurable = true
    }
    const { active } = state
    const isSaved = active.isEmpty || active.writtenBytes !== active.sizeBytes
    if (isSaved || !active.isIndexLoaded()) return
    const size = state.sizeBytes()
    if (Math.abs(size - this.#bytesAtSnapshot) < snapshotBytes) return
    this.#bytesAtSnapshot = size
    active.saveIndexes()
    await this.#saveProducers()
  }

  async #saveProducers(): Promise<void> {
    const state = this.#state
    const offset = state.logEndOffset
    if (state.snapshotOffset === offset) return
    const before = state.snapshotOffset
    const bytes = encodeSnapshot(state.producers)
    assert(state.writtenOffset === offset, 'a snapshot is of written records')
    await state.parts.disk.replaceFile(snapshotPath(state, offset), bytes)
    state.snapshotOffset = offset
    const isOfSegment = state.segments.some(({ baseOffset }) => baseOffset === before)
    if (before >= 0 && !isOfSegment) await removeIfThere(state, snapshotPath(state, before))
  }

  /** All that a quick start needs, of a log that is written and synced. */
  async saveAll(): Promise<void> {
    const state = this.#state
    this.#isLast = true
    const { active } = state
    if (!active.isEmpty && active.isIndexLoaded()) {
      active.noteTimeAtClose()
      active.saveIndexes()
    }
    await this.rebuildIndexes() // after an orderly stop nobody looks whether they are right
    await this.checkpoint(Number.POSITIVE_INFINITY)
    if (state.logEndOffset > 0) await this.#saveProducers()
  }

  /** Readers and tools may still have the file open for a while. */
  readonly removeLater = (path: string): void => {
    if (this.#isStopped) return // a start removes it
    const { clock, disk } = this.#state.parts
    const timer = clock.after(this.#state.config.fileDeleteDelayMs, () => {
      this.#removals?.delete(path)
      disk.remove(path).catch((error: unknown) => {
        if (!(error instanceof StorageError)) throw error // a start removes it
      })
    })
    this.#removals ??= new Map()
    this.#removals.get(path)?.cancel() // the name was used before, for a file that this one replaced
    this.#removals.set(path, timer)
  }

  stop(): void {
    this.#isStopped = true
    for (const timer of this.#removals?.values() ?? []) timer.cancel()
  }

  /** What was to be removed later, now. After `stop`. */
  async removeNow(): Promise<void> {
    assert(this.#isStopped, 'no more is set aside')
    const paths = [...(this.#removals?.keys() ?? [])]
    this.#removals = undefined
    await Promise.all(paths.map((path) => removeIfThere(this.#state, path)))
  }
}

/** What is not durable yet is the syncer's: whether it has gaps must be known to it. */
function isRebuildable(segment: Segment): boolean {
  const { needsRebuild, isSealed, isGone, syncedBytes, writtenBytes } = segment
  return needsRebuild && isSealed && !isGone && syncedBytes >= writtenBytes
}
