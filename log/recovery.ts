/**
 * Opens a log: from what a clean stop left, or, after a crash, by scanning from the recovery point.
 *
 * Invariants: nothing below the recovery point is cut; behind it the log ends before the first
 * batch that is not whole, right and next in order; when the log is open, all of it is durable.
 */
import { assert } from '../base/assert.ts'
import { StorageError } from '../base/errors.ts'
import { LEADER_EPOCHS, readChecked } from './checkpoints.ts'
import { isDoubtful, noteDoubt } from './doubt.ts'
import { LogShared } from './files.ts'
import { type LogOptions, LogState, type NewLogOptions } from './log-state.ts'
import { rebuildEpochs, rebuildSegment } from './rebuild.ts'
import { recoverTail } from './recovery-scan.ts'
import type { Segment } from './segment.ts'
import {
  isFull,
  loadSnapshot,
  makeFile,
  parentOf,
  removeIfThere,
  removeSegment,
  sayFull,
} from './segment-files.ts'
import { forgetIndexes, loadSaved, readSums } from './segment-indexes.ts'
import { finishSwaps } from './swap.ts'

const NAME = /^(\d{20})\.(log|snapshot|index|timeindex|txnindex|sums)$/

export interface Listing {
  readonly segmentBases: number[]
  readonly snapshots: number[]
  /** Bases that have sums. */
  readonly summed: Set<number>
  readonly orphans: string[]
}

/** Throws StorageError, also when it would mean to lose what was durable: no file is open then. */
export async function openState(options: LogOptions): Promise<LogState> {
  const { disk, probe } = options.parts
  const shared = options.parts.shared ?? new LogShared(disk, probe)
  const state = new LogState(options, shared)
  try {
    await open(state, options)
    return state
  } catch (error) {
    state.release()
    throw error
  }
}

async function open(state: LogState, options: LogOptions): Promise<void> {
  const { probe, clock } = options.parts
  state.savedRecoveryPoint = Math.max(0, options.recoveryPoint)
  state.savedLogStart = options.logStartOffset
  let names = await listNames(state)
  if (await finishSwaps(state, names)) names = await listNames(state)
  const listing = sortNames(names)
  for (const name of listing.orphans) await removeIfThere(state, `${state.directory}/${name}`)
  if (state.isDirectoryDirty) await state.syncNames()
  makeSegments(state, listing, options)
  await dropUnfounded(state, options)
  loadEpochs(state)
  if (options.isCleanShutdown && !isDoubtful(state) && openClean(state, listing, options)) {
    state.syncedOffset = state.logEndOffset
  } else {
    const startedMs = clock.monotonicMs()
    try {
      await recoverTail(state, options, listing)
    } catch (error) {
      if (error instanceof StorageError) noteDoubt(state)
      throw error
    }
    probe.recoveredLogs++
    probe.recoverySeconds.observe((clock.monotonicMs() - startedMs) / 1000)
  }
  state.writtenOffset = state.logEndOffset
  if (state.logStartOffset > state.logEndOffset) await startOver(state)
  await rebuildMissing(state, listing)
  if (!areEpochsIntact(state)) await rebuildEpochs(state)
  state.epochs.truncateFromStart(state.logStartOffset)
  state.checkOrder()
  assert(state.syncedOffset === state.logEndOffset, 'an open log is durable')
}

/** Looks at no file: there is none. The first sync makes all of it durable. */
export function newState(options: NewLogOptions): LogState {
  const { disk, probe, clock } = options.parts
  const state = new LogState(options, options.parts.shared ?? new LogShared(disk, probe))
  const first = state.newSegment(0)
  first.startEmpty(clock.nowMs())
  state.segments.push(first)
  state.makeDurable = () => options.makeDurable()
  state.isDirectoryDirty = true
  state.checkOrder()
  return state
}

/** Makes the directory when it is missing. */
async function listNames(state: LogState): Promise<string[]> {
  const { disk } = state.parts
  try {
    return disk.list(state.directory).map(({ name }) => name)
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== 'ENOENT') throw error
    disk.makeDirectory(state.directory)
    await disk.syncDirectory(parentOf(state.directory))
    return []
  }
}

function sortNames(names: readonly string[]): Listing {
  const segmentBases: number[] = []
  const snapshots: number[] = []
  const summed = new Set<number>()
  const indexNames: [number, string][] = []
  for (const name of names) {
    const match = NAME.exec(name)
    if (match === null) continue
    const offset = Number(match[1])
    if (!Number.isSafeInteger(offset)) continue
    if (match[2] === 'log') segmentBases.push(offset)
    else if (match[2] === 'snapshot') snapshots.push(offset)
    else indexNames.push([offset, name])
    if (match[2] === 'sums') summed.add(offset)
  }
  segmentBases.sort((a, b) => a - b)
  snapshots.sort((a, b) => a - b)
  const bases = new Set(segmentBases)
  const orphans = indexNames.filter(([base]) => !bases.has(base)).map(([, name]) => name)
  return { segmentBases, snapshots, summed, orphans }
}

function makeSegments(state: LogState, listing: Listing, options: LogOptions): void {
  const { disk, clock } = state.parts
  for (const baseOffset of listing.segmentBases) {
    const segment = state.newSegment(baseOffset)
    segment.createdMs = clock.nowMs()
    segment.writtenBytes = disk.sizeOf(segment.file.path)
    segment.sizeBytes = segment.writtenBytes
    segment.syncedBytes = segment.writtenBytes
    const before = state.segments.at(-1)
    if (before !== undefined) {
      before.nextOffset = baseOffset
      before.isSealed = true
      before.areIndexesDurable = true
    }
    state.segments.push(segment)
  }
  if (state.segments.length === 0) {
    const first = state.newSegment(Math.max(0, options.logStartOffset))
    first.startEmpty(clock.nowMs())
    state.segments.push(first)
    if (first.baseOffset > 0) makeFile(state, first)
  }
  state.logStartOffset = Math.max(options.logStartOffset, state.segments[0]!.baseOffset)
}

/**
 * Retention goes no further than the recovery point. So segments that begin behind it, and behind
 * the start of the log, are what a power loss left of a log that had not been synced: their
 * predecessors are gone. Says nothing of a log whose checkpoints nobody keeps.
 */
async function dropUnfounded(state: LogState, options: LogOptions): Promise<void> {
  const first = state.segments[0]!
  const least = options.logStartOffset
  if (state.shared.checkpoints === undefined || options.recoveryPoint < 0) return
  if (options.recoveryPoint > least || first.baseOffset <= least) return
  const { clock, logger } = state.parts
  logger.info('Records without predecessors were dropped after a crash.', {
    ...state.fields(),
    baseOffset: first.baseOffset,
  })
  for (const segment of state.segments.splice(0).reverse()) await removeSegment(state, segment)
  await state.syncNames()
  const fresh = state.newSegment(least)
  fresh.startEmpty(clock.nowMs())
  if (least > 0) makeFile(state, fresh)
  state.segments.push(fresh)
  state.logStartOffset = least
}

/** True when the files of a clean stop say all that is to be known; nothing was changed if not. */
function openClean(state: LogState, listing: Listing, options: LogOptions): boolean {
  const { active } = state
  const { disk, clock } = state.parts
  let endOffset = active.baseOffset
  if (active.writtenBytes === 0) {
    active.startEmpty(clock.nowMs())
  } else {
    // Ten thousand idle logs: the indexes come with the first reader or append.
    const sums = readSums(active, disk)
    if (sums === undefined || sums.logBytes !== active.writtenBytes) return reset(active)
    if (sums.abortedBytes > 0) loadSaved(active, disk)
    else active.aborted = []
    if (active.aborted === undefined) return reset(active)
    active.maxTimestampMs = sums.maxTimestampMs
    active.maxTimestampOffset = sums.maxTimestampOffset
    active.hasGaps = sums.gaps === 1
    endOffset = sums.nextOffset
    active.nextOffset = endOffset
    if (active.isIndexLoaded()) active.countSinceLastEntry()
  }
  if (endOffset < options.recoveryPoint) return reset(active)
  active.nextOffset = endOffset
  const newest = listing.snapshots.at(-1)
  const isKnown = newest === endOffset && loadSnapshot(state, newest)
  if (!isKnown && endOffset > 0) return reset(active)
  state.logEndOffset = endOffset
  state.isDirectoryDirty = true // a name may be newer than the last sync of the directory
  state.snapshotOffset = isKnown ? endOffset : -1
  return true
}

function reset(active: Segment): false {
  forgetIndexes(active)
  active.aborted = undefined
  return false
}

function loadEpochs(state: LogState): void {
  const stored = readChecked(state.parts.disk, `${state.directory}/${LEADER_EPOCHS}`)
  if (stored === undefined || !stored.isIntact || !state.epochs.decode(stored.text)) {
    state.epochs.clear()
  }
  state.epochs.markSaved()
}

/** Every record has an epoch, so a log with records has an entry at its start or before. */
function areEpochsIntact(state: LogState): boolean {
  const { epochs, logStartOffset, logEndOffset } = state
  if (logStartOffset === logEndOffset) return true
  const first = epochs.entries[0]
  return first !== undefined && first.startOffset <= logStartOffset
}

/** The start moved past all that survived: nothing of the log is left, it goes on from there. */
async function startOver(state: LogState): Promise<void> {
  const { logger, clock } = state.parts
  logger.warn('No record is left behind the start of the log; it begins anew there.', {
    ...state.fields(),
    logStartOffset: state.logStartOffset,
    logEndOffset: state.logEndOffset,
  })
  const old = state.segments
  const fresh = state.newSegment(state.logStartOffset)
  fresh.startEmpty(clock.nowMs())
  makeFile(state, fresh)
  await state.syncNames()
  for (const segment of old) await removeSegment(state, segment)
  await state.syncNames()
  state.segments = [fresh]
  state.producers.clear()
  state.epochs.clear()
  state.logEndOffset = state.logStartOffset
  state.writtenOffset = state.logStartOffset
  state.syncedOffset = state.logStartOffset
}

/**
 * Closed segments without sums: of another program, or of a crash. Their indexes are made again.
 */
async function rebuildMissing(state: LogState, listing: Listing): Promise<void> {
  for (const segment of state.segments) {
    if (!segment.isSealed || listing.summed.has(segment.baseOffset)) continue
    if (segment.isIndexLoaded() && segment.aborted !== undefined) continue
    try {
      await rebuildSegment(state, segment)
    } catch (error) {
      // Only the files are missing: maintenance makes them.
      const isKept = segment.isIndexLoaded() && segment.needsRebuild
      const areGapsLost = segment.hasGaps && !segment.areGapsSaid
      if (!isFull(error) || !isKept || areGapsLost) throw error
      sayFull(state, error)
    }
  }
}
