/**
 * A sync that failed leaves pages that every reader sees and the device does not have: the system
 * counts them as clean, so a later sync passes over them (the fsync gate). The log is out of
 * service then, but a new process would find the records in the page cache and take them for
 * durable. So a note is left beside them, of which no sync is asked: it lasts exactly as long as
 * the page cache does. Who opens a log with a note writes the doubtful bytes again.
 */
import { StorageError } from '../base/errors.ts'
import type { LogState } from './log-state.ts'
import { removeIfThere } from './segment-files.ts'

const NAME = 'sync-failed'
const CHUNK_BYTES = 65_536

/** Leaves the note, where the disk takes it. */
export function noteDoubt(state: LogState): void {
  const { disk, logger } = state.parts
  try {
    disk.open(pathOf(state), 'write').close()
  } catch (error) {
    if (!(error instanceof StorageError)) throw error
    logger.error('That a sync failed can not be noted.', {
      ...state.fields(),
      error: error.message,
    })
  }
}

export function isDoubtful(state: LogState): boolean {
  return state.parts.disk.exists(pathOf(state))
}

/** Makes bytes dirty again, from `position` in the segment at `first` on. The caller syncs them. */
export function writeAgain(state: LogState, first: number, position: number): void {
  const { disk, logger } = state.parts
  let from = position
  let bytes = 0
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  for (const { file, writtenBytes } of state.segments.slice(first)) {
    if (disk.exists(file.path)) {
      const opened = disk.open(file.path, 'write')
      try {
        for (let at = from; at < writtenBytes; at += CHUNK_BYTES) {
          const length = opened.read(chunk, 0, Math.min(CHUNK_BYTES, writtenBytes - at), at)
          opened.write(chunk, 0, length, at)
          bytes += length
        }
      } finally {
        opened.close()
      }
    }
    from = 0
  }
  logger.warn('A sync had failed: what followed is written again.', { ...state.fields(), bytes })
}

/** All is durable now. */
export async function settleDoubt(state: LogState): Promise<void> {
  await removeIfThere(state, pathOf(state))
}

const pathOf = (state: LogState): string => `${state.directory}/${NAME}`
