/**
 * What can be made again from the records: indexes, the state of producers, leader epochs. Damaged
 * batches are passed over.
 */
import { assert } from '../base/assert.ts'
import { leaderEpochAt, maxTimestampAt } from './format.ts'
import type { LogState } from './log-state.ts'
import { encodeSnapshot } from './producer-snapshot.ts'
import { Producers } from './producers.ts'
import { replayBatch } from './replay.ts'
import { scanIntact } from './scan.ts'
import { Found, type Segment } from './segment.ts'
import {
  loadSnapshot,
  removeIndexes,
  snapshotOffsets,
  snapshotPath,
  syncFile,
} from './segment-files.ts'
import { forgetIndexes } from './segment-indexes.ts'
import { allOf } from './slots.ts'
import type { AbortedEntry } from './transactions.ts'

/** From the records: when the checkpoint can't be believed. */
export async function rebuildEpochs(state: LogState): Promise<void> {
  const { parts, epochs } = state
  parts.probe.rebuiltCheckpoints++
  parts.logger.warn('The leader epochs were read again from the records.', state.fields())
  epochs.clear()
  const first = state.segmentIndexOf(state.logStartOffset)
  for (const segment of state.segments.slice(first)) {
    await scanIntact(segment, 0, (buffer, at, _end, _position, baseOffset) => {
      epochs.assign(leaderEpochAt(buffer, at), baseOffset)
    })
  }
  epochs.truncateFromStart(state.logStartOffset)
}

/** Offset, time and transaction index of a closed segment, from its records. */
export async function rebuildSegment(state: LogState, segment: Segment): Promise<void> {
  assert(segment.isSealed, 'the active segment has its indexes in memory')
  const { parts } = state
  parts.probe.rebuiltIndexes++
  parts.logger.warn('The indexes of a segment were made again from its records.', {
    ...state.fields(),
    baseOffset: segment.baseOffset,
  })
  const producers = await producersAt(state, segment.baseOffset)
  const { nextOffset } = segment
  await removeIndexes(state, segment)
  forgetIndexes(segment)
  segment.saved.aborted = 0
  segment.saved.abortedCrc = 0
  segment.hasGaps = false
  const aborted: AbortedEntry[] = []
  let expected = segment.baseOffset
  await scanIntact(segment, 0, (buffer, at, end, position, base, last) => {
    const interval = state.config.indexIntervalBytes
    segment.note(position, end - at, last, maxTimestampAt(buffer, at), interval)
    segment.nextOffset = nextOffset
    if (base > expected) segment.hasGaps = true
    expected = last + 1
    const entry = replayBatch(producers, buffer, at, end, base, parts.clock.nowMs())
    if (entry !== undefined) aborted.push(entry)
  })
  segment.aborted = aborted
  segment.noteTimeAtClose()
  segment.areIndexesDurable = false
  segment.needsRebuild = true
  segment.saveIndexes()
  segment.needsRebuild = false
}

/**
 * The state of producers before `offset`: from the newest snapshot that holds, and the records
 * since.
 */
export async function producersAt(
  state: LogState,
  offset: number,
  producers = new Producers(),
  snapshots: readonly number[] = snapshotOffsets(state),
): Promise<Producers> {
  const nowMs = state.parts.clock.nowMs()
  let from = state.segments[0]!.baseOffset
  for (const snapshot of snapshots.toReversed()) {
    if (snapshot > offset || snapshot < from) continue
    if (!loadSnapshot(state, snapshot, producers)) continue
    from = snapshot
    break
  }
  const found = new Found()
  for (let i = state.segmentIndexOf(from); i < state.segments.length; i++) {
    const segment = state.segments[i]!
    if (segment.baseOffset >= offset || from >= offset) break
    let position = 0
    if (from > segment.baseOffset) {
      segment.find(from, found)
      if (found.outcome !== 'batch') continue
      position = found.position
    }
    await scanIntact(segment, position, (buffer, at, end, _position, base) => {
      if (base >= from && base < offset) replayBatch(producers, buffer, at, end, base, nowMs)
    })
  }
  assert(from <= offset || state.segments[0]!.baseOffset > offset, 'a snapshot is not from later')
  return producers
}

/** After batches that producers were told of did not reach the log. */
export async function rebuildProducers(state: LogState): Promise<void> {
  state.producers.clear()
  await producersAt(state, state.writtenOffset, state.producers)
}

/**
 * Before segments go: what only they say of producers is in a durable snapshot at each base that
 * the log may begin at when a crash interrupts that.
 */
export async function ensureSnapshots(state: LogState, bases: readonly number[]): Promise<void> {
  const ensure = async (offset: number) => {
    const isRight = loadSnapshot(state, offset, new Producers())
    if (isRight) await syncFile(state, snapshotPath(state, offset))
    else await makeSnapshot(state, offset)
  }
  await allOf(bases.map((offset) => state.shared.upkeepSyncs.run(() => ensure(offset))))
  await state.syncNames()
}

/** A durable snapshot of the producers before `offset`. */
export async function makeSnapshot(state: LogState, offset: number): Promise<void> {
  const producers = await producersAt(state, offset)
  await state.parts.disk.replaceFile(snapshotPath(state, offset), encodeSnapshot(producers))
}
