/**
 * The id of this node's log among the voters: that of its directory, until the vote or the log is
 * found damaged. Then what is damaged is set aside, and the node goes on with an empty log under a
 * new id: it must not vote under one that it has given promises with.
 */
import type { Disk } from '../../base/disk.ts'
import { CorruptionError } from '../../base/errors.ts'
import { QUORUM_STATE } from './quorum-state.ts'
import { METADATA_LOG } from './raft-log.ts'

/** Holds the new id; missing on a node that never lost its log. */
export const VOTER_ID = 'quorum-directory-id'
const DAMAGED = '.damaged'
const ID = /^[\w-]{22}$/

/** undefined: the directory's own id counts. Throws CorruptionError. */
export function replacedVoterId(disk: Disk, directory: string): string | undefined {
  const path = `${directory}/${VOTER_ID}`
  if (!disk.exists(path)) return undefined
  const id = disk.readFile(path).toString('latin1').trim()
  if (!ID.test(id)) throw new CorruptionError(path, 'it has no id')
  return id
}

/** Durable when it resolves. A crash in between does it again, with another id. */
export async function setAsideDamaged(disk: Disk, directory: string, id: string): Promise<void> {
  await disk.replaceFile(`${directory}/${VOTER_ID}`, Buffer.from(`${id}\n`))
  const log = `${directory}/${METADATA_LOG}`
  await disk.removeDirectory(log + DAMAGED)
  if (disk.exists(log)) disk.rename(log, log + DAMAGED)
  const state = `${directory}/${QUORUM_STATE}`
  if (disk.exists(state)) disk.rename(state, state + DAMAGED)
  await disk.syncDirectory(directory)
}
