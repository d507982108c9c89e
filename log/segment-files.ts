/** The files of a log by name: made, removed, and the snapshot files of its producers. */
import { assert } from '../base/assert.ts'
import { StorageError } from '../base/errors.ts'
import { LEADER_EPOCHS, readIfThere, writeChecked } from './checkpoints.ts'
import type { LogState } from './log-state.ts'
import { decodeSnapshot, encodeSnapshot } from './producer-snapshot.ts'
import type { Producers } from './producers.ts'
import { LOG_SUFFIX, type Segment, segmentName } from './segment.ts'
import { forgetSums, INDEX_SUFFIXES, SUMS_SUFFIX, saveGaps } from './segment-indexes.ts'

export const SNAPSHOT_SUFFIX = '.snapshot'

export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash <= 0 ? '.' : path.slice(0, slash)
}

/** An empty segment that says where the log goes on. Its name is durable after the next sync. */
export function makeFile(state: LogState, segment: Segment): void {
  segment.file.mode = 'write'
  segment.file.use()
  state.isDirectoryDirty = true
}

export function snapshotPath(state: LogState, offset: number): string {
  return `${state.directory}/${segmentName(offset)}${SNAPSHOT_SUFFIX}`
}

/** True when the producers are now as they were before `offset`. */
export function loadSnapshot(
  state: LogState,
  offset: number,
  producers: Producers = state.producers,
): boolean {
  const bytes = readIfThere(state.parts.disk, snapshotPath(state, offset))
  producers.clear()
  if (bytes === undefined) return false
  if (decodeSnapshot(bytes, producers, state.parts.clock.nowMs())) return true
  state.parts.probe.rebuiltSnapshots++
  state.parts.logger.warn('A producer snapshot is damaged; an older one is used.', {
    ...state.fields(),
    offset,
  })
  return false
}

/** Removes the files of a segment at once. The caller syncs their names. */
export async function removeSegment(state: LogState, segment: Segment): Promise<void> {
  segment.isGone = true
  segment.file.isDirty = false
  segment.file.close()
  const { disk } = state.parts
  for (const suffix of [LOG_SUFFIX, ...INDEX_SUFFIXES]) {
    await removeIfThere(state, segment.stem + suffix)
  }
  assert(!disk.exists(segment.stem + LOG_SUFFIX), 'a removed file is gone')
}

/** Of a segment that stays. That it has gaps must not be forgotten for a moment. */
export async function removeIndexes(state: LogState, segment: Segment): Promise<void> {
  const { disk } = state.parts
  const keepsSums = segment.hasGaps && disk.exists(segment.stem + SUMS_SUFFIX)
  if (keepsSums) forgetSums(segment, disk)
  for (const suffix of INDEX_SUFFIXES) {
    if (suffix !== SUMS_SUFFIX || !keepsSums) await removeIfThere(state, segment.stem + suffix)
  }
  segment.areGapsSaid = keepsSums
  segment.areGapsDurable = false
}

export async function removeIfThere(state: LogState, path: string): Promise<void> {
  if (!state.parts.disk.exists(path)) return
  try {
    await state.parts.disk.remove(path)
    state.isDirectoryDirty = true
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== 'ENOENT') throw error
  }
}

/** Makes durable what a file holds, when it exists. Its name is another matter. */
export async function syncFile(state: LogState, path: string): Promise<void> {
  const { disk } = state.parts
  if (!disk.exists(path)) return
  const file = disk.open(path, 'write')
  try {
    await file.sync()
  } finally {
    file.close()
  }
}

/**
 * Before records behind a gap count as durable: a start would take the gap for the end of the log.
 * The caller syncs the names, which may begin at once.
 */
export async function makeGapsDurable(state: LogState, segment: Segment): Promise<void> {
  saveGaps(segment, state.parts.disk)
  state.isDirectoryDirty = true
  await syncFile(state, segment.stem + SUMS_SUFFIX)
  segment.areGapsDurable = true
}

/** Offsets of the snapshot files, rising. */
export function snapshotOffsets(state: LogState): number[] {
  const offsets: number[] = []
  for (const { name } of state.parts.disk.list(state.directory)) {
    const match = /^(\d{20})\.snapshot$/.exec(name)
    if (match !== null && Number.isSafeInteger(Number(match[1]))) offsets.push(Number(match[1]))
  }
  return offsets.sort((a, b) => a - b)
}

export function isFull(error: unknown): error is StorageError {
  return error instanceof StorageError && error.code === 'ENOSPC'
}

/** A start goes on all the same. */
export function sayFull(state: LogState, error: StorageError): void {
  const message = 'A log is opened on a full disk: what stands beside its records is made later.'
  state.parts.logger.warn(message, { ...state.fields(), error: error.message })
}

/**
 * While a log is opened: indexes in memory serve as well as those in files. Where a full disk does
 * not take them, maintenance makes them again. Throws other StorageErrors.
 */
export function saveLater(state: LogState, segment: Segment, save: () => void): void {
  try {
    save()
  } catch (error) {
    if (!isFull(error)) throw error
    sayFull(state, error)
    assert(segment.isIndexLoaded(), 'the indexes are in memory')
    segment.needsRebuild = true
    segment.areIndexesDurable = false
  }
}

/** The producers as they are before `offset`; not synced. Throws StorageError. */
export function writeSnapshot(state: LogState, offset: number): void {
  const { disk } = state.parts
  const path = snapshotPath(state, offset)
  const bytes = encodeSnapshot(state.producers)
  // What a full disk left there may be longer.
  if (disk.exists(path)) disk.rename(path, `${path}.deleted`)
  const file = disk.open(path, 'write')
  try {
    file.write(bytes, 0, bytes.length, 0)
  } finally {
    file.close()
  }
  state.isDirectoryDirty = true
}

/** The leader epochs, when the file lacks some. Under the log's lock. Rejects with StorageError. */
export async function saveEpochs(state: LogState): Promise<void> {
  const { epochs, directory, parts } = state
  if (epochs.unsavedFrom === undefined) return
  const text = epochs.beginSave()
  let isSaved = false
  try {
    await writeChecked(parts.disk, `${directory}/${LEADER_EPOCHS}`, text)
    isSaved = true
  } finally {
    epochs.endSave(isSaved)
  }
}
