/**
 * Cutting the end of a log: a follower's, when a new leader's log differs.
 *
 * Invariant: the recovery point is lowered durably before anything is removed, and what was removed
 * is gone durably before the log is written again. Else a crash could mix old and new records.
 */
import { assert } from '../base/assert.ts'
import type { LogState } from './log-state.ts'
import { rebuildProducers } from './rebuild.ts'
import { Found, type Segment } from './segment.ts'
import {
  makeFile,
  makeGapsDurable,
  removeIfThere,
  removeIndexes,
  removeSegment,
  saveEpochs,
  snapshotOffsets,
  snapshotPath,
} from './segment-files.ts'
import { forgetSaved } from './segment-indexes.ts'

/** Under the log's lock, with nothing gathered. */
export async function truncateLog(state: LogState, offset: number): Promise<void> {
  // Retention may have passed by while this waited for the lock.
  if (offset < state.segments[0]!.baseOffset) return truncateFully(state, offset)
  const { logger } = state.parts
  const found = new Found()
  const i = state.segmentIndexOf(offset)
  const segment = state.segments[i]!
  segment.load()
  segment.find(offset, found)
  // Behind the last batch of a segment, or in damaged bytes: from there on.
  const position = found.outcome === 'beyond' ? segment.writtenBytes : found.position
  const endOffset = found.endBefore
  assert(endOffset <= offset, 'a truncation keeps nothing behind its offset')
  logger.info('A log is truncated.', { ...state.fields(), offset: endOffset })
  await lowerCheckpoints(state, endOffset)
  state.logEndOffset = state.writtenOffset = endOffset // readers go no further from now on
  for (const later of state.segments.splice(i + 1).reverse()) await removeSegment(state, later)
  await removeSnapshots(state, endOffset)
  await removeIndexes(state, segment)
  await state.syncNames()
  if (position < segment.writtenBytes) {
    const file = segment.file.pin()
    try {
      await file.truncate(position)
      await file.sync()
    } finally {
      segment.file.unpin()
    }
  }
  shorten(segment, position, endOffset)
  if (segment.hasGaps && !segment.isEmpty) {
    await makeGapsDurable(state, segment)
    await state.syncNames()
  }
  await settle(state, endOffset)
}

/** The segment is active again, and its indexes are written as a whole next time. */
function shorten(segment: Segment, position: number, endOffset: number): void {
  const index = segment.index!
  const time = segment.timeIndex!
  index.truncate(position === 0 ? 0 : index.floorOfPosition(position - 1) + 1)
  time.truncateAbove(endOffset - 1 - segment.baseOffset)
  segment.writtenBytes = segment.sizeBytes = position
  segment.syncedBytes = Math.min(segment.syncedBytes, position)
  segment.nextOffset = endOffset
  segment.isSealed = false
  segment.cuts++
  segment.aborted = segment.aborted?.filter(({ lastOffset }) => lastOffset < endOffset) ?? []
  forgetSaved(segment)
  segment.recountFromIndex()
}

/**
 * Empties the log, which goes on at `offset`. Under the log's lock. For readers it is empty at
 * once: there is a segment at any moment.
 */
export async function truncateFully(state: LogState, offset: number): Promise<void> {
  assert(Number.isSafeInteger(offset) && offset >= 0)
  const { logger, clock } = state.parts
  logger.info('A log is emptied.', { ...state.fields(), offset })
  await lowerCheckpoints(state, 0)
  const old = state.segments
  const fresh = state.newSegment(offset)
  fresh.startEmpty(clock.nowMs())
  state.segments = [fresh]
  state.logStartOffset = state.logEndOffset = state.writtenOffset = state.syncedOffset = offset
  state.damage = []
  state.epochs.clear()
  // The oldest first: a start after a crash drops what has no predecessors, so all is there or
  // nothing. Where nobody keeps checkpoints it can't know, and finds the beginning of the log.
  const order = state.shared.checkpoints === undefined ? old.toReversed() : old
  for (const [i, segment] of order.entries()) {
    await removeSegment(state, segment)
    if (i === 0) await state.syncNames()
  }
  await removeSnapshots(state, -1)
  await state.syncNames()
  makeFile(state, fresh)
  await state.syncNames()
  await settle(state, offset)
  await state.shared.checkpoints?.restart(state.directory, offset)
  state.savedRecoveryPoint = state.savedLogStart = offset
}

async function lowerCheckpoints(state: LogState, offset: number): Promise<void> {
  await state.shared.checkpoints?.lower(state.directory, offset)
  // Only now: a checkpoint that was on its way may have raised it meanwhile.
  state.savedRecoveryPoint = Math.min(state.savedRecoveryPoint, offset)
  state.savedLogStart = Math.min(state.savedLogStart, offset)
}

async function settle(state: LogState, endOffset: number): Promise<void> {
  state.logEndOffset = state.writtenOffset = endOffset
  state.logStartOffset = Math.min(state.logStartOffset, endOffset) // it may lie within a batch
  state.syncedOffset = Math.min(state.syncedOffset, endOffset)
  state.damage = state.damage.filter(({ fromOffset }) => fromOffset < endOffset)
  state.epochs.truncateFromEnd(endOffset)
  await saveEpochs(state)
  await rebuildProducers(state)
}

async function removeSnapshots(state: LogState, above: number): Promise<void> {
  for (const offset of snapshotOffsets(state)) {
    if (offset > above) await removeIfThere(state, snapshotPath(state, offset))
  }
  if (state.snapshotOffset > above) state.snapshotOffset = -1
}
