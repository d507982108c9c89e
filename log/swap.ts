/**
 * The names that a log passes through while files are replaced or removed, and what a start makes
 * of those that a crash left. `.cleaned`: unfinished, removed. `.swap`: finished, moved to its
 * place, and what it covers is removed. `.deleted`: removed.
 *
 * Invariant: each step is durable before the next begins, so that a crash leaves the old segments
 * or the new one, never a mixture.
 */
import { assert } from '../base/assert.ts'
import type { LogState } from './log-state.ts'
import { scanIntact } from './scan.ts'
import { LOG_SUFFIX } from './segment.ts'
import { removeIfThere } from './segment-files.ts'
import { INDEX_SUFFIXES } from './segment-indexes.ts'

export const CLEANED_SUFFIX = '.cleaned'
export const SWAP_SUFFIX = '.swap'
export const DELETED_SUFFIX = '.deleted'

/**
 * `names`: of the files in the log's directory. True when they changed. Rejects with StorageError.
 */
export async function finishSwaps(state: LogState, names: readonly string[]): Promise<boolean> {
  const { disk } = state.parts
  const swaps: string[] = []
  let isChanged = false
  for (const name of names) {
    const isLeftover =
      name.endsWith(CLEANED_SUFFIX) || name.endsWith(DELETED_SUFFIX) || name.endsWith('.tmp')
    if (name.endsWith(LOG_SUFFIX + SWAP_SUFFIX)) swaps.push(name)
    if (!isLeftover) continue
    await removeIfThere(state, `${state.directory}/${name}`)
    isChanged = true
  }
  for (const name of swaps) {
    await finishSwap(state, Number(name.slice(0, 20)), names)
    isChanged = true
  }
  for (const name of names) {
    if (!name.endsWith(SWAP_SUFFIX) || swaps.includes(name)) continue
    const path = `${state.directory}/${name}`
    if (!disk.exists(path)) continue
    // Of a replacement whose log file is in its place already, or of one that never got so far:
    // then the old indexes are still there.
    const place = path.slice(0, -SWAP_SUFFIX.length)
    const stem = path.slice(0, state.directory.length + 21)
    if (disk.exists(stem + LOG_SUFFIX) && !disk.exists(place)) disk.rename(path, place)
    else await removeIfThere(state, path)
    isChanged = true
  }
  if (isChanged) await state.syncNames()
  return isChanged
}

async function finishSwap(
  state: LogState,
  baseOffset: number,
  names: readonly string[],
): Promise<void> {
  const { disk } = state.parts
  const { stem } = state.newSegment(baseOffset)
  const path = stem + LOG_SUFFIX + SWAP_SUFFIX
  let endOffset = baseOffset + 1
  const reader = state.shared.files.file(path, 'read')
  const probe = state.newSegment(baseOffset, reader)
  probe.writtenBytes = disk.sizeOf(path)
  probe.nextOffset = Number.MAX_SAFE_INTEGER
  try {
    await scanIntact(probe, 0, (_buffer, _at, _end, _position, _base, last) => {
      endOffset = last + 1
    })
  } finally {
    reader.close()
  }
  for (const name of names) {
    const base = /^\d{20}\.log$/.test(name) ? Number(name.slice(0, 20)) : -1
    if (base < baseOffset || base >= endOffset) continue
    const old = state.newSegment(base)
    for (const suffix of [...INDEX_SUFFIXES, LOG_SUFFIX]) {
      await removeIfThere(state, old.stem + suffix)
    }
  }
  await state.syncNames()
  await renameSwapped(state, stem)
  state.parts.logger.info('A replacement of segments was finished after a crash.', {
    ...state.fields(),
    baseOffset,
    endOffset,
  })
}

/** The last step: from `.swap` to the names of a segment. The log file is the first. */
export async function renameSwapped(state: LogState, stem: string): Promise<void> {
  const { disk } = state.parts
  assert(disk.exists(stem + LOG_SUFFIX + SWAP_SUFFIX), 'the replacement is there')
  for (const suffix of [LOG_SUFFIX, ...INDEX_SUFFIXES]) {
    const path = stem + suffix
    if (disk.exists(path + SWAP_SUFFIX)) disk.rename(path + SWAP_SUFFIX, path)
  }
  await state.syncNames()
}
